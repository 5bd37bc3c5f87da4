"""What forms share: arrays of one floating type, zero where left out, and checks of their shapes."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array


def as_matrix(value: Any, rows: int, columns: int, what: str) -> Array:
    """A floating-point matrix (rows, columns), zero when left out; a leading time axis may come before.

    Raises:
        ValueError: If the shape is another.
    """
    if value is None:
        return jnp.zeros((rows, columns))
    array = floating(value)
    if array.ndim not in (2, 3) or array.shape[-2:] != (rows, columns):
        raise ValueError(
            f"{what} has shape {array.shape}, expected {(rows, columns)}, or that with a leading time axis"
        )
    return array


def as_vector(value: Any, size: int, what: str) -> Array:
    """A floating-point vector, zero when left out.

    Raises:
        ValueError: If the shape is another.
    """
    if value is None:
        return jnp.zeros(size)
    array = floating(value)
    if array.shape != (size,):
        raise ValueError(f"{what} has shape {array.shape}, expected {(size,)}")
    return array


def floating(value: Any) -> Array:
    """An array of the type that JAX computes with: whole numbers become floating-point ones."""
    array = jnp.asarray(value)
    inexact = jnp.issubdtype(array.dtype, jnp.inexact)
    return array if inexact else array.astype(jnp.result_type(float))


def names_of(given: Any, size: int, letter: str) -> tuple[str, ...]:
    """The given names, or x0, x1, ...

    Raises:
        ValueError: If there are more or fewer of them than there are elements.
    """
    names = tuple(f"{letter}{i}" for i in range(size)) if given is None else tuple(given)
    if len(names) != size:
        raise ValueError(f"got {len(names)} names {names}, expected {size}")
    return names
