"""Smoothing from a particle filter's history: paths traced back, and paths drawn backwards.

Tracing ancestors back is cheap, but all paths soon share one. Drawing backwards chooses a new parent at each stamp,

    i ~ w[t, i] p(x[t+1] | x[t, i])

exactly, at a cost of N for each path and stamp, or by a few Metropolis steps from the traced parent, at a fixed cost.

Reference: Godsill, Doucet and West (2004), JASA 99; Metropolis steps: Bunch and Godsill (2013), "Improved particle
approximations to the joint smoothing distribution using Markov chain Monte Carlo", IEEE Trans. Signal Processing 61.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..core.belief import Taught
from ..core.missing import masked_log_prob
from ..core.resample import independent
from ..core.scan import at, length_of, part
from .moves import Row, state_of, total_log_prob, transition_law, with_previous
from .summaries import History

KINDS = ("mcmc", "exact", "genealogy")


def log_transition(model: Any, parent: Any, child: Any, slot: Row) -> Array:
    """Log p of a particle given one at the stamp before; with what the parent observed, where the model reads it."""
    value = total_log_prob(transition_law(model, parent, slot), state_of(child))
    if not isinstance(child, Taught):
        return value
    step = with_previous(slot.step, parent)
    return value + masked_log_prob(model.emission(child.x, step), child.seen, None)


def sample_backward(
    model: Any, history: History, slots: Row, num_paths: int, key: Any, *, kind: str, num_moves: int
) -> Any:
    """Paths of particles given all data.

    Args:
        model: The model.
        history: All clouds of a filter run, with a leading time axis.
        slots: The rows that were filtered.
        num_paths: Number of paths.
        key: PRNG key.
        kind: "exact", "mcmc" or "genealogy".
        num_moves: Metropolis steps for each path and stamp where the kind is "mcmc".

    Returns:
        Pytree of paths, with leading axes (time, path).
    """
    last_key, key = jax.random.split(key)
    last = at(history, length_of(history.log_weights) - 1)
    chosen = independent(last_key, jnp.exp(last.log_weights), num_paths)
    earlier, later = part(history, 0, -1), part(history, 1, None)
    keys = jax.random.split(key, length_of(history.log_weights) - 1)
    choose = {"exact": _exact, "mcmc": _metropolis, "genealogy": _traced}[kind]

    def body(index: Array, xs: Any) -> tuple[Array, Any]:
        here, after, slot, k = xs
        child = jax.tree.map(lambda leaf: leaf[index], after.x)
        new = choose(model, here, child, after.ancestors[index], slot, k, num_moves)
        return new, jax.tree.map(lambda leaf: leaf[new], here.x)

    _, paths = jax.lax.scan(body, chosen, (earlier, later, part(slots, 1, None), keys), reverse=True)
    end = jax.tree.map(lambda leaf: leaf[chosen], last.x)
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), paths, end)


def _traced(model: Any, here: History, child: Any, parent: Array, slot: Row, key: Any, num_moves: int) -> Array:
    """The parents that the filter had."""
    del model, here, child, slot, key, num_moves
    return parent


def _exact(model: Any, here: History, child: Any, parent: Array, slot: Row, key: Any, num_moves: int) -> Array:
    """A parent by its weight and its density of moving to the child."""
    del parent, num_moves

    def one(x: Any, k: Any) -> Array:
        density = jax.vmap(lambda z: log_transition(model, z, x, slot))(here.x)
        return jax.random.categorical(k, here.log_weights + density).astype(here.ancestors.dtype)

    size = jax.tree.leaves(child)[0].shape[0]
    return jax.lax.map(lambda pair: one(*pair), (child, jax.random.split(key, size)), batch_size=64)


def _metropolis(model: Any, here: History, child: Any, parent: Array, slot: Row, key: Any, num_moves: int) -> Array:
    """Independent proposals by weight, accepted by the ratio of densities of moving to the child."""

    def density(index: Array) -> Array:
        parents = jax.tree.map(lambda leaf: leaf[index], here.x)
        return jax.vmap(lambda z, x: log_transition(model, z, x, slot))(parents, child)

    weights = jnp.exp(here.log_weights)

    def move(carry: tuple[Array, Array], k: Any) -> tuple[tuple[Array, Array], None]:
        index, value = carry
        first, second = jax.random.split(k)
        other = independent(first, weights, index.shape[0])
        new = density(other)
        accepted = jnp.log(jax.random.uniform(second, index.shape, value.dtype)) < new - value
        return (jnp.where(accepted, other, index), jnp.where(accepted, new, value)), None

    (index, _), _ = jax.lax.scan(move, (parent, density(parent)), jax.random.split(key, num_moves))
    return index


def fixed_lag(history: History, lag: int, value: Callable[[Any], Float[Array, "particle n"]]) -> tuple[Array, Array]:
    """Weighted mean and variance of each stamp's particles, by the weights of their offspring `lag` stamps later.

    Args:
        history: All clouds of a filter run.
        lag: How many stamps of later data count.
        value: Function of the particles of one cloud, to numbers.

    Returns:
        Means and variances, (time, n).
    """
    length, size = history.log_weights.shape
    x = jax.vmap(value)(history.x)

    def one(t: Int[Array, ""]) -> tuple[Array, Array]:
        end = jnp.minimum(t + lag, length - 1)

        def back(index: Array, step: Array) -> tuple[Array, None]:
            s = end - step
            return jnp.where(s > t, history.ancestors[jnp.maximum(s, 0)][index], index), None

        origin, _ = jax.lax.scan(back, jnp.arange(size, dtype=history.ancestors.dtype), jnp.arange(lag))
        weights, mine = jnp.exp(history.log_weights[end]), x[t][origin]
        mean = weights @ mine
        return mean, weights @ (mine - mean) ** 2

    return jax.lax.map(one, jnp.arange(length))
