"""Music, or any panel of keys that are on or off: data, samples and probabilities under each other."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FAINT = 0.1  # probability below which a key is not shown for its own sake


def piano_roll(
    rolls: Any, *, hidden: Any = None, lowest: int = 21, keys: tuple[int, int] | None = None, axes: Any = None
) -> np.ndarray:
    """Draws a panel for each roll: keys that sound in blue, their probabilities as shades of it.

    Missing cells (NaN) are grey and hatched. Cells that were kept from a model are hatched in every panel, so that
    what it makes of them can be compared with what was there.

    Args:
        rolls: Zeros and ones, or probabilities, (time, key): a data frame or an array, or several by name.
        hidden: Which cells were kept from the model, (time, key).
        lowest: MIDI number of the first column: 21 for a piano's lowest key.
        keys: MIDI numbers of the lowest and highest key to draw; those that sound anywhere when left out.
        axes: Where to draw, one Axes for each roll; a new figure when left out.

    Returns:
        One Axes for each roll.

    Raises:
        ValueError: If there is no roll, shapes differ, or the number of Axes is wrong.

    Example:
        >>> import statespace as ss
        >>> (ax,) = ss.plots.piano_roll(ss.datasets.jsb_chorales("test")["test 0"])
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['C4', 'C5', 'C6']
    """
    tables = {name: _table(roll) for name, roll in (rolls if isinstance(rolls, Mapping) else {"": rolls}).items()}
    shapes = {table.shape for table in tables.values()}
    hidden = None if hidden is None else np.asarray(hidden, dtype=bool)
    if len(shapes) != 1 or (hidden is not None and {hidden.shape} != shapes):
        others = "" if hidden is None else f", and hidden={hidden.shape}"
        raise ValueError(f"rolls of one shape (time, key) are needed, got {sorted(shapes)}{others}")
    low, high = _range(list(tables.values()), lowest) if keys is None else keys
    height = min(max(0.06 * (high - low + 1) + 0.4, 1.4), 4.0)
    panels = style.panels(len(tables), 1, axes, (8, height), sharex=axes is None).ravel()
    named = set()
    for ax, (name, table) in zip(panels, tables.items(), strict=True):
        _draw(ax, table, hidden, lowest, (low, high))
        values = table.to_numpy()
        shaded = bool(np.any((values > 0) & (values < 1)))
        style.title(ax, str(name), "darker: more probable" if shaded else "")
        if new := set(ax.get_legend_handles_labels()[1]) - named:
            style.legend(ax)
            named |= new
    style.time_axis(panels[-1], next(iter(tables.values())).index)
    return panels


def _table(roll: Any) -> pd.DataFrame:
    """A roll with its stamps."""
    values = np.asarray(roll, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"a roll has the shape (time, key), got {values.shape}")
    return pd.DataFrame(values, index=roll.index if isinstance(roll, pd.DataFrame) else None)


def _range(tables: list[pd.DataFrame], lowest: int) -> tuple[int, int]:
    """The lowest and the highest key that sounds anywhere, and one more on each side."""
    used = np.flatnonzero(np.any([np.any(table.to_numpy() > _FAINT, axis=0) for table in tables], axis=0))
    last = tables[0].shape[1] - 1
    first, last = (max(used[0] - 1, 0), min(used[-1] + 1, last)) if len(used) else (0, last)
    return int(lowest + first), int(lowest + last)


def _draw(ax: "Axes", table: pd.DataFrame, hidden: np.ndarray | None, lowest: int, keys: tuple[int, int]) -> None:
    """One roll."""
    from matplotlib import colors

    shades = colors.ListedColormap([style.tint(strength) for strength in np.linspace(0.0, 1.0, 256)])
    x, y = _edges(_positions(table.index)), lowest + np.arange(table.shape[1] + 1) - 0.5
    values = table.to_numpy().T
    ax.grid(False)
    ax.pcolormesh(x, y, np.ma.masked_invalid(values), cmap=shades, vmin=0, vmax=1, rasterized=True)
    for edge in range(12 * -(-(lowest + 1) // 12), lowest + table.shape[1], 12):
        ax.axhline(edge - 0.5, color=style.GRID, linewidth=0.7, zorder=0.5)  # below each C
    gone = np.isnan(values)
    _hatch(ax, x, y, gone, "missing", facecolor="#e9e9e9")
    if hidden is not None:
        _hatch(ax, x, y, hidden.T & ~gone, "kept from the model", facecolor="none")
    ticks = [key for key in range(keys[0], keys[1] + 1) if key % 12 == 0]
    ax.set_yticks(ticks, [f"C{key // 12 - 1}" for key in ticks])
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(keys[0] - 0.5, keys[1] + 0.5)


def _hatch(ax: "Axes", x: np.ndarray, y: np.ndarray, cells: np.ndarray, label: str, facecolor: str) -> None:
    """Hatched rectangles over cells (key, time)."""
    from matplotlib.patches import Rectangle

    look = {"hatch": "////", "facecolor": facecolor, "edgecolor": "#c4c4c4", "linewidth": 0.0}
    for first, last, bottom, top in _rectangles(cells):
        place = (x[first], y[bottom]), x[last] - x[first], y[top] - y[bottom]
        ax.add_patch(Rectangle(*place, **look, label=label))
        label = "_" + label.lstrip("_")  # one entry in the legend


def _rectangles(cells: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Rectangles that cover cells: edges along columns, then along rows; rows with the same cells go together."""
    begin = 0
    for row in range(1, len(cells) + 1):
        if row < len(cells) and np.array_equal(cells[row], cells[begin]):
            continue
        ends = np.flatnonzero(np.diff(np.concatenate([[0], cells[begin].astype(int), [0]])))
        for first, last in ends.reshape(-1, 2):
            yield int(first), int(last), begin, row
        begin = row


def _positions(index: pd.Index) -> np.ndarray:
    """Where stamps lie on the axis, as numbers."""
    from matplotlib import dates

    at = style.times(index)
    return np.asarray(dates.date2num(at) if np.issubdtype(at.dtype, np.datetime64) else at, dtype=float)


def _edges(at: np.ndarray) -> np.ndarray:
    """Edges between stamps, half-way."""
    step = np.diff(at) if len(at) > 1 else np.ones(1)
    return np.concatenate([[at[0] - step[0] / 2], at[:-1] + np.diff(at) / 2, [at[-1] + step[-1] / 2]])
