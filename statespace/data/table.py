"""Anything with rows and columns as one table, and a table as float64 numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray


@dataclass(frozen=True)
class Table:
    """Data or inputs before their values are read.

    Attributes:
        frame: Rows and columns, not yet converted; columns without a name are numbered.
        named: Whether the columns have names of their own.
        stamped: Whether the rows came with an index (of pandas, or the coordinate `time` of xarray).
        univariate: Whether the data are one-dimensional.
    """

    frame: pd.DataFrame
    named: bool
    stamped: bool
    univariate: bool

    @property
    def numbered(self) -> bool:
        """Whether the rows are just numbered 0, 1, ..., as pandas does by itself."""
        index = self.frame.index
        return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1

    def renamed(self, names: tuple[str, ...]) -> "Table":
        """The same table with other column names."""
        return Table(self.frame.set_axis(list(names), axis=1), True, self.stamped, self.univariate)


def read_table(data: Any, what: str) -> Table:
    """Read pandas, xarray, an array or a list of numbers as a table.

    Args:
        data: The rows; the dimension `time` of xarray objects.
        what: How to name them in messages: "the data" or "inputs=".

    Returns:
        The table, its values not yet checked.

    Raises:
        TypeError: If the data are of a kind that holds no rows of numbers, or a panel.
        ValueError: If they have more than two dimensions, no rows, or equal column names.

    Example:
        >>> read_table([1.0, 2.0], "the data").frame.shape
        (2, 1)
    """
    if isinstance(data, pd.Series | pd.DataFrame):
        table = _from_pandas(data)
    elif isinstance(data, xr.DataArray | xr.Dataset):
        table = _from_xarray(data, what)
    else:
        table = _from_array(_as_array(data, what), what)
    return _checked(table, what)


def to_floats(frame: pd.DataFrame, what: str) -> NDArray[np.float64]:
    """The values (rows, columns) of a frame as float64, NaN where missing.

    Raises:
        TypeError: If a column holds text, objects, complex numbers or dates.
        ValueError: If a value is infinite.
    """
    values = np.empty(frame.shape, np.float64)
    for i in range(frame.shape[1]):
        column = frame.iloc[:, i]
        _check_numeric(column, what)
        values[:, i] = column.to_numpy(np.float64, na_value=np.nan)
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, i = infinite[0]
        raise ValueError(
            f"{what} got an infinite value in column {str(frame.columns[i])!r} at {frame.index[row]}, "
            "expected finite numbers; write NaN where nothing was observed"
        )
    return values


def _from_pandas(data: pd.Series | pd.DataFrame) -> Table:
    univariate = isinstance(data, pd.Series)
    frame = data.to_frame() if univariate else data
    named = not univariate or data.name is not None
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    return Table(frame, named, True, univariate)


def _from_xarray(data: xr.DataArray | xr.Dataset, what: str) -> Table:
    arrays = list(data.data_vars.values()) if isinstance(data, xr.Dataset) else [data]
    for array in arrays:
        if "time" not in array.dims or array.ndim > (1 if isinstance(data, xr.Dataset) else 2):
            raise ValueError(
                f"{what} got an xarray object of wrong rank, with dimensions {array.dims}, expected 'time' "
                "first and at most one more (none in a Dataset); use .rename({...: 'time'}) or .sel(...)"
            )
    index = data.indexes.get("time")
    stamped = index is not None
    index = index if stamped else pd.RangeIndex(data.sizes.get("time", 0), name="time")
    if isinstance(data, xr.Dataset):
        columns = {str(name): array.to_numpy() for name, array in data.data_vars.items()}
        return Table(pd.DataFrame(columns, index), True, stamped, False)
    return _from_dataarray(data.transpose("time", ...), index, stamped)


def _from_dataarray(data: xr.DataArray, index: pd.Index, stamped: bool) -> Table:
    if data.ndim == 1:
        names = None if data.name is None else [str(data.name)]
        return Table(pd.DataFrame(data.to_numpy()[:, None], index, names), names is not None, stamped, True)
    coordinate = data.indexes.get(data.dims[1])
    names = None if coordinate is None else [str(name) for name in coordinate]
    return Table(pd.DataFrame(data.to_numpy(), index, names), names is not None, stamped, False)


def _as_array(data: Any, what: str) -> np.ndarray:
    if isinstance(data, list | tuple):
        if any(np.ndim(item) for item in data) and what != "inputs=":
            raise TypeError(
                f"{what} got a list of several series, expected one; pass an array (time, series), or a panel as a "
                "list of arrays"
            )
        return _array_of(list(data), what)
    if isinstance(data, np.ma.MaskedArray):
        return np.ma.filled(data.astype(np.float64), np.nan)
    if not hasattr(data, "__array__") or np.isscalar(data):
        hint = "; horizon= is given by name" if isinstance(data, int) else ""
        raise TypeError(
            f"{what} got {type(data).__name__}, expected a pandas Series or DataFrame, an xarray DataArray "
            "or Dataset, a NumPy or JAX array, or a list of numbers" + hint
        )
    return np.asarray(data)


def _array_of(rows: list, what: str) -> np.ndarray:
    try:
        return np.asarray(rows) if rows else np.empty(0)
    except ValueError:
        raise ValueError(f"{what} got rows of different lengths, expected a rectangular array") from None


def _from_array(array: np.ndarray, what: str) -> Table:
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{what} got an array of wrong rank, {array.ndim} with shape {array.shape}, expected 1 (time) "
            "or 2 (time, columns); reshape it"
        )
    if what == "the data" and array.ndim == 2 and array.shape[0] == 1 < array.shape[1]:
        raise ValueError(
            f"{what} got an array of shape {array.shape}, which is one stamp of {array.shape[1]} series, expected "
            "(time, series); pass it transposed, data.T, or one-dimensional"
        )
    univariate = array.ndim == 1
    return Table(pd.DataFrame(array[:, None] if univariate else array), False, False, univariate)


def _checked(table: Table, what: str) -> Table:
    if not table.frame.size:
        raise ValueError(
            f"{what} is empty: got {len(table.frame)} rows of {table.frame.shape[1]} columns, expected at "
            "least one row and one column"
        )
    columns = table.frame.columns
    if columns.has_duplicates:
        raise ValueError(
            f"{what} got two columns named {columns[columns.duplicated()][0]!r}, expected each name once; rename one"
        )
    return table


def _check_numeric(column: pd.Series, what: str) -> None:
    where, inferred = f"{what} got column {str(column.name)!r}", pd.api.types.infer_dtype(column, skipna=True)
    if column.dtype.kind == "c" or inferred == "complex":
        raise TypeError(f"{where} of complex numbers, expected real ones; pass .real and .imag as two columns")
    if inferred == "string":
        raise TypeError(f"{where} of strings, expected numbers; convert it with pd.to_numeric(...)")
    if column.dtype == object:
        raise TypeError(
            f"{where} as an object column, expected numbers; convert it with .astype(float), which makes None NaN"
        )
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise TypeError(f"{where} of dtype {column.dtype}, expected numbers; convert it with .astype(float)")
