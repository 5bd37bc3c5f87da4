"""Particle marginal Metropolis-Hastings: a random walk over the parameters, judged by estimated likelihoods."""

import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from ..core.parameters import log_jacobian
from .chains import AbstractChains, Kept, jittered
from .method import AbstractMethod
from .problem import Problem

_LARGE_SPREAD = 2.0  # of estimates of the log-likelihood: above it chains stick
_WISHED_SPREAD = 1.2


class Walk(NamedTuple):
    """State of a chain.

    Attributes:
        position: The parameters on the unconstrained scale, by path.
        log_density: Log posterior density there, with the estimate of the likelihood that came with it.
        log_likelihood: That estimate.
        factor: A triangular factor of the covariance of the steps.
        count: Number of steps done.
        key: PRNG key.
    """

    position: dict[str, Array]
    log_density: Float[Array, ""]
    log_likelihood: Float[Array, ""]
    factor: Float[Array, "parameter parameter"]
    count: Int[Array, ""]
    key: Any


class PMMH(AbstractChains):
    """Sample the posterior by particle marginal Metropolis-Hastings.

    A step z' = z + S u, u ~ N(0, I), on the unconstrained scale is accepted with probability

        a = min(1, phat(y | z') p(z') / (phat(y | z) p(z)))

    where phat is the unbiased estimate of a particle filter, kept until the next acceptance: the chain's law is the
    exact posterior, whatever the number of particles. It serves every model, transitions without a density
    included. During the warm-up the factor S learns the posterior's shape and an acceptance rate,

        S S' <- S (I + n^(-2/3) d (a - target) u u' / |u|^2) S',   a gain of at most 1,

    and is held afterwards. With a filter that draws nothing (or, like an ensemble's, the same numbers everywhere) it is
    an adaptive Metropolis sampler.

    Args:
        filter: A particle filter; its estimates of the log-likelihood should have a standard deviation of 1 to 2,
            which the status of the fit reports.
        num_warmup: Steps of adaptation, dropped.
        num_samples: Draws kept in each chain.
        num_chains: Number of chains, which run in lock-step.
        target_accept: Acceptance rate that is aimed at.

    Raises:
        ValueError: If a count is below 1 or the rate is not between 0 and 1.

    Example:
        >>> from statespace import BootstrapFilter
        >>> PMMH(BootstrapFilter(num_particles=200), num_chains=2).num_chains
        2

    Reference: Andrieu, Doucet and Holenstein (2010), JRSS B 72; the adaptation: Vihola (2012), "Robust adaptive
    Metropolis algorithm with coerced acceptance rate", Statistics and Computing 22.
    """

    filter: AbstractMethod | None = None
    num_warmup: int = eqx.field(static=True, default=1000)
    num_samples: int = eqx.field(static=True, default=2000)
    num_chains: int = eqx.field(static=True, default=4)
    target_accept: float = eqx.field(static=True, default=0.2)

    name: ClassVar[str] = "pmmh"

    def __check_init__(self):
        """Raise ValueError on impossible options."""
        if min(self.num_warmup, self.num_samples, self.num_chains) < 1:
            raise ValueError(f"num_warmup, num_samples and num_chains must be at least 1, got {self}")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept lies between 0 and 1, got {self.target_accept}")

    def cautions(self, details: dict[str, Any]) -> list[str]:
        """That estimates which vary much make chains stick."""
        sd, size = details.get("log_likelihood_sd", 0.0), getattr(self.filter, "num_particles", 0)
        if not sd > _LARGE_SPREAD:
            return []
        more = f": take about {math.ceil(size * (sd / _WISHED_SPREAD) ** 2)} particles" if size else ""
        return [f"estimates of the log-likelihood have a standard deviation of {sd:.1f}, at which chains stick{more}"]

    def first(self, problem: Problem, centre: Any, key: Any) -> Walk:
        """A point near the centre, and an estimate there."""
        place, estimate, rest = jax.random.split(key, 3)
        position = jittered(centre, place)
        found = _log_density(problem, position, estimate)
        size = ravel_pytree(position)[0].shape[0]
        factor = 0.5 / size**0.5 * jnp.eye(size, dtype=found[0].dtype)
        return Walk(position, *found, factor, jnp.zeros((), int), rest)

    def log_density(self, state: Walk) -> Any:
        """The estimated log posterior density."""
        return state.log_density

    def steps(self, problem: Problem, state: Walk, count: int) -> tuple[Walk, Kept]:
        """So many proposals."""

        def one(carry: Walk, _: Any) -> tuple[Walk, Kept]:
            after, accepted, rate = self._step(problem, carry)
            stats = {
                "lp": after.log_density,
                "log_likelihood_estimate": after.log_likelihood,
                "accepted": accepted,
                "acceptance_rate": rate,
            }
            return after, Kept(problem.natural(after.position), stats)

        return jax.lax.scan(one, state, None, length=count)

    def _step(self, problem: Problem, state: Walk) -> tuple[Walk, Array, Array]:
        key, move, estimate, choose = jax.random.split(state.key, 4)
        place, unravel = ravel_pytree(state.position)
        u = jax.random.normal(move, place.shape, place.dtype)
        position = unravel(place + state.factor @ u)
        log_density, log_likelihood = _log_density(problem, position, estimate)
        log_rate = jnp.minimum(log_density - state.log_density, 0.0)
        rate = jnp.exp(log_rate)
        accepted = jnp.log(jax.random.uniform(choose, (), u.dtype)) < log_rate
        adapted = _adapted(state.factor, u, rate - self.target_accept, state.count)
        factor = jnp.where(state.count < self.num_warmup, adapted, state.factor)
        new = Walk(position, log_density, log_likelihood, factor, state.count + 1, key)
        old = Walk(state.position, state.log_density, state.log_likelihood, factor, state.count + 1, key)
        return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), new, old), accepted, rate

    def describe(self, stats: dict[str, np.ndarray]) -> str:
        """The share of accepted steps."""
        return f"{stats['accepted'].mean():.0%} accepted"


def _log_density(problem: Problem, position: dict[str, Array], key: Any) -> tuple[Array, Array]:
    """Log posterior density of the unconstrained values and log-likelihood, estimated; -inf where undefined."""
    values = problem.natural(position)
    log_likelihood = problem.log_likelihood(values, key if problem.estimated else None)
    found = log_likelihood + problem.log_prior(values) + log_jacobian(position, problem.supports)
    return jnp.where(jnp.isnan(found), -jnp.inf, found), log_likelihood


def _adapted(factor: Array, u: Array, excess: Array, count: Array) -> Array:
    """The factor after a step that was accepted with a probability in excess of the target."""
    size = u.shape[0]
    gain = jnp.minimum(1.0, size * (count + 1.0) ** (-2 / 3)) * jnp.where(jnp.isnan(excess), 0.0, excess)
    direction = factor @ (u / jnp.linalg.norm(u))
    return jnp.linalg.cholesky(factor @ factor.T + gain * jnp.outer(direction, direction))
