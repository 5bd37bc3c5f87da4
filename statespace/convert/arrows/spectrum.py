"""Spectral densities, autocovariances, and the models behind them.

Forward everything is a Lyapunov equation. Back, a spectral density is factorised by Riccati's equation for the
covariance of the prediction,

    X = A X A' + (M - A X C') (G0 - C X C')^-1 (M - A X C')'

which has a solution where the density is positive at all frequencies: its innovations form is the only model of the
density whose zeros are inside the circle.

Reference: Anderson and Moore (1979), "Optimal Filtering", section 9.3; Lindquist and Picci (2015), "Linear Stochastic
Systems", chapter 6.
"""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.certificates import radius_on_host
from ...core.linalg import symmetrise
from ...core.parameters import is_traced
from ...core.riccati import kalman_gain, riccati
from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.discrete import DiscreteSSM
from ..forms.innovations import InnovationsSSM
from ..forms.predictor import MAInfinity
from ..forms.spectrum import Autocovariances, SpectralDensity
from ..forms.varma import VARMA
from ..numerics.blocks import is_zero
from ..numerics.hankel_products import leading_singular, shift_of
from ..numerics.limit import from_known_state
from ..numerics.truncation import size_beyond
from ..registry import arrow
from ..stationary import as_stationary, stationary_cov, without_mean
from .timing import retime

_ZERO = 1e-12  # share of the largest variance below which a spectral density counts as zero


@arrow(InnovationsSSM, SpectralDensity)
def innovations_to_spectrum(form: InnovationsSSM) -> Conversion:
    """The spectral density of the noise part of a predictor.

    Raises:
        ValueError: If the model has no stationary law.
    """
    S = form.K @ form.V
    X, condition = stationary_cov(form.A, symmetrise(S @ form.K.T))
    value = _spectrum(form.A, form.C, X, form.V, S, form)
    return without_mean(form, as_stationary(form, value, condition, ()))


@arrow(DiscreteSSM, SpectralDensity)
def discrete_to_spectrum(ssm: DiscreteSSM) -> Conversion:
    """The spectral density of a discrete form: of Q, R and S together, in closed form.

    Raises:
        ValueError: If the matrices vary with time, or the model has no stationary law.
    """
    if not ssm.is_constant:
        raise ValueError("the matrices vary with time: there is no stationary law")
    # the stationary law does not depend on which first state is known
    late = retime(ssm.replaced(start="before" if ssm.timing == "current" else "at"), timing="previous").value
    P, condition = stationary_cov(late.A, late.Q)
    value = _spectrum(late.A, late.C, P, late.R, late.S, late)
    apart = ssm.start == "at" and ssm.timing == "current" and not is_zero(ssm.S)
    still = all(is_zero(x) for x in (ssm.mean, ssm.B, ssm.D)) and not any(ssm.diffuse)
    if still and not apart and not is_traced(P) and np.allclose(P, ssm.cov, rtol=1e-7, atol=1e-12 * np.abs(P).max()):
        return Conversion(value, condition=condition)
    note = "the spectral density is that of the stationary law; means, inputs and the first state are not part of it"
    return Conversion(value, exact=False, norm="kernel_l2", condition=condition, notes=(note,))


def _spectrum(A: Array, C: Array, P: Array, R: Array, S: Array, names: DiscreteSSM | InnovationsSSM) -> SpectralDensity:
    """From the stationary covariance of the state, in `previous` timing."""
    return SpectralDensity(
        A, A @ P @ C.T + S, C, symmetrise(C @ P @ C.T + R), dt=names.dt, series_names=names.series_names
    )


@arrow(SpectralDensity, InnovationsSSM)
def spectrum_to_innovations(spectrum: SpectralDensity) -> Conversion:
    """The spectral factor: the innovations form with this spectral density, started from the stationary law.

    Raises:
        ValueError: If the density is negative somewhere, which no process has; the frequency and the amount are told.
    """
    A, M, C, G0 = spectrum.A, spectrum.M, spectrum.C, spectrum.G0
    notes, margin = (), np.inf
    if not is_traced(A):
        margin, frequency = spectrum.margin
        if radius_on_host(A) >= 1:
            raise ValueError(f"A has the spectral radius {radius_on_host(A):.6g}: no stationary process has it")
        if margin < -_ZERO:
            raise ValueError(
                "no process has this spectral density: it is not positive real, with the eigenvalue "
                f"{margin:.3g} of the largest variance at the frequency {frequency:.6g}; more noise at lag 0 (G0), or "
                "fewer lags, would do"
            )
        if margin < _ZERO:
            notes = (f"the density is zero at the frequency {frequency:.6g}: the closed loop has a root on the circle",)
    # X = -P solves the equation of a predictor without state noise
    X = -riccati(A, C, jnp.zeros_like(A), G0, M)
    if notes and not np.all(np.isfinite(X)):
        limit = from_known_state(*(on_host(x) for x in (A, C, jnp.zeros_like(A), G0, M)))
        X = X if limit is None else -jnp.asarray(limit)
    V = symmetrise(G0 - C @ X @ C.T)
    K = kalman_gain(A, C, -X, G0, M)
    if not is_traced(K) and not np.all(np.isfinite(K)):
        raise ValueError(f"the factorisation did not converge; the margin of the density is {margin:.3g}")
    value = InnovationsSSM(A, None, C, K=K, V=V, cov=X, dt=spectrum.dt, series_names=spectrum.series_names)
    return Conversion(value, condition=1.0 if not np.isfinite(margin) else 1 / max(margin, 1e-16), notes=notes)


