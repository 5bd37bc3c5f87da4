"""Auxiliary residuals: where outliers and breaks are."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results import Smoothed

MAX_LABELS = 6


def auxiliary_residuals(smoothed: "Smoothed", *, threshold: float = 3.0, axes: Any = None) -> np.ndarray:
    """Draws the standardised smoothed disturbances, with the date at each beyond a threshold.

    A large residual of the observation points to an outlier, a large one of a state to a break in it: a
    level that shifts, a slope that turns. A state's residual belongs to the step into its stamp. They are
    correlated in time, so neighbours of a large one are often large too; among close neighbours only the
    largest is labelled, and at most six in a panel.

    Args:
        smoothed: What `statespace.smooth` returned.
        threshold: Standard deviations from which on a residual is labelled.
        axes: Where to draw, one Axes for each series and then for each state that has a disturbance; a new
            figure when left out.

    Returns:
        One Axes a panel, observations first.

    Raises:
        ValueError: If the threshold is not positive, all is NaN, or the number of Axes is wrong.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(scale=38.3) + ss.Noise(scale=122.9)
        >>> axes = ss.plots.auxiliary_residuals(ss.smooth(model, ss.datasets.nile()))
        >>> [text.get_text() for ax in axes for text in ax.texts]
        ['1913', '1899']

    Reference: Harvey and Koopman (1992), JBES 10, 377-389; Durbin and Koopman (2012), section 2.12.2.
    """
    style.expect(smoothed, "state_residuals", "smooth")
    if not threshold > 0:
        raise ValueError(f"the threshold counts standard deviations and is positive, got {threshold}")
    drawn = _residuals(smoothed)
    if not drawn:
        raise ValueError("every auxiliary residual is NaN: the model has no disturbance of known variance")
    panels = style.grid(len(drawn), axes, (8, 2.2), 1, sharex=True)
    for ax, (name, values) in zip(panels, drawn.items(), strict=True):
        _draw(ax, smoothed.index, values, threshold)
        style.title(ax, name)
    return panels


def _residuals(smoothed: "Smoothed") -> dict[str, np.ndarray]:
    """Each panel's title and values, those left out that are NaN throughout."""
    several = len(smoothed.names) > 1
    groups = [
        ([f"observation: {name}" if several else "observation" for name in smoothed.names],
         smoothed.observation_residuals),
        ([f"state: {name}" for name in smoothed.state_names], smoothed.state_residuals),
    ]  # fmt: skip
    every = {
        name: values
        for names, table in groups
        for name, values in zip(names, np.asarray(table, dtype=float).T, strict=True)
    }
    return {name: values for name, values in every.items() if np.isfinite(values).any()}


def _draw(ax: "Axes", index: pd.Index, values: np.ndarray, threshold: float) -> None:
    """Residuals as strokes from zero, those beyond the threshold in another colour and with their date."""
    x = style.times(index)
    for height in (-threshold, threshold):
        ax.axhline(height, color=style.ORANGE, linewidth=0.9, linestyle="--")
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    large = np.abs(values) > threshold  # False for NaN
    for which, colour in ((~large & np.isfinite(values), style.BLUE), (large, style.ORANGE)):
        ax.vlines(x[which], 0, values[which], color=colour, linewidth=1.1)
    for position in _labelled(values, large):
        _label(ax, style.time_label(index, position), x[position], values[position])
    reach = 1.3 * max(threshold, np.nanmax(np.abs(values)))  # room for the labels
    ax.set_ylim(-reach, reach)
    style.time_axis(ax, index)


def _labelled(values: np.ndarray, large: np.ndarray) -> list[int]:
    """The largest first; none so near to a larger one that their labels would overlap."""
    apart, taken = 0.08 * len(values), []
    for position in sorted(np.flatnonzero(large), key=lambda i: -abs(values[i])):
        same_side = [other for other in taken if values[other] * values[position] > 0]
        if all(abs(position - other) > apart for other in same_side):
            taken.append(int(position))
    return taken[:MAX_LABELS]


def _label(ax: "Axes", text: str, x: object, y: float) -> None:
    """A date beyond the end of its stroke."""
    up = y > 0
    place = {"xytext": (0, 3 if up else -3), "textcoords": "offset points", "ha": "center"}
    ax.annotate(text, (x, y), **place, va="bottom" if up else "top", fontsize=style.PROSE, color=style.INK)
