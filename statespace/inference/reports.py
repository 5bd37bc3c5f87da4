"""What runs of a method say about a series, as arrays that the verbs label."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..core.belief import Gaussian, Particles
from ..core.step import Step
from . import prediction

_LARGE = 1000  # states from which on the covariance of a forecast made of paths is left out


class FilterArrays(eqx.Module):
    """What a filter run says; the leading axis is time. Variances are infinite where the state is diffuse.

    Attributes:
        mean: Filtered state means.
        cov: Filtered state covariances.
        predicted_mean: State means one step ahead.
        predicted_cov: State covariances one step ahead.
        observation_mean: One-step predictions of the observations.
        observation_cov: Their covariances.
        residuals: Standardised one-step errors, NaN where diffuse or missing.
        terms: log p(y_t | y_<t).
        last: The belief after the last stamp; NaN while the diffuse phase is open.
        diffuse_count: Number of observations that the diffuse elements used up.
    """

    mean: Float[Array, "time state"]
    cov: Float[Array, "time state state"]
    predicted_mean: Float[Array, "time state"]
    predicted_cov: Float[Array, "time state state"]
    observation_mean: Float[Array, "time series"]
    observation_cov: Float[Array, "time series series"]
    residuals: Float[Array, "time series"]
    terms: Float[Array, " time"]
    last: Gaussian
    diffuse_count: Array


class SmootherArrays(eqx.Module):
    """What a smoother run says; the leading axis is time.

    Attributes:
        mean: Smoothed state means.
        cov: Smoothed state covariances.
        component_mean: Each component's contribution to each series.
        component_cov: Its variance.
        observation_residuals: Auxiliary residuals of the observations.
        state_residuals: Auxiliary residuals of the states.
        loo_terms: log p(y_t | y_-t), NaN where a stamp alone identifies a diffuse element.
        loo_mean: E[y_t | y_-t].
        loo_sd: sd(y_t | y_-t).
    """

    mean: Float[Array, "time state"]
    cov: Float[Array, "time state state"]
    component_mean: dict[str, Float[Array, "time series"]]
    component_var: dict[str, Float[Array, "time series"]]
    observation_residuals: Float[Array, "time series"]
    state_residuals: Float[Array, "time state"]
    loo_terms: Float[Array, " time"]
    loo_mean: Float[Array, "time series"]
    loo_sd: Float[Array, "time series"]


class ParticleArrays(eqx.Module):
    """What a particle filter's run says; the leading axis is time.

    Attributes:
        terms: Estimates of log p(y_t | y_<t).
        ess: Effective sample size of the weights, the stamp's observation included.
        resampled: Whether the particles were resampled on the way to the stamp.
        alive: Whether any particle had a weight.
        kept: What the method keeps, by name (`summaries.SUMMARIES`).
        last: The particles after the last stamp.
        error: Standard error of the log-likelihood; NaN where it was not asked for.
    """

    terms: Float[Array, " time"]
    ess: Float[Array, " time"]
    resampled: Bool[Array, " time"]
    alive: Bool[Array, " time"]
    kept: dict[str, Any]
    last: Particles
    error: Float[Array, ""]


class EnsembleArrays(eqx.Module):
    """What an ensemble filter's run says; the leading axis is time.

    Attributes:
        terms: log p(y_t | y_<t) of a normal law with the members' moments.
        spread: Root of the mean variance of the state's elements, after the observation.
        observation_mean: One-step predictions of the observations.
        observation_sd: Their standard deviations.
        residuals: Standardised one-step errors, NaN where missing.
        kept: What the method keeps: "moments", mean and variance of each element of the state, and "members".
        last: The members after the last stamp.
    """

    terms: Float[Array, "*time"]
    spread: Float[Array, "*time"]
    observation_mean: Float[Array, "*time series"]
    observation_sd: Float[Array, "*time series"]
    residuals: Float[Array, "*time series"]
    kept: dict[str, Any]
    last: Any


class EnsembleSmootherArrays(eqx.Module):
    """What an ensemble smoother's run says; the leading axis is time.

    Attributes:
        mean: Means of the states.
        variance: Variances of their elements.
        component_mean: Each component's contribution to each series.
        component_var: Its variance.
        members: The smoothed members, or None where they are not kept.
    """

    mean: Float[Array, "time state"]
    variance: Float[Array, "time state"]
    component_mean: dict[str, Float[Array, "time series"]]
    component_var: dict[str, Float[Array, "time series"]]
    members: Float[Array, "time member state"] | None

    def about(self, first: "EnsembleSmootherArrays") -> "EnsembleSmootherArrays":
        """Moments about another's means, which average over draws without cancellation."""
        moved = jax.tree.map(jnp.subtract, (self.mean, self.component_mean), (first.mean, first.component_mean))
        second = (self.variance, self.component_var)
        square = jax.tree.map(lambda variance, shift: variance + shift**2, second, moved)
        return EnsembleSmootherArrays(moved[0], square[0], moved[1], square[1], None)

    def restored(self, first: "EnsembleSmootherArrays") -> "EnsembleSmootherArrays":
        """Means and variances again, from moments about another's means."""
        moved, square = (self.mean, self.component_mean), (self.variance, self.component_var)
        mean = jax.tree.map(jnp.add, moved, (first.mean, first.component_mean))
        variance = jax.tree.map(lambda second, shift: second - shift**2, square, moved)
        return EnsembleSmootherArrays(mean[0], variance[0], mean[1], variance[1], None)


