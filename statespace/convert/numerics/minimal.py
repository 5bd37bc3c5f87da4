"""The part of a system that inputs reach and outputs see, by orthogonal staircases.

Each stair is the range of what the stair before reaches, found by a singular value decomposition: nothing is
multiplied with powers of A, and every rank is a decision on singular values that were not squared.

Reference: Rosenbrock (1970), "State-space and Multivariable Theory"; van Dooren (1981), "The generalized eigenstructure
problem in linear system theory", IEEE Transactions on Automatic Control 26.
"""

from typing import NamedTuple

import numpy as np


class Minimal(NamedTuple):
    """A minimal system, and how clear it was where to stop.

    Attributes:
        A: Transition matrix.
        B: Input matrix.
        C: Output matrix.
        basis: Orthonormal columns that span the kept states, (state, kept).
        dropped: Largest singular value that was taken for zero, as a share of the size of the system.
        kept: Smallest singular value that was not, as a share of the size of the system.
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    basis: np.ndarray
    dropped: float
    kept: float


def minimal(A: np.ndarray, B: np.ndarray, C: np.ndarray, tolerance: float) -> Minimal:
    """The minimal part of C (z - A)^-1 B.

    Args:
        A: (state, state).
        B: (state, inputs).
        C: (outputs, state).
        tolerance: Share of the size of the system below which a singular value is taken for zero.
    """
    reached, low, high = reachable_basis(A, B, tolerance)
    A, B, C = reached.T @ A @ reached, reached.T @ B, C @ reached
    seen, low_seen, high_seen = reachable_basis(A.T, C.T, tolerance)
    A, B, C = seen.T @ A @ seen, seen.T @ B, C @ seen
    return Minimal(A, B, C, reached @ seen, max(low, low_seen), min(high, high_seen))


def reachable_basis(A: np.ndarray, B: np.ndarray, tolerance: float) -> tuple[np.ndarray, float, float]:
    """An orthonormal basis of the states that inputs reach, and the shares of Minimal.

    A is scaled to the size of 1 before, and B by itself, so that neither hides the other.
    """
    n = len(A)
    size = max(np.linalg.norm(A, 2) if n else 0.0, np.finfo(float).tiny)
    dropped, kept = 0.0, 1.0
    basis, rest = np.zeros((n, 0)), np.eye(n)
    stair = B / max(np.linalg.norm(B, 2) if B.size else 0.0, np.finfo(float).tiny)
    while rest.shape[1]:
        left, values, _ = np.linalg.svd(rest.T @ stair)
        rank = int(np.sum(values > tolerance))
        dropped = max([dropped, *values[rank:]])
        if rank == 0:
            break
        kept = min(kept, float(values[rank - 1]))
        new = rest @ left[:, :rank]
        basis, rest = np.concatenate([basis, new], axis=1), rest @ left[:, rank:]
        stair = A @ new / size
    return basis, float(dropped), kept
