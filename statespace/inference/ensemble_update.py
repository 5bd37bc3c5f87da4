"""What an observation does to an ensemble: arrays in, arrays out, no notion of time.

With members x_i, their mean m and anomalies A = (x_i - m) / sqrt(N - 1), and the members' predicted observations with
their mean and anomalies Y, the covariances of the Kalman filter are products of anomalies,

    cov(x, y) = A'Y,      C = cov(y) = Y'Y + R,

and none of them is formed but C, (series, series). Every update is a linear map over members (`ensemble_maps`), the
same at each element of the state or, localised, one for each.

A missing element has no anomalies, no innovation and a noise of its own, so that it says nothing.

Reference: Evensen (2003), "The ensemble Kalman filter", Ocean Dynamics 53; Burgers, van Leeuwen and Evensen (1998);
Bishop, Etherton and Majumdar (2001), "Adaptive sampling with the ensemble transform Kalman filter", MWR 129; Hunt,
Kostelich and Szunyogh (2007), "Efficient data assimilation for spatiotemporal chaos: a local ensemble transform Kalman
filter", Physica D 230.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float

from ..core.gaussian import LOG_2PI
from ..core.linalg import SMALL, mask_matrix, semidefinite_factor, symmetrise
from ..core.matrix_root import symmetric_sqrt
from .ensemble_maps import Gain, LocalTransform, Transform, ensemble_space
from .localisation import Localisation


class Innovation(eqx.Module):
    """The observation of a stamp beside what the members predicted.

    Attributes:
        anomalies: Y, of the members' predicted observations; zero where missing.
        difference: d = y minus their mean; 0 where missing.
        noise: R, the identity's rows and columns where missing.
        half: L^-1 with L lower triangular, L L' = C.
        residuals: L^-1 d: independent and standard where members and model are right; 0 where missing.
        mask: Which elements are present.
        mean: The predicted mean, also of what is missing.
        variance: Its variance.
    """

    anomalies: Float[Array, "member series"]
    difference: Float[Array, " series"]
    noise: Float[Array, "series series"]
    half: Float[Array, "series series"]
    residuals: Float[Array, " series"]
    mask: Bool[Array, " series"]
    mean: Float[Array, " series"]
    variance: Float[Array, " series"]

    @property
    def term(self) -> Float[Array, ""]:
        """Log N(y; mean, C) of the elements that are present."""
        log_det = jnp.sum(jnp.log(jnp.diagonal(self.half)))
        return -0.5 * (jnp.sum(self.residuals**2) + LOG_2PI * jnp.sum(self.mask)) + log_det

    def precision_times(self, rows: Float[Array, "n series"]) -> Float[Array, "n series"]:
        """C^-1 applied to rows."""
        return (rows @ self.half.T) @ self.half


def innovation(
    values: Float[Array, "member series"],
    noise: Float[Array, "series series"],
    y: Float[Array, " series"],
    mask: Bool[Array, " series"],
    localisation: Localisation | None = None,
) -> Innovation:
    """Compare an observation with the members' predictions of it.

    Args:
        values: Mean of the observation given each member.
        noise: Covariance of the observation given the state.
        y: The observation; anything where missing.
        mask: Which elements are present.
        localisation: Whose weights between series multiply the covariance of the predictions.
    """
    mean = jnp.mean(values, axis=0)
    spread = (values - mean) / jnp.sqrt(values.shape[0] - 1)
    anomalies = jnp.where(mask, spread, 0.0)
    cov = anomalies.T @ anomalies
    if localisation is not None:
        cov = localisation.between.astype(cov.dtype) * cov
    noise = symmetrise(noise)
    half = inverse_root(mask_matrix(cov + noise, mask))
    difference = jnp.where(mask, jnp.where(mask, y, 0.0) - mean, 0.0)
    variance = jnp.sum(spread**2, axis=0) + jnp.diagonal(noise)
    return Innovation(anomalies, difference, mask_matrix(noise, mask), half, half @ difference, mask, mean, variance)


def perturbed(seen: Innovation, key: Any) -> Gain:
    """Each member is updated with its own perturbed observation.

        x_i <- x_i + A'Y C^-1 (y + e_i - y_i),      e_i ~ N(0, R) with mean zero over the members

    Args:
        seen: The observation.
        key: PRNG key.
    """
    size, series = seen.anomalies.shape
    normal = jax.random.normal(key, (size, series), seen.anomalies.dtype)
    normal = normal - jnp.mean(normal, axis=0)  # their sample covariance still has the expectation R
    noise = jnp.where(seen.mask, normal @ noise_root(seen.noise).T, 0.0)
    own = seen.difference + noise - jnp.sqrt(size - 1) * seen.anomalies
    return Gain(seen.precision_times(own), seen.anomalies)


def square_root(seen: Innovation) -> Gain | Transform:
    """The mean by Kalman's gain, the anomalies by the symmetric square root that gives Kalman's covariance.

        m <- m + A'Y C^-1 d,      A <- T A,      T T = I - Y C^-1 Y'

    T is found in whichever is smaller, the space of the series or that of the members:

        T = I - Y L'^-1 (I + Q^1/2)^-1 L^-1 Y',  Q = L^-1 R L'^-1      or      T = (I + Y R^-1 Y')^-1/2
    """
    size, series = seen.anomalies.shape
    if series > size:
        return Transform(ensemble_space(*whitened(seen)))
    rest = symmetrise(seen.half @ seen.noise @ seen.half.T)
    inner = jnp.eye(series, dtype=rest.dtype) + symmetric_sqrt(rest)
    shrink = jnp.linalg.solve(inner, seen.half @ seen.anomalies.T).T @ seen.half
    return Gain(seen.residuals @ seen.half - jnp.sqrt(size - 1) * shrink, seen.anomalies)


def local_square_root(seen: Innovation) -> LocalTransform:
    """The local ensemble transform: R is widened by one over the weight of an observation at each element.

    Noises of different series are decorrelated first, so distances mean what they say where they are independent.
    """
    return LocalTransform(*whitened(seen))


def whitened(seen: Innovation) -> tuple[Float[Array, "series member"], Float[Array, " series"]]:
    """Anomalies and innovation in units of the noise, whose covariance must be regular."""
    half = inverse_root(seen.noise)
    return half @ seen.anomalies.T, half @ seen.difference


def noise_root(noise: Float[Array, "series series"]) -> Float[Array, "series noise"]:
    """A factor of the noise covariance; up to a few series it may be singular."""
    return semidefinite_factor(noise) if noise.shape[0] <= SMALL else jnp.linalg.cholesky(noise)


def inverse_root(cov: Float[Array, "series series"]) -> Float[Array, "series series"]:
    """L^-1 for the Cholesky factor L: the one triangular solve of a stamp, since products are much faster."""
    return solve_triangular(jnp.linalg.cholesky(cov), jnp.eye(cov.shape[0], dtype=cov.dtype), lower=True)
