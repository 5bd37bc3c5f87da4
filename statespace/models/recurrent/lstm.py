"""The long short-term memory cell."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.parameters import Unknown
from ..weights import biases, check_counts, input_weight, orthogonal, set_weights, weight, zeros
from .matrix_cell import AbstractMatrixCell


def _forget(cell: "LSTM") -> Array:
    """One for the forget gate's biases, zero for the others."""
    return jnp.where(jnp.arange(4 * cell.units) // cell.units == 1, 1.0, 0.0)


class LSTM(AbstractMatrixCell):
    """The long short-term memory cell with forget gate, and peepholes if asked for.

        i = s(W_i u + U_i h + p_i * c + b_i),      f = s(W_f u + U_f h + p_f * c + b_f)
        g = tanh(W_g u + U_g h + b_g),             c' = f * c + i * g
        o = s(W_o u + U_o h + p_o * c' + b_o),     h' = o * tanh(c'),      output = h'

    with s the logistic function; the blocks of the weights come in the order i, f, g, o. The state is h, then c.

    Args:
        input_size: Number of inputs; 0 for a cell that runs by itself.
        hidden_size: Number of units.
        peepholes: Whether the gates see the cell: p_i, p_f, p_o, else zero.
        key: PRNG key of the weights: U's blocks orthogonal, W normal of variance 1 / inputs, biases zero but for the
            forget gate's, which are 1, peepholes zero; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> cell = LSTM(2, 3, key=jax.random.key(0))
        >>> outputs, state = cell.scan(jnp.ones((5, 2)))
        >>> outputs.shape, state.shape
        ((5, 3), (6,))

    Reference: Hochreiter and Schmidhuber (1997), Neural Computation 9; forget gate: Gers, Schmidhuber and Cummins
    (2000), ibid. 12; peepholes: Gers, Schraudolph and Schmidhuber (2002), JMLR 3; its bias of 1: Jozefowicz, Zaremba
    and Sutskever (2015).
    """

    input_weights: Float[Array, "gates inputs"] | Unknown = input_weight(lambda self: 4 * self.units)
    recurrent_weights: Float[Array, "gates units"] | Unknown = weight(
        lambda self: (4 * self.units, self.units), orthogonal
    )
    bias: Float[Array, " gates"] | Unknown = biases(
        lambda self: 4 * self.units, init=lambda self, key, shape: _forget(self), centre=_forget
    )
    peephole_weights: Float[Array, "3 units"] | Unknown = weight(
        lambda self: (3, self.units), zeros, spread=lambda self: 1.0, active=lambda self: self.peepholes
    )
    _: KW_ONLY  # the fields below have no default, those above have
    inputs: int = eqx.field(static=True)
    units: int = eqx.field(static=True)
    peepholes: bool = eqx.field(static=True)

    def __init__(self, input_size: int, hidden_size: int, *, peepholes: bool = False, key: Any = None):
        check_counts(0, input_size=input_size)
        check_counts(hidden_size=hidden_size)
        self.inputs, self.units, self.peepholes = input_size, hidden_size, bool(peepholes)
        set_weights(self, key)

    @property
    def state_size(self) -> int:
        """Units and cells."""
        return 2 * self.units

    @property
    def state_names(self) -> tuple[str, ...]:
        """Of units and cells."""
        return tuple(f"{kind}{i}" for kind in "hc" for i in range(self.units))

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps gates"]:
        """The inputs' part of the gates and of the candidate."""
        return self.from_inputs(u, self.input_weights, self.bias)

    @property
    def gates(self) -> int:
        """Input, forget, candidate and output."""
        return 4

    @property
    def parts(self) -> int:
        """Units and cells."""
        return 2

    def join(
        self, state: Sequence[Array], product: Sequence[Array], driven: Sequence[Array], dt: Any = None
    ) -> list[Array]:
        """Units and cells after an input."""
        del dt
        c = state[1]
        i, f, g, o = (u + p for u, p in zip(driven, product, strict=True))
        if self.peepholes:
            i, f = i + self.peephole_weights[0] * c, f + self.peephole_weights[1] * c
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        if self.peepholes:
            o = o + self.peephole_weights[2] * c
        return [jax.nn.sigmoid(o) * jnp.tanh(c), c]

    def output(self, state: Float[Array, " state"]) -> Float[Array, " units"]:
        """The units."""
        return state[: self.units]
