"""Published deep models, each put together from parts with the guide that its paper learns it with."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from ...core.keys import as_key
from ..recurrent import GRU
from ..recurrent.heads import AbstractHead, BernoulliHead
from ..weights import check_choice
from .dynamics import GatedTransition
from .encoder import Encoder
from .guide import Guide
from .model import DeepStateSpace
from .networks import MLP, NormalNetwork
from .proposals import Combiner, Direct, MeanField, Residual
from .recurrent_dynamics import AbsorbingDynamics, RecurrentDynamics, StackedDynamics
from .sizes import fed_size, frame_size, layers, names_of

NETWORKS = ("DKS", "ST-LR", "ST-L", "MF-LR", "MF-L")


def deep_markov_model(
    num_series: int,
    *,
    latent: int = 100,
    transition: int = 200,
    emission: Sequence[int] = (100, 100),
    encoder: int = 600,
    inference: str = "DKS",
    head: AbstractHead | None = None,
    input_names: Sequence[str] = (),
    masks: bool = False,
    cell: Callable[..., Any] = GRU,
    key: Any,
) -> tuple[DeepStateSpace, Guide]:
    """The deep Markov model (with actions: the deep Kalman filter), and one of its five inference networks.

        p(x, z) = product of p(z[t] | z[t-1], u[t]) p(x[t] | z[t])

        "DKS"     q = product of q(z[t] | z[t-1], x[t:T])      the posterior's own factorisation (ST-R)
        "ST-LR"   q = product of q(z[t] | z[t-1], x[1:T])
        "ST-L"    q = product of q(z[t] | z[t-1], x[1:t])
        "MF-LR"   q = product of q(z[t] | x[1:T])
        "MF-L"    q = product of q(z[t] | x[1:t])

    Args:
        num_series: Number of observed series.
        latent: Number of latent states.
        transition: Units of the hidden layers of the gated transition.
        emission: Units of the hidden layers between latent states and head.
        encoder: Units of each of the guide's cells, and of the embedding before them.
        inference: The inference network.
        head: The law of the observations; `BernoulliHead()` when left out.
        input_names: The actions, input columns that drive the latent states.
        masks: Whether the guide is told which observations are present.
        cell: Maker of the guide's cells: `GRU`, `LSTM`, `Elman`, ...
        key: PRNG key of all weights.

    Returns:
        The model and the guide.

    Raises:
        ValueError: If a size is below 1 or the inference network unknown.

    Example:
        >>> model, guide = deep_markov_model(4, latent=2, transition=8, emission=[8], encoder=6, key=0)
        >>> model.state_names, guide.direction
        (('z0', 'z1'), 'backward')

    Reference: Krishnan, Shalit and Sontag (2017), "Structured inference networks for nonlinear state space models",
    AAAI; Krishnan, Shalit and Sontag (2015), "Deep Kalman filters".
    """
    check_choice("inference", inference, NETWORKS)
    keys = iter(jax.random.split(as_key(key), 8))
    head = (BernoulliHead() if head is None else head).observing(num_series)
    dynamics = GatedTransition(latent, transition, fed=len(names_of(input_names)), key=next(keys))
    model = DeepStateSpace(dynamics, MLP([latent, *layers(emission)], key=next(keys)), head, input_names=input_names)
    forward = cell(encoder, encoder, key=next(keys)) if inference != "DKS" else None
    backward = cell(encoder, encoder, key=next(keys)) if inference in ("DKS", "ST-LR", "MF-LR") else None
    embedding = MLP([frame_size(head, input_names, masks), encoder], key=next(keys))
    seen = Encoder(embedding, forward, backward, masks=masks)
    if inference.startswith("MF"):
        return model, Guide(seen, MeanField(latent, seen.sizes, key=next(keys)))
    return model, Guide(seen, Combiner(latent, encoder, key=next(keys)))


def vrnn(
    num_series: int,
    *,
    latent: int = 32,
    hidden: int = 32,
    proposal: str = "residual",
    head: AbstractHead | None = None,
    input_names: Sequence[str] = (),
    masks: bool = False,
    cell: Callable[..., Any] = GRU,
    key: Any,
) -> tuple[DeepStateSpace, Guide]:
    """The variational recurrent network, and its filtering guide.

        h[t] = f(h[t-1], x[t-1], z[t-1])
        p(x, z) = product of p(z[t] | h[t]) p(x[t] | z[t], h[t]),      q = product of q(z[t] | x[t], h[t])

    Args:
        num_series: Number of observed series.
        latent: Number of latent states.
        hidden: Units of the cell, and of each network.
        proposal: "residual" (from the prior's mean) or "direct".
        head: The law of the observations; `BernoulliHead()` when left out.
        input_names: Input columns that the cell reads too.
        masks: Whether the guide is told which observations are present.
        cell: Maker of the cell: `GRU`, `LSTM`, ...
        key: PRNG key of all weights.

    Returns:
        The model and the guide.

    Raises:
        ValueError: If a size is below 1 or the proposal unknown.

    Example:
        >>> model, guide = vrnn(4, latent=2, hidden=6, key=0)
        >>> model.reads_previous, guide.looks_ahead
        (True, False)

    Reference: Chung et al. (2015), "A recurrent latent variable model for sequential data", NeurIPS; residual
    proposals and sizes as in Maddison et al. (2017), "Filtering variational objectives", appendix.
    """
    check_choice("proposal", proposal, ("residual", "direct"))
    keys = iter(jax.random.split(as_key(key), 12))
    head = (BernoulliHead() if head is None else head).observing(num_series)
    fed = fed_size(head, input_names)
    law = NormalNetwork(MLP([_outputs(cell, hidden), hidden], key=next(keys)), latent, key=next(keys))
    feature, seen = MLP([latent, hidden], key=next(keys)), MLP([fed, hidden], key=next(keys))
    dynamics = RecurrentDynamics(cell(2 * hidden, hidden, key=next(keys)), law, feature, seen)
    network = MLP([dynamics.readout, hidden], key=next(keys))
    model = DeepStateSpace(dynamics, network, head, feedback=True, input_names=input_names)
    frames = Encoder(MLP([frame_size(head, input_names, masks), hidden], key=next(keys)), masks=masks)
    body = MLP([hidden + dynamics.path, hidden], key=next(keys))
    made = {"residual": Residual, "direct": Direct}[proposal](
        NormalNetwork(body, latent, key=next(keys)), previous=False
    )
    return model, Guide(frames, made)


def srnn(
    num_series: int,
    *,
    latent: int = 32,
    hidden: int = 32,
    smooths: bool = True,
    head: AbstractHead | None = None,
    input_names: Sequence[str] = (),
    masks: bool = False,
    cell: Callable[..., Any] = GRU,
    key: Any,
) -> tuple[DeepStateSpace, Guide]:
    """The stochastic recurrent network, and its smoothing or filtering guide with residual means.

        d[t] = f(d[t-1], x[t-1], u[t])
        p(x, z) = product of p(z[t] | z[t-1], d[t]) p(x[t] | z[t], d[t])
        a[t] = g(a[t+1], [d[t], x[t]]) (smoothing) or g([d[t], x[t]]),      q = product of q(z[t] | z[t-1], a[t])

    Args:
        num_series: Number of observed series.
        latent: Number of latent states.
        hidden: Units of the cells, and of each network.
        smooths: Whether the guide sees later observations.
        head: The law of the observations; `BernoulliHead()` when left out.
        input_names: Input columns that the cell reads too.
        masks: Whether the guide is told which observations are present.
        cell: Maker of the cells: `GRU`, `LSTM`, ...
        key: PRNG key of all weights.

    Returns:
        The model and the guide.

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> model, guide = srnn(4, latent=2, hidden=6, key=0)
        >>> guide.direction
        'backward'

    Reference: Fraccaro, Sonderby, Paquet and Winther (2016), "Sequential neural models with stochastic layers",
    NeurIPS.
    """
    keys = iter(jax.random.split(as_key(key), 12))
    head = (BernoulliHead() if head is None else head).observing(num_series)
    seen = MLP([fed_size(head, input_names), hidden], key=next(keys))
    made = cell(hidden, hidden, key=next(keys))
    body = MLP([latent + made.output_size, hidden], "leaky_relu", key=next(keys))
    dynamics = StackedDynamics(made, NormalNetwork(body, latent, key=next(keys)), seen)
    network = MLP([dynamics.readout, hidden], "leaky_relu", key=next(keys))
    model = DeepStateSpace(dynamics, network, head, feedback=True, input_names=input_names)
    size = frame_size(head, input_names, masks) + dynamics.path
    embedding = MLP([size, hidden], "leaky_relu", key=next(keys))
    back = cell(hidden, hidden, key=next(keys)) if smooths else None
    encoder = Encoder(embedding, backward=back, masks=masks, path=True)
    law = NormalNetwork(
        MLP([*_one(encoder.sizes, latent), hidden], "leaky_relu", key=next(keys)), latent, key=next(keys)
    )
    return model, Guide(encoder, Residual(law, path=False))


def storn(
    num_series: int,
    *,
    latent: int = 32,
    hidden: int = 32,
    head: AbstractHead | None = None,
    input_names: Sequence[str] = (),
    masks: bool = False,
    cell: Callable[..., Any] = GRU,
    key: Any,
) -> tuple[DeepStateSpace, Guide]:
    """The stochastic recurrent network of Bayer and Osendorfer, and its filtering guide.

        c[t] = f(c[t-1], x[t-1], z[t])
        p(x, z) = product of N(z[t]; 0, I) p(x[t] | c[t]),      q = product of q(z[t] | x[1:t])

    Args:
        num_series: Number of observed series.
        latent: Number of latent states.
        hidden: Units of the cells, and of each network.
        head: The law of the observations; `BernoulliHead()` when left out.
        input_names: Input columns that the cell reads too.
        masks: Whether the guide is told which observations are present.
        cell: Maker of the cells: `GRU`, `LSTM`, ...
        key: PRNG key of all weights.

    Returns:
        The model and the guide.

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> model, guide = storn(4, latent=2, hidden=6, key=0)
        >>> guide.direction
        'forward'

    Reference: Bayer and Osendorfer (2014), "Learning stochastic recurrent networks".
    """
    keys = iter(jax.random.split(as_key(key), 8))
    head = (BernoulliHead() if head is None else head).observing(num_series)
    fed = fed_size(head, input_names)
    dynamics = AbsorbingDynamics(cell(fed + latent, hidden, key=next(keys)), latent)
    network = MLP([dynamics.readout, hidden], key=next(keys))
    model = DeepStateSpace(dynamics, network, head, feedback=True, input_names=input_names)
    embedding = MLP([frame_size(head, input_names, masks), hidden], key=next(keys))
    encoder = Encoder(embedding, forward=cell(hidden, hidden, key=next(keys)), masks=masks)
    return model, Guide(encoder, MeanField(latent, encoder.sizes, key=next(keys)))


def _outputs(cell: Callable[..., Any], hidden: int) -> int:
    """Outputs of a cell of so many units."""
    return cell(1, hidden).output_size


def _one(sizes: tuple[int, ...], latent: int) -> tuple[int]:
    """Length of all messages, and of the latent state before."""
    return (sum(sizes) + latent,)
