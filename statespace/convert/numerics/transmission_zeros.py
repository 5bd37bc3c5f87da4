"""Zeros of a system in state space, by orthogonal deflation and the QZ algorithm: no polynomial is ever formed.

The zeros are the finite eigenvalues of the pencil

        [A  B]     [I  0]
        [C  D] - z [0  0]

It is first reduced, by orthogonal matrices, to one whose D is square and regular: its infinite eigenvalues, which QZ
would find as large finite ones, and its singular part are gone then.

Reference: Emami-Naeini and van Dooren (1982), "Computation of zeros of linear multivariable systems", Automatica 18.
"""

import numpy as np

_EPS = np.finfo(float).eps


def transmission_zeros(A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray) -> np.ndarray:
    """The finite z at which [[A - z, B], [C, D]] loses rank, of any number of inputs and outputs.

    Args:
        A: (state, state).
        B: (state, inputs).
        C: (outputs, state).
        D: (outputs, inputs).

    Example:
        >>> transmission_zeros(np.array([[0.5]]), np.array([[1.0]]), np.array([[1.0]]), np.array([[2.0]])).real.tolist()
        [0.0]
    """
    from scipy.linalg import eig  # slow to import

    A, B, C, D = (np.array(x, float) for x in (A, B, C, D))
    A, B, C = _balanced(A, B, C)
    tolerance = 10 * max(A.shape[0], 1) * _EPS * np.linalg.norm(np.block([[A, B], [C, D]]))
    A, B, C, D = _full_row_rank(A, B, C, D, tolerance)
    A, C, B, D = (x.T for x in _full_row_rank(A.T, C.T, B.T, D.T, tolerance))
    n, m = B.shape
    if n == 0:
        return np.zeros(0, complex)
    # the rows [C D] are regular: where they vanish the rest of the pencil is square and has no zero at infinity
    rotation = np.linalg.qr(np.block([C, D]).T, mode="complete")[0] if m else np.eye(n)
    null = rotation[:, len(C) :] if m else rotation
    values = eig(np.block([A, B]) @ null, null[:n], right=False)
    return values[np.isfinite(values)].astype(complex)


def _balanced(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States scaled by powers of two so that rows and columns are of one size: zeros stay exactly the same."""
    from scipy.linalg import matrix_balance

    _, (scale, _) = matrix_balance(A, permute=False, separate=True)
    return A / scale[:, None] * scale[None], B / scale[:, None], C * scale[None]


def _full_row_rank(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The system with the same zeros whose D has full row rank: outputs without input make states constant."""
    while len(C):
        left, values, _ = np.linalg.svd(D) if D.shape[1] else (np.eye(len(C)), np.zeros(0), None)
        rank = int(np.sum(values > tolerance))
        C, D = left.T @ C, left.T @ D
        if rank == len(C):
            break
        upper, lower = C[:rank], C[rank:]  # the lower outputs have no direct input
        D = D[:rank]
        _, values, right = np.linalg.svd(lower)
        seen = int(np.sum(values > tolerance))
        if seen == 0:
            C = upper
            break
        # the states that they see stay zero along a zero direction; the equations of those states are outputs now
        turn = np.concatenate([right[seen:], right[:seen]]).T
        A, B = turn.T @ A @ turn, turn.T @ B
        keep = len(A) - seen
        C = np.concatenate([(upper @ turn)[:, :keep], A[keep:, :keep]])
        D = np.concatenate([D, B[keep:]])
        A, B = A[:keep, :keep], B[:keep]
    return A, B, C, D
