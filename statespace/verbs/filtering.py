"""filter, smooth, sample_states, log_likelihood, append."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..data import append_series, join_series
from ..inference import analysis
from ..inference.kalman import Kalman
from ..inference.problem import batch_shape
from ..results import Filtered, Fitted, PanelFit, Smoothed, labelled_draws, labelled_paths
from .door import (
    Prepared,
    as_key,
    as_model,
    check_method,
    chosen_draws,
    flat_draws,
    held_values,
    known_problem,
    log_jacobian,
    prepare,
    problem_of,
    refuse_traced,
    require_known,
    traced,
    values_of,
)
from .law import law_of
from .panel import for_each_member, is_panel, one_clock
from .workers import over_draws

_MOST_DRAWS = 400
_UNLESS_TOLD = 200


def log_likelihood(
    model: Any, data: Any = None, method: Kalman | None = None, *, inputs: Any = None, times: Any = None
) -> Any:
    """The log-likelihood of the data under a model whose parameters are known.

        log p(y) = sum_t log p(y_t | y_<t)

    All constants are included, also -0.5 log 2 pi for each diffuse element; add `0.9189385332 * d` for the
    convention of KFAS and of R, which leaves those out.

    Args:
        model: Model with known parameters. Under `jit`, `grad` or `vmap` its parameters may be traced.
        data: Series, (time,) or (time, series): pandas, xarray, NumPy or JAX. NaN is missing.
        method: Filtering method; the exact one when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.

    Returns:
        The log-likelihood; a traced scalar when called with tracers, else a float.

    Raises:
        ValueError: If a parameter is unknown or data and model do not fit together.
        TypeError: If the method does not fit the model.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(1469.1**0.5) + ss.Noise(15099**0.5)
        >>> round(ss.log_likelihood(model, ss.datasets.nile()), 4)
        -633.4646

    Reference: Durbin and Koopman (2012), sections 7.2.1 and 7.2.2.
    """
    if is_panel(data) or isinstance(model, PanelFit):  # independent given the parameters
        if data is not None and not isinstance(model, PanelFit | Fitted | Filtered):
            one_clock(data, times)
        each = for_each_member(log_likelihood)(model, data, method, inputs=inputs, times=times)
        return sum(each.values())
    if isinstance(model, Fitted | Filtered):
        return _fit_log_likelihood(model, *_prepare(model, data, method, inputs, times, "log_likelihood"))
    model = as_model(model)
    form = check_method(model, method, "log_likelihood").form
    require_known(model, "log_likelihood")
    if traced(model, data, inputs) or batch_shape(model):
        law, value = law_of(model, data, inputs=inputs, times=times, mask=None, form=form)
        return law.log_prob(value)
    if data is None:
        raise ValueError("log_likelihood needs data (only a fit carries its own)")
    bound, series, _ = prepare(model, data, inputs=inputs, times=times)
    problem = known_problem(bound, series, form)
    return float(compiled_log_likelihood(problem, {}))


def _fit_log_likelihood(fitted: Fitted | Filtered, prepared: Prepared, form: str) -> Any:
    """At the estimates, or at every draw; on the data's original scale."""
    jacobian = log_jacobian(prepared.series, prepared.transform).sum()
    if isinstance(fitted, Filtered) or fitted.draws is None:
        return float(compiled_log_likelihood(known_problem(prepared.model, prepared.series, form), {})) + jacobian
    problem = problem_of(prepared.model, prepared.series, fixed=held_values(fitted), form=form)
    found = np.asarray(analysis.log_likelihood_arrays(problem, _as_jax(flat_draws(fitted))))
    shape = next(iter(fitted.draws.values())).shape[:2]
    return labelled_draws(found.reshape(shape) + jacobian, "log_likelihood")


@eqx.filter_jit
def compiled_log_likelihood(problem: Any, values: dict[str, Any]) -> Any:
    """The log-likelihood at natural values of the free parameters, compiled once for each shape."""
    return problem.log_likelihood(values)


@for_each_member
def filter(
    model: Any, data: Any = None, method: Kalman | None = None, *, inputs: Any = None, times: Any = None
) -> Filtered:
    """The law of the state at each stamp given the data up to it, and all one-step predictions.

    Args:
        model: Model with known parameters, or a fit (its estimates, or the mean of its draws, are used).
        data: Series, (time,) or (time, series); the fit's own when left out.
        method: Filtering method; the exact one when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.

    Returns:
        A `Filtered` with moments of states and one-step predictions, standardised residuals and the
        log-likelihood terms. Variances are infinite where the state is still diffuse.

    Raises:
        ValueError: If a parameter is unknown or data and model do not fit together.
        TypeError: If the method does not fit the model.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(1469.1**0.5) + ss.Noise(15099**0.5)
        >>> found = ss.filter(model, ss.datasets.nile())
        >>> round(float(found.mean[1, 0]), 4)
        1140.9278

    Reference: Durbin and Koopman (2012), sections 4.3, 5.2 and 6.4.
    """
    prepared, form = _prepare(model, data, method, inputs, times, "filter")
    problem = known_problem(prepared.model, prepared.series, form)
    return _filtered(prepared, analysis.filter_arrays(problem, {}), form)


