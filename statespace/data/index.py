"""Stamps: what kind they are, whether they are regular, and how they continue."""

import datetime
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_STRETCH, _FEW = 8, 0.5
_DATES = (datetime.date, np.datetime64)


def check_stamps(index: pd.Index, what: str) -> pd.Index:
    """Sorted, unique stamps; evenly spaced integers become a RangeIndex, regular dates carry their frequency.

    Args:
        index: The index of the data.
        what: How to name it in messages.

    Returns:
        The same stamps.

    Raises:
        TypeError: If the stamps are neither dates, periods nor numbers.
        ValueError: If stamps are missing, equal or not in order, or if periods are left out.

    Example:
        >>> import pandas as pd
        >>> check_stamps(pd.DatetimeIndex(["2020-01-31", "2020-02-29", "2020-03-31"]), "the data").freqstr
        'ME'
    """
    kind_of(index, what)
    _check_order(index, what)
    if isinstance(index, pd.DatetimeIndex):
        return _with_frequency(index)
    if isinstance(index, pd.PeriodIndex):
        return _without_gaps(index, what)
    return _as_range(index)


def kind_of(index: pd.Index, what: str) -> str:
    """What the stamps are, in words (only equal kinds can be compared); TypeError if they cannot be used."""
    if isinstance(index, pd.DatetimeIndex):
        return f"dates in time zone {index.tz}" if index.tz is not None else "dates"
    if isinstance(index, pd.PeriodIndex):
        return f"periods of frequency {index.freqstr}"
    if not isinstance(index, pd.MultiIndex) and index.dtype.kind in "iuf":
        return "numbers"
    held = "text" if index.inferred_type == "string" else f"{type(index).__name__} of dtype {index.dtype}"
    raise TypeError(
        f"got {held} as the stamps of {what}, expected dates, periods or numbers; set the index to "
        "pd.to_datetime(...) or pd.PeriodIndex(...)"
    )


def check_same_kind(index: pd.Index, expected: pd.Index, what: str, cure: str) -> None:
    """Raise a ValueError unless `index` can be compared with the index `expected` of the data."""
    got, wanted = kind_of(index, what), kind_of(expected, "the data")
    if got != wanted:
        raise ValueError(f"{what} got {got}, expected {wanted} as in the data; {cure}")


def stamps_from_times(times: Any, length: int | None = None) -> pd.Index:
    """The index of stamps given as `times=`: numbers in their own unit, or dates.

    Numbers one apart become a RangeIndex, which can be continued.

    Args:
        times: One-dimensional numbers, dates or periods.
        length: How many are expected.

    Raises:
        TypeError: If they are neither dates, periods nor numbers.
        ValueError: If they are not one-dimensional, not as many as expected, missing, infinite or do not
            increase.

    Example:
        >>> stamps_from_times([0.0, 0.5, 2.0])
        Index([0.0, 0.5, 2.0], dtype='float64')
    """
    index = _index_of(times)
    if length is not None and len(index) != length:
        raise ValueError(f"times= got {len(index)} stamps, expected {length}; give one for each row of the data")
    if kind_of(index, "times=") != "numbers":
        return check_stamps(index, "times=")
    _check_order(index, "times=")
    steps = np.diff(index.to_numpy(np.float64))
    return _as_range(pd.Index(index.astype(np.int64))) if len(steps) and _whole(index) and np.all(steps == 1) else index


