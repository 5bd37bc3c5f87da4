"""What each component contributes to the series."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

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
    after as many stamps of the past as lie ahead, on the scale of the data. Components add up on the model's
    scale, that of the transformed data.

    Args:
        result: What `statespace.smooth` or `statespace.forecast` returned.
        names: Which components; all when left out.
        level: Probability of the bands.
        axes: Where to draw, in the shape that is returned; a new figure when left out.

    Returns:
        Axes of shape (1 + components,), or (1 + components, series) for several series. A series shows only
        the components that enter it; left-over places stay empty.

    Raises:
        ValueError: If a component does not exist, the result has none, the level is not between 0 and 1, or
            the number of Axes is wrong.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(scale=38.3) + ss.Noise(scale=122.9)
        >>> axes = ss.plots.components(ss.smooth(model, ss.datasets.nile()))
        >>> [ax.get_title(loc="left") for ax in axes]
        ['volume', 'level']
    """
    style.expect(result, "components", "smooth")
    parts = result.components or {}
    wanted = style.chosen(names, list(parts), "component")
    width, x = style.normal_quantile(level), style.times(result.index)
    own = [_entering(parts, wanted, column) for column in range(len(result.names))]
    size = (8 if len(own) == 1 else 5, 1.9)
    grid = style.panels(1 + max(map(len, own)), len(own), axes, size, sharex="col")
    for column, (name, entering) in enumerate(zip(result.names, own, strict=True)):
        _fit(grid[0, column], result, column)
        style.title(grid[0, column], str(name))
        for ax, component in zip(grid[1:, column], entering, strict=False):
            mean, sd = (np.asarray(moment)[:, column] for moment in parts[component])
            style.band(ax, x, mean - width * sd, mean + width * sd, label=style.percent(level))
            style.line(ax, x, mean, color=style.BLUE, linewidth=1.4, label="mean")
            style.title(ax, component)
        _close(grid[:, column], len(entering))
        style.time_axis(grid[len(entering), column], result.index)
    for ax in grid[:2, 0]:
        style.legend(ax)
    return grid[:, 0] if len(own) == 1 else grid


def _entering(parts: Mapping[str, tuple], names: Sequence[str], column: int) -> list[str]:
    """Components that a series has: those that are zero in it, but not in another, belong to the other."""

    def zero(name: str, where: Any) -> bool:
        return not any(np.any(np.asarray(moment)[:, where]) for moment in parts[name])

    return [name for name in names if zero(name, slice(None)) or not zero(name, column)]


def _close(column: np.ndarray, last: int) -> None:
    """Leaves the places below the last panel empty, and gives that panel the dates."""
    for ax in column[last + 1 :]:
        ax.set_axis_off()
    column[last].tick_params(labelbottom=True)


def _fit(ax: "Axes", result: "Smoothed | Forecast", column: int) -> None:
    """The observed series, and the sum of its components or the forecast of it."""
    history: pd.DataFrame | None = getattr(result, "history", None)
    if history is None:
        observed, label = getattr(result, "observed"), "sum of components"  # noqa: B009  a Smoothed
        total = np.sum([mean for mean, _ in (result.components or {}).values()], axis=0)
    else:
        observed, label, total = history.iloc[-len(result.index) :], "forecast mean", result.mean
    y, fitted = observed.iloc[:, column].to_numpy(float), np.asarray(total)[:, column]
    style.line(ax, style.times(observed.index), y, color=style.GREY, label="observed")
    style.line(ax, style.times(result.index), fitted, color=style.BLUE, linewidth=1.4, label=label)
