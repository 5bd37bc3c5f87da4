"""The gated recurrent unit."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.linalg import matmul
from ...core.parameters import Unknown
from ..weights import biases, check_choice, check_counts, input_weight, orthogonal, set_weights, weight
from .matrix_cell import AbstractMatrixCell


class GRU(AbstractMatrixCell):
    """The gated recurrent unit, in both conventions of its reset gate.

        r = s(W_r u + U_r h + b_r)          (reset)
        z = s(W_z u + U_z h + b_z)          (update)
        n = tanh(W_n u + b_n + r * (U_n h + c))     reset="after"
        n = tanh(W_n u + b_n + U_n (r * h))         reset="before"
        h' = (1 - z) * n + z * h,      output = h'

    with s the logistic function; the blocks of the weights come in the order r, z, n.

    Args:
        input_size: Number of inputs; 0 for a cell that runs by itself.
        hidden_size: Number of units.
        reset: Whether the reset gate acts "after" the recurrent product (as cuDNN, torch and flax have it, with a bias
            c of its own) or "before" it (the first version of the paper).
        key: PRNG key of the weights: U's blocks orthogonal, W normal of variance 1 / inputs, biases zero; they are
            unknown when it is left out.

    Raises:
        ValueError: If a size is below 1 or the convention is unknown.

    Example:
        >>> GRU(2, 3, key=jax.random.key(0)).scan(jnp.ones((5, 2)))[0].shape
        (5, 3)

    Reference: Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder", eqs. 5-8; Chung et al.
    (2014), "Empirical evaluation of gated recurrent neural networks on sequence modeling".
    """

    input_weights: Float[Array, "gates inputs"] | Unknown = input_weight(lambda self: 3 * self.units)
    recurrent_weights: Float[Array, "gates units"] | Unknown = weight(
        lambda self: (3 * self.units, self.units), orthogonal
    )
    bias: Float[Array, " gates"] | Unknown = biases(lambda self: 3 * self.units)
    recurrent_bias: Float[Array, " units"] | Unknown = biases(
        lambda self: self.units, active=lambda self: self.reset == "after"
    )
    _: KW_ONLY  # the fields below have no default, those above have
    inputs: int = eqx.field(static=True)
    units: int = eqx.field(static=True)
    reset: str = eqx.field(static=True)

    def __init__(self, input_size: int, hidden_size: int, *, reset: str = "after", key: Any = None):
        check_counts(0, input_size=input_size)
        check_counts(hidden_size=hidden_size)
        self.inputs, self.units = input_size, hidden_size
        self.reset = check_choice("reset", reset, ("after", "before"))
        set_weights(self, key)

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps gates"]:
        """The inputs' part of both gates and of the candidate."""
        return self.from_inputs(u, self.input_weights, self.bias)

    @property
    def gates(self) -> int:
        """Reset, update and the candidate."""
        return 3

    def join(
        self, state: Sequence[Array], product: Sequence[Array], driven: Sequence[Array], dt: Any = None
    ) -> list[Array]:
        """The units after an input."""
        del dt
        r, z = (jax.nn.sigmoid(driven[i] + product[i]) for i in (0, 1))
        n = jnp.tanh(driven[2] + r * (product[2] + self.recurrent_bias))
        return [(1 - z) * n + z * state[0]]

    def after(self, state: Sequence[Array], driven: Sequence[Array], dt: Any = None) -> list[Array]:
        """The units after an input; where the reset gate acts before the product, that waits for the gate."""
        if self.reset == "after":
            return super().after(state, driven, dt)
        h, (r, z, n) = state[0], driven
        size = 2 * self.units
        gates, candidate = self.recurrent_weights[:size], self.recurrent_weights[size:]
        r, z = (jax.nn.sigmoid(u + p) for u, p in zip((r, z), jnp.split(matmul(gates, h), 2), strict=True))
        return [(1 - z) * jnp.tanh(n + matmul(candidate, r * h)) + z * h]
