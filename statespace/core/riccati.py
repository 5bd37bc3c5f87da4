"""Lyapunov's and Riccati's equations in discrete time, by doubling, with the derivatives of their solutions.

Each round doubles the number of stamps, so that a few rounds reach the limit. Derivatives do not go
through the rounds: the solution of a linear equation is differentiated as one, and the derivative of a Riccati
solution is that of a linear equation.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Inexact

from .linalg import symmetrise

_VANISHED = 1e-3  # a power of a matrix below which its further powers vanish
_ROUNDS = 60  # of doubling: 2^60 stamps, more than any root that single or double precision tells from one needs


def lyapunov(a: Inexact[Array, "state state"], q: Inexact[Array, "state state"]) -> Inexact[Array, "state state"]:
    """The solution of P = A P A^H + Q: the stationary covariance of x' = A x + w with cov(w) = Q.

    Args:
        a: A, real or complex; its eigenvalues are inside the unit circle.
        q: Q, of the same type.

    Returns:
        P; not finite where A is not stable.

    Example:
        >>> float(lyapunov(jnp.array([[0.5]]), jnp.array([[3.0]]))[0, 0])
        4.0

    Reference: Smith (1968), "Matrix equation XA + BX = C".
    """
    dtype = jnp.result_type(a, q, jnp.float32)
    return _stationary(jnp.asarray(a, dtype), jnp.asarray(q, dtype))


@jax.jit  # so that a call by itself compiles once for each size
def _stationary(a: Array, q: Array) -> Array:
    def system(p: Array) -> Array:
        return p - a @ p @ a.conj().T

    def solve(_: Any, right: Array) -> Array:
        return _doubled(a, right)

    def solve_transposed(_: Any, right: Array) -> Array:
        return _doubled(a.T, right)

    return lax.custom_linear_solve(system, q, solve, solve_transposed)


def _doubled(a: Array, q: Array) -> Array:
    """Sum over k of A^k Q (A^k)^H, twice as many terms in each round until they vanish."""

    def going(state: tuple[Array, Array, Array]) -> Array:
        power, total, count = state
        size = jnp.max(jnp.abs(power))
        return (count < _ROUNDS) & (size**2 > jnp.finfo(total.dtype).tiny) & jnp.isfinite(jnp.max(jnp.abs(total)))

    def double(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        power, total, count = state
        return power @ power, total + power @ total @ power.conj().T, count + 1

    power, total, _ = lax.while_loop(going, double, (a, q, jnp.zeros((), jnp.int32)))
    return jnp.where(jnp.max(jnp.abs(power)) < 1, total, jnp.full_like(total, jnp.nan))


def riccati(
    a: Float[Array, "state state"],
    c: Float[Array, "series state"],
    q: Float[Array, "state state"],
    r: Float[Array, "series series"],
    s: Float[Array, "state series"],
) -> Float[Array, "state state"]:
    """The stabilising solution of Riccati's equation: the covariance of the predicted state in the long run.

        P = A P A' - (A P C' + S) (C P C' + R)^-1 (A P C' + S)' + Q

    for s' = A s + w, y = C s + v with cov(w) = Q, cov(v) = R and cov(w, v) = S.

    Args:
        a: A.
        c: C.
        q: Q.
        r: R, positive definite.
        s: S, zero where the noises are independent.

    Returns:
        P; not finite where there is no such solution.

    Example:
        >>> one = jnp.ones((1, 1))
        >>> round(float(riccati(one, one, one, one, 0 * one)[0, 0]), 6)
        1.618034

    Reference: Chu, Fan, Lin and Wang (2004), "Structure-preserving algorithms for periodic discrete-time algebraic
    Riccati equations"; Newton's steps: Hewer (1971), "An iterative technique for the computation of the steady state
    gains for the discrete optimal regulator".
    """
    return _predicted(a, c, q, r, s)


@jax.jit
def _predicted(a: Array, c: Array, q: Array, r: Array, s: Array) -> Array:
    return _limit(a, c, q, r, s)


@jax.custom_jvp
def _limit(a: Array, c: Array, q: Array, r: Array, s: Array) -> Array:
    weight = jnp.linalg.solve(r, jnp.concatenate([c, s.T], axis=1))
    by_c, by_s = weight[:, : c.shape[1]], weight[:, c.shape[1] :]
    eye = jnp.eye(a.shape[0], dtype=a.dtype)

    def going(state: tuple[Array, Array, Array, Array, Array]) -> Array:
        f, _, h, change, count = state
        small = change <= 4 * jnp.finfo(h.dtype).eps * jnp.max(jnp.abs(h))
        stable = jnp.max(jnp.abs(f)) < _VANISHED  # f is a power of the closed loop: a solution may not stabilise
        return (count < _ROUNDS) & ~(small & stable) & jnp.isfinite(change)

    def double(state: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array, Array]:
        f, g, h, _, count = state
        both = jnp.linalg.solve(eye + g @ h, jnp.concatenate([f, g], axis=1))
        by_f, by_g = both[:, : len(f)], both[:, len(f) :]
        new = h + f.T @ h @ by_f
        change = jnp.max(jnp.abs(new - h))
        return f @ by_f, symmetrise(g + f @ by_g @ f.T), symmetrise(new), change, count + 1

    f = (a - s @ by_c).T
    far = jnp.full((), jnp.finfo(a.dtype).max, a.dtype)
    start = f, symmetrise(c.T @ by_c), symmetrise(q - s @ by_s), far
    _, _, h, change, count = lax.while_loop(going, double, (*start, jnp.zeros((), jnp.int32)))
    # Where the noises tell the state and f is unstable, rounding decides what the rounds lead to. Newton's steps are
    # not finite unless the gain stabilises, and then they lead to the one solution that does.
    before = _newton(a, c, q, r, s, jnp.where(jnp.isfinite(change) & (count < _ROUNDS), h, jnp.nan))
    p = _newton(a, c, q, r, s, before)
    size = jnp.max(jnp.abs(p)) + jnp.max(jnp.abs(q))
    agree = jnp.max(jnp.abs(p - before)) <= jnp.sqrt(jnp.finfo(p.dtype).eps) * size
    return jnp.where(agree, p, jnp.nan)


def _newton(a: Array, c: Array, q: Array, r: Array, s: Array, p: Array) -> Array:
    """The covariance in the long run under the gain that p gives; not finite where that gain does not stabilise."""
    gain = kalman_gain(a, c, p, r, s)
    shared = gain @ s.T
    return _stationary(a - gain @ c, symmetrise(q + gain @ r @ gain.T - shared - shared.T))


@_limit.defjvp
def _riccati_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    """DP = (A - K C) dP (A - K C)' + X + X' + dQ + K dR K', the gain itself being at its optimum.

    Where there is no solution the derivative is zero: a value that is not used has no part in others' derivatives.
    """
    a, c, q, r, s = primals
    da, dc, dq, dr, ds = tangents
    p = _limit(a, c, q, r, s)
    found = jnp.all(jnp.isfinite(p))
    safe = jnp.where(found, p, 0.0)
    gain = kalman_gain(a, c, safe, r, s)
    closed = jnp.where(found, a - gain @ c, 0.0)
    moved = (da - gain @ dc) @ safe @ closed.T - ds @ gain.T
    return p, jnp.where(found, lyapunov(closed, symmetrise(moved + moved.T + dq + gain @ dr @ gain.T)), 0.0)


@jax.jit
def kalman_gain(
    a: Float[Array, "state state"],
    c: Float[Array, "series state"],
    p: Float[Array, "state state"],
    r: Float[Array, "series series"],
    s: Float[Array, "state series"],
) -> Float[Array, "state series"]:
    """K = (A P C' + S) (C P C' + R)^-1, the gain of the predictor.

    Args:
        a: A, the transition.
        c: C, the emission.
        p: P, the covariance of the predicted state.
        r: R, the covariance of the measurement noise.
        s: S, the covariance of state and measurement noise.
    """
    return jnp.linalg.solve(c @ p @ c.T + r, (a @ p @ c.T + s).T).T
