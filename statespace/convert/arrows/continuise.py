"""From discrete to continuous time: the way back of each rule, with the noise."""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.linalg

from ...core.discretise import HELD, Rule, undo_weighted, weight_of
from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.continuous import ContinuousSSM, Measured
from ..forms.discrete import DiscreteSSM
from ..registry import arrow
from .timing import retime

_ALIAS = (
    "frequencies are taken below pi/dt: models whose frequencies differ by multiples of 2 pi/dt are alike at the stamps"
)
_INEXACT = 1e-8  # relative error of a logarithm beyond which there is none
_BEFORE = "the law is that of the state one step before the first stamp: discretise with start='before'"


@arrow(DiscreteSSM, ContinuousSSM)
def to_continuous(
    ssm: DiscreteSSM,
    *,
    rule: Rule = "zoh",
    alpha: float | None = None,
    dt: float | None = None,
    measured: Measured = "sampled",
) -> Conversion:
    """The continuous model of which a discrete one is made by a rule of discretisation.

    `zoh` takes the logarithm of the matrix [[A, B], [0, I]], which is real where A has no eigenvalue that is zero or
    negative; the others solve for the drift. The noise is that of which the discrete noise is the integral; there is
    none if its spectral density comes out negative.

    Args:
        ssm: The discrete model, constant in time, with S = 0.
        rule: `"zoh"`, `"tustin"`, `"s4_bilinear"`, `"euler"`, `"backward"` or `"gbt"`.
        alpha: The weight of `"gbt"`.
        dt: Time between stamps; that of the model when left out.
        measured: Whether the measurement noise is that of samples, or of averages over a step.

    Returns:
        The continuous model, whose discretisation by the same rule is the discrete one. `condition` is, for `zoh`,
        an estimate of that of the logarithm from three directions, else that of the matrix that was inverted.

    Raises:
        ValueError: If no continuous model leads to this one by the rule, or the time between stamps is unknown.

    Example:
        >>> import statespace as ss
        >>> back = ss.convert(ss.DiscreteSSM([[0.5]], [[1.0]], dt=2.0), ss.ContinuousSSM, rule="zoh")
        >>> round(back.value.A.item(), 6)
        -0.346574

    Reference: Higham (2008), "Functions of Matrices", chapter 11; Franklin, Powell and Workman (1998), "Digital Control
    of Dynamic Systems", chapter 6.
    """
    weight = weight_of(rule, alpha)
    if rule in ("foh", "impulse"):
        raise ValueError(f'rule="{rule}" has no way back: take "zoh", "tustin", "s4_bilinear", "euler" or "backward"')
    if weight is not None and rule not in HELD and not (rule == "backward" and ssm.timing == "current"):
        ssm = _in_previous(ssm)
    elif ssm.lead:
        ssm = retime(ssm, timing="current").value
    step = _step_length(ssm, dt)
    _check(ssm)
    if weight is None:
        A, B, condition = _logarithm(ssm, step)
        C, D, Q = ssm.C, ssm.D, _density(A, on_host(ssm.Q), step)
        notes: tuple[str, ...] = (_ALIAS,)
    else:
        A, B, D, Q, condition = _unweighted(ssm, step, weight, rule in HELD or ssm.timing == "current")
        C, notes = ssm.C, ()
    value = ContinuousSSM(
        A,
        B,
        C,
        D,
        Q,
        ssm.R * step if measured == "averaged" else ssm.R,
        mean=ssm.mean,
        cov=ssm.cov,
        diffuse=ssm.diffuse,
        measured=measured,
        state_names=ssm.state_names,
        input_names=ssm.input_names,
        series_names=ssm.series_names,
    )
    before = (_BEFORE,) if ssm.timing == "current" and ssm.start == "before" else ()
    return Conversion(value, condition=condition, transform=jnp.eye(len(A)), notes=(*notes, *before))


def _in_previous(ssm: DiscreteSSM) -> DiscreteSSM:
    """The convention in which rules that read both ends of a step are written; shared noise of rounding is none."""
    if ssm.timing == "previous" and not ssm.lead:
        return ssm
    if ssm.lead or ssm.start == "at":
        raise ValueError(
            "the law of the first state is given with the input of its stamp, this rule needs that of the state "
            'before: take rule="zoh" or "s4_bilinear"'
        )
    moved = retime(ssm, timing="previous").value
    size = np.sqrt(np.abs(np.diagonal(moved.Q)).max() * np.abs(np.diagonal(moved.R)).max())
    shared = np.abs(on_host(moved.S)).max(initial=0.0)
    return moved.replaced(S=None) if shared <= 1e-12 * max(size, 1e-300) else moved


def _step_length(ssm: DiscreteSSM, dt: Any) -> float:
    step = ssm.dt if dt is None else dt
    if step is None or np.ndim(step) or not np.all(np.asarray(step) > 0):
        raise ValueError(f"the time between stamps is one positive number, got {step}: give dt=")
    if dt is not None and ssm.dt is not None and not np.all(np.asarray(ssm.dt) == dt):
        raise ValueError(f"the model's stamps are {ssm.dt} apart, got dt={dt}: leave it out")
    return float(step)


