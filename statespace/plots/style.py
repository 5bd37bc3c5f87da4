"""What all pictures share: colours that the colour-blind can tell apart, panels, dates, bands.

matplotlib is imported when a picture is drawn, never with the package.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# of the palette of Okabe and Ito (2008), and greys
INK, GREY, GRID = "#222222", "#6e6e6e", "#e4e4e4"
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PROSE = 8.5  # points, of everything that is not a title


def panels(rows: int, columns: int, given: Any, size: tuple[float, float], **options: Any) -> np.ndarray:
    """Axes of shape (rows, columns): those given, or those of a new figure.

    Args:
        rows: Panels from top to bottom.
        columns: Panels from left to right.
        given: One Axes, any nesting of them, or None for a new figure.
        size: Width and height of one panel in inches.
        **options: Passed on to `matplotlib.pyplot.subplots`.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If the wrong number of Axes is given.
    """
    pyplot = _pyplot()
    if given is None:
        shape = (columns * size[0], rows * size[1])
        _, axes = pyplot.subplots(rows, columns, figsize=shape, squeeze=False, layout="constrained", **options)
    else:
        axes = np.array(given, dtype=object).ravel()
        if axes.size != rows * columns:
            raise ValueError(f"{rows * columns} Axes are needed ({rows} by {columns}), got {axes.size}")
        axes = axes.reshape(rows, columns)
    for ax in axes.flat:
        dress(ax)
    return axes


def grid(count: int, given: Any, size: tuple[float, float], columns: int, **options: Any) -> np.ndarray:
    """As many Axes as there are things to draw, in a flat array; left-over places stay empty."""
    if given is not None:
        return panels(count, 1, given, size).ravel()
    columns = min(columns, count)
    axes = panels(-(-count // columns), columns, None, size, **options).ravel()
    for ax in axes[count:]:
        ax.set_axis_off()
    return axes[:count]


def dress(ax: "Axes") -> None:
    """A light grid behind the data, no box, small tick labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.grid(True, color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(colors=GREY, labelcolor=INK, labelsize=PROSE, length=3)


def title(ax: "Axes", text: str, remark: str = "") -> None:
    """A title at the left, with a smaller remark in a line of its own below it."""
    ax.set_title(text, loc="left", fontsize=10, color=INK, pad=18 if remark else 6)
    if remark:
        place = {"xytext": (0, 5), "textcoords": "offset points", "xycoords": "axes fraction"}
        ax.annotate(remark, (0, 1), **place, fontsize=PROSE, color=GREY, va="bottom")


def legend(ax: "Axes", **options: Any) -> None:
    """A legend without a frame, in one line above the panel unless told otherwise, clear of the data."""
    above = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": 4, "borderaxespad": 0.3}
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=PROSE, labelcolor=INK, **(options or above))


def times(index: pd.Index) -> np.ndarray:
    """What an index becomes on the axis: the begin of a period, a time stamp, or a number as it is."""
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        return index.tz_localize(None).to_numpy()
    return index.to_numpy()


def time_axis(ax: "Axes", index: pd.Index) -> None:
    """Few and short date labels, or whole numbers for a counted index."""
    from matplotlib import dates, ticker

    if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex):
        locator = dates.AutoDateLocator(minticks=4, maxticks=10)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        ax.xaxis.get_offset_text().set_fontsize(PROSE)
    else:
        ax.xaxis.set_major_locator(ticker.MaxNLocator(8, integer=True))


def time_label(index: pd.Index, position: int) -> str:
    """One stamp in words, as short as the whole index allows: 1913, 1983-02, 1983-02-14 or with the time."""
    if not isinstance(index, pd.DatetimeIndex):
        return f"{index[position]}"
    first_or_last = index.is_month_start.all() or index.is_month_end.all()
    if (index != index.normalize()).any():
        form = "%Y-%m-%d %H:%M"
    elif not first_or_last:
        form = "%Y-%m-%d"
    else:
        form = "%Y" if len(index.month.unique()) == 1 else "%Y-%m"
    return pd.Timestamp(times(index)[position]).strftime(form)


