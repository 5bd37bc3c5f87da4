"""Vector autoregressive moving-average models."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .arrays import as_matrix, as_vector, floating, names_of
from .checks import check_covariance, check_finite, check_positive


class VARMA(eqx.Module):
    """A stationary vector autoregressive moving-average model.

        L (y[t] - mean) = sum_i ar[i] (y[t-i] - mean) + L e[t] + sum_j ma[j] e[t-j],      cov(e) = cov

    with i and j from 1 on, and the stationary law at the first stamp. L, the identity unless given, is unit lower
    triangular up to the order of the series in echelon form, where it lets `ar` and `ma` have as few entries that are
    not zero as the Kronecker indices allow.

    Args:
        ar: Autoregressive matrices, (p, series, series); none when left out.
        ma: Moving-average matrices, (q, series, series); none when left out.
        cov: Covariance of e, (series, series).
        mean: Means of the series, (series,); zero when left out.
        leading: L, (series, series); the identity when left out.
        dt: Time from one stamp to the next, or None where it has no unit.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree, numbers are not finite, or a covariance is none.

    Example:
        >>> VARMA([[[0.5, 0.1], [0.0, 0.4]]], cov=[[1.0, 0.2], [0.2, 1.0]]).ma.shape
        (0, 2, 2)

    Reference: Luetkepohl (2005), "New Introduction to Multiple Time Series Analysis", equation 12.1.4.
    """

    domain_of_time: ClassVar[str] = "discrete"

    ar: Float[Array, "p series series"]
    ma: Float[Array, "q series series"]
    cov: Float[Array, "series series"]
    mean: Float[Array, " series"]
    leading: Float[Array, "series series"]
    dt: Float[Array, ""] | None
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        ar: Any = (),
        ma: Any = (),
        cov: Any = ((1.0,),),
        mean: Any = None,
        *,
        leading: Any = None,
        dt: Any = None,
        series_names: Any = None,
    ):
        size = floating(cov).shape[-1]
        self.ar, self.ma = _matrices(ar, size, "ar"), _matrices(ma, size, "ma")
        self.cov, self.mean = as_matrix(cov, size, size, "cov"), as_vector(mean, size, "mean")
        self.leading = as_matrix(jnp.eye(size) if leading is None else leading, size, size, "leading")
        self.dt = None if dt is None else floating(dt)
        self.series_names = names_of(series_names, size, "y")
        check_finite(ar=self.ar, ma=self.ma, mean=self.mean, leading=self.leading)
        check_covariance("cov", self.cov)
        check_positive(dt=self.dt)

    @property
    def standard(self) -> "VARMA":
        """The same model with L multiplied out, so that it is the identity."""
        ar, ma = (jnp.linalg.solve(self.leading, x) if len(x) else x for x in (self.ar, self.ma))
        return VARMA(ar, ma, self.cov, self.mean, dt=self.dt, series_names=self.series_names)


def _matrices(value: Any, size: int, what: str) -> Array:
    """One square matrix for each lag, none at all where there are none."""
    array = floating(value)
    if not array.size:
        return jnp.zeros((0, size, size))
    if array.ndim != 3 or array.shape[1:] != (size, size):
        raise ValueError(f"{what} has shape {array.shape}, expected (lags, {size}, {size}), as cov has")
    return array
