"""The infinite moving average and autoregression of a model, up to a lag."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.kernels import convolve
from .arrays import as_matrix, floating, names_of


class MAInfinity(eqx.Module):
    """What innovations and inputs add to the series, lag by lag: the infinite moving average, up to a lag.

        y[t] = sum_{k >= 0} (psi[k] e[t-k] + g[k] u[t-k]) + start[t],      cov(e) = cov,      psi[0] = I

    Args:
        psi: Weights of the innovations, (lags + 1, series, series).
        inputs: Weights g of the inputs, (lags + 1, series, inputs); no inputs when left out.
        start: What the mean of the first state adds, (lags + 1, series), zero after that; zero when left out.
        cov: Covariance of the innovations, (series, series).
        dt: Time from one stamp to the next, or None where it has no unit.
        input_names: Names of the inputs.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree.

    Example:
        >>> MAInfinity([[[1.0]], [[0.5]]], cov=[[1.0]]).autocovariance(1).item()
        0.5
    """

    domain_of_time: ClassVar[str] = "discrete"

    psi: Float[Array, "lags series series"]
    inputs: Float[Array, "lags series inputs"]
    start: Float[Array, "lags series"]
    cov: Float[Array, "series series"]
    dt: Float[Array, ""] | None
    input_names: tuple[str, ...] = eqx.field(static=True)
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        psi: Any,
        inputs: Any = None,
        start: Any = None,
        cov: Any = None,
        *,
        dt: Any = None,
        input_names: Any = None,
        series_names: Any = None,
    ):
        self.psi = floating(psi)
        self.inputs, self.start = _taps(self.psi, inputs, start, 0)
        p = self.psi.shape[1]
        self.cov = as_matrix(jnp.eye(p) if cov is None else cov, p, p, "cov")
        self.dt = None if dt is None else floating(dt)
        self.input_names = names_of(input_names, self.inputs.shape[2], "u")
        self.series_names = names_of(series_names, p, "y")

    def autocovariance(self, lag: int) -> Float[Array, "series series"]:
        """E y[t + lag] y[t]' of the stationary law, from the lags that are kept."""
        return jnp.einsum("kij,jl,kml->im", self.psi[lag:], self.cov, self.psi[: len(self.psi) - lag])


class ARInfinity(eqx.Module):
    """The one-step prediction from the past itself: the infinite autoregression, up to a lag.

        y[t] = sum_{k >= 1} pi[k] y[t-k] + sum_{k >= 0} g[k] u[t-k] + start[t] + e[t],      cov(e) = cov

    The first stamps have only the past there is: what is before the first stamp counts as zero.

    Args:
        pi: Weights of the series, (lags, series, series), pi[0] that of the stamp before.
        inputs: Weights g of the inputs, (lags + 1, series, inputs), the first that of the stamp itself; no inputs when
            left out.
        start: What the mean of the first state adds to the predictions, (lags + 1, series); zero when left out.
        cov: Covariance of the prediction errors, (series, series).
        dt: Time from one stamp to the next, or None where it has no unit.
        input_names: Names of the inputs.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree.

    Example:
        >>> ARInfinity([[[0.5]]], cov=[[1.0]]).predict(jnp.array([[2.0], [4.0]]))[:, 0].tolist()
        [0.0, 1.0]
    """

    domain_of_time: ClassVar[str] = "discrete"

    pi: Float[Array, "lags series series"]
    inputs: Float[Array, "lags_ series inputs"]
    start: Float[Array, "lags_ series"]
    cov: Float[Array, "series series"]
    dt: Float[Array, ""] | None
    input_names: tuple[str, ...] = eqx.field(static=True)
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        pi: Any,
        inputs: Any = None,
        start: Any = None,
        cov: Any = None,
        *,
        dt: Any = None,
        input_names: Any = None,
        series_names: Any = None,
    ):
        self.pi = floating(pi)
        self.inputs, self.start = _taps(self.pi, inputs, start, 1)
        p = self.pi.shape[1]
        self.cov = as_matrix(jnp.eye(p) if cov is None else cov, p, p, "cov")
        self.dt = None if dt is None else floating(dt)
        self.input_names = names_of(input_names, self.inputs.shape[2], "u")
        self.series_names = names_of(series_names, p, "y")

    def predict(
        self, y: Float[Array, "time series"], u: Float[Array, "time inputs"] | None = None
    ) -> Float[Array, "time series"]:
        """The prediction of each observation from those before it.

        Args:
            y: The series, nothing missing.
            u: The inputs, for a model that has some.

        Raises:
            ValueError: If shapes do not fit.
        """
        time, p = y.shape
        if p != self.pi.shape[1] or (u is None) != (not self.input_names) or (u is not None and len(u) != time):
            raise ValueError(
                f"got series {y.shape} and inputs {None if u is None else u.shape}, expected (time, "
                f"{self.pi.shape[1]}) and (time, {len(self.input_names)})"
            )
        past = jnp.concatenate([jnp.zeros((1, p), y.dtype), y])[:-1]
        start = jnp.zeros((time, p)).at[: len(self.start)].set(self.start[:time])
        total = convolve(self.pi, past) + start
        return total if u is None else total + convolve(self.inputs, u)

    def log_likelihood(
        self, y: Float[Array, "time series"], u: Float[Array, "time inputs"] | None = None
    ) -> Float[Array, ""]:
        """The sum of the log-densities of the prediction errors: all constants included, the start as steady."""
        errors = y - self.predict(y, u)
        factor = jnp.linalg.cholesky(self.cov)
        scaled = jax.scipy.linalg.solve_triangular(factor, errors.T, lower=True)
        log_det = 2 * jnp.sum(jnp.log(jnp.diag(factor)))
        return -0.5 * (jnp.sum(scaled**2) + len(y) * (log_det + y.shape[1] * jnp.log(2 * jnp.pi)))


def _taps(kernel: Array, inputs: Any, start: Any, more: int) -> tuple[Array, Array]:
    """Checked input weights and start, zero when left out; `more` taps than the kernel has."""
    if kernel.ndim != 3 or kernel.shape[1] != kernel.shape[2]:
        raise ValueError(f"the weights of the series have shape {kernel.shape}, expected (lags, series, series)")
    taps, p = len(kernel) + more, kernel.shape[1]
    inputs = jnp.zeros((taps, p, 0)) if inputs is None else floating(inputs)
    start = jnp.zeros((taps, p)) if start is None else floating(start)
    if inputs.shape[:2] != (taps, p) or inputs.ndim != 3 or start.shape != (taps, p):
        raise ValueError(
            f"inputs {inputs.shape} and start {start.shape} do not fit: expected ({taps}, {p}, inputs) and {(taps, p)}"
        )
    return inputs, start
