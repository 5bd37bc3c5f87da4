"""ARMA models of one series and their state-space forms.

Forward it is the vector model with one element. Back, the poles are the eigenvalues of A and the zeros those of the
closed loop A - K C of the minimal predictor: coefficients are products of roots, never powers of a matrix.
"""

import numpy as np

from ...core.parameters import is_traced
from ..conversion import Conversion
from ..forms.arma import ARMA
from ..forms.discrete import DiscreteSSM
from ..forms.innovations import InnovationsSSM
from ..forms.varma import VARMA
from ..registry import arrow
from ..stationary import as_stationary, steady_mean
from .varma import (
    Representation,
    noise_part,
    reduction_notes,
    varma_to_discrete,
    varma_to_innovations,
    without_last_zeros,
)


@arrow(ARMA, VARMA)
def arma_to_varma(model: ARMA) -> Conversion:
    """The same model with matrices of one element."""
    value = VARMA(
        model.ar[:, None, None],
        model.ma[:, None, None],
        model.sigma[None, None] ** 2,
        model.mean[None],
        dt=model.dt,
        series_names=model.series_names,
    )
    return Conversion(value, notes=_cancelling(model))


def _cancelling(model: ARMA) -> tuple[str, ...]:
    """A note on poles and zeros that nearly cancel, in whose direction the likelihood is flat."""
    if is_traced(model.ar) or is_traced(model.ma):
        return ()
    gaps = np.abs(model.poles[:, None] - model.zeros[None])
    if not gaps.size or gaps.min() > 1e-3:
        return ()
    return (f"a pole and a zero are {gaps.min():.1e} apart: the model has more coefficients than it needs",)


@arrow(VARMA, ARMA)
def varma_to_arma(model: VARMA) -> Conversion:
    """The same model of one series with numbers.

    Raises:
        ValueError: If there are several series.
    """
    if len(model.cov) != 1:
        raise ValueError(f"an ARMA model has one series, got {len(model.cov)}: convert to VARMA")
    plain = model.standard
    value = ARMA(
        plain.ar[:, 0, 0],
        plain.ma[:, 0, 0],
        plain.cov[0, 0] ** 0.5,
        plain.mean[0],
        dt=model.dt,
        series_names=model.series_names,
    )
    return Conversion(value)


@arrow(ARMA, DiscreteSSM)
def arma_to_discrete(model: ARMA, *, representation: Representation = "harvey") -> Conversion:
    """An ARMA model in companion form, started from its stationary law; exact.

    Args:
        model: The model. A mean becomes the input "constant", which is one at every stamp.
        representation: `"harvey"`: `current` timing, max(p, q + 1) states, no measurement noise. `"innovations"`:
            `previous` timing, max(p, q) states, one noise drives all.

    Raises:
        ValueError: If the model is not stationary, or the representation is another word.
    """
    return arma_to_varma(model).then(varma_to_discrete(arma_to_varma(model).value, representation=representation))


@arrow(ARMA, InnovationsSSM)
def arma_to_innovations(model: ARMA) -> Conversion:
    """The steady-state predictor of an ARMA model; see the vector model."""
    return arma_to_varma(model).then(varma_to_innovations(arma_to_varma(model).value))


@arrow(InnovationsSSM, ARMA)
def innovations_to_arma(form: InnovationsSSM, *, tolerance: float = 1e-10) -> Conversion:
    """The ARMA model of the noise part of a predictor of one series; its zeros are inside the unit circle.

    Args:
        form: The predictor.
        tolerance: Share of the size of the system below which a singular value is taken for zero: states that are
            not reached or not seen cancel.

    Raises:
        ValueError: If there are several series.
    """
    if len(form.C) != 1:
        raise ValueError(f"an ARMA model has one series, got {len(form.C)}: convert to VARMA")
    reduced = noise_part(form, tolerance)
    poles, condition = _eigenvalues(reduced.A)
    zeros, condition_zeros = _eigenvalues(reduced.A - reduced.B @ reduced.C)
    value = ARMA(
        without_last_zeros(-np.atleast_1d(np.poly(poles)).real[1:], tolerance),
        without_last_zeros(np.atleast_1d(np.poly(zeros)).real[1:], tolerance),
        form.V[0, 0] ** 0.5,
        steady_mean(form)[0],
        dt=form.dt,
        series_names=form.series_names,
    )
    notes = (*reduction_notes(reduced, len(form.A)), *_cancelling(value))
    return as_stationary(form, value, max(condition, condition_zeros), notes)


def _eigenvalues(a: np.ndarray) -> tuple[np.ndarray, float]:
    """Eigenvalues, and what the coefficients of their polynomial lose where its products cancel."""
    values = np.linalg.eigvals(a)
    return values, float(np.abs(np.poly(-np.abs(values))).max() / np.abs(np.poly(values)).max())
