"""backtest and leave_future_out: how good the forecasts are."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..diagnostics import crps_ensemble
from ..inference.maximum_likelihood import MaximumLikelihood
from ..results import Fitted
from .door import as_key, prepare
from .filtering import filter
from .fitting import fit
from .forecasting import forecast


def leave_future_out(fitted: Fitted, start: int) -> pd.Series:
    """The log score of each stamp given the stamps before it, with the parameters' posterior.

        log p(y_t | y_<t) = log mean over draws of p(y_t | y_<t, parameters)

    The parameters are those of the fit: they are not learned again at each stamp (`backtest` does that).

    Args:
        fitted: A fit by NUTS.
        start: Position of the first stamp that is scored, or its date; it must lie beyond the diffuse phase.

    Returns:
        Log scores by stamp; their sum is the leave-future-out estimate.

    Raises:
        TypeError: If the fit has no draws.
        ValueError: If start is not a position of the series.

    Example:
        >>> import statespace as ss
        >>> ss.leave_future_out(None, 10)
        Traceback (most recent call last):
        ...
        TypeError: leave_future_out needs a fit by NUTS, got NoneType

    Reference: Buerkner, Gabry and Vehtari (2020), "Approximate leave-future-out cross-validation", JSCS 90.
    """
    if not isinstance(fitted, Fitted) or fitted.pointwise is None:
        raise TypeError(
            f"leave_future_out needs a fit by NUTS, got {getattr(fitted, 'method_name', type(fitted).__name__)}"
        )
    length = fitted.series.length
    start = start if isinstance(start, int | np.integer) else int(fitted.series.index.searchsorted(start))
    if not 0 < start < length:
        raise ValueError(f"start must be a position between 1 and {length - 1}, got {start}")
    seen = fitted.series.mask.any(axis=1)
    variances = np.diagonal(filter(fitted).observation_cov, axis1=1, axis2=2)
    improper = np.where(fitted.series.mask, ~np.isfinite(variances), False).any(axis=1)
    late = np.flatnonzero(np.asarray(improper)[start:])
    if len(late):
        stamp = fitted.series.index[start + int(late[0])]
        raise ValueError(
            f"start {start} lies before the end of the diffuse phase: {stamp} identifies a state or coefficient of its "
            "own, so its density has no scale; start later, or give that component a law (initial=)"
        )
    scored = np.flatnonzero(seen & (np.arange(length) >= start))  # a stamp without an observation has no score
    terms = fitted.pointwise["one_step"].reshape(-1, length)[:, scored]
    top = terms.max(axis=0)
    scores = top + np.log(np.mean(np.exp(terms - top), axis=0))
    return pd.Series(scores, index=fitted.series.index[scored], name="log_score")


def backtest(
    model: Any,
    data: Any,
    method: Any = None,
    *,
    horizon: int,
    origins: int | Sequence[int] = 5,
    season: int = 1,
    inputs: Any = None,
    transform: Any = None,
    num_samples: int = 500,
    key: Any,
    progress: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """Refit and forecast from several origins, beside the (seasonal) naive forecast.

    Args:
        model: The model.
        data: Series, (time,), with a frequency.
        method: Method of `fit`; maximum likelihood when left out. Each refit starts from the one before.
        horizon: Number of stamps forecast from each origin.
        origins: Number of origins, evenly spaced over the last half with the last `horizon` stamps before
            the end, or the number of stamps before each origin.
        season: Period of the naive forecast, which repeats the last full season.
        inputs: Input columns over the data.
        transform: As in `fit`.
        num_samples: Number of paths for the scores.
        key: PRNG key.
        progress: Whether to show a progress bar.
        **options: Further options of `fit` (`priors=`, `fixed=`).

    Returns:
        A frame with one row for each step ahead: mean absolute error, root mean squared error, CRPS and coverage of
        the 50 % and 90 % intervals of the model; the first two of the naive forecast; and their ratio of
        mean absolute errors (below 1: better than naive).

    Raises:
        ValueError: If an origin leaves too few stamps on either side.

    Example:
        >>> import jax, statespace as ss
        >>> model = ss.LocalLevel() + ss.Noise()
        >>> key = jax.random.key(0)
        >>> table = ss.backtest(model, ss.datasets.nile(), horizon=2, origins=[80], key=key, progress=False)
        >>> list(table.index)
        [1, 2]
    """
    prepared = prepare(model, data, inputs=inputs, transform=transform)
    if not prepared.series.univariate and len(prepared.series.names) > 1:
        raise ValueError(f"backtest scores one series, got {len(prepared.series.names)}: pass them one at a time")
    observed = prepared.transform.inverse(prepared.series.observed)[:, 0]
    points = _origins(origins, len(observed), horizon, season)
    method = MaximumLikelihood() if method is None else method
    series = prepared.series
    y = pd.Series(observed, series.index, name=series.names[0])
    x = None if series.inputs is None else pd.DataFrame(series.inputs, series.index, columns=list(series.input_names))
    rows, last = [], None
    for number, point in enumerate(tqdm(points, desc="backtest", disable=not progress)):
        fit_key, path_key = jax.random.split(jax.random.fold_in(as_key(key), number))
        past, coming = (None, None) if x is None else (x[:point], x[point : point + horizon])
        if prepared.model.reads_previous:  # what is missing would have to be drawn
            early, beside = y[:point], past
        else:  # of one length, so that all refits share their compiled functions
            early, beside = y.where(np.arange(len(y)) < point), x
        last = fit(
            model, early, method, inputs=beside, transform=transform, start=last, key=fit_key, progress=False, **options
        )
        ahead = forecast(
            last,
            y[:point],
            horizon=horizon,
            past_inputs=past,
            inputs=coming,
            num_samples=num_samples,
            key=path_key,
        )
        naive = observed[point - season + np.arange(horizon) % season]
        rows.append(_scores(ahead, observed[point : point + horizon], naive))
    return _table(rows, horizon)


def _origins(origins: int | Sequence[int], length: int, horizon: int, season: int) -> list[int]:
    if isinstance(origins, int):
        if origins < 1:
            raise ValueError(f"origins must be at least 1, got {origins}")
        points = np.unique(np.linspace(length // 2, length - horizon, origins).astype(int)).tolist()
    else:
        points = list(origins)
    for point in points:
        if not max(season, 2) <= point <= length - horizon:
            raise ValueError(
                f"origin {point} leaves too little: with {length} stamps, season {season} and horizon {horizon} "
                f"origins lie between {max(season, 2)} and {length - horizon}"
            )
    return points


def _scores(ahead: Any, actual: np.ndarray, naive: np.ndarray) -> dict[str, np.ndarray]:
    draws, mean = ahead.draws[:, :, 0], ahead.mean[:, 0]
    inside = {
        level: (ahead.quantile(0.5 - level / 2)[:, 0] <= actual) & (actual <= ahead.quantile(0.5 + level / 2)[:, 0])
        for level in (0.5, 0.9)
    }
    return {
        "error": actual - mean,
        "crps": np.asarray(crps_ensemble(draws, actual)),
        "inside50": np.where(np.isfinite(actual), inside[0.5], np.nan),
        "inside90": np.where(np.isfinite(actual), inside[0.9], np.nan),
        "naive": actual - naive,
    }


def _table(rows: list[dict[str, np.ndarray]], horizon: int) -> pd.DataFrame:
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    mae, naive = np.nanmean(np.abs(stacked["error"]), axis=0), np.nanmean(np.abs(stacked["naive"]), axis=0)
    return pd.DataFrame(
        {
            "mae": mae,
            "rmse": np.sqrt(np.nanmean(stacked["error"] ** 2, axis=0)),
            "crps": np.nanmean(stacked["crps"], axis=0),
            "coverage_50": np.nanmean(stacked["inside50"], axis=0),
            "coverage_90": np.nanmean(stacked["inside90"], axis=0),
            "naive_mae": naive,
            "naive_rmse": np.sqrt(np.nanmean(stacked["naive"] ** 2, axis=0)),
            "mae_ratio": mae / naive,
        },
        index=pd.RangeIndex(1, horizon + 1, name="step"),
    )
