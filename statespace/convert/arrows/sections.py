"""Second-order sections, zeros and poles, and state-space forms.

Coefficients of a section are sums and products of two roots; roots come back by the formula that does not cancel.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM
from ..forms.sections import SecondOrderSections
from ..forms.zeros_poles import ZerosPoles
from ..numerics.cascade import sections_of
from ..registry import arrow
from .zeros_poles import continuous_to_zeros_poles, discrete_to_zeros_poles


@arrow(ZerosPoles, SecondOrderSections)
def zeros_poles_to_sections(form: ZerosPoles) -> Conversion:
    """Sections of two poles at most, poles near the border of stability with the zeros that are nearest.

    A system with fewer zeros than poles keeps its delay: the first coefficients of a section are zero then.
    """
    discrete = form.domain == "discrete"
    rows = []
    for section in sections_of(form):
        above, below = section.gain * _polynomial(section.zeros), _polynomial(section.poles)
        above = np.concatenate([np.zeros(len(below) - len(above)), above])
        pad = np.zeros(3 - len(below))
        # a section of one pole: times z / z in discrete time, where a0 is one; as it is in continuous time
        rows.append(np.concatenate([above, pad, below, pad] if discrete else [pad, above, pad, below]))
    if not rows:
        rows.append([float(form.gain), 0.0, 0.0, 1.0, 0.0, 0.0] if discrete else [0, 0, float(form.gain), 0, 0, 1.0])
    value = SecondOrderSections(jnp.asarray(np.array(rows), form.gain.dtype), **_shared(form))
    return Conversion(value)


def _polynomial(roots: np.ndarray) -> np.ndarray:
    """The monic polynomial with two real or conjugate roots at most."""
    if len(roots) < 2:
        return np.array([1.0, *(-np.real(roots))])
    return np.array([1.0, -roots.sum().real, roots.prod().real])


@arrow(DiscreteSSM, SecondOrderSections, chained=False)
def discrete_to_sections(
    ssm: DiscreteSSM, *, input: Any = None, series: Any = None, tolerance: float | None = None
) -> Conversion:
    """Sections from an input to a series, by zeros, poles and gain.

    Args:
        ssm: The form, constant in time. The noise and the first state are not part of a transfer function.
        input: Name or position of the input; may be left out where there is one.
        series: Name or position of the series; may be left out where there is one.
        tolerance: As for zeros, poles and gain: where states that are not reached or not seen are to be removed.

    Raises:
        ValueError: If the matrices vary with time, or it is not said which input or series is meant.
    """
    found = discrete_to_zeros_poles(ssm, input=input, series=series, tolerance=tolerance)
    return found.then(zeros_poles_to_sections(found.value))


@arrow(ContinuousSSM, SecondOrderSections, chained=False)
def continuous_to_sections(
    ssm: ContinuousSSM, *, input: Any = None, series: Any = None, tolerance: float | None = None
) -> Conversion:
    """Sections from an input to a series in continuous time, by zeros, poles and gain.

    Args:
        ssm: The form. The noise and the first state are not part of a transfer function.
        input: Name or position of the input; may be left out where there is one.
        series: Name or position of the series; may be left out where there is one.
        tolerance: As for a discrete form.

    Raises:
        ValueError: If it is not said which input or series is meant.
    """
    found = continuous_to_zeros_poles(ssm, input=input, series=series, tolerance=tolerance)
    return found.then(zeros_poles_to_sections(found.value))


@arrow(SecondOrderSections, ZerosPoles)
def sections_to_zeros_poles(form: SecondOrderSections) -> Conversion:
    """The roots of the sections; what all of them have in common at the origin cancels.

    Returns:
        The roots; `condition` is that of the pair of roots that is closest.

    Raises:
        ValueError: If a section has no denominator or more zeros than poles.
    """
    zeros, poles, gain, condition = [], [], 1.0, 1.0
    for row in on_host(form.sections):
        above, below = np.trim_zeros(row[:3], "f"), np.trim_zeros(row[3:], "f")
        if not len(below) or len(above) > len(below):
            raise ValueError(f"the section {row} has no denominator, or more zeros than poles")
        if not len(above):
            raise ValueError(f"the section {row} is zero, and with it the whole system")
        if form.domain == "discrete":
            while len(above) and len(below) > 1 and above[-1] == 0 and below[-1] == 0:
                above, below = above[:-1], below[:-1]
        gain *= above[0] / below[0]
        for roots, polynomial in ((zeros, above / above[0]), (poles, below / below[0])):
            found, worst = _roots(polynomial)
            roots += found
            condition = max(condition, worst)
    return Conversion(ZerosPoles(zeros, poles, gain, **_shared(form)), condition=condition)


def _roots(polynomial: np.ndarray) -> tuple[list[complex], float]:
    """Roots of a monic polynomial of degree two at most, and how much they magnify errors of its coefficients."""
    if len(polynomial) < 3:
        return [complex(-x) for x in polynomial[1:]], 1.0
    _, b, c = polynomial
    discriminant = b * b / 4 - c
    size = max(abs(b), abs(c) ** 0.5)
    condition = size / max(abs(discriminant) ** 0.5, size * np.finfo(float).eps ** 0.5) if size else 1.0
    if discriminant < 0:
        root = complex(-b / 2, (-discriminant) ** 0.5)
        return [root, root.conjugate()], condition
    first = -b / 2 - np.copysign(discriminant**0.5, b)
    return [complex(first), complex(c / first if first else 0.0)], condition


def _shared(form: Any) -> dict[str, Any]:
    names = ("domain", "drives", "variance", "dt", "input_name", "series_name")
    return {name: getattr(form, name) for name in names}
