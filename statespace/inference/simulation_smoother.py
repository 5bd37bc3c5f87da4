"""Joint draws of the whole state path given the data, exact with missing elements and a diffuse start.

A path and data are simulated from the model with all means, and the diffuse elements, at zero. The draw
is E[x | y] + x* - E[x* | y*], with * the simulated ones. The gains do not depend on the data, so all draws
share one filter run: only means are passed forwards and backwards, all draws at once.

Reference: Durbin and Koopman (2002), "A simple and efficient simulation smoother for state space time
series analysis", Biometrika 89; fast state smoothing: Koopman (1993), "Disturbance smoother", Biometrika 80.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..core.scan import at, part, scan
from .kalman import KalmanRecursion, KalmanRun, Slot


class Gains(NamedTuple):
    """The gains of a filter run in one layout for both phases; see `core.gaussian.Element`."""

    present: Bool[Array, "time series"]
    gain: Float[Array, "time series state"]
    second: Float[Array, "time series state"]
    inverse: Float[Array, "time series"]
    inverse1: Float[Array, "time series"]


def sample_paths(
    recursion: KalmanRecursion, slots: Slot, run: KalmanRun, num_samples: int, key: Any
) -> Float[Array, "sample time state"]:
    """Draws of the path of states given the observations.

    Args:
        recursion: The recursion of a filter run that kept everything.
        slots: Its slots.
        run: What it left.
        num_samples: Number of paths.
        key: PRNG key.

    Returns:
        Paths, shape (sample, time, state).
    """
    states, values = _simulate_centred(recursion, slots, num_samples, key)
    columns = jnp.concatenate([slots.values[..., None], values], axis=-1)
    smoothed = _smoothed_means(recursion, slots, run, columns)
    return jnp.moveaxis(states + smoothed[..., :1] - smoothed[..., 1:], -1, 0)


def _simulate_centred(recursion: KalmanRecursion, slots: Slot, num_samples: int, key: Any) -> tuple[Array, Array]:
    """Paths (time, state, sample) and decorrelated observations from the model with all means zero."""
    model, length, dtype = recursion.model, slots.values.shape[0], slots.values.dtype
    law = model.initial_law(at(slots.step, 0))
    keys = jax.random.split(key, 3)
    start = law.scale @ jax.random.normal(keys[0], (law.scale.shape[1], num_samples), dtype)
    steps = part(slots.step, 1, None)
    noises = model.transition_matrices(at(slots.step, -1)).factor.shape[1]
    shocks = jax.random.normal(keys[1], (length - 1, noises, num_samples), dtype)

    def move(x, xs):
        step, shock = xs
        x = model.propagate(x, step) + model.transition_matrices(step).factor @ shock
        return x, x

    _, rest = scan(move, start, (steps, shocks))
    states = jnp.concatenate([start[None], rest])
    errors = jax.random.normal(keys[2], (*slots.values.shape, num_samples), dtype)

    def observe(slot, x, e):
        seen = recursion.observation(slot)
        return seen.rows @ x + jnp.sqrt(seen.variances)[:, None] * e

    return states, jax.vmap(observe)(slots, states, errors)


def _smoothed_means(recursion: KalmanRecursion, slots: Slot, run: KalmanRun, values: Array) -> Array:
    """E[x | values], (time, state, column): the first column under the model, the others with all means zero."""
    gains, model, size = _gains(run), recursion.model, run.last.mean.shape[0]
    predicted, filtered, _ = at(run.proper_part if run.diffuse_part is None else run.diffuse_part, 0)
    only = jnp.zeros(values.shape[-1], values.dtype).at[0].set(1.0)
    zero = jnp.zeros((size, values.shape[-1]), values.dtype)

    def move(x, slot):
        return model.propagate(x, slot.step) + recursion.noise(slot)[0][:, None] * only

    def condition(x, slot, g, y):
        rows, innovations = recursion.observation(slot).rows, []
        for i in range(rows.shape[0]):
            v = jnp.where(g.present[i], y[i] - rows[i] @ x, 0.0)
            x = x + g.gain[i][:, None] * v[None]
            innovations.append(v)
        return x, jnp.stack(innovations)

    def score(carry, xs):
        slot, g, v = xs
        r, r1 = carry
        rows = recursion.observation(slot).rows
        for i in reversed(range(rows.shape[0])):
            u = g.inverse[i] * v[i] - g.gain[i] @ r
            u1 = g.inverse1[i] * v[i] - g.gain[i] @ r1 - g.second[i] @ r
            r, r1 = r + rows[i][:, None] * u[None], r1 + rows[i][:, None] * u1[None]
        pull = jax.linear_transpose(lambda x: model.propagate(x, slot.step), zero)
        return (pull(r)[0], pull(r1)[0]), (carry, r)

    def accumulate(x, xs):
        slot, r = xs
        x = move(x, slot) + recursion.noise(slot)[1] @ r
        return x, x

    mean = predicted.mean[:, None] * only
    x, v0 = condition(mean, at(slots, 0), at(gains, 0), values[0])
    start = x
    tail = part((slots, gains, values), 1, None)
    _, v = scan(lambda x, xs: condition(move(x, xs[0]), *xs), x, tail)
    innovations = jnp.concatenate([v0[None], v])
    _, (later, r) = scan(score, (zero, zero), (slots, gains, innovations), reverse=True)
    after, after1 = at(later, 0)  # the score after the first stamp: no digits are lost to a vague first law
    start = start + filtered.cov @ after
    if run.diffuse_part is not None:
        start = start + filtered.factor @ (filtered.factor.T @ after1)
    _, rest = scan(accumulate, start, part((slots, r), 1, None))
    return jnp.concatenate([start[None], rest])


def _gains(run: KalmanRun) -> Gains:
    pieces = []
    for kept in (run.diffuse_part, run.proper_part):
        if kept is None:
            continue
        e = kept[2]
        present = jnp.ones(e.variance.shape, bool) if e.present is None else e.present
        diffuse = jnp.zeros(e.variance.shape, bool) if e.diffuse is None else e.diffuse
        second = jnp.zeros_like(e.gain) if e.second_gain is None else e.second_gain
        regular, inverse = present & ~diffuse, 1.0 / e.variance
        weights = jnp.where(regular, inverse, 0.0), jnp.where(diffuse, inverse, 0.0)
        pieces.append(Gains(present, e.gain, second, *weights))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *pieces)
