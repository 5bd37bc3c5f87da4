"""Normal laws of latent states, independent or joint, and what guides need of them.

A law is a `Normal` of shape (latent,), whose factor is the vector of standard deviations, or a `MultivariateNormal`
with a lower triangular factor L, covariance L L'. What is summed over latent states comes element by element: for a
joint law by e = L^-1 (z - m), whose elements belong to the laws of each latent state given those before it.
"""

from typing import Any

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Bool, Float
from numpyro.distributions import MultivariateNormal, Normal, kl_divergence

from ...core.gaussian import LOG_2PI
from ...core.linalg import SMALL, matmul

Law = Normal | MultivariateNormal


def parts(law: Any) -> tuple[Float[Array, "*batch size"], Float[Array, "..."]]:
    """Mean and factor: standard deviations of independent laws, a lower triangular matrix of a joint one."""
    mean: Any = law.loc
    factor: Any = law.scale_tril if isinstance(law, MultivariateNormal) else law.scale
    return mean, factor


def normal(mean: Float[Array, " size"], factor: Float[Array, "size *size"]) -> Law:
    """The law with a mean and a factor.

    Example:
        >>> normal(jnp.zeros(2), jnp.ones(2)).batch_shape, normal(jnp.zeros(2), jnp.eye(2)).event_shape
        ((2,), (2,))
    """
    if factor.ndim > mean.ndim:
        return MultivariateNormal(mean, scale_tril=factor)
    return Normal(mean, factor)


def triangle(law: Law) -> Float[Array, "size size"]:
    """The factor as a matrix."""
    factor = parts(law)[1]
    return factor if isinstance(law, MultivariateNormal) else jnp.diag(factor)


def moved(law: Law, noise: Float[Array, " size"]) -> Float[Array, " size"]:
    """Mean plus factor times noise: a draw, where the noise is standard normal."""
    mean, factor = parts(law)
    return mean + (matmul(factor, noise) if isinstance(law, MultivariateNormal) else factor * noise)


def either(condition: Bool[Array, ""], first: Law, second: Law) -> Law:
    """The first law where a condition holds, else the second; a joint one if either is."""
    (mean, factor), (other, wide) = parts(first), parts(second)
    if factor.ndim != wide.ndim:
        factor, wide = triangle(first), triangle(second)
    return normal(jnp.where(condition, mean, other), jnp.where(condition, factor, wide))


def log_density_each(law: Law, z: Float[Array, " size"]) -> Float[Array, " size"]:
    """The log density of each element given those before it: their sum is the log density.

        -e_i^2 / 2 - log L_ii - log(2 pi) / 2,      e = L^-1 (z - m)

    Example:
        >>> law = MultivariateNormal(jnp.zeros(2), scale_tril=jnp.array([[1.0, 0.0], [0.5, 2.0]]))
        >>> z = jnp.array([0.3, -1.0])
        >>> bool(jnp.allclose(jnp.sum(log_density_each(law, z)), law.log_prob(z)))
        True
    """
    if isinstance(law, Normal):
        return jnp.asarray(law.log_prob(z))
    mean, factor = parts(law)
    e = solve_lower(factor, z - mean)
    return -0.5 * e**2 - jnp.log(jnp.diag(factor)) - 0.5 * LOG_2PI


def divergence_each(q: Law, p: Law) -> Float[Array, " size"]:
    """KL(q || p) in as many terms as there are elements, none of them below zero: their sum is the divergence.

        (sum_j M_ij^2 + d_i^2 - 1) / 2 - log M_ii,      M = L_p^-1 L_q,      d = L_p^-1 (m_p - m_q)

    Example:
        >>> wide = MultivariateNormal(jnp.zeros(2), scale_tril=2.0 * jnp.eye(2))
        >>> divergence_each(Normal(jnp.zeros(2), jnp.ones(2)), wide).round(3).tolist()
        [0.318, 0.318]
    """
    if isinstance(q, Normal) and isinstance(p, Normal):
        return jnp.asarray(kl_divergence(q, p))
    (mean, factor), own = parts(p), triangle(q)
    distance = mean - parts(q)[0]
    if isinstance(p, Normal):
        ratio, distance = own / factor[:, None], distance / factor
    else:
        ratio, distance = solve_lower(factor, own), solve_lower(factor, distance)
    return 0.5 * (jnp.sum(ratio**2, axis=1) + distance**2 - 1.0) - jnp.log(jnp.diag(ratio))


