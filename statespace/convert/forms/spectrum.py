"""The second-order law of a stationary process: its spectral density in closed form, and its autocovariances."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ...core.kernels import krylov
from .arrays import as_matrix, floating, names_of


class SpectralDensity(eqx.Module):
    """The spectral density of a stationary process, as a rational function.

        S(w) = H(w) + H(w)^H,      H(w) = G0 / 2 + C (e^{iw} - A)^-1 M
        cov(y[t + k], y[t]) = C A^(k-1) M for k > 0, and G0 for k = 0

    so that the variance is the mean of S over the circle. It may be written with any matrices, but it is one only where
    S(w) is positive semidefinite at all frequencies: `margin` says whether it is.

    Args:
        A: (state, state), its eigenvalues inside the unit circle.
        M: Covariance of the next state and the series, (state, series).
        C: (series, state).
        G0: Covariance of the series, (series, series).
        dt: Time from one stamp to the next, or None where it has no unit.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree.

    Example:
        >>> SpectralDensity([[0.5]], [[1.0]], [[1.0]], [[2.0]])(0.0).real.item()
        6.0

    Reference: Faurre (1976), "Stochastic realization algorithms".
    """

    domain_of_time: ClassVar[str] = "discrete"

    A: Float[Array, "state state"]
    M: Float[Array, "state series"]
    C: Float[Array, "series state"]
    G0: Float[Array, "series series"]
    dt: Float[Array, ""] | None
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, A: Any, M: Any, C: Any, G0: Any, *, dt: Any = None, series_names: Any = None):
        n, p = floating(A).shape[-1], floating(C).shape[-2]
        self.A, self.M = as_matrix(A, n, n, "A"), as_matrix(M, n, p, "M")
        self.C, self.G0 = as_matrix(C, p, n, "C"), as_matrix(G0, p, p, "G0")
        self.dt = None if dt is None else floating(dt)
        self.series_names = names_of(series_names, p, "y")
        if any(x.ndim != 2 for x in (self.A, self.M, self.C, self.G0)):
            raise ValueError("a spectral density is constant in time: its matrices have no time axis")

    def __call__(self, frequency: Any) -> Complex[Array, "*points series series"]:
        """S at frequencies in radians for each stamp."""
        z = jnp.exp(1j * jnp.asarray(frequency))[..., None, None]
        half = self.C @ jnp.linalg.solve(z * jnp.eye(len(self.A)) - self.A, self.M.astype(z.dtype)) + self.G0 / 2
        return half + jnp.conj(jnp.swapaxes(half, -1, -2))

    def autocovariances(self, lags: int) -> Float[Array, "lags series series"]:
        """cov(y[t + k], y[t]) for k = 0, ..., lags."""
        later = krylov(self.A, self.M, self.C, lags)
        return jnp.concatenate([self.G0[None], later])

    @property
    def margin(self) -> tuple[float, float]:
        """The least eigenvalue of S over all frequencies, as a share of the largest variance, and its frequency.

        Frequencies at which S is singular are roots of a pencil, so that none is missed between points of a grid;
        between two of them, and on a grid refined towards the poles, S is looked at.
        """
        points = _points(np.asarray(self.A, float), self._crossings())
        size = max(float(np.abs(np.asarray(self.G0)).max(initial=0.0)), np.finfo(float).tiny)
        least = np.linalg.eigvalsh(np.asarray(self(points)))[:, 0]
        best = int(np.argmin(least))
        for _ in range(4):  # towards the minimum
            around = np.linspace(points[max(best - 1, 0)], points[min(best + 1, len(points) - 1)], 65)
            points, least = around, np.linalg.eigvalsh(np.asarray(self(around)))[:, 0]
            best = int(np.argmin(least))
        return float(least[best] / size), float(points[best])

    def _crossings(self) -> np.ndarray:
        """Frequencies at which S may be singular: eigenvalues near the circle of the pencil with its zeros."""
        from scipy.linalg import eig  # slow to import

        A, M, C, G0 = (np.asarray(x, float) for x in (self.A, self.M, self.C, self.G0))
        n, p = M.shape
        left = np.block([[A, np.zeros((n, n)), M], [np.zeros((n, n)), np.eye(n), np.zeros((n, p))], [C, M.T, G0]])
        right = np.zeros_like(left)
        right[:n, :n], right[n : 2 * n, n : 2 * n], right[n : 2 * n, 2 * n :] = np.eye(n), A.T, C.T
        values = eig(left, right, right=False)
        values = values[np.isfinite(values)]
        return np.abs(np.angle(values[np.abs(np.abs(values) - 1) < 1e-4]))


def _points(A: np.ndarray, crossings: np.ndarray) -> np.ndarray:
    """Frequencies from 0 to pi: a grid, denser near the poles, the crossings and what is between them."""
    poles = np.linalg.eigvals(A) if len(A) else np.zeros(0)
    near = [np.angle(p) + (1 - abs(p)) * np.array([-3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0]) for p in poles]
    points = np.concatenate([np.linspace(0, np.pi, 257), crossings, *near])
    points = np.unique(np.clip(np.abs(points), 0, np.pi))
    return np.unique(np.concatenate([points, (points[1:] + points[:-1]) / 2]))


class Autocovariances(eqx.Module):
    """Autocovariances of a stationary process up to a lag.

    Args:
        values: cov(y[t + k], y[t]) for k = 0, ..., (lags + 1, series, series), or (lags + 1,) for one series.
        dt: Time from one stamp to the next, or None where it has no unit.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree.

    Example:
        >>> Autocovariances([2.0, 1.0]).values.shape
        (2, 1, 1)
    """

    domain_of_time: ClassVar[str] = "discrete"

    values: Float[Array, "lags series series"]
    dt: Float[Array, ""] | None
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, values: Any, *, dt: Any = None, series_names: Any = None):
        values = floating(values)
        self.values = values[:, None, None] if values.ndim == 1 else values
        self.dt = None if dt is None else floating(dt)
        if self.values.ndim != 3 or self.values.shape[1] != self.values.shape[2] or not len(self.values):
            raise ValueError(f"autocovariances have shape {values.shape}, expected (lags + 1, series, series)")
        self.series_names = names_of(series_names, self.values.shape[1], "y")

    @classmethod
    def of_samples(
        cls, samples: Complex[Array, "points series series"] | Float[Array, " points"], **names: Any
    ) -> "Autocovariances":
        """Those whose spectral density has these values at the frequencies 2 pi j / points, j = 0, ..., points - 1.

        Args:
            samples: Values of the density over the whole circle, hermitian; for one series, numbers.
            **names: `dt`, `series_names`.

        Returns:
            Half as many autocovariances as there are points. Those at lags beyond come back on top of these, as they
            do in every finite transform: take points until the last ones vanish.
        """
        samples = jnp.asarray(samples)
        samples = samples[:, None, None] if samples.ndim == 1 else samples
        values = jnp.fft.ifft(samples, axis=0).real
        return cls(values[: len(samples) // 2 + 1], **names)
