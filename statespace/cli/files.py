"""Files in and out: csv tables with dates; results that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

import statespace as ss

from .errors import CommandError


def read_table(path: Path, date: str | None, columns: Iterable[str], freq: str | None = None) -> pd.DataFrame:
    """Some columns of a csv file, indexed by its dates.

    Args:
        path: The file.
        date: Name of the column of dates; the first one when None.
        columns: Names of the other columns.
        freq: Frequency to put the rows on; rows that it adds are missing.

    Raises:
        CommandError: If the file, a column or the dates cannot be read.
    """
    table = _read(path)
    date = str(table.columns[0]) if date is None else date
    absent = [name for name in (date, *columns) if name not in table.columns]
    if absent:
        have = ", ".join(map(str, table.columns))
        raise CommandError(f"{path} has no column {', '.join(map(repr, absent))}; it has {have}")
    index = _stamps(table[date], path, date, freq)  # pyright: ignore[reportArgumentType]
    table = table[list(columns)].set_axis(index, axis=0)
    return table if freq is None else _regular(table, freq, path)  # pyright: ignore[reportReturnType, reportArgumentType]


def read_fit(path: Path) -> ss.Fitted:
    """A saved fit; CommandError if there is none at the path."""
    if not path.is_file():
        raise CommandError(f"{path} does not exist: make it with 'statespace fit ... --out {path}'")
    try:
        return ss.load(path)
    except (OSError, KeyError, ValueError) as error:
        raise CommandError(f"{path} is not a saved fit ({error}); write one with 'statespace fit'") from error


def check_target(path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse, before any work is done, a path that could not be written."""
    if path.suffix.lower() not in suffixes:
        raise CommandError(f"{path} ends in {path.suffix or 'nothing'!r}, expected {' or '.join(suffixes)}")
    if path.is_dir():
        raise CommandError(f"{path} is a folder: name a file")
    if not path.parent.is_dir():
        raise CommandError(f"the folder {path.parent} does not exist: create it, or write elsewhere")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when all went well, else it is removed."""
    handle, name = tempfile.mkstemp(suffix=path.suffix, prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        temporary.unlink()  # some writers refuse to replace a file
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_figure(axes: Any, path: Path) -> None:
    """Save the figure of one or several Axes, and close it."""
    import matplotlib.pyplot as plt
    import numpy as np

    figure = np.asarray(axes, dtype=object).ravel()[0].figure
    with whole(path) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)


def use_pictures() -> None:
    """Draw to files; ImportError with advice where matplotlib is missing."""
    try:
        import matplotlib
    except ImportError as missing:
        raise ImportError("pictures need matplotlib: pip install 'statespace-jax[plots]'") from missing
    matplotlib.use("Agg")


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise CommandError(f"{path} does not exist: name a csv file")
    try:
        table = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} is not a csv file that can be read: {error}") from error
    table.columns = [str(name).strip() for name in table.columns]
    if table.empty:
        raise CommandError(f"{path} has no rows below its header")
    return table


def _stamps(column: pd.Series, path: Path, date: str, freq: str | None) -> pd.Index:
    """Dates, or whole numbers as they are unless a frequency says that they are dates."""
    if column.dtype.kind in "iu" and freq is None:
        return pd.Index(column, name=date)
    text = column.astype(str) if column.dtype.kind in "iu" else column
    try:
        return pd.DatetimeIndex(pd.to_datetime(text), name=date)
    except (ValueError, TypeError) as error:
        found = pd.to_datetime(text, errors="coerce")
        bad = text[found.isna()]
        example = f"{bad.iloc[0]!r} in line {bad.index[0] + 2} " if len(bad) else ""  # pyright: ignore[reportAttributeAccessIssue]
        raise CommandError(
            f"column {date!r} of {path}: {example}cannot be read as a date; write dates as 2024-03-01"
        ) from error


def _regular(table: pd.DataFrame, freq: str, path: Path) -> pd.DataFrame:
    try:
        on_grid = table.asfreq(freq)
    except ValueError as error:
        raise CommandError(f"--freq {freq}: {error}") from error
    lost = table.index.difference(on_grid.index)
    if len(lost):
        raise CommandError(
            f"--freq {freq} has no stamp for {len(lost)} rows of {path} (first: {lost[0].date()}): choose one "
            "on whose stamps the dates lie (MS: first of the month, ME: last)"
        )
    return on_grid
