"""Stationary covariance functions of continuous time."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .arrays import as_matrix, floating, names_of
from .checks import check_covariance, check_finite, check_positive


class CovarianceFunction(eqx.Module):
    """The covariance function of a stationary linear model in continuous time.

        k(tau) = C e^{A tau} P C' for tau > 0,      k(-tau) = k(tau)',      k(0) = C P C',      noise: R

    Args:
        A: Drift matrix, (state, state), its eigenvalues in the left half plane.
        P: Stationary covariance of the state, (state, state).
        C: (series, state).
        R: Covariance of the measurement noise, (series, series), which comes on top where a value is measured; zero
            when left out.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree, numbers are not finite, or a covariance is none.

    Example:
        >>> round(CovarianceFunction([[-0.5]], [[2.0]], [[1.0]])(2.0).item(), 6)
        0.735759
    """

    domain_of_time: ClassVar[str] = "continuous"

    A: Float[Array, "state state"]
    P: Float[Array, "state state"]
    C: Float[Array, "series state"]
    R: Float[Array, "series series"]
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, A: Any, P: Any, C: Any, R: Any = None, *, series_names: Any = None):
        n, p = floating(A).shape[-1], floating(C).shape[-2]
        self.A, self.P = as_matrix(A, n, n, "A"), as_matrix(P, n, n, "P")
        self.C, self.R = as_matrix(C, p, n, "C"), as_matrix(R, p, p, "R")
        self.series_names = names_of(series_names, p, "y")
        check_finite(A=self.A, C=self.C)
        check_covariance("P", self.P)
        check_covariance("R", self.R)

    def __call__(self, tau: Any) -> Float[Array, "*points series series"]:
        """cov(f(t + tau), f(t)) without the measurement noise, at lags of either sign."""
        tau = jnp.asarray(tau)
        powers = jax.scipy.linalg.expm(self.A * jnp.abs(tau)[..., None, None])
        values = self.C @ powers @ self.P @ self.C.T
        return jnp.where(tau[..., None, None] < 0, jnp.swapaxes(values, -1, -2), values)


class Matern(eqx.Module):
    """Matern's covariance function of one series, with nu = 1/2, 3/2, 5/2, ...

        k(tau) = scale^2 2^(1 - nu) / Gamma(nu) r^nu K_nu(r),      r = sqrt(2 nu) |tau| / length_scale

    for which the process has nu - 1/2 derivatives, and nu + 1/2 states.

    Args:
        nu: Smoothness, half an odd whole number.
        length_scale: Length scale, in units of time.
        scale: Standard deviation of the process.
        series_names: Name of the series, in a tuple.

    Raises:
        ValueError: If nu is another number (the process has no finite state then), or a scale is not above 0.

    Example:
        >>> round(Matern(0.5, 2.0, 3.0)(2.0).item(), 6)
        3.310915

    Reference: Rasmussen and Williams (2006), "Gaussian Processes for Machine Learning", equations 4.14 and 4.16.
    """

    domain_of_time: ClassVar[str] = "continuous"

    length_scale: Float[Array, ""]
    scale: Float[Array, ""]
    nu: float = eqx.field(static=True)
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, nu: float, length_scale: Any = 1.0, scale: Any = 1.0, *, series_names: Any = None):
        if not (isinstance(nu, (int, float)) and nu > 0 and float(nu - 0.5).is_integer()):
            raise ValueError(f"nu is 1/2, 3/2, 5/2, ..., got {nu!r}: with another one no finite state holds the past")
        self.nu, self.length_scale, self.scale = float(nu), floating(length_scale), floating(scale)
        self.series_names = names_of(series_names, 1, "y")
        if self.length_scale.ndim or self.scale.ndim:
            raise ValueError(
                f"length_scale and scale are numbers, got shapes {self.length_scale.shape} and {self.scale.shape}"
            )
        check_positive(length_scale=self.length_scale, scale=self.scale)

    @property
    def rate(self) -> Float[Array, ""]:
        """sqrt(2 nu) / length_scale, the rate at which all its modes decay."""
        return math.sqrt(2 * self.nu) / self.length_scale

    def __call__(self, tau: Any) -> Float[Array, "*points"]:
        """cov(f(t + tau), f(t)): an exponential times a polynomial."""
        p = round(self.nu - 0.5)
        r = self.rate * jnp.abs(jnp.asarray(tau))
        terms = [
            math.comb(p, i) * math.factorial(p + i) / math.factorial(2 * p) * (2 * r) ** (p - i) for i in range(p + 1)
        ]
        return self.scale**2 * jnp.exp(-r) * sum(terms)


class OrnsteinUhlenbeck(eqx.Module):
    """The covariance function k(tau) = scale^2 e^{-rate |tau|}: Matern's with nu = 1/2.

    Args:
        rate: Rate of return to the mean, per unit of time.
        scale: Standard deviation of the process.
        series_names: Name of the series, in a tuple.

    Example:
        >>> round(OrnsteinUhlenbeck(0.5, 3.0)(2.0).item(), 6)
        3.310915
    """

    domain_of_time: ClassVar[str] = "continuous"

    rate: Float[Array, ""]
    scale: Float[Array, ""]
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, rate: Any = 1.0, scale: Any = 1.0, *, series_names: Any = None):
        self.rate, self.scale = floating(rate), floating(scale)
        self.series_names = names_of(series_names, 1, "y")
        if self.rate.ndim or self.scale.ndim:
            raise ValueError(f"rate and scale are numbers, got shapes {self.rate.shape} and {self.scale.shape}")
        check_positive(rate=self.rate, scale=self.scale)

    def __call__(self, tau: Any) -> Float[Array, "*points"]:
        """cov(f(t + tau), f(t))."""
        return self.scale**2 * jnp.exp(-self.rate * jnp.abs(jnp.asarray(tau)))
