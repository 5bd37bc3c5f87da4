"""From what is known of a sequence to a law of the latent state at one stamp: the factors of a guide."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Normal

from ...core.keys import as_key
from ..layers.affine import Affine
from ..weights import check_counts
from .laws import Law, moved, normal, parts, times
from .networks import NormalNetwork, positive

Messages = Sequence[Float[Array, " message"]]


class AbstractProposal(eqx.Module):
    """A law of the latent state given messages, the path and the latent state before: q(z[t] | ...)."""

    @abc.abstractmethod
    def __call__(self, messages: Messages, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law) -> Law:
        """The proposed laws.

        Args:
            messages: What the encoder says of the stamp.
            h: The model's path at the stamp.
            z: The latent state at the stamp before.
            prior: The model's laws of the latent state at the stamp.
        """


class Combiner(AbstractProposal):
    """The combiner of the deep Markov model's guides, with the true posterior's own factorisation.

        c = (tanh(W z[t-1] + b) + sum of messages) / (1 + number of messages),      mean = M c,      sd = s(V c)

    One message from the future gives q(z[t] | z[t-1], x[t:T]) (DKS, ST-R), one from the past ST-L, both ST-LR.

    Args:
        latent: Number of latent states.
        width: Length of each message.
        key: PRNG key of the weights; they are unknown when it is left out.

    Example:
        >>> Combiner(2, 5, key=0)((jnp.zeros(5),), jnp.zeros(0), jnp.zeros(2), None).batch_shape
        (2,)

    Reference: Krishnan, Shalit and Sontag (2017), section 5.2.
    """

    previous: Affine
    mean: Affine
    spread: Affine

    def __init__(self, latent: int, width: int, *, key: Any = None):
        keys = [None] * 3 if key is None else jax.random.split(as_key(key), 3)
        self.previous = Affine(latent, width, key=keys[0])
        self.mean, self.spread = Affine(width, latent, key=keys[1]), Affine(width, latent, key=keys[2])

    def __call__(self, messages: Messages, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law) -> Normal:
        """The proposed laws."""
        combined = (jnp.tanh(self.previous(z)) + sum(messages)) / (1 + len(messages))
        return Normal(self.mean(combined), positive(self.spread(combined)))


class MeanField(AbstractProposal):
    """A law from the messages alone: independent over stamps.

    Each message gives a mean and a standard deviation of its own; several of them are multiplied (precisions add).

    Args:
        latent: Number of latent states.
        widths: Lengths of the messages: (600,) for MF-L, (600, 600) for MF-LR.
        key: PRNG key of the weights; they are unknown when it is left out.

    Example:
        >>> MeanField(2, [5, 5], key=0)((jnp.zeros(5), jnp.zeros(5)), None, None, None).scale.round(3).tolist()
        [0.49, 0.49]

    Reference: Krishnan, Shalit and Sontag (2017), table 1.
    """

    means: tuple[Affine, ...]
    spreads: tuple[Affine, ...]

    def __init__(self, latent: int, widths: Sequence[int], *, key: Any = None):
        check_counts(messages=len(widths))
        keys = [None] * 2 * len(widths) if key is None else list(jax.random.split(as_key(key), 2 * len(widths)))
        self.means = tuple(Affine(n, latent, key=k) for n, k in zip(widths, keys[::2], strict=True))
        self.spreads = tuple(Affine(n, latent, key=k) for n, k in zip(widths, keys[1::2], strict=True))

    def __call__(self, messages: Messages, h: Any, z: Any, prior: Any) -> Normal:
        """The proposed laws."""
        parts = zip(self.means, self.spreads, messages, strict=True)
        return product([Normal(mean(c), positive(spread(c))) for mean, spread, c in parts])


class Direct(AbstractProposal):
    """A network of everything that is known.

        q = network([messages, h[t], z[t-1]])

    Args:
        network: Its inputs are the messages, then the path if `path`, then the latent state before if `previous`.
        path: Whether it sees the model's path.
        previous: Whether it sees the latent state before.

    Example:
        >>> from statespace.models.deep import MLP
        >>> q = Direct(NormalNetwork(MLP([3 + 4, 8], key=0), 2, key=1), previous=False)
        >>> q((jnp.zeros(3),), jnp.zeros(4), jnp.zeros(2), None).batch_shape
        (2,)

    Reference: Chung et al. (2015), equation 9.
    """

    network: NormalNetwork
    path: bool = eqx.field(static=True, default=True)
    previous: bool = eqx.field(static=True, default=True)

    def __call__(self, messages: Messages, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Any) -> Law:
        """The proposed laws."""
        return self.network(jnp.concatenate([*messages, *self._known(h, z)]))

    def _known(self, h: Array, z: Array) -> list[Array]:
        return [x for x, wanted in ((h, self.path), (z, self.previous)) if wanted]


class Residual(Direct):
    """A network that says how far to go from the prior's mean.

        mean = prior mean + network's mean,      sd = network's

    Reference: Fraccaro et al. (2016), section 3.3.
    """

    def __call__(self, messages: Messages, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law) -> Law:
        """The proposed laws."""
        change, sd = parts(super().__call__(messages, h, z, prior))
        return Normal(parts(prior)[0] + change, sd)


class Product(Direct):
    """The prior times a network's normal law: precisions add. Where the network says little the prior stays.

    Reference: Dowling, Zhao and Park (2024), "eXponential FAmily Dynamical Systems (XFADS)".
    """

    def __call__(self, messages: Messages, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law) -> Law:
        """The proposed laws."""
        found = super().__call__(messages, h, z, prior)
        if isinstance(prior, Normal) and isinstance(found, Normal):
            return product([prior, found])
        mean, sd = parts(found)
        return times(prior, sd**-2.0, mean * sd**-2.0)


class TransitionNoise(Direct):
    """A network's law of the transition's noise.

        z[t] = prior mean + prior factor w[t],      w[t] ~ N(m, s^2) by the network

    Reference: Karl et al. (2017), "Deep variational Bayes filters", ICLR, section 3.2.
    """

    def __call__(self, messages: Messages, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law) -> Law:
        """The proposed laws."""
        mean, sd = parts(super().__call__(messages, h, z, prior))
        return normal(moved(prior, mean), parts(prior)[1] * sd)


class Prior(AbstractProposal):
    """The model's own transition: with it a particle filter is the bootstrap filter."""

    def __call__(self, messages: Any, h: Any, z: Any, prior: Law) -> Law:
        """The prior."""
        return prior


def product(laws: Sequence[Normal]) -> Normal:
    """The normalised product of normal densities: precisions add.

    Example:
        >>> product([Normal(0.0, jnp.ones(())), Normal(2.0, jnp.ones(()))]).loc.item()
        1.0
    """
    if len(laws) == 1:
        return laws[0]
    means, sds = zip(*map(parts, laws), strict=True)
    weights = [sd**-2.0 for sd in sds]
    total = jnp.sum(jnp.stack(weights), axis=0)
    weighted = [w * mean for w, mean in zip(weights, means, strict=True)]
    return Normal(jnp.sum(jnp.stack(weighted), axis=0) / total, total**-0.5)
