"""A linear system from continuous to discrete time and back, by rules that integrate one step.

        dx = (M x + B u) dt + dw,  cov(dw) = Q dt      becomes      x[k] = A x[k-1] + early u[k-1] + late u[k] + w[k]

Rules: `zoh` and `foh` (exact for an input that is constant or linear between stamps), `impulse` (exact for impulses of
size dt u[k] at the stamps), and those of Runge and Kutta's kind with a weight alpha on the later end of the step,

        A = (I - alpha dt M)^-1 (I + (1 - alpha) dt M)

`euler` (0), `tustin` and `s4_bilinear` (1/2), `backward` (1), `gbt` (any). A diagonal system has closed forms, in
`diagonal`.
"""

from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Rule = Literal["zoh", "foh", "tustin", "s4_bilinear", "euler", "backward", "gbt", "impulse"]
RULES: tuple[str, ...] = get_args(Rule)
HELD = ("zoh", "s4_bilinear", "euler")  # one input drives the whole step: which one is a matter of timing
_ALPHA = {"euler": 0.0, "tustin": 0.5, "s4_bilinear": 0.5, "backward": 1.0}
_SQUARINGS = 40
_TERMS = 20


class Discretised(NamedTuple):
    """One step in discrete time, x[k] = A x[k-1] + early u[k-1] + late u[k] + w[k].

    Attributes:
        A: Transition matrix.
        early: What the input at the start of the step adds; None where one input is held over it.
        late: What the input at its end adds, or the one that is held.
        Q: Covariance of w.
    """

    A: Float[Array, "state state"]
    early: Float[Array, "state inputs"] | None
    late: Float[Array, "state inputs"]
    Q: Float[Array, "state state"]


def weight_of(rule: str, alpha: float | None = None) -> float | None:
    """The weight on the later end of a step, None for a rule that integrates exactly.

    Raises:
        ValueError: If the rule is unknown, or alpha is missing, outside [0, 1] or not asked for.

    Example:
        >>> weight_of("tustin")
        0.5
    """
    if rule not in RULES:
        raise ValueError(f"rule is one of {', '.join(map(repr, RULES))}, got {rule!r}")
    if (alpha is None) != (rule != "gbt"):
        raise ValueError(f'alpha= is the weight of rule="gbt" and of no other, got rule={rule!r}, alpha={alpha!r}')
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"alpha is between 0 and 1, got {alpha}")
    return alpha if rule == "gbt" else _ALPHA.get(rule)


def discretise(
    m: Float[Array, "state state"],
    b: Float[Array, "state inputs"],
    q: Float[Array, "state state"],
    dt: Float[Array, ""] | float,
    rule: Rule = "zoh",
    alpha: float | None = None,
) -> Discretised:
    """One step of a continuous system.

    The covariance of the noise is that of the exact integral for `zoh`, `foh` and `impulse`, and else

        dt (I - alpha dt M)^-1 Q (I - alpha dt M)^-T

    with which `tustin` and `s4_bilinear` keep the stationary covariance exactly.

    Args:
        m: M, per unit of time.
        b: B, per unit of time.
        q: Q, the spectral density of the noise, per unit of time.
        dt: Length of the step.
        rule: How the step is integrated.
        alpha: The weight of `gbt`.

    Returns:
        A `Discretised`.

    Raises:
        ValueError: As `weight_of`.

    Example:
        >>> step = discretise(jnp.array([[-1.0]]), jnp.ones((1, 1)), 2 * jnp.ones((1, 1)), 0.5, "tustin")
        >>> round(float(step.A[0, 0]), 6)
        0.6

    Reference: Franklin, Powell and Workman (1998), "Digital Control of Dynamic Systems", chapters 4 and 6; Zhang, Chen
    and Chen (2009), "Performance recovery in digital implementation of analogue systems" (the weight alpha).
    """
    weight = weight_of(rule, alpha)
    if weight is not None:
        return _weighted(m, b, q, dt, weight, rule in HELD)
    A, noise = transition_and_noise(m, q, dt)
    if rule == "impulse":
        return Discretised(A, jnp.zeros_like(b), dt * b, noise)
    first, second = _input_integrals(m, b, dt)
    if rule == "zoh":
        return Discretised(A, None, first, noise)
    return Discretised(A, first - second, second, noise)


