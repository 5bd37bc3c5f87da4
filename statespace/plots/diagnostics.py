"""Four looks at the standardised one-step residuals, each with the statistic that belongs to it."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..diagnostics import ResidualTests, autocorrelation, residual_tests
from . import style
from .density import density

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results import Filtered


def diagnostics(
    filtered: "Filtered", *, series: str | None = None, lags: int | None = None, axes: Any = None
) -> np.ndarray:
    """Draws residuals over time, their histogram, a normal quantile plot and a correlogram.

    In the right model residuals are independent standard normal. Printed above the panels: H (constant
    variance), skewness and kurtosis, Jarque-Bera (normality) and Ljung-Box (independence), as computed by
    `statespace.diagnostics.residual_tests`.

    Args:
        filtered: What `statespace.filter` returned.
        series: Which series; all when left out.
        lags: Lags of the correlogram and of Ljung-Box; the integer part of sqrt(n) when left out.
        axes: Where to draw, four Axes a series; a new figure when left out.

    Returns:
        Axes of shape (4,) for one series, (series, 4) for several.

    Raises:
        ValueError: If the series does not exist, there are too few residuals, or the number of Axes is wrong.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(scale=38.3) + ss.Noise(scale=122.9)
        >>> axes = ss.plots.diagnostics(ss.filter(model, ss.datasets.nile()), lags=12)
        >>> axes.shape
        (4,)
    """
    style.expect(filtered, "residuals", "filter")
    names = list(filtered.names)
    wanted = style.chosen(series, names, "series")
    shape = (2, 2) if len(wanted) == 1 else (len(wanted), 4)
    panels = style.panels(*shape, axes, (4.6, 2.9)).reshape(len(wanted), 4)
    for row, name in zip(panels, wanted, strict=True):
        residuals = np.asarray(filtered.residuals, dtype=float)[:, names.index(name)]
        heading = f"{name}: residuals" if len(wanted) > 1 else "Standardised one-step residuals"
        _draw(row, filtered.index, residuals, residual_tests(residuals, lags), heading)
    return panels[0] if len(wanted) == 1 else panels


def _draw(axes: np.ndarray, index: pd.Index, residuals: np.ndarray, tests: ResidualTests, heading: str) -> None:
    """The four panels of one series."""
    values = residuals[np.isfinite(residuals)]
    _over_time(axes[0], index, residuals)
    _histogram(axes[1], values)
    _quantiles(axes[2], values)
    _correlogram(axes[3], values, tests.lags)
    independence, normality, variance = (
        f"{name} = {value:.2f}, p {_in_words(p)}" for _, name, value, p in tests.rows()
    )
    normal = tests.jarque_bera
    style.title(axes[0], heading, variance)
    moments = f"skewness = {normal.skewness:.2f}, kurtosis = {normal.kurtosis:.2f}"
    style.title(axes[1], "Distribution", moments)
    style.title(axes[2], "Normal quantile plot", normality)
    style.title(axes[3], "Correlogram", independence)


def _in_words(p_value: float) -> str:
    """A p-value to three digits, or that it is below them."""
    return f"= {p_value:.3f}" if p_value >= 0.001 else "< 0.001"


def _over_time(ax: "Axes", index: pd.Index, residuals: np.ndarray) -> None:
    """Residuals with the lines that one in twenty should cross."""
    for height in (-1.96, 1.96):
        ax.axhline(height, color=style.ORANGE, linewidth=0.9, linestyle="--")
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    style.line(ax, style.times(index), residuals, color=style.BLUE)
    style.time_axis(ax, index)


def _histogram(ax: "Axes", values: np.ndarray) -> None:
    """The histogram, a smooth version of it, and the density it should have."""
    reach = max(3.5, 1.1 * np.abs(values).max())
    x = np.linspace(-reach, reach, 301)
    ax.hist(values, bins="auto", density=True, color=style.BLUE, alpha=0.25)
    ax.plot(x, density(values, x), color=style.BLUE, linewidth=1.4, label="residuals")
    normal = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    ax.plot(x, normal, color=style.ORANGE, linestyle="--", linewidth=1.2, label="normal")
    ax.set_ylim(0, 1.25 * ax.get_ylim()[1])  # room for the legend above the curves
    style.legend(ax, loc="upper right", ncols=2)


def _quantiles(ax: "Axes", values: np.ndarray) -> None:
    """Ordered residuals against the normal quantiles of their ranks, on the line if normal."""
    from scipy import special

    normal = special.ndtri((np.arange(1, len(values) + 1) - 0.375) / (len(values) + 0.25))  # Blom (1958)
    ax.axline((0, 0), slope=1, color=style.ORANGE, linestyle="--", linewidth=1.0)
    ax.plot(normal, np.sort(values), linestyle="none", marker="o", markersize=3, color=style.BLUE)
    ax.set_xlabel("standard normal", fontsize=style.PROSE)
    ax.set_ylabel("residuals", fontsize=style.PROSE)


def _correlogram(ax: "Axes", values: np.ndarray, lags: int) -> None:
    """Autocorrelations with the bounds that one in twenty should cross."""
    from matplotlib import ticker

    lag, r = np.arange(1, lags + 1), autocorrelation(values, lags)
    bound = 1.96 / np.sqrt(len(values))
    ax.axhspan(-bound, bound, color=style.ORANGE, alpha=0.12, linewidth=0)
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    ax.vlines(lag, 0, r, color=style.BLUE, linewidth=1.6)
    ax.plot(lag, r, linestyle="none", marker="o", markersize=3.5, color=style.BLUE)
    reach = min(1.05, max(0.3, 1.25 * np.abs(r).max(), 1.25 * bound))
    ax.set(xlim=(0.3, lags + 0.7), ylim=(-reach, reach))
    ax.xaxis.set_major_locator(ticker.MaxNLocator(12, integer=True))
    ax.set_xlabel("lag", fontsize=style.PROSE)
