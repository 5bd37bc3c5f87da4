"""Joint draws of the whole state path given the data, exact with missing elements and a diffuse start.

A path and data are simulated from the model with all means, and the flat part of the first state, at zero. Given
that part the draw is E[x | y] + x* - E[x* | y*], with * the simulated ones; it is drawn from its own
law (see `augmented`). The gains do not depend on the data, so all draws share one filter run: only means are
passed forwards and backwards, all draws at once.

Reference: Durbin and Koopman (2002), "A simple and efficient simulation smoother for state space time
series analysis", Biometrika 89; fast state smoothing: Koopman (1993), "Disturbance smoother", Biometrika 80.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core.linalg import psd_factor
from ..core.scan import at, part, scan
from .augmented import Augmented, Innovations, diffuse_law, innovations


def sample_paths(run: Augmented, num_samples: int, key: Any) -> Float[Array, "sample time state"]:
    """Draws of the path of states given the observations.

    Args:
        run: The filter run given the diffuse elements.
        num_samples: Number of paths.
        key: PRNG key.

    Returns:
        Paths, shape (draw, time, state); NaN where the data do not identify the diffuse elements.
    """
    noise_key, diffuse_key = jax.random.split(key)
    states, values = _simulate_centred(run, num_samples, noise_key)
    columns = jnp.concatenate([run.slots.values[..., None], values, run.responses], axis=-1)
    found = innovations(run, columns)
    location, root = diffuse_law(run, found.v)
    smoothed = _smoothed_means(run, found)
    first, made, effects = jnp.split(smoothed, [1, 1 + num_samples], axis=-1)
    noise = jax.random.normal(diffuse_key, (root.shape[0], num_samples), root.dtype)
    return jnp.moveaxis(first + states - made + (run.effects - effects) @ (location[:, :1] + root @ noise), -1, 0)


def _simulate_centred(run: Augmented, num_samples: int, key: Any) -> tuple[Array, Array]:
    """Paths (time, state, sample) and decorrelated observations from the run's law with all means zero."""
    recursion, slots = run.recursion, run.slots
    model, length, dtype = recursion.model, slots.values.shape[0], slots.values.dtype
    keys = jax.random.split(key, 3)
    first = psd_factor(run.predicted.cov[0])
    start = first @ jax.random.normal(keys[0], (first.shape[1], num_samples), dtype)
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


def _smoothed_means(run: Augmented, found: Innovations) -> Float[Array, "time state column"]:
    """E[x | values, diffuse elements zero]: the first column under the model, the others with all means zero."""
    recursion, model, slots = run.recursion, run.recursion.model, run.slots
    only = jnp.zeros(found.v.shape[-1], found.v.dtype).at[0].set(1.0)
    zero = jnp.zeros_like(found.mean[0])

    def score(r: Array, xs: Any) -> tuple[Array, tuple[Array, Array]]:
        slot, element, v = xs
        later, rows = r, recursion.observation(slot).rows
        for i in reversed(range(rows.shape[0])):
            e = at(element, i)
            inverse = 1.0 / e.variance if e.present is None else jnp.where(e.present, 1.0 / e.variance, 0.0)
            r = r + rows[i][:, None] * (inverse * v[i] - e.gain @ r)[None] * (1.0 if e.present is None else e.present)
        pull = jax.linear_transpose(lambda x: model.propagate(x, slot.step), zero)
        return pull(r)[0], (later, r)

    def accumulate(x: Array, xs: Any) -> tuple[Array, Array]:
        slot, r = xs
        offset, cov = recursion.noise(slot)
        x = model.propagate(x, slot.step) + offset[:, None] * only + cov @ r
        return x, x

    _, (later, r) = scan(score, zero, (slots, run.elements, found.v), reverse=True)
    start = found.mean[0] + run.filtered.cov[0] @ later[0]  # no digits are lost to a vague first law
    _, rest = scan(accumulate, start, part((slots, r), 1, None))
    return jnp.concatenate([start[None], rest])
