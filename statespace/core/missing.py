"""Densities of rows with missing elements, under any NumPyro law.

A missing element has no place in a density: it is integrated out. Where the series are independent given the state its
factor is left out, and in a normal law its row and column are; in other joint laws only whole rows can be missing.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from numpyro.distributions import Distribution, Independent, MultivariateNormal

from .gaussian import LOG_2PI
from .normal import FactorNormal


def masked_log_prob(
    law: Distribution, y: Float[Array, " series"], mask: Bool[Array, " series"] | None = None
) -> Float[Array, ""]:
    """The log density of the present elements of one row.

        log p(y_present) = log integral p(y) dy_missing

    Args:
        law: Law of the row: one number for each series (batch shape (series,), or `to_event(1)` of it, or shape () for
            one series), or a joint law with event shape (series,).
        y: The row; what stands in missing places does not matter, NaN included.
        mask: Which elements are present; None where all are.

    Returns:
        The log density, 0 where nothing is present; NaN where a joint law other than a normal one has lost some of its
        elements but not all.

    Raises:
        ValueError: If the law is not of as many series.

    Example:
        >>> import jax.numpy as jnp, numpyro.distributions as dist
        >>> row, present = jnp.array([0.0, jnp.nan]), jnp.array([True, False])
        >>> round(float(masked_log_prob(dist.Normal(jnp.zeros(2), 1.0), row, present)), 4)
        -0.9189
    """
    law = by_series(law, y.shape[0])
    mask = None if mask is None else jnp.asarray(mask, bool)
    if not law.event_shape:
        return jnp.sum(_log_prob(law, y, mask))
    if mask is not None and isinstance(law, MultivariateNormal | FactorNormal):
        return _normal(law, y, mask)
    if mask is None:
        return _log_prob(law, y, None)
    whole = jnp.all(mask)
    partial = jnp.any(mask) & ~whole  # a part of the row has no density that we know
    return jnp.where(partial, jnp.nan, _log_prob(law, y, whole))


def draw_missing(
    law: Distribution, y: Float[Array, " series"], mask: Bool[Array, " series"], key: Any
) -> Float[Array, " series"]:
    """The row with a draw in the place of what is missing, given what is present.

        y_missing ~ p(y_missing | y_present)

    A draw y* of the whole row of a normal law becomes one given the present elements by
    y* + C_mp C_pp^-1 (y_present - y*_present).

    Args:
        law: Law of the row, as in `masked_log_prob`.
        y: The row; what stands in missing places does not matter, NaN included.
        mask: Which elements are present.
        key: PRNG key.

    Returns:
        The row; NaN where a joint law other than a normal one has lost some of its elements but not all.

    Raises:
        ValueError: If the law is not of as many series.

    Example:
        >>> import jax, jax.numpy as jnp, numpyro.distributions as dist
        >>> row, present = jnp.array([3.0, jnp.nan]), jnp.array([True, False])
        >>> bool(jnp.isfinite(draw_missing(dist.Normal(jnp.zeros(2), 1.0), row, present, jax.random.key(0))[1]))
        True

    Reference: Journel and Huijbregts (1978), "Mining Geostatistics", section VII.A.1 (conditioning by kriging).
    """
    law = by_series(law, y.shape[0])
    drawn = jnp.reshape(law.sample(key), y.shape).astype(y.dtype)
    if law.event_shape and isinstance(law, MultivariateNormal | FactorNormal):
        cov: Any = law.covariance_matrix
        both = mask[:, None] & mask[None]
        inner = jnp.where(both, cov, jnp.eye(len(mask), dtype=cov.dtype))
        residual = jnp.where(mask, jnp.where(mask, y, 0.0) - drawn, 0.0)
        drawn = drawn + jnp.where(mask, cov, 0.0) @ jnp.linalg.solve(inner, residual)
    elif law.event_shape:
        drawn = jnp.where(jnp.any(mask) & ~jnp.all(mask), jnp.nan, drawn)
    return jnp.where(mask, y, drawn)


def by_series(law: Distribution, series: int) -> Distribution:
    """The same law with batch shape (series,) where its elements are independent, else with event shape (series,).

    Raises:
        ValueError: If the law is not of as many series.
    """
    shape = law.batch_shape + law.event_shape
    if series == 1 and shape == ():
        return law.expand((1,))
    if shape != (series,):
        raise ValueError(
            f"the emission is a {type(law).__name__} of shape {shape}, expected {(series,)}, one value for each of the "
            f"{series} series{' (or shape ())' if series == 1 else ''}: check the shapes of its arguments"
        )
    inner: Any = law.base_dist if isinstance(law, Independent) else None
    return inner if inner is not None and inner.event_shape == () else law


def serves_partial_rows(law: Distribution, series: int) -> bool:
    """Whether a row of which some elements are missing has a density under the law.

    Example:
        >>> import jax.numpy as jnp, numpyro.distributions as dist
        >>> serves_partial_rows(dist.Dirichlet(jnp.ones(3)), 3)
        False
    """
    found = by_series(law, series)
    return series == 1 or not found.event_shape or isinstance(found, MultivariateNormal | FactorNormal)


def _log_prob(law: Distribution, y: Array, present: Array | None) -> Array:
    """The law's own densities: 0 where absent, -inf outside the support, which NumPyro leaves to its validation.

    Masking the outcome alone would not do: the gradient of a density at NaN is NaN, and 0 times NaN is NaN.
    """
    support: Any = law.support
    present = jnp.ones((), bool) if present is None else present
    inside = support(jnp.where(present, y, 0.0))
    shown = _spread(present & inside, support)
    value = jnp.where(shown, y, jnp.asarray(support.feasible_like(y), y.dtype))
    value = value.astype(int) if support.is_discrete else value  # categories are indices, which must be integers
    return jnp.where(present, jnp.where(inside, law.log_prob(value), -jnp.inf), 0.0)


def _spread(flag: Array, support: Any) -> Array:
    """A flag of events over the elements of each event."""
    return flag[..., None] if support.event_dim else flag


def _normal(law: Any, y: Array, mask: Array) -> Array:
    """The marginal of a joint normal law: missing elements become independent and standard, and are left out."""
    both = mask[:, None] & mask[None]
    root = jnp.linalg.cholesky(jnp.where(both, law.covariance_matrix, jnp.eye(mask.shape[0])))
    residual = jnp.where(mask, jnp.where(mask, y, 0.0) - law.mean, 0.0)
    whitened = jnp.linalg.solve(root, residual)
    terms = -0.5 * whitened**2 - jnp.log(jnp.diag(root)) - 0.5 * LOG_2PI
    return jnp.sum(jnp.where(mask, terms, 0.0))
