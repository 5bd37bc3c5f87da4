"""The linear model in its modes: blocks along the diagonal, stored real, with a complex view."""

from itertools import pairwise
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from .arrays import counted
from .continuous import ContinuousSSM
from .discrete import DiscreteSSM


class Modes(NamedTuple):
    """A diagonal system in complex modes z = W x with a unitary W.

        z' = eigenvalues z + inputs u,      y = outputs z + D u

    A pair takes two neighbouring modes, conjugate to each other, the one with the positive frequency first.

    Attributes:
        eigenvalues: Of all modes.
        inputs: W B.
        outputs: C W^H.
        unitary: W.
    """

    eigenvalues: Complex[Array, " state"]
    inputs: Complex[Array, "state inputs"]
    outputs: Complex[Array, "series state"]
    unitary: Complex[Array, "state state"]


class Modal(eqx.Module):
    """A linear model whose transition matrix has blocks along the diagonal, in discrete or continuous time.

    A block of one row is a real mode; a block [[a, b], [-b, a]] with b > 0 is the pair a +- ib of complex modes; any
    other block holds modes whose eigenvectors are too nearly parallel to be told apart. All other matrices, the noise
    and the law of the first state are those of `system`, in the same real coordinates: the noise couples modes.

    Attributes:
        system: The model in modal coordinates, a `DiscreteSSM` or `ContinuousSSM`.
        sizes: Rows of each block.
        pairs: Which blocks are a pair of complex modes.

    Example:
        >>> Modal(DiscreteSSM([[0.5]], [[1.0]]), (1,), (False,)).eigenvalues.tolist()
        [(0.5+0j)]
    """

    system: DiscreteSSM | ContinuousSSM
    sizes: tuple[int, ...] = eqx.field(static=True)
    pairs: tuple[bool, ...] = eqx.field(static=True)

    def __check_init__(self):
        fits = all(size == 2 for size, pair in zip(self.sizes, self.pairs, strict=True) if pair)
        if sum(self.sizes) != self.system.A.shape[-1] or self.system.A.ndim != 2 or not fits:
            raise ValueError(
                f"blocks of {self.sizes} rows, of which {self.pairs} are pairs, are not those of a matrix "
                f"{self.system.A.shape}"
            )

    @property
    def firsts(self) -> Int[np.ndarray, " pairs"]:
        """First rows of the pairs."""
        return np.cumsum([0, *self.sizes[:-1]])[np.asarray(self.pairs, bool)].astype(int)

    @property
    def is_diagonal(self) -> bool:
        """Whether there are only real modes and pairs of complex ones."""
        return all(pair or size == 1 for size, pair in zip(self.sizes, self.pairs, strict=True))

    @property
    def eigenvalues(self) -> Complex[Array, " state"]:
        """All eigenvalues, block by block."""
        if self.is_diagonal:
            return self.modes.eigenvalues
        starts, A = np.concatenate([[0], np.cumsum(self.sizes)]), self.system.A
        return jnp.concatenate([jnp.linalg.eigvals(A[i:j, i:j]) for i, j in pairwise(starts)])

    @property
    def modes(self) -> Modes:
        """The complex view.

        Raises:
            ValueError: If a block holds more than a mode or a pair.
        """
        if not self.is_diagonal:
            raise ValueError(
                f"blocks of {self.sizes} rows have no diagonal view: their eigenvectors are nearly parallel"
            )
        firsts = self.firsts
        A, W = self.system.A, pair_modes(len(self.system.A), firsts)
        turn = 1j * A[firsts, firsts + 1]
        eigenvalues = (jnp.diagonal(A) + 0j).at[firsts].add(turn).at[firsts + 1].add(-turn)
        return Modes(eigenvalues, W @ self.system.B, self.system.C @ W.conj().T, W)

    def __repr__(self) -> str:
        real = [size for size, pair in zip(self.sizes, self.pairs, strict=True) if not pair]
        parts = [counted(real.count(1), "real mode"), counted(sum(self.pairs), "pair")]
        parts += [f"a block of {size}" for size in real if size > 1]
        return f"Modal({', '.join(parts)}, {self.system!r})"


def pair_modes(size: int, firsts: np.ndarray) -> Complex[Array, "state state"]:
    """The unitary matrix from real coordinates to complex modes, for pairs that begin at these rows."""
    W = np.eye(size, dtype=complex)
    for i in firsts:
        W[i : i + 2, i : i + 2] = np.array([[1, -1j], [1, 1j]]) / np.sqrt(2)
    return jnp.asarray(W)


def real_blocks(values: Complex[Array, " state"], firsts: np.ndarray) -> Float[Array, "state state"]:
    """The real matrix of which these are the modes: the inverse of the complex view."""
    turn = values.imag[firsts]
    return jnp.diag(values.real).at[firsts, firsts + 1].set(turn).at[firsts + 1, firsts].set(-turn)
