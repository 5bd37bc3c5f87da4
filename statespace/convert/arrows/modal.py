"""Modes: the transition matrix in blocks along the diagonal, as small as the condition of the basis allows."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import scipy.linalg

from ...core import diagonal
from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM, Timing
from ..forms.modal import Modal, real_blocks
from ..registry import arrow
from .discretise import at_stamps
from .similarity import in_basis
from .systems import system_of

_Rule = Literal["zoh", "s4_bilinear"]
_lapack: Any = scipy.linalg.lapack


@arrow(DiscreteSSM, Modal, cost=2.0)
def discrete_to_modal(ssm: DiscreteSSM, *, limit: float = 1e8) -> Conversion:
    """The modes of a discrete model.

    A real Schur form is made block diagonal by Sylvester equations. Modes whose eigenvectors are so nearly parallel
    that separating them would take the condition number of the basis above the limit stay together in a block: two
    equal eigenvalues of a trend, or all states of a memory in a dense basis, for which `DPLR` is the better form.

    Args:
        ssm: The model, constant in time.
        limit: The largest condition number of the basis.

    Returns:
        The modes; `condition` is the condition number of the basis, that of the eigenvectors where no block is left.

    Raises:
        ValueError: If the model varies in time, or the limit is below 1.

    Reference: Bavely and Stewart (1979), "An algorithm for computing reducing subspaces by block diagonalization".
    """
    if not ssm.is_constant:
        raise ValueError("a model that varies with time has no modes")
    return _modal(ssm, limit)


@arrow(ContinuousSSM, Modal, cost=2.0)
def continuous_to_modal(model: ContinuousSSM, *, limit: float = 1e8) -> Conversion:
    """The modes of a continuous model.

    Args:
        model: The model.
        limit: The largest condition number of the basis.

    Returns:
        As for a discrete model.

    Raises:
        ValueError: If the limit is below 1.
    """
    return _modal(model, limit)


@arrow(Modal, Modal, chained=False)
def discretise_modes(form: Modal, *, dt: float, rule: _Rule = "zoh", timing: Timing = "current") -> Conversion:
    """Modes in continuous time at stamps, mode by mode: no matrix exponential.

    Args:
        form: Modes in continuous time.
        dt: Time between stamps.
        rule: `"zoh"` or `"s4_bilinear"`.
        timing: Whether the input of a step is that of the stamp where it ends (`"current"`) or begins (`"previous"`).

    Returns:
        The modes in discrete time; exact with `zoh` for inputs that are constant over each step.

    Raises:
        ValueError: If the rule is another, or eigenvectors are too nearly parallel for a diagonal view.
        TypeError: If the modes are in discrete time already.
    """
    model = system_of(form, ContinuousSSM)
    if rule not in ("zoh", "s4_bilinear"):
        raise ValueError(f'modes are discretised by "zoh" or "s4_bilinear", got {rule!r}')
    modes, W = form.modes, form.modes.unitary
    factor, gain = diagonal.RULES[rule](modes.eigenvalues, dt)
    noise = W @ model.Q @ W.conj().T
    if rule == "zoh":
        noise = diagonal.diffused(modes.eigenvalues, noise, dt)
    else:  # dt (I - dt/2 A)^-1 Q (I - dt/2 A)^-H, as gain is dt (1 - dt/2 lambda)^-1
        noise = gain[:, None] * noise * gain.conj() / dt
    drive = (W.conj().T @ (gain[:, None] * modes.inputs)).real
    made = at_stamps(model, real_blocks(factor, form.firsts), drive, (W.conj().T @ noise @ W).real, dt, rule, timing)
    return dataclasses.replace(made, value=Modal(made.value, form.sizes, form.pairs))


def _modal(model: Any, limit: float) -> Conversion:
    if not limit >= 1:
        raise ValueError(f"limit= is a condition number, 1 or more, got {limit}")
    basis, A, sizes, pairs = blocks_of(on_host(model.A), limit)
    inverse = np.linalg.inv(basis)
    moved = in_basis(model, jnp.asarray(inverse), jnp.asarray(basis), jnp.asarray(A))
    kept = [size for size, pair in zip(sizes, pairs, strict=True) if size > 1 and not pair]
    notes = (f"blocks of {kept} rows: separating their modes takes a condition above {limit:g}",) if kept else ()
    return Conversion(
        Modal(moved.value, sizes, pairs), condition=moved.condition, transform=moved.transform, notes=notes
    )


def blocks_of(A: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray, tuple[int, ...], tuple[bool, ...]]:
    """A basis of condition at most the limit in which a matrix has small blocks along the diagonal.

    Returns:
        The basis, the matrix in it, the sizes of its blocks, and which of them are pairs of complex modes.
    """
    bound = limit
    while True:
        found = _normalised(*_decoupled(A, bound), max(bound, 2.0))
        if np.linalg.cond(found[0]) <= limit or bound < 1e-12:
            return found
        bound = bound / 10


def _decoupled(A: np.ndarray, bound: float) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """A Schur form decoupled block by block; one that takes a solution above the bound takes in the nearest mode."""
    S, basis = (np.asarray(x, order="F") for x in scipy.linalg.schur(A, output="real"))
    n, i, sizes = len(A), 0, []
    while i < n:
        j = i + _step(S, i)
        while j < n:
            X = _sylvester(S, i, j)
            if np.linalg.norm(X) <= bound:
                basis[:, j:] += basis[:, i:j] @ X
                S[i:j, j:] = 0.0
                break
            nearest = _nearest(S, i, j)
            S, basis, _ = _lapack.dtrexc(S, basis, nearest + 1, j + 1)
            j += _step(S, j)
        sizes.append(j - i)
        i = j
    return basis, S, sizes


def _step(S: np.ndarray, i: int) -> int:
    """Rows of the block of a quasi-triangular matrix that begins at a row."""
    return 2 if i + 1 < len(S) and S[i + 1, i] != 0 else 1


def _sylvester(S: np.ndarray, i: int, j: int) -> np.ndarray:
    """The X with S11 X - X S22 = -S12; infinite where there is none."""
    found, scale, _ = _lapack.dtrsyl(S[i:j, i:j], S[j:, j:], -S[i:j, j:], isgn=-1)
    return found / scale if scale > 0 else np.full_like(found, np.inf)


def _nearest(S: np.ndarray, i: int, j: int) -> int:
    """The row of the later block whose eigenvalue is nearest to those of the block at hand."""
    centre = np.linalg.eigvals(S[i:j, i:j])
    rows, k = [], j
    while k < len(S):
        rows.append(k)
        k += _step(S, k)
    far = [
        min(abs(np.linalg.eigvals(S[k : k + _step(S, k), k : k + _step(S, k)])[0] - c) for c in centre) for k in rows
    ]
    return rows[int(np.argmin(far))]


def _normalised(basis: np.ndarray, S: np.ndarray, sizes: list[int], bound: float) -> Any:
    """Vectors of unit length, and pairs as rotations [[a, b], [-b, a]], b > 0, if the bound allows it."""
    basis, S, starts = basis.copy(), S.copy(), np.cumsum([0, *sizes])
    pairs = []
    for i, size in zip(starts, sizes, strict=False):
        scale, turn = np.ones(size), 0.0
        if size == 2 and S[i, i + 1] * S[i + 1, i] < 0:
            turn = np.sqrt(-S[i + 1, i] / S[i, i + 1])
        pairs.append(1 / bound <= turn <= bound)
        if pairs[-1]:
            scale[1] = np.sign(S[i, i + 1]) * turn
        length = np.linalg.norm(basis[:, i : i + size] * scale) / np.sqrt(size)
        scale = scale / length
        block = S[i : i + size, i : i + size] * scale / scale[:, None]
        if pairs[-1]:
            a, b = (block[0, 0] + block[1, 1]) / 2, (block[0, 1] - block[1, 0]) / 2
            block = np.array([[a, b], [-b, a]])
        S[i : i + size, i : i + size] = block
        basis[:, i : i + size] *= scale
    return basis, S, tuple(sizes), tuple(bool(pair) for pair in pairs)
