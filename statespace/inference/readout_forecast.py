"""Forecasts of echo state networks: free runs, each under its own draw of weights and noise."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..core.step import Step
from ..models.reservoir import EchoState
from .prediction import Prediction
from .readout_belief import ReadoutBelief
from .reports import ForecastArrays, moments_of


def free_runs(
    model: EchoState, belief: ReadoutBelief, steps: Step, num_paths: int, key: Any, forgetting: float = 1.0
) -> ForecastArrays:
    """Joint paths of the future observations, and their moments.

    Args:
        model: The network.
        belief: What is known after the last observation.
        steps: The future stamps.
        num_paths: Number of paths.
        key: PRNG key.
        forgetting: Below 1 the weights move at each stamp with (1 / forgetting - 1) times their covariance at the
            last observation (West and Harrison 1997, section 6.3).
    """
    draw, run = jax.random.split(key)
    weights = belief.sample(draw, num_paths)
    inner = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_paths, *leaf.shape)), belief.state)
    seen = jnp.broadcast_to(
        model.first_previous if belief.previous is None else belief.previous, (num_paths, model.count)
    )

    def body(carry: Any, slot: Any) -> Any:
        step, key = slot
        inner, seen, weights = carry
        move_key, noise_key = jax.random.split(key)
        weights = _moved(model, belief, weights, forgetting, move_key)
        inner, output, mean = jax.vmap(lambda h, y, w: _one_step(model, h, y, w, step))(inner, seen, weights)
        y = mean + model.noise * jax.random.normal(noise_key, mean.shape, mean.dtype)
        state = jnp.mean(jax.vmap(model.joined)(inner, output, weights), axis=0)
        return (inner, y, weights), (state, y)

    keys = jax.random.split(run, len(steps))
    _, (states, paths) = jax.lax.scan(body, (inner, seen, weights), (steps, keys))
    paths = jnp.swapaxes(paths, 0, 1)
    return ForecastArrays(Prediction(states, None, *moments_of(paths)), {}, {}, paths)


def _one_step(model: EchoState, inner: Any, seen: Array, weights: Array, step: Step) -> tuple[Any, Array, Array]:
    """The recursion's state and output, and the mean of the observation."""
    drive = model.fed(replace(step, previous=seen) if model.feedback else step)
    inner, output = model.recursion.step(inner, drive, step.dt if model.recursion.reads_dt else None)
    return inner, output, model.centre + weights @ model.features(output, drive)


def _moved(model: EchoState, belief: ReadoutBelief, weights: Array, forgetting: float, key: Any) -> Array:
    """The weights of all paths at the next stamp."""
    if model.drifts:
        move = model.weight_drift * model.noise[:, None]
        weights = weights + move * jax.random.normal(key, weights.shape, weights.dtype)
    if forgetting < 1.0:
        wider = jnp.sqrt(1.0 / forgetting - 1.0)
        weights = weights + wider * belief.deviations(jax.random.fold_in(key, 1), len(weights))
    return weights
