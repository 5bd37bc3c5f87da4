"""The Monte Carlo error of one run's likelihood estimate, from who descends from whom.

With W[k] the weight at a stamp t of the descendants of particle k at a stamp s, the relative variance of the estimate
of p(y_s+1..t | y_1..s) is estimated by

    V(s, t) = 1 - (N / (N - 1)) g (1 - sum over k of W[k]^2)

where g makes up for families that meet by the chance of resampling alone: at each resampling it grows by

    (1 - sum of W[k]^2) / (1 - sum of W[k]^2 - sum of var(n[k]) / N^2),

n[k] being the offspring of a family; N / (N - 1) if it is multinomial, where the estimate is without bias.

From the start on all particles soon have one ancestor and nothing can be told. The filter forgets, however, so that

    var(log Zhat) = sum over t of V(0, t) - V(0, t - 1)  ~  sum over t of V(t - lag, t) - V(t - lag, t - 1)

Reference: Lee and Whiteley (2018), "Variance estimation in the particle filter", Biometrika 105; fixed lags: Olsson
and Douc (2019), "Numerically stable online estimation of variance in particle filters", Bernoulli 25.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..core.belief import Particles
from .feynman_kac import Moved


class Descendant(eqx.Module):
    """A particle that knows its ancestors' positions at the last stamps, its own first."""

    x: Any
    ancestors: Int[Array, "*batch lag"]


class WithLineage(eqx.Module):
    """A particle filter whose particles carry their lineage along."""

    kac: Any
    lag: int = eqx.field(static=True)

    @property
    def num_particles(self) -> int:
        """Number of particles."""
        return self.kac.num_particles

    def look_ahead(self, x: Descendant, slot: Any) -> Any:
        """As the filter itself."""
        return self.kac.look_ahead(x.x, slot)

    def move(self, parents: Descendant | None, slot: Any, key: Any) -> tuple[Descendant, Array]:
        """As the filter itself; every particle starts a line."""
        x, log_g = self.kac.move(None if parents is None else parents.x, slot, key)
        return Descendant(x, self._lines(parents)), log_g

    def weigh(self, x: Descendant, parents: Descendant | None, slot: Any) -> Array:
        """As the filter itself."""
        return self.kac.weigh(x.x, None if parents is None else parents.x, slot)

    def begun(self, cloud: Particles) -> Particles:
        """A cloud from which to go on, whose particles are their own ancestors."""
        return Particles(Descendant(cloud.x, self._lines(None)), cloud.log_weights)

    def _lines(self, parents: Descendant | None) -> Int[Array, "particle lag"]:
        here = jnp.arange(self.num_particles, dtype=jnp.int32)[:, None]
        if parents is None:
            return jnp.repeat(here, self.lag + 1, axis=1)
        return jnp.concatenate([here, parents.ancestors[:, :-1]], axis=1)


def plain(moved: Moved) -> Moved:
    """What a stamp did, its particles without their lineage."""
    return moved._replace(cloud=Particles(moved.cloud.x.x, moved.cloud.log_weights))


class Families(NamedTuple):
    """What the families of one stamp's particles say, one number for each age: of a particle itself, its parent, ...

    Attributes:
        shared: Sum over families of their weight squared.
        noise: Sum over families of the variance of their share of the offspring, if they were resampled.
    """

    shared: Float[Array, " age"]
    noise: Float[Array, " age"]


def families(moved: Moved, resampling: str) -> Families:
    """The families of a stamp, the weights being those after its observation."""
    lines, w = moved.cloud.x.ancestors, moved.cloud.weights
    size = w.shape[0]

    def one(ancestors: Array) -> Families:
        weight = jax.ops.segment_sum(w, ancestors, num_segments=size)
        noise = _NOISE[resampling](size * weight, size * w, ancestors)
        return Families(jnp.sum(weight**2), jnp.sum(noise) / size**2)

    return jax.vmap(one, in_axes=1)(lines)


def _multinomial(expected: Array, each: Array, ancestors: Array) -> Array:
    del ancestors
    return expected * (1 - expected / each.shape[0])


def _systematic(expected: Array, each: Array, ancestors: Array) -> Array:
    """A family is a stretch of the cumulative weights, since ancestors come in order: its count is floor or ceil."""
    del each, ancestors
    rest = expected - jnp.floor(expected)
    return rest * (1 - rest)


def _stratified(expected: Array, each: Array, ancestors: Array) -> Array:
    """The mean over where the stretch begins: its two ends are at random places of their strata."""
    del each, ancestors
    return jnp.where(expected < 1, expected - expected**2 + expected**3 / 3, 1 / 3)


def _residual(expected: Array, each: Array, ancestors: Array) -> Array:
    del expected
    rest = each - jnp.floor(each)
    drawn = jnp.sum(rest)
    own = jax.ops.segment_sum(rest, ancestors, num_segments=each.shape[0])
    return own * (1 - own / jnp.where(drawn > 0, drawn, 1.0))


_NOISE: dict[str, Callable[[Array, Array, Array], Array]] = {
    "multinomial": _multinomial,
    "systematic": _systematic,
    "stratified": _stratified,
    "residual": _residual,
}


def standard_error(found: Families, resampled: Array, size: int) -> Float[Array, ""]:
    """The standard error of the estimated log-likelihood.

    Args:
        found: What `families` says of each stamp, (time, age).
        resampled: Whether the particles were resampled on the way to the stamp.
        size: Number of particles.
    """
    length, ages = found.shared.shape
    apart = 1.0 - found.shared
    factor = jnp.log(apart) - jnp.log(jnp.maximum(apart - found.noise, 1e-3 * apart))
    factor = jnp.where((apart > 1e-6) & jnp.append(resampled[1:], False)[:, None], factor, 0.0)

    def grow(growth: Array, row: Array) -> tuple[Array, Array]:
        """The growth for each age at a stamp, from that at the stamp before."""
        after = jnp.concatenate([jnp.zeros(1, row.dtype), (growth + row)[:-1]])
        return after, after

    first = jnp.zeros(ages, factor.dtype)
    _, growth = jax.lax.scan(grow, first, factor[:-1])
    growth = jnp.concatenate([first[None], growth])
    variance = 1.0 - jnp.exp(growth) * (size / (size - 1.0)) * apart  # V(t - age, t)
    age = jnp.minimum(jnp.arange(length), ages - 1)
    now = jnp.take_along_axis(variance, age[:, None], axis=1)[:, 0]
    # the line that is `age` old at a stamp was one younger at the stamp before
    earlier = jnp.take_along_axis(variance[:-1], (age[1:] - 1)[:, None], axis=1)[:, 0]
    return jnp.sqrt(jnp.maximum(now[0] + jnp.sum(now[1:] - earlier), 0.0))
