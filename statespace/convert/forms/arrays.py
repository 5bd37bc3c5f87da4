"""What forms share: arrays of one floating type, zero where left out, and checks of their shapes."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.parameters import is_traced


def as_matrix(value: Any, rows: int, columns: int, what: str, dtype: Any = None) -> Array:
    """A floating-point matrix (rows, columns), zero when left out; a leading time axis may come before.

    Raises:
        ValueError: If the shape is another.
    """
    if value is None:
        return jnp.zeros((rows, columns), dtype)
    array = floating(value, dtype)
    if array.ndim not in (2, 3) or array.shape[-2:] != (rows, columns):
        raise ValueError(
            f"{what} has shape {array.shape}, expected {(rows, columns)}, or that with a leading time axis"
        )
    return array


def as_vector(value: Any, size: int, what: str, dtype: Any = None) -> Array:
    """A floating-point vector, zero when left out.

    Raises:
        ValueError: If the shape is another.
    """
    if value is None:
        return jnp.zeros(size, dtype)
    array = floating(value, dtype)
    if array.shape != (size,):
        raise ValueError(f"{what} has shape {array.shape}, expected {(size,)}")
    return array


def floating(value: Any, dtype: Any = None) -> Array:
    """A real array of the type that JAX computes with, or of the given one.

    Raises:
        TypeError: If the numbers are complex: forms are stored in real coordinates.
    """
    array = jnp.asarray(value)
    if jnp.iscomplexobj(array):
        raise TypeError(
            "a form is stored in real coordinates, got complex numbers: give the pair of real states of each "
            "conjugate pair, [[re, im], [-im, re]]"
        )
    inexact = jnp.issubdtype(array.dtype, jnp.inexact)
    return array.astype(dtype or (array.dtype if inexact else jnp.result_type(float)))


def common_type(*values: Any) -> Any:
    """The one floating type that arrays have in common; those left out have none."""
    return jnp.result_type(*(floating(value) for value in values if value is not None))


def names_of(given: Any, size: int, letter: str) -> tuple[str, ...]:
    """The given names, or x0, x1, ...

    Raises:
        ValueError: If there are more or fewer of them than there are elements.
    """
    names = tuple(f"{letter}{i}" for i in range(size)) if given is None else tuple(given)
    if len(names) != size:
        raise ValueError(f"got {len(names)} names {names}, expected {size}")
    return names


def counted(number: int, what: str) -> str:
    """A number with its noun: 1 input, 2 inputs; series are series."""
    return f"{number} {what}" if number == 1 or what == "series" else f"{number} {what}s"


def on_host(value: Any, what: str = "this conversion") -> np.ndarray:
    """An array as numbers in double precision.

    Raises:
        TypeError: If JAX is tracing it.
    """
    if is_traced(value):
        raise TypeError(f"{what} looks at numbers, which JAX is tracing: call it outside jit, grad and vmap")
    return np.asarray(value, float)
