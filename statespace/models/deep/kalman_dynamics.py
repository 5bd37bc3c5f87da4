"""Dynamics of the Kalman variational autoencoder: linear-Gaussian states that are integrated out exactly."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import MultivariateNormal

from ...core.belief import Gaussian
from ...core.gaussian import predict, update_element
from ...core.linalg import matmul
from ...core.parameters import Unknown
from ...core.step import Step
from ..recurrent.cell import AbstractCell
from ..weights import check_counts, set_weights, weight, zeros
from .dynamics import AbstractLatentDynamics
from .laws import cholesky
from .networks import MLP, SMALLEST, positive


class Mixed(NamedTuple):
    """The matrices of a stamp, or with a leading axis of all of them, and what the past says of the state there.

    Attributes:
        transition: A, which leads to the stamp.
        offset: B u.
        emission: C.
        belief: The law of the state, given the latent states before the stamp.
    """

    transition: Float[Array, "*time states states"]
    offset: Float[Array, "*time states"]
    emission: Float[Array, "*time latent states"]
    belief: Gaussian


class KalmanDynamics(AbstractLatentDynamics):
    """A linear-Gaussian state s behind the latent states z, whose matrices a cell mixes from a few.

        s[t] = A[t] s[t-1] + B[t] fed[t] + q,      q ~ N(0, Q),      s[1] ~ N(m, P)
        z[t] = C[t] s[t] + r,                      r ~ N(0, R)
        A[t], B[t], C[t] = sum_k alpha[t, k] (A_k, B_k, C_k)
        alpha[t] = softmax(mixing(output(c[t]))),      c[t] = cell(c[t-1], z[t-1])

    Given the latent states, s is normal. So it is integrated out: the path h[t] is the cell's state with the mean and
    the covariance of s[t] given z[1], ..., z[t-1], and z[t] ~ N(C m, C P C' + R) given the path. (The paper calls our
    z a, and our s z.) A starts as the identity, so that s begins as a random walk.

    Args:
        cell: The cell; its inputs are the latent states.
        states: Number of states s.
        bases: Number of matrices that are mixed.
        fed: Number of inputs u, and of fed-back observations' features.
        transition_scale: Standard deviation of q, which is held; None: one for each state, learned.
        emission_scale: That of r.
        initial_mean: m; zero when left out.
        initial_scale: Standard deviations of s[1], or a factor of P.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1 (`fed`: below 0) or a scale not above zero, shapes do not agree, or the cell
            depends on the time between stamps.

    Example:
        >>> from statespace.models.recurrent import LSTM
        >>> dynamics = KalmanDynamics(LSTM(2, 5, key=0), 4, bases=3, key=1)
        >>> dynamics.latent, dynamics.path, dynamics.readout
        (2, 30, 2)

    Reference: Fraccaro, Kamronn, Paquet and Winther (2017), "A disentangled recognition and nonlinear dynamics model
    for unsupervised learning", NeurIPS, equations 4, 5 and 9.
    """

    cell: AbstractCell
    mixing: MLP
    transitions: Float[Array, "bases states states"] | Unknown = weight(
        lambda self: (self.bases, self.states, self.states),
        lambda self, key, shape: jnp.broadcast_to(jnp.eye(self.states), shape),
        centre=lambda self: jnp.eye(self.states),
        spread=lambda self: 0.5,
    )
    drives: Float[Array, "bases states fed"] | Unknown = weight(
        lambda self: (self.bases, self.states, self.fed),
        lambda self, key, shape: _SMALL * jax.random.normal(key, shape),
        spread=lambda self: 1.0,
        active=lambda self: self.fed > 0,
    )
    emissions: Float[Array, "bases latent states"] | Unknown = weight(
        lambda self: (self.bases, self.latent, self.states),
        lambda self, key, shape: _SMALL * jax.random.normal(key, shape),
        spread=lambda self: 1.0,
    )
    raw_transition_scale: Float[Array, " states"] | Unknown = weight(
        lambda self: (self.states,),
        lambda self, key, shape: jnp.full(shape, _raw(0.08**0.5)),
        spread=lambda self: 1.0,
        active=lambda self: self.transition_scale is None,
    )
    raw_emission_scale: Float[Array, " latent"] | Unknown = weight(
        lambda self: (self.latent,),
        lambda self, key, shape: jnp.full(shape, _raw(0.03**0.5)),
        spread=lambda self: 1.0,
        active=lambda self: self.emission_scale is None,
    )
    first: Float[Array, " latent"] | Unknown = weight(lambda self: (self.latent,), zeros, spread=lambda self: 1.0)
    initial_mean: Float[Array, " states"] = eqx.field(kw_only=True)
    initial_cov: Float[Array, "states states"] = eqx.field(kw_only=True)
    latent: int = eqx.field(static=True, kw_only=True)
    fed: int = eqx.field(static=True, kw_only=True)
    states: int = eqx.field(static=True, kw_only=True)
    bases: int = eqx.field(static=True, kw_only=True)
    transition_scale: float | None = eqx.field(static=True, kw_only=True)
    emission_scale: float | None = eqx.field(static=True, kw_only=True)

    def __init__(
        self,
        cell: AbstractCell,
        states: int,
        *,
        bases: int = 3,
        fed: int = 0,
        transition_scale: float | None = None,
        emission_scale: float | None = None,
        initial_mean: Any = 0.0,
        initial_scale: Any = 20.0**0.5,
        key: Any = None,
    ):
        check_counts(latent=cell.input_size, states=states, bases=bases)
        check_counts(0, fed=fed)
        if cell.reads_dt:
            raise ValueError(f"{type(cell).__name__} depends on the time between stamps, which the matrices do not")
        for name, scale in (("transition_scale", transition_scale), ("emission_scale", emission_scale)):
            if scale is not None and not scale > 0:
                raise ValueError(f"{name} is {scale}, expected a standard deviation above 0, or None to learn it")
        self.cell, self.latent, self.fed, self.states, self.bases = cell, cell.input_size, fed, states, bases
        self.transition_scale, self.emission_scale = transition_scale, emission_scale
        self.mixing = MLP([cell.output_size, bases], last="identity", key=key)
        self.initial_mean, self.initial_cov = _moments(initial_mean, initial_scale, states)
        set_weights(self, key)

    @property
    def path(self) -> int:
        """Length of the cell's state, and of mean and covariance."""
        return self.cell.state_size + self.states + self.states**2

    @property
    def readout(self) -> int:
        """The latent states alone."""
        return self.latent

    @property
    def path_names(self) -> tuple[str, ...]:
        """The cell's, then mean0, mean1, ..., then cov0_0, cov0_1, ..."""
        each = range(self.states)
        covs = (f"cov{i}_{j}" for i in each for j in each)
        return (*self.cell.state_names, *(f"mean{i}" for i in each), *covs)

    @property
    def spreads(self) -> tuple[Float[Array, " states"], Float[Array, " latent"]]:
        """Standard deviations of q and r."""
        kinds = (
            (self.transition_scale, self.raw_transition_scale, self.states),
            (self.emission_scale, self.raw_emission_scale, self.latent),
        )
        dtype = self.transitions.dtype
        q, r = (positive(raw) if held is None else jnp.full(n, held, dtype) for held, raw, n in kinds)
        return q, r

    def start(self) -> tuple[Float[Array, " path"], Float[Array, " latent"]]:
        """The cell's start with the moments of s[1], and the latent state before the first stamp, which is learned."""
        return self._joined(self.cell.start(), Gaussian(self.initial_mean, self.initial_cov)), self.first

    def advance(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Float[Array, " path"]:
        """The cell's next state, and the moments of s at `step` once the latent state before it is known."""
        return self._ahead(h, z, fed, step, self.spreads[1] ** 2, None)[0]

    def law(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> MultivariateNormal:
        """The law of the latent states given those before."""
        del z, fed, step
        return self.seen(self.split(h)[1], h)

    def read(self, h: Float[Array, " path"], z: Float[Array, " latent"]) -> Float[Array, " latent"]:
        """The latent states."""
        del h
        return z

    def split(self, h: Float[Array, " path"]) -> tuple[Array, Gaussian]:
        """The cell's state, and the law of s given the latent states before."""
        c, mean, cov = jnp.split(h, [self.cell.state_size, self.cell.state_size + self.states])
        return c, Gaussian(mean, cov.reshape(self.states, self.states))

    def mixed(self, c: Float[Array, " cell"]) -> tuple[Array, Array, Array]:
        """A, B and C at a state of the cell; B is empty where nothing is fed."""
        alpha = jax.nn.softmax(self.mixing(self.cell.output(c)))
        drives = self.drives if self.fed else jnp.zeros((self.bases, self.states, 0), alpha.dtype)
        found = [jnp.sum(alpha[:, None, None] * m, axis=0) for m in (self.transitions, drives, self.emissions)]
        return found[0], found[1], found[2]

    def seen(self, belief: Gaussian, h: Float[Array, " path"]) -> MultivariateNormal:
        """The law of z = C s + r, from that of s, with the path's matrices."""
        emission, r = self.mixed(self.split(h)[0])[2], self.spreads[1] ** 2
        cov = matmul(emission, matmul(belief.cov, emission.T)) + jnp.diag(r)
        return MultivariateNormal(matmul(emission, belief.mean), scale_tril=cholesky(cov, r))

    def along(
        self,
        z: Float[Array, "time latent"],
        spread: Float[Array, "time latent"],
        there: Any,
        fed: Float[Array, "time fed"],
        steps: Step,
    ) -> Mixed:
        """Matrices and laws of s along a path of latent states that are known with normal errors.

        Where z is not known its mean is what the cell sees, and nothing is learned of s.

        Args:
            z: The latent states.
            spread: Standard deviations of their errors; zero where they are exact.
            there: Whether anything is known at each stamp, (time,); None where it always is.
            fed: What is fed.
            steps: The stamps.

        Reference: Fraccaro et al. (2017), section 3.4.
        """
        h, z0 = self.start()
        noise = self.spreads[1] ** 2 + spread**2

        def body(carry: Any, slot: Any) -> tuple[Any, Mixed]:
            h, z, noise, there = carry
            step, fed, *known = slot
            h, (a, b, emission) = self._ahead(h, z, fed, step, noise, there)
            belief = self.split(h)[1]
            z, noise, there = known
            z = z if there is None else jnp.where(there, z, matmul(emission, belief.mean))
            return (h, z, noise, there), Mixed(a, matmul(b, fed), emission, belief)

        nothing = None if there is None else jnp.zeros((), bool)
        return jax.lax.scan(body, (h, z0, noise[0], nothing), (steps, fed, z, noise, there))[1]

    def _ahead(self, h: Array, z: Array, fed: Array, step: Step, noise: Array, there: Any) -> tuple[Array, Any]:
        """The path at a step, from z before it with errors of known variances, r included; and the matrices there."""
        c, before = self.split(h)
        belief, emission = before, self.mixed(c)[2]
        for row, variance, value in zip(emission, noise, z, strict=True):
            belief, _ = update_element(belief, row, variance, value, there)
        c = self.cell.step(c, z)[0]
        a, b, emission = self.mixed(c)
        q = jnp.diag(self.spreads[0] ** 2)
        new = predict(belief, lambda x: matmul(a, x), matmul(b, fed), q)
        started = step.index > 0  # no transition leads to the first stamp, and no z came before it
        kept = jax.tree.map(lambda x, y: jnp.where(started, x, y), new, before)
        return self._joined(c, kept), (a, b, emission)

    def _joined(self, c: Array, belief: Gaussian) -> Float[Array, " path"]:
        return jnp.concatenate([c, belief.mean, belief.cov.ravel()])


_SMALL = 0.05  # standard deviation of B and C at the start, as in the authors' code


def _raw(scale: float) -> Array:
    """What `positive` makes the scale of."""
    return jnp.log(jnp.expm1(scale - SMALLEST))


def _moments(mean: Any, scale: Any, states: int) -> tuple[Array, Array]:
    """Mean and covariance of the first state."""
    dtype = jnp.result_type(float)
    factor = jnp.asarray(scale, dtype)
    if jnp.ndim(mean) > 1 or factor.ndim > 2 or (factor.ndim == 2 and len(factor) != states):
        raise ValueError(f"initial_mean and initial_scale do not fit {states} states")
    mean = jnp.broadcast_to(jnp.asarray(mean, dtype), (states,))
    if factor.ndim < 2:
        factor = jnp.diag(jnp.broadcast_to(factor, (states,)))
    return mean, factor @ factor.T
