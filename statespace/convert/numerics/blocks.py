"""Block matrices that may have a leading time axis."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.parameters import is_traced


def block(rows: list[list[Array]]) -> Array:
    """A block matrix, with a leading time axis where a block has one."""
    lead = jnp.broadcast_shapes(*(x.shape[:-2] for row in rows for x in row))
    full = [[jnp.broadcast_to(x, lead + x.shape[-2:]) for x in row] for row in rows]
    return jnp.concatenate([jnp.concatenate(row, axis=-1) for row in full], axis=-2)


def transposed(x: Array) -> Array:
    """The transpose of a matrix, or of each of them."""
    return jnp.swapaxes(x, -1, -2)


def later(x: Array, *, back: bool = False) -> Array:
    """What belongs to steps by the stamp at which they begin, from what is by the stamp at which they end; or `back`.

    The entry that no step uses, the last or the first, repeats its neighbour.
    """
    if x.ndim in (0, 2):
        return x
    return jnp.concatenate([x[:1], x[:-1]]) if back else jnp.concatenate([x[1:], x[-1:]])


def is_zero(x: Any) -> bool:
    """Whether an array is known to be zero; one that is being traced is not."""
    return not is_traced(x) and not np.any(np.asarray(x))
