"""Values that are given once for all, or one for each."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...core.parameters import as_value, is_traced


def as_value_of(value: Any, shape: tuple[int, ...], name: str) -> Any:
    """A value in the given shape, one number for all; None stays None.

    Args:
        value: A number, or an array of that shape, perhaps behind batch axes.
        shape: The shape.
        name: What to call it.

    Raises:
        ValueError: If it has another shape.
    """
    value = as_value(value)
    if value is None or value.shape[-len(shape) or value.ndim :] == shape:
        return value
    if value.ndim == 0 or value.shape == (1,):
        return jnp.broadcast_to(value.reshape(()), shape)
    raise ValueError(f"{name} has shape {value.shape}, expected a number or {shape}")


def check_not_negative(name: str, value: Any, *, zero: bool = True) -> None:
    """Raise a ValueError unless a value is unknown, or numbers above 0, or 0 where that is allowed.

    Args:
        name: What to call it.
        value: The value.
        zero: Whether 0 is allowed.
    """
    if value is None or is_traced(value) or not isinstance(value, jax.Array | np.ndarray | str):
        return
    numbers = not isinstance(value, str)
    if not numbers or not np.all(np.asarray(value) >= 0) or not (zero or np.all(np.asarray(value) > 0)):
        raise ValueError(f"{name} is {value}, expected {'numbers not below 0' if zero else 'a number above 0'}")
