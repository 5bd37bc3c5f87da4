"""The symmetric square root of a positive semidefinite matrix, with derivatives where eigenvalues repeat.

The derivative of an eigendecomposition does not exist where eigenvalues are equal, that of the root does: from B B = A,

    B dB + dB B = dA

Reference: Higham (2008), "Functions of Matrices", section 6.1.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_jvp
def symmetric_sqrt(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The positive semidefinite B with B B = a.

    Args:
        a: Symmetric positive semidefinite matrix, singular or not; it may have any derivatives where it is regular.

    Example:
        >>> symmetric_sqrt(jnp.diag(jnp.array([4.0, 9.0]))).round(6).tolist()
        [[2.0, 0.0], [0.0, 3.0]]
    """
    values, vectors = jnp.linalg.eigh(a)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0.0))) @ vectors.T


@symmetric_sqrt.defjvp
def _(primals: Any, tangents: Any) -> Any:
    root = symmetric_sqrt(*primals)
    return root, solve_sylvester(root, *tangents)


def solve_sylvester(b: Float[Array, "n n"], x: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The Y with b Y + Y b = x for a symmetric positive semidefinite b; zero in directions in which b is zero."""

    def solve(_: Any, right: Array) -> Array:
        values, vectors = jnp.linalg.eigh(b)
        sums = values[:, None] + values[None]
        regular = sums > 0
        inside = jnp.where(regular, (vectors.T @ right @ vectors) / jnp.where(regular, sums, 1.0), 0.0)
        return vectors @ inside @ vectors.T

    # JAX differentiates the equation and not the solver, whose eigenvectors have no derivative
    return jax.lax.custom_linear_solve(lambda y: b @ y + y @ b, x, solve, symmetric=True)
