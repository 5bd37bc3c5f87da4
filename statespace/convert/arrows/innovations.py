"""The discrete form and its steady-state predictor.

A predictor is that of s[k], the state whose law is known before y[k] is seen. Riccati's equation for its covariance
inverts R. Where R is singular (ARMA models, exact observations) the same covariance comes from the equation of the
filtered state, whose measurement noise is C w + v, and where that is singular too from the extended pencil.

Reference: Anderson and Moore (1979), "Optimal Filtering", sections 4.4 and 9.3; van Dooren (1981), "A generalized
eigenvalue approach for solving Riccati equations" for the pencil.
"""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.linalg import symmetrise
from ...core.parameters import is_traced
from ...core.riccati import kalman_gain, riccati
from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.discrete import DiscreteSSM
from ..forms.innovations import InnovationsSSM
from ..numerics.blocks import is_zero
from ..numerics.limit import by_pencil, from_known_state
from ..registry import arrow
from .timing import retime

_REGULAR = 1e10  # condition of a covariance above which its inverse is not relied on
_NO_SOLUTION = (
    "Riccati's equation has no stabilising solution: a mode on or outside the unit circle is not seen by the series, "
    "or a combination of the series has no noise at all"
)
_SLOW = 1 - 1e-6  # radius of a closed loop that hardly forgets


@arrow(DiscreteSSM, InnovationsSSM)
def discrete_to_innovations(ssm: DiscreteSSM) -> Conversion:
    """The steady-state predictor of a discrete form, which is exact: P, and so Q, R and S, are kept.

    A model in `current` timing becomes one for s[k] = x[k-1] where the law of x[-1] is known, and for s[k] = x[k],
    with inputs that act at once (`lead`), where that of x[0] is.

    Raises:
        ValueError: If matrices vary with time, or Riccati's equation has no stabilising solution.
    """
    if not ssm.is_constant:
        raise ValueError("the matrices vary with time, so that the predictor never becomes steady")
    system = retime(ssm, timing="previous").value
    P, K, V = _steady(system)
    value = InnovationsSSM(
        system.A,
        system.B,
        system.C,
        system.D,
        K,
        V,
        P,
        mean=system.mean,
        cov=system.cov,
        diffuse=system.diffuse,
        lead=system.lead,
        dt=ssm.dt,
        state_names=system.state_names,
        input_names=ssm.input_names,
        series_names=ssm.series_names,
    )
    if is_traced(P):
        return Conversion(value)
    if value.radius > 2 - _SLOW:
        raise ValueError(_NO_SOLUTION)
    kept = len(system.state_names) == len(ssm.state_names)
    return Conversion(
        value,
        condition=float(np.linalg.cond(np.asarray(V))),
        transform=jnp.eye(len(ssm.state_names)) if kept else None,
        notes=_notes(value),
    )


def _notes(value: InnovationsSSM) -> tuple[str, ...]:
    radius = value.radius
    if radius > _SLOW:
        return (f"the closed loop has radius {radius:.8f}: the predictor hardly forgets its start",)
    if np.array_equal(value.cov, value.P) and not any(value.diffuse):
        return ()
    return (f"the form holds after a burn-in, {value.burn_in():.0f} stamps to 1e-10 (radius {radius:.4f})",)


def _steady(ssm: DiscreteSSM) -> tuple[Array, Array, Array]:
    """P, K and V of a form in `previous` timing."""
    A, C, Q, R, S = ssm.A, ssm.C, ssm.Q, ssm.R, ssm.S
    seen = symmetrise(C @ Q @ C.T + R)
    if _regular(R) and not is_zero(R):
        P = _solved(A, C, Q, R, S)
    elif is_zero(S) and _regular(seen):
        P = symmetrise(A @ _solved(A, C @ A, Q, seen, Q @ C.T) @ A.T + Q)
    else:
        P = by_pencil(*(on_host(x) for x in (A, C, Q, R, S)))
        if P is None:
            raise ValueError(_NO_SOLUTION)
        P = jnp.asarray(P)
    return P, kalman_gain(A, C, P, R, S), symmetrise(C @ P @ C.T + R)


