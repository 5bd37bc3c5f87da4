"""Small linear algebra for the inside of a time loop.

XLA's CPU compiler turns a loop whose body is elementwise arithmetic and sums into one native kernel; a
`dot` or a LAPACK call in the body prevents it. Up to `SMALL` rows the products here are therefore
written as broadcast-multiply-and-sum, above it as `@`. The choice is made by shape, here and nowhere else.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

SMALL = 16


def matmul(a: Float[Array, "n k"], b: Float[Array, "k *m"]) -> Float[Array, "n *m"]:
    """The product of a matrix with a vector or a matrix, in the form that suits its size."""
    if max(a.shape) > SMALL:
        return a @ b
    if b.ndim == 1:
        return jnp.sum(a * b, axis=-1)
    return jnp.sum(a[:, :, None] * b[None], axis=1)


def quadratic(a: Float[Array, "n k"]) -> Float[Array, "n n"]:
    """The product of a matrix with its own transpose, a a'."""
    return matmul(a, a.T)


def symmetrise(a: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """The symmetric part of a matrix."""
    return 0.5 * (a + jnp.swapaxes(a, -1, -2))


def unit_ldl(a: Float[Array, "p p"]) -> tuple[Float[Array, "p p"], Float[Array, " p"]]:
    """Unit lower triangular L and d >= 0 with a = L diag(d) L', also for singular a.

    A zero pivot leaves its column of L at zero below the diagonal, which is exact for a positive
    semidefinite matrix (a zero pivot then has a zero column).

    Args:
        a: Symmetric positive semidefinite matrix.

    Returns:
        The pair (L, d).
    """
    size = a.shape[0]
    scale = jnp.max(jnp.diag(a))
    tolerance = 8 * size * jnp.finfo(a.dtype).eps * jnp.where(scale > 0, scale, 1.0)
    rows = jnp.arange(size)
    columns, pivots, rest = [], [], a
    for j in range(size):
        pivot = rest[j, j]
        regular = pivot > tolerance
        column = jnp.where(regular & (rows > j), rest[:, j] / jnp.where(regular, pivot, 1.0), 0.0)
        column = jnp.where(rows == j, 1.0, column)
        pivots.append(jnp.where(regular, pivot, 0.0))
        columns.append(column)
        rest = rest - jnp.where(regular, pivot, 0.0) * column[:, None] * column[None]
    return jnp.stack(columns, axis=1), jnp.stack(pivots)


def solve_unit_lower(lower: Float[Array, "p p"], b: Float[Array, "p *m"]) -> Float[Array, "p *m"]:
    """Solve L x = b for unit lower triangular L by forward substitution."""
    rows: list[Array] = []
    for i in range(lower.shape[0]):
        rows.append(b[i] - sum(lower[i, j] * rows[j] for j in range(i)))
    return jnp.stack(rows)


def semidefinite_factor(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The lower triangular L with L L' = a for a positive semidefinite matrix, singular or not (inside loops).

    A direction without variance leaves a zero column, and derivatives stay finite there. Rows are scaled to unit
    variance first, so that states of very different sizes are judged alike.
    """
    size = safe_sqrt(jnp.sum(jnp.where(jnp.eye(a.shape[0], dtype=bool), a, 0.0), axis=1))
    unit = jnp.where(size > 0, 1.0 / jnp.where(size > 0, size, 1.0), 0.0)
    lower, pivots = unit_ldl(a * unit[:, None] * unit[None])
    return size[:, None] * lower * safe_sqrt(pivots)[None]


def solve_lower_right(b: Float[Array, "p n"], lower: Float[Array, "n n"]) -> Float[Array, "p n"]:
    """Solve X lower = b for X; a zero column of `lower` gives a zero column of X."""
    columns: list[Array] = []
    size = lower.shape[0]
    for j in reversed(range(size)):
        rest = b[:, j] - sum(column * lower[size - 1 - k, j] for k, column in enumerate(columns))
        pivot = lower[j, j]
        columns.append(jnp.where(pivot > 0, rest / jnp.where(pivot > 0, pivot, 1.0), 0.0))
    return jnp.stack(columns[::-1], axis=1)


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The square root, 0 with a zero derivative at zero; NaN below."""
    return jnp.where(x == 0, 0.0, jnp.sqrt(jnp.where(x == 0, 1.0, x)))


def psd_factor(a: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """A factor B with B B' = a for a positive semidefinite matrix, singular or not (outside loops)."""
    values, vectors = jnp.linalg.eigh(symmetrise(a))
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))[..., None, :]


def mask_matrix(a: Float[Array, "p p"], mask: Bool[Array, " p"]) -> Float[Array, "p p"]:
    """The matrix with the rows and columns of absent elements replaced by those of the identity."""
    keep = mask[:, None] & mask[None]
    return jnp.where(keep, a, jnp.eye(a.shape[0], dtype=a.dtype))


def reflect(vector: Float[Array, " d"], position: Array) -> tuple[Float[Array, " d"], Float[Array, ""]]:
    """The Householder vector that turns `vector` onto the axis at `position`.

    Returns:
        The vector u and the weight 2 / u'u, so that I - weight u u' is the reflection. Both are safe to
        differentiate at a zero vector, where the weight is 0.
    """
    axis = jnp.arange(vector.shape[0]) == position
    square = jnp.sum(vector**2)
    positive = square > 0
    length = jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
    pivot = jnp.sum(jnp.where(axis, vector, 0.0))
    u = vector + jnp.where(axis, jnp.where(pivot >= 0, length, -length), 0.0)
    norm = jnp.sum(u**2)
    return u, jnp.where(positive, 2.0 / jnp.where(positive, norm, 1.0), 0.0)


def banded_shift(x: Float[Array, "n *m"], first: Float[Array, "*m"]) -> Float[Array, "n *m"]:
    """The rows of x moved down by one, with a new first row."""
    return lax.concatenate([first[None], x[:-1]], 0)
