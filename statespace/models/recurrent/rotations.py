"""Orthogonal and antisymmetric matrices from free numbers."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


def antisymmetric_matrix(values: Float[Array, " pairs"], size: int) -> Float[Array, "n n"]:
    """The antisymmetric matrix whose elements below the diagonal are given, row by row.

    Args:
        values: size (size - 1) / 2 numbers.
        size: Number of rows.

    Example:
        >>> antisymmetric_matrix(jnp.array([3.0]), 2).tolist()
        [[0.0, -3.0], [3.0, 0.0]]
    """
    below = jnp.zeros((size, size), values.dtype).at[np.tril_indices(size, -1)].set(values)
    return below - below.T


def cayley(values: Float[Array, " pairs"], signs: Float[Array, " n"]) -> Float[Array, "n n"]:
    """The orthogonal matrix (I + A)^-1 (I - A) D with A antisymmetric and D = diag(signs).

    Without D there is none with an eigenvalue of exactly -1; with a suitable D there is every orthogonal matrix.

    Args:
        values: The elements of A below the diagonal.
        signs: 1 or -1 each.

    Reference: Helfrich, Willmott and Ye (2018), "Orthogonal recurrent neural networks with scaled Cayley transform".

    Example:
        >>> q = cayley(jnp.array([0.5, -1.0, 2.0]), jnp.array([1.0, 1.0, -1.0]))
        >>> bool(jnp.allclose(q @ q.T, jnp.eye(3), atol=1e-6))
        True
    """
    a = antisymmetric_matrix(values, signs.shape[0])
    unit = jnp.eye(signs.shape[0], dtype=values.dtype)
    return jnp.linalg.solve(unit + a, unit - a) * signs


def cayley_angles(angles: Float[Array, " pairs"], size: int) -> Float[Array, " elements"]:
    """The elements of the A whose Cayley transform turns consecutive pairs of coordinates by given angles below pi.

    Args:
        angles: One for each of the size // 2 pairs.
        size: Number of rows of A.
    """
    below = jnp.zeros((size, size), angles.dtype)
    first = np.arange(0, size - 1, 2)
    return below.at[first + 1, first].set(-jnp.tan(angles / 2))[np.tril_indices(size, -1)]


def householder(vectors: Float[Array, "reflections n"]) -> Float[Array, "n n"]:
    """The product H[0] H[1] ... of reflections H = I - 2 v v' / v'v: orthogonal, and any such matrix with n of them.

    Args:
        vectors: The v, none of which is zero.

    Reference: Mhammedi, Hellicar, Rahman and Bailey (2017), "Efficient orthogonal parametrisation of recurrent neural
    networks using Householder reflections", eq. 5, with unrestricted vectors.

    Example:
        >>> householder(jnp.array([[1.0, 0.0]])).tolist()
        [[-1.0, 0.0], [0.0, 1.0]]
    """
    unit = jnp.eye(vectors.shape[1], dtype=vectors.dtype)

    def reflect(matrix: Array, v: Array) -> tuple[Array, None]:
        return matrix - (2 / jnp.sum(v**2)) * v[:, None] * (v @ matrix), None

    return lax.scan(reflect, unit, vectors, reverse=True)[0]
