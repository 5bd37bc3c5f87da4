"""How latent states move: what deep models share, and the Markov kinds."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Normal

from ...core.keys import as_key
from ...core.parameters import Unknown
from ...core.step import Step
from ..layers.affine import Affine
from ..weights import check_counts, set_weights, weight, zeros
from .networks import MLP, positive


class AbstractLatentDynamics(eqx.Module):
    """A deterministic path h and a latent path z.

        h[t]  = advance(h[t-1], z[t-1], fed[t])
        z[t]  ~ law(h[t], z[t-1], fed[t])            independent normal laws
        read(h[t], z[t])                             is what the emission sees

    with fed[t] the features of y[t-1], if the model feeds it back, then the inputs u[t]. Markov models have an empty h.

    Attributes:
        latent: Number of latent states z.
        fed: Length of what is fed.
    """

    latent: eqx.AbstractVar[int]
    fed: eqx.AbstractVar[int]

    @property
    def path(self) -> int:
        """Length of the deterministic path h."""
        return 0

    @property
    def reads_latent(self) -> bool:
        """Whether the path depends on the latent states before; if not, it is known before any of them is drawn."""
        return self.path > 0

    @property
    def reads_dt(self) -> bool:
        """Whether a step depends on the time since the one before."""
        return False

    @property
    def readout(self) -> int:
        """Length of what the emission sees."""
        return self.path + self.latent

    @property
    def path_names(self) -> tuple[str, ...]:
        """A name for each element of the path."""
        return tuple(f"h{i}" for i in range(self.path))

    def start(self) -> tuple[Float[Array, " path"], Float[Array, " latent"]]:
        """Path and latent state before the first stamp."""
        return jnp.zeros(self.path), jnp.zeros(self.latent)

    def advance(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Float[Array, " path"]:
        """The path at `step`, before the latent state there."""
        del z, fed, step
        return h

    @abc.abstractmethod
    def law(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Normal:
        """The laws of the latent state at `step`, given the path there and the latent state before."""

    def read(self, h: Float[Array, " path"], z: Float[Array, " latent"]) -> Float[Array, " readout"]:
        """What the emission sees."""
        return jnp.concatenate([h, z], axis=-1)


class AbstractMarkov(AbstractLatentDynamics):
    """A Markov chain of latent states without a deterministic path, which starts from a state that is learned.

    Attributes:
        first: The latent state before the first stamp.
    """

    first: eqx.AbstractVar[Any]

    def start(self) -> tuple[Float[Array, " path"], Float[Array, " latent"]]:
        """An empty path, and the latent state before the first stamp, which is learned."""
        return jnp.zeros(0, self.first.dtype), self.first


class GatedTransition(AbstractMarkov):
    """The Markov transition of the deep Markov model: a gate between a linear map and a network.

        g = sigmoid(W2 relu(W1 [z, fed])),      n = V2 relu(V1 [z, fed])
        mean = (1 - g) (A z + b) + g n,         sd = log(1 + exp(U relu(n) + c))

    A starts as the identity and b as zero, so that the path begins as a random walk.

    Args:
        latent: Number of latent states.
        hidden: Units of each network's hidden layer.
        fed: Number of inputs (actions), and of fed-back observations' features.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1 (`fed`: below 0).

    Example:
        >>> move = GatedTransition(2, 8, key=0)
        >>> move.law(jnp.zeros(0), jnp.zeros(2), jnp.zeros(0), None).batch_shape
        (2,)

    Reference: Krishnan, Shalit and Sontag (2017), "Structured inference networks for nonlinear state space models",
    AAAI, section 4.
    """

    gate: MLP
    proposal: MLP
    linear: "NearIdentity"
    spread: Affine
    first: Float[Array, " latent"] | Unknown = weight(lambda self: (self.latent,), zeros, spread=lambda self: 1.0)
    latent: int = eqx.field(static=True, kw_only=True)
    fed: int = eqx.field(static=True, kw_only=True)

    def __init__(self, latent: int, hidden: int, *, fed: int = 0, key: Any = None):
        check_counts(latent=latent, hidden=hidden)
        check_counts(0, fed=fed)
        keys = [None] * 4 if key is None else jax.random.split(as_key(key), 4)
        self.latent, self.fed = latent, fed
        self.gate = MLP([latent + fed, hidden, latent], last="identity", key=keys[0])
        self.proposal = MLP([latent + fed, hidden, latent], last="identity", key=keys[1])
        self.linear = NearIdentity(latent, key=keys[2])
        self.spread = Affine(latent, latent, key=keys[3])
        set_weights(self, key)

    def law(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Normal:
        """The laws of the latent state, given the one before."""
        del h, step
        both = jnp.concatenate([z, fed], axis=-1)
        gate, proposal = jax.nn.sigmoid(self.gate(both)), self.proposal(both)
        mean = (1 - gate) * self.linear(z) + gate * proposal
        return Normal(mean, positive(self.spread(jax.nn.relu(proposal))))


class NearIdentity(eqx.Module):
    """An affine map A z + b that starts as the identity.

    Args:
        size: Length of z.
        key: PRNG key: the start is the same whatever it is; weights are unknown when it is left out.

    Example:
        >>> NearIdentity(2, key=0)(jnp.array([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """

    weights: Float[Array, "size size"] | Unknown = weight(
        lambda self: (self.size, self.size), lambda self, key, shape: jnp.eye(shape[0]), spread=lambda self: 0.5
    )
    bias: Float[Array, " size"] | Unknown = weight(lambda self: (self.size,), zeros, spread=lambda self: 1.0)
    size: int = eqx.field(static=True, kw_only=True)

    def __init__(self, size: int, *, key: Any = None):
        check_counts(size=size)
        self.size = size
        set_weights(self, key)

    def __call__(self, z: Float[Array, "*batch size"]) -> Float[Array, "*batch size"]:
        """A z + b."""
        return z @ self.weights.T + self.bias


class MLPTransition(AbstractMarkov):
    """A Markov transition whose means and standard deviations are a network's.

        z[t] ~ N(z[t-1] + dt f([z[t-1], fed]), dt s([z[t-1], fed])^2)       residual=True: Euler steps of an SDE
        z[t] ~ N(f([z[t-1], fed]), s([z[t-1], fed])^2)                      residual=False

    Args:
        latent: Number of latent states.
        hidden: Units of each hidden layer.
        fed: Number of inputs (actions), and of fed-back observations' features.
        residual: Whether the network gives the change, times the time between stamps.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1 (`fed`: below 0).

    Example:
        >>> MLPTransition(2, [16], residual=True, key=0).path
        0

    Reference: Kloeden and Platen (1992), "Numerical solution of stochastic differential equations", section 10.2.
    """

    body: MLP
    mean: Affine
    spread: Affine
    first: Float[Array, " latent"] | Unknown = weight(lambda self: (self.latent,), zeros, spread=lambda self: 1.0)
    latent: int = eqx.field(static=True, kw_only=True)
    fed: int = eqx.field(static=True, kw_only=True)
    residual: bool = eqx.field(static=True, kw_only=True)

    def __init__(self, latent: int, hidden: Any, *, fed: int = 0, residual: bool = False, key: Any = None):
        check_counts(latent=latent)
        check_counts(0, fed=fed)
        keys = [None] * 3 if key is None else jax.random.split(as_key(key), 3)
        self.latent, self.fed, self.residual = latent, fed, residual
        self.body = MLP([latent + fed, *hidden], "tanh", key=keys[0])
        self.mean = Affine(self.body.output_size, latent, key=keys[1])
        self.spread = Affine(self.body.output_size, latent, key=keys[2])
        set_weights(self, key)

    @property
    def reads_dt(self) -> bool:
        """Whether the network gives the change."""
        return self.residual

    def law(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Normal:
        """The laws of the latent state, given the one before."""
        del h
        o = self.body(jnp.concatenate([z, fed], axis=-1))
        mean, sd = self.mean(o), positive(self.spread(o))
        if not self.residual:
            return Normal(mean, sd)
        return Normal(z + step.dt * mean, jnp.sqrt(step.dt) * sd)


class LinearTransition(AbstractMarkov):
    """The linear-Gaussian transition, for which a Kalman filter is exact.

        z[t] ~ N(A z[t-1] + B fed + b, diag(sd)^2),      z[1] ~ N(A first + B fed + b, diag(sd)^2)

    Args:
        latent: Number of latent states.
        fed: Number of inputs (actions), and of fed-back observations' features.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1 (`fed`: below 0).

    Example:
        >>> LinearTransition(2, key=0).linear(jnp.ones(2)).tolist()
        [1.0, 1.0]
    """

    linear: NearIdentity
    inputs: Affine | None
    raw_spread: Float[Array, " latent"] | Unknown = weight(lambda self: (self.latent,), zeros, spread=lambda self: 1.0)
    first: Float[Array, " latent"] | Unknown = weight(lambda self: (self.latent,), zeros, spread=lambda self: 1.0)
    latent: int = eqx.field(static=True, kw_only=True)
    fed: int = eqx.field(static=True, kw_only=True)

    def __init__(self, latent: int, *, fed: int = 0, key: Any = None):
        check_counts(latent=latent)
        check_counts(0, fed=fed)
        self.latent, self.fed = latent, fed
        self.linear = NearIdentity(latent, key=key)
        self.inputs = Affine(fed, latent, key=key) if fed else None
        set_weights(self, key)

    def law(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Normal:
        """The laws of the latent state, given the one before."""
        del h, step
        mean = self.linear(z)
        return Normal(mean if self.inputs is None else mean + self.inputs(fed), positive(self.raw_spread))
