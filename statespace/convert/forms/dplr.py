"""The linear model whose transition is normal but for a low rank: S4's form, stored real."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .arrays import counted
from .continuous import ContinuousSSM
from .discrete import DiscreteSSM
from .modal import Modes, pair_modes, real_blocks


class DPLR(eqx.Module):
    """A linear model with A = N - left right', N of real modes and pairs [[a, b], [-b, a]], in real coordinates.

    Attributes:
        system: The model in these coordinates, a `DiscreteSSM` or `ContinuousSSM`.
        eigenvalues: Those of N; pairs are neighbours, the one with the positive frequency first.
        left: Left factor of the low rank.
        right: Right factor.
        firsts: First rows of pairs.

    Example:
        >>> import statespace as ss
        >>> from statespace.core.hippo import hippo
        >>> A, B = hippo("legs", 32)
        >>> ss.convert(ss.ContinuousSSM(A, B[:, None]), DPLR).value.rank
        1
    """

    system: DiscreteSSM | ContinuousSSM
    eigenvalues: Complex[Array, " state"]
    left: Float[Array, "state rank"]
    right: Float[Array, "state rank"]
    firsts: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self):
        n = self.system.A.shape[-1]
        if self.system.A.ndim != 2 or self.left.shape != self.right.shape or self.left.shape[0] != n:
            raise ValueError(
                f"factors {self.left.shape} and {self.right.shape} of a low rank do not fit a matrix "
                f"{self.system.A.shape}"
            )

    @property
    def rank(self) -> int:
        """Columns of the low rank."""
        return self.left.shape[1]

    @property
    def normal(self) -> Float[Array, "state state"]:
        """N."""
        return real_blocks(self.eigenvalues, np.asarray(self.firsts, int))

    @property
    def modes(self) -> Modes:
        """The complex view: `eigenvalues` are those of N, inputs and outputs those of its modes."""
        W = pair_modes(len(self.system.A), np.asarray(self.firsts, int))
        return Modes(self.eigenvalues, W @ self.system.B, self.system.C @ W.conj().T, W)

    def __repr__(self) -> str:
        real = len(self.eigenvalues) - 2 * len(self.firsts)
        parts = [f"rank {self.rank}", counted(real, "real mode"), counted(len(self.firsts), "pair")]
        return f"DPLR({', '.join(parts)}, {self.system!r})"


def low_rank_of(form: DPLR) -> tuple[Complex[Array, "state rank"], Complex[Array, "state rank"]]:
    """The factors p and q of A = W^H (diag(eigenvalues) - p q^H) W."""
    W = form.modes.unitary
    return W @ form.left, W @ form.right


def dense_of(eigenvalues: Array, left: Array, right: Array, firsts: np.ndarray) -> Array:
    """The matrix N - left right'."""
    return real_blocks(jnp.asarray(eigenvalues), firsts) - left @ right.T
