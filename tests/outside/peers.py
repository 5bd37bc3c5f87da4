"""Other libraries' models as ours."""

import numpy as np

from statespace.models.linear import LinearGaussian

HALF_LOG_2PI = 0.9189385332046727


def root(cov):
    """A factor of a positive semidefinite matrix, or of one for each stamp."""
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]


def from_statsmodels(ssm) -> LinearGaussian:
    """The `LinearGaussian` of a bound statsmodels representation.

    There the matrices with index t lead from t to t + 1; here those with index t lead into t, and the first
    is never read: it is NaN.
    """

    def get(name):
        matrix = np.asarray(ssm[name], float)
        rank = 1 if name.endswith("intercept") else 2
        if matrix.ndim > rank:
            matrix = np.moveaxis(matrix, -1, 0)
        return matrix[:, 0] if rank == 1 and matrix.ndim == 2 and matrix.shape[1] == 1 else matrix

    def into(matrix, rank):
        if matrix.ndim == rank:
            return matrix
        return np.concatenate([np.full_like(matrix[:1], np.nan), matrix[:-1]])

    mean, infinite, cov = (np.asarray(part, float) for part in ssm.initialization(model=ssm))
    diffuse = np.diag(infinite) > 0
    noise = get("obs_cov")
    diagonal = noise.ndim == 2 and np.array_equal(noise, np.diag(np.diag(noise)))
    return LinearGaussian(
        into(get("transition"), 2),
        into(get("selection") @ root(get("state_cov")), 2),
        get("design"),
        np.sqrt(np.diag(noise)) if diagonal else root(noise),
        mean,
        root(cov),
        transition_offset=into(get("state_intercept"), 1),
        emission_offset=get("obs_intercept"),
        diffuse=diffuse,
    )
