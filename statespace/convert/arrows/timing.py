"""The two conventions of timing, and the exact moves between them.

        current:   x[k]   = A x[k-1] + B u[k] + w[k],   y[k] = C x[k] + D u[k] + v[k]
        previous:  s[k+1] = A s[k]   + B u[k] + w[k],   y[k] = C s[k] + D u[k] + v[k]

A matrix is not the same model in the other convention: its kernel would be late or early by one stamp.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.linalg import symmetrise
from ...core.parameters import is_traced
from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.discrete import DiscreteSSM, Start, Timing
from ..numerics.blocks import block, is_zero, later, transposed
from ..registry import arrow


@arrow(DiscreteSSM, DiscreteSSM, chained=False)
def retime(ssm: DiscreteSSM, *, timing: Timing, start: Start | None = None, augment: bool | None = None) -> Conversion:
    """The same model in the other convention of timing, or known by the law of another first state.

    From `current` to `previous` the new state is s[k] = x[k-1]; where the law is that of x[0] it is s[k] = x[k], and
    the transition takes the next input (`lead`). From `previous` to `current` it is x[k] = s[k+1], for which A is
    inverted, or, if A is singular, (s[k+1], C s[k]).

    Args:
        ssm: The model.
        timing: `"current"` or `"previous"`.
        start: For `current` timing, which state's law is wanted; the one that is known when left out.
        augment: Whether to add states rather than invert A; when left out, if its condition number is above 1e12.

    Returns:
        The model, exactly; `condition` is that of A where it was inverted.

    Raises:
        ValueError: If the law that is wanted is not known.

    Example:
        >>> import statespace as ss
        >>> ss.convert(ss.DiscreteSSM([[0.5]], [[1.0]], [[2.0]]), ss.DiscreteSSM, timing="previous").value.C.item()
        1.0
    """
    if timing not in ("current", "previous"):
        raise ValueError(f'timing is "current" or "previous", got {timing!r}')
    if start is not None and (timing == "previous" or start not in ("before", "at")):
        raise ValueError(f'start= is "before" or "at", and of timing="current" only: got {start!r} for {timing!r}')
    if augment is not None and (ssm.timing, timing, ssm.lead) != ("previous", "current", 0):
        raise ValueError("augment= chooses how to go from previous to current timing: leave it out")
    if timing == ssm.timing:
        moved = _same(ssm)
    elif timing == "previous":
        moved = _to_previous(ssm)
    else:
        moved = _to_current(ssm, augment)
    return moved if start in (None, moved.value.start) else moved.then(_at_first(moved.value))


def _same(ssm: DiscreteSSM) -> Conversion:
    return Conversion(ssm, transform=_eye(ssm))


def _to_previous(ssm: DiscreteSSM) -> Conversion:
    """s[k] = x[k-1], or s[k] = x[k] where only the law of x[0] is known."""
    if ssm.start == "at":
        whole = with_independent_noises(ssm)
        shifted = _shifted(whole, back=False)
        return Conversion(
            whole.replaced(**shifted, timing="previous", lead=1),
            transform=_eye(ssm) if whole is ssm else None,
            notes=("the transition takes the next input: u[k+1] drives x[k] to x[k+1]", *_added(ssm, whole)),
        )
    C, Q, S = ssm.C, ssm.Q, ssm.S
    cross = C @ S
    value = ssm.replaced(
        C=C @ ssm.A,
        D=ssm.D + C @ ssm.B,
        R=ssm.R + C @ Q @ transposed(C) + cross + transposed(cross),
        S=Q @ transposed(C) + S,
        timing="previous",
        start="at",
    )
    return Conversion(value, transform=_eye(ssm), notes=("the state at a stamp is that of the stamp before",))


def _to_current(ssm: DiscreteSSM, augment: bool | None) -> Conversion:
    if ssm.lead:
        return _from_lead(ssm)
    condition = _condition(ssm.A)
    if augment is None:
        if is_traced(condition):
            raise ValueError("JAX is tracing A: say augment=False to invert it, or augment=True to add states")
        augment = not np.all(np.asarray(condition) < 1e12)
    if augment:
        return _augmented(ssm)
    A, B, Q, R, S = ssm.A, ssm.B, ssm.Q, ssm.R, ssm.S
    H = transposed(jnp.linalg.solve(transposed(A), transposed(ssm.C)))
    if not is_traced(H) and not np.all(np.isfinite(H)):
        raise ValueError("the transition matrix is singular and cannot be inverted: leave augment=False out")
    cross, quadratic = H @ S, H @ Q @ transposed(H)
    value = ssm.replaced(
        C=H,
        D=ssm.D - H @ B,
        R=R - cross - transposed(cross) + quadratic,
        S=S - Q @ transposed(H),
        timing="current",
        start="before",
    )
    return Conversion(
        value,
        condition=jnp.max(condition),
        transform=_eye(ssm),
        notes=("the state at a stamp is that of the stamp after",),
    )


def _augmented(ssm: DiscreteSSM) -> Conversion:
    """x[k] = (s[k+1], C s[k]): nothing is inverted, and nothing is late."""
    n, p, m = ssm.A.shape[-1], ssm.C.shape[-2], ssm.B.shape[-1]
    kind = ssm.A.dtype
    value = ssm.replaced(
        A=block([[ssm.A, jnp.zeros((n, p), kind)], [ssm.C, jnp.zeros((p, p), kind)]]),
        B=block([[ssm.B], [jnp.zeros((p, m), kind)]]),
        C=jnp.concatenate([jnp.zeros((p, n), kind), jnp.eye(p, dtype=kind)], axis=1),
        Q=block([[ssm.Q, jnp.zeros((n, p), kind)], [jnp.zeros((p, n), kind), jnp.zeros((p, p), kind)]]),
        S=block([[ssm.S], [jnp.zeros((p, p), kind)]]),
        mean=jnp.concatenate([ssm.mean, jnp.zeros(p, kind)]),
        cov=block([[ssm.cov, jnp.zeros((n, p), kind)], [jnp.zeros((p, n), kind), jnp.zeros((p, p), kind)]]),
        diffuse=(*ssm.diffuse, *(False,) * p),
        state_names=(*ssm.state_names, *(f"{name}_signal" for name in ssm.series_names)),
        timing="current",
        start="before",
    )
    return Conversion(value, notes=("the transition matrix is singular: C s[k] was added to the states",))


def _from_lead(ssm: DiscreteSSM) -> Conversion:
    """The transition already takes the input of the stamp at which it ends: x[k] = s[k]."""
    whole = with_independent_noises(ssm)
    value = whole.replaced(**_shifted(whole, back=True), timing="current", start="at", lead=0)
    same = whole.A.shape == ssm.A.shape
    return Conversion(value, transform=_eye(ssm) if same else None, notes=_added(ssm, whole))


def with_independent_noises(ssm: DiscreteSSM) -> DiscreteSSM:
    """The same model with S = 0: where it is not, the measurement noise joins the state."""
    if is_zero(ssm.S):
        return ssm
    if ssm.timing == "current":  # both noises arrive with x[k]
        return _with_measurement_noise(ssm, ssm.Q, jnp.zeros_like(ssm.S), ssm.S)
    # w[k] is a part of v[k], which the state holds, and what is independent of it
    gain = ssm.S @ jnp.linalg.pinv(ssm.R, hermitian=True)
    rest = symmetrise(ssm.Q - gain @ transposed(ssm.S))
    return _with_measurement_noise(ssm, rest, gain, jnp.zeros_like(ssm.S))


def _with_measurement_noise(ssm: DiscreteSSM, own: Array, gain: Array, shared: Array) -> DiscreteSSM:
    """The states and the measurement noise v as one state: x' = A x + gain v + w.

    cov(w) is `own`, and cov(w, v of the arrival) `shared`.
    """
    n, p, m = ssm.A.shape[-1], ssm.C.shape[-2], ssm.B.shape[-1]
    kind = ssm.A.dtype
    R = ssm.R[0] if ssm.R.ndim == 3 else ssm.R
    # the noise that arrives with x[k+1] is v[k+1]; the one that the state holds at the first stamp is v[0]
    arriving = ssm.R if ssm.timing == "current" else later(ssm.R)
    return ssm.replaced(
        A=block([[ssm.A, gain], [jnp.zeros((p, n), kind), jnp.zeros((p, p), kind)]]),
        B=block([[ssm.B], [jnp.zeros((p, m), kind)]]),
        C=block([[ssm.C, jnp.eye(p, dtype=kind)]]),
        Q=block([[own, shared], [transposed(shared), arriving]]),
        R=jnp.zeros((p, p), kind),
        S=jnp.zeros((n + p, p), kind),
        mean=jnp.concatenate([ssm.mean, jnp.zeros(p, kind)]),
        cov=block([[ssm.cov, jnp.zeros((n, p), kind)], [jnp.zeros((p, n), kind), R]]),
        diffuse=(*ssm.diffuse, *(False,) * p),
        state_names=(*ssm.state_names, *(f"{name}_noise" for name in ssm.series_names)),
    )


def _shifted(ssm: DiscreteSSM, *, back: bool) -> dict[str, Array | None]:
    """What belongs to steps, by the stamp at the other end."""
    moved: dict[str, Array | None] = {name: later(ssm.matrices[name], back=back) for name in "ABQ"}
    return {**moved, "dt": None if ssm.dt is None else later(ssm.dt, back=back)}


def _added(ssm: DiscreteSSM, whole: DiscreteSSM) -> tuple[str, ...]:
    if whole.A.shape == ssm.A.shape:
        return ()
    return ("the noises are correlated across stamps: the measurement noise was added to the states",)


def _at_first(ssm: DiscreteSSM) -> Conversion:
    """The law of x[0] from that of x[-1], where no input and no shared noise is between them."""
    if ssm.start == "at":
        raise ValueError("the law of x[0] is known, that of x[-1] cannot be had from it: leave start= out")
    if not (is_zero(ssm.B) and is_zero(ssm.S)):
        raise ValueError(
            "x[0] depends on the inputs, or on the measurement noise, of its own stamp: it has no law of its own; keep "
            'start="before"'
        )
    A, Q = (x[0] if x.ndim == 3 else x for x in (ssm.A, ssm.Q))
    if any(ssm.diffuse) and not (all(ssm.diffuse) and np.linalg.matrix_rank(on_host(A)) == len(A)):
        raise ValueError(
            "elements without a prior mix with others in the first transition: give the law of x[0] itself"
        )
    value = ssm.replaced(mean=A @ ssm.mean, cov=A @ ssm.cov @ A.T + Q, start="at")
    return Conversion(value, transform=_eye(ssm))


def _condition(A: Array) -> Array:
    """The condition number of A, or of each of them, infinite where singular."""
    values = jnp.linalg.svd(A, compute_uv=False)
    small = values[..., -1]
    return jnp.where(small > 0, values[..., 0] / jnp.where(small > 0, small, 1.0), jnp.inf)


def _eye(ssm: DiscreteSSM) -> Array:
    return jnp.eye(ssm.A.shape[-1], dtype=ssm.A.dtype)
