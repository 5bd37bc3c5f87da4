"""Tempered sequential Monte Carlo: from the prior to the posterior by degrees, with waste-free moves.

Particles of p(z) p(y | z)^a are weighed, chosen and moved on to the next exponent a' > a, so chosen that

    ESS of the weights  p(y | z)^(a' - a)  =  share N

Of the N = M P particles, M are chosen; each makes P - 1 Metropolis steps, all of whose states are particles of the
next law. The mean weights multiply to an estimate of the evidence p(y).

Reference: Del Moral, Doucet and Jasra (2006), JRSS B 68; waste-free moves: Dau and Chopin (2022), "Waste-free
sequential Monte Carlo", JRSS B 84.
"""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.nn import logsumexp
from jaxtyping import Array, Float, Int

from ..core.resample import systematic

_BISECTIONS = 50
_EDGE = 80.0  # a draw that rounds to the edge of its support lies at infinity: it is put where exp() still is a number


class Target(Protocol):
    """A posterior on an unconstrained scale."""

    def draw(self, key: Any) -> Any:
        """A draw from the prior."""
        ...

    def densities(self, z: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The log prior density of z, Jacobian included, and the log-likelihood."""
        ...


class Population(NamedTuple):
    """Particles on their way from the prior to the posterior.

    Attributes:
        z: Positions, a pytree with a leading axis of N.
        log_prior: Log prior densities, (N,).
        log_likelihood: Log-likelihoods, (N,).
        exponent: a, from 0 to 1.
        log_evidence: The log of the estimated evidence so far.
        acceptance: The acceptance rate of the last moves.
        stage: Number of stages done.
        key: PRNG key.
    """

    z: Any
    log_prior: Float[Array, " particle"]
    log_likelihood: Float[Array, " particle"]
    exponent: Float[Array, ""]
    log_evidence: Float[Array, ""]
    acceptance: Float[Array, ""]
    stage: Int[Array, ""]
    key: Any


def from_prior(target: Target, size: int, key: Any) -> Population:
    """Independent draws from the prior."""
    draw_key, rest = jax.random.split(key)
    z = jax.vmap(target.draw)(jax.random.split(draw_key, size))
    z = jax.tree.map(lambda x: jnp.where(jnp.isinf(x), jnp.sign(x) * _EDGE, x), z)
    log_prior, log_likelihood = _densities(target, z)
    zero = jnp.zeros((), log_prior.dtype)
    return Population(z, log_prior, log_likelihood, zero, zero, zero, jnp.zeros((), int), rest)


def advance(target: Target, population: Population, num_starts: int, share: float) -> Population:
    """One stage: weigh, choose, move. At the exponent 1 the particles are only moved on.

    Args:
        target: The posterior.
        population: N particles.
        num_starts: M, which divides N.
        share: The effective sample size that the next exponent leaves, as a share of N.
    """
    key, choose_key, move_key = jax.random.split(population.key, 3)
    exponent = _next_exponent(population, share)
    increments = _scaled(exponent - population.exponent, population.log_likelihood)
    total = logsumexp(increments)
    weights = jnp.exp(increments - total)
    size = weights.shape[0]
    flat, unravel = _flat(population.z)
    chosen = _starts(choose_key, weights, num_starts)
    factor = _factor(flat, weights)
    start = flat[chosen], population.log_prior[chosen], population.log_likelihood[chosen]

    def move(carry: tuple[Array, Array, Array], k: Any) -> tuple[Any, Any]:
        new, accepted = _metropolis(target, unravel, factor, exponent, carry, k)
        return new, (carry, accepted)

    count = size // num_starts
    _, (states, accepted) = jax.lax.scan(move, start, jax.random.split(move_key, count))
    z, log_prior, log_likelihood = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape(size, *x.shape[2:]), states)
    return Population(
        jax.vmap(unravel)(z),
        log_prior,
        log_likelihood,
        exponent,
        population.log_evidence + total - jnp.log(size),
        jnp.mean(accepted[: count - 1]) if count > 1 else jnp.zeros(()),
        population.stage + 1,
        key,
    )


def _densities(target: Target, z: Any) -> tuple[Array, Array]:
    log_prior, log_likelihood = jax.vmap(target.densities)(z)
    return _or_none(log_prior), _or_none(log_likelihood)


def _or_none(log_density: Array) -> Array:
    return jnp.where(jnp.isnan(log_density), -jnp.inf, log_density)


def _scaled(share: Array, log_likelihood: Array) -> Array:
    """The log-likelihoods times a share; minus infinity stays, even with none of it."""
    return jnp.where(jnp.isfinite(log_likelihood), share * log_likelihood, -jnp.inf)


def _next_exponent(population: Population, share: float) -> Array:
    """The largest exponent that leaves enough effective particles, found by bisection."""
    wanted = share * population.log_likelihood.shape[0]

    def enough(exponent: Array) -> Array:
        w = _scaled(exponent - population.exponent, population.log_likelihood)
        return 2 * logsumexp(w) - logsumexp(2 * w) >= jnp.log(wanted)

    def halve(_: int, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = pair
        middle = 0.5 * (low + high)
        ok = enough(middle)
        return jnp.where(ok, middle, low), jnp.where(ok, high, middle)

    one = jnp.ones_like(population.exponent)
    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (population.exponent, one))
    return jnp.where(enough(one), one, jnp.where(low > population.exponent, low, high))


def _starts(key: Any, weights: Array, count: int) -> Int[Array, " start"]:
    """Systematic choice of some particles by weight: a random one of every so many."""
    first, second = jax.random.split(key)
    apart = weights.shape[0] // count
    places = jnp.arange(count) * apart + jax.random.randint(second, (), 0, apart)
    return systematic(first, weights)[places]


def _flat(z: Any) -> tuple[Float[Array, "particle parameter"], Any]:
    _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], z))
    return jax.vmap(lambda one: ravel_pytree(one)[0])(z), unravel


def _factor(flat: Array, weights: Array) -> Array:
    """A factor of the steps' covariance, 2.38^2 / d times that of the particles."""
    size = flat.shape[1]
    spread = flat - weights @ flat
    cov = (weights[:, None] * spread).T @ spread
    floor = 1e-10 * jnp.maximum(jnp.diag(cov), 1e-10)
    return jnp.linalg.cholesky(cov + jnp.diag(floor)) * (2.38 / size**0.5)


def _metropolis(
    target: Target, unravel: Any, factor: Array, exponent: Array, state: Any, key: Any
) -> tuple[Any, Array]:
    """A random-walk step of each chain."""
    z, log_prior, log_likelihood = state
    move_key, accept_key = jax.random.split(key)
    new = z + jax.random.normal(move_key, z.shape, z.dtype) @ factor.T
    new_prior, new_likelihood = _densities(target, jax.vmap(unravel)(new))
    gain = new_prior - log_prior + _scaled(exponent, new_likelihood) - _scaled(exponent, log_likelihood)
    accepted = jnp.log(jax.random.uniform(accept_key, gain.shape, gain.dtype)) < gain
    both = ((new, z), (new_prior, log_prior), (new_likelihood, log_likelihood))
    kept = tuple(jnp.where(accepted.reshape(-1, *(1,) * (a.ndim - 1)), a, b) for a, b in both)
    return kept, jnp.mean(accepted)