def _weighted(m: Array, b: Array, q: Array, dt: Any, weight: float, held: bool) -> Discretised:
    """Weight 1 - alpha on the slope at the start of a step and alpha on that at its end."""
    n, eye = m.shape[-1], jnp.eye(m.shape[-1], dtype=m.dtype)
    right = jnp.concatenate([eye + (1 - weight) * dt * m, dt * b, eye], axis=1)
    solved = jnp.linalg.solve(eye - weight * dt * m, right)
    A, gain, inverse = solved[:, :n], solved[:, n:-n], solved[:, -n:]
    noise = dt * inverse @ q @ inverse.T
    if held:
        return Discretised(A, None, gain, noise)
    return Discretised(A, (1 - weight) * gain, weight * gain, noise)


def _input_integrals(m: Array, b: Array, dt: Any) -> tuple[Array, Array]:
    """What a constant input adds over a step, and what one does that rises from zero to one."""
    n, k = b.shape
    rows = jnp.concatenate([m, b, jnp.zeros((n, k), m.dtype)], axis=1) * dt
    ramp = jnp.concatenate([jnp.zeros((k, n + k), m.dtype), jnp.eye(k, dtype=m.dtype)], axis=1)
    block = jnp.concatenate([rows, ramp, jnp.zeros((k, n + 2 * k), m.dtype)])
    found = jax.scipy.linalg.expm(block, max_squarings=_SQUARINGS)
    return found[:n, n : n + k], found[:n, n + k :]


def transition_and_noise(
    m: Float[Array, "state state"], q: Float[Array, "state state"], dt: Float[Array, ""] | float
) -> tuple[Float[Array, "state state"], Float[Array, "state state"]]:
    """The transition over a step, exp(M dt), and the covariance that noise gathers during it.

        Q_d = integral from 0 to dt of exp(M s) Q exp(M s)' ds

    A short step is a Taylor series; then Q_d(2 h) = Q_d(h) + A(h) Q_d(h) A(h)' doubles it. Sums of positive
    semidefinite matrices do not cancel, where Van Loan's block matrix holds exp(-M dt), which overflows if M is stiff.

    Args:
        m: M.
        q: Q.
        dt: Length of the step.

    Returns:
        The pair (A, Q_d).

    Example:
        >>> a, noise = transition_and_noise(jnp.array([[0.0]]), jnp.array([[2.0]]), 0.5)
        >>> float(a[0, 0]), float(noise[0, 0])
        (1.0, 1.0)

    Reference: Van Loan (1978), "Computing integrals involving the matrix exponential".
    """
    size = jnp.max(jnp.sum(jnp.abs(m), axis=1)) * jnp.abs(dt)
    count = jnp.clip(jnp.ceil(jnp.log2(jnp.where(size > 0, size, 1.0))) + 2, 0, _SQUARINGS)
    count = lax.stop_gradient(count)
    step = dt / 2**count
    eye = jnp.eye(m.shape[-1], dtype=m.dtype)

    def add(k: Any, state: Any) -> Any:
        power, total, moved, noise = state
        power = step / k * (m @ power)
        moved = step / (k + 1) * (m @ moved + moved @ m.T)
        return power, total + power, moved, noise + moved

    _, total, _, noise = lax.fori_loop(1, _TERMS, add, (eye, jnp.zeros_like(m), step * q, step * q))

    def double(k: Any, state: Any) -> Any:
        grown, noise = state  # grown is A - I, which keeps its digits over short steps
        a = eye + grown
        twice = 2 * grown + grown @ grown, noise + a @ noise @ a.T
        return jax.tree.map(lambda new, old: jnp.where(k < count, new, old), twice, state)

    grown, noise = lax.fori_loop(0, _SQUARINGS, double, (total, noise))
    return eye + grown, noise


def undo_weighted(
    a: Float[Array, "state state"], dt: float, weight: float
) -> tuple[Float[Array, "state state"], Float[Array, "state state"]]:
    """The M whose step by the weight alpha is A, and I - alpha dt M, which undoes the gains of inputs and of noise.

    Args:
        a: A; (1 - alpha) I + alpha A is invertible.
        dt: Length of the step.
        weight: alpha.

    Example:
        >>> back, _ = undo_weighted(jnp.array([[0.6]]), 0.5, 0.5)
        >>> round(float(back[0, 0]), 6)
        -1.0
    """
    eye = jnp.eye(a.shape[-1], dtype=a.dtype)
    inverse = jnp.linalg.inv((1 - weight) * eye + weight * a)
    return (a - eye) @ inverse / dt, inverse
