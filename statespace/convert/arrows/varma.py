"""Vector ARMA models and their state-space forms; a model of one series is one with a single element.

Forward both companions are closed forms. Back, the innovations form is written with the first rows of its
observability matrix that are linearly independent: their number for each series is its Kronecker index, and how the
next row depends on them are the coefficients of the echelon form, which is unique.

Reference: Harvey (1989), "Forecasting, Structural Time Series Models and the Kalman Filter", section 8.3.1; Hannan and
Deistler (1988), "The Statistical Theory of Linear Systems", section 2.5 (echelon forms).
"""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.certificates import radius_on_host
from ...core.linalg import symmetrise
from ...core.parameters import is_traced
from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.discrete import CONSTANT, DiscreteSSM
from ..forms.innovations import InnovationsSSM
from ..forms.varma import VARMA
from ..numerics.blocks import is_zero
from ..numerics.markov import markov
from ..numerics.minimal import Minimal, minimal
from ..registry import arrow
from ..stationary import as_stationary, stationary_cov, steady_mean
from .innovations import discrete_to_innovations

Representation = Literal["harvey", "innovations"]


@arrow(VARMA, DiscreteSSM)
def varma_to_discrete(model: VARMA, *, representation: Representation = "harvey") -> Conversion:
    """A vector ARMA model in companion form, started from its stationary law; exact.

    Args:
        model: The model. A mean becomes the input "constant", which is one at every stamp.
        representation: `"harvey"`: `current` timing, max(p, q + 1) states for each series, no measurement noise.
            `"innovations"`: `previous` timing, max(p, q) states for each series, one noise drives all.

    Raises:
        ValueError: If the model is not stationary, or the representation is another word.
    """
    if representation not in ("harvey", "innovations"):
        raise ValueError(f'representation is "harvey" or "innovations", got {representation!r}')
    model = model.standard
    k, p, q = len(model.cov), len(model.ar), len(model.ma)
    harvey = representation == "harvey"
    blocks = max(p, q + 1, 1) if harvey else max(p, q, 1)
    ar, ma = (jnp.concatenate([x, jnp.zeros((blocks - len(x), k, k))]) for x in (model.ar, model.ma))
    A = jnp.eye(blocks * k, k=k).at[:, :k].add(ar.reshape(-1, k))
    C = jnp.eye(k, blocks * k)
    gain = jnp.concatenate([jnp.eye(k)[None], ma[:-1]]) if harvey else ar + ma
    gain = gain.reshape(-1, k)
    Q = symmetrise(gain @ model.cov @ gain.T)
    cov, condition = stationary_cov(A, Q)
    value = DiscreteSSM(
        A,
        *_mean_as_input(model.mean, C),
        Q,
        None if harvey else model.cov,
        None if harvey else gain @ model.cov,
        cov=cov,
        timing="current" if harvey else "previous",
        start="at",
        dt=model.dt,
        input_names=() if is_zero(model.mean) else (CONSTANT,),
        series_names=model.series_names,
    )
    return Conversion(value, condition=condition)


def _mean_as_input(mean: Array, C: Array) -> tuple[Array | None, Array, Array | None]:
    """B, C and D of a model with a mean."""
    if is_zero(mean):
        return None, C, None
    return jnp.zeros((C.shape[1], 1)), C, mean[:, None]


@arrow(VARMA, InnovationsSSM)
def varma_to_innovations(model: VARMA) -> Conversion:
    """The steady-state predictor of a vector ARMA model, started from the stationary law.

    Where the model is invertible the innovations are its e; else Riccati's equation finds those of the model with the
    same autocovariances that is.
    """
    companion = varma_to_discrete(model, representation="innovations")
    form = companion.value
    inverse = form.A - jnp.linalg.solve(model.cov, form.S.T).T @ form.C
    if not is_traced(inverse) and radius_on_host(inverse) > 1 + 1e-9:
        found = discrete_to_innovations(varma_to_discrete(model).value)
        note = "the model is not invertible: its innovations are those of the invertible one with its autocovariances"
        condition = companion.condition * found.condition
        return Conversion(found.value, condition=condition, notes=(note, *found.notes))
    value = InnovationsSSM(
        form.A,
        form.B if form.input_names else None,
        form.C,
        form.D,
        jnp.linalg.solve(model.cov, form.S.T).T,
        model.cov,
        cov=form.cov,
        dt=form.dt,
        input_names=form.input_names,
        series_names=form.series_names,
    )
    return Conversion(value, condition=companion.condition)


