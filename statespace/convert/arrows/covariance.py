"""Covariance functions and the stochastic differential equations behind them.

A process with the covariance function k(tau) = C e^{A tau} P C' is the output of dx = A x dt + dw started from
N(0, P), with the diffusion that keeps P: Q = -(A P + P A'). Matern's is that of (d/dt + rate)^(nu + 1/2) f = noise.

Reference: Hartikainen and Sarkka (2010), "Kalman filtering and smoothing solutions to temporal Gaussian process
regression models"; Sarkka and Solin (2019), "Applied Stochastic Differential Equations", section 12.3.
"""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.linalg import symmetrise
from ...core.parameters import is_traced
from ...core.riccati import lyapunov
from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.continuous import ContinuousSSM
from ..forms.covariance import CovarianceFunction, Matern, OrnsteinUhlenbeck
from ..numerics.blocks import is_zero
from ..numerics.markov import markov
from ..registry import arrow


@arrow(Matern, ContinuousSSM)
def matern_to_continuous(kernel: Matern) -> Conversion:
    """The process and its derivatives, the i-th divided by the i-th power of the rate; started stationary, exact."""
    n = round(kernel.nu + 0.5)
    drift, cov = _matern(n)
    last = 2 * math.sqrt(math.pi) * math.gamma(n) / math.gamma(n - 0.5)
    value = ContinuousSSM(
        kernel.rate * drift,
        None,
        jnp.eye(1, n),
        Q=kernel.scale**2 * kernel.rate * last * jnp.zeros((n, n)).at[-1, -1].set(1.0),
        cov=kernel.scale**2 * cov,
        state_names=_derivatives(n),
        series_names=kernel.series_names,
    )
    return Conversion(value)


def _derivatives(n: int) -> tuple[str, ...]:
    return ("f", *(f"f{i}" for i in range(1, n)))


