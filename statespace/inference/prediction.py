"""Forecasts by prediction only, and simulation from the model."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import gaussian
from ..core.belief import DiffuseGaussian, Gaussian
from ..core.covariance import negligible
from ..core.linalg import psd_factor, quadratic
from ..core.scan import at, part, scan
from ..core.step import Step
from ..models.base import AbstractLinearGaussian, noise_matrix


class Prediction(eqx.Module):
    """Moments of future states and observations; the leading axis is the horizon.

    Attributes:
        state_mean: (horizon, state).
        state_cov: (horizon, state, state).
        mean: Of the observations, (horizon, series).
        cov: Of the observations, noise included, (horizon, series, series).
    """

    state_mean: Float[Array, "horizon state"]
    state_cov: Float[Array, "horizon state state"]
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


def simulate_from(
    model: AbstractLinearGaussian, state: Float[Array, " state"], steps: Step, key: Any
) -> tuple[Float[Array, "time state"], Float[Array, "time series"]]:
    """One path of states and observations at `steps`, from a state at the stamp before the first."""
    keys = jax.random.split(key, len(steps))

    def body(x, xs):  # one draw after another: the state moves, then it is observed
        step, k = xs
        first, second = jax.random.split(k)
        x = model.transition(x, step).sample(first)
        return x, (x, model.emission(x, step).sample(second))

    return scan(body, state, (steps, keys))[1]


def simulate(model: Any, steps: Step, key: Any) -> tuple[Float[Array, "time state"], Float[Array, "time series"]]:
    """One path of states and observations from a model's three laws, starting at its first stamp.

    Raises:
        ValueError: If the initial law is diffuse: it cannot be sampled.
    """
    start, first, rest = jax.random.split(key, 3)
    x = model.initial(at(steps, 0)).sample(start)
    y = model.emission(x, at(steps, 0)).sample(first)
    states, values = simulate_from(model, x, part(steps, 1, None), rest)
    return jnp.concatenate([x[None], states]), jnp.concatenate([y[None], values])


def sample_future(
    model: AbstractLinearGaussian, belief: Gaussian, steps: Step, num_samples: int, key: Any
) -> tuple[Float[Array, "sample horizon state"], Float[Array, "sample horizon series"]]:
    """Joint paths of future states and observations."""
    first, rest = jax.random.split(key)
    noise = jax.random.normal(first, (num_samples, belief.mean.shape[0]), belief.mean.dtype)
    starts = belief.mean + noise @ psd_factor(belief.cov).T
    return jax.vmap(lambda x, k: simulate_from(model, x, steps, k))(starts, jax.random.split(rest, num_samples))
