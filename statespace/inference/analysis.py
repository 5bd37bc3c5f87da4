"""Everything that a filter or smoother run says about a series, as arrays; one compiled function each."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import gaussian
from ..core.belief import DiffuseGaussian, Gaussian
from ..core.parameters import replace
from ..core.scan import join, part
from ..core.step import Step
from . import prediction
from .problem import Problem
from .simulation_smoother import sample_paths
from .smoother import auxiliary_residuals, leave_one_out, smooth


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


@eqx.filter_jit
def filter_arrays(problem: Problem, values: dict[str, Array], belief: Gaussian | None = None) -> FilterArrays:
    """Run the filter and report everything.

    Args:
        problem: Model and data.
        values: Natural values of the free parameters.
        belief: The belief at the stamp before the first when continuing, else None.
    """
    model = problem.at(values)
    _, _, run = problem.filtered(values, belief)
    parts = [part for part in (run.diffuse_part, run.proper_part) if part is not None]
    mean, cov, predicted_mean, predicted_cov, residuals, terms, diffuse = join(*map(_report, parts))
    before = len(parts[0][0].mean)
    spans = [problem.steps[:before], problem.steps[before:]]
    observe = jax.vmap(lambda belief, step: prediction.observation_moments(model, belief, step))
    observed = [observe(part[0], span) for part, span in zip(parts, spans, strict=False)]
    observation_mean, observation_cov = join(*observed)
    terms = terms.at[0].add(run.log_scale)
    return FilterArrays(
        mean,
        cov,
        predicted_mean,
        predicted_cov,
        observation_mean,
        observation_cov,
        residuals,
        terms,
        run.last,
        jnp.sum(diffuse),
    )


def _report(part: Any) -> tuple[Array, ...]:
    predicted, filtered, e = part
    present = jnp.ones(e.variance.shape, bool) if e.present is None else e.present
    diffuse = jnp.zeros(e.variance.shape, bool) if e.diffuse is None else e.diffuse
    residuals = jnp.where(present & ~diffuse, e.innovation / jnp.sqrt(e.variance), jnp.nan)
    terms = jnp.sum(gaussian.log_density(e.innovation, e.variance, e.present, e.diffuse), axis=1)
    covs = [
        jax.vmap(DiffuseGaussian.display_cov)(b) if isinstance(b, DiffuseGaussian) else b.cov
        for b in (filtered, predicted)
    ]
    return filtered.mean, covs[0], predicted.mean, covs[1], residuals, terms, diffuse


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


@eqx.filter_jit
def smoother_arrays(problem: Problem, values: dict[str, Array]) -> SmootherArrays:
    """Run filter and smoother and report everything."""
    run = problem.augmented(values)
    smoothed = smooth(run)
    component_mean, component_var = component_moments(problem.at(values), smoothed.mean, smoothed.cov, problem.steps)
    return SmootherArrays(
        smoothed.mean,
        smoothed.cov,
        component_mean,
        component_var,
        *auxiliary_residuals(run, smoothed),
        *leave_one_out(run, smoothed, problem.y),
    )


def component_moments(model: Any, mean: Array, cov: Array, steps: Step) -> tuple[dict[str, Array], dict[str, Array]]:
    """Mean and variance of each component's contribution to each series; empty where there are no components."""
    if not hasattr(model, "contributions"):
        return {}, {}

    def one(m, p, step):
        rows = model.contributions(jnp.eye(m.shape[0], dtype=m.dtype), step)
        return {k: h @ m for k, h in rows.items()}, {k: jnp.sum((h @ p) * h, axis=1) for k, h in rows.items()}

    return jax.vmap(one)(mean, cov, steps)


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


@eqx.filter_jit
def draw_arrays(problem: Problem, draws: dict[str, Array], keys: Array, reported: tuple[int, ...]) -> DrawArrays:
    """The pointwise densities and coefficients of many draws, one after another."""

    def one(xs):
        values, key = xs
        _, _, run = problem.filtered(values)
        augmented = problem.augmented(values)
        loo, _, _ = leave_one_out(augmented, smooth(augmented), problem.y)
        chosen = jnp.asarray(reported, int)
        spread = prediction.psd_factor(run.last.cov[jnp.ix_(chosen, chosen)])
        noise = jax.random.normal(key, (len(reported),), spread.dtype)
        terms = jnp.concatenate([_terms(part) for part in (run.diffuse_part, run.proper_part) if part is not None])
        return DrawArrays(terms.at[0].add(run.log_scale), loo, run.last.mean[chosen] + spread @ noise)

    return jax.lax.map(one, (draws, keys))


def _terms(part: Any) -> Array:
    e = part[2]
    return jnp.sum(gaussian.log_density(e.innovation, e.variance, e.present, e.diffuse), axis=1)


@eqx.filter_jit
def log_likelihood_arrays(problem: Problem, draws: dict[str, Array]) -> Float[Array, " draw"]:
    """The log-likelihood at each of many draws."""
    return jax.lax.map(problem.log_likelihood, draws)


