"""Smoothed states with bands; probabilities of discrete states, stacked."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import style


def states(
    smoothed: Any,
    *,
    names: str | Sequence[str] | None = None,
    level: float = 0.9,
    axes: Any = None,
) -> np.ndarray:
    """Draws a panel for each state: its mean given all data, and a band. Discrete states share one panel.

    Their probabilities are stacked, so that each state's colour is as high at a stamp as the state is probable.

    Args:
        smoothed: What `statespace.smooth` returned; of discrete states also what `statespace.filter` returned.
        names: Which states; all when left out.
        level: Probability of the bands.
        axes: Where to draw, one Axes a state; a new figure when left out.

    Returns:
        One Axes for each state, in the order of the names.

    Raises:
        ValueError: If a state does not exist, the level is not between 0 and 1, or the number of Axes is
            wrong.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(scale=38.3) + ss.Noise(scale=122.9)
        >>> axes = ss.plots.states(ss.smooth(model, ss.datasets.nile()))
        >>> [ax.get_title(loc="left") for ax in axes]
        ['level']
    """
    style.expect(smoothed, "probabilities" if hasattr(smoothed, "probabilities") else "sd", "smooth")
    wanted = style.chosen(names, list(smoothed.state_names), "state")
    if hasattr(smoothed, "probabilities"):
        return _stacked(smoothed, wanted, axes)
    width, x = style.normal_quantile(level), style.times(smoothed.index)
    columns = 1 if len(wanted) <= 4 else 2 if len(wanted) <= 14 else 3
    panels = style.grid(len(wanted), axes, (8 if columns == 1 else 4.5, 1.9), columns)
    for ax, name in zip(panels, wanted, strict=True):
        state = list(smoothed.state_names).index(name)
        mean, half = np.asarray(smoothed.mean)[:, state], width * np.asarray(smoothed.sd)[:, state]
        style.band(ax, x, mean - half, mean + half, label=style.percent(level))
        style.line(ax, x, mean, color=style.BLUE, linewidth=1.4, label="mean")
        style.title(ax, name)
        style.time_axis(ax, smoothed.index)
    style.legend(panels[0])
    return panels


def _stacked(found: Any, wanted: list[str], axes: Any) -> np.ndarray:
    """The probabilities of discrete states on top of each other, those with earlier numbers below."""
    panels = style.panels(1, 1, axes, (8, 2.6)).ravel()
    ax, x = panels[0], style.times(found.index)
    below = np.zeros(len(x))
    for name, colour in zip(wanted, style.shades(len(wanted)), strict=True):
        above = below + np.asarray(found.probabilities)[:, list(found.state_names).index(name)]
        style.band(ax, x, below, above, color=colour, label=name)
        below = above
    ax.set_ylim(0, 1)
    ax.margins(x=0)
    style.title(ax, "probability of each state")
    style.time_axis(ax, found.index)
    style.legend(ax)
    return panels
