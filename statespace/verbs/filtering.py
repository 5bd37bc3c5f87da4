"""filter, smooth, sample_states, log_likelihood, append."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..data import append_series, join_series
from ..inference import analysis
from ..inference.method import AbstractMethod
from ..results import AbstractFiltered, Fitted
from .door import (
    Prepared,
    as_key,
    check_method,
    chosen_draws,
    flat_draws,
    held_values,
    key_of,
    known_problem,
    prepare,
    problem_of,
    refuse_traced,
    require_known,
    values_of,
)
from .labelling import label_filtered, label_paths, label_smoothed
from .panel import for_each_member
from .workers import over_draws

_MOST_DRAWS = 400
_UNLESS_TOLD = 200


@for_each_member
def filter(
    model: Any,
    data: Any = None,
    method: AbstractMethod | None = None,
    *,
    inputs: Any = None,
    times: Any = None,
    key: Any = None,
) -> Any:
    """The law of the state at each stamp given the data up to it, and all one-step predictions.

    Args:
        model: Model with known parameters, or a fit (its estimates, or the mean of its draws, are used).
        data: Series, (time,) or (time, series); the fit's own when left out.
        method: Filtering method; the exact one when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        key: PRNG key, or a whole number that makes one, for a method that draws.

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
    prepared, method = prepared_for(model, data, method, inputs, times, "filter")
    problem = known_problem(prepared.model, prepared.series, method)
    found = analysis.filter_arrays(problem, {}, None, key_of(method, key, "filter"))
    return label_filtered(found, prepared, method)


def prepared_for(
    model: Any, data: Any, method: Any, inputs: Any, times: Any, verb: str
) -> tuple[Prepared, AbstractMethod]:
    """The bound model with its data, and the method."""
    refuse_traced(verb, model, data, inputs)
    if isinstance(model, Fitted | AbstractFiltered):
        method = check_method(model.model, method or model.filter_method, verb)
        if data is None:
            if inputs is not None or times is not None:
                raise ValueError("inputs= and times= go with data; the fit has its own")
            return Prepared(model.model, model.series, model.transform), method
        return prepare(model, data, inputs=inputs, times=times), method
    if data is None:
        raise ValueError(f"{verb} needs data (only a fit carries its own)")
    prepared = prepare(model, data, inputs=inputs, times=times)
    method = check_method(prepared.model, method, verb)
    require_known(prepared.model, verb)
    return prepared, method


def append(filtered: Any, data: Any, *, inputs: Any = None, times: Any = None, key: Any = None) -> Any:
    """Continue a filter with new rows, with the same numbers as a run over all of them.

    Args:
        filtered: A filter result.
        data: The rows that follow, in the form the series had.
        inputs: Their input columns, if the model reads any.
        times: Their stamps, if they carry none.
        key: PRNG key, for a method that draws.

    Returns:
        A result of the same kind over the old rows and the new.

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
    model, method = filtered.model, filtered.filter_method
    key = key_of(method, key, "append")
    prepared = Prepared(model, joined, filtered.transform)
    if not filtered.can_go_on:  # the diffuse phase is still open
        return label_filtered(analysis.filter_arrays(known_problem(model, joined, method), {}), prepared, method)
    if key is not None:  # the same key for each row that is added is not to draw the same numbers
        key = jax.random.fold_in(key, filtered.steps_done)
    problem = problem_of(model, new, start=filtered.steps_done, fixed=values_of(model), method=method)
    found = analysis.filter_arrays(problem, {}, filtered.belief, key)
    return filtered.followed_by(label_filtered(found, prepared, method), joined)


@for_each_member
def smooth(
    model: Any,
    data: Any = None,
    method: AbstractMethod | None = None,
    *,
    inputs: Any = None,
    times: Any = None,
    key: Any = None,
) -> Any:
    """The law of the state at each stamp given all data, the components, and what each stamp adds.

    Args:
        model: Model with known parameters, or a fit. With posterior draws, moments are those of the mixture
            over (at most 400 evenly thinned) draws.
        data: Series, (time,) or (time, series); the fit's own when left out.
        method: Filtering method; the exact one when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        key: PRNG key, or a whole number that makes one, for a method that draws.

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
    prepared, method = prepared_for(model, data, method, inputs, times, "smooth")
    method.check_paths(prepared.model)
    key = key_of(method, key, "smooth")
    if isinstance(model, Fitted) and model.draws:
        problem = problem_of(prepared.model, prepared.series, fixed=held_values(model), method=method)
        found = analysis.mean_smoother_arrays(problem, as_jax(flat_draws(model, _MOST_DRAWS)), key)
    else:
        found = analysis.smoother_arrays(known_problem(prepared.model, prepared.series, method), {}, key)
    return label_smoothed(found, prepared)


def as_jax(draws: dict[str, np.ndarray]) -> dict[str, Any]:
    """Draws as arrays that compiled functions take."""
    return {path: jnp.asarray(v) for path, v in draws.items()}


@for_each_member
def sample_states(
    model: Any,
    data: Any = None,
    method: AbstractMethod | None = None,
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
    prepared, method = prepared_for(model, data, method, inputs, times, "sample_states")
    method.check_paths(prepared.model)
    key = as_key(key)
    if isinstance(model, Fitted) and model.draws:
        problem = problem_of(prepared.model, prepared.series, fixed=held_values(model), method=method)
        choose, key = jax.random.split(key)
        draws, shape = chosen_draws(model, num_samples, choose)
        found = over_draws(lambda part, k: analysis.path_arrays(problem, part, k, 1)[:, 0], draws, key, False, "paths")
        paths = np.reshape(found, (*shape, *np.shape(found)[1:]))
    else:
        problem = known_problem(prepared.model, prepared.series, method)
        count = _UNLESS_TOLD if num_samples is None else num_samples
        paths = analysis.path_arrays(problem, {}, jax.random.split(key, 1), count)[0]
    return label_paths(paths, prepared)
