"""Published deep models with linear-Gaussian dynamics, and guides that are exact given an encoder's potentials."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from ...core.keys import as_key
from ..recurrent import LSTM
from ..recurrent.heads import AbstractHead, BernoulliHead
from .conjugate_guide import ConjugateGuide, KalmanGuide
from .dynamics import LinearTransition
from .encoder import Encoder
from .guide import AbstractGuide, Guide
from .kalman_dynamics import KalmanDynamics
from .model import DeepStateSpace
from .networks import MLP, NormalNetwork
from .proposals import Direct
from .sizes import frame_size, layers, names_of


def svae(
    num_series: int,
    *,
    latent: int = 8,
    emission: Sequence[int] = (64, 64),
    encoder: Sequence[int] = (64, 64),
    head: AbstractHead | None = None,
    input_names: Sequence[str] = (),
    masks: bool = False,
    key: Any,
) -> tuple[DeepStateSpace, ConjugateGuide]:
    """The structured variational autoencoder with a linear dynamical system, and its conjugate guide.

        p(x, z) = product of N(z[t]; A z[t-1] + B u[t] + b, Q) p(x[t] | z[t])
        q(z | x) proportional to p(z) product of N(z[t]; m(x[t]), s(x[t])^2)

    Args:
        num_series: Number of observed series.
        latent: Number of latent states.
        emission: Units of the hidden layers between latent states and head.
        encoder: Units of the hidden layers between observations and potentials.
        head: The law of the observations; `BernoulliHead()` when left out.
        input_names: The actions, input columns that drive the latent states.
        masks: Whether the guide is told which observations are present.
        key: PRNG key of all weights.

    Returns:
        The model and the guide.

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> model, guide = svae(4, latent=2, emission=[8], encoder=[8], key=0)
        >>> model.state_names, guide.direction
        (('z0', 'z1'), 'backward')

    Reference: Johnson et al. (2016), "Composing graphical models with neural networks for structured representations
    and fast inference", NeurIPS; Zhao and Linderman (2023), "Revisiting structured variational autoencoders", ICML.
    """
    keys = iter(jax.random.split(as_key(key), 4))
    head = (BernoulliHead() if head is None else head).observing(num_series)
    dynamics = LinearTransition(latent, fed=len(names_of(input_names)), key=next(keys))
    model = DeepStateSpace(dynamics, MLP([latent, *layers(emission)], key=next(keys)), head, input_names=input_names)
    seen = Encoder(MLP([frame_size(head, input_names, masks), *layers(encoder)], key=next(keys)), masks=masks)
    return model, ConjugateGuide(seen, NormalNetwork(MLP(seen.sizes), latent, key=next(keys)))


def kvae(
    num_series: int,
    *,
    latent: int = 2,
    states: int = 4,
    bases: int = 3,
    hidden: int = 50,
    emission: Sequence[int] = (25, 25),
    encoder: Sequence[int] = (25, 25),
    smooths: bool = True,
    transition_scale: float | None = 0.08**0.5,
    emission_scale: float | None = 0.03**0.5,
    initial_scale: Any = 20.0**0.5,
    head: AbstractHead | None = None,
    input_names: Sequence[str] = (),
    masks: bool = False,
    cell: Callable[..., Any] = LSTM,
    key: Any,
) -> tuple[DeepStateSpace, AbstractGuide]:
    """The Kalman variational autoencoder, and its smoothing or filtering guide.

        p(x, z, s) = product of N(s[t]; A[t] s[t-1] + B[t] u[t], Q) N(z[t]; C[t] s[t], R) p(x[t] | z[t])
        A[t], B[t], C[t] = sum_k alpha[t, k] (A_k, B_k, C_k),      alpha[t] = f(z[1], ..., z[t-1])
        q(z | x) proportional to p(z) product of N(z[t]; m(x[t]), v(x[t])^2) (smoothing), the matrices of later stamps
        mixed by means; or product of N(z[t]; m(x[t]), v(x[t])^2), and p's own law where nothing is observed

    where s is integrated out exactly (the paper calls our z a, and our s z). The paper's q is the filtering one; the
    other knows the dynamics too, and fills gaps from both sides. Its images need convolutions, which are not here.

    Args:
        num_series: Number of observed series.
        latent: Number of latent states z.
        states: Number of states s.
        bases: Number of matrices that are mixed.
        hidden: Units of the cell.
        emission: Units of the hidden layers between latent states and head.
        encoder: Units of the hidden layers between observations and potentials.
        smooths: Whether the guide sees later observations.
        transition_scale: Standard deviation of the noise of s, which is held; None: learned.
        emission_scale: Standard deviation of z given s, which is held; None: learned.
        initial_scale: Standard deviations of s[1], or a factor of its covariance.
        head: The law of the observations; `BernoulliHead()` when left out.
        input_names: The actions, input columns that drive s.
        masks: Whether the guide is told which observations are present.
        cell: Maker of the cell: `LSTM`, `GRU`, ...
        key: PRNG key of all weights.

    Returns:
        The model and the guide.

    Raises:
        ValueError: If a size is below 1, or a scale not above zero.

    Example:
        >>> model, guide = kvae(4, hidden=6, key=0)
        >>> model.dynamics.latent, model.dynamics.states, guide.looks_ahead
        (2, 4, True)

    Reference: Fraccaro, Kamronn, Paquet and Winther (2017), "A disentangled recognition and nonlinear dynamics model
    for unsupervised learning", NeurIPS; sizes as in its section 5.1 and the authors' code.
    """
    keys = iter(jax.random.split(as_key(key), 5))
    head = (BernoulliHead() if head is None else head).observing(num_series)
    dynamics = KalmanDynamics(
        cell(latent, hidden, key=next(keys)),
        states,
        bases=bases,
        fed=len(names_of(input_names)),
        transition_scale=transition_scale,
        emission_scale=emission_scale,
        initial_scale=initial_scale,
        key=next(keys),
    )
    model = DeepStateSpace(dynamics, MLP([latent, *layers(emission)], key=next(keys)), head, input_names=input_names)
    seen = Encoder(MLP([frame_size(head, input_names, masks), *layers(encoder)], key=next(keys)), masks=masks)
    potential = NormalNetwork(MLP(seen.sizes), latent, spread=_START, key=next(keys))
    if smooths:
        return model, KalmanGuide(seen, potential)
    return model, Guide(seen, Direct(potential, path=False, previous=False), skips=True)


_START = 0.03**0.5  # standard deviation of a potential before anything is learned: the authors' largest one
