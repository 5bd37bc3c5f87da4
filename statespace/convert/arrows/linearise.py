"""Recursions linearised along a path or at a fixed point, as linear-Gaussian models with noise.

        x[t] = f(x[t-1], u[t]) + w[t]  ~  F[t] x[t-1] + c[t] + w[t],      F = df/dx,      c = f(x, u) - F x at the path

The output of a cell is a function of its state, and is linearised there. That of another recursion is a function of
the state before and of the input: it joins the state.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.linalg import psd_factor
from ...core.parameters import require_known
from ...core.riccati import lyapunov
from ...models.base import noise_matrix
from ...models.linear import LinearGaussian
from ...models.recurrent import AbstractCell
from ...models.recurrent.ravelled import as_cell
from ...models.recursion import AbstractRecursion
from ..conversion import Conversion
from ..forms.innovations import spectral_radius
from ..registry import arrow

_ROUNDS = 100


class _System(NamedTuple):
    """A recursion as functions of vectors: the next state, and what is seen of it.

    Attributes:
        step: (state, input, dt) -> state.
        seen: state -> output.
        start: The state before the first input.
        names: Names of the states.
        noisy: How many of the states, the first ones, have noise.
    """

    step: Callable[[Array, Array, Any], Array]
    seen: Callable[[Array], Array]
    start: Array
    names: tuple[str, ...]
    noisy: int


@arrow(AbstractRecursion, LinearGaussian, cost=3.0)
def linearise_recursion(
    recursion: AbstractRecursion,
    *,
    inputs: Any,
    state_scale: Any,
    series_scale: Any,
    initial_scale: Any = None,
    about: Literal["path", "fixed_point"] = "path",
    path: Any = None,
    dt: Any = None,
) -> Conversion:
    """A recursion with noise added to its state and its output, linearised.

    Args:
        recursion: The recursion.
        inputs: Along a path, its inputs, (time, inputs): they are part of the offsets. At a fixed point the constant
            input, (inputs,), for which it is one; the model then reads inputs.
        state_scale: Standard deviations, (state,), or a factor, (state, noise), of the noise of each step.
        series_scale: The same of the noise of the series.
        initial_scale: The same of the first state's law: along a path of the state before the first input, known when
            left out; at a fixed point of the state at the first stamp, stationary when left out.
        about: `"path"` or `"fixed_point"`.
        path: States along which to linearise, (time, state), such as smoothed ones; the recursion's own without noise
            when left out. To linearise again along what was smoothed is Newton's method.
        dt: Time between steps, for a recursion that reads it: (time,), or a number at a fixed point.

    Returns:
        The model. There is no bound on its error; a note says by how much a step is off, one standard deviation of a
        step's noise away.

    Raises:
        ValueError: If shapes do not fit, no fixed point is found, or it is not stable and has no initial_scale.

    Example:
        >>> import statespace as ss
        >>> from statespace.models.recurrent import Elman
        >>> cell = Elman(1, 2, key=jax.random.key(0))
        >>> found = ss.convert(cell, ss.LinearGaussian, inputs=jnp.ones((6, 1)), state_scale=0.1 * jnp.ones(2),
        ...     series_scale=jnp.ones(2))
        >>> found.value.transition_matrix.shape
        (6, 2, 2)
    """
    require_known(recursion, "the recursion")
    if about not in ("path", "fixed_point"):
        raise ValueError(f'about is "path" or "fixed_point", got {about!r}')
    if dt is not None and not recursion.reads_dt:
        raise ValueError(f"{type(recursion).__name__} does not depend on the time between steps: leave dt= out")
    system = _system(as_cell(recursion))
    noise = _factor(state_scale, system.noisy, "state_scale")
    noise = jnp.pad(noise, ((0, len(system.start) - system.noisy), (0, 0)))
    sizes = (recursion.input_size,) if about == "fixed_point" else (None, recursion.input_size)
    u = jnp.asarray(inputs, system.start.dtype)
    if u.ndim != len(sizes) or u.shape[-1] != recursion.input_size:
        raise ValueError(f"inputs have shape {u.shape}, expected {sizes} (about {about})")
    if about == "path":
        return _along(system, u, dt, path, noise, series_scale, initial_scale)
    if path is not None:
        raise ValueError("a fixed point has no path: leave path= out")
    return _at_fixed_point(system, u, dt, noise, series_scale, initial_scale)


def _system(cell: AbstractCell) -> _System:
    """The functions of a cell, whose output is one of the state."""

    def step(state: Array, u: Array, dt: Any) -> Array:
        return cell.step(state, u, dt)[0]

    return _System(step, cell.output, cell.start(), cell.state_names, cell.num_noises)


def _factor(scale: Any, size: int, what: str) -> Float[Array, "size noise"]:
    factor = noise_matrix(jnp.asarray(scale, float))
    if factor.ndim != 2 or len(factor) != size:
        raise ValueError(
            f"{what} has shape {jnp.shape(scale)}, expected ({size},) standard deviations or ({size}, noise)"
        )
    return factor


def _along(
    system: _System, u: Array, dt: Any, path: Any, noise: Array, series_scale: Any, initial_scale: Any
) -> Conversion:
    """The model for the stamps of the path."""
    spacing = None if dt is None else jnp.broadcast_to(jnp.asarray(dt, u.dtype), u.shape[:1])
    n = len(system.start)

    def onward(state: Array, slot: Any) -> tuple[Array, Array]:
        after = system.step(state, *slot)
        return after, after

    run = jax.jit(lambda slots: jax.lax.scan(onward, system.start, slots)[1])
    own = run((u, spacing)) if path is None else jnp.asarray(path, u.dtype)
    if own.ndim != 2 or len(own) != len(u) or own.shape[1] not in (n, system.noisy):
        raise ValueError(f"the path has shape {own.shape}, expected {(len(u), system.noisy)}, one state for each input")
    own = jnp.pad(own, ((0, 0), (0, n - own.shape[1])))
    before = jnp.concatenate([system.start[None], own[:-1]])

    @jax.jit
    def derivatives(before: Array, here: Array, u: Array, spacing: Any) -> Any:
        F = jax.vmap(jax.jacfwd(system.step))(before, u, spacing)
        after = jax.vmap(system.step)(before, u, spacing)
        H = jax.vmap(jax.jacfwd(system.seen))(here)
        return F, after - jnp.einsum("tij,tj->ti", F, before), H, jax.vmap(system.seen)(here), after

    F, c, H, output, after = derivatives(before, own, u, spacing)
    first = jnp.zeros((n, 1)) if initial_scale is None else _factor(initial_scale, system.noisy, "initial_scale")
    first = F[0] @ jnp.pad(first, ((0, n - len(first)), (0, 0)))
    value = LinearGaussian(
        F,
        noise,
        H,
        _factor(series_scale, H.shape[1], "series_scale"),
        after[0],
        jnp.concatenate([first, noise], axis=1),
        transition_offset=c,
        emission_offset=output - jnp.einsum("tij,tj->ti", H, own),
        state_names=system.names,
    )
    residual = _residual(system, before, u, spacing, F, noise)
    return _linearised(value, residual, "the inputs are part of the offsets: the model is for the stamps of the path")


def _residual(system: _System, before: Array, u: Array, spacing: Any, F: Array, noise: Array) -> float:
    """The largest error of a linearised step from a standard deviation of a step's noise beside the path."""
    moves = jnp.concatenate([noise.T, -noise.T])

    @jax.jit
    @jax.vmap
    def off(state: Array, u: Array, dt: Any, F: Array) -> Array:
        here = system.step(state, u, dt)
        beside = jax.vmap(lambda move: system.step(state + move, u, dt))(moves)
        return jnp.max(jnp.linalg.norm(beside - here - moves @ F.T, axis=1), initial=0.0)

    return float(jnp.max(off(before, u, spacing, F)))


