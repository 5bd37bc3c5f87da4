"""Roots grouped in sections of two poles at most, and the sections in series as one real system.

A section with the poles c +- i w is the block [[c, w], [-w, c]], one with two real poles [[p, 1], [0, q]]. Poles are
taken from the most resonant on, each pair with the zeros that are nearest, so that no section has a gain far from the
others'.
"""

from typing import NamedTuple

import numpy as np

from ..forms.zeros_poles import ZerosPoles


class Section(NamedTuple):
    """A factor of a transfer function: gain prod (z - zeros) / prod (z - poles), one or two poles."""

    zeros: np.ndarray
    poles: np.ndarray
    gain: float

    @property
    def system(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """A, B, C and D; the state's output is its first element."""
        zeros, poles, g = self.zeros, self.poles, self.gain
        if len(poles) == 1:
            pole = poles[0].real
            b, d = (g, 0.0) if not len(zeros) else (g * (pole - zeros[0]).real, g)
            return np.array([[pole]]), np.array([[b]]), np.ones((1, 1)), d
        # numerator - D denominator = slope z + constant
        total, product = poles.sum().real, poles.prod().real
        d = g if len(zeros) == 2 else 0.0
        slope = {0: 0.0, 1: g, 2: g * (total - zeros.sum().real)}[len(zeros)]
        constant = {0: g, 1: -g * zeros.sum().real, 2: g * (zeros.prod().real - product)}[len(zeros)]
        if poles[0].imag:
            c, w = poles[0].real, abs(poles[0].imag)
            A, b = np.array([[c, w], [-w, c]]), [slope, (constant + slope * c) / w]
        else:
            p, q = np.real(poles)
            A, b = np.array([[p, 1.0], [0.0, q]]), [slope, constant + slope * q]
        return A, np.array(b)[:, None], np.array([[1.0, 0.0]]), d


def sections_of(form: ZerosPoles) -> list[Section]:
    """The sections of a transfer function, each with the same share of the gain."""
    pairs, single = _groups(np.asarray(form.poles, complex))
    units, odd = _groups(np.asarray(form.zeros, complex))
    resonance = (lambda p: abs(abs(p[0]) - 1)) if form.domain == "discrete" else (lambda p: abs(p[0].real))
    found: list[tuple[np.ndarray, np.ndarray]] = [(odd, single)] if len(single) else []
    if len(odd) and not len(single):
        units = [*units, odd]
    for pair in sorted(pairs, key=resonance):
        nearest = min(range(len(units)), key=lambda i: np.abs(units[i] - pair[0]).min(), default=None)
        found.append((np.zeros(0, complex) if nearest is None else units.pop(nearest), pair))
    gain = float(form.gain)
    share = abs(gain) ** (1 / max(len(found), 1))
    signs = [np.sign(gain)] + [1.0] * len(found)
    return [Section(zeros, poles, share * sign) for (zeros, poles), sign in zip(found, signs, strict=False)]


def _groups(roots: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Conjugate pairs, and real roots two by two; the odd real root that is left, or none."""
    upper = roots[np.imag(roots) > 0]
    pairs = [np.array([root, root.conjugate()]) for root in upper]
    real = np.sort(np.real(roots[np.imag(roots) == 0])).astype(complex)
    pairs += [real[i : i + 2] for i in range(0, len(real) - 1, 2)]
    return pairs, real[len(real) - len(real) % 2 :]


def cascade(form: ZerosPoles) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A, B, C and D of the sections in series."""
    return in_series(sections_of(form), float(form.gain))


def in_series(sections: list[Section], gain: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A, B, C and D of sections in series, each driven by what the one before puts out; the gain alone if none."""
    A, B, C, D = np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), np.ones((1, 1))
    for section in sections:
        a, b, c, d = section.system
        A = np.block([[A, np.zeros((len(A), len(a)))], [b @ C, a]])
        B, C, D = np.concatenate([B, b @ D]), np.concatenate([d * C, c], axis=1), d * D
    return A, B, C, D if sections else gain * D
