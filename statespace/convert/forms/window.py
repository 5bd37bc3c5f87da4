"""A recursion that has forgotten all but its last inputs: a non-linear filter of finite impulse response."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ...models.recursion import AbstractRecursion


class UnrolledWindow(AbstractRecursion):
    """A recursion run anew for each output, from its start over the last inputs only.

        output[t] = last output of recursion.scan(u[t - window + 1], ..., u[t])

    The first outputs, of which there are no more inputs than these, are those of the recursion itself. The state is the
    window, so that it is a recursion too, and outputs can be had for all stamps at once.

    Args:
        recursion: What is unrolled.
        window: Number of inputs.

    Raises:
        ValueError: If the window is below 1.

    Example:
        >>> import jax
        >>> from statespace.models.recurrent import Elman
        >>> cell = Elman(1, 2, key=jax.random.key(0))
        >>> UnrolledWindow(cell, 3).scan(jnp.ones((5, 1)))[0].shape
        (5, 2)
    """

    domain_of_time: ClassVar[str] = "discrete"

    recursion: AbstractRecursion
    window: int = eqx.field(static=True)

    def __init__(self, recursion: AbstractRecursion, window: int):
        self.recursion, self.window = recursion, window
        if not isinstance(window, int) or window < 1:
            raise ValueError(f"a window is a whole number of inputs from 1 on, got {window!r}")

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.recursion.input_size

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return self.recursion.output_size

    @property
    def reads_dt(self) -> bool:
        """Whether a step depends on the time since the one before."""
        return self.recursion.reads_dt

    def start(self) -> dict[str, Array]:
        """An empty window: inputs, the time before each, and how many there are."""
        return {
            "inputs": jnp.zeros((self.window, self.input_size)),
            "dt": jnp.ones(self.window),
            "count": jnp.zeros(()),
        }

    def step(
        self, state: PyTree, u: Float[Array, " inputs"], dt: Float[Array, ""] | float | None = None
    ) -> tuple[PyTree, Float[Array, " outputs"]]:
        """The window with the new input, and the recursion's output after it.

        Args:
            state: The window before.
            u: The input.
            dt: Time since the step before; 1 when left out.
        """
        inputs = jnp.concatenate([state["inputs"][1:], u[None]])
        spacing = jnp.concatenate([state["dt"][1:], jnp.asarray(1.0 if dt is None else dt, inputs.dtype)[None]])
        count = jnp.minimum(state["count"] + 1, self.window)
        present = jnp.arange(self.window) >= self.window - count
        outputs, _ = self.recursion.scan(inputs, dt=spacing if self.reads_dt else None, mask=present)
        return {"inputs": inputs, "dt": spacing, "count": count}, outputs[-1]
