"""Values that are given once for all, or one for each."""

from typing import Any

import jax.numpy as jnp

from ...core.parameters import as_value


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
