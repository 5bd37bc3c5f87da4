"""Stamps and inputs after the end of a series."""

import operator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .index import check_same_kind, elapsed, following, stamps_from_times
from .inputs import check_given, match_inputs
from .series import Series


@dataclass(frozen=True, eq=False)
class Future:
    """The stamps of a forecast.

    Attributes:
        index: The stamps.
        time: Time since the first stamp of the series.
        dt: Time since the previous stamp; the first is the gap from the end of the series.
        inputs: Values of the input columns (time, inputs), or None.
        input_names: Names of the input columns.
    """

    index: pd.Index
    time: NDArray[np.float64]
    dt: NDArray[np.float64]
    inputs: NDArray[np.float64] | None = None
    input_names: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """The number of stamps."""
        return len(self.index)


def future(series: Series, *, horizon: int | None = None, times: Any = None, inputs: Any = None) -> Future:
    """The stamps after a series, with their inputs.

    Args:
        series: The data.
        horizon: How many stamps.
        times: The stamps themselves; needed where the series has no frequency.
        inputs: Inputs of these stamps, if the model reads any: pandas or xarray that contain every one of
            them (earlier and later rows are skipped), or an array of exactly these rows.

    Returns:
        The stamps, times and inputs.

    Raises:
        TypeError: If horizon is not a whole number.
        ValueError: If horizon or times do not fit, there is no frequency, or the inputs do not cover the
            horizon.

    Example:
        >>> from statespace.data import as_series, future
        >>> future(as_series([1.0, 2.0], [3.0, 4.0], input_columns=["x"]), horizon=1, inputs=[5.0]).inputs
        array([[5.]])
    """
    if series.inputs is not None and inputs is None:
        raise ValueError(
            f"got no inputs= for the forecast, expected {', '.join(map(repr, series.input_names))} at its "
            "stamps; pass inputs= with their future values"
        )
    ahead = future_index(series, horizon, times)
    if not check_given(inputs, series.input_names):
        return ahead
    matched = match_inputs(inputs, series.input_names, ahead.index, "the forecast", by_number=times is None)
    return replace(ahead, inputs=matched[0], input_names=matched[1])


def future_index(series: Series, horizon: int | None = None, times: Any = None) -> Future:
    """The stamps after a series, without inputs.

    Args:
        series: The data.
        horizon: How many stamps.
        times: The stamps themselves; needed where the series has no frequency.

    Returns:
        The stamps and times.

    Raises:
        TypeError: If horizon is not a whole number.
        ValueError: If horizon or times do not fit, or there is no frequency to continue.

    Example:
        >>> import pandas as pd
        >>> from statespace.data import as_series, future_index
        >>> months = pd.date_range("2020-01-31", periods=3, freq="ME")
        >>> future_index(as_series([1.0, 2.0, 3.0], times=months), 1).index[0]
        Timestamp('2020-04-30 00:00:00')
    """
    given = None if times is None else stamps_from_times(times)
    index = following_stamps(series, _length(horizon, given), given)
    last = series.time[-1]
    if series.is_regular:
        return Future(index, last + np.arange(1.0, len(index) + 1), np.ones(len(index)))
    time = last + elapsed(index, series.index[-1])
    return Future(index, time, np.diff(time, prepend=last))


def following_stamps(series: Series, length: int, given: pd.Index | None) -> pd.Index:
    """The next `length` stamps: by frequency, and checked against those that are given.

    Raises:
        ValueError: If there is no frequency and nothing given, or the given stamps do not follow the series.
    """
    if given is not None:
        check_same_kind(given, series.index, "times=", "give stamps of the same kind")
    if series.is_regular:
        index = following(series.index, length)
        _check_continues(index, given)
        return index
    if given is None:
        raise ValueError(
            f"no frequency at forecast: got {series.length} stamps without a regular frequency, expected "
            "times= or a frequency; pass times= with the next stamps, or give the data one with "
            ".asfreq(...)"
        )
    if given[0] <= series.index[-1]:
        raise ValueError(f"got the stamp {given[0]}, expected later ones than the last of the data, {series.index[-1]}")
    return given


def _length(horizon: int | None, given: pd.Index | None) -> int:
    if horizon is None:
        if given is None:
            raise ValueError("got neither horizon= nor times=, expected one of them; pass horizon=12, for example")
        return len(given)
    length = _whole(horizon)
    if given is not None and len(given) != length:
        raise ValueError(f"got horizon={length} and {len(given)} times=, expected as many; leave horizon= out")
    return length


def _whole(horizon: Any) -> int:
    try:
        length = operator.index(horizon)
    except TypeError:
        length = None
    if length is None or isinstance(horizon, bool | np.bool_):
        raise TypeError(f"got horizon={horizon!r}, expected a positive whole number; pass horizon=12, for example")
    if length < 1:
        raise ValueError(f"got horizon={length}, expected a positive whole number; pass horizon=12, for example")
    return length


def _check_continues(index: pd.Index, given: pd.Index | None) -> None:
    if given is None or index.equals(given):
        return
    wrong = np.flatnonzero(np.asarray(index != given))[0]
    raise ValueError(
        f"got the stamp {given[wrong]}, expected {index[wrong]}: the stamps of a regular series must follow "
        "its last one without gaps or overlap; give rows of NaN where nothing was observed"
    )