@arrow(InnovationsSSM, VARMA)
def innovations_to_varma(form: InnovationsSSM, *, tolerance: float = 1e-10) -> Conversion:
    """The vector ARMA model in echelon form of the noise part of a predictor; its zeros are inside the unit circle.

    Args:
        form: The predictor.
        tolerance: Share of the size of the system below which a singular value, or the part of a row of the
            observability matrix that the rows before do not explain, is taken for zero.
    """
    reduced = noise_part(form, tolerance)
    indices, rows, condition = _first_rows(reduced.A, reduced.C, tolerance)
    leading, ar = _echelon(reduced.A, reduced.C, indices, rows)
    psi = np.concatenate([np.eye(len(reduced.C))[None], markov(reduced.A, reduced.B, reduced.C, len(ar))])
    # row i of the moving average: lag d has sum over e <= d of (leading, -ar)[e] psi[d - e], up to its index
    lags = np.concatenate([leading[None], -ar])
    product = np.array([sum(lags[e] @ psi[d - e] for e in range(d + 1)) for d in range(len(lags))])
    ma = np.where(np.arange(len(lags))[:, None, None] <= np.array(indices)[:, None], product, 0.0)[1:]
    notes = (f"Kronecker indices {tuple(indices)}", *reduction_notes(reduced, len(form.A)))
    value = VARMA(
        without_last_zeros(ar, tolerance),
        without_last_zeros(ma, tolerance),
        form.V,
        steady_mean(form),
        leading=leading,
        dt=form.dt,
        series_names=form.series_names,
    )
    return as_stationary(form, value, condition, notes)


def without_last_zeros(lags: np.ndarray, tolerance: float) -> np.ndarray:
    """Coefficients, (lags, ...), without the last ones that are zero up to a tolerance."""
    size = np.abs(lags).max(axis=tuple(range(1, lags.ndim)), initial=0.0)
    used = np.flatnonzero(size > tolerance)
    return lags[: used[-1] + 1 if len(used) else 0]


def noise_part(form: InnovationsSSM, tolerance: float) -> Minimal:
    """The minimal system from innovations to the series, judged in units of the innovations; empty if it is noise."""
    A, K, C = on_host(form.A), on_host(form.K), on_host(form.C)
    unit = np.sqrt(np.diag(on_host(form.V)))[:, None]
    found = minimal(A, K * unit.T, C / unit, tolerance)
    if len(found.A) and np.abs(markov(found.A, found.B, found.C, len(found.A))).max() <= tolerance:
        found = minimal(A, 0 * K, C, tolerance)
    return found._replace(B=found.B / unit.T, C=found.C * unit)


def _first_rows(A: np.ndarray, C: np.ndarray, tolerance: float) -> tuple[list[int], np.ndarray, float]:
    """The Kronecker indices, the rows c_i A^j with j below them, ordered by j and then i, and their condition."""
    k, n = len(C), len(A)
    indices, rows, basis = [0] * k, [], np.zeros((0, n))
    powers, open_ = C.copy(), [True] * k
    places: list[tuple[int, int]] = []
    for j in range(n + 1):
        for i in range(k):
            row = powers[i]
            rest = row - (row @ basis.T) @ basis
            rest = rest - (rest @ basis.T) @ basis  # once more: rounding of the first pass
            size = np.linalg.norm(rest)
            if open_[i] and size > tolerance * max(np.linalg.norm(row), np.finfo(float).tiny):
                indices[i], basis = j + 1, np.vstack([basis, rest / size])
                rows.append(row)
                places.append((j, i))
            else:
                open_[i] = False
        powers = powers @ A
    matrix = np.array(rows).reshape(len(rows), n)
    scaled = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), np.finfo(float).tiny)
    return indices, matrix, float(np.linalg.cond(scaled)) if n else 1.0


def _echelon(A: np.ndarray, C: np.ndarray, indices: list[int], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L and the autoregressive matrices: row i says how c_i A^(index i) depends on the rows before it."""
    k, most = len(C), max(indices, default=0)
    places = [(j, i) for j in range(most) for i in range(k) if j < indices[i]]
    leading, ar = np.eye(k), np.zeros((most, k, k))
    for i, index in enumerate(indices):
        target = C[i] @ np.linalg.matrix_power(A, index)
        before = [r for r, place in enumerate(places) if place < (index, i)]
        weights = np.linalg.lstsq(rows[before].T, target, rcond=None)[0] if before else []
        for r, weight in zip(before, weights, strict=True):
            j, other = places[r]
            if j == index:  # the same lag as that of y_i itself
                leading[i, other] = -weight
            else:
                ar[index - j - 1, i, other] = weight
    return leading, ar


def reduction_notes(reduced: Minimal, size: int) -> tuple[str, ...]:
    """Which states were not needed, and how clear that was."""
    gone = size - len(reduced.A)
    if not gone:
        return ()
    return (
        f"{gone} of {size} states cancel (largest singular value taken for zero {reduced.dropped:.1e}, smallest kept "
        f"{reduced.kept:.1e})",
    )
