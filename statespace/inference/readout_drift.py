"""Bayesian linear regression whose weights drift: a Kalman filter with the covariance carried as a matrix.

        P <- P / forgetting + drift^2 I,   f = 1 + phi'P phi,   k = P phi / f
        m <- m + k (z - phi'm),   P <- P - k k' f

In units of the noise's variance. A matrix that starts at I / ridge holds about 16 + log10(ridge) digits of what is left
of it, where the root of `readout_root` holds them all; but noise on every weight at every stamp would turn that root
anew each time, at features^3 a stamp in place of features^2.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .readout_root import Predicted


class Drifting(eqx.Module):
    """A law of weights that share a covariance up to the noise's variance.

    Attributes:
        mean: The means, (feature, series).
        cov: Their covariance in units of the noise's variance, (feature, feature).
    """

    mean: Float[Array, "feature series"]
    cov: Float[Array, "feature feature"]

    def spread(self, noise: Float[Array, "feature *n"]) -> Float[Array, "feature *n"]:
        """Standard normal numbers as deviations of the weights."""
        return jnp.linalg.cholesky(self.cov) @ noise


def prior_law(features: int, series: int, ridge: Float[Array, ""]) -> Drifting:
    """Independent weights of variance 1 / ridge."""
    return Drifting(jnp.zeros((features, series)), jnp.eye(features) / ridge)


def predict_rows(
    law: Drifting,
    rows: Float[Array, "time feature"],
    targets: Float[Array, "time series"],
    mask: Bool[Array, " time"],
    drift: Float[Array, ""],
    moved: Bool[Array, " time"],
    forgetting: float = 1.0,
) -> tuple[Drifting, Predicted]:
    """One-step predictions of all rows, and the law of the weights after the last.

    Args:
        law: The law at the stamp before.
        rows: Features.
        targets: What they explain.
        mask: Which rows were observed.
        drift: Standard deviation of each weight's step.
        moved: Whether the weights move before a row: not before the first of a series.
        forgetting: Above 0 and at most 1.
    """
    ahead = drift**2 * jnp.eye(rows.shape[1])

    def body(law: Drifting, slot: tuple) -> tuple[Drifting, Predicted]:
        phi, z, seen, moves = slot
        cov = jnp.where(moves, law.cov / forgetting + ahead, law.cov)
        loading = cov @ phi
        variance, mean = 1.0 + phi @ loading, law.mean.T @ phi
        error = z - mean
        gain = jnp.where(seen, loading / variance, 0.0)
        after = Drifting(law.mean + jnp.outer(gain, error), cov - jnp.outer(gain, gain) * variance)
        return after, Predicted(mean, variance, jnp.where(seen, error, 0.0) / jnp.sqrt(variance))

    return jax.lax.scan(body, law, (rows, jnp.where(mask[:, None], targets, 0.0), mask, moved))
