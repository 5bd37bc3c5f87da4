"""Kernels of models: of inputs, noises and the first state, by the algorithm that suits the form."""

from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.dplr import dplr_kernel
from ...core.kernels import krylov, vandermonde
from ...core.parameters import is_traced
from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.discrete import DiscreteSSM
from ..forms.dplr import DPLR, low_rank_of
from ..forms.kernel import ImpulseResponse
from ..forms.modal import Modal
from ..numerics.drivers import noise_columns
from ..numerics.truncation import kernel_tail, taps_for
from ..registry import arrow
from .dplr import discrete_to_dplr
from .modal import discrete_to_modal
from .systems import system_of

Method = Literal["krylov", "vandermonde", "cauchy"]


@arrow(DiscreteSSM, ImpulseResponse)
def discrete_to_kernel(
    ssm: DiscreteSSM, *, length: int | None = None, tolerance: float | None = None, method: Method = "krylov"
) -> Conversion:
    """The kernel of a discrete model, with those of its noises and of its first state.

    Args:
        ssm: The model, constant in time.
        length: Number of taps.
        tolerance: Instead of a length: how much may be left out, as the root of the sum of the squares.
        method: `"krylov"` (doubling, for any matrix), `"vandermonde"` (powers of the eigenvalues; refused where they
            cannot be told apart) or `"cauchy"` (sums at the roots of unity, for a diagonal plus low rank).

    Returns:
        The kernel, exact at its taps. As a model for ever it forgets what is beyond them: `error_bound` is that,
        exactly, for inputs and noises together, in `kernel_l2`; a note bounds the sum of absolute values.

    Raises:
        ValueError: If the model varies in time, both or neither of length and tolerance are given, or the method does
            not serve.

    Example:
        >>> import statespace as ss
        >>> taps = ss.convert(ss.DiscreteSSM([[0.5]], [[1.0]], [[2.0]]), ImpulseResponse, length=3)
        >>> taps.value.kernel.ravel().tolist(), round(float(taps.error_bound), 6)
        ([2.0, 1.0, 0.5], 0.288675)
    """
    if method not in ("krylov", "vandermonde", "cauchy"):
        raise ValueError(f'method is "krylov", "vandermonde" or "cauchy", got {method!r}')
    _check(ssm)
    if method == "vandermonde":
        found = discrete_to_modal(ssm)
        return found.then(modal_to_kernel(found.value, length=length, tolerance=tolerance))
    if method == "cauchy":
        found = discrete_to_dplr(ssm)
        return found.then(dplr_to_kernel(found.value, length=length, tolerance=tolerance))
    taps = _taps(ssm, length, tolerance)
    return _response(ssm, krylov(ssm.A, jnp.eye(len(ssm.A), dtype=ssm.A.dtype), ssm.C, taps))


@arrow(Modal, ImpulseResponse)
def modal_to_kernel(form: Modal, *, length: int | None = None, tolerance: float | None = None) -> Conversion:
    """The kernel of modes in discrete time, by powers of the eigenvalues.

    Args:
        form: The modes.
        length: Number of taps.
        tolerance: Instead of a length, as for a discrete model.

    Raises:
        TypeError: If the modes are in continuous time.
        ValueError: If they are in blocks that have no diagonal view, or both or neither of length and tolerance are
            given.
    """
    ssm = system_of(form, DiscreteSSM)
    modes, taps = form.modes, _taps(ssm, length, tolerance)
    weights = jnp.einsum("pi,in->ipn", modes.outputs, modes.unitary)
    return _response(ssm, vandermonde(modes.eigenvalues, weights, taps).real)


@arrow(DPLR, ImpulseResponse)
def dplr_to_kernel(form: DPLR, *, length: int | None = None, tolerance: float | None = None) -> Conversion:
    """The kernel of a diagonal plus low rank in discrete time, by Cauchy sums at the roots of unity.

    Args:
        form: The form.
        length: Number of taps.
        tolerance: Instead of a length, as for a discrete model.

    Raises:
        TypeError: If the form is in continuous time.
        ValueError: If both or neither of length and tolerance are given.
    """
    ssm = system_of(form, DiscreteSSM)
    modes, (p, q), taps = form.modes, low_rank_of(form), _taps(ssm, length, tolerance)
    return _response(ssm, dplr_kernel(modes.eigenvalues, p, q, modes.unitary, modes.outputs, taps).real)


