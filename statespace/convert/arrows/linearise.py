"""Recursions linearised along a path or at a fixed point, as linear-Gaussian models with noise.

        x[t] = f(x[t-1], u[t]) + w[t]  ~  F[t] x[t-1] + c[t] + w[t],      F = df/dx,      c = f(x, u) - F x at the path

The output of a cell is a function of its state, and is linearised there. That of another recursion is a function of
the state before and of the input: it joins the state.
"""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.certificates import radius_on_host
from ...core.linalg import psd_factor
from ...core.parameters import require_known
from ...core.riccati import lyapunov
from ...models.base import noise_matrix
from ...models.linear import LinearGaussian
from ...models.recurrent import AbstractCell
from ...models.recurrent.ravelled import as_cell
from ...models.recursion import AbstractRecursion
from ..conversion import Conversion
from ..registry import arrow

_ROUNDS = 100


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
    cell = as_cell(recursion)
    noise = _padded(cell, _factor(state_scale, cell.num_noises, "state_scale"))
    sizes = (recursion.input_size,) if about == "fixed_point" else (None, recursion.input_size)
    u = jnp.asarray(inputs, cell.start().dtype)
    if u.ndim != len(sizes) or u.shape[-1] != recursion.input_size:
        raise ValueError(f"inputs have shape {u.shape}, expected {sizes} (about {about})")
    if about == "path":
        return _along(cell, u, dt, path, noise, series_scale, initial_scale)
    if path is not None:
        raise ValueError("a fixed point has no path: leave path= out")
    return _at_fixed_point(cell, u, dt, noise, series_scale, initial_scale)


def _step(cell: AbstractCell, state: Array, u: Array, dt: Any) -> Array:
    """The state after an input, without the output."""
    return cell.step(state, u, dt)[0]


def _factor(scale: Any, size: int, what: str) -> Float[Array, "size noise"]:
    factor = noise_matrix(jnp.asarray(scale, float))
    if factor.ndim != 2 or len(factor) != size:
        raise ValueError(
            f"{what} has shape {jnp.shape(scale)}, expected ({size},) standard deviations or ({size}, noise)"
        )
    return factor


def _padded(cell: AbstractCell, factor: Array) -> Array:
    """A factor for all states, zero for those that no noise enters."""
    return jnp.pad(factor, ((0, cell.state_size - len(factor)), (0, 0)))


def _along(
    cell: AbstractCell, u: Array, dt: Any, path: Any, noise: Array, series_scale: Any, initial_scale: Any
) -> Conversion:
    """The model for the stamps of the path."""
    spacing = None if dt is None else jnp.broadcast_to(jnp.asarray(dt, u.dtype), u.shape[:1])
    step, start, n, noisy = partial(_step, cell), cell.start(), cell.state_size, cell.num_noises

    def onward(state: Array, slot: Any) -> tuple[Array, Array]:
        after = step(state, *slot)
        return after, after

    run = jax.jit(lambda slots: jax.lax.scan(onward, start, slots)[1])
    own = run((u, spacing)) if path is None else jnp.asarray(path, u.dtype)
    if own.ndim != 2 or len(own) != len(u) or own.shape[1] not in (n, noisy):
        raise ValueError(f"the path has shape {own.shape}, expected {(len(u), noisy)}, one state for each input")
    own = jnp.pad(own, ((0, 0), (0, n - own.shape[1])))
    before = jnp.concatenate([start[None], own[:-1]])

    @jax.jit
    def derivatives(before: Array, here: Array, u: Array, spacing: Any) -> Any:
        F = jax.vmap(jax.jacfwd(step))(before, u, spacing)
        after = jax.vmap(step)(before, u, spacing)
        H = jax.vmap(jax.jacfwd(cell.output))(here)
        return F, after - jnp.einsum("tij,tj->ti", F, before), H, jax.vmap(cell.output)(here), after

    F, c, H, output, after = derivatives(before, own, u, spacing)
    first = jnp.zeros((noisy, 1)) if initial_scale is None else _factor(initial_scale, noisy, "initial_scale")
    first = F[0] @ _padded(cell, first)
    value = LinearGaussian(
        F,
        noise,
        H,
        _factor(series_scale, H.shape[1], "series_scale"),
        after[0],
        jnp.concatenate([first, noise], axis=1),
        transition_offset=c,
        emission_offset=output - jnp.einsum("tij,tj->ti", H, own),
        state_names=cell.state_names,
    )
    residual = _residual(cell, before, u, spacing, F, noise)
    return _linearised(value, residual, "the inputs are part of the offsets: the model is for the stamps of the path")


def _residual(cell: AbstractCell, before: Array, u: Array, spacing: Any, F: Array, noise: Array) -> float:
    """The largest error of a linearised step from a standard deviation of a step's noise beside the path."""
    moves = jnp.concatenate([noise.T, -noise.T])

    @jax.jit
    @jax.vmap
    def off(state: Array, u: Array, dt: Any, F: Array) -> Array:
        here = _step(cell, state, u, dt)
        beside = jax.vmap(lambda move: _step(cell, state + move, u, dt))(moves)
        return jnp.max(jnp.linalg.norm(beside - here - moves @ F.T, axis=1), initial=0.0)

    return float(jnp.max(off(before, u, spacing, F)))


def _linearised(value: LinearGaussian, residual: float, note: str) -> Conversion:
    said = f"a step is off by up to {residual:.3g} one standard deviation of a step's noise away"
    return Conversion(value, exact=False, error_bound=float("inf"), norm="output", notes=(said, note))


def _at_fixed_point(
    cell: AbstractCell, u: Array, dt: Any, noise: Array, series_scale: Any, initial_scale: Any
) -> Conversion:
    """A model constant in time, for states near the fixed point and inputs near the given one."""
    spacing = None if dt is None else jnp.asarray(dt, u.dtype)
    point = _fixed_point(cell, u, spacing)
    F, B = jax.jit(jax.jacfwd(partial(_step, cell), argnums=(0, 1)))(point, u, spacing)
    H, output = jax.jacfwd(cell.output)(point), cell.output(point)
    if initial_scale is None:
        rho = radius_on_host(F)
        if rho >= 1:
            raise ValueError(f"the fixed point is not stable (radius {rho:.6g}): give initial_scale=")
        first = psd_factor(lyapunov(F, noise @ noise.T))
    else:
        first = _padded(cell, _factor(initial_scale, cell.num_noises, "initial_scale"))
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
        state_names=cell.state_names,
    )
    residual = _residual(cell, point[None], u[None], None if spacing is None else spacing[None], F[None], noise)
    return _linearised(value, residual, "the model is for states near the fixed point and inputs near the given one")


def _fixed_point(cell: AbstractCell, u: Array, spacing: Any) -> Array:
    """The state that a step leaves as it is, by Newton's method from the start."""
    step = partial(_step, cell)

    @jax.jit
    def newton(state: Array) -> tuple[Array, Array]:
        gap = step(state, u, spacing) - state
        slope = jax.jacfwd(step)(state, u, spacing) - jnp.eye(len(state))
        return state - jnp.linalg.solve(slope, gap), jnp.max(jnp.abs(gap))

    state, tolerance = cell.start(), 100 * float(jnp.finfo(u.dtype).eps)
    for _ in range(_ROUNDS):
        after, gap = newton(state)
        if gap <= tolerance * (1 + float(jnp.max(jnp.abs(state)))):
            return state
        state = after
    raise ValueError(f"no fixed point was found: after {_ROUNDS} rounds of Newton's method a step moves by {gap:.3g}")
