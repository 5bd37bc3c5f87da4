"""score_forecasts: how good forecasts are that run free, from several origins of many sequences."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..diagnostics import crps_ensemble, pit
from ..results import Fitted, ForecastScores, PanelFit
from .door import Prepared, as_key, prepare
from .forecasting import forecast
from .panel import parts_of


def score_forecasts(
    model: Any,
    data: Any = None,
    *,
    horizon: int,
    origins: int | Sequence[int] = 1,
    levels: Sequence[float] = (0.5, 0.9),
    inputs: Any = None,
    times: Any = None,
    method: Any = None,
    num_samples: int = 500,
    key: Any,
    progress: bool = True,
) -> ForecastScores:
    """Score forecasts by what happened: nothing is learned again, and beyond its origin a forecast is told nothing.

    The model is filtered up to each origin, paths run free over the horizon, and every value is compared with what was
    observed there. (`backtest` refits at each origin.) A length of data before an origin is compiled once: few origins,
    the same for all sequences, are fast.

    Args:
        model: A fit, of one series or of a panel, or a model whose parameters are known.
        data: A series or a panel, best one that the model was not learned from; the fit's own when left out.
        horizon: Number of stamps forecast from each origin.
        origins: Number of origins in each sequence, evenly spaced over its last half, or the numbers of stamps before
            each.
        levels: Probabilities of the central intervals whose coverage is told.
        inputs: Input columns over the data, if the model reads any.
        times: Stamps of data that carry none.
        method: Filtering method; that of the fit, or the exact one of the model, when left out.
        num_samples: Number of paths of each forecast.
        key: PRNG key, or a whole number that makes one.
        progress: Whether to show a progress bar.

    Returns:
        `ForecastScores`: `table()` by step ahead with errors, CRPS and coverage beside the last value's errors,
        `to_pandas()` with every value's score and PIT. `ss.plots.calibration` draws them.

    Raises:
        ValueError: If an origin leaves too few stamps on either side, a level is not between 0 and 1, or fewer than two
            paths are asked for.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(1469.1**0.5) + ss.Noise(15099**0.5)
        >>> scores = ss.score_forecasts(model, ss.datasets.nile(), horizon=3, origins=[60, 80], key=0, progress=False)
        >>> scores.table()["count"].tolist()
        [2, 2, 2]

    Reference: Gneiting and Katzfuss (2014), "Probabilistic forecasting", Annual Review of Statistics 1.
    """
    if not isinstance(horizon, int) or horizon < 1:
        raise ValueError(f"horizon is {horizon!r}, expected a whole number of at least 1")
    if num_samples < 2:
        raise ValueError(f"num_samples must be at least 2, got {num_samples}")
    if not levels or not all(0 < level < 1 for level in levels):
        raise ValueError(f"levels lie between 0 and 1, got {list(levels)}")
    names, models, parts = _sequences(model, data, inputs, times)
    one = parts[names[0]].series.names
    points = {name: _origins(origins, part.series.length, horizon, name) for name, part in parts.items()}
    tasks = [(name, point) for name in names for point in points[name]]
    short = [name for name in names if not points[name]]
    if not tasks:
        raise ValueError(f"a horizon of {horizon} leaves too little: no sequence has more stamps than that")
    if short:
        warnings.warn(
            f"left out {', '.join(map(repr, short))}: no more stamps than the horizon of {horizon}", stacklevel=2
        )
    rows, stamps = [], []
    for (name, point), k in zip(
        tqdm(tasks, desc="forecasts", disable=not progress), jax.random.split(as_key(key), len(tasks)), strict=True
    ):
        part = parts[name]
        if part.series.names != one:
            raise ValueError(f"{name!r} has the series {part.series.names}, but {names[0]!r} has {one}")
        rows.append(_scored(models[name], part, point, horizon, levels, method, num_samples, k))
        stamps.append(part.series.index[point - 1])
    values = {what: np.stack([row[what] for row in rows], axis=what == "inside") for what in rows[0]}
    return ForecastScores(
        **values,
        levels=tuple(levels),
        sequences=tuple(name for name, _ in tasks),
        origins=pd.Index(stamps),
        names=one,
        num_samples=num_samples,
    )


def _sequences(model: Any, data: Any, inputs: Any, times: Any) -> tuple[list[str], dict[str, Any], dict[str, Prepared]]:
    """Names of the sequences, and the model and data of each."""
    fits = dict(model) if isinstance(model, PanelFit) else {}
    first = next(iter(fits.values())) if fits else model
    if data is None and not isinstance(first, Fitted):
        raise ValueError("score_forecasts needs data (only a fit carries its own)")
    if data is None:
        own: dict[str, Any] = fits or {"y": model}
        return list(own), own, {name: Prepared(f.model, f.series, f.transform) for name, f in own.items()}
    given = parts_of(data, inputs, times)
    models = {name: fits.get(name, first) for name in given}
    found = {n: prepare(models[n], y, inputs=own, times=at) for n, (y, own, at) in given.items()}
    models = {n: m if isinstance(m, Fitted) else found[n].model for n, m in models.items()}  # bound once, to all
    return list(given), models, found


def _origins(origins: int | Sequence[int], length: int, horizon: int, name: str) -> list[int]:
    """Numbers of stamps before each origin of a sequence."""
    if isinstance(origins, int | np.integer):
        if origins < 1:
            raise ValueError(f"origins must be at least 1, got {origins}")
        if length <= horizon:
            return []
        last = length - horizon
        first = min(max(length // 2, 1), last)
        spots = np.linspace(first, last, int(origins) + (origins == 1))[: int(origins)]
        points = np.unique(spots.astype(int)).tolist()
    else:
        points = [int(point) for point in origins]
    for point in points:
        if not 1 <= point <= length - horizon:
            raise ValueError(
                f"origin {point} of {name!r} leaves too little: with {length} stamps and a horizon of {horizon} "
                f"origins lie between 1 and {length - horizon}"
            )
    return points


def _scored(
    model: Any, part: Prepared, point: int, horizon: int, levels: Any, method: Any, num_samples: int, key: Any
) -> dict[str, np.ndarray]:
    """The scores of one forecast."""
    series = part.series
    observed = part.transform.inverse(series.observed)
    before, ahead = slice(point), slice(point, point + horizon)
    found = forecast(
        model,
        series.with_observed(observed)[before],
        horizon=horizon if series.is_regular else None,
        times=None if series.is_regular else series.index[ahead],
        inputs=None if series.inputs is None else series.inputs[ahead],
        num_samples=num_samples,
        method=method,
        key=key,
    )
    actual, draws = observed[ahead], found.draws
    ends = [(found.quantile(0.5 - level / 2), found.quantile(0.5 + level / 2)) for level in levels]
    inside = [np.where(np.isnan(actual), np.nan, (low <= actual) & (actual <= high)) for low, high in ends]
    return {
        "error": actual - found.mean,
        "naive": actual - pd.DataFrame(observed[before]).ffill().to_numpy()[-1],
        "crps": crps_ensemble(draws, actual),
        "pit": pit(draws, actual),
        "inside": np.stack(inside),
    }