def _linearised(value: LinearGaussian, residual: float, note: str) -> Conversion:
    said = f"a step is off by up to {residual:.3g} one standard deviation of a step's noise away"
    return Conversion(value, exact=False, error_bound=float("inf"), norm="output", notes=(said, note))


def _at_fixed_point(
    system: _System, u: Array, dt: Any, noise: Array, series_scale: Any, initial_scale: Any
) -> Conversion:
    """A model constant in time, for states near the fixed point and inputs near the given one."""
    n = len(system.start)
    spacing = None if dt is None else jnp.asarray(dt, u.dtype)
    point = _fixed_point(system, u, spacing)
    F, B = jax.jit(jax.jacfwd(system.step, argnums=(0, 1)))(point, u, spacing)
    H, output = jax.jacfwd(system.seen)(point), system.seen(point)
    if initial_scale is None:
        rho = spectral_radius(F)
        if rho >= 1:
            raise ValueError(f"the fixed point is not stable (radius {rho:.6g}): give initial_scale=")
        first = psd_factor(lyapunov(F, noise @ noise.T))
    else:
        first = jnp.pad(_factor(initial_scale, system.noisy, "initial_scale"), ((0, n - system.noisy), (0, 0)))
    value = LinearGaussian(
        F,
        noise,
        H,
        _factor(series_scale, len(H), "series_scale"),
        point,
        first,
        transition_offset=point - F @ point - B @ u,
        emission_offset=output - H @ point,
        transition_input=B if len(u) else None,
        state_names=system.names,
    )
    residual = _residual(system, point[None], u[None], None if spacing is None else spacing[None], F[None], noise)
    return _linearised(value, residual, "the model is for states near the fixed point and inputs near the given one")


def _fixed_point(system: _System, u: Array, spacing: Any) -> Array:
    """The state that a step leaves as it is, by Newton's method from the start."""

    @jax.jit
    def newton(state: Array) -> tuple[Array, Array]:
        gap = system.step(state, u, spacing) - state
        slope = jax.jacfwd(system.step)(state, u, spacing) - jnp.eye(len(state))
        return state - jnp.linalg.solve(slope, gap), jnp.max(jnp.abs(gap))

    state, tolerance = system.start, 100 * float(jnp.finfo(system.start.dtype).eps)
    for _ in range(_ROUNDS):
        after, gap = newton(state)
        if gap <= tolerance * (1 + float(jnp.max(jnp.abs(state)))):
            return state
        state = after
    raise ValueError(f"no fixed point was found: after {_ROUNDS} rounds of Newton's method a step moves by {gap:.3g}")
