"""Frames of videos in rows under each other: what was there, what a model makes of it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 12  # frames in a row that is not told which


def video(
    frames: Any,
    *,
    shape: tuple[int, int] | None = None,
    stamps: Sequence[int] | None = None,
    hidden: Any = None,
    limits: tuple[float, float] = (0.0, 1.0),
    axes: Any = None,
) -> np.ndarray:
    """Draws a row of frames for each video, the same stamps in all; those that were hidden are framed in orange.

    A frame that is missing altogether (NaN) is crossed out.

    Args:
        frames: Grey levels (time, pixel), row by row from the top, or (time, row, column): an array or a data frame, or
            several by name, such as `{"truth": ..., "smoothed": ..., "sampled": ...}`.
        shape: Rows and columns of pixels; a square when left out.
        stamps: Positions of the frames to draw; up to twelve, evenly spaced, when left out.
        hidden: Which stamps were kept from the model, (time,).
        limits: What is black, and what is white.
        axes: Where to draw, one Axes for each row; a new figure when left out.

    Returns:
        One Axes for each row.

    Raises:
        ValueError: If there is no video, shapes differ or do not fit, a stamp does not exist, or the number of Axes is
            wrong.

    Example:
        >>> import statespace as ss
        >>> balls = ss.datasets.bouncing_balls(1, 20).frames["sequence 0"]
        >>> axes = ss.plots.video({"truth": balls, "faint": 0.5 * balls}, stamps=range(0, 20, 4))
        >>> [ax.get_ylabel() for ax in axes]
        ['truth', 'faint']
    """
    rows = frames if isinstance(frames, Mapping) else {"": frames}
    index = next((row.index for row in rows.values() if isinstance(row, pd.DataFrame)), None)
    pictures = {str(name): _pictures(row, shape) for name, row in rows.items()}
    shapes = {part.shape for part in pictures.values()}
    if len(shapes) != 1:
        raise ValueError(f"videos of one shape (time, row, column) are needed, got {sorted(shapes)}")
    length, height, width = shapes.pop()
    wanted = np.arange(0, length, -(-length // _MOST)) if stamps is None else np.array(stamps, dtype=int)
    if not len(wanted) or wanted.min() < 0 or wanted.max() >= length:
        raise ValueError(f"stamps are positions from 0 to {length - 1}, got {wanted.tolist()}")
    marked = np.zeros(length, dtype=bool) if hidden is None else np.asarray(hidden, dtype=bool)
    if marked.shape != (length,):
        raise ValueError(f"hidden has the shape {marked.shape}, expected ({length},), one for each frame")
    size = (0.75 * len(wanted) + 0.6, 0.75 * height / width + 0.08 + 0.3 / len(pictures))
    panels = style.panels(len(pictures), 1, axes, size).ravel()
    names = [style.time_label(pd.RangeIndex(length) if index is None else index, int(t)) for t in wanted]
    for ax, (name, part) in zip(panels, pictures.items(), strict=True):
        _draw(ax, part[wanted], marked[wanted], limits)
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10, color=style.INK)
        ax.set_xticks([], [])
    places = (width + _gap(width)) * np.arange(len(wanted)) + width / 2
    panels[-1].set_xticks(places, names)
    if hidden is not None:
        panels[0].plot([], [], linestyle="none", marker="s", markersize=7, label="hidden", **_FRAMED)
        style.legend(panels[0])
    return panels


_FRAMED = {"markerfacecolor": "none", "markeredgecolor": style.ORANGE, "markeredgewidth": 1.8}


def _pictures(row: Any, shape: tuple[int, int] | None) -> np.ndarray:
    """Frames as (time, row, column)."""
    values = np.asarray(row, dtype=float)
    if values.ndim == 3:
        return values
    if values.ndim != 2:
        raise ValueError(f"a video has the shape (time, pixel) or (time, row, column), got {values.shape}")
    side = round(values.shape[1] ** 0.5)
    height, width = (side, side) if shape is None else shape
    if height * width != values.shape[1]:
        raise ValueError(f"{values.shape[1]} pixels are not {height} by {width}: pass shape=(rows, columns)")
    return values.reshape(-1, height, width)


def _gap(width: int) -> float:
    """Between two frames, in pixels."""
    return max(width / 12, 0.5)


def _draw(ax: "Axes", pictures: np.ndarray, hidden: np.ndarray, limits: tuple[float, float]) -> None:
    """One row."""
    from matplotlib.patches import Rectangle

    height, width = pictures.shape[1:]
    gap = _gap(width)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    for number, (picture, unseen) in enumerate(zip(pictures, hidden, strict=True)):
        left = number * (width + gap)
        shown = np.ma.masked_invalid(picture)
        extent = (left, left + width, height, 0)
        ax.imshow(shown, cmap="gray", vmin=limits[0], vmax=limits[1], extent=extent, interpolation="nearest")
        if shown.mask.all():
            look = {"facecolor": "#e9e9e9", "edgecolor": "#b4b4b4", "linewidth": 0.0, "hatch": "xx"}
            ax.add_patch(Rectangle((left, 0), width, height, **look))
        if unseen:
            edge = {"fill": False, "edgecolor": style.ORANGE, "linewidth": 1.8, "clip_on": False}
            ax.add_patch(Rectangle((left, 0), width, height, **edge))
    ax.set_xlim(-gap, len(pictures) * (width + gap))
    ax.set_ylim(height + gap / 2, -gap / 2)
    ax.set_yticks([])
    ax.tick_params(length=0)
