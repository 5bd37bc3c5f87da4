"""How a stationary process shares out its variance over frequencies, and how data do."""

from typing import Any

import numpy as np

from ..convert import SpectralDensity
from . import style, systems


def spectrum(models: Any, data: Any = None, *, segment: int | None = None, axes: Any = None) -> np.ndarray:
    """Draw the spectral densities of a stationary model's series, over Welch's estimate from data if there are some.

    Args:
        models: A form, a model, or several by name.
        data: A series (time,) or several (time, series), without gaps.
        segment: Stamps in each of the segments over which Welch's estimate averages; an eighth of the data when left
            out.
        axes: Where to draw, one Axes for each series; a new figure when left out.

    Returns:
        One Axes for each series.

    Raises:
        TypeError: If a model has no spectral density.
        ValueError: If it is not stationary, or data have gaps or another number of series.

    Example:
        >>> axes = ss.plots.spectrum(ss.convert(fit.model, ss.SpectralDensity).value, y)  # doctest: +SKIP

    Reference: Welch (1967), "The use of fast Fourier transform for the estimation of power spectra".
    """
    found = {name: systems.in_form(model, SpectralDensity) for name, model in systems.by_name(models).items()}
    names = next(iter(found.values())).series_names
    panels = style.panels(len(names), 1, axes, (6.0, 2.8), sharex=True)
    frequencies = np.linspace(0, np.pi, 600)[1:]
    if data is not None:
        _draw_data(panels[:, 0], np.asarray(data, float), segment)
    for _, density, look in systems.strokes(found):
        values = np.real(np.asarray(density(frequencies)))
        for i, ax in enumerate(panels[:, 0]):
            ax.semilogy(frequencies, values[:, i, i], linewidth=1.5, **{**look, "label": look["label"] or "model"})
            style.title(ax, f"Spectral density of {names[i]}")
    panels[-1, 0].set_xlabel("frequency, radians per stamp", fontsize=style.PROSE)
    style.legend(panels[0, 0])
    return panels[:, 0]


def _draw_data(panels: np.ndarray, data: np.ndarray, segment: int | None) -> None:
    """Welch's estimate, in the model's unit: its mean over all frequencies is the variance."""
    from scipy.signal import welch

    data = data.reshape(len(data), -1)
    if data.shape[1] != len(panels) or not np.isfinite(data).all():
        raise ValueError(f"data of {len(panels)} series without gaps are needed, got {data.shape}, or some are missing")
    size = max(len(data) // 8, 16) if segment is None else segment
    found, power = (np.asarray(x) for x in welch(data, 2 * np.pi, nperseg=min(size, len(data)), axis=0))
    for ax, column in zip(panels, power.T, strict=True):  # one-sided, so that half of it is that of a frequency
        ax.semilogy(found[1:], np.pi * column[1:], color=style.GREY, linewidth=1.0, label="data (Welch)")
