"""The fan of a forecast behind its history."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results import Forecast


def forecast(
    forecast: "Forecast",
    *,
    history: int | None = None,
    levels: Sequence[float] = (0.5, 0.9),
    ax: Any = None,
) -> "Axes | np.ndarray":
    """Draws the observed past, the forecast mean and central bands, on the scale of the data.

    Args:
        forecast: What `statespace.forecast` returned.
        history: How many stamps of the past to show; all when left out.
        levels: Probabilities of the bands.
        ax: Where to draw, one Axes for each series; a new figure when left out.

    Returns:
        The Axes, or an array of them with one for each of several series.

    Raises:
        ValueError: If a level is not between 0 and 1, history is negative, or the number of Axes is wrong.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(scale=38.3) + ss.Noise(scale=122.9)
        >>> future = ss.forecast(model, ss.datasets.nile(), horizon=10)
        >>> ax = ss.plots.forecast(future, history=60)
        >>> ax.get_title(loc="left")
        'volume'
    """
    style.expect(forecast, "quantile", "forecast")
    levels = sorted((style.checked_level(level) for level in levels), reverse=True)
    past = _shown(forecast.history, history)
    axes = style.panels(len(forecast.names), 1, ax, (8, 3.4), sharex=True).ravel()
    for series, (panel, name) in enumerate(zip(axes, forecast.names, strict=True)):
        style.line(panel, style.times(past.index), past.iloc[:, series].to_numpy(float), label="observed")
        _fan(panel, forecast, series, levels)
        style.title(panel, str(name))
        style.time_axis(panel, forecast.index)
    style.legend(axes[0])
    return axes[0] if len(axes) == 1 else axes


def _shown(past: pd.DataFrame, history: int | None) -> pd.DataFrame:
    """The last stamps of the past."""
    if history is not None and history < 0:
        raise ValueError(f"history counts stamps of the past and is at least 0, got {history}")
    return past if history is None else past.iloc[max(len(past) - history, 0) :]


def _fan(ax: "Axes", forecast: "Forecast", series: int, levels: Sequence[float]) -> None:
    """The widest band first, so that narrower ones lie darker above it."""
    x, mean = style.times(forecast.index), np.asarray(forecast.mean)[:, series]
    style.line(ax, x, mean, color=style.BLUE, linewidth=1.6, label="forecast mean")
    for level, strength in zip(levels, np.linspace(0.2, 0.45, len(levels)), strict=True):
        low, high = (np.asarray(forecast.quantile(q))[:, series] for q in ((1 - level) / 2, (1 + level) / 2))
        style.band(ax, x, low, high, color=style.tint(strength), label=style.percent(level))