def _solved(*matrices: Array) -> Array:
    """Riccati's solution by doubling, or else, where numbers can be looked at, in the other ways.

    Raises:
        ValueError: If there is none.
    """
    P = riccati(*matrices)
    if is_traced(P) or np.all(np.isfinite(P)):
        return P
    numbers = [on_host(x) for x in matrices]
    found = by_pencil(*numbers)
    found = from_known_state(*numbers) if found is None else found
    if found is None:
        raise ValueError(_NO_SOLUTION)
    return jnp.asarray(found)


def _regular(cov: Array) -> bool:
    """Whether a covariance can be inverted; one that is being traced is taken to be."""
    return is_traced(cov) or bool(np.linalg.cond(np.asarray(cov)) < _REGULAR)


@arrow(InnovationsSSM, DiscreteSSM)
def innovations_to_discrete(
    form: InnovationsSSM, *, noise: Literal["original", "innovation"] = "original"
) -> Conversion:
    """The discrete form, in `previous` timing, whose steady-state predictor this is.

    Args:
        form: The predictor.
        noise: `"original"`: Q = P - A P A' + K V K', R = V - C P C', S = K V - A P C' and the first law as it is.
            `"innovation"`: one noise drives all, Q = K V K', R = V, S = K V, and the first state is the prediction,
            whose covariance is cov - P. Both have the same law of the observations.

    Raises:
        ValueError: If noise is another word, or there is no prediction with covariance cov - P, which is then negative.
    """
    if noise not in ("original", "innovation"):
        raise ValueError(f'noise is "original" or "innovation", got {noise!r}')
    n = form.A.shape[0]
    first, gain = jnp.concatenate([form.A, form.C]), jnp.concatenate([form.K, jnp.eye(len(form.C))])
    driven = gain @ form.V @ gain.T
    cov = form.cov
    if noise == "original":
        before, after = jnp.zeros_like(driven).at[:n, :n].set(form.P), first @ form.P @ first.T
        driven = _without_rounding(before - after + driven, jnp.diag(before + after + driven))
    else:
        cov = _prediction(form)
    value = DiscreteSSM(
        form.A,
        form.B,
        form.C,
        form.D,
        driven[:n, :n],
        driven[n:, n:],
        driven[:n, n:],
        mean=form.mean,
        cov=cov,
        diffuse=form.diffuse,
        timing="previous",
        lead=form.lead,
        dt=form.dt,
        state_names=form.state_names,
        input_names=form.input_names,
        series_names=form.series_names,
    )
    return Conversion(value, transform=jnp.eye(n))


def _without_rounding(cov: Array, size: Array) -> Array:
    """A covariance from a difference of terms, zero where its variances are no more than their rounding."""
    gone = jnp.abs(jnp.diag(cov)) <= 64 * jnp.finfo(cov.dtype).eps * size
    return symmetrise(jnp.where(gone[:, None] | gone[None], 0.0, cov))


def _prediction(form: InnovationsSSM) -> Array:
    """The covariance of the first prediction, cov - P, zero in the elements that have no prior."""
    given = ~np.asarray(form.diffuse, bool)
    cov = _without_rounding(form.cov - form.P, jnp.diag(form.cov + form.P))
    cov = jnp.where(given[:, None] & given[None], cov, 0.0)
    if is_traced(cov) or not cov.size:
        return cov
    values = np.linalg.eigvalsh(np.asarray(cov))
    if values.min() < -1e-12 * max(np.abs(np.asarray(form.cov)).max(), np.abs(np.asarray(form.P)).max(), 1e-300):
        raise ValueError(
            f"the first state is known better than in the long run (cov - P has the eigenvalue {values.min():.3g}), "
            "so that no prediction has this law: noise='original' keeps it"
        )
    return cov
