"""What a particle filter may keep of each stamp, computed inside its scan."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .feynman_kac import Moved
from .moves import state_of

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


class Moments(NamedTuple):
    """Weighted mean and variance of each element of the state."""

    mean: Float[Array, " state"]
    variance: Float[Array, " state"]


class Genealogy(NamedTuple):
    """Positions of the parents in the cloud of the stamp before."""

    ancestors: Int[Array, " particle"]


class History(NamedTuple):
    """The whole cloud."""

    x: Any
    log_weights: Float[Array, " particle"]
    ancestors: Int[Array, " particle"]


def moments(moved: Moved) -> Moments:
    """Mean and variance."""
    x, w = columns(moved.cloud.x), moved.cloud.weights
    mean = w @ x
    return Moments(mean, w @ (x - mean) ** 2)


def quantiles(moved: Moved) -> Float[Array, "level state"]:
    """Weighted quantiles of each element at `LEVELS`."""
    x, w = columns(moved.cloud.x), moved.cloud.weights

    def one(column: Array) -> Array:
        order = jnp.argsort(column)
        total = jnp.cumsum(w[order])
        where = jnp.searchsorted(total, jnp.asarray(LEVELS, w.dtype) * total[-1])
        return column[order][jnp.minimum(where, len(column) - 1)]

    return jax.vmap(one, in_axes=1, out_axes=1)(x)


def genealogy(moved: Moved) -> Genealogy:
    """The parents."""
    return Genealogy(moved.selection.ancestors)


def history(moved: Moved) -> History:
    """Everything."""
    return History(moved.cloud.x, moved.cloud.log_weights, moved.selection.ancestors)


SUMMARIES: dict[str, Callable[[Moved], Any]] = {
    "moments": moments,
    "quantiles": quantiles,
    "genealogy": genealogy,
    "history": history,
}


def columns(cloud: Any) -> Float[Array, "particle state"]:
    """The states of particles as a matrix of numbers."""
    x = state_of(cloud)
    return x.reshape(x.shape[0], -1).astype(jnp.result_type(float))