def times(law: Law, precision: Float[Array, "size *size"], vector: Float[Array, " size"]) -> MultivariateNormal:
    """The law whose density is proportional to law(z) exp(-z'P z / 2 + v'z).

        G = I + L'P L = U U' with U upper triangular,      factor = L U'^-1,      mean = m + factor factor' (v - P m)

    Nothing near singular is inverted: G is at least I, also where P is zero or has few directions.

    Args:
        law: The law, with mean m and factor L.
        precision: P, positive semidefinite; a vector is its diagonal.
        vector: v.

    Example:
        >>> found = times(Normal(jnp.zeros(1), jnp.ones(1)), jnp.ones(1), jnp.ones(1))
        >>> found.loc.tolist(), (found.scale_tril**2).round(3).tolist()
        ([0.5], [[0.5]])
    """
    mean, factor = parts(law)[0], triangle(law)
    if precision.ndim == 1:
        weighted, drawn = precision[:, None] * factor, precision * mean
    else:
        weighted, drawn = matmul(precision, factor), matmul(precision, mean)
    eye = jnp.eye(len(mean), dtype=factor.dtype)
    turned = inverse_root((eye + matmul(factor.T, weighted))[::-1, ::-1])
    found = matmul(factor, turned[::-1, ::-1].T)
    return MultivariateNormal(mean + matmul(found, matmul(found.T, vector - drawn)), scale_tril=found)


def inverse_root(a: Float[Array, "size size"]) -> Float[Array, "size size"]:
    """The lower triangular K^-1 with K K' = a, for a matrix a that is at least the identity: no pivot is below one.

    Example:
        >>> inverse_root(jnp.array([[4.0, 2.0], [2.0, 2.0]])).tolist()
        [[0.5, 0.0], [-0.5, 1.0]]
    """
    size = len(a)
    eye = jnp.eye(size, dtype=a.dtype)
    if size > SMALL:
        return solve_triangular(jnp.linalg.cholesky(a), eye, lower=True)
    rows, pivots, rest = jnp.arange(size), [], jnp.concatenate([a, eye], axis=1)
    for j in range(size):
        pivot = jnp.where(rest[j, j] < 1.0, 1.0, rest[j, j])  # rounding; a tie has the pivot's derivative
        rest = rest - jnp.where(rows > j, rest[:, j] / pivot, 0.0)[:, None] * rest[j][None]
        pivots.append(pivot)
    return rest[:, size:] / jnp.sqrt(jnp.stack(pivots))[:, None]


def cholesky(a: Float[Array, "size size"], least: Float[Array, " size"]) -> Float[Array, "size size"]:
    """The lower triangular L with L L' = a, for a matrix a that is at least diag(least).

    No pivot of such a matrix is below `least`: one that rounding pushed there is put back.

    Example:
        >>> cholesky(jnp.array([[4.0, 2.0], [2.0, 2.0]]), jnp.zeros(2)).tolist()
        [[2.0, 0.0], [1.0, 1.0]]
    """
    size = len(a)
    if size > SMALL:
        return jnp.linalg.cholesky(a)
    rows, columns, rest = jnp.arange(size), [], a
    for j in range(size):
        root = jnp.sqrt(jnp.where(rest[j, j] < least[j], least[j], rest[j, j]))  # a tie has the pivot's derivative
        column = jnp.where(rows == j, root, jnp.where(rows > j, rest[:, j] / root, 0.0))
        rest = rest - column[:, None] * column[None]
        columns.append(column)
    return jnp.stack(columns, axis=1)


def solve_lower(lower: Float[Array, "size size"], b: Float[Array, "size *m"]) -> Float[Array, "size *m"]:
    """Solve L x = b for lower triangular L."""
    if len(lower) > SMALL:
        return solve_triangular(lower, b, lower=True)
    rows, rest = [], b
    for j in range(len(lower)):
        rows.append(rest[j] / lower[j, j])
        rest = rest - (lower[:, j] * rows[j] if b.ndim == 1 else lower[:, j][:, None] * rows[j][None])
    return jnp.stack(rows)
