"""How many states a linear model needs: its Hankel singular values."""

from typing import Any

import numpy as np

from ..convert import Balanced
from . import style, systems


def hankel_singular_values(models: Any, *, axes: Any = None) -> np.ndarray:
    """Draw the Hankel singular values of a stable linear model, and what leaving states out may cost at most.

    Twice the sum of the values left out bounds the largest gain of the error at any frequency.

    Args:
        models: A form, a model, a layer, or several by name.
        axes: Where to draw; a new figure when left out.

    Returns:
        One Axes.

    Raises:
        TypeError: If a model cannot be balanced.

    Example:
        >>> axes = ss.plots.hankel_singular_values(model)  # doctest: +SKIP

    Reference: Antoulas (2005), "Approximation of Large-Scale Dynamical Systems", chapter 7.
    """
    found = {name: systems.in_form(model, Balanced) for name, model in systems.by_name(models).items()}
    (panel,) = style.panels(1, 1, axes, (5.0, 3.2)).ravel()
    for name, form, look in systems.strokes(found):
        values = np.asarray(form.singular_values, float)
        order = np.arange(1, len(values) + 1)
        bound = 2 * np.cumsum(values[::-1])[::-1]
        panel.semilogy(
            order, values, marker="o", markersize=4, linewidth=0, color=look["color"], label=name or "values"
        )
        said = f"{name}: error at most" if name else "error at most, if cut before"
        panel.semilogy(order, bound, linewidth=1.0, linestyle=look["linestyle"], color=look["color"], label=said)
    panel.set_xlabel("state", fontsize=style.PROSE)
    panel.locator_params(axis="x", integer=True)
    style.title(panel, "Hankel singular values")
    style.legend(panel)
    return np.array(panel)
