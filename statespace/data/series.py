"""The one form that data have behind the door."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Series:
    """Observations with their stamps, names and inputs, as host arrays; made by `as_series`.

    Attributes:
        values: Observations (time, series), float64, 0 where missing.
        mask: Which elements are present (time, series).
        index: The stamps: DatetimeIndex, PeriodIndex, RangeIndex, or an Index of numbers where they are
            irregular.
        names: Names of the series.
        univariate: Whether the data came as one-dimensional.
        inputs: Values of the input columns (time, inputs), or None.
        input_names: Names of the input columns, in the order in which the model reads them.
        freq: Frequency of the dates as pandas writes it; None for numbers and for irregular dates.
        time: Time since the first stamp, in periods (regular), in days (irregular dates) or in the stamps'
            own unit.
        dt: Time since the previous stamp; NaN at the first stamp of all, where it is never used.
        is_regular: Whether the stamps are one period apart, so that they can be continued.
    """

    values: NDArray[np.float64]
    mask: NDArray[np.bool_]
    index: pd.Index
    names: tuple[str, ...]
    univariate: bool
    inputs: NDArray[np.float64] | None
    input_names: tuple[str, ...]
    freq: str | None
    time: NDArray[np.float64]
    dt: NDArray[np.float64]
    is_regular: bool

    def __repr__(self) -> str:
        span = f", {self.index[0]} to {self.index[-1]}" if self.length else ""
        freq = f", freq={self.freq!r}" if self.freq else ""
        return f"Series({', '.join(self.names)}: {self.length} stamps{span}{freq})"

    @property
    def length(self) -> int:
        """The number of stamps."""
        return len(self.index)

    @property
    def observed(self) -> NDArray[np.float64]:
        """The observations (time, series) with NaN where they are missing."""
        return np.where(self.mask, self.values, np.nan)

    @cached_property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return bool(self.mask.all())

    def to_pandas(self) -> pd.Series | pd.DataFrame:
        """The observations as pandas holds them: a Series if they came one-dimensional, else a DataFrame."""
        if self.univariate:
            return pd.Series(self.observed[:, 0], self.index, name=self.names[0])
        return pd.DataFrame(self.observed, self.index, columns=list(self.names))

    def rows(self, start: int | None = None, stop: int | None = None) -> "Series":
        """The rows at positions `start` to `stop` (not included), counted as Python slices count.

        The time of the rows stays that of the whole series, so that a later part can follow an earlier one.

        Example:
            >>> from statespace.data import as_series
            >>> as_series([1.0, 2.0, 3.0]).rows(1).time
            array([1., 2.])
        """
        part = slice(start, stop)
        inputs = None if self.inputs is None else self.inputs[part]
        return replace(
            self,
            values=self.values[part],
            mask=self.mask[part],
            index=self.index[part],
            inputs=inputs,
            time=self.time[part],
            dt=self.dt[part],
        )

    def with_observed(self, observed: NDArray[np.float64]) -> "Series":
        """The same stamps with other observations (time, series), NaN where missing; for a transform of y."""
        mask = ~np.isnan(observed)
        return replace(self, values=np.where(mask, observed, 0.0), mask=mask)

    def taken(self, order: list[int]) -> "Series":
        """The same with the series in another order."""
        names = tuple(self.names[i] for i in order)
        return replace(self, values=self.values[:, order], mask=self.mask[:, order], names=names)

    def __getitem__(self, part: slice) -> "Series":
        """Some of the stamps in a row, on the same clock."""
        rows = {name: getattr(self, name)[part] for name in ("index", "values", "mask", "time", "dt")}
        return replace(self, **rows, inputs=None if self.inputs is None else self.inputs[part])

    def level(self) -> NDArray[np.float64]:
        """The mean of each series; 0 for one of which nothing is known."""
        counts = np.maximum(self.mask.sum(axis=0), 1)
        return np.where(self.mask, self.values, 0.0).sum(axis=0) / counts

    def scale(self) -> NDArray[np.float64]:
        """A typical size of each series' variation, above 0: its standard deviation.

        A constant series takes the mean of the others; 1 if all are constant.
        """
        pairs = zip(self.values.T, self.mask.T, strict=True)
        sizes = np.array([_spread(column[present]) for column, present in pairs])
        return np.where(sizes > 0, sizes, sizes[sizes > 0].mean() if (sizes > 0).any() else 1.0)

    def input_scale(self) -> tuple[float, ...]:
        """A typical size of each input: its standard deviation, else its largest value, else 1; above 0."""
        return () if self.inputs is None else tuple(_size(column) for column in self.inputs.T)


def join_series(first: Series, second: Series) -> Series:
    """Two parts of a series, the second right after the first, as one.

    Args:
        first: The earlier rows.
        second: The rows that follow, as `append_series` gives them.

    Returns:
        The whole series.

    Raises:
        ValueError: If names or inputs of the parts differ.

    Example:
        >>> from statespace.data import append_series, as_series, join_series
        >>> series = as_series([1.0, 2.0])
        >>> join_series(series, append_series(series, [3.0])).length
        3
    """
    if (first.names, first.input_names) != (second.names, second.input_names):
        raise ValueError(
            f"got rows of {second.names} with inputs {second.input_names}, expected {first.names} with "
            f"inputs {first.input_names}; join parts of one series"
        )
    parts = [part.inputs for part in (first, second) if part.inputs is not None]
    inputs = np.concatenate(parts) if parts else None
    return replace(
        first,
        values=np.concatenate([first.values, second.values]),
        mask=np.concatenate([first.mask, second.mask]),
        index=_joined(first, second),
        inputs=inputs,
        time=np.concatenate([first.time, second.time]),
        dt=np.concatenate([first.dt, second.dt]),
    )


def _joined(first: Series, second: Series) -> pd.Index:
    index = first.index.append(second.index).rename(first.index.name)
    if isinstance(index, pd.DatetimeIndex) and first.freq is not None:
        return pd.DatetimeIndex(index, freq=first.freq)
    return index


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation; 0 if it is nothing but rounding."""
    if len(values) < 2:
        return 0.0
    largest = np.abs(values).max()
    if largest == 0:
        return 0.0
    size = np.std(values / largest)
    return float(size * largest) if size > 1e-14 else 0.0


def _size(values: NDArray[np.float64]) -> float:
    return _spread(values) or float(np.abs(values).max(initial=0.0)) or 1.0
