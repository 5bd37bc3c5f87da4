"""How a deep model was learned: the bound that it climbed, and what its latent states carry."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ACTIVE = 0.01  # nats a stamp that a latent state which is used diverges by at least
_WINDOWS = 50  # running means over a path of learning


def training(fitted: Any, *, baselines: pd.DataFrame | None = None, axes: Any = None) -> np.ndarray:
    """Draws the bound against steps, with that of held-out sequences, and below it the divergence of each latent state.

    A divergence KL(guide || prior) near zero is a latent state that carries nothing; a model all of whose latent states
    are at zero has collapsed, whatever its bound. The noise of single batches is drawn faintly, their running mean (a
    fiftieth of all steps) on top of it.

    Args:
        fitted: A fit by `SVI(guide=Guide(...))`, or its `history`.
        baselines: What `statespace.diagnostics.baselines` returned for the held-out sequences.
        axes: Where to draw, two Axes; a new figure when left out.

    Returns:
        The Axes of the bound and of the divergences.

    Raises:
        TypeError: If it is no such fit.
        ValueError: If no step was taken, or the number of Axes is wrong.

    Example:
        >>> axes = ss.plots.training(fit, baselines=ss.diagnostics.baselines(train, valid))  # doctest: +SKIP
    """
    history = fitted if isinstance(fitted, xr.Dataset) else getattr(fitted, "history", None)
    if not isinstance(history, xr.Dataset):
        raise TypeError(f"this plot draws the history of a fit by SVI(guide=Guide(...)), got {type(fitted).__name__}")
    bound = np.asarray(history["bound"], dtype=float)
    if not len(bound):
        raise ValueError("the history has no steps: nothing was learned")
    steps = np.asarray(history["step"]) if "step" in history.coords else np.arange(1, len(bound) + 1)
    heights = {"height_ratios": [1.5, 1.0]} if axes is None else {}
    panels = style.panels(2, 1, axes, (8, 2.5), sharex=axes is None, **heights).ravel()
    _draw_bound(panels[0], steps, bound, history, baselines)
    _draw_divergence(panels[1], steps, np.asarray(history["divergence"], dtype=float))
    panels[1].set_xlabel("step", fontsize=style.PROSE)
    style.time_axis(panels[1], pd.Index(steps))
    return panels


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Running means along the first axis, over fewer steps at the start; the values themselves where there are few."""
    window = max(len(values) // _WINDOWS, 1)
    total = np.cumsum(np.concatenate([np.zeros((1, *values.shape[1:])), values]), axis=0)
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - window, 0)
    return (total[ends] - total[begins]) / (ends - begins).reshape(-1, *[1] * (values.ndim - 1))


def _draw_bound(ax: "Axes", steps: np.ndarray, bound: np.ndarray, history: xr.Dataset, baselines: Any) -> None:
    """The bound of batches and of held-out sequences, above what trivial models reach."""
    mean = _smoothed(bound)
    if not np.array_equal(mean, bound):
        style.line(ax, steps, bound, color=style.tint(0.3), linewidth=0.6)
    style.line(ax, steps, mean, color=style.BLUE, linewidth=1.4, label="batches")
    low = [np.nanquantile(bound[len(bound) // 10 :], 0.02)]  # a bad start would leave no room for the rest
    held, remark = np.asarray(history["held_out"], dtype=float), ""
    if held.size:
        at = np.asarray(history["evaluated_at"])
        look = {"linestyle": "none", "marker": "o", "markersize": 3.5, "color": style.ORANGE}
        ax.plot(at, held, **look, label="held out")
        best = int(np.nanargmax(held))
        remark = f"best held-out {held[best]:.3f} at step {at[best]}"
        low.append(np.nanquantile(held, 0.05))
    top = np.nanmax([bound.max(), *held])
    if baselines is not None:
        for (name, score), stroke in zip(baselines["per_frame"].items(), ("-.", "--", ":"), strict=False):
            ax.axhline(-score, color=style.GREY, linewidth=1.0, linestyle=stroke, label=f"{name}")
            low.append(-score)
            top = max(top, -score)
    room = 0.06 * (top - min(low)) or 0.1
    ax.set_ylim(min(low) - room, top + room)
    objective, count = history.attrs.get("objective", "bound"), history.attrs.get("num_particles")
    style.title(ax, f"{objective}{'' if count is None else f'-{count}'}, nats a stamp", remark)
    style.legend(ax)


def _draw_divergence(ax: "Axes", steps: np.ndarray, divergence: np.ndarray) -> None:
    """A line for each latent state."""
    if np.isnan(divergence).all():
        ax.text(0.5, 0.5, "resampled paths have no divergence", transform=ax.transAxes, ha="center", color=style.GREY)
        ax.set_yticks([])
        style.title(ax, "KL(guide || prior)")
        return
    mean = _smoothed(divergence)
    count = mean.shape[1]
    for values in mean.T:
        ax.plot(steps, values, color=style.BLUE, linewidth=1.0, alpha=max(0.25, min(1.0, 8 / count)))
    ax.set_ylim(bottom=0)
    end = mean[-1]
    used = f"{int(np.sum(end > _ACTIVE))} of {count} above {_ACTIVE}"
    style.title(
        ax, "KL(guide || prior) of each latent state, nats a stamp", f"at the end {end.sum():.3g} in all, {used}"
    )
