"""The entries of a kernel one by one, on the host: exact where a power of A would overflow or is never needed."""

import numpy as np
from jaxtyping import Float


def markov(
    A: Float[np.ndarray, "state state"],
    B: Float[np.ndarray, "state inputs"],
    C: Float[np.ndarray, "series state"],
    count: int,
) -> Float[np.ndarray, "count series inputs"]:
    """The Markov parameters C A^k B, k = 0, ..., count - 1, by products with vectors.

    Args:
        A: A.
        B: B.
        C: C.
        count: How many.

    Example:
        >>> markov(np.array([[0.5]]), np.ones((1, 1)), np.ones((1, 1)), 3).ravel().tolist()
        [1.0, 0.5, 0.25]
    """
    found = np.zeros((count, len(C), B.shape[1]))
    for k in range(count):
        found[k], B = C @ B, A @ B
    return found