def line(ax: "Axes", x: np.ndarray, y: np.ndarray, **options: Any) -> None:
    """A line that breaks at NaN, with a dot for a value between two missing ones, which has no line."""
    options = {"color": INK, "linewidth": 1.0, **options}
    ax.plot(x, y, **options)
    there = np.isfinite(np.concatenate([[np.nan], y, [np.nan]]))
    alone = there[1:-1] & ~there[:-2] & ~there[2:]
    if alone.any():
        ax.plot(x[alone], y[alone], linestyle="none", marker=".", markersize=4, color=options["color"])


def band(ax: "Axes", x: np.ndarray, low: np.ndarray, high: np.ndarray, **options: Any) -> None:
    """The area between two curves; a thick stroke where there is a single stamp."""
    options = {"color": tint(0.2), "linewidth": 0, **options}
    there = np.isfinite(low) & np.isfinite(high)
    if len(x) == 1:
        ax.vlines(x, low, high, **{**options, "linewidth": 7})
    else:
        ax.fill_between(x, low, high, where=there, **options)


def tint(strength: float) -> tuple[float, float, float]:
    """Blue on white: 0 is white, 1 is blue. Opaque, so that a legend shows the colour that is seen."""
    from matplotlib import colors

    red, green, blue = (1 - strength * (1 - part) for part in colors.to_rgb(BLUE))
    return red, green, blue


def shades(count: int) -> list[tuple[float, float, float]]:
    """Colours of states that fill areas: opaque and light enough that none shouts, apart also for the colour-blind."""
    from matplotlib import colors

    palette = [BLUE, "#E69F00", GREEN, "#CC79A7", "#56B4E9", ORANGE, "#F0E442"]
    faint = [tuple(1 - 0.75 * (1 - part) for part in colors.to_rgb(c)) for c in palette]
    grey = [(0.9 - 0.6 * i / max(count, 1),) * 3 for i in range(max(count - len(faint), 0))]
    return [(c[0], c[1], c[2]) for c in [*faint, *grey][:count]]


def normal_quantile(level: float) -> float:
    """Standard deviations that the central normal interval of a level reaches to each side."""
    from scipy import special

    return float(special.ndtri((1 + checked_level(level)) / 2))


def checked_level(level: float) -> float:
    """A level between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}; 0.9 is the band from 5 % to 95 %")
    return level


def percent(level: float) -> str:
    """A level in words: 90 %."""
    return f"{100 * level:g} %"


def chosen(names: str | Sequence[str] | None, available: Sequence[str], what: str) -> list[str]:
    """The names to draw: all when left out.

    Raises:
        ValueError: If a name does not exist, or nothing is left to draw.
    """
    wanted = list(available) if names is None else [names] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in available]
    if unknown:
        raise ValueError(f"unknown {what} {unknown}: there are {list(available)}")
    if not wanted:
        raise ValueError(f"no {what} to draw: there are {list(available)}")
    return wanted


def _pyplot() -> Any:
    """matplotlib.pyplot, or advice where it is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError as missing:
        raise ImportError("pictures need matplotlib: pip install 'statespace-jax[plots]'") from missing
    return pyplot


_SERVES = {  # what each plot needs of a result
    "states": "sd",
    "components": "components",
    "diagnostics": "residuals",
    "auxiliary_residuals": "state_residuals",
    "particles": "ess",
    "forecast": "quantile",
}


def expect(result: Any, attribute: str, verb: str) -> None:
    """Raise a TypeError that names the verb to call first, and the plots that serve, unless the result has it."""
    if getattr(result, attribute, None) is not None:
        return
    serve = [f"ss.plots.{name}" for name, needed in _SERVES.items() if getattr(result, needed, None) is not None]
    instead = f"; {' and '.join(serve)} can draw it" if serve else ""
    raise TypeError(
        f"this plot draws the {attribute} of what ss.{verb}(...) returns; a {type(result).__name__} has none{instead}"
    )
