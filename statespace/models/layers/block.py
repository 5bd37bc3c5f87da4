"""Blocks: a recursion between a normalisation, a gate and a skip connection."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ...core.recurrence import Method
from ..recursion import AbstractRecursion
from .affine import Affine, LayerNorm
from .layer import AbstractLayer, silenced


class Block(AbstractLayer):
    """A pre-normalised residual block around a layer, or around a recurrent cell.

        output = u + glu(gelu(layer(norm(u)))),      glu(x) = (W x + b) s(V x + c)

    Args:
        layer: The recursion; it has as many inputs as the block.
        key: PRNG key of the block's own weights; they are unknown when it is left out.

    Example:
        >>> from statespace.models.layers import LRU
        >>> Block(LRU(3, 8)).output_size  # with keys (key=jax.random.key(0)) weights are drawn
        3

    Reference: Smith, Warrington and Linderman (2023), "Simplified state space layers for sequence modeling", app. G.
    """

    norm: LayerNorm
    layer: AbstractRecursion
    gate: Affine

    def __init__(self, layer: AbstractRecursion, *, key: Any = None):
        if not isinstance(layer, AbstractRecursion):
            raise TypeError(f"a block is made around a recursion (a layer or a cell), got {type(layer).__name__}")
        self.layer = layer
        self.norm = LayerNorm(layer.input_size, key=key)
        self.gate = Affine(layer.output_size, 2 * layer.input_size, key=key)

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.layer.input_size

    @property
    def output_size(self) -> int:
        """Number of outputs of a step: that of inputs."""
        return self.layer.input_size

    @property
    def reads_dt(self) -> bool:
        """Whether the layer depends on the time between steps."""
        return self.layer.reads_dt

    def start(self) -> PyTree:
        """The layer's state before the first input."""
        return self.layer.start()

    def _after(self, u: Float[Array, "*steps inputs"], x: Float[Array, "*steps outputs"]) -> Array:
        value, gate = jnp.split(self.gate(jax.nn.gelu(x)), 2, axis=-1)
        return u + value * jax.nn.sigmoid(gate)

    def step(self, state: PyTree, u: Float[Array, " inputs"], dt: Any = None) -> tuple[PyTree, Float[Array, " inputs"]]:
        """The state after an input, and the output.

        Args:
            state: The layer's state before.
            u: The input.
            dt: Time since the step before; 1 when left out.
        """
        state, x = self.layer.step(state, self.norm(u), dt)
        return state, self._after(u, x)

    def scan(
        self,
        u: Float[Array, "time inputs"],
        state: PyTree = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> tuple[Float[Array, "time inputs"], PyTree]:
        """All outputs, and the last state; as `AbstractLayer.scan`. A cell has `"auto"` and `"sequential"` only."""
        self.check_scan(u, dt, mask, method)
        u = silenced(u, mask)
        x, state = run(self.layer, self.norm(u), state, dt, mask, method)
        return silenced(self._after(u, x), mask), state


def run(recursion: AbstractRecursion, u: Array, state: Any, dt: Any, mask: Any, method: Method) -> tuple[Array, Any]:
    """A recursion's scan, by a method if it has several.

    Args:
        recursion: A layer, or any other recursion, which is stepped.
        u: Inputs, (time, inputs).
        state: The state before the first of them; `start()` when None.
        dt: Time since the step before, for each step; None where it is 1.
        mask: Steps that do not happen are False; None where all do.
        method: As for `AbstractLayer.scan`.

    Raises:
        ValueError: If the recursion is no layer and the method is another than `"auto"` and `"sequential"`, or the
            recursion's scan refuses the arguments.
    """
    if isinstance(recursion, AbstractLayer):
        return recursion.scan(u, state, dt=dt, mask=mask, method=method)
    if method not in ("auto", "sequential"):
        raise ValueError(f'{type(recursion).__name__} has one algorithm: method="sequential", got {method!r}')
    return recursion.scan(u, state, dt=dt, mask=mask)