def _check(ssm: DiscreteSSM) -> None:
    if not ssm.is_constant:
        raise ValueError("a model that varies with time has no kernel: its effects depend on the stamp")


def _taps(ssm: DiscreteSSM, length: int | None, tolerance: float | None) -> int:
    if (length is None) == (tolerance is None):
        raise ValueError(f"give length=, a number of taps, or tolerance=, got {length!r} and {tolerance!r}")
    if length is not None and length < 1:
        raise ValueError(f"length is 1 or more, got {length}")
    if tolerance is None:
        assert length is not None
        return length
    G, _ = noise_columns(ssm.Q, ssm.R, ssm.S)
    after = ssm.timing == "previous"  # noises act a stamp later there, with lead or without
    drivers = on_host(jnp.concatenate([ssm.B, G], axis=1), "tolerance=")
    return max(1, taps_for(on_host(ssm.A), drivers, on_host(ssm.C), tolerance) + after)


def _response(ssm: DiscreteSSM, rows: Array) -> Conversion:
    """The kernels from the rows C A^k, k = 0, ..., taps - 1.

    An input that drives the state of its own stamp has the kernel D + C B, C A B, ...; one that drives the next has D,
    C B, .... The first state acts through C A^k, or C A^(k+1) if it is the state before the first stamp.
    """
    taps, n = len(rows), len(ssm.A)
    G, F = noise_columns(ssm.Q, ssm.R, ssm.S)
    previous = ssm.timing == "previous"
    known = jnp.zeros((n, ssm.B.shape[1] + G.shape[1]), ssm.A.dtype)
    if ssm.start == "at" and not previous:
        known = jnp.concatenate([ssm.B, G], axis=1)
    elif ssm.lead:
        known = known.at[:, : ssm.B.shape[1]].set(ssm.B)
    kernel = _after(rows, ssm.B, ssm.D, late=previous and not ssm.lead)
    noise = _after(rows, G, F, late=previous)
    start = rows if ssm.start == "at" else rows @ ssm.A
    tail, notes = _tail(ssm, G, taps)
    value = ImpulseResponse(
        kernel,
        noise,
        start,
        mean=ssm.mean,
        cov=ssm.cov,
        known=known,
        tail=tail,
        diffuse=ssm.diffuse,
        dt=ssm.dt if ssm.dt is None or ssm.dt.ndim == 0 else None,
        state_names=ssm.state_names,
        input_names=ssm.input_names,
        series_names=ssm.series_names,
    )
    if np.isfinite(tail) and tail <= np.finfo(float).eps * float(jnp.linalg.norm(kernel) + jnp.linalg.norm(noise)):
        return Conversion(value, notes=notes)
    return Conversion(value, exact=False, error_bound=tail, norm="kernel_l2", notes=notes)


def _after(rows: Array, entry: Array, direct: Array, *, late: bool) -> Array:
    """The kernel of what enters the state by `entry` and the series by `direct`."""
    moved = rows @ entry
    if late:
        return jnp.concatenate([direct[None], moved[:-1]])
    return moved.at[0].add(direct)


def _tail(ssm: DiscreteSSM, G: Array, taps: int) -> tuple[Any, tuple[str, ...]]:
    """What is beyond the taps, of inputs and noises together, and a note on that of inputs; not told while traced."""
    if any(is_traced(x) for x in (ssm.A, ssm.B, ssm.C, G)):
        return jnp.inf, ("what is beyond the taps is not told while JAX traces the model",)
    A, B, C, late = on_host(ssm.A), on_host(ssm.B), on_host(ssm.C), ssm.timing == "previous"
    powers = np.linalg.matrix_power(A, taps - late)
    inputs = powers @ (A @ B if ssm.lead else B)
    both = kernel_tail(A, np.concatenate([inputs, powers @ on_host(G)], axis=1), C)
    alone = kernel_tail(A, inputs, C)
    return both.l2, (
        f"exact at the first {taps} stamps; beyond them the inputs' kernel has a root of the sum of squares of "
        f"{alone.l2:.3g} and a sum of absolute values of at most {alone.l1:.3g}",
    )
