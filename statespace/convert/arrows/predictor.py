"""The infinite moving average and autoregression of the innovations form, with exact tails.

        psi[k] = C A^(k-1) K,      pi[k] = C (A - K C)^(k-1) K,      sum_{k > L} |C A^(k-1) K|^2 = tr C A^L W (A^L)' C'

with W the Gramian of the Lyapunov equation W = A W A' + K K'. The same sum bounds what is cut off.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.kernels import krylov
from ..conversion import Conversion
from ..forms.innovations import InnovationsSSM
from ..forms.predictor import ARInfinity, MAInfinity
from ..forms.varma import VARMA
from ..numerics.blocks import is_zero
from ..numerics.truncation import size_beyond
from ..registry import arrow

_STEADY = "the start is taken as steady: the first state is its prediction, with the covariance of the long run"


@arrow(InnovationsSSM, MAInfinity)
def innovations_to_ma(form: InnovationsSSM, *, lags: int) -> Conversion:
    """The infinite moving average up to a lag.

    Args:
        form: The predictor.
        lags: L, the largest lag that is kept.

    Returns:
        The weights; `error_bound` is the root of the sum of squares of those cut off, of innovations and inputs alike.

    Raises:
        ValueError: If lags is not a whole number from 1 on.
    """
    sources = jnp.concatenate([form.K, _input_matrix(form, form.A)], axis=1)
    p = len(form.C)
    taps = _lagged(form.A, sources, form.C, lags)
    direct = form.D + form.C @ form.B if form.lead else form.D
    value = MAInfinity(
        jnp.concatenate([jnp.eye(p)[None], taps[..., :p]]),
        jnp.concatenate([direct[None], taps[..., p:]]),
        krylov(form.A, form.mean[:, None], form.C, lags + 1)[..., 0],
        form.V,
        dt=form.dt,
        input_names=form.input_names,
        series_names=form.series_names,
    )
    return _cut(form, value, form.A, sources, lags)


@arrow(InnovationsSSM, ARInfinity)
def innovations_to_ar(form: InnovationsSSM, *, lags: int) -> Conversion:
    """The infinite autoregression up to a lag: the predictor with a finite window.

    Args:
        form: The predictor.
        lags: L, the largest lag that is kept.

    Returns:
        The weights; `error_bound` is the root of the sum of squares of those cut off, of series and inputs alike: by so
        much times the root of the sum of squares of the past can a prediction be off.

    Raises:
        ValueError: If lags is not a whole number from 1 on.
    """
    closed = form.closed_loop
    sources = jnp.concatenate([form.K, _input_matrix(form, closed) - form.K @ form.D], axis=1)
    p = len(form.C)
    taps = _lagged(closed, sources, form.C, lags)
    direct = form.D + form.C @ form.B if form.lead else form.D
    value = ARInfinity(
        taps[..., :p],
        jnp.concatenate([direct[None], taps[..., p:]]),
        krylov(closed, form.mean[:, None], form.C, lags + 1)[..., 0],
        form.V,
        dt=form.dt,
        input_names=form.input_names,
        series_names=form.series_names,
    )
    return _cut(form, value, closed, sources, lags)


def _input_matrix(form: InnovationsSSM, transition: Array) -> Array:
    """What an input adds to the state at the next stamp."""
    return transition @ form.B if form.lead else form.B


def _lagged(A: Array, B: Array, C: Array, lags: int) -> Array:
    """C B, C A B, ..., (lags, outputs, sources)."""
    if not isinstance(lags, int) or lags < 1:
        raise ValueError(f"lags is a whole number from 1 on, got {lags!r}")
    return krylov(A, B, C, lags)


def _cut(form: InnovationsSSM, value: MAInfinity | ARInfinity, A: Array, B: Array, lags: int) -> Conversion:
    """The conversion with what the lags that are cut off amount to."""
    bound = size_beyond(A, B, form.C, lags)
    start = is_zero(form.cov - form.P) and not any(form.diffuse)
    notes = () if start else (_STEADY,)
    if form.lead and form.input_names:
        notes = (*notes, "the input at the first stamp is taken to have driven the state before it too")
    return Conversion(value, exact=False, error_bound=bound, norm="kernel_l2", notes=notes)


@arrow(MAInfinity, VARMA)
def ma_to_varma(kernel: MAInfinity) -> Conversion:
    """The moving average of finite order that the kept weights are."""
    return _as_varma(kernel, VARMA((), kernel.psi[1:], kernel.cov, dt=kernel.dt, series_names=kernel.series_names))


@arrow(ARInfinity, VARMA)
def ar_to_varma(kernel: ARInfinity) -> Conversion:
    """The autoregression of finite order that the kept weights are."""
    return _as_varma(kernel, VARMA(kernel.pi, (), kernel.cov, dt=kernel.dt, series_names=kernel.series_names))


def _as_varma(kernel: MAInfinity | ARInfinity, value: VARMA) -> Conversion:
    if np.any(np.asarray(kernel.inputs)) or np.any(np.asarray(kernel.start)):
        note = "what inputs and the first state do is not part of the form; the noise's kernel is the same"
        return Conversion(value, exact=False, norm="kernel_l2", notes=(note,))
    return Conversion(value)
