"""Bayesian linear regression by orthogonal rotations: what rows of features say about weights, in time or all at once.

Weights are known as a triangular root of their precision, R'R = ridge I + sum phi phi', beside R w = q, in units of the
noise's variance. Rows enter by a QR decomposition of [R q; phi z] (Golub 1965, "Numerical methods for solving linear
least squares problems"), so that a ridge of 1e-12 costs no digits: the squares phi phi' are never formed.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float

from ..core.gaussian import LOG_2PI


class Root(eqx.Module):
    """A law of weights, one for each series, whose covariances are that of `root` times the noise's variance.

    Attributes:
        root: R, upper triangular, (feature, feature).
        target: q, (feature, series): R times the means.
    """

    root: Float[Array, "feature feature"]
    target: Float[Array, "feature series"]

    @property
    def mean(self) -> Float[Array, "feature series"]:
        """The means."""
        return solve_triangular(self.root, self.target)

    def spread(self, noise: Float[Array, "feature *n"]) -> Float[Array, "feature *n"]:
        """Standard normal numbers as deviations of the weights."""
        return solve_triangular(self.root, noise)

    def whiten(self, rows: Float[Array, "time feature"]) -> Float[Array, "feature time"]:
        """R'^-1 phi', whose squared columns are the variances of the signals."""
        return solve_triangular(self.root, rows.T, trans=1)


class Predicted(NamedTuple):
    """One-step predictions, in units of the noise scale where they are not means.

    Attributes:
        mean: Of each target, (time, series).
        variance: Of each, noise included, (time,).
        error: Standardised errors, (time, series).
    """

    mean: Float[Array, "time series"]
    variance: Float[Array, " time"]
    error: Float[Array, "time series"]


def prior_root(features: int, series: int, ridge: Float[Array, ""]) -> Root:
    """Independent weights of variance 1 / ridge."""
    return Root(jnp.sqrt(ridge) * jnp.eye(features), jnp.zeros((features, series)))


def with_rows(prior: Root, rows: Float[Array, "time feature"], targets: Float[Array, "time series"]) -> Root:
    """The law of the weights once rows were seen; rows of zeros say nothing."""
    size = prior.root.shape[0]
    stacked = jnp.concatenate([prior.root, rows]), jnp.concatenate([prior.target, targets])
    r = jnp.linalg.qr(jnp.concatenate(stacked, axis=1), mode="r")
    return Root(r[:size, :size], r[:size, size:])


def predict_block(
    prior: Root,
    rows: Float[Array, "time feature"],
    targets: Float[Array, "time series"],
    mask: Bool[Array, " time"] | None = None,
    forgetting: float = 1.0,
) -> tuple[Root, Predicted]:
    """One-step predictions of a block of rows, each from all before it, and the law of the weights after it.

    With A = Phi R^-1 the block's joint covariance is I + A A' = L L', and L holds what a filter would find row by row:
    variances L_tt^2, errors L^-1 (z - A q). L comes from a QR decomposition of [I; A'], not from the square.
    Forgetting, P <- P / forgetting before each row, is a weight forgetting^-(t/2) on row t.

    Args:
        prior: The law before the block.
        rows: Features.
        targets: What they explain.
        mask: Which rows were observed (the others are predicted only); None where all were.
        forgetting: Above 0 and at most 1.
    """
    grown = forgetting ** (-0.5 * (jnp.arange(len(rows)) + 1.0))[:, None]
    rows, z = grown * rows, grown * targets
    seen = rows if mask is None else jnp.where(mask[:, None], rows, 0.0)
    z = z if mask is None else jnp.where(mask[:, None], z, 0.0)
    white = prior.whiten(seen)
    lower = _lower(white)
    error = solve_triangular(lower, z - white.T @ prior.target, lower=True)
    diagonal = jnp.diag(lower)
    mean, variance = z - diagonal[:, None] * error, diagonal**2
    if mask is not None:
        hidden_mean, hidden_variance = _hidden(prior, rows, white, lower, error)
        mean, variance = jnp.where(mask[:, None], mean, hidden_mean), jnp.where(mask, variance, hidden_variance)
    after, shrink = with_rows(prior, seen, z), forgetting ** (0.5 * len(rows))
    return Root(shrink * after.root, shrink * after.target), Predicted(mean / grown, variance, error / grown)


def _hidden(prior: Root, rows: Array, white: Array, lower: Array, error: Array) -> tuple[Array, Array]:
    """Means and variances of rows without an observation, from their covariances with the observed ones before them."""
    full = prior.whiten(rows)
    before = jnp.tril(solve_triangular(lower, white.T @ full, lower=True).T, -1)
    variance = 1.0 + jnp.sum(full**2, axis=0) - jnp.sum(before**2, axis=1)
    return full.T @ prior.target + before @ error, jnp.maximum(variance, 1.0)  # rounding apart it is at least that


def predict_all(
    prior: Root,
    rows: Float[Array, "time feature"],
    targets: Float[Array, "time series"],
    mask: Bool[Array, " time"] | None = None,
    forgetting: float = 1.0,
) -> tuple[Root, Predicted]:
    """What `predict_block` finds, for a long series: in blocks of about as many rows as there are features.

    Args:
        prior: The law before the first row.
        rows: Features.
        targets: What they explain.
        mask: Which rows were observed; None where all were.
        forgetting: Above 0 and at most 1.

    Returns:
        The law after the last row, and the predictions.
    """
    length, size = len(rows), block_size(prior.root.shape[0], forgetting)
    whole = (length // size) * size
    parts = []
    if whole:
        blocks = jax.tree.map(lambda x: x[:whole].reshape(-1, size, *x.shape[1:]), (rows, targets, mask))
        prior, found = jax.lax.scan(lambda law, xs: predict_block(law, xs[0], xs[1], xs[2], forgetting), prior, blocks)
        parts.append(jax.tree.map(lambda x: x.reshape(whole, *x.shape[2:]), found))
    if length > whole:
        rest = None if mask is None else mask[whole:]
        prior, found = predict_block(prior, rows[whole:], targets[whole:], rest, forgetting)
        parts.append(found)
    return prior, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def block_size(features: int, forgetting: float = 1.0) -> int:
    """Rows of a block: about as many as features, fewer where forgetting would make weights above 1000."""
    most = 1024 if forgetting == 1.0 else max(1, int(2 * math.log(1000.0) / -math.log(forgetting)))
    return min(max(features, 32), most)


@jax.custom_jvp
def log_evidence(
    rows: Float[Array, "time feature"],
    targets: Float[Array, "time series"],
    ridge: Float[Array, ""],
    noise: Float[Array, " series"],
) -> Float[Array, ""]:
    """The log density of all targets, their weights integrated out.

        log N(z; 0, noise^2 (I + Phi Phi' / ridge)), summed over the series

    The constants of rows of zeros (missing) are the caller's. Its derivative is written out, which spares that of a QR
    decomposition: with P = (R'R)^-1 and errors e, d/dPhi = e m' / noise^2 - Phi P for each series.

    Args:
        rows: Features, Phi.
        targets: What they explain, z.
        ridge: Prior precision of a weight over that of the noise.
        noise: Standard deviation of each series' noise.
    """
    return _log_evidence(with_rows_and_rest(rows, targets, ridge), ridge, noise, rows.shape[0])


@log_evidence.defjvp
def _(primals, tangents):
    rows, targets, ridge, noise = primals
    d_rows, d_targets, d_ridge, d_noise = tangents
    r, rest = with_rows_and_rest(rows, targets, ridge)
    law, series = Root(*r), targets.shape[1]
    mean, precision = law.mean, noise**-2
    error = targets - rows @ mean
    inverse = law.spread(jnp.eye(law.root.shape[0]))
    by_rows = (error * precision) @ mean.T - series * (rows @ inverse) @ inverse.T
    by_ridge = 0.5 * (
        series * (rows.shape[1] / ridge - jnp.sum(inverse**2)) - jnp.sum(jnp.sum(mean**2, axis=0) * precision)
    )
    by_noise = -rows.shape[0] / noise + rest * noise**-3
    change = jnp.sum(by_rows * d_rows) - jnp.sum(error * precision * d_targets)
    change = change + by_ridge * d_ridge + jnp.sum(by_noise * d_noise)
    return _log_evidence((r, rest), ridge, noise, rows.shape[0]), change


def with_rows_and_rest(
    rows: Float[Array, "time feature"], targets: Float[Array, "time series"], ridge: Float[Array, ""]
) -> tuple[tuple[Array, Array], Float[Array, " series"]]:
    """Root and target of the weights after all rows, and the sums of squares that they leave."""
    size = rows.shape[1]
    prior = prior_root(size, targets.shape[1], ridge)
    top, bottom = jnp.concatenate([prior.root, prior.target], axis=1), jnp.concatenate([rows, targets], axis=1)
    r = jnp.linalg.qr(jnp.concatenate([top, bottom]), mode="r")
    return (r[:size, :size], r[:size, size:]), jnp.sum(r[size:, size:] ** 2, axis=0)


def _log_evidence(found: tuple, ridge: Array, noise: Array, length: int) -> Array:
    (root, _), rest = found
    size, series = root.shape[0], noise.shape[0]
    determinant = jnp.sum(jnp.log(jnp.abs(jnp.diag(root)))) - 0.5 * size * jnp.log(ridge)
    constants = length * (0.5 * series * LOG_2PI + jnp.sum(jnp.log(noise)))
    return -0.5 * jnp.sum(rest / noise**2) - series * determinant - constants


def _lower(white: Float[Array, "feature time"]) -> Float[Array, "time time"]:
    """The lower triangular L with L L' = I + A A' and a positive diagonal, where `white` is A'."""
    size = white.shape[1]
    upper = jnp.linalg.qr(jnp.concatenate([jnp.eye(size, dtype=white.dtype), white]), mode="r")
    return (upper * jnp.sign(jnp.diag(upper))[:, None]).T
