"""forecast and simulate."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from ..data import future, placeholder
from ..inference import analysis
from ..inference.problem import stamps
from ..results import AbstractFiltered, DivergenceWarning, Fitted, Forecast, PathForecast, labelled_simulation
from .door import (
    as_key,
    as_model,
    bind,
    check_method,
    chosen_draws,
    flat_draws,
    known_problem,
    names_of_series,
    prepare,
    problem_of,
    require_known,
    values_of,
)
from .labelling import names_of
from .panel import for_each_member
from .workers import over_draws

_AWAY = 1000.0  # times the data's spread: farther away a path is not one of the data
_PATHS = 1000  # of a forecast that is made of paths, unless told otherwise


@for_each_member
def forecast(
    model: Any,
    data: Any = None,
    *,
    horizon: int | None = None,
    times: Any = None,
    inputs: Any = None,
    past_inputs: Any = None,
    num_samples: int | None = None,
    method: Any = None,
    key: Any = None,
) -> Forecast:
    """Predict the stamps that follow the data.

    Only prediction steps are run: no observation is made up. With posterior draws the forecast is the mixture
    over them; each draw contributes its moments and a joint path.

    Args:
        model: A fit, what `filter` or `append` returned, or a model with known parameters together with data.
        data: Series; the fit's own when left out.
        horizon: Number of stamps to predict, at the data's frequency.
        times: Stamps to predict, where the data have no frequency.
        inputs: Input columns over the horizon, if the model reads any (rows before it are passed over).
        past_inputs: Input columns over the data, where data are given and `inputs` is not a table that covers them.
        num_samples: Number of joint paths: by default one for each posterior draw, and none for a model with
            known parameters. Where the future is not normal (counts, nonlinear models) the forecast is made of
            paths, by default 1000, from posterior draws that are spread out over all.
        method: Filtering method: that of the fit or filter result, else the exact one of the model.
        key: PRNG key, or a whole number that makes one, needed for paths.

    Returns:
        A `Forecast` on the original scale: `mean`, `quantile(q)`, `to_pandas()`, `draws`, `components`.

    Raises:
        ValueError: If neither horizon nor times is given, inputs do not cover the horizon, the data have no
            frequency to continue, or a key is needed.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(1469.1**0.5) + ss.Noise(15099**0.5)
        >>> ahead = ss.forecast(model, ss.datasets.nile(), horizon=2)
        >>> round(float(ahead.mean[0, 0]), 3), str(ahead.index[0].date())
        (798.37, '1971-01-01')

    Reference: Durbin and Koopman (2012), section 4.11.
    """
    fitted = model if isinstance(model, Fitted | AbstractFiltered) else None
    labelled = isinstance(inputs, pd.Series | pd.DataFrame | xr.DataArray | xr.Dataset)
    if data is not None and past_inputs is None and labelled:
        past_inputs = inputs  # one table that covers both
    goes_on = data is None and method is None  # from the belief of a filter result, if that is what was passed
    if method is None and fitted is not None:
        method = fitted.filter_method
    bound, series, transform = _known(model, fitted, data, past_inputs)
    method = check_method(bound, method, "forecast")
    ahead = future(series, horizon=horizon, times=times, inputs=inputs)
    draws = flat_draws(fitted) if isinstance(fitted, Fitted) and fitted.draws is not None else None
    by_paths = method.forecasts_by_paths(bound)
    paths, key = _num_paths(num_samples, draws, by_paths), None if key is None else as_key(key)
    if paths and key is None:
        raise ValueError("joint paths are random: pass key=jax.random.key(0) (any integer)")
    dt = None if series.is_regular else ahead.dt
    steps = stamps(bound, ahead.length, start=series.length, inputs=ahead.inputs, time=ahead.time, dt=dt)
    use, choose = jax.random.split(jax.random.key(0) if key is None else key)  # without paths nothing is drawn
    if draws is not None:
        problem = problem_of(bound, series, fixed=_held(bound, draws), method=method)
        if by_paths:  # a filter run for each path's draw of the parameters, and no more
            draws = _spread_out(draws, paths)
        each = -(-paths // len(next(iter(draws.values()))))  # moments always come from all draws
        found = over_draws(
            lambda part, keys: analysis.forecast_arrays(problem, part, steps, keys, each), draws, use, False, "forecast"
        )
    else:
        keys = jax.random.split(use, 1)
        last = model.belief if isinstance(model, AbstractFiltered) and goes_on and model.can_go_on else None
        problem = known_problem(bound, series, method)
        found = jax.device_get(analysis.forecast_arrays(problem, {}, steps, keys, paths, last))
    if not by_paths and not np.all(np.isfinite(found.moments.state_mean)):
        raise ValueError(
            "the data end before they identify every state of the model (its diffuse start is still open), so there "
            "is no forecast: give more data or a proper initial law, or drop a component that repeats another"
        )
    kind = PathForecast if by_paths else Forecast
    return _forecast(kind, found, series, ahead, transform, bound, paths, choose)


def _num_paths(asked: int | None, draws: dict[str, Any] | None, by_paths: bool) -> int:
    """How many joint paths are drawn: where the law is known by paths only, never none."""
    count = 0 if draws is None else len(next(iter(draws.values())))
    if asked is None:
        return _PATHS if by_paths else count
    if asked < (1 if by_paths else 0):
        least = "be at least 1 where the forecast is made of paths" if by_paths else "not be negative"
        raise ValueError(f"num_samples must {least}, got {asked}")
    return asked


def _spread_out(draws: dict[str, Any], count: int) -> dict[str, Any]:
    """Evenly spaced draws, at most so many."""
    total = len(next(iter(draws.values())))
    rows = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    return {path: v[rows] for path, v in draws.items()}


def _held(model: Any, draws: dict[str, Any]) -> dict[str, Any]:
    return {path: value for path, value in values_of(model).items() if path not in draws}


def _known(model: Any, fitted: Fitted | AbstractFiltered | None, data: Any, past_inputs: Any) -> tuple[Any, Any, Any]:
    if fitted is None:
        if data is None:
            raise ValueError("forecast needs data to start from (only a fit or a filter result carries its own)")
        bound, series, transform = prepare(model, data, inputs=past_inputs)
        require_known(bound, "forecast")
        return bound, series, transform
    if data is None and past_inputs is not None:
        raise ValueError("past_inputs= goes with data; the fit has its own inputs")
    if data is None:
        return fitted.model, fitted.series, fitted.transform
    return prepare(fitted, data, inputs=past_inputs)


def _forecast(
    kind: type[Forecast], found: Any, series: Any, ahead: Any, transform: Any, model: Any, paths: int, key: Any
) -> Forecast:
    """Mixture moments over draws, and the paths on the original scale."""
    m = found.moments
    mean, cov = _mixture(m.mean, m.cov)
    state_mean, state_cov = _mixture(m.state_mean, m.state_cov)
    components = {}
    for name in names_of(model, found.component_mean):
        each = found.component_mean[name]
        variance = np.mean(found.component_var[name], axis=0) + np.var(each, axis=0)
        components[name] = (np.mean(each, axis=0), np.sqrt(np.maximum(variance, 0.0)))
    flat = np.asarray(found.paths).reshape(-1, *found.paths.shape[2:])
    if len(flat) > paths > 0:
        chosen = jax.random.permutation(key, len(flat))[:paths]
        flat = flat[np.sort(np.asarray(chosen))]
    if kind is PathForecast:
        _warn_of_divergence(flat, series, ahead.index)
    return kind(
        series=series,
        index=ahead.index,
        transform=transform,
        mean_t=mean,
        cov_t=cov,
        state_mean=state_mean,
        state_cov=state_cov,
        state_names=model.state_names,
        components=components or None,
        draws=np.asarray(transform.inverse(flat)) if paths else None,  # pyright: ignore[reportArgumentType]  never None
        mixture=(np.asarray(m.mean), np.asarray(m.cov)) if len(m.mean) > 1 else None,
        inputs=ahead.inputs,
        input_names=ahead.input_names,
    )


def _warn_of_divergence(paths: np.ndarray, series: Any, index: pd.Index) -> None:
    """Warn of paths (path, time, series) that run away from the data, on the model's scale."""
    level, scale = series.level(), series.scale()
    size = np.maximum(scale, np.abs(level))
    known = np.isfinite(size) & (size > 0)
    away = ~(np.abs(paths - level) <= _AWAY * size)[..., known].all(axis=-1)
    share = away.mean(axis=0)
    if not np.any(share > 0.01):
        return
    first = index[int(np.argmax(share > 0.01))]
    warnings.warn(
        f"{share.max():.0%} of the paths end up a thousand times farther from the data's mean than the data, from "
        f"{first} on: the model is not stable where it runs free (give priors and fit by MAP(), or, of an "
        "EchoState, raise the ridge)",
        DivergenceWarning,
        stacklevel=4,
    )


