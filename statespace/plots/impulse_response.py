"""What an input does to each series, stamp after stamp."""

from typing import Any

import numpy as np

from ..convert import ImpulseResponse
from . import style, systems


def impulse_response(models: Any, *, length: int = 40, noise: bool = False, axes: Any = None) -> np.ndarray:
    """Draw the impulse responses (the kernel) of a linear model, or of several beside each other.

    Args:
        models: A form, a model, a layer, or several by name (a full model and a reduced one, say).
        length: Number of stamps; of an `ImpulseResponse` at most those that it has.
        noise: Whether to draw the effects of unit white noises, rather than of inputs.
        axes: Where to draw, one Axes for each series and input; a new figure when left out.

    Returns:
        Axes of shape (series, inputs).

    Raises:
        TypeError: If a model cannot be written as a kernel.
        ValueError: If models differ in series or inputs, or have no inputs.

    Example:
        >>> axes = ss.plots.impulse_response({"full": model, "reduced": smaller})  # doctest: +SKIP
    """
    found = {name: _kernel(model, length) for name, model in systems.by_name(models).items()}
    shapes = {(k.noise if noise else k.kernel).shape[1:] for k in found.values()}
    if len(shapes) > 1:
        raise ValueError(f"the models differ in series and {'noises' if noise else 'inputs'}: {sorted(shapes)}")
    rows, columns = shapes.pop()
    if columns == 0:
        raise ValueError("the model has no inputs: draw the effects of its noises, noise=True")
    panels = style.panels(rows, columns, axes, (4.2, 2.5), sharex=True)
    for _, kernel, look in systems.strokes(found):
        taps = np.asarray(kernel.noise if noise else kernel.kernel, float)[:length]
        for (row, column), ax in np.ndenumerate(panels):
            _stems(ax, taps[:, row, column], look, many=len(found) > 1)
            driver = f"noise {column}" if noise else kernel.input_names[column]
            style.title(ax, f"{kernel.series_names[row]} after {driver}")
    for ax in panels[-1]:
        ax.set_xlabel("stamps after the impulse", fontsize=style.PROSE)
    style.legend(panels[0, 0], loc="best")
    return panels


def _kernel(model: Any, length: int) -> Any:
    if isinstance(model, ImpulseResponse):
        return model
    return systems.in_form(model, ImpulseResponse, length=length)


def _stems(ax: Any, taps: np.ndarray, look: dict[str, Any], many: bool) -> None:
    """Strokes from zero for one model, lines with dots where several are compared."""
    stamps = np.arange(len(taps))
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    if not many:
        ax.vlines(stamps, 0, taps, color=look["color"], linewidth=1.2)
    ax.plot(stamps, taps, marker=".", markersize=5, linewidth=1.0 if many else 0, **look)
