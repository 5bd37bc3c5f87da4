"""Models from kernels: the Hankel matrix, and the states that its singular vectors span."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.discrete import DiscreteSSM, fields_of
from ..forms.hankel import Hankel
from ..forms.kernel import ImpulseResponse
from ..numerics.drivers import noise_columns
from ..numerics.hankel_products import Singular, leading_singular, shift_of
from ..numerics.markov import markov
from ..numerics.truncation import size_beyond
from ..registry import arrow
from .similarity import moved_law

_WHOLE = 1 << 14  # rows or columns up to which it is too where the values that are left out are needed for the bound


@arrow(ImpulseResponse, Hankel)
def kernel_to_hankel(response: ImpulseResponse, *, rows: int | None = None) -> Conversion:
    """The Hankel matrix of a kernel.

    Args:
        response: The kernel, of two taps or more.
        rows: Block rows; half of the blocks when left out.

    Raises:
        ValueError: If there are too few taps.
    """
    return Conversion(Hankel(response, max(2, response.taps // 2) if rows is None else rows))


@arrow(Hankel, ImpulseResponse)
def hankel_to_kernel(form: Hankel) -> Conversion:
    """The kernel that a Hankel matrix arranges."""
    return Conversion(form.response)


@arrow(Hankel, DiscreteSSM, cost=3.0)
def hankel_to_discrete(
    form: Hankel, *, order: int | None = None, tolerance: float | None = None, seed: int = 0
) -> Conversion:
    """The smallest model with a kernel, or a smaller one near to it (Ho and Kalman; Kung).

    With H = U s V' the states are those in which the first order columns of U sqrt(s) are C, C A, C A^2, ... Inputs,
    noises and the first state share them.

    Args:
        form: The Hankel matrix.
        order: Number of states; the numerical rank when left out.
        tolerance: Instead of an order: singular values up to this times the largest are left out.
        seed: Of the random directions by which a large matrix (above 1500 rows and columns) is looked at.

    Returns:
        The model in the timing that the law of the first state has: `current` where it is that of x[0] given the first
        stamp's inputs, else `previous`. `error_bound` is the error of the kernels of inputs and noises at the given
        taps, as measured, in `kernel_l2`; where it is known how much of the kernel is beyond them, that and what the
        model has there are in it too (infinite for a model that is not stable). A note states the floor that no model
        of this order can go below.

    Raises:
        ValueError: If order and tolerance are both given or out of range.

    Reference: Ho and Kalman (1966), "Effective construction of linear state-variable models from input/output
    functions"; Kung (1978), "A new identification and model reduction algorithm via singular value decomposition".
    """
    blocks, (p, d) = on_host(form.blocks), form.blocks.shape[1:]
    most = min((form.rows - 1) * p, form.columns * d)
    if most == 0 or (order is not None and not 0 <= order <= most):
        raise ValueError(
            f"a Hankel matrix of {form.rows} x {form.columns} blocks {p} x {d} tells at most {most} states, got "
            f"order={order}: take more taps, or two block rows at least"
        )
    found = leading_singular(blocks, form.rows, order, seed=seed)
    count = min(_order(found, order, tolerance), most)
    seen, reached = found.states(count)
    condition = float(np.linalg.cond(seen[:-p])) if count else 1.0
    model, error = _model(form.response, shift_of(seen, p), reached[:, :d], seen)
    notes = _floor(found, count)
    if error <= 1e-11 * np.linalg.norm(blocks):
        return Conversion(model, condition=condition, notes=notes)
    bound, note = _whole_error(form.response, model, error)
    return Conversion(
        model, exact=False, error_bound=bound, norm="kernel_l2", condition=condition, notes=(*note, *notes)
    )


@arrow(ImpulseResponse, DiscreteSSM, cost=3.0)
def kernel_to_discrete(
    response: ImpulseResponse,
    *,
    method: Literal["era", "kung", "shift"] = "era",
    order: int | None = None,
    tolerance: float | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> Conversion:
    """A model with a kernel, in one of three senses.

    - `"era"`: the taps are the beginning of a kernel that goes on; see `hankel_to_discrete`.
    - `"kung"`: the kernel is zero beyond its taps. The model is the balanced truncation of the shift register that has
      it: stable, with twice the sum of the singular values left out as a bound in `hinf`.
    - `"shift"`: that shift register, exactly: as many states as taps and inputs.

    Args:
        response: The kernel.
        method: In which sense.
        order: Number of states, for `"era"` and `"kung"`.
        tolerance: Instead of an order, relative to the largest singular value.
        rows: Block rows of the Hankel matrix, for `"era"`.
        seed: Of the random directions that look at a large matrix, for `"era"`.

    Returns:
        The model; its timing as in `hankel_to_discrete`.

    Raises:
        ValueError: If the method is unknown or an option is not one of it.

    Example:
        >>> import statespace as ss
        >>> taps = ImpulseResponse(jnp.array([0.0, 1.0, 0.5, 0.25]).reshape(4, 1, 1))
        >>> round(ss.convert(taps, ss.DiscreteSSM).value.A.item(), 6)
        0.5
    """
    if method == "era":
        found = kernel_to_hankel(response, rows=rows)
        return found.then(hankel_to_discrete(found.value, order=order, tolerance=tolerance, seed=seed))
    if (
        method not in ("kung", "shift")
        or rows is not None
        or (method == "shift" and (order, tolerance) != (None, None))
    ):
        raise ValueError(
            'method is "era", "kung" or "shift"; rows= is of "era", order= and tolerance= not of "shift": got '
            f"{method!r}"
        )
    if method == "shift":
        return _register(response)
    form = Hankel(_padded(response), response.taps)
    found = leading_singular(on_host(form.blocks), form.rows, order, dense=_WHOLE, seed=seed)
    count, p = _order(found, order, tolerance), response.kernel.shape[1]
    seen, reached = found.states(count)
    later = np.concatenate([seen[p:], np.zeros((p, count))])
    A = (found.left[:, :count] / np.sqrt(found.values[:count])).T @ later
    model, _ = _model(form.response, A, reached[:, : form.blocks.shape[2]], seen)
    bound = 2 * float(np.sum(found.values[count:]))
    notes = _cut(response)
    if bound <= 2 * len(found.values) ** 2 * np.finfo(float).eps * found.values.max(initial=0.0):
        return Conversion(model, notes=notes)
    notes = (*notes, *_floor(found, count))
    return Conversion(model, exact=False, error_bound=bound, norm="hinf", notes=notes)


def _order(found: Singular, order: int | None, tolerance: float | None) -> int:
    """How many states: as asked for, or as many as have singular values above a part of the largest."""
    if order is not None and tolerance is not None:
        raise ValueError("give order= or tolerance=, not both")
    if tolerance is not None and not 0 < tolerance < 1:
        raise ValueError(f"tolerance is a part of the largest singular value, between 0 and 1, got {tolerance}")
    if order is not None:
        if order < 0:
            raise ValueError(f"order is 0 or more, got {order}")
        return min(order, int(np.sum(found.values > 0)))
    part = 4 * len(found.values) * np.finfo(float).eps if tolerance is None else tolerance
    return int(np.sum(found.values > part * found.values.max(initial=0.0)))


def _floor(found: Singular, count: int) -> tuple[str, ...]:
    left = found.values[count:]
    if len(left) == 0 or left[0] <= 1e-14 * found.values[0]:
        return ()
    return (
        f"no model with {count} states has a Hankel matrix nearer than {left[0]:.6g} in the largest singular value",
    )


def _cut(response: ImpulseResponse) -> tuple[str, ...]:
    if not float(response.tail) > 0:
        return ()
    return (f"the kernel was taken as zero beyond its taps; what it has there has the norm {float(response.tail):.3g}",)


def _whole_error(response: ImpulseResponse, model: DiscreteSSM, error: float) -> tuple[float, tuple[str, ...]]:
    """A bound on the error of the kernels, beyond the taps too where something is known of them there."""
    taps, tail = response.taps, float(response.tail)
    at_taps = f"the error at the {taps} given taps is {error:.3g}"
    if not tail > 0:
        return error, (f"{at_taps}; beyond them none is known",)
    G, _ = noise_columns(model.Q, model.R, model.S)
    entered = jnp.concatenate([model.A @ model.B if model.lead else model.B, G], axis=1)
    beyond = float(size_beyond(model.A, entered, model.C, taps - (model.timing == "previous")))
    return float(np.hypot(error, tail + beyond)), (
        f"{at_taps}; beyond them the kernel has a norm of {tail:.3g}, the model one of {beyond:.3g}",
    )


def _model(
    response: ImpulseResponse, A: np.ndarray, drivers: np.ndarray, seen: np.ndarray
) -> tuple[DiscreteSSM, float]:
    """The model with these states, and the error of its kernels of inputs and noises at the taps.

    Args:
        response: The kernel that it is to have, with the law of the first state.
        A: The transition.
        drivers: What inputs, noises and the first state's columns add to the next state.
        seen: C, C A, C A^2, ... below each other.
    """
    m, k, p = response.kernel.shape[2], response.noise.shape[2], response.kernel.shape[1]
    C, rows = seen[:p], len(seen) // p
    begun = on_host(response.start)[:rows].reshape(rows * p, -1)
    X = np.linalg.lstsq(seen, begun, rcond=None)[0]
    known = X @ on_host(response.known)
    B, G, D, F = drivers[:, :m], drivers[:, m : m + k], on_host(response.kernel)[0], on_host(response.noise)[0]
    at_once = [bool(np.any(on_host(response.known)[:, columns])) for columns in (slice(m), slice(m, None))]
    if at_once[0] or at_once[1]:
        B, D = known[:, :m], D - C @ known[:, :m]
    if at_once[1]:
        G, F = known[:, m:], F - C @ known[:, m:]
    mean, cov, diffuse = moved_law(response, jnp.asarray(X))
    model = DiscreteSSM(
        A,
        B,
        C,
        D,
        G @ G.T,
        F @ F.T,
        G @ F.T,
        mean=mean,
        cov=cov,
        diffuse=diffuse,
        timing="current" if at_once[1] else "previous",
        start="at",
        lead=int(at_once[0] and not at_once[1]),
        dt=response.dt,
        input_names=response.input_names,
        series_names=response.series_names,
    )
    entered = np.concatenate([A @ B if any(at_once) else B, A @ G if at_once[1] else G], axis=1)
    theirs = np.concatenate([on_host(response.kernel), on_host(response.noise)], axis=2)[1:]
    return model, float(np.linalg.norm(markov(A, entered, C, len(theirs)) - theirs))


def _register(response: ImpulseResponse) -> Conversion:
    """Past inputs, noises and the first state wait in a row, and move up a place at each stamp."""
    if np.any(on_host(response.known)):
        raise ValueError(
            "the law of the first state is given with the inputs of its stamp, which a shift register has no place "
            'for: take method="kung", whose default order is exact'
        )
    parts = [response.kernel[1:], response.noise[1:], response.start]
    width = sum(part.shape[2] for part in parts)
    blocks = np.concatenate([on_host(part if len(part) == response.taps else _longer(part)) for part in parts], axis=2)
    n, m, k = response.taps * width, response.kernel.shape[2], response.noise.shape[2]
    A, enter = np.eye(n, k=-width), np.eye(n, width)
    G, F = enter[:, m : m + k], on_host(response.noise)[0]
    law = jnp.asarray(enter[:, m + k :])
    model = DiscreteSSM(
        A,
        enter[:, :m],
        blocks.transpose(1, 0, 2).reshape(-1, n),
        response.kernel[0],
        G @ G.T,
        F @ F.T,
        G @ F.T,
        mean=law @ response.mean,
        cov=law @ response.cov @ law.T,
        diffuse=[False] * (m + k) + list(response.diffuse) + [False] * (n - width),
        timing="previous",
        dt=response.dt,
        input_names=response.input_names,
        series_names=response.series_names,
    )
    return Conversion(model, notes=_cut(response))


def _longer(part: Array) -> Array:
    """One more tap, of zero."""
    return jnp.pad(part, ((0, 1), (0, 0), (0, 0)))


def _padded(response: ImpulseResponse) -> ImpulseResponse:
    """The kernel with zeros behind, as many as make every row of its Hankel matrix complete."""
    more = ((0, response.taps), (0, 0), (0, 0))
    longer = {name: jnp.pad(getattr(response, name), more) for name in ("kernel", "noise", "start")}
    return ImpulseResponse(**{**fields_of(response), **longer})