def clock(index: pd.Index) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Time since the first stamp, since the previous one (NaN at the first), and whether they are regular."""
    regular = is_regular(index)
    time = np.arange(len(index), dtype=np.float64) if regular else elapsed(index, index[0])
    return time, np.concatenate([[np.nan], np.diff(time)]), regular


def is_regular(index: pd.Index) -> bool:
    """Whether the stamps of a checked index have a frequency or a step."""
    return isinstance(index, pd.PeriodIndex | pd.RangeIndex) or getattr(index, "freq", None) is not None


def moment(index: pd.Index, at: Any) -> float:
    """The time of a stamp, inside the index or not, on the clock that starts at its first stamp.

    On a regular index this is a position: below 0 before the first stamp, beyond the last one after it, and half way
    between two stamps for what is no stamp. On an irregular one it is in days, or in the stamps' own unit.

    Args:
        index: A checked index.
        at: A number, a date, or the text of one.

    Raises:
        ValueError: If `at` is no date.

    Example:
        >>> import pandas as pd
        >>> months = pd.date_range("2020-01-01", periods=3, freq="MS")
        >>> moment(months, "2020-06-01"), moment(months, "2020-02-10")
        (5.0, 1.5)
    """
    if isinstance(index, pd.PeriodIndex):
        period: Any = pd.Period(at, freq=index.freq)
        return float(period.ordinal - index[0].ordinal)
    if not isinstance(index, pd.DatetimeIndex):
        return (float(at) - float(index[0])) / (index.step if isinstance(index, pd.RangeIndex) else 1.0)
    stamp: Any = pd.Timestamp(at)
    if stamp.tz is None or index.tz is None:
        stamp = stamp.tz_localize(None).tz_localize(index.tz)
    elif index.tz is not None:
        stamp = stamp.tz_convert(index.tz)
    if not is_regular(index):
        return float((stamp - index[0]) / pd.Timedelta(days=1))
    if stamp < index[0]:
        return -1.0
    start: Any = index[0]
    grid = index if stamp <= index[-1] else pd.date_range(start, stamp, freq=index.freq)
    before = int(grid.searchsorted(stamp, side="left"))
    return float(before) if before < len(grid) and grid[before] == stamp else before - 0.5


def frequency(index: pd.Index) -> str | None:
    """The frequency of dates or periods as pandas writes it."""
    return index.freqstr if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex) else None


def elapsed(index: pd.Index, since: Any) -> NDArray[np.float64]:
    """Days since a date, or the difference of numbers."""
    if isinstance(index, pd.DatetimeIndex):
        return ((index - since) / pd.Timedelta(days=1)).to_numpy(np.float64)
    return index.to_numpy(np.float64) - float(since)


def following(index: pd.Index, horizon: int) -> pd.Index:
    """The `horizon` stamps that follow a regular index."""
    last = index[-1]
    if isinstance(index, pd.RangeIndex):
        return pd.RangeIndex(last + index.step, last + index.step * (horizon + 1), index.step, name=index.name)
    if isinstance(index, pd.PeriodIndex):
        return pd.period_range(last + 1, periods=horizon, freq=index.freq, name=index.name)
    dates = pd.DatetimeIndex(index)
    return pd.date_range(last, periods=horizon + 1, freq=dates.freq, name=index.name)[1:].as_unit(dates.unit)


def _index_of(times: Any) -> pd.Index:
    if isinstance(times, pd.Index):
        return times
    if isinstance(times, list | tuple) and times and all(isinstance(stamp, _DATES) for stamp in times):
        return pd.DatetimeIndex(times)
    if isinstance(times, pd.Series):
        return pd.Index(times)
    stamps = np.asarray(times)
    if stamps.ndim != 1:
        raise ValueError(f"times= got {stamps.ndim} dimensions, expected one; give a list of dates or numbers")
    return pd.Index(stamps)


def _check_order(index: pd.Index, what: str) -> None:
    if not len(index):
        raise ValueError(f"{what} got no stamps, expected at least one")
    if index.hasnans or (index.dtype.kind == "f" and not np.isfinite(index.to_numpy()).all()):
        raise ValueError(f"{what} got a missing or infinite stamp, expected every row to have one; drop these rows")
    if index.has_duplicates:
        raise ValueError(
            f"{what} got duplicate stamps (first: {index[index.duplicated()][0]}), expected each once; drop "
            "or average the rows that share a stamp"
        )
    if not index.is_monotonic_increasing:
        late = index[1:][np.asarray(index[1:] < index[:-1])]
        raise ValueError(
            f"{what} got unsorted stamps ({late[0]} comes after a later one), expected increasing ones; "
            "sort the rows by time, as .sort_index() does"
        )


def _with_frequency(index: pd.DatetimeIndex) -> pd.DatetimeIndex:
    if index.freq is not None or len(index) < 3:
        return index
    freq = _inferred(index)
    try:
        if freq is not None:
            return pd.DatetimeIndex(index, freq=freq)
    except ValueError:
        return index
    _warn_of_gaps(index)
    return index


def _inferred(index: pd.DatetimeIndex) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas 3.1 announces that the answer will be an offset
        return pd.infer_freq(index)


def _warn_of_gaps(index: pd.DatetimeIndex) -> None:
    """Irregular dates that are a regular grid with a few stamps left out were hardly meant to be irregular."""
    starts = sorted({0, max(len(index) // 2 - _STRETCH // 2, 0), max(len(index) - _STRETCH, 0)})
    for start in starts if len(index) > _STRETCH else ():
        freq = _inferred(index[start : start + _STRETCH])
        ends: Any = (index[0], index[-1])
        grid = index[:0] if freq is None else pd.date_range(*ends, freq=freq).as_unit(index.unit)
        missing = len(grid) - len(index)
        if 0 < missing <= _FEW * len(index) and index.isin(grid).all():
            warnings.warn(
                f"the dates are those of frequency {freq!r} with {missing} left out, so they are irregular and time "
                f"runs in days; if the rows left out are missing values, pass data.asfreq({freq!r}), which keeps one "
                "step from stamp to stamp",
                UserWarning,
                stacklevel=2,
            )
            return


def _without_gaps(index: pd.PeriodIndex, what: str) -> pd.PeriodIndex:
    gaps = np.flatnonzero(np.diff(index.asi8) != 1)
    if len(gaps):
        raise ValueError(
            f"{what} got periods of frequency {index.freqstr} with a gap after {index[gaps[0]]}, expected "
            "consecutive ones; reindex to pd.period_range(...), which leaves NaN where nothing was observed"
        )
    return index


def _whole(index: pd.Index) -> bool:
    stamps = index.to_numpy(np.float64)
    return bool(np.all(stamps == np.floor(stamps)) and np.abs(stamps).max() < 2**53)


def _as_range(index: pd.Index) -> pd.Index:
    if isinstance(index, pd.RangeIndex) or index.dtype.kind == "f":
        return index
    first, steps = int(index[0]), set(np.diff(index.to_numpy(np.int64)).tolist())
    if len(steps) > 1:
        return index
    step = steps.pop() if steps else 1
    return pd.RangeIndex(first, first + step * len(index), step, name=index.name)
