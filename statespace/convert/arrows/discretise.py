"""From continuous to discrete time, with the noise, the measurement noise and the law of the first state."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...core.discretise import HELD, Discretised, Rule, discretise, weight_of
from ...core.parameters import is_traced
from ..conversion import Conversion
from ..forms.arrays import floating
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM, Start, Timing
from ..numerics.blocks import later
from ..registry import arrow
from .timing import retime

_EXACT = {
    "zoh": "exact for inputs that are constant over each step",
    "foh": "exact for inputs that are linear between stamps",
    "impulse": "exact for inputs that are impulses of size dt u[k] at the stamps",
}
_ORDER = {"euler": "dt", "backward": "dt", "gbt": "dt, of dt^2 for alpha=0.5", "tustin": "dt^2", "s4_bilinear": "dt"}


@arrow(ContinuousSSM, DiscreteSSM)
def to_discrete(
    model: ContinuousSSM,
    *,
    dt: Any,
    rule: Rule = "zoh",
    alpha: float | None = None,
    timing: Timing = "current",
    start: Start | None = None,
) -> Conversion:
    """A continuous model at stamps.

    The rules `zoh`, `s4_bilinear` and `euler` hold one input over each step and leave C and D as they are: in
    `current` timing the input of the stamp at which the step ends, in `previous` timing that at which it begins. The
    rules `foh`, `tustin`, `backward`, `gbt` and `impulse` say themselves when inputs act; timing is then only the
    convention in which the same transfer function is written. `s4_bilinear` is not `tustin`: an output of `tustin` is
    the mean of that of `s4_bilinear` and of the one a stamp before.

    Args:
        model: The continuous model. Its initial law is that of the state at the first stamp.
        dt: Time between stamps; one number, or one for each stamp: of the step that ends there in `current` timing, of
            the step that begins there in `previous` timing.
        rule: `"zoh"`, `"foh"`, `"tustin"`, `"s4_bilinear"`, `"euler"`, `"backward"`, `"gbt"` or `"impulse"`.
        alpha: The weight of `"gbt"`, between 0 and 1.
        timing: `"current"` or `"previous"`.
        start: `"before"` where the initial law is that of the state a step before the first stamp.

    Returns:
        The discrete model: exact for zoh, foh and impulse, for the inputs that a note states; noise alone is always
        exact with these. Other rules are approximations, whose order a note states; no bound is known without knowing
        the input.

    Raises:
        ValueError: If an option is unknown or does not go with the others, or dt is not positive.

    Reference: Astrom and Wittenmark (1997), "Computer-Controlled Systems", chapter 3.
    """
    weight_of(rule, alpha)
    steps = _lengths(dt)
    parts = _step(model.A, model.B, model.Q, steps, rule, alpha)
    if rule in HELD or (timing == "current" and rule in ("backward", "impulse")):
        return _account(_held(model, parts, steps, timing, start), rule)
    if start is not None:
        raise ValueError(f'start= has no meaning for rule="{rule}" in {timing} timing: leave it out')
    if steps.ndim and timing == "current":
        raise ValueError(
            f'rule="{rule}" reads the inputs at both ends: for steps of several lengths take timing="previous", where '
            "dt[k] is the step from stamp k to the next"
        )
    moved = retime(_two_sided(model, parts, steps), timing=timing)
    made = _account(moved.value, rule)
    return dataclasses.replace(made, condition=moved.condition, notes=(*made.notes, *moved.notes))


def at_stamps(
    model: ContinuousSSM, A: Array, drive: Array, noise: Array, dt: Any, rule: Rule, timing: Timing
) -> Conversion:
    """A model whose step by a rule that holds its input is known already."""
    return _account(_held(model, Discretised(A, None, drive, noise), _lengths(dt), timing, None), rule)


def _account(value: DiscreteSSM, rule: str) -> Conversion:
    """What a rule makes of the model."""
    if rule in _EXACT:
        return Conversion(value, notes=(_EXACT[rule],))
    order = f"{rule}: an approximation, with an error of the order of {_ORDER[rule]} for smooth inputs"
    stable = ("it may be unstable where the continuous model is stable",) if rule in ("euler", "gbt") else ()
    return Conversion(value, exact=False, error_bound=jnp.inf, norm="hinf", notes=(order, *stable))


def _lengths(dt: Any) -> Array:
    """Lengths of steps, a number or one for each stamp; a length of zero is a stamp at the same time."""
    steps = floating(dt)
    if steps.ndim > 1:
        raise ValueError(f"dt is a number, or one for each stamp, got shape {steps.shape}")
    if not is_traced(steps) and not bool(jnp.all((steps > 0) if steps.ndim == 0 else (steps >= 0))):
        raise ValueError(f"dt is a positive length of time, got {dt}")
    return steps


@partial(jax.jit, static_argnames=("rule", "alpha"))
def _step(A: Array, B: Array, Q: Array, steps: Array, rule: Rule, alpha: float | None) -> Discretised:
    """One step, or one for each stamp."""

    def one(dt: Array) -> Discretised:
        return discretise(A, B, Q, dt, rule, alpha)

    return one(steps) if steps.ndim == 0 else jax.vmap(one)(steps)


def _shared(model: ContinuousSSM, steps: Array) -> dict[str, Any]:
    """What every rule carries over."""
    measured = model.R
    if model.measured == "averaged":
        measured = model.R / steps if steps.ndim == 0 else model.R / steps[:, None, None]
    return {
        "R": measured,
        "mean": model.mean,
        "cov": model.cov,
        "diffuse": model.diffuse,
        "dt": steps,
        "state_names": model.state_names,
        "input_names": model.input_names,
        "series_names": model.series_names,
    }


def _held(model: ContinuousSSM, parts: Discretised, steps: Array, timing: Any, start: Any) -> DiscreteSSM:
    """A step that takes one input, in either timing, with C and D as they are."""
    return DiscreteSSM(
        parts.A, parts.late, model.C, model.D, parts.Q, timing=timing, start=start or "at", **_shared(model, steps)
    )


def _two_sided(model: ContinuousSSM, parts: Discretised, steps: Array) -> DiscreteSSM:
    """A step that takes the inputs at both ends, with the state x[k] - late u[k], which only past inputs drive.

    With a length for each step, the `late` of a stamp is that of the step which ends there.
    """
    assert parts.early is not None
    late = parts.late if steps.ndim == 0 else later(parts.late, back=True)
    return DiscreteSSM(
        parts.A,
        parts.early + parts.A @ late,
        model.C,
        model.D + model.C @ late,
        parts.Q,
        timing="previous",
        **_shared(model, steps),
    )
