"""From what users have to a `Series`, and the rows that follow one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .future import following_stamps
from .index import check_same_kind, check_stamps, clock, elapsed, frequency, stamps_from_times
from .inputs import check_given, match_inputs
from .series import Series
from .table import Table, read_table, to_floats

_WHAT = "the data"
_NEW = "the new rows"


def as_series(
    data: Any,
    inputs: Any = None,
    times: Any = None,
    input_columns: Sequence[str] | None = (),
    *,
    may_be_missing: bool = False,
) -> Series:
    """Coerce and check observations, their stamps and their inputs.

    Regular stamps (a frequency, periods, whole numbers in equal steps) are one period apart: `dt` is 1, for
    months too. Dates without a regular frequency are measured in days, other numbers in their own unit.

    Args:
        data: Observations (time) or (time, series), NaN where missing: a pandas Series or DataFrame, an
            xarray DataArray or Dataset with the dimension `time`, a NumPy or JAX array, a list of numbers, or a
            `Series`, which comes back as it is, with its own inputs and stamps.
        inputs: Values of the input columns: pandas or xarray with every stamp of the data, or an array with
            as many rows as the data.
        times: The stamps of data that have none: dates or numbers.
        input_columns: Names of the columns that the model reads; None keeps all that are given.
        may_be_missing: Whether a series may have no observation at all, as where what it looks like is known already.

    Returns:
        The series.

    Raises:
        TypeError: If data, stamps or inputs are of a kind that cannot be used.
        ValueError: If their shapes, stamps, names or values do not fit, or a `Series` comes with inputs or stamps.

    Example:
        >>> import pandas as pd
        >>> years = pd.period_range("2000", periods=3, freq="Y")
        >>> flow = pd.Series([1.0, float("nan"), 2.0], years, name="flow")
        >>> as_series(flow)
        Series(flow: 3 stamps, 2000 to 2002, freq='Y-DEC')
    """
    if isinstance(data, Series):
        if inputs is not None or times is not None:
            raise ValueError("a Series has its own inputs and stamps: pass it without inputs= and times=")
        return data
    given = check_given(inputs, input_columns)
    table = _named(read_table(data, _WHAT), None)
    series = _build(table, _stamps(table, times))
    if not may_be_missing:
        check_observed(series)
    if not given:
        return series
    matched = match_inputs(inputs, input_columns, series.index, _WHAT, by_number=times is None)
    return replace(series, inputs=matched[0], input_names=matched[1])


def append_series(series: Series, new: Any, *, inputs: Any = None, times: Any = None) -> Series:
    """The rows that follow a series, coerced and checked as `as_series` does.

    Args:
        series: What is known so far.
        new: New observations: with stamps that follow the series, or an array of the next rows if it is
            regular.
        inputs: Inputs of the new rows, if the series has inputs; rows of earlier stamps are skipped.
        times: Stamps of the new rows, if they have none.

    Returns:
        The new rows only; their `time` continues that of the series and the first `dt` is the real gap.

    Raises:
        TypeError: If the rows are of a kind that cannot be used.
        ValueError: If they do not follow the series, have other names, or lack stamps or inputs.

    Example:
        >>> from statespace.data import append_series, as_series
        >>> rows = append_series(as_series([1.0, 2.0]), [3.0])
        >>> rows.time, rows.dt
        (array([2.]), array([1.]))
    """
    given = check_given(inputs, series.input_names)
    table = _named(read_table(new, _NEW), series.names)
    index = _next_stamps(series, table, times)
    time, dt = _continued(series, index)
    rows = replace(_build(table, index, _NEW), time=time, dt=dt, freq=series.freq, is_regular=series.is_regular)
    rows = replace(rows, univariate=series.univariate)
    if not given:
        return rows
    values, names = match_inputs(inputs, series.input_names, index, _NEW, by_number=times is None)
    return replace(rows, inputs=values, input_names=names)


def on_the_clock(series: Series, like: Series) -> Series:
    """A series measured by the clock of another one, to which a model was fitted: in the same periods, or in days.

    Args:
        series: New data.
        like: The data of the fit.

    Raises:
        ValueError: If the fit's data are regular and the new ones have gaps, or another frequency.
    """
    kinds = (pd.DatetimeIndex, pd.PeriodIndex)
    if not (isinstance(series.index, kinds) and isinstance(like.index, kinds)):
        same = series.is_regular == like.is_regular or series.length == 1
        return series if same else _other_clock(series, like)
    if not like.is_regular:
        return _irregular(series) if series.is_regular else series
    if isinstance(series.index, pd.DatetimeIndex) and isinstance(like.index, pd.DatetimeIndex):
        first: Any = series.index[0]
        grid = pd.date_range(first, periods=series.length, freq=like.index.freq).as_unit(series.index.unit)
        if grid.equals(series.index):
            time, dt, _ = clock(grid)
            return replace(series, index=grid, freq=like.freq, time=time, dt=dt, is_regular=True)
    return series if series.is_regular and _alike(series.index, like.index) else _other_clock(series, like)


def _irregular(series: Series) -> Series:
    """A regular series of dates measured in days."""
    index = _dates(series.index)
    days = elapsed(index, index[0])
    dt = np.concatenate([[np.nan], np.diff(days)])
    bare: Any = index.copy()
    bare.freq = None
    return replace(series, index=bare, freq=None, time=days, dt=dt, is_regular=False)


def _alike(first: pd.Index, second: pd.Index) -> bool:
    """Whether two regular indices of dates have steps of about one length, as far as that shows."""
    sizes = [_step_in_days(index) for index in (first, second) if len(index) > 1]
    return len(sizes) < 2 or bool(abs(sizes[0] / sizes[1] - 1) < 0.1)


def _step_in_days(index: pd.Index) -> float:
    days = elapsed(_dates(index), _dates(index)[0])
    return float(days[-1] / (len(days) - 1))


def _dates(index: Any) -> pd.DatetimeIndex:
    return index.to_timestamp() if isinstance(index, pd.PeriodIndex) else pd.DatetimeIndex(index)


def _other_clock(series: Series, like: Series) -> Series:
    had, wanted = (part.freq or ("regular" if part.is_regular else "irregular") for part in (series, like))
    cure = f"; pass data.asfreq({like.freq!r}), which leaves NaN where nothing was observed" if like.freq else ""
    raise ValueError(
        f"the data have the frequency {had!r}, but the model was fitted to {wanted!r}: a step would be another length "
        f"of time{cure}"
    )


def _build(table: Table, index: pd.Index, what: str = _WHAT) -> Series:
    observed = to_floats(table.frame.set_axis(index, axis=0), what)
    mask = ~np.isnan(observed)
    time, dt, regular = clock(index)
    return Series(
        values=np.where(mask, observed, 0.0),
        mask=mask,
        index=index,
        names=tuple(table.frame.columns),
        univariate=table.univariate,
        inputs=None,
        input_names=(),
        freq=frequency(index),
        time=time,
        dt=dt,
        is_regular=regular,
    )


def _named(table: Table, names: tuple[str, ...] | None) -> Table:
    """The table with the names of the series: its own, those of an earlier part, or y, y0, y1, ..."""
    width = table.frame.shape[1]
    if names is None:
        made = ("y",) if width == 1 else tuple(f"y{i}" for i in range(width))
        return table if table.named else table.renamed(made)
    if width != len(names) or (table.named and set(table.frame.columns) != set(names)):
        got = ", ".join(map(repr, table.frame.columns)) if table.named else f"{width} without names"
        raise ValueError(
            f"the new rows got the series {got}, expected {', '.join(map(repr, names))}; give the same series as before"
        )
    return table.renamed(names) if not table.named else replace(table, frame=table.frame.loc[:, list(names)])


def _stamps(table: Table, times: Any, what: str = _WHAT) -> pd.Index:
    if times is None:
        return check_stamps(table.frame.index, what)
    if table.stamped and not table.numbered:
        raise ValueError(
            f"got times= for {what} that have an index of their own, expected one or the other; leave "
            "times= out, or pass data.to_numpy()"
        )
    return stamps_from_times(times, len(table.frame))


def check_observed(series: Series) -> None:
    """Raise a ValueError if a series has no observation at all."""
    for name, present in zip(series.names, series.mask.T, strict=True):
        if not present.any():
            raise ValueError(
                f"series {name!r} is all missing: got {series.length} NaN, expected at least one "
                "observation; drop the series"
            )


def _next_stamps(series: Series, table: Table, times: Any) -> pd.Index:
    """The stamps of new rows: their own, those of `times=`, or (unlabelled rows) the next ones."""
    if times is None and not table.stamped:
        if not series.is_regular:
            raise ValueError(
                f"the new rows got no stamps, expected later ones than {series.index[-1]}, since the series "
                "has no frequency; pass times="
            )
        return following_stamps(series, len(table.frame), None)
    index = _stamps(table, times, _NEW)
    check_same_kind(index, series.index, "the index of the new rows", "give the new rows the same kind of index")
    return following_stamps(series, len(index), index)


def _continued(series: Series, index: pd.Index) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    last = series.time[-1]
    if series.is_regular:
        return last + np.arange(1.0, len(index) + 1), np.ones(len(index))
    time = last + elapsed(index, series.index[-1])
    return time, np.diff(time, prepend=last)


def placeholder(
    length: int | None, *, times: Any, inputs: Any, input_columns: Sequence[str], names: tuple[str, ...]
) -> Series:
    """A series whose observations are all missing: the stamps and inputs that a simulation runs over.

    Args:
        length: Number of stamps, if they are not given.
        times: The stamps: a pandas index, dates or numbers.
        inputs: Values of the input columns.
        input_columns: Names of the columns that the model reads.
        names: Names of the series.

    Raises:
        ValueError: If neither or both of length and times are given, or inputs do not fit.
    """
    if (length is None) == (times is None):
        raise ValueError(f"give either a length or times=, got length={length!r} and times={times!r}")
    if length is not None and (not isinstance(length, int) or length < 1):
        raise ValueError(f"length must be a whole number of stamps, at least 1, got {length!r}")
    if length is not None:
        index: pd.Index = pd.RangeIndex(length)
    elif isinstance(times, pd.Index):
        index = check_stamps(times, _WHAT)
    else:
        index = stamps_from_times(times, len(times))
    given = check_given(inputs, input_columns)
    frame = pd.DataFrame(np.nan, index, list(names))
    series = _build(Table(frame, True, True, len(names) == 1), index)
    if not given:
        return series
    matched = match_inputs(inputs, input_columns, series.index, _WHAT, by_number=times is None)
    return replace(series, inputs=matched[0], input_names=matched[1])