def _prepare(model: Any, data: Any, method: Any, inputs: Any, times: Any, verb: str) -> tuple[Prepared, str]:
    """The bound model with its data, and the form of the filter."""
    refuse_traced(verb, model, data, inputs)
    if isinstance(model, Fitted | Filtered):
        form = check_method(model.model, method or Kalman(model.filter_form), verb).form
        if data is None:
            if inputs is not None or times is not None:
                raise ValueError("inputs= and times= go with data; the fit has its own")
            return Prepared(model.model, model.series, model.transform), form
        return prepare(model, data, inputs=inputs, times=times), form
    if data is None:
        raise ValueError(f"{verb} needs data (only a fit carries its own)")
    prepared = prepare(model, data, inputs=inputs, times=times)
    form = check_method(prepared.model, method, verb).form
    require_known(prepared.model, verb)
    return prepared, form


def _filtered(prepared: Prepared, found: Any, form: str) -> Filtered:
    arrays = jax.device_get(found)
    return Filtered(
        series=prepared.series,
        state_names=prepared.model.state_names,
        mean=np.asarray(arrays.mean),
        cov=np.asarray(arrays.cov),
        predicted_mean=np.asarray(arrays.predicted_mean),
        predicted_cov=np.asarray(arrays.predicted_cov),
        observation_mean=np.asarray(arrays.observation_mean),
        observation_cov=np.asarray(arrays.observation_cov),
        residuals=np.asarray(arrays.residuals),
        log_likelihood_terms=np.asarray(arrays.terms),
        diffuse_count=int(arrays.diffuse_count),
        model=prepared.model,
        transform=prepared.transform,
        filter_form=form,
        belief=found.last,
        steps_done=prepared.series.length,
    )


def append(filtered: Filtered, data: Any, *, inputs: Any = None, times: Any = None) -> Filtered:
    """Continue a filter with new rows, with the same numbers as a run over all of them.

    Args:
        filtered: A filter result.
        data: The rows that follow, in the form the series had.
        inputs: Their input columns, if the model reads any.
        times: Their stamps, if they carry none.

    Returns:
        A `Filtered` over the old rows and the new.

    Raises:
        ValueError: If the rows do not follow the last stamp or have other columns.

    Example:
        >>> import statespace as ss
        >>> y = ss.datasets.nile()
        >>> model = ss.LocalLevel(38.0) + ss.Noise(123.0)
        >>> more = ss.append(ss.filter(model, y[:90]), y[90:])
        >>> abs(more.log_likelihood - ss.filter(model, y).log_likelihood) < 1e-8
        True
    """
    new = append_series(filtered.series, data, inputs=inputs, times=times)
    new = new.with_observed(filtered.transform.forward(new.observed))
    joined = join_series(filtered.series, new)
    prepared, form = Prepared(filtered.model, joined, filtered.transform), filtered.filter_form
    if not np.all(
        np.isfinite(filtered.belief.mean)
    ):  # the diffuse phase is still open: there is no belief to go on from
        return _filtered(prepared, analysis.filter_arrays(known_problem(filtered.model, joined, form), {}), form)
    known = values_of(filtered.model)
    problem = problem_of(filtered.model, new, start=filtered.steps_done, fixed=known, form=form)
    found = _filtered(prepared, analysis.filter_arrays(problem, {}, filtered.belief), form)
    names = (
        "mean",
        "cov",
        "predicted_mean",
        "predicted_cov",
        "observation_mean",
        "observation_cov",
        "residuals",
    )
    rows = {
        name: np.concatenate([getattr(filtered, name), getattr(found, name)])
        for name in (*names, "log_likelihood_terms")
    }
    return Filtered(
        series=joined,
        state_names=found.state_names,
        diffuse_count=filtered.diffuse_count + found.diffuse_count,
        model=filtered.model,
        transform=filtered.transform,
        filter_form=form,
        belief=found.belief,
        steps_done=joined.length,
        **rows,
    )