def _check(ssm: DiscreteSSM) -> None:
    if not ssm.is_constant:
        raise ValueError("a model that varies with time has no continuous form that is constant")
    if np.any(on_host(ssm.S)):
        raise ValueError(
            "the noises of state and measurement are correlated, which a continuous model has no place for: move the "
            "model to the timing in which S = 0, if there is one, or give S up yourself"
        )


def _logarithm(ssm: DiscreteSSM, dt: float) -> tuple[Any, Any, float]:
    """The drift and the input matrix of which the zero-order hold makes A and B."""
    A, B = on_host(ssm.A), on_host(ssm.B)
    n, m = B.shape
    eigenvalues = np.linalg.eigvals(A)
    size = np.finfo(float).eps * n * np.abs(A).max()
    wrong = eigenvalues[(eigenvalues.real <= size) & (np.abs(eigenvalues.imag) <= size)]
    if len(wrong):
        raise ValueError(
            f"A has the eigenvalue {wrong[0].real:.3g}: no real continuous model without more states has it after a "
            'zero-order hold; take rule="tustin", or remove the delay'
        )
    whole = np.block([[A, B], [np.zeros((m, n)), np.eye(m)]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's guess of the error: the next line measures it
        found = np.real(scipy.linalg.logm(whole)) / dt
    left = np.abs(scipy.linalg.expm(found * dt) - whole).max()
    if not left <= _INEXACT * np.abs(whole).max():
        raise ValueError(
            f"A is too close to a matrix without a real logarithm (the exponential of what was found differs by "
            f'{left:.2g}): a negative eigenvalue that occurs twice, say; take rule="tustin"'
        )
    return found[:n, :n], found[:n, n:], _sensitivity(whole, found * dt)


def _sensitivity(whole: np.ndarray, log: np.ndarray) -> float:
    """The relative condition of the logarithm, by how far it moves in three directions."""
    rng, size = np.random.default_rng(0), np.linalg.norm(whole)
    moved = []
    for _ in range(3):
        direction = rng.normal(size=whole.shape)
        direction *= 1e-7 * size / np.linalg.norm(direction)
        moved.append(np.linalg.norm(scipy.linalg.logm(whole + direction) - log) / 1e-7)
    return float(max(1.0, max(moved) / max(np.linalg.norm(log), 1e-300)))


def _density(M: Any, noise: np.ndarray, dt: float) -> np.ndarray:
    """The Q of which the noise is the integral over a step, halved until a series can be inverted.

    Q_d(2 h) = X + A(h) X A(h)' has one solution X = Q_d(h) as long as frequencies are below pi/dt.
    """
    if not noise.any():
        return noise
    count = max(0, int(np.ceil(np.log2(max(np.abs(M).sum(axis=1).max() * dt, 1e-300)))) + 2)
    X, h = noise, dt
    for _ in range(count):
        h = h / 2
        back = scipy.linalg.expm(-h * M)
        X = scipy.linalg.solve_sylvester(back, scipy.linalg.expm(h * M).T, back @ X)
    Q = X / h
    for _ in range(60):
        Q = Q + (X - _integral(M, Q, h)) / h
    Q = (Q + Q.T) / 2
    values = np.linalg.eigvalsh(Q)
    if values[0] < -1e-8 * values[-1]:
        raise ValueError(
            f"no continuous noise has this integral over a step: its spectral density has the "
            f"eigenvalue {values[0]:.3g} beside {values[-1]:.3g}; take another rule, or give the noise up yourself"
        )
    return Q


def _integral(M: np.ndarray, Q: np.ndarray, h: float) -> np.ndarray:
    """The noise gathered over a short step, by its Taylor series."""
    term = total = h * Q
    for k in range(2, 24):
        term = h / k * (M @ term + term @ M.T)
        total = total + term
    return total


def _unweighted(ssm: DiscreteSSM, dt: float, weight: float, at_once: bool) -> Any:
    """The way back of rules with a weight on the later end; at_once where each step has one input."""
    A, B = on_host(ssm.A), on_host(ssm.B)
    inner = (1 - weight) * np.eye(len(A)) + weight * A
    condition = float(np.linalg.cond(inner))
    if not condition < 1e14:
        raise ValueError(
            f"A has the eigenvalue {1 - 1 / weight if weight else 0.0:.3g}, which no continuous model has by this rule"
        )
    M, solver = (np.asarray(x) for x in undo_weighted(jnp.asarray(A), dt, weight))
    noise = solver @ on_host(ssm.Q) @ solver.T / dt
    gain = B if at_once else solver @ B
    D = on_host(ssm.D) if at_once else on_host(ssm.D) - weight * on_host(ssm.C) @ gain
    return M, solver @ gain / dt, D, (noise + noise.T) / 2, condition
