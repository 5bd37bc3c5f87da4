"""Smoothed states with bands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import style

if TYPE_CHECKING:
    from ..results import Smoothed


def states(
    smoothed: "Smoothed",
    *,
    names: str | Sequence[str] | None = None,
    level: float = 0.9,
    axes: Any = None,
) -> np.ndarray:
    """Draws a panel for each state: its mean given all data, and a band.

    Args:
        smoothed: What `statespace.smooth` returned.
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
    style.expect(smoothed, "state_names", "smooth")
    wanted = style.chosen(names, list(smoothed.state_names), "state")
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