@arrow(SpectralDensity, Autocovariances)
def spectrum_to_autocovariances(spectrum: SpectralDensity, *, lags: int) -> Conversion:
    """The autocovariances up to a lag.

    Args:
        spectrum: The density.
        lags: The largest lag.

    Returns:
        The autocovariances; `error_bound` is the root of the sum of squares of those cut off.

    Raises:
        ValueError: If lags is not a whole number from 1 on.
    """
    if not isinstance(lags, int) or lags < 1:
        raise ValueError(f"lags is a whole number from 1 on, got {lags!r}")
    value = Autocovariances(spectrum.autocovariances(lags), dt=spectrum.dt, series_names=spectrum.series_names)
    bound = size_beyond(spectrum.A, spectrum.M, spectrum.C, lags)
    return Conversion(value, exact=False, error_bound=bound, norm="kernel_l2")


@arrow(MAInfinity, Autocovariances)
def ma_to_autocovariances(kernel: MAInfinity) -> Conversion:
    """The autocovariances of a moving average of finite order, all that are not zero."""
    values = jnp.stack([kernel.autocovariance(lag) for lag in range(len(kernel.psi))])
    return Conversion(Autocovariances(values, dt=kernel.dt, series_names=kernel.series_names))


@arrow(Autocovariances, SpectralDensity)
def autocovariances_to_spectrum(
    values: Autocovariances, *, beyond: Literal["zero", "realisation"] = "zero", order: int | None = None
) -> Conversion:
    """A rational spectral density with these autocovariances; whether it is positive is seen when it is factorised.

    Args:
        values: The autocovariances.
        beyond: `"zero"`: those at further lags are zero, as of a moving average. `"realisation"`: they go on as those
            of a model of a given order, which the Hankel matrix of the given ones tells (Kung's method).
        order: Number of states of that model.

    Returns:
        The density; for a realisation `error_bound` is that of the given lags.

    Raises:
        ValueError: If beyond is another word, or order is missing, too large, or given in vain.
    """
    if beyond == "zero":
        if order is not None:
            raise ValueError('order= is of beyond="realisation": leave it out')
        return Conversion(_moving_average(values))
    if beyond != "realisation" or order is None:
        raise ValueError(f'beyond is "zero", or "realisation" with order=: got {beyond!r}, order={order!r}')
    return _realised(values, order)


def _moving_average(values: Autocovariances) -> SpectralDensity:
    """A shift register that holds the lags."""
    lags, p = len(values.values) - 1, values.values.shape[1]
    A = jnp.eye(lags * p, k=p)
    M = values.values[1:].reshape(-1, p)
    C = jnp.eye(p, lags * p)
    return SpectralDensity(A, M, C, values.values[0], dt=values.dt, series_names=values.series_names)


def _realised(values: Autocovariances, order: int) -> Conversion:
    """The model of an order whose shifted Hankel matrix is nearest to that of the given lags."""
    later = np.asarray(values.values[1:], float)
    p, half = later.shape[1], (len(later) + 1) // 2
    if not 1 <= order <= p * (half - 1):
        raise ValueError(f"order is from 1 to {p * (half - 1)} with {len(later)} lags, got {order}")
    found = leading_singular(later, half, order)
    sizes, (seen, reached) = found.values, found.states(order)
    value = SpectralDensity(
        shift_of(seen, p), reached[:, :p], seen[:p], values.values[0], dt=values.dt, series_names=values.series_names
    )
    gap = np.asarray(value.autocovariances(len(later))) - np.asarray(values.values)
    rest = sizes[order] if order < len(sizes) else 0.0
    notes = (
        f"the Hankel matrix has the singular value {sizes[order - 1]:.3g} of the order and {rest:.3g} after it",
        "the bound is that of the given lags",
    )
    return Conversion(
        value,
        exact=False,
        error_bound=float(np.linalg.norm(gap)),
        norm="kernel_l2",
        condition=float(sizes[0] / sizes[order - 1]),
        notes=notes,
    )


@arrow(Autocovariances, VARMA)
def autocovariances_to_autoregression(values: Autocovariances) -> Conversion:
    """The autoregression with these autocovariances, of as many lags: of all such processes the least predictable.

    The equations of Yule and Walker. It agrees with all given lags and is stationary wherever the given numbers are
    autocovariances at all.

    Raises:
        ValueError: If they are not: their Toeplitz matrix is not positive definite.

    Reference: Burg (1975), "Maximum entropy spectral analysis"; Whittle (1963), Biometrika 50.
    """
    given = np.asarray(values.values, float)
    lags, p = len(given) - 1, given.shape[1]
    both = {k: given[k] if k >= 0 else given[-k].T for k in range(-lags, lags + 1)}
    whole = np.block([[both[j - i] for j in range(lags + 1)] for i in range(lags + 1)])
    least, toeplitz = np.linalg.eigvalsh(whole)[0], whole[: lags * p, : lags * p]
    if least <= 0:
        raise ValueError(
            f"no process has these autocovariances: their Toeplitz matrix has the eigenvalue {least:.3g}; the variance "
            "at lag 0 must be larger, or lags be left out"
        )
    later = np.concatenate(given[1:], axis=1) if lags else np.zeros((p, 0))
    weights = np.linalg.solve(toeplitz, later.T).T
    cov = given[0] - weights @ later.T
    value = VARMA(
        weights.reshape(p, lags, p).swapaxes(0, 1),
        (),
        symmetrise(jnp.asarray(cov)),
        dt=values.dt,
        series_names=values.series_names,
    )
    condition = float(np.linalg.cond(toeplitz)) if lags else 1.0
    note = "lags beyond the given ones go on as those of the autoregression"
    return Conversion(value, condition=condition, notes=(note,))
