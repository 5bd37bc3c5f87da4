"""Whether forecasts were as sure as they should be: PIT, coverage and scores by step ahead."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results import ForecastScores

_BINS = 10


def calibration(scores: "ForecastScores", *, series: str | None = None, axes: Any = None) -> np.ndarray:
    """Draws the histogram of PIT, the coverage of each interval by step ahead, and CRPS by step ahead.

    A histogram like a U says that forecasts are too sure, a hump that they are too vague, a slope that they are biased.
    Grey bands hold 95 % of what calibrated forecasts show, were their values independent; those of one forecast are
    not, so that a value outside is a hint and no proof. CRPS is drawn beside that of repeating the last value, its
    absolute error.

    Args:
        scores: What `statespace.score_forecasts` returned.
        series: Which series; all together when left out.
        axes: Where to draw, three Axes; a new figure when left out.

    Returns:
        The three Axes.

    Raises:
        TypeError: If it is something else.
        ValueError: If the series does not exist, nothing was observed, or the number of Axes is wrong.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(scale=38.3) + ss.Noise(scale=122.9)
        >>> scores = ss.score_forecasts(model, ss.datasets.nile(), horizon=5, origins=9, key=0, progress=False)
        >>> ss.plots.calibration(scores).shape
        (3,)
    """
    style.expect(scores, "pit", "score_forecasts")
    wanted = style.chosen(series, list(scores.names), "series")
    which = [scores.names.index(name) for name in wanted]
    pit = scores.pit[..., which]
    if not np.isfinite(pit).any():
        raise ValueError("nothing was observed where the forecasts point: there is nothing to compare them with")
    panels = style.panels(1, 3, axes, (3.6, 3.0)).ravel()
    steps = np.arange(1, pit.shape[1] + 1)
    _draw_pit(panels[0], pit[np.isfinite(pit)])
    for level, inside in zip(scores.levels, scores.inside[..., which], strict=True):
        share = np.nanmean(inside, axis=(0, 2))
        count = np.maximum(np.isfinite(inside).sum(axis=(0, 2)), 1)
        half = 1.96 * np.sqrt(level * (1 - level) / count)
        style.band(panels[1], steps, np.maximum(level - half, 0), np.minimum(level + half, 1), color=style.GRID)
        panels[1].axhline(level, color=style.GREY, linewidth=0.9, linestyle="--")
        style.line(panels[1], steps, share, color=style.BLUE, marker=".", markersize=4)
        panels[1].annotate(style.percent(level), (1, level), xytext=(2, 0), xycoords=("axes fraction", "data"),
                           textcoords="offset points", fontsize=style.PROSE, color=style.GREY, va="center")  # fmt: skip
    panels[1].set_ylim(0, 1.02)
    style.title(panels[1], "Coverage", "share inside; grey: 95 % of calibrated ones")
    style.line(panels[2], steps, np.nanmean(scores.crps[..., which], axis=(0, 2)), color=style.BLUE, label="forecast")
    naive = np.nanmean(np.abs(scores.naive[..., which]), axis=(0, 2))
    style.line(panels[2], steps, naive, color=style.GREY, label="last value")
    panels[2].set_ylim(bottom=0)
    style.title(panels[2], "CRPS", "mean by step, in the unit of the data")
    style.legend(panels[2], loc="lower right")
    for ax in panels[1:]:
        ax.set_xlabel("steps ahead", fontsize=style.PROSE)
        style.time_axis(ax, np.asarray(steps))  # pyright: ignore[reportArgumentType]  a counted axis
    return panels


def _draw_pit(ax: "Axes", values: np.ndarray) -> None:
    """Shares of ten bins as multiples of what they should be."""
    heights, edges = np.histogram(values, bins=_BINS, range=(0, 1))
    expected = len(values) / _BINS
    low, high = stats.binom.interval(0.95, len(values), 1 / _BINS)
    ax.axhspan(low / expected, high / expected, color=style.GRID, zorder=0)
    ax.bar(edges[:-1], heights / expected, width=1 / _BINS, align="edge", color=style.tint(0.55), edgecolor="white")
    ax.axhline(1, color=style.GREY, linewidth=0.9, linestyle="--")
    ax.set_xlim(0, 1)
    ax.set_xlabel("PIT", fontsize=style.PROSE)
    style.title(ax, "Where observations fall", "density; grey: 95 % of calibrated ones")
