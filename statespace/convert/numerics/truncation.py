"""What a kernel holds beyond its first taps: exactly in the root of the sum of squares, bounded in the sum."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core.certificates import radius_on_host
from ...core.kernels import matrix_power
from ...core.linalg import symmetrise
from ...core.parameters import is_traced
from ...core.riccati import lyapunov
from .gramians import gramian_factor

_ON_CIRCLE = 1 - 1e-12  # a radius from which on no sum of powers is told from an infinite one


class Tail(NamedTuple):
    """The size of a kernel C A^k B, k = 0, 1, ...

    Attributes:
        l2: Root of the sum of the squares of all its entries, exact.
        l1: A bound on the sum over k of the Frobenius norms.
    """

    l2: float
    l1: float


def kernel_tail(
    a: Float[np.ndarray, "state state"], b: Float[np.ndarray, "state inputs"], c: Float[np.ndarray, "series state"]
) -> Tail:
    """The size of the kernel C A^k B, k = 0, 1, ...

    With the Gramian P = A P A' + B B' the squares sum to trace(C P C'). The sum itself is bounded, for every g between
    the spectral radius and one, by that of the kernel C (A/g)^k B: by Schwarz's inequality it is at most the root of
    sum of g^(2k) times the root of the sum of the squares of g^-k C A^k B. Eight values of g are tried.

    Args:
        a: A.
        b: B; for the tail of a kernel from tap L on, A^L B.
        c: C.

    Returns:
        A `Tail`, infinite where A is not stable.

    Example:
        >>> tail = kernel_tail(np.array([[0.5]]), np.ones((1, 1)), np.ones((1, 1)))
        >>> round(tail.l2, 6), round(tail.l1, 2)
        (1.154701, 2.0)
    """
    radius = radius_on_host(a)
    if radius >= _ON_CIRCLE:
        return Tail(np.inf, np.inf)

    def size(decay: float) -> float:
        return float(np.linalg.norm(c @ gramian_factor(a / decay, b)))

    decays = radius + (1 - radius) * np.linspace(0.1, 0.9, 8)
    return Tail(size(1.0), min(size(g) / float(np.sqrt(1 - g**2)) for g in decays))


def size_beyond(
    a: Float[Array, "state state"], b: Float[Array, "state inputs"], c: Float[Array, "series state"], taps: int
) -> Array | float:
    """The root of the sum over k >= taps of the squares of all elements of C A^k B; infinite if A is not stable.

    While JAX traces the matrices the Gramian is formed, which halves the digits of a small rest, and has derivatives.

    Args:
        a: A.
        b: B.
        c: C.
        taps: Number of entries that are left out of the sum.

    Example:
        >>> round(float(size_beyond(jnp.array([[0.5]]), jnp.ones((1, 1)), jnp.ones((1, 1)), 2)), 6)
        0.288675
    """
    if any(is_traced(x) for x in (a, b, c)):
        return _size_beyond(a, b, c, taps)
    A, B, C = (np.asarray(x, float) for x in (a, b, c))
    if radius_on_host(A) >= _ON_CIRCLE:
        return math.inf
    return float(np.linalg.norm(C @ np.linalg.matrix_power(A, taps) @ gramian_factor(A, B)))


def _size_beyond(a: Array, b: Array, c: Array, taps: int) -> Array:
    gramian = symmetrise(lyapunov(a, b @ b.T))
    seen = c @ matrix_power(a, taps)
    return jnp.sqrt(jnp.maximum(jnp.einsum("ij,jk,ik->", seen, gramian, seen), 0.0))


def taps_for(
    a: Float[np.ndarray, "state state"],
    b: Float[np.ndarray, "state inputs"],
    c: Float[np.ndarray, "series state"],
    tolerance: float,
    most: int = 1 << 22,
) -> int:
    """The smallest number of taps beyond which the root of the sum of squares is at most the tolerance.

    Args:
        a: A.
        b: B.
        c: C.
        tolerance: How much may be left out, above zero.
        most: The largest number of taps that is worth it.

    Raises:
        ValueError: If the tolerance is not positive, or no number of taps up to `most` suffices.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance is positive, got {tolerance}")
    stable = radius_on_host(a) < _ON_CIRCLE
    factor = gramian_factor(a, b) if stable else b

    def beyond(length: int) -> float:
        return float(np.linalg.norm(c @ np.linalg.matrix_power(a, length) @ factor))

    if not stable or beyond(most) > tolerance:
        raise ValueError(f"the kernel does not fall below {tolerance} within {most} taps: give length=")
    low, high = -1, 1
    while beyond(high) > tolerance:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if beyond(middle) <= tolerance else (middle, high)
    return high
