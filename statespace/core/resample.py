"""Resampling: from weights to the ancestors of equally weighted particles.

Every scheme is unbiased: particle i has N w[i] offspring on average. Ancestors come by counting: with c the
cumulative weights, the number of points below c[i] is found in closed form, one is added at each of these counts,
and a running sum turns them into ancestors. It needs no search and no sort.

Reference: Douc, Cappé and Moulines (2005), "Comparison of resampling schemes for particle filtering".
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_CHUNK = 1024
_BLOCK = 32  # running sums go through products with a triangle of this size: a third of the time on a CPU
_EXACT = 2**24  # whole numbers that single precision holds
_LARGE = 16384  # longer sums in single precision go in two levels
Resampler = Callable[[Any, Float[Array, " particle"]], Int[Array, " particle"]]


def systematic(key: Any, weights: Float[Array, " particle"]) -> Int[Array, " particle"]:
    """One uniform number for all points (j + u) / N: each particle has floor or ceil of N w offspring.

    Args:
        key: PRNG key.
        weights: Normalised weights.

    Returns:
        The ancestors, in ascending order; never a particle of weight zero.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> systematic(jax.random.key(0), jnp.array([0.5, 0.0, 0.5, 0.0])).tolist()
        [0, 0, 2, 2]
    """
    whole, rest = _positions(weights)
    u = jax.random.uniform(key, (), weights.dtype)
    return _alive(_by_counts(whole + (rest > u), weights.shape[0]), weights)


def stratified(key: Any, weights: Float[Array, " particle"]) -> Int[Array, " particle"]:
    """A uniform number for each stratum, (j + u[j]) / N."""
    whole, rest = _positions(weights)
    size = weights.shape[0]
    u = jax.random.uniform(key, (size,), weights.dtype)
    return _alive(_by_counts(whole + (rest > u[jnp.minimum(whole, size - 1)]), size), weights)


def multinomial(key: Any, weights: Float[Array, " particle"]) -> Int[Array, " particle"]:
    """Independent draws, in no order: what conditional SMC needs."""
    return independent(key, weights, weights.shape[0])


def independent(key: Any, weights: Float[Array, " particle"], count: int) -> Int[Array, " draw"]:
    """Any number of independent draws of a position, by inversion: of the order of count log N."""
    total = jnp.cumsum(weights)
    u = jax.random.uniform(key, (count,), weights.dtype) * total[-1]
    found = jnp.searchsorted(total, u, side="right", method="scan_unrolled")
    return _alive(jnp.minimum(found, weights.shape[0] - 1).astype(jnp.int32), weights)


def residual(key: Any, weights: Float[Array, " particle"]) -> Int[Array, " particle"]:
    """floor(N w) offspring each, the others drawn independently from what is left of the weights."""
    size = weights.shape[0]
    expected = size * weights / jnp.sum(weights)
    sure = jnp.floor(expected).astype(jnp.int32)
    left = expected - sure
    drawn = multinomial(key, jnp.where(jnp.sum(left) > 0, left, weights))
    kept = _by_counts(jnp.cumsum(sure, dtype=jnp.int32), size)
    return jnp.where(jnp.arange(size) < jnp.sum(sure), kept, drawn)


RESAMPLERS: dict[str, Resampler] = {
    "systematic": systematic,
    "stratified": stratified,
    "residual": residual,
    "multinomial": multinomial,
}


def _by_counts(below: Int[Array, " particle"], size: int) -> Int[Array, " particle"]:
    """Ancestor j is the number of particles i with at most j points below their cumulative weight."""
    marks = jnp.zeros(size, below.dtype).at[below].add(1, mode="drop")
    if size < _EXACT:  # as floating-point numbers, whose products are faster and here exact
        counts = running_sum(marks.astype(jnp.float32)).astype(below.dtype)
    else:
        counts = jnp.cumsum(marks, dtype=below.dtype)
    return jnp.minimum(counts, size - 1)


def running_sum(x: Float[Array, " particle"]) -> Float[Array, " particle"]:
    """The cumulative sum: inside short blocks by a product with a triangle of ones, then over the blocks.

    Example:
        >>> running_sum(jnp.ones(100))[jnp.array([0, 31, 32, 99])].tolist()
        [1.0, 32.0, 33.0, 100.0]
    """
    size = x.shape[0]
    if size <= 2 * _BLOCK:
        return jnp.cumsum(x)
    blocks = jnp.pad(x, (0, -size % _BLOCK)).reshape(-1, _BLOCK)
    inner = jnp.matmul(blocks, jnp.triu(jnp.ones((_BLOCK, _BLOCK), x.dtype)), precision="highest")
    ends = inner[:, -1]
    before = jnp.concatenate([jnp.zeros(1, x.dtype), jnp.cumsum(ends)[:-1]])
    return (inner + before[:, None]).reshape(-1)[:size]


def _alive(ancestors: Int[Array, " particle"], weights: Float[Array, " particle"]) -> Int[Array, " particle"]:
    """The ancestors, but never one of weight zero: sums in a tree are not monotone to the last digit."""
    return jnp.where(weights[ancestors] > 0, ancestors, jnp.argmax(weights).astype(ancestors.dtype))


def _positions(weights: Float[Array, " particle"]) -> tuple[Int[Array, " particle"], Float[Array, " particle"]]:
    """N times the cumulative weights, whole numbers and the rest apart."""
    size = weights.shape[0]
    if weights.dtype == jnp.float32 and size > _LARGE:
        return _two_levels(size * weights / jnp.sum(weights))
    total = running_sum(weights)
    position = total * (size / total[-1])
    whole = jnp.floor(position)
    return whole.astype(jnp.int32), position - whole


def _two_levels(parts: Float[Array, " particle"]) -> tuple[Int[Array, " particle"], Float[Array, " particle"]]:
    """The running sum of numbers whose total is large, as whole numbers (exact) and a rest below one."""
    size = parts.shape[0]
    blocks = jnp.pad(parts, (0, -size % _CHUNK)).reshape(-1, _CHUNK)
    units = jnp.floor(blocks)
    inner = jnp.cumsum(blocks - units, axis=1)
    ends = inner[:, -1]
    carried = jnp.cumsum(ends - jnp.floor(ends)) - (ends - jnp.floor(ends))
    counts = jnp.cumsum(units.astype(jnp.int32), axis=1)
    before = jnp.cumsum(counts[:, -1] + jnp.floor(ends).astype(jnp.int32))
    before = jnp.concatenate([jnp.zeros(1, jnp.int32), before[:-1]])
    rest = inner + carried[:, None]
    extra = jnp.floor(rest)
    whole = counts + before[:, None] + extra.astype(jnp.int32)
    return whole.reshape(-1)[:size], (rest - extra).reshape(-1)[:size]
