"""Zeros, poles and gain of state-space forms, and state-space forms made of sections.

Poles are eigenvalues, zeros come from a pencil, the gain from points where the system is regular. Back, roots are
grouped in sections of two poles at most, each a real block of its own, in series: no polynomial of a degree above two
is ever formed.

From an input to a series is a way that loses the noise: no chain of arrows takes it unasked.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ...core.linalg import symmetrise
from ..conversion import Conversion
from ..forms.arma import ARMA
from ..forms.arrays import on_host
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM
from ..forms.innovations import InnovationsSSM
from ..forms.zeros_poles import ZerosPoles
from ..numerics.blocks import is_zero
from ..numerics.cascade import cascade
from ..numerics.minimal import minimal
from ..numerics.transmission_zeros import transmission_zeros
from ..registry import arrow
from ..stationary import NO_MEAN, as_stationary, stationary_cov, without_mean
from .varma import noise_part, reduction_notes


@arrow(DiscreteSSM, ZerosPoles, chained=False)
def discrete_to_zeros_poles(
    ssm: DiscreteSSM, *, input: Any = None, series: Any = None, tolerance: float | None = None
) -> Conversion:
    """Zeros, poles and gain from an input to a series.

    Args:
        ssm: The form, constant in time. The noise and the first state are not part of a transfer function.
        input: Name or position of the input; may be left out where there is one.
        series: Name or position of the series; may be left out where there is one.
        tolerance: Share of the size of the system below which a singular value is taken for zero, where states that are
            not reached or not seen are to be removed first; else they appear as zeros that cancel poles.

    Raises:
        ValueError: If the matrices vary with time, or it is not said which input or series is meant.
    """
    if not ssm.is_constant:
        raise ValueError("the matrices vary with time: there is no transfer function")
    A, B, C, D = (on_host(x) for x in (ssm.A, ssm.B, ssm.C, ssm.D))
    if ssm.timing == "current" or ssm.lead:  # the input acts at once: C z (z - A)^-1 B = C B + C A (z - A)^-1 B
        C, D = C @ A, D + C @ B
    lost = () if _is_bare(ssm) else ("the noise and the first state are not part of a transfer function",)
    return _zeros_poles(ssm, A, B, C, D, (input, series, tolerance), lost, domain="discrete", dt=ssm.dt)


@arrow(ContinuousSSM, ZerosPoles, chained=False)
def continuous_to_zeros_poles(
    ssm: ContinuousSSM, *, input: Any = None, series: Any = None, tolerance: float | None = None
) -> Conversion:
    """Zeros, poles and gain from an input to a series, in continuous time.

    Args:
        ssm: The form. The noise and the first state are not part of a transfer function.
        input: Name or position of the input; may be left out where there is one.
        series: Name or position of the series; may be left out where there is one.
        tolerance: As for a discrete form.

    Raises:
        ValueError: If it is not said which input or series is meant.
    """
    A, B, C, D = (on_host(x) for x in (ssm.A, ssm.B, ssm.C, ssm.D))
    lost = () if _is_bare(ssm) else ("the noise and the first state are not part of a transfer function",)
    return _zeros_poles(ssm, A, B, C, D, (input, series, tolerance), lost, domain="continuous", dt=None)


def _is_bare(ssm: DiscreteSSM | ContinuousSSM) -> bool:
    """Whether there is neither noise nor a first state."""
    return all(is_zero(x) for x in (ssm.Q, ssm.R, ssm.mean, ssm.cov)) and not any(ssm.diffuse)


def _zeros_poles(
    ssm: DiscreteSSM | ContinuousSSM,
    A: np.ndarray,
    B: np.ndarray,
    C: np.ndarray,
    D: np.ndarray,
    which: tuple[Any, Any, float | None],
    lost: tuple[str, ...],
    **keywords: Any,
) -> Conversion:
    i, o = _position(which[0], ssm.input_names, "input"), _position(which[1], ssm.series_names, "series")
    B, C, D = B[:, [i]], C[[o]], D[[o]][:, [i]]
    notes = lost
    if which[2] is not None:
        reduced = minimal(A, B, C, which[2])
        notes = (*notes, *reduction_notes(reduced, len(A)))
        A, B, C = reduced.A, reduced.B, reduced.C
    poles, condition = poles_of(A)
    zeros = transmission_zeros(A, B, C, D)
    value = ZerosPoles(
        zeros,
        poles,
        _gain(A, B, C, D, zeros, poles),
        input_name=ssm.input_names[i],
        series_name=ssm.series_names[o],
        **keywords,
    )
    if not lost:
        return Conversion(value, condition=condition, notes=notes)
    return Conversion(value, exact=False, norm="hinf", condition=condition, notes=notes)


def poles_of(A: np.ndarray) -> tuple[np.ndarray, float]:
    """Eigenvalues of a balanced matrix, and the condition number of their eigenvectors."""
    from scipy.linalg import matrix_balance  # slow to import

    if not len(A):
        return np.zeros(0, complex), 1.0
    values, vectors = np.linalg.eig(matrix_balance(A, permute=False)[0])
    return values, float(np.linalg.cond(vectors))


def _position(which: Any, names: tuple[str, ...], what: str) -> int:
    """Where a name or a position stands."""
    if which is None and len(names) == 1:
        return 0
    if isinstance(which, str) and which in names:
        return names.index(which)
    if isinstance(which, int) and 0 <= which < len(names):
        return which
    raise ValueError(f"{what}= is one of {names} or its position, got {which!r}: zeros, poles and gain are of one pair")


def _gain(A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, zeros: np.ndarray, poles: np.ndarray) -> float:
    """The gain: D where it counts, else what makes the roots agree with the system at points away from them."""
    if D[0, 0] != 0 and len(zeros) == len(poles):
        return float(D[0, 0])
    size = max(np.abs(poles).max(initial=0.0), np.abs(zeros).max(initial=0.0), np.finfo(float).tiny)
    found = []
    for angle in np.linspace(0, np.pi, 9):
        z = 1.3 * size * np.exp(1j * angle)
        value = C @ np.linalg.solve(z * np.eye(len(A)) - A, B) + D
        # the factors one by one and largest with largest, so that their products do not overflow
        above = np.concatenate([z - zeros, np.ones(len(poles) - len(zeros))])
        ratio = np.sort_complex(z - poles) / np.sort_complex(above)
        found.append((value[0, 0] * np.prod(ratio)).real)
    return float(np.median(found))


@arrow(InnovationsSSM, ZerosPoles)
def innovations_to_zeros_poles(form: InnovationsSSM, *, tolerance: float = 1e-10) -> Conversion:
    """Zeros, poles and gain from the innovations to the one series: a model of the noise, with its variance.

    Args:
        form: The predictor.
        tolerance: Share of the size of the system below which a singular value is taken for zero: states that are not
            reached or not seen cancel.

    Raises:
        ValueError: If there are several series.
    """
    if len(form.C) != 1:
        raise ValueError(f"zeros, poles and gain are of one series, got {len(form.C)}: take the VARMA model")
    reduced = noise_part(form, tolerance)
    poles, condition = poles_of(reduced.A)
    zeros, condition_zeros = poles_of(reduced.A - reduced.B @ reduced.C)
    value = _noise_model(zeros, poles, form.V[0, 0], form.dt, form.series_names[0])
    notes = reduction_notes(reduced, len(form.A))
    return without_mean(form, as_stationary(form, value, max(condition, condition_zeros), notes))


def _noise_model(zeros: np.ndarray, poles: np.ndarray, variance: Any, dt: Any, name: str) -> ZerosPoles:
    names: dict[str, Any] = {"input_name": f"{name}_innovation", "series_name": name}
    return ZerosPoles(zeros, poles, 1.0, drives="innovation", variance=variance, dt=dt, **names)


@arrow(ARMA, ZerosPoles)
def arma_to_zeros_poles(model: ARMA) -> Conversion:
    """The roots of an ARMA model; as many zeros as poles, those that lags need at the origin."""
    poles, zeros = model.poles, model.zeros
    count = max(len(poles), len(zeros))
    poles, zeros = (np.concatenate([x, np.zeros(count - len(x))]) for x in (poles, zeros))
    done = Conversion(_noise_model(zeros, poles, model.sigma**2, model.dt, model.series_names[0]))
    return done if is_zero(model.mean) else done.losing(NO_MEAN)


@arrow(ZerosPoles, DiscreteSSM)
def zeros_poles_to_discrete(form: ZerosPoles) -> Conversion:
    """A cascade of real sections with the same zeros, poles and gain, in `previous` timing.

    Driven by an input it starts from zero and has no noise. Driven by innovations these are its noises w and v, and it
    starts from the stationary law.

    Raises:
        ValueError: If the form is one of continuous time, or driven by innovations and not stationary.
    """
    if form.domain != "discrete":
        raise ValueError("the form is one of continuous time: convert to ContinuousSSM, and discretise that")
    A, B, C, D = (jnp.asarray(x, form.gain.dtype) for x in cascade(form))
    names: dict[str, Any] = {"series_names": (form.series_name,), "dt": form.dt, "timing": "previous"}
    if form.drives == "input":
        return Conversion(DiscreteSSM(A, B, C, D, input_names=(form.input_name,), **names))
    Q = symmetrise(form.variance * B @ B.T)
    cov, condition = stationary_cov(A, Q)
    value = DiscreteSSM(A, None, C, None, Q, form.variance * D @ D.T, form.variance * B @ D.T, cov=cov, **names)
    return Conversion(value, condition=condition)


@arrow(ZerosPoles, InnovationsSSM)
def zeros_poles_to_innovations(form: ZerosPoles) -> Conversion:
    """The predictor of a model of the noise whose zeros are inside the circle and whose gain is one.

    Raises:
        ValueError: If the form is driven by an input, or what drives it are not innovations of the series: convert to
            DiscreteSSM first then, which has some.
    """
    proper = len(form.zeros) == len(form.poles) and abs(float(form.gain) - 1) < 1e-12
    inside = np.all(np.abs(np.asarray(form.zeros)) < 1)
    if form.drives != "innovation" or form.domain != "discrete" or not (proper and inside):
        raise ValueError(
            "not a predictor: it wants drives='innovation', discrete time, a gain of one, as many zeros as poles and "
            "zeros inside the unit circle; convert to DiscreteSSM first"
        )
    found = zeros_poles_to_discrete(form)
    ssm: DiscreteSSM = found.value
    value = InnovationsSSM(
        ssm.A, None, ssm.C, K=ssm.S / form.variance, V=ssm.R, cov=ssm.cov, dt=ssm.dt, series_names=ssm.series_names
    )
    return Conversion(value, condition=found.condition)


@arrow(ZerosPoles, ContinuousSSM)
def zeros_poles_to_continuous(form: ZerosPoles) -> Conversion:
    """A cascade of real sections in continuous time, without noise and started from zero.

    Raises:
        ValueError: If the form is one of discrete time, or driven by innovations.
    """
    if form.domain != "continuous" or form.drives != "input":
        raise ValueError(
            f"the form is one of {form.domain} time driven by an {form.drives}: only a system in continuous time "
            "driven by an input becomes a ContinuousSSM"
        )
    A, B, C, D = (jnp.asarray(x, form.gain.dtype) for x in cascade(form))
    value = ContinuousSSM(A, B, C, D, input_names=(form.input_name,), series_names=(form.series_name,))
    return Conversion(value)
