"""Matrices that make a linear system remember its input: the coefficients of its past in orthogonal functions (HiPPO).

        dx/dt = A x + B u,      A = V (diag(eigenvalues) - P P^H) V^H

A is a normal matrix minus one of low rank. The normal part is skew-symmetric but for a multiple of the identity, so
that its eigenvectors V are unitary and come from a Hermitian problem; those of A itself are useless beyond a dozen
states, their condition number grows exponentially. All is computed on the host, in double precision.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Complex, Float

Measure = Literal["legs", "legt", "fout"]


class NormalPlusLowRank(NamedTuple):
    """A real system x' = A x + B u in the eigenvectors of its normal part, A = V (diag(eigenvalues) - P P^H) V^H.

    Attributes:
        eigenvalues: Of the normal part, (state,); sorted by frequency, conjugate pairs are mirror images of each other.
        low_rank: P, (state, rank): V^H times the real factor.
        inputs: V^H B, (state,).
        vectors: V, unitary, (state, state).
    """

    eigenvalues: Complex[np.ndarray, " state"]
    low_rank: Complex[np.ndarray, "state rank"]
    inputs: Complex[np.ndarray, " state"]
    vectors: Complex[np.ndarray, "state state"]

    def halved(self) -> "NormalPlusLowRank":
        """The modes of one of each conjugate pair, those above zero frequency: x = 2 Re(V z) for a real state.

        Raises:
            ValueError: If the number of states is odd, so that one mode has no partner.
        """
        size = len(self.eigenvalues)
        if size % 2:
            raise ValueError(f"{size} states do not make conjugate pairs: take an even number")
        top = slice(size // 2, None)
        return NormalPlusLowRank(self.eigenvalues[top], self.low_rank[top], self.inputs[top], self.vectors[:, top])


def hippo(
    measure: Measure, size: int, window: float = 1.0
) -> tuple[Float[np.ndarray, "state state"], Float[np.ndarray, " state"]]:
    """The matrix A and the vector B of a memory.

    - `"legs"`: orthonormal Legendre polynomials of the whole past, weighted exp(-age) (the time-invariant form):
      A[n, k] = -sqrt((2n+1)(2k+1)) below the diagonal, -(n+1) on it, B[n] = sqrt(2n+1).
    - `"legt"`: orthonormal Legendre polynomials of the last `window`:
      A[n, k] = -sqrt((2n+1)(2k+1)) (1 on and below the diagonal, else (-1)^(n-k)) / window, B[n] = sqrt(2n+1) / window.
    - `"fout"`: sines and cosines of the last `window`, b = (1, 0, sqrt 2, 0, sqrt 2, ...):
      A = (rotations by 2 pi m - 2 b b') / window, B = 2 b / window. The second state is idle.

    Args:
        measure: Which of them.
        size: Number of states.
        window: How far back `"legt"` and `"fout"` remember, in units of time; `"legs"` remembers all.

    Returns:
        A and B.

    Raises:
        ValueError: If the measure is none of these, the size is below 1, the window is not positive, or it is given
            to a memory that has none.

    Example:
        >>> hippo("legs", 2)[0].round(3).tolist()
        [[-1.0, 0.0], [-1.732, -2.0]]

    Reference: Gu et al. (2023), "How to train your HiPPO"; Voelker, Kajic and Eliasmith (2019), "Legendre memory
    units".
    """
    if measure not in _PARTS:
        raise ValueError(f"measure is one of {', '.join(map(repr, _PARTS))}, got {measure!r}")
    if size < 1 or not window > 0:
        raise ValueError(f"a memory has one state or more and a positive window, got {size} states, window {window}")
    if measure == "legs" and window != 1.0:
        raise ValueError('"legs" remembers the whole past: leave window= out')
    normal, factor, inputs = _PARTS[measure](size)
    whole = normal - factor @ factor.T
    return (np.tril(whole) if measure == "legs" else whole) / window, inputs / window  # rounding above the diagonal


def normal_plus_low_rank(measure: Measure, size: int, window: float = 1.0) -> NormalPlusLowRank:
    """The same memory in the eigenvectors of its normal part; the rank is 1, and 2 for `"legt"`.

    Args:
        measure: As for `hippo`.
        size: Number of states.
        window: As for `hippo`.

    Returns:
        A `NormalPlusLowRank`, exact to rounding for any number of states.

    Example:
        >>> found = normal_plus_low_rank("legs", 64)
        >>> found.eigenvalues.real.round(12).tolist() == [-0.5] * 64
        True
    """
    hippo(measure, size, window)
    normal, factor, inputs = _PARTS[measure](size)
    shift = normal[0, 0]
    vectors, frequencies = _fourier_modes(size) if measure == "fout" else _skew_modes(normal - shift * np.eye(size))
    back = vectors.conj().T
    eigenvalues = (shift + 1j * frequencies) / window
    return NormalPlusLowRank(eigenvalues, back @ factor / np.sqrt(window), back @ inputs / window, vectors)


def legt_decoder(size: int, ages: Float[np.ndarray, " ages"]) -> Float[np.ndarray, "ages state"]:
    """Weights that read the input of a given age from the state of `"legt"`.

    Args:
        size: Number of states.
        ages: Ages in windows: 0 for the present, 1 for the end of the window.

    Returns:
        A row of weights for each age.

    Raises:
        ValueError: If an age is outside the window.

    Example:
        >>> legt_decoder(1, np.array([0.5])).tolist()
        [[1.0]]
    """
    ages = np.asarray(ages, float)
    if np.any((ages < 0) | (ages > 1)):
        raise ValueError(f"ages are between 0 (now) and 1 (the end of the window), got {ages}")
    return np.polynomial.legendre.legvander(1 - 2 * ages, size - 1) * np.sqrt(2 * np.arange(size) + 1)


def _legs(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal part, factor of what is taken from it, and B."""
    order = np.arange(size)
    root = np.sqrt(2 * order + 1)
    skew = np.tril(np.outer(root, root), -1) / 2
    return skew.T - skew - np.eye(size) / 2, root[:, None] / np.sqrt(2), root


def _legt(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.arange(size)
    root = np.sqrt(2 * order + 1)
    odd = (order[:, None] - order[None]) % 2
    # below the diagonal -1 and above it -(-1)^(n-k): where n-k is even that is symmetric, the rest is skew
    skew = np.tril(np.outer(root, root) * odd, -1)
    return skew.T - skew, root[:, None] * (np.arange(2) == order[:, None] % 2), root


def _fout(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if size % 2:
        raise ValueError(f'"fout" has cosines and sines: an even number of states, got {size}')
    order = np.arange(size)
    cosines = np.where(order % 2 == 0, np.sqrt(2), 0.0)
    cosines[0] = 1.0
    speed = 2 * np.pi * (order // 2)
    skew = np.diag(np.where(order % 2 == 0, speed, 0.0)[:-1], -1)
    return skew - skew.T, np.sqrt(2) * cosines[:, None], 2 * cosines


_PARTS = {"legs": _legs, "legt": _legt, "fout": _fout}


def _skew_modes(skew: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unitary eigenvectors of a real skew-symmetric matrix, and frequencies in order."""
    frequencies, vectors = np.linalg.eigh(-1j * skew)
    # rounding breaks the mirror: the upper half is the one kept, the lower its conjugate
    half = len(skew) // 2
    if half:
        vectors[:, :half] = vectors[:, : -half - 1 : -1].conj()
        frequencies[:half] = -frequencies[: -half - 1 : -1]
    if len(skew) % 2:
        frequencies[half] = 0.0
    return vectors, frequencies


def _fourier_modes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for pairs of a cosine and a sine, where zero is a double eigenvalue."""
    speeds = 2 * np.pi * np.arange(size // 2)
    vectors = np.zeros((size, size), complex)
    for m in range(size // 2):
        above, below = size // 2 + m, size // 2 - 1 - m
        vectors[2 * m : 2 * m + 2, above] = np.array([1.0, -1j]) / np.sqrt(2)
        vectors[:, below] = vectors[:, above].conj()
    return vectors, np.concatenate([-speeds[::-1], speeds])
