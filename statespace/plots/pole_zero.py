"""Where a linear model resonates and where it is silent: poles and zeros in the complex plane."""

from typing import Any

import numpy as np

from ..convert import ContinuousSSM, DiscreteSSM, InnovationsSSM, ZerosPoles
from . import style, systems


def pole_zero(models: Any, *, axes: Any = None) -> np.ndarray:
    """Draw the poles (crosses) and zeros (circles) of a model with one input and one series, or of its predictor.

    A model without inputs is drawn from its innovations to its series: the roots of its ARMA form. The unit circle of
    a model in discrete time, or the imaginary axis of one in continuous time, is where stability ends.

    Args:
        models: A form, a model, a layer, or several by name.
        axes: Where to draw; a new figure when left out.

    Returns:
        One Axes.

    Raises:
        TypeError: If a model has no zeros and poles.
        ValueError: If it has several series or inputs (name them in `ss.convert(model, ss.ZerosPoles, ...)`), or
            models in discrete and continuous time are to be drawn together.

    Example:
        >>> axes = ss.plots.pole_zero(ss.LocalLevel(1.0) + ss.Noise(2.0))  # doctest: +SKIP
    """
    found = {name: _roots(model) for name, model in systems.by_name(models).items()}
    domains = {form.domain for form in found.values()}
    if len(domains) > 1:
        raise ValueError("models in discrete and in continuous time have different planes: draw them apart")
    (panel,) = style.panels(1, 1, axes, (4.2, 4.0)).ravel()
    _boundary(panel, domains.pop())
    for name, form, look in systems.strokes(found):
        poles, zeros = np.asarray(form.poles), np.asarray(form.zeros)
        (x, y), (hollow_x, hollow_y) = ((np.real(roots), np.imag(roots)) for roots in (poles, zeros))
        label = f"{name}: " if name else ""
        panel.plot(x, y, "x", color=look["color"], markersize=7, label=f"{label}poles")
        hollow = {"markerfacecolor": "none", "color": look["color"], "markersize": 6}
        if zeros.size:
            panel.plot(hollow_x, hollow_y, "o", label=f"{label}zeros", **hollow)
    panel.set_aspect("equal", adjustable="datalim")
    panel.locator_params(nbins=5)
    panel.set_xlabel("real part", fontsize=style.PROSE)
    panel.set_ylabel("imaginary part", fontsize=style.PROSE)
    style.title(panel, "Poles and zeros")
    style.legend(panel, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return np.array(panel)


def _roots(model: Any) -> ZerosPoles:
    """From the one input to the one series, or from the innovations where there is no input."""
    if isinstance(model, ZerosPoles):
        return model
    if not hasattr(model, "input_names"):  # a layer or a cell
        model = systems.in_form(model, DiscreteSSM)
    if getattr(model, "input_names", ()):
        return systems.in_form(model, ZerosPoles)
    if isinstance(model, ContinuousSSM):
        raise ValueError("a continuous model without inputs has no zeros: convert it to DiscreteSSM first")
    return systems.in_form(systems.in_form(model, InnovationsSSM), ZerosPoles)


def _boundary(ax: Any, domain: str) -> None:
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    ax.axvline(0, color=style.INK if domain == "continuous" else style.GREY, linewidth=0.8)
    if domain == "discrete":
        turn = np.linspace(0, 2 * np.pi, 361)
        ax.plot(np.cos(turn), np.sin(turn), color=style.INK, linewidth=0.8)