def _matern(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Drift and stationary covariance of (d/dt + 1)^n f = noise with variance one.

    The covariance of the i-th and the j-th derivative is (-1)^((i - j) / 2) times the moment of order i + j of the
    spectral density 1 / (1 + w^2)^n, a ratio of gamma functions.
    """
    drift = np.eye(n, k=1)
    drift[-1] = [-math.comb(n, i) for i in range(n)]
    cov = np.zeros((n, n))
    for i in range(n):
        for j in range(i % 2, n, 2):
            r = (i + j) / 2
            moment = math.gamma(r + 0.5) * math.gamma(n - 0.5 - r) / (math.gamma(0.5) * math.gamma(n - 0.5))
            cov[i, j] = (-1) ** ((i - j) // 2) * moment
    return drift, cov


@arrow(OrnsteinUhlenbeck, Matern)
def ornstein_uhlenbeck_to_matern(kernel: OrnsteinUhlenbeck) -> Conversion:
    """The same function under the other name."""
    return Conversion(Matern(0.5, 1 / kernel.rate, kernel.scale, series_names=kernel.series_names))


@arrow(Matern, OrnsteinUhlenbeck)
def matern_to_ornstein_uhlenbeck(kernel: Matern) -> Conversion:
    """The same function under the other name, where nu is 1/2.

    Raises:
        ValueError: If nu is another number.
    """
    if kernel.nu != 0.5:
        raise ValueError(f"the Ornstein-Uhlenbeck process is Matern's with nu = 1/2, got nu = {kernel.nu}")
    return Conversion(OrnsteinUhlenbeck(kernel.rate, kernel.scale, series_names=kernel.series_names))


@arrow(CovarianceFunction, ContinuousSSM)
def covariance_to_continuous(kernel: CovarianceFunction) -> Conversion:
    """The process with a covariance function, started from its stationary law.

    Raises:
        ValueError: If -(A P + P A') is not a covariance: no process has the function then.
    """
    moved = kernel.A @ kernel.P
    Q = -(moved + moved.T)
    if not is_traced(Q):
        least, size = np.linalg.eigvalsh(np.asarray(Q)).min(initial=0.0), np.abs(np.asarray(moved)).max(initial=0.0)
        if least < -1e-10 * size:
            raise ValueError(
                f"-(A P + P A') has the eigenvalue {least:.3g}: with this P no process has the covariance function"
            )
    value = ContinuousSSM(kernel.A, None, kernel.C, None, Q, kernel.R, cov=kernel.P, series_names=kernel.series_names)
    return Conversion(value)


@arrow(ContinuousSSM, CovarianceFunction)
def continuous_to_covariance(ssm: ContinuousSSM) -> Conversion:
    """The covariance function of the stationary law.

    Raises:
        ValueError: If there is none, or measurements are averages, which have another.
    """
    if ssm.measured != "sampled":
        raise ValueError("measurements are averages over time: the covariance function is that of values at a time")
    P, condition = _stationary_cov(ssm.A, ssm.Q)
    value = CovarianceFunction(ssm.A, P, ssm.C, ssm.R, series_names=ssm.series_names)
    return _started(ssm, P, Conversion(value, condition=condition))


def _started(ssm: ContinuousSSM, P: Array, done: Conversion) -> Conversion:
    """The conversion, and what of the first law, the mean and the inputs is lost."""
    size = 1e-8 * float(np.abs(on_host(P)).max(initial=0.0)) if not is_traced(P) else 0.0
    if is_traced(P) or any(ssm.diffuse) or not np.allclose(ssm.cov, P, rtol=1e-7, atol=size) or not is_zero(ssm.mean):
        done = done.losing("the covariance function is that of the stationary law: the first state had another")
    if not (is_zero(ssm.B) and is_zero(ssm.D)):
        done = done.losing("what inputs do is not part of a covariance function")
    return done


def _stationary_cov(A: Array, Q: Array) -> tuple[Array, float]:
    """The solution of A P + P A' + Q = 0, and how much the equation magnifies.

    By Cayley's transform, which keeps P, it is the equation of discrete time: with the drift scaled to the size of one
    all its eigenvalues are well inside the circle.

    Raises:
        ValueError: If the drift is not stable.
    """
    eye = jnp.eye(len(A))
    scale = 1.0 if is_traced(A) else _time_scale(np.asarray(A, float))
    left = jnp.linalg.inv(eye - scale * A)
    P = symmetrise(lyapunov(left @ (eye + scale * A), 2 * scale * left @ Q @ left.T))
    if is_traced(P):
        return P, 1.0
    return P, float(np.linalg.cond(np.asarray(eye - scale * A)))


def _time_scale(A: np.ndarray) -> float:
    """The geometric mean of the fastest and the slowest time, for which Cayley's transform contracts most."""
    values = np.linalg.eigvals(A) if len(A) else np.array([-1.0])
    slowest = np.real(values).max()
    if slowest >= 0:
        raise ValueError(
            f"the model has no stationary law: the drift has an eigenvalue with the real part {slowest:.6g}"
        )
    return float(1 / np.sqrt(np.abs(values).max() * np.abs(values).min()))


@arrow(ContinuousSSM, Matern)
def continuous_to_matern(ssm: ContinuousSSM, *, tolerance: float = 1e-8) -> Conversion:
    """Matern's covariance function, where the model has one.

    Args:
        ssm: The model, of one series.
        tolerance: Largest difference of a derivative of the covariance function at zero, as a share of what it may be.

    Raises:
        ValueError: If the covariance function is not Matern's.
    """
    found = continuous_to_covariance(ssm)
    if len(ssm.C) != 1:
        raise ValueError(f"Matern's covariance function is of one series, got {len(ssm.C)}")
    A, P, C = on_host(ssm.A), on_host(found.value.P), on_host(ssm.C)
    n, rate = len(A), -np.trace(A) / len(A)  # (s + rate)^n has n equal roots, whose mean is well conditioned
    variance = (C @ P @ C.T).item()
    drift, cov = _matern(n)
    gap = np.abs(_at_zero(A / rate, P / variance, C) - _at_zero(drift, cov, np.eye(1, n))).max()
    if not gap <= tolerance:
        raise ValueError(
            f"the covariance function of the model is not Matern's with nu = {n - 0.5}: derivatives at zero differ by "
            f"{gap:.3g}; convert to CovarianceFunction"
        )
    value = Matern(n - 0.5, math.sqrt(2 * n - 1) / rate, math.sqrt(variance), series_names=ssm.series_names)
    done = dataclasses.replace(found, value=value)
    return done if is_zero(ssm.R) else done.losing("the measurement noise is not part of Matern's function")


def _at_zero(A: np.ndarray, P: np.ndarray, C: np.ndarray) -> np.ndarray:
    """C A^k P C' for k < 2 n, each divided by the size it may have: 2^k for a drift with n roots at -1."""
    return markov(A / 2, P @ C.T, C, 2 * len(A)).ravel()
