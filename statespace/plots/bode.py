"""Gain and phase against frequency."""

from typing import Any

import numpy as np

from ..convert import ContinuousSSM, FrequencyResponse
from . import style, systems


def bode(models: Any, *, frequencies: Any = None, axes: Any = None) -> np.ndarray:
    """Draw the gain (in decibels) and the phase of a linear model from each input to each series.

    Args:
        models: A form, a model, a layer, or several by name.
        frequencies: Angular frequencies, per unit of time (radians a stamp for a model without a unit); three decades
            up to the largest when left out.
        axes: Where to draw, two Axes for each pair of a series and an input; a new figure when left out.

    Returns:
        Axes of shape (2, pairs): gain above phase.

    Raises:
        TypeError: If a model has no frequency response.
        ValueError: If models differ in series or inputs, have no inputs, or are frequency responses already and
            frequencies are given.

    Example:
        >>> axes = ss.plots.bode(ss.convert(spring, ss.DiscreteSSM, dt=0.1).value)  # doctest: +SKIP
    """
    given = systems.by_name(models)
    if frequencies is not None and any(isinstance(model, FrequencyResponse) for model in given.values()):
        raise ValueError("a FrequencyResponse has frequencies of its own: leave frequencies= out, or pass the model")
    grids = {name: _grid(model) if frequencies is None else np.asarray(frequencies) for name, model in given.items()}
    found = {n: systems.in_form(model, FrequencyResponse, frequencies=grids[n]) for n, model in given.items()}
    shapes = {f.gain.shape[1:] for f in found.values()}
    if 0 in next(iter(shapes)):
        raise ValueError("the model has no inputs to answer to: draw the effects of its noises by impulse_response")
    if len(shapes) > 1:
        raise ValueError(f"models with the same series and inputs can be drawn together, got {sorted(shapes)}")
    series, inputs = shapes.pop()
    panels = style.panels(2, series * inputs, axes, (4.2, 2.3), sharex=True)
    for _, response, look in systems.strokes(found):
        for pair in range(series * inputs):
            row, column = divmod(pair, inputs)
            gain = np.asarray(response.gain)[:, row, column]
            _draw(panels[:, pair], np.asarray(response.frequencies), gain, look)
            style.title(panels[0, pair], f"from {response.input_names[column]} to {response.series_names[row]}")
    for ax in panels[1]:
        ax.set_xlabel(_unit(next(iter(given.values())), next(iter(found.values()))), fontsize=style.PROSE)
    panels[0, 0].set_ylabel("gain, dB", fontsize=style.PROSE)
    panels[1, 0].set_ylabel("phase, degrees", fontsize=style.PROSE)
    style.legend(panels[0, 0], loc="best")
    return panels


def _draw(pair: np.ndarray, frequencies: np.ndarray, gain: np.ndarray, look: dict[str, Any]) -> None:
    with np.errstate(divide="ignore"):
        decibels = 20 * np.log10(np.abs(gain))
    pair[0].semilogx(frequencies, decibels, linewidth=1.4, **look)
    pair[1].semilogx(frequencies, np.degrees(np.unwrap(np.angle(gain))), linewidth=1.4, **look)


def _grid(model: Any) -> np.ndarray:
    """Three decades up to the largest frequency of a discrete model; about the poles of a continuous one."""
    if isinstance(model, FrequencyResponse):
        return np.asarray(model.frequencies)
    if isinstance(model, ContinuousSSM):
        sizes = np.abs(np.linalg.eigvals(np.asarray(model.A)))
        sizes = sizes[sizes > 0] if (sizes > 0).any() else np.ones(1)
        return np.geomspace(sizes.min() / 30, sizes.max() * 30, 400)
    dt = getattr(model, "dt", None)
    largest = np.pi / (1.0 if dt is None else float(np.asarray(dt)))
    return np.geomspace(largest / 1000, largest, 400)


def _unit(model: Any, response: Any) -> str:
    return f"frequency, {systems.unit(model if isinstance(model, ContinuousSSM) else response)}"
