"""The cell whose recurrence goes through its output only."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from ...core.linalg import matmul
from ...core.parameters import Unknown
from ..weights import biases, check_choice, check_counts, input_weight, normal, set_weights, weight
from .elman import ACTIVATIONS
from .matrix_cell import AbstractMatrixCell


class Jordan(AbstractMatrixCell):
    """The cell whose recurrence goes through its output only: a nonlinear autoregression of order one.

        h[t] = s(W u[t] + U o[t-1] + b),      o[t] = V h[t] + c,      output = state = o[t]

    Args:
        input_size: Number of inputs; 0 for a cell that runs by itself.
        hidden_size: Number of units h.
        output_size: Number of outputs o, which are the state.
        activation: s: "tanh", "relu" or "identity".
        key: PRNG key of the weights, normal with a variance of one over the number of terms; biases are zero. They are
            unknown when it is left out.

    Raises:
        ValueError: If a size is below 1 or the activation is unknown.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> outputs, state = Jordan(2, 8, 3, key=jax.random.key(0)).scan(jnp.ones((5, 2)))
        >>> outputs.shape, state.shape
        ((5, 3), (3,))

    Reference: Jordan (1986), "Serial order: a parallel distributed processing approach", ICS report 8604.
    """

    input_weights: Float[Array, "hidden inputs"] | Unknown = input_weight(lambda self: self.hidden)
    recurrent_weights: Float[Array, "hidden units"] | Unknown = weight(lambda self: (self.hidden, self.units), normal)
    bias: Float[Array, " hidden"] | Unknown = biases(lambda self: self.hidden)
    output_weights: Float[Array, "units hidden"] | Unknown = weight(lambda self: (self.units, self.hidden), normal)
    output_bias: Float[Array, " units"] | Unknown = biases(lambda self: self.units)
    _: KW_ONLY  # the fields below have no default, those above have
    inputs: int = eqx.field(static=True)
    units: int = eqx.field(static=True)
    hidden: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, *, activation: str = "tanh", key: Any = None
    ):
        check_counts(0, input_size=input_size)
        check_counts(hidden_size=hidden_size, output_size=output_size)
        self.inputs, self.hidden, self.units = input_size, hidden_size, output_size
        self.activation = check_choice("activation", activation, tuple(ACTIVATIONS))
        set_weights(self, key)

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps hidden"]:
        """W u + b."""
        return self.from_inputs(u, self.input_weights, self.bias)

    def join(
        self, state: Sequence[Array], product: Sequence[Array], driven: Sequence[Array], dt: Any = None
    ) -> list[Array]:
        """The outputs after an input."""
        del state, dt
        h = ACTIVATIONS[self.activation](driven[0] + product[0])
        return [matmul(self.output_weights, h) + self.output_bias]
