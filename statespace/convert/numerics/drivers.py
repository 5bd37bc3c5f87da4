"""What drives a model beside its inputs: unit white noises, and what the law of the first state is made of."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core.linalg import semidefinite_factor, symmetrise
from ...core.parameters import is_traced


def factor(cov: Float[Array, "n n"]) -> Float[Array, "n rank"]:
    """A factor of a positive semidefinite matrix, with as few columns as its rank.

    While JAX traces the matrix its rank is unknown, and the factor is square.

    Example:
        >>> factor(jnp.diag(jnp.array([4.0, 0.0]))).tolist()
        [[2.0], [0.0]]
    """
    if is_traced(cov):
        return semidefinite_factor(symmetrise(cov))
    dense = np.asarray(cov)
    values, vectors = np.linalg.eigh((dense + dense.T) / 2)
    large = values > len(values) * np.finfo(dense.dtype).eps * values.max(initial=0.0)
    found = vectors[:, large] * np.sqrt(values[large])
    signs = np.where(found.sum(axis=0) < 0, -1.0, 1.0)
    return jnp.asarray((found * signs)[:, ::-1])


def noise_columns(
    Q: Float[Array, "state state"],
    R: Float[Array, "series series"] | None = None,
    S: Float[Array, "state series"] | None = None,
) -> tuple[Float[Array, "state noises"], Float[Array, "series noises"]]:
    """What unit white noises e add to the state and to the series: w = G e, v = F e with the covariances Q, R and S.

    Args:
        Q: Covariance of w.
        R: Covariance of v; none when left out.
        S: Covariance of w and v.

    Returns:
        The pair (G, F).
    """
    n = len(Q)
    if R is None or S is None:
        return factor(Q), jnp.zeros((0, 0), Q.dtype)
    joint = factor(jnp.block([[Q, S], [S.T, R]]))
    return joint[:n], joint[n:]


def law_columns(
    mean: Float[Array, " state"],
    cov: Float[Array, "state state"],
    known: Float[Array, "state drivers"] | None = None,
    diffuse: tuple[bool, ...] = (),
) -> Float[Array, "state columns"]:
    """The directions in which a first state can lie: its mean, a factor of its covariance, those without a prior."""
    flat = jnp.eye(len(mean), dtype=cov.dtype)[:, np.flatnonzero(diffuse)]
    parts = [factor(cov), mean[:, None], flat, *([] if known is None else [known])]
    whole = jnp.concatenate(parts, axis=1)
    if is_traced(whole):
        return whole
    return whole[:, np.flatnonzero(np.any(np.asarray(whole) != 0, axis=0))]