class ForecastArrays(eqx.Module):
    """Moments, components and paths of the future, for one value of the parameters."""

    moments: prediction.Prediction
    component_mean: dict[str, Float[Array, "horizon series"]]
    component_var: dict[str, Float[Array, "horizon series"]]
    paths: Float[Array, "sample horizon series"]


@eqx.filter_jit
def forecast_arrays(
    problem: Problem, draws: dict[str, Array], steps: Step, keys: Array, num_paths: int
) -> ForecastArrays:
    """Forecasts for many draws of the parameters, one after another; see `prediction`."""

    def one(xs):
        values, key = xs
        model = problem.at(values)
        last = problem.filtered(values)[2].last
        moments = prediction.predict_moments(model, last, steps)
        components = component_moments(model, moments.state_mean, moments.state_cov, steps)
        _, paths = prediction.sample_future(model, last, steps, num_paths, key)
        return ForecastArrays(moments, *components, paths)

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def path_arrays(problem: Problem, draws: dict[str, Array], keys: Array, num_paths: int) -> Array:
    """Joint draws of the state path for many draws of the parameters: (draw, path, time, state)."""

    def one(xs):
        values, key = xs
        return sample_paths(problem.augmented(values), num_paths, key)

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def mean_smoother_arrays(problem: Problem, draws: dict[str, Array]) -> SmootherArrays:
    """Smoother moments with the parameters' uncertainty: mixture means and total covariances over draws."""
    first = smoother_arrays(problem, jax.tree.map(lambda x: x[0], draws))

    def spread(found: SmootherArrays) -> SmootherArrays:
        """Moments about the first draw's means, which average without cancellation."""
        shift = found.mean - first.mean
        moved = {k: v - first.component_mean[k] for k, v in found.component_mean.items()}
        second = {k: found.component_var[k] + v**2 for k, v in moved.items()}
        cov = found.cov + shift[:, :, None] * shift[:, None, :]
        loo = found.loo_mean - first.loo_mean
        return eqx.tree_at(
            lambda s: (s.mean, s.cov, s.component_mean, s.component_var, s.loo_mean, s.loo_sd),
            found,
            (shift, cov, moved, second, loo, found.loo_sd**2 + loo**2),
        )

    def add(total, values):
        return jax.tree.map(jnp.add, total, spread(smoother_arrays(problem, values))), None

    zero = jax.tree.map(jnp.zeros_like, first)
    total, _ = jax.lax.scan(add, zero, draws)
    count = jax.tree.leaves(draws)[0].shape[0]
    m = jax.tree.map(lambda x: x / count, total)
    return SmootherArrays(
        first.mean + m.mean,
        m.cov - m.mean[:, :, None] * m.mean[:, None, :],
        {k: first.component_mean[k] + v for k, v in m.component_mean.items()},
        {k: v - m.component_mean[k] ** 2 for k, v in m.component_var.items()},
        m.observation_residuals,
        m.state_residuals,
        m.loo_terms,
        first.loo_mean + m.loo_mean,
        jnp.sqrt(jnp.maximum(m.loo_sd - m.loo_mean**2, 0.0)),
    )


@eqx.filter_jit
def replicated_arrays(problem: Problem, draws: dict[str, Array], keys: Array) -> Array:
    """For each draw of the parameters, new observations around a draw of the states given the data."""

    def one(xs):
        values, key = xs
        first, second = jax.random.split(key)
        model = problem.at(values)
        path = sample_paths(problem.augmented(values), 1, first)[0]
        keys_ = jax.random.split(second, path.shape[0])
        return jax.vmap(lambda x, s, k: model.emission(x, s).sample(k))(path, problem.steps, keys_)

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def unrolled_arrays(problem: Problem, draws: dict[str, Array], keys: Array) -> Array:
    """For each draw of the parameters, a series from the model; NaN over the stamps of the diffuse phase.

    The path starts from a proper first law, or from the belief after the diffuse phase.
    """
    length, start = problem.y.shape[0], problem.diffuse_steps

    def one(xs):
        values, key = xs
        model = problem.at(values)
        if start == 0:
            return prediction.simulate(model, problem.steps, key)[1]
        early = eqx.tree_at(
            lambda q: (q.y, q.mask, q.steps),
            problem,
            (problem.y[:start], problem.mask[:start], part(problem.steps, 0, start)),
        )
        last = early.filtered(values)[2].last
        _, y = prediction.sample_future(model, last, part(problem.steps, start, length), 1, key)
        return jnp.concatenate([jnp.full((start, y.shape[-1]), jnp.nan, y.dtype), y[0]])

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def simulated_arrays(model: Any, draws: dict[str, Array], steps: Step, keys: Array) -> tuple[Array, Array]:
    """States and observations for each key, each with its own draw of the parameters in `draws`."""
    return jax.vmap(lambda values, key: prediction.simulate(replace(model, values), steps, key))(draws, keys)
