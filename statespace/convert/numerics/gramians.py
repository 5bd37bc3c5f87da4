"""Gramians of a stable model by their factors, so that small Hankel singular values keep their digits."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

_ROUNDS = 64


def gramian_factor(
    A: Float[np.ndarray, "state state"], B: Float[np.ndarray, "state inputs"]
) -> Float[np.ndarray, "state state"]:
    """An L with L L' = sum over k of A^k B B' (A')^k, for a stable A.

    Each round doubles the number of terms, [L, A L] with A squared, and a QR decomposition keeps it square. The factor
    of a Gramian that is formed first would lose half of the digits of its small singular values.

    Args:
        A: A, with eigenvalues inside the unit circle.
        B: B.

    Raises:
        ValueError: If the sum does not converge.

    Example:
        >>> L = gramian_factor(np.array([[0.5]]), np.array([[3.0]]))
        >>> round(float((L @ L.T).item()), 6)
        12.0

    Reference: Penzl (1999), "A cyclic low-rank Smith method for large sparse Lyapunov equations".
    """
    L, power = _square(B), A
    for _ in range(_ROUNDS):
        added = power @ L
        size = np.linalg.norm(added)
        if not np.isfinite(size):
            break
        L = _square(np.concatenate([L, added], axis=1))
        if size <= 1e-17 * np.linalg.norm(L):
            return L
        power = power @ power
    raise ValueError("the Gramian does not exist: A has an eigenvalue on or outside the unit circle")


def _square(L: np.ndarray) -> np.ndarray:
    """A square factor of L L'."""
    n, columns = L.shape
    if columns <= n:
        return np.concatenate([L, np.zeros((n, n - columns))], axis=1)
    upper: Any = np.linalg.qr(L.T, mode="r")
    return upper.T


def cayley(
    A: Float[np.ndarray, "state state"],
    B: Float[np.ndarray, "state inputs"],
    C: Float[np.ndarray, "series state"],
    D: Float[np.ndarray, "series inputs"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A discrete system, in `previous` timing, with the Gramians, Hankel values and largest gain of a continuous one.

        s = c (z - 1) / (z + 1),      A_d = (c I - A)^-1 (c I + A),      B_d = sqrt(2 c) (c I - A)^-1 B

    Args:
        A: Drift matrix.
        B: Input matrix.
        C: Emission matrix.
        D: Feedthrough.

    Reference: Antoulas (2005), "Approximation of Large-Scale Dynamical Systems", section 4.3.3.
    """
    sizes = np.abs(np.linalg.eigvals(A))
    c = float(np.sqrt(max(sizes.max(initial=0.0), 1e-300) * max(sizes.min(initial=1.0), 1e-300))) if len(A) else 1.0
    c = max(c, 1e-8 * sizes.max(initial=0.0), 1e-300)
    shifted = c * np.eye(len(A)) - A
    root = np.sqrt(2 * c)
    moved = np.linalg.solve(shifted, B)
    out = np.linalg.solve(shifted.T, C.T).T
    return np.linalg.solve(shifted, c * np.eye(len(A)) + A), root * moved, root * out, D + C @ moved


class Balancing(NamedTuple):
    """Projections onto balanced states: W' A V, W' B and C V are balanced, and W' V = I.

    Attributes:
        V: Old states from balanced ones.
        W: Balanced states from old ones, transposed.
        values: Hankel singular values of C A^(i+j) B, of all states.
        later: Those of C A^(i+j+1) B, the kernel without its first entry.
    """

    V: np.ndarray
    W: np.ndarray
    values: np.ndarray
    later: np.ndarray


def balancing(
    A: Float[np.ndarray, "state state"], B: Float[np.ndarray, "state inputs"], C: Float[np.ndarray, "series state"]
) -> Balancing:
    """The square-root method for a discrete system: projections onto balanced states, and Hankel singular values.

    Args:
        A: A, stable.
        B: B.
        C: C.

    Returns:
        A `Balancing`, with columns for as many states as have a value above rounding.

    Reference: Tombs and Postlethwaite (1987), "Truncated balanced realization of a stable non-minimal state-space
    system".
    """
    reach, see = gramian_factor(A, B), gramian_factor(A.T, C.T)
    left, values, right = np.linalg.svd(see.T @ reach)
    count = int(np.sum(values > len(A) * np.finfo(float).eps * values.max(initial=0.0)))
    root = 1 / np.sqrt(values[:count])
    later = np.linalg.svd(see.T @ A @ reach, compute_uv=False)
    return Balancing(reach @ right[:count].T * root, see @ left[:, :count] * root, values, later)
