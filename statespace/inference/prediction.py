"""Forecasts by prediction only, and simulation from the model."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import gaussian
from ..core.belief import DiffuseGaussian, Gaussian, Taught
from ..core.covariance import negligible
from ..core.linalg import quadratic
from ..core.scan import at, part, scan
from ..core.step import Step
from ..models.base import AbstractLinearGaussian, noise_matrix


class Prediction(eqx.Module):
    """Moments of future states and observations; the leading axis is the horizon.

    Attributes:
        state_mean: (horizon, state).
        state_cov: (horizon, state, state); None where the state is too large for it.
        mean: Of the observations, (horizon, series).
        cov: Of the observations, noise included, (horizon, series, series).
    """

    state_mean: Float[Array, "horizon state"]
    state_cov: Any
    mean: Float[Array, "horizon series"]
    cov: Float[Array, "horizon series series"]


def predict_moments(model: AbstractLinearGaussian, belief: Gaussian, steps: Step) -> Prediction:
    """Run the prediction step alone over the future stamps, starting from the last filtered belief.

        m <- F m + c,   P <- F P F' + Q;      y ~ N(H m + d, H P H' + R)

    Args:
        model: Linear-Gaussian model whose parameters are known.
        belief: The belief after the last observation.
        steps: The future stamps.

    Returns:
        The moments at each of them.
    """

    def body(carry: Gaussian, step: Step):
        parts = model.transition_matrices(step)
        after = gaussian.predict(carry, lambda x: model.propagate(x, step), parts.offset, quadratic(parts.factor))
        return after, (after, *observation_moments(model, after, step))

    _, (states, mean, cov) = scan(body, belief, steps)
    return Prediction(states.mean, states.cov, mean, cov)


def observation_moments(
    model: AbstractLinearGaussian, belief: Gaussian | DiffuseGaussian, step: Step
) -> tuple[Array, Array]:
    """Mean and covariance of the observation at a stamp, given the belief about the state there."""
    parts = model.emission_matrices(step)
    factor = noise_matrix(parts.scale)
    return affine_moments(parts.matrix, parts.offset, factor @ factor.T, belief)


def affine_moments(
    matrix: Float[Array, "series state"],
    offset: Float[Array, " series"],
    noise: Float[Array, "series series"],
    belief: Gaussian | DiffuseGaussian,
) -> tuple[Array, Array]:
    """Mean and covariance of matrix x + offset + noise.

    An element that a diffuse direction enters has no mean and an infinite variance.
    """
    mean = matrix @ belief.mean + offset
    cov = matrix @ belief.cov @ matrix.T + noise
    if not isinstance(belief, DiffuseGaussian):
        return mean, cov
    loading = jnp.sum((matrix @ belief.factor) ** 2, axis=1)
    open_ = (belief.remaining > 0) & (loading > negligible(belief.cov) * (matrix**2 @ belief.magnitude))
    cov = jnp.where(open_[:, None] | open_[None], jnp.nan, cov)
    return jnp.where(open_, jnp.nan, mean), jnp.where(jnp.diag(open_), jnp.inf, cov)


def emission_moments(model: Any, x: Any, step: Step) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
    """Mean and covariance of the observation given the state, from the emission's own; NaN where it has none."""
    law, size = model.emission(x, step), model.num_series
    try:
        mean = jnp.asarray(law.mean, float)
        cov = law.covariance_matrix if hasattr(law, "covariance_matrix") else jnp.diag(jnp.reshape(law.variance, size))
    except NotImplementedError:
        return jnp.full((size,), jnp.nan), jnp.full((size, size), jnp.nan)
    return jnp.reshape(mean, (size,)), jnp.asarray(cov, mean.dtype)


def observe(model: Any, x: Any, step: Step, key: Any) -> Float[Array, " series"]:
    """One observation of a state, as a row."""
    y = model.emission(x, step).sample(key)
    return jnp.reshape(y, (model.num_series,)).astype(jnp.result_type(y.dtype, float))  # counts are integers


def _after(model: Any, step: Step, previous: Any) -> Step:
    """The step with the observation before it, for a model that reads it."""
    return replace(step, previous=previous) if model.reads_previous else step


def simulate_from(
    model: Any, state: Any, steps: Step, key: Any, previous: Float[Array, " series"] | None = None
) -> tuple[Float[Array, "time *state"], Float[Array, "time series"]]:
    """One path of states and observations at `steps`, from state and observation at the stamp before the first."""
    keys = jax.random.split(key, len(steps))

    def body(carry, xs):  # one draw after another: the state moves, then it is observed
        step, k = xs
        first, second = jax.random.split(k)
        x, before = carry
        step = _after(model, step, before)
        x = model.transition(x, step).sample(first)
        y = observe(model, x, step, second)
        return (x, y if model.reads_previous else None), (x, y)

    return scan(body, (state, previous), (steps, keys))[1]


def simulate(model: Any, steps: Step, key: Any) -> tuple[Float[Array, "time *state"], Float[Array, "time series"]]:
    """One path of states and observations from a model's three laws, starting at its first stamp.

    Raises:
        ValueError: If the initial law is diffuse: it cannot be sampled.
    """
    start, first, rest = jax.random.split(key, 3)
    head = _after(model, at(steps, 0), model.first_previous)
    x = model.initial(head).sample(start)
    y = observe(model, x, head, first)
    previous = y if model.reads_previous else None
    states, values = simulate_from(model, x, part(steps, 1, None), rest, previous)
    return jnp.concatenate([x[None], states]), jnp.concatenate([y[None], values])


def sample_future(
    model: Any, belief: Any, steps: Step, num_samples: int, key: Any
) -> tuple[Float[Array, "sample horizon *state"], Float[Array, "sample horizon series"]]:
    """Joint paths of future states and observations, from a belief that can be drawn from."""
    first, rest = jax.random.split(key)
    starts, keys = belief.sample(first, num_samples), jax.random.split(rest, num_samples)
    if isinstance(starts, Taught):
        return jax.vmap(lambda z, k: simulate_from(model, z.x, steps, k, z.seen))(starts, keys)
    previous = belief.previous if model.reads_previous else None
    return jax.vmap(lambda x, k: simulate_from(model, x, steps, k, previous))(starts, keys)
