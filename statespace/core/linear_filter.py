"""The outputs of a constant linear system without its states: blocks of stamps side by side, as matrix products.

        x[k+1] = a x[k] + b u[k] + drift,      y[k] = c x[k]

Within a block the outputs are a triangular matrix of kernel entries times the block's inputs, plus what the state at
its start adds; only the states at the starts of blocks are recurred on. A series of T stamps takes T / block steps.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .kernels import krylov
from .recurrence import linear_recurrence


class Driven(NamedTuple):
    """What a linear system makes of a series.

    Attributes:
        outputs: y[0], ..., y[T-1].
        last: x[T], the state after them.
    """

    outputs: Float[Array, "time outputs"]
    last: Float[Array, " state"]


def linear_filter(
    a: Float[Array, "state state"],
    b: Float[Array, "state inputs"],
    c: Float[Array, "outputs state"],
    u: Float[Array, "time inputs"],
    x0: Float[Array, " state"],
    *,
    drift: Float[Array, " state"] | None = None,
    block: int = 64,
) -> Driven:
    """The outputs of x[k+1] = a x[k] + b u[k] + drift, y[k] = c x[k], and the state after the last input.

    Args:
        a: Transition matrix.
        b: Input matrix.
        c: Output matrix.
        u: Inputs.
        x0: The state before the first input.
        drift: What is added at every stamp; nothing when left out.
        block: Stamps in a block.

    Example:
        >>> half, one = jnp.array([[0.5]]), jnp.ones((1, 1))
        >>> linear_filter(half, one, one, jnp.ones((3, 1)), jnp.zeros(1)).outputs[:, 0].tolist()
        [0.0, 1.0, 1.5]
    """
    length = len(u)
    size = min(block, length)
    whole = length - length % size if size else 0
    outputs, state = _in_blocks(a, b, c, u[:whole], x0, drift, size)
    if whole == length:
        return Driven(outputs, state)
    rest, last = _in_blocks(a, b, c, u[whole:], state, drift, length - whole)
    return Driven(jnp.concatenate([outputs, rest]), last)


def _in_blocks(
    a: Array, b: Array, c: Array, u: Array, x0: Array, drift: Array | None, size: int
) -> tuple[Array, Array]:
    """The same for a whole number of blocks."""
    if size == 0:
        return jnp.zeros((0, c.shape[0]), a.dtype), x0
    eye, blocks = jnp.eye(len(a), dtype=a.dtype), u.reshape(len(u) // size, size, u.shape[1])
    seen = krylov(a, eye, c, size)  # c a^j
    reached = krylov(a, b, eye, size)  # a^j b
    ends = jnp.einsum("jim,kjm->ki", reached[::-1], blocks)
    outputs = jnp.einsum("tjpm,kjm->ktp", _triangle(seen @ b), blocks)
    if drift is not None:
        sums = jnp.cumsum(krylov(a, drift[:, None], eye, size)[..., 0], axis=0)  # after 1, 2, ... stamps
        ends = ends + sums[-1]
        outputs = outputs.at[:, 1:].add(sums[:-1] @ c.T)
    power = jnp.linalg.matrix_power(a, size)
    states = linear_recurrence(power, ends, x0, "sequential", matrix=True)
    starts = jnp.concatenate([x0[None], states[:-1]])
    outputs = outputs + jnp.einsum("tpi,ki->ktp", seen, starts)
    return outputs.reshape(len(u), c.shape[0]), states[-1]


def _triangle(kernel: Float[Array, "size outputs inputs"]) -> Float[Array, "size size outputs inputs"]:
    """The matrix with kernel[t - 1 - j] at (t, j): what the input at j adds to the output at t > j."""
    size = len(kernel)
    lag = jnp.arange(size)[:, None] - jnp.arange(size)[None] - 1
    return jnp.where((lag >= 0)[..., None, None], kernel[lag], 0.0)
