"""Autoregressive moving-average models of one series."""

from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Complex, Float

from .arrays import floating, names_of
from .checks import check_finite, check_positive


class ARMA(eqx.Module):
    """A stationary autoregressive moving-average model of one series.

        y[t] - mean = sum_i ar[i] (y[t-i] - mean) + e[t] + sum_j ma[j] e[t-j],      sd(e) = sigma

    with i and j from 1 on, and the stationary law at the first stamp. Coefficients carry the signs of the equation
    above (statsmodels' lag polynomials are `[1, *-ar]` and `[1, *ma]`).

    Args:
        ar: Autoregressive coefficients, (p,); none when left out.
        ma: Moving-average coefficients, (q,); none when left out.
        sigma: Standard deviation of e, in the unit of the series.
        mean: Mean of the series.
        dt: Time from one stamp to the next, or None where it has no unit.
        series_names: Name of the series, in a tuple.

    Raises:
        ValueError: If coefficients are not vectors, sigma or the mean is not a number, or sigma is not above 0.

    Example:
        >>> ARMA([0.5], [0.4]).poles.real.tolist()
        [0.5]

    Reference: Brockwell and Davis (1991), "Time Series: Theory and Methods", definition 3.1.2.
    """

    domain_of_time: ClassVar[str] = "discrete"

    ar: Float[Array, " p"]
    ma: Float[Array, " q"]
    sigma: Float[Array, ""]
    mean: Float[Array, ""]
    dt: Float[Array, ""] | None
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self, ar: Any = (), ma: Any = (), sigma: Any = 1.0, mean: Any = 0.0, *, dt: Any = None, series_names: Any = None
    ):
        self.ar, self.ma = floating(ar), floating(ma)
        self.sigma, self.mean = floating(sigma), floating(mean)
        self.dt = None if dt is None else floating(dt)
        self.series_names = names_of(series_names, 1, "y")
        if self.ar.ndim != 1 or self.ma.ndim != 1 or self.sigma.ndim or self.mean.ndim:
            raise ValueError(
                f"ar and ma are vectors, sigma and mean numbers: got shapes {self.ar.shape}, {self.ma.shape}, "
                f"{self.sigma.shape}, {self.mean.shape}"
            )
        check_finite(ar=self.ar, ma=self.ma, mean=self.mean)
        check_positive(sigma=self.sigma, dt=self.dt)

    @property
    def poles(self) -> Complex[np.ndarray, " p"]:
        """Roots of z^p - ar[1] z^(p-1) - ...: inside the unit circle where the model is stationary."""
        return _roots(-np.asarray(self.ar, float))

    @property
    def zeros(self) -> Complex[np.ndarray, " q"]:
        """Roots of z^q + ma[1] z^(q-1) + ...: inside the unit circle where the model is invertible."""
        return _roots(np.asarray(self.ma, float))


def _roots(tail: np.ndarray) -> np.ndarray:
    """Roots of the monic polynomial with these further coefficients, zero ones included."""
    if not len(tail):
        return np.zeros(0, complex)
    companion = np.eye(len(tail), k=-1)
    companion[0] = -tail
    return np.linalg.eigvals(companion).astype(complex)
