"""What is taken for a PRNG key."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def as_key(key: Any) -> Any:
    """One PRNG key, as JAX's functions take it.

    Args:
        key: A key, one in the old form of raw numbers (uint32), or a whole number that makes one.

    Raises:
        TypeError: If it is neither.

    Example:
        >>> as_key(0) == jax.random.key(0)
        Array(True, dtype=bool)
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return jax.random.key(key)
    if isinstance(key, jax.Array | np.ndarray):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0:
            return key
        if key.dtype == np.uint32 and key.shape == jax.eval_shape(jax.random.PRNGKey, 0).shape:
            return jax.random.wrap_key_data(jnp.asarray(key))
    got = f"an array of {key.dtype} and shape {key.shape}" if isinstance(key, jax.Array | np.ndarray) else repr(key)
    raise TypeError(f"a PRNG key is jax.random.key(0) or a whole number, got {got}")
