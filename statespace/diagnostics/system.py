"""Deterministic systems as maps of vectors: recursions with `step(state, u) -> (state, output)`, or plain functions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ..core.real_vector import on_real_vectors


def prepared(system: Any, state: Any, inputs: Any, length: int | None) -> tuple[PyTree, Array]:
    """First state and inputs, the latter of no columns for a system without any.

    Args:
        system: A recursion with `step`, or a function of the state.
        state: The first state; `system.start()` when left out.
        inputs: Inputs of a recursion.
        length: Number of steps where there are none.

    Raises:
        TypeError: If the system is neither.
        ValueError: If the arguments do not fit.
    """
    if not (hasattr(system, "step") or callable(system)):
        raise TypeError(f"expected a recursion with step() or a function of the state, got {type(system).__name__}")
    if state is None and not hasattr(system, "start"):
        raise ValueError("a function does not say where it starts: pass state=")
    state = system.start() if state is None else state
    if (inputs is None) == (length is None):
        raise ValueError("give inputs= for a driven system, or length= for one without inputs")
    drive = jnp.zeros((length or 0, 0)) if inputs is None else jnp.asarray(inputs, float)
    wanted = getattr(system, "input_size", 0)
    if drive.ndim != 2 or drive.shape[1] != wanted:
        raise ValueError(f"inputs have shape {drive.shape}, expected (time, {wanted})")
    return jax.tree.map(jnp.asarray, state), drive


def as_map(system: Any, state: PyTree) -> Callable[[Array, Array], Array]:
    """The step as a map of state vectors and inputs."""
    stepped = on_real_vectors(system.step if hasattr(system, "step") else lambda x, u: (system(x), u), state)
    return lambda x, u: stepped(x, u)[0]
