"""Input columns in the order in which the model reads them, at the stamps that it needs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .index import check_same_kind
from .table import Table, read_table, to_floats

_WHAT = "inputs="


def check_given(inputs: Any, names: Sequence[str] | None) -> bool:
    """Whether there are inputs to read.

    Args:
        inputs: What the user gave.
        names: The columns that the model reads; None if it takes any.

    Raises:
        ValueError: If inputs are given but not read, or read but not given.

    Example:
        >>> check_given(None, ())
        False
    """
    if inputs is None and names:
        raise ValueError(f"got no inputs=, expected the columns {_listed(names)} that the model reads; pass inputs=")
    if inputs is not None and names is not None and not len(names):
        raise ValueError("got inputs= but the model reads none; leave inputs= out, or add a Regression([...])")
    return inputs is not None


def match_inputs(
    inputs: Any, names: Sequence[str] | None, index: pd.Index, needed: str, by_number: bool = True
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The inputs at the stamps of `index`, in the model's order of columns.

    Args:
        inputs: pandas or xarray with stamps (rows are chosen by stamp), or an array (one row a stamp, in
            order).
        names: The columns that the model reads; None keeps all.
        index: The stamps that need inputs.
        needed: What needs the rows, for messages.
        by_number: Whether rows that are just numbered 0, 1, ... are chosen by number; False takes them in
            order.

    Returns:
        Values (stamps, columns) and the names of the columns.

    Raises:
        TypeError: If a column does not hold numbers.
        ValueError: If columns or stamps are missing, or a value is missing or infinite.

    Example:
        >>> import pandas as pd
        >>> match_inputs([0, 1], ("law",), pd.RangeIndex(2), "the data")
        (array([[0.], [1.]]), ('law',))
    """
    table = _columns(read_table(inputs, _WHAT), names)
    table = _rows(table, index, needed, by_number)
    values = to_floats(table, _WHAT)
    missing = np.argwhere(np.isnan(values))
    if len(missing):
        row, column = missing[0]
        raise ValueError(
            f"inputs= got a missing value in column {table.columns[column]!r} at {index[row]}, expected "
            "none; fill the inputs, for example with .interpolate() (only observations may be missing)"
        )
    return values, tuple(table.columns)


def _columns(table: Table, names: Sequence[str] | None) -> Table:
    if names is None:
        return table if table.named else table.renamed(tuple(f"x{i}" for i in range(table.frame.shape[1])))
    if not table.named:
        _check_width(table.frame.shape[1], names)
        return table.renamed(tuple(names))
    absent = [name for name in names if name not in table.frame.columns]
    if absent:
        raise ValueError(
            f"inputs= got the columns {_listed(table.frame.columns)} but the model also reads "
            f"{_listed(absent)}; add or rename the columns"
        )
    return Table(table.frame.loc[:, list(names)], True, table.stamped, table.univariate)


def _check_width(width: int, names: Sequence[str]) -> None:
    if width != len(names):
        raise ValueError(
            f"inputs= got an array of {width} columns, expected {len(names)}: {_listed(names)}; give "
            "exactly these in this order, or a DataFrame with names"
        )


def _rows(table: Table, index: pd.Index, needed: str, by_number: bool = True) -> pd.DataFrame:
    frame = table.frame
    if not table.stamped or (table.numbered and not by_number):
        if len(frame) != len(index):
            raise ValueError(
                f"inputs= got {len(frame)} rows, expected {len(index)}, one for each stamp of {needed}; "
                "give exactly these rows, or inputs with an index to choose them from"
            )
        return frame.set_axis(index, axis=0)
    cure = "give both the same kind of index, or inputs.to_numpy() if the rows are in order"
    check_same_kind(frame.index, index, _WHAT, cure)
    if frame.index.has_duplicates:
        twice = frame.index[frame.index.duplicated()][0]
        raise ValueError(f"inputs= got duplicate stamps (first: {twice}), expected each once; drop one of the rows")
    return frame.iloc[_positions(frame.index, index, needed)].set_axis(index, axis=0)


def _positions(available: pd.Index, index: pd.Index, needed: str) -> NDArray[np.intp]:
    positions = available.get_indexer(index)
    absent = index[positions < 0]
    if len(absent):
        raise ValueError(
            f"inputs= got {len(index) - len(absent)} of the {len(index)} rows that {needed} needs, expected "
            f"{index[0]} to {index[-1]} (first without inputs: {absent[0]}); add the rows"
        )
    return positions


def _listed(names: Sequence[str] | pd.Index) -> str:
    return ", ".join(repr(str(name)) for name in names)