class DrawArrays(eqx.Module):
    """What one posterior draw of the parameters says.

    Attributes:
        one_step: log p(y_t | y_<t).
        loo: log p(y_t | y_-t).
        coefficients: A draw of the constant coefficients, given the parameters.
    """

    one_step: Float[Array, " time"]
    loo: Float[Array, " time"]
    coefficients: Float[Array, " coefficient"]


class ForecastArrays(eqx.Module):
    """Moments, components and paths of the future, for one value of the parameters."""

    moments: prediction.Prediction
    component_mean: dict[str, Float[Array, "horizon series"]]
    component_var: dict[str, Float[Array, "horizon series"]]
    paths: Float[Array, "sample horizon series"]


def component_moments(model: Any, mean: Array, cov: Array, steps: Step) -> tuple[dict[str, Array], dict[str, Array]]:
    """Mean and variance of each component's contribution to each series; empty where there are no components."""
    if not hasattr(model, "contributions"):
        return {}, {}

    def one(m, p, step):
        rows = model.contributions(jnp.eye(m.shape[0], dtype=m.dtype), step)
        return {k: h @ m for k, h in rows.items()}, {k: jnp.sum((h @ p) * h, axis=1) for k, h in rows.items()}

    return jax.vmap(one)(mean, cov, steps)


def sampled_forecast(model: Any, belief: Any, steps: Step, num_paths: int, key: Any) -> ForecastArrays:
    """A forecast through paths of the model, whose moments are those of the paths.

    Args:
        model: Model whose parameters are known.
        belief: The belief after the last observation, which can be drawn from.
        steps: The future stamps.
        num_paths: Number of paths.
        key: PRNG key.
    """
    states, paths = prediction.sample_future(model, belief, steps, num_paths, key)
    columns = states.reshape(*states.shape[:2], -1)
    mean, cov = (jnp.mean(columns, axis=0), None) if columns.shape[2] > _LARGE else moments_of(columns)
    moments = prediction.Prediction(mean, cov, *moments_of(paths))
    return ForecastArrays(moments, *member_components(model, columns, steps), paths)


def member_components(
    model: Any, columns: Float[Array, "sample time state"], steps: Step
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Mean and variance over paths of each component's contribution; empty where there are no components."""
    if not hasattr(model, "contributions"):
        return {}, {}
    made = jax.vmap(jax.vmap(model.contributions), in_axes=(0, None))(columns, steps)
    mean = {name: jnp.mean(values, axis=0) for name, values in made.items()}
    return mean, {name: jnp.var(values, axis=0) for name, values in made.items()}


def smoother_arrays(model: Any, observed: Any, mean: Array, cov: Array) -> SmootherArrays:
    """A smoother's account where only the moments of the states are known."""
    rows, states = jnp.full_like(observed.y, jnp.nan), jnp.full_like(mean, jnp.nan)
    components = component_moments(model, mean, cov, observed.steps)
    return SmootherArrays(mean, cov, *components, rows, states, rows[:, 0], rows, rows)


def moments_of(paths: Float[Array, "sample time n"]) -> tuple[Float[Array, "time n"], Float[Array, "time n n"]]:
    """Mean and covariance over paths."""
    mean = jnp.mean(paths, axis=0)
    spread = paths - mean
    return mean, jnp.einsum("sti,stj->tij", spread, spread) / paths.shape[0]
