"""What the verbs ask of a problem and its method, at one value of the parameters or at many; compiled."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core.missing import draw_missing
from ..core.parameters import replace
from ..core.scan import part
from ..core.step import Step
from . import prediction
from .problem import Problem
from .reports import DrawArrays, EnsembleSmootherArrays, ForecastArrays, SmootherArrays


@eqx.filter_jit
def filter_arrays(problem: Problem, values: dict[str, Array], belief: Any = None, key: Any = None) -> Any:
    """Run the filter and report everything.

    Args:
        problem: Model and data.
        values: Natural values of the free parameters.
        belief: The belief at the stamp before the first when continuing, else None.
        key: PRNG key, for a method that draws.
    """
    return problem.method.filter(problem.at(values), problem.observed, problem.plan, belief, key)


@eqx.filter_jit
def smoother_arrays(problem: Problem, values: dict[str, Array], key: Any = None) -> Any:
    """Run filter and smoother and report everything."""
    return problem.method.smooth(problem.at(values), problem.observed, problem.plan, key)


@eqx.filter_jit
def draw_arrays(problem: Problem, draws: dict[str, Array], keys: Array, reported: tuple[int, ...]) -> DrawArrays:
    """The pointwise densities and coefficients of many draws, one after another."""

    def one(xs):
        values, key = xs
        return problem.method.pointwise(problem.at(values), problem.observed, problem.plan, reported, key)

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def log_likelihood_arrays(problem: Problem, draws: dict[str, Array], key: Any = None) -> Float[Array, " draw"]:
    """The log-likelihood at each of many draws; with a key, estimates from independent runs."""
    count = jax.tree.leaves(draws)[0].shape[0]
    keys = None if key is None else jax.random.split(key, count)
    return jax.lax.map(lambda pair: problem.log_likelihood(*pair), (draws, keys))


@eqx.filter_jit
def forecast_arrays(
    problem: Problem, draws: dict[str, Array], steps: Step, keys: Array, num_paths: int, belief: Any = None
) -> ForecastArrays:
    """Forecasts for many draws of the parameters, one after another; from a belief, or one that is filtered."""

    def one(xs):
        values, key = xs
        model, method = problem.at(values), problem.method
        last = belief
        if belief is None:
            last = method.filter(model, problem.observed, problem.plan, key=jax.random.fold_in(key, 1)).last
        return method.forecast(model, last, steps, num_paths, key)

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def path_arrays(problem: Problem, draws: dict[str, Array], keys: Array, num_paths: int) -> Array:
    """Joint draws of the state path for many draws of the parameters: (draw, path, time, state)."""

    def one(xs):
        values, key = xs
        paths = problem.method.sample_paths(problem.at(values), problem.observed, problem.plan, num_paths, key)
        return paths.reshape(*paths.shape[:2], -1)

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def mean_smoother_arrays(problem: Problem, draws: dict[str, Array], key: Any = None) -> Any:
    """Smoother moments with the parameters' uncertainty: mixture means and total covariances over draws."""
    first = smoother_arrays(problem, jax.tree.map(lambda x: x[0], draws), key)
    if not isinstance(first, SmootherArrays):
        return _average(problem, draws, first, key)

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

    def add(total, pair):
        return jax.tree.map(jnp.add, total, spread(smoother_arrays(problem, *pair))), None

    zero = jax.tree.map(jnp.zeros_like, first)
    count = jax.tree.leaves(draws)[0].shape[0]
    total, _ = jax.lax.scan(add, zero, (draws, _a_key_each(key, count)))
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


def _a_key_each(key: Any, count: int) -> Any:
    return None if key is None else jax.random.split(key, count)


def _average(problem: Problem, draws: dict[str, Array], first: Any, key: Any) -> Any:
    """The mean over draws of reports that are probabilities, or the mixture of members' moments."""
    moments = isinstance(first, EnsembleSmootherArrays)

    def report(found):
        return found.about(first) if moments else found

    def add(total, pair):
        return jax.tree.map(jnp.add, total, report(smoother_arrays(problem, *pair))), None

    count = jax.tree.leaves(draws)[0].shape[0]
    total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, report(first)), (draws, _a_key_each(key, count)))
    mean = jax.tree.map(lambda x: x / count, total)
    return mean.restored(first) if moments else mean


@eqx.filter_jit
def replicated_arrays(problem: Problem, draws: dict[str, Array], keys: Array) -> Array:
    """For each draw of the parameters, new observations around a draw of the states given the data."""

    def one(xs):
        values, key = xs
        first, second = jax.random.split(key)
        model = problem.at(values)
        path = problem.method.sample_paths(model, problem.observed, problem.plan, 1, first)[0]
        keys_ = jax.random.split(second, path.shape[0])
        return jax.vmap(lambda x, s, k: prediction.observe(model, x, s, k))(path, problem.steps, keys_)

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def imputed_arrays(problem: Problem, draws: dict[str, Array], keys: Array, num_paths: int) -> Array:
    """For each draw of the parameters, paths of the states given the data, and draws of what is missing beside them.

    Returns:
        The rows, (draw, path, time, series).
    """
    observed = problem.observed

    def one(xs):
        values, key = xs
        first, second = jax.random.split(key)
        model = problem.at(values)
        paths, fed = problem.method.sample_completed(model, observed, problem.plan, num_paths, first)
        if fed is not None:  # what is missing was drawn with the path
            return jnp.where(observed.mask, observed.y, fed)

        def row(x, step, y, mask, k):
            return draw_missing(model.emission(x, step), y, mask, k)

        keys_ = jax.random.split(second, paths.shape[:2])
        along = jax.vmap(row, in_axes=(0, 0, 0, 0, 0))
        return jax.vmap(lambda path, ks: along(path, problem.steps, observed.y, observed.mask, ks))(paths, keys_)

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def unrolled_arrays(problem: Problem, draws: dict[str, Array], keys: Array) -> Array:
    """For each draw of the parameters, a series from the model; NaN over the stamps of the diffuse phase.

    The path starts from a proper first law, or from the belief after the diffuse phase.
    """
    length, start = problem.y.shape[0], problem.plan.diffuse_steps or 0

    def one(xs):
        values, key = xs
        model = problem.at(values)
        if start == 0:
            return prediction.simulate(model, problem.steps, key)[1]
        last = problem.method.filter(model, problem.observed.until(start), problem.plan).last
        _, y = prediction.sample_future(model, last, part(problem.steps, start, length), 1, key)
        return jnp.concatenate([jnp.full((start, y.shape[-1]), jnp.nan, y.dtype), y[0]])

    return jax.lax.map(one, (draws, keys))


@eqx.filter_jit
def simulated_arrays(model: Any, draws: dict[str, Array], steps: Step, keys: Array) -> tuple[Array, Array]:
    """States and observations for each key, each with its own draw of the parameters in `draws`."""
    return jax.vmap(lambda values, key: prediction.simulate(replace(model, values), steps, key))(draws, keys)
