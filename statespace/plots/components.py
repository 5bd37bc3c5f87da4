"""What each component contributes to the series."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results import Forecast, Smoothed


def components(
    result: "Smoothed | Forecast",
    *,
    names: str | Sequence[str] | None = None,
    level: float = 0.9,
    axes: Any = None,
) -> np.ndarray:
    """Draws the observed series against its fit, then a panel for each component with a band.

    The fit is the sum of all components, also of those not chosen; for a forecast it is the forecast mean
    after as many stamps of the past as lie ahead.

    Args:
        result: What `statespace.smooth` or `statespace.forecast` returned.
        names: Which components; all when left out.
        level: Probability of the bands.
        axes: Where to draw: one more than there are components, for each series; a new figure when left out.

    Returns:
        Axes of shape (1 + components,), or (1 + components, series) for several series.

    Raises:
        ValueError: If a component does not exist, the result has none, the level is not between 0 and 1, or
            the number of Axes is wrong.

    Example:
        >>> axes = ss.plots.components(ss.smooth(fit))  # doctest: +SKIP
        >>> axes = ss.plots.components(ss.forecast(fit, horizon=24), names="trend")  # doctest: +SKIP
    """
    wanted = style.chosen(names, list(result.components or {}), "component")
    width, series = style.normal_quantile(level), result.names
    size = (8 if len(series) == 1 else 5, 1.9)
    grid = style.panels(1 + len(wanted), len(series), axes, size, sharex="col")
    for column, name in enumerate(series):
        _fit(grid[0, column], result, column)
        style.title(grid[0, column], str(name))
        for ax, component in zip(grid[1:, column], wanted, strict=True):
            mean, sd = (np.asarray(moment)[:, column] for moment in result.components[component])
            _contribution(ax, style.times(result.index), mean, width * sd, style.percent(level))
            style.title(ax, component)
        style.time_axis(grid[-1, column], result.index)
    for row in grid[:2, 0]:
        style.legend(row)
    return grid[:, 0] if len(series) == 1 else grid


def _fit(ax: "Axes", result: "Smoothed | Forecast", column: int) -> None:
    """The observed series, and the sum of its components or the forecast of it."""
    history = getattr(result, "history", None)
    ahead = history is not None  # a forecast
    observed = history.iloc[-len(result.index) :] if ahead else result.observed
    total = result.mean if ahead else sum(np.asarray(mean) for mean, _ in result.components.values())
    y = observed.iloc[:, column].to_numpy(float)
    style.line(ax, style.times(observed.index), y, color=style.GREY, label="observed")
    label = "forecast mean" if ahead else "sum of components"
    fitted = np.asarray(total)[:, column]
    style.line(ax, style.times(result.index), fitted, color=style.BLUE, linewidth=1.4, label=label)


def _contribution(ax: "Axes", x: np.ndarray, mean: np.ndarray, half: np.ndarray, label: str) -> None:
    """One component's mean and band; a word where the series does not have it."""
    if not mean.any() and not half.any():
        ax.text(0.5, 0.5, "not in this series", transform=ax.transAxes, ha="center", color=style.GREY)
        ax.set_yticks([])
        return
    style.band(ax, x, mean - half, mean + half, label=label)
    style.line(ax, x, mean, color=style.BLUE, linewidth=1.4, label="mean")
