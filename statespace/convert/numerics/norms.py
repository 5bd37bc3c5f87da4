"""Sizes of transfer functions: the largest gain over frequencies, and the root of the sum of squares."""

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from ...core.certificates import radius_on_host
from ..forms.arrays import on_host
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM
from .gramians import cayley, gramian_factor


class Plain(NamedTuple):
    """Matrices on the host, of s' = A s + B u or s[k+1] = A s[k] + B u[k], y = C s + D u."""

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray


def plain(model: DiscreteSSM | ContinuousSSM) -> Plain:
    """The matrices of the map from inputs to series; those of a discrete model in `previous` timing.

    Raises:
        ValueError: If the model varies in time.
    """
    A, B, C, D = (on_host(x) for x in (model.A, model.B, model.C, model.D))
    if any(x.ndim != 2 for x in (A, B, C, D)):
        raise ValueError("a model that varies with time has no transfer function")
    if isinstance(model, DiscreteSSM) and (model.timing == "current" or model.lead):  # the input acts at once
        return Plain(A, B, C @ A, D + C @ B)
    return Plain(A, B, C, D)


def hinf_norm(model: DiscreteSSM | ContinuousSSM, *, tolerance: float = 1e-10) -> float:
    """The largest singular value of the transfer function from inputs to series, over all frequencies.

    It is where a Hamiltonian matrix begins to have eigenvalues on the imaginary axis; each step jumps to the largest
    gain halfway between the crossings of the last level. A discrete model is mapped to a continuous one with the same
    gains first.

    Args:
        model: A stable model, constant in time.
        tolerance: Relative accuracy.

    Returns:
        The norm; infinite if the model is not stable.

    Example:
        >>> hinf_norm(DiscreteSSM([[0.5]], [[1.0]], [[1.0]]))
        2.0

    Reference: Bruinsma and Steinbuch (1990), "A fast algorithm to compute the H-infinity norm of a transfer function
    matrix".
    """
    system = plain(model)
    if isinstance(model, DiscreteSSM):
        if radius_on_host(system.A) >= 1:
            return float("inf")
        system = _to_continuous(system)
    elif np.linalg.eigvals(system.A).real.max(initial=-np.inf) >= 0:
        return float("inf")
    return largest_gain(system, tolerance)


def _to_continuous(system: Plain) -> Plain:
    """A continuous system with the gains of a discrete one, by z = (1 + s) / (1 - s)."""
    A, B, C, D = system
    eye = np.eye(len(A))
    inner = np.linalg.solve(A + eye, np.concatenate([A - eye, np.sqrt(2) * B], axis=1))
    out = np.linalg.solve((A + eye).T, C.T).T
    return Plain(inner[:, : len(A)], inner[:, len(A) :], np.sqrt(2) * out, D - out @ B)


def largest_gain(system: Plain, tolerance: float) -> float:
    """The largest gain of a stable continuous system."""
    A, B, C, D = system
    if 0 in B.shape or 0 in C.shape:
        return float(np.linalg.norm(D, 2)) if D.size else 0.0
    poles = np.linalg.eigvals(A)
    trial = np.concatenate([[0.0], np.abs(poles.imag), np.abs(poles)])
    level = max(float(np.linalg.norm(D, 2)), *(_gain(system, w) for w in trial))
    if level == 0:
        return 0.0
    for _ in range(100):
        crossings = _crossings(system, level * (1 + 2 * tolerance))
        if len(crossings) < 2:
            break
        middles = (crossings[1:] + crossings[:-1]) / 2
        best = max(_gain(system, w) for w in middles)
        if best <= level * (1 + tolerance):
            break
        level = best
    return float(level)


def _gain(system: Plain, frequency: float) -> float:
    A, B, C, D = system
    return float(np.linalg.norm(C @ np.linalg.solve(1j * frequency * np.eye(len(A)) - A, B) + D, 2))


def _crossings(system: Plain, level: float) -> np.ndarray:
    """Frequencies at which a singular value is the level: imaginary eigenvalues of a Hamiltonian matrix."""
    A, B, C, D = system
    R = level**2 * np.eye(B.shape[1]) - D.T @ D
    inner = np.linalg.solve(R, np.concatenate([D.T @ C, B.T], axis=1))
    by_c, by_b = inner[:, : len(A)], inner[:, len(A) :]
    closed = A + B @ by_c
    H = np.block([[closed, B @ by_b], [-(C.T @ C + C.T @ D @ by_c), -closed.T]])
    values = np.linalg.eigvals(H)
    size = np.finfo(float).eps ** 0.5 * max(np.abs(values).max(), 1e-300)
    # an eigenvalue a little off the axis may be a crossing that rounding has moved: a level too many does no harm
    near = values.imag[(np.abs(values.real) <= size) & (values.imag >= 0)]
    return np.sort(np.concatenate([-near, near])) if len(near) else near


def h2_norm(model: DiscreteSSM | ContinuousSSM) -> float:
    """The root of the sum (in continuous time of the integral) of the squares of the kernel from inputs to series.

    Args:
        model: A stable model, constant in time.

    Returns:
        The norm: infinite if the model is not stable, or is continuous and has a feedthrough.

    Example:
        >>> round(h2_norm(DiscreteSSM([[0.5]], [[1.0]], [[1.0]])), 6)
        1.154701

    Reference: Zhou, Doyle and Glover (1996), "Robust and Optimal Control", section 4.6.
    """
    system = plain(model)
    if isinstance(model, DiscreteSSM):
        if radius_on_host(system.A) >= 1:
            return float("inf")
        return float(np.sqrt(np.linalg.norm(system.C @ gramian_factor(system.A, system.B)) ** 2 + np.sum(system.D**2)))
    if np.any(system.D) or np.linalg.eigvals(system.A).real.max(initial=-np.inf) >= 0:
        return float("inf")
    return float(np.linalg.norm(system.C @ gramian_factor(*cayley(*system)[:2])))


def difference(one: Plain, other: Plain) -> Plain:
    """The system whose output is the difference of two outputs."""
    return Plain(
        np.asarray(scipy.linalg.block_diag(one.A, other.A)),
        np.concatenate([one.B, other.B]),
        np.concatenate([one.C, -other.C], axis=1),
        one.D - other.D,
    )


def hinf_distance(one: Any, other: Any, *, tolerance: float = 1e-8) -> float:
    """The largest gain of the difference of two models of one domain, from inputs to series.

    Args:
        one: A stable model.
        other: Another, with the same inputs and series.
        tolerance: Relative accuracy.

    Raises:
        ValueError: If one is in discrete and the other in continuous time.
    """
    if isinstance(one, DiscreteSSM) != isinstance(other, DiscreteSSM):
        raise ValueError("one model is in discrete and the other in continuous time: convert one of them")
    apart = difference(plain(one), plain(other))
    whole = DiscreteSSM(*apart, timing="previous") if isinstance(one, DiscreteSSM) else ContinuousSSM(*apart)
    return hinf_norm(whole, tolerance=tolerance)
