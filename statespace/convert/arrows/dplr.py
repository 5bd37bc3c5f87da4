"""A normal matrix but for a low rank: found in a dense matrix, stepped by Woodbury's identity, and back."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import scipy.linalg

from ...core.dplr import dplr_step
from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM, Timing
from ..forms.dplr import DPLR, dense_of, low_rank_of
from ..registry import arrow
from .discretise import at_stamps
from .similarity import in_basis
from .systems import system_of


@arrow(ContinuousSSM, DPLR, cost=2.0)
def continuous_to_dplr(
    model: ContinuousSSM, *, max_rank: int | None = None, tolerance: float | None = None
) -> Conversion:
    """The diagonal plus low rank of a matrix whose symmetric part is a multiple of the identity but for a low rank.

        A = shift I + skew - left right',      left right' symmetric

    HiPPO matrices are such, with rank 1 or 2. The basis is orthogonal, where that of the eigenvectors of A would have
    a condition number that grows exponentially with the number of states.

    Args:
        model: The model.
        max_rank: The largest rank that is worth it; half of the states when left out.
        tolerance: Eigenvalues of the symmetric part are equal if they differ by less than this times the number of
            states and the largest entry of A; four times the precision of its type when left out.

    Returns:
        The form, exact, of condition 1.

    Raises:
        ValueError: If the rank would be higher.

    Reference: Gu, Goel and Re (2022), "Efficiently modeling long sequences with structured state spaces", theorem 1.
    """
    return _dplr(model, max_rank, tolerance)


@arrow(DiscreteSSM, DPLR, cost=2.0)
def discrete_to_dplr(ssm: DiscreteSSM, *, max_rank: int | None = None, tolerance: float | None = None) -> Conversion:
    """The same for a discrete model, where its matrix happens to be of this form.

    A continuous model is better converted before it is discretised, which keeps the form.

    Args:
        ssm: The model.
        max_rank: The largest rank that is worth it; half of the states when left out.
        tolerance: As for a continuous model.

    Returns:
        The form, exact, of condition 1.

    Raises:
        ValueError: If the rank would be higher, or the model varies in time.
    """
    if not ssm.is_constant:
        raise ValueError("a model that varies with time is no diagonal plus low rank")
    return _dplr(ssm, max_rank, tolerance)


@arrow(DPLR, DPLR, chained=False)
def discretise_dplr(
    form: DPLR, *, dt: float, rule: Literal["s4_bilinear"] = "s4_bilinear", timing: Timing = "current"
) -> Conversion:
    """The form in continuous time at stamps, which is of the same form.

    By Woodbury's identity (I - a M)^-1 of M = N - p q' is D - a D p (I + a q' D p)^-1 q' D with D = (I - a N)^-1 and
    a = dt/2, so that the step -I + 2 (I - a M)^-1 is a normal matrix but for a low rank again.

    Args:
        form: The form in continuous time.
        dt: Time between stamps.
        rule: `"s4_bilinear"`, the only rule that keeps the form.
        timing: Whether the input of a step is that of the stamp where it ends (`"current"`) or begins (`"previous"`).

    Raises:
        ValueError: If the rule is another.
        TypeError: If the form is in discrete time already.
    """
    model = system_of(form, ContinuousSSM)
    if rule != "s4_bilinear":
        raise ValueError(f'the rule that keeps a diagonal plus low rank is "s4_bilinear", got {rule!r}')
    modes, (p, q), half = form.modes, low_rank_of(form), 0.5 * dt
    W = modes.unitary
    shrunk = 1 / (1 - half * modes.eigenvalues)
    inner = jnp.eye(form.rank) + half * (q.conj().T * shrunk) @ p
    left = (W.conj().T @ (2 * half * (shrunk[:, None] * p) @ jnp.linalg.inv(inner))).real
    right = (W.conj().T @ (shrunk.conj()[:, None] * q)).real
    eigenvalues, firsts = 2 * shrunk - 1, np.asarray(form.firsts, int)

    def solved(x: Any) -> Any:  # (I - a M)^-1 x: a step from zero, driven by x / dt
        return (W.conj().T @ dplr_step(modes.eigenvalues, p, q, dt, jnp.zeros_like(W @ x), W @ x / dt)).real

    noise = dt * solved(solved(model.Q).T).T
    A = dense_of(eigenvalues, left, right, firsts)
    made = at_stamps(model, A, dt * solved(model.B), noise, dt, "s4_bilinear", timing)
    return dataclasses.replace(made, value=DPLR(made.value, eigenvalues, left, right, form.firsts))


def _dplr(model: Any, max_rank: int | None, tolerance: float | None) -> Conversion:
    A = on_host(model.A)
    tolerance = 4 * float(jnp.finfo(model.A.dtype).eps) if tolerance is None else tolerance
    n = len(A)
    most = max(1, n // 2) if max_rank is None else max_rank
    values, vectors = np.linalg.eigh((A + A.T) / 2)
    shift = np.median(values)
    low = np.abs(values - shift) > tolerance * n * np.abs(A).max(initial=0.0)
    if low.sum() > most:
        raise ValueError(
            f"the symmetric part of A is a multiple of the identity but for rank {low.sum()}, expected {most} or less: "
            "take Modal, or allow it with max_rank="
        )
    weight = shift - values[low]  # A = shift I + skew - sum of weight v v'
    left = vectors[:, low] * np.sqrt(np.abs(weight))
    right = left * np.sign(weight)
    basis, eigenvalues, firsts = _skew_modes((A - A.T) / 2)
    left, right, eigenvalues = basis.T @ left, basis.T @ right, eigenvalues + shift
    dense = dense_of(eigenvalues, jnp.asarray(left), jnp.asarray(right), firsts)
    moved = in_basis(model, jnp.asarray(basis.T), jnp.asarray(basis), dense)
    kind = model.A.dtype
    value = DPLR(
        moved.value,
        jnp.asarray(eigenvalues).astype(jnp.result_type(kind, jnp.complex64)),
        jnp.asarray(left, kind),
        jnp.asarray(right, kind),
        tuple(int(i) for i in firsts),
    )
    return Conversion(value, transform=moved.transform)


def _skew_modes(skew: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An orthogonal basis in which a skew-symmetric matrix rotates pairs, its eigenvalues, and where pairs begin."""
    found: Any = scipy.linalg.schur(skew, output="real")
    S, basis = found
    above = np.diagonal(S, 1)
    pairs = [i for i in range(len(skew) - 1) if S[i + 1, i] != 0]
    order = sorted(pairs, key=lambda i: abs(above[i]))
    alone = [i for i in range(len(skew)) if i not in pairs and i - 1 not in pairs]
    columns = [*alone, *(k for i in order for k in ((i, i + 1) if above[i] > 0 else (i + 1, i)))]
    speeds = np.abs(above[order])
    eigenvalues = np.concatenate([np.zeros(len(alone)), np.stack([1j * speeds, -1j * speeds], axis=1).ravel()])
    return basis[:, columns], eigenvalues, len(alone) + 2 * np.arange(len(order))
