"""Singular vectors of block Hankel matrices: whole for small ones, the leading ones by products for large ones."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

DENSE = 1500  # rows or columns up to which the whole singular value decomposition is taken


class Singular(NamedTuple):
    """Singular vectors and values, H = left diag(values) right, all of them or the leading ones.

    Attributes:
        left: Left vectors as columns.
        values: Singular values, the largest first.
        right: Right vectors as rows.
        rest: Root of the sum of the squares of the values that are not among them.
    """

    left: np.ndarray
    values: np.ndarray
    right: np.ndarray
    rest: float

    def states(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """What the leading states show, (C, C A, ...) below each other, and what reaches them, (B, A B, ...)."""
        root = np.sqrt(self.values[:count])
        return self.left[:, :count] * root, root[:, None] * self.right[:count]


def shift_of(seen: Float[np.ndarray, "rows state"], series: int) -> Float[np.ndarray, "state state"]:
    """The transition A of which the rows are C, C A, C A^2, ..., with as many rows each as there are series."""
    return np.linalg.lstsq(seen[:-series], seen[series:], rcond=None)[0]


def hankel_matrix(blocks: Any, rows: int) -> Any:
    """The matrix with the block blocks[i + j] at (i, j).

    Args:
        blocks: The blocks, (blocks, series, columns), of NumPy or of JAX.
        rows: Block rows.

    Returns:
        The matrix, (rows series, block columns columns).
    """
    count, p, d = blocks.shape
    many = count - rows + 1
    index = np.arange(rows)[:, None] + np.arange(many)[None]
    return blocks[index].transpose(0, 2, 1, 3).reshape(rows * p, many * d)


def leading_singular(
    blocks: Float[np.ndarray, "blocks series columns"],
    rows: int,
    order: int | None,
    *,
    dense: int = DENSE,
    seed: int = 0,
) -> Singular:
    """The singular value decomposition of the Hankel matrix with entry (i, j) = blocks[i + j].

    Args:
        blocks: The blocks.
        rows: Block rows.
        order: How many values are needed; all when left out.
        dense: Rows and columns up to which the matrix is formed.
        seed: Of the random directions.

    Raises:
        ValueError: If the matrix is too large to be formed and no order is given.

    Reference: Halko, Martinsson and Tropp (2011), "Finding structure with randomness", algorithms 4.4 and 5.1.
    """
    count, p, d = blocks.shape
    shape = rows * p, (count - rows + 1) * d
    if min(shape) <= dense:
        return Singular(*np.linalg.svd(hankel_matrix(blocks, rows), full_matrices=False), 0.0)
    if order is None:
        raise ValueError(f"the Hankel matrix has the shape {shape}: say how many states are wanted with order=")
    return _randomised(blocks, rows, min(order + 20, *shape), seed)


def _randomised(blocks: np.ndarray, rows: int, count: int, seed: int) -> Singular:
    """The leading values by four rounds of products with the matrix and its transpose."""
    product = _Products(blocks, rows)
    basis = np.random.default_rng(seed).normal(size=(product.columns * blocks.shape[2], count))
    for _ in range(4):
        basis = np.linalg.qr(product.forward(basis))[0]
        basis = np.linalg.qr(product.backward(basis))[0]
    left = np.linalg.qr(product.forward(basis))[0]
    inner, values, right = np.linalg.svd(product.backward(left).T, full_matrices=False)
    rest = max(product.squares - float(np.sum(values**2)), 0.0)
    return Singular(left @ inner, values, right, float(np.sqrt(rest)))


class _Products:
    """Products with a block Hankel matrix, by fast Fourier transforms."""

    def __init__(self, blocks: np.ndarray, rows: int):
        self.rows, self.columns = rows, len(blocks) - rows + 1
        self.size = len(blocks) + max(rows, self.columns)
        self.transform = np.fft.rfft(blocks, self.size, axis=0)
        times = np.minimum(
            np.minimum(np.arange(1, len(blocks) + 1), len(blocks) - np.arange(len(blocks))), min(rows, self.columns)
        )
        self.squares = float(np.sum(times[:, None, None] * blocks**2))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """H x: sum over j of blocks[i + j] x[j], a correlation."""
        return self._correlated("fpd,fdr->fpr", x, self.columns, self.rows)

    def backward(self, y: np.ndarray) -> np.ndarray:
        """H' y: sum over i of blocks[i + j]' y[i]."""
        return self._correlated("fpd,fpr->fdr", y, self.rows, self.columns)

    def _correlated(self, sums: str, x: np.ndarray, steps: int, found: int) -> np.ndarray:
        turned = np.fft.rfft(x.reshape(steps, -1, x.shape[1])[::-1], self.size, axis=0)
        whole = np.fft.irfft(np.einsum(sums, self.transform, turned, optimize=True), self.size, axis=0)
        return whole[steps - 1 : steps - 1 + found].reshape(-1, x.shape[1])