def _mixture(mean: np.ndarray, cov: Any) -> tuple[np.ndarray, Any]:
    centre = mean.mean(axis=0)
    if cov is None:  # of a state too large for it
        return centre, None
    spread = mean - centre
    return centre, cov.mean(axis=0) + np.einsum("dti,dtj->tij", spread, spread) / len(mean)


def simulate(
    model: Any,
    length: int | None = None,
    *,
    times: Any = None,
    inputs: Any = None,
    series: Sequence[str] | None = None,
    num_samples: int = 1,
    key: Any,
) -> Any:
    """Draw series from a model whose parameters and first law are proper.

    Args:
        model: Model with known parameters and no diffuse first state, or a fit of one; with posterior draws each
            series has its own draw of the parameters.
        length: Number of stamps.
        times: Stamps (dates or numbers), in place of a length.
        inputs: Input columns, one row a stamp, if the model reads any.
        series: Names of the series, where the model does not tell how many there are.
        num_samples: Number of draws.
        key: PRNG key.

    Returns:
        An `xarray.Dataset` with `y` (draw, time, series) and `states` (draw, time, state).

    Raises:
        ValueError: If a parameter is unknown, the first law is diffuse, neither length nor times is given, or
            num_samples is below 1.

    Example:
        >>> import jax, statespace as ss
        >>> model = ss.LocalLevel(1.0, initial=ss.InitialLaw.known([0.0])) + ss.Noise(1.0)
        >>> ss.simulate(model, 5, key=jax.random.key(0)).y.shape
        (1, 5, 1)
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    fitted, model = model if isinstance(model, Fitted | AbstractFiltered) else None, as_model(model)
    names = names_of_series(model, series)
    blank = placeholder(length, times=times, inputs=inputs, input_columns=model.input_names, names=names)
    bound = bind(model, blank)
    require_known(bound, "simulate")
    dt = None if blank.is_regular else blank.dt
    steps = stamps(bound, blank.length, inputs=blank.inputs, time=blank.time, dt=dt)
    choose, key = jax.random.split(as_key(key))
    draws: dict[str, Any] = {}
    if isinstance(fitted, Fitted) and fitted.draws:
        draws = jax.tree.map(jnp.asarray, chosen_draws(fitted, num_samples, choose)[0])
    states, values = analysis.simulated_arrays(bound, draws, steps, jax.random.split(key, num_samples))
    values = np.asarray(values) if fitted is None else fitted.transform.inverse(np.asarray(values))
    return labelled_simulation(np.asarray(states), np.asarray(values), blank, bound.state_names)
