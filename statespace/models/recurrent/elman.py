"""The simple recurrent cell."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core.parameters import Unknown
from ..weights import biases, check_choice, check_counts, input_weight, orthogonal, set_weights, weight
from .matrix_cell import AbstractMatrixCell

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "identity": lambda x: x}


class Elman(AbstractMatrixCell):
    """The simple recurrent cell; with the identity as activation, a linear system.

        h[t] = s(W u[t] + U h[t-1] + b),      output = h[t]

    Args:
        input_size: Number of inputs; 0 for a cell that runs by itself.
        hidden_size: Number of units.
        activation: s: "tanh", "relu" or "identity".
        key: PRNG key of the weights: U orthogonal, W normal of variance 1 / inputs, b zero; they are unknown when it
            is left out.

    Raises:
        ValueError: If a size is below 1 or the activation is unknown.

    Example:
        >>> cell = Elman(2, 3, key=jax.random.key(0))
        >>> cell.scan(jnp.ones((5, 2)))[0].shape
        (5, 3)

    Reference: Elman (1990), "Finding structure in time", Cognitive Science 14.
    """

    input_weights: Float[Array, "units inputs"] | Unknown = input_weight(lambda self: self.units)
    recurrent_weights: Float[Array, "units units"] | Unknown = weight(lambda self: (self.units, self.units), orthogonal)
    bias: Float[Array, " units"] | Unknown = biases(lambda self: self.units)
    _: KW_ONLY  # the fields below have no default, those above have
    inputs: int = eqx.field(static=True)
    units: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(self, input_size: int, hidden_size: int, *, activation: str = "tanh", key: Any = None):
        check_counts(0, input_size=input_size)
        check_counts(hidden_size=hidden_size)
        self.inputs, self.units = input_size, hidden_size
        self.activation = check_choice("activation", activation, tuple(ACTIVATIONS))
        set_weights(self, key)

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps units"]:
        """W u + b."""
        return self.from_inputs(u, self.input_weights, self.bias)

    def join(
        self, state: Sequence[Array], product: Sequence[Array], driven: Sequence[Array], dt: Any = None
    ) -> list[Array]:
        """The units after an input."""
        del state, dt
        return [ACTIVATIONS[self.activation](driven[0] + product[0])]

    def lipschitz(self) -> tuple[float, float]:
        """The norms of U and of W: no activation has a slope above 1."""
        inside, outside = np.asarray(self.recurrent_weights), np.asarray(self.input_weights)
        return float(np.linalg.norm(inside, 2)), float(np.linalg.norm(outside, 2)) if outside.size else 0.0