@for_each_member
def smooth(
    model: Any, data: Any = None, method: Kalman | None = None, *, inputs: Any = None, times: Any = None
) -> Smoothed:
    """The law of the state at each stamp given all data, the components, and what each stamp adds.

    Args:
        model: Model with known parameters, or a fit. With posterior draws, moments are those of the mixture
            over (at most 400 evenly thinned) draws.
        data: Series, (time,) or (time, series); the fit's own when left out.
        method: Filtering method; the exact one when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.

    Returns:
        A `Smoothed` with moments of states and components, auxiliary residuals, and exact leave-one-out
        predictive densities.

    Raises:
        ValueError: If a parameter is unknown or data and model do not fit together.
        TypeError: If the method does not fit the model.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(1469.1**0.5) + ss.Noise(15099**0.5)
        >>> found = ss.smooth(model, ss.datasets.nile())
        >>> round(float(found.mean[0, 0]), 4), round(float(found.loo_terms.sum()), 4)
        (1111.6683, -631.5359)

    Reference: Durbin and Koopman (2012), sections 4.4, 4.5 and 5.3.
    """
    prepared, form = _prepare(model, data, method, inputs, times, "smooth")
    if isinstance(model, Fitted) and model.draws:
        problem = problem_of(prepared.model, prepared.series, fixed=held_values(model), form=form)
        found = analysis.mean_smoother_arrays(problem, _as_jax(flat_draws(model, _MOST_DRAWS)))
    else:
        found = analysis.smoother_arrays(known_problem(prepared.model, prepared.series, form), {})
    arrays = jax.tree.map(np.asarray, jax.device_get(found))
    sd = {k: np.sqrt(np.maximum(v, 0.0)) for k, v in arrays.component_var.items()}
    return Smoothed(
        series=prepared.series,
        state_names=prepared.model.state_names,
        mean=arrays.mean,
        cov=arrays.cov,
        components={k: (arrays.component_mean[k], sd[k]) for k in names_of(prepared.model, sd)},
        observation_residuals=arrays.observation_residuals,
        state_residuals=arrays.state_residuals,
        loo_terms=arrays.loo_terms,
        loo_mean=arrays.loo_mean,
        loo_sd=arrays.loo_sd,
    )


def names_of(model: Any, found: dict[str, Any]) -> list[str]:
    """Component names in the model's order (trees sort their keys)."""
    return [component.name for component in model.components] if found else []


def _as_jax(draws: dict[str, np.ndarray]) -> dict[str, Any]:
    return {path: jnp.asarray(v) for path, v in draws.items()}


@for_each_member
def sample_states(
    model: Any,
    data: Any = None,
    method: Kalman | None = None,
    *,
    inputs: Any = None,
    times: Any = None,
    num_samples: int | None = None,
    key: Any,
) -> Any:
    """Joint draws of the whole path of states given all data.

    Args:
        model: Model with known parameters, or a fit; with posterior draws each path has its own draw.
        data: Series, (time,) or (time, series); the fit's own when left out.
        method: Filtering method; the exact one when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        num_samples: Number of paths; one for each posterior draw (200 without posterior draws) when left out.
        key: PRNG key.

    Returns:
        An `xarray.DataArray` with dimensions (draw, time, state); (chain, draw, time, state) with one path for each
        posterior draw, which `Fitted.with_groups` then takes.

    Raises:
        ValueError: If a parameter is unknown, data and model do not fit together, or num_samples is below 1.

    Example:
        >>> import jax, statespace as ss
        >>> model = ss.LocalLevel(38.0) + ss.Noise(123.0)
        >>> ss.sample_states(model, ss.datasets.nile(), num_samples=3, key=jax.random.key(0)).shape
        (3, 100, 1)

    Reference: Durbin and Koopman (2002), Biometrika 89.
    """
    if num_samples is not None and num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    prepared, form = _prepare(model, data, method, inputs, times, "sample_states")
    key = as_key(key)
    if isinstance(model, Fitted) and model.draws:
        problem = problem_of(prepared.model, prepared.series, fixed=held_values(model), form=form)
        choose, key = jax.random.split(key)
        draws, shape = chosen_draws(model, num_samples, choose)
        found = over_draws(lambda part, k: analysis.path_arrays(problem, part, k, 1)[:, 0], draws, key, False, "paths")
        paths = np.reshape(found, (*shape, *np.shape(found)[1:]))
    else:
        problem = known_problem(prepared.model, prepared.series, form)
        count = _UNLESS_TOLD if num_samples is None else num_samples
        paths = analysis.path_arrays(problem, {}, jax.random.split(key, 1), count)[0]
    return labelled_paths(np.asarray(paths), prepared.series, prepared.model.state_names)
