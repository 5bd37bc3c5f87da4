"""The cell that is Euler's method on a stable differential equation."""

from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.linalg import matmul
from ...core.parameters import Unknown, with_fields
from ..weights import biases, check_counts, input_weight, set_weights, weight
from .cell import AbstractCell
from .rotations import antisymmetric_matrix


class Antisymmetric(AbstractCell):
    """The cell that is Euler's method on a stable differential equation.

        h' = h + step_size dt g * tanh((A - damping I) h + V u + b),      A = -A',      output = h'
        g = 1,   or   s((A - damping I) h + V_g u + b_g)   with gate=True

    with s the logistic function. The equation's eigenvalues have real parts at or below zero; damping above zero makes
    up for what Euler's method adds.

    Args:
        input_size: Number of inputs; 0 for a cell that runs by itself.
        hidden_size: Number of units.
        step_size: Of Euler's method, above 0.
        damping: gamma, at least 0.
        gate: Whether a gate decides how far each unit moves.
        key: PRNG key of the weights: A's elements normal of variance 1 / units, V's of variance 1 / inputs, biases
            zero; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1, the step size is not positive, or the damping is negative.

    Example:
        >>> cell = Antisymmetric(2, 3, key=jax.random.key(0))
        >>> cell.scan(jnp.ones((4, 2)), dt=jnp.array([1.0, 0.5, 2.0, 1.0]))[0].shape
        (4, 3)

    Reference: Chang, Chen, Haber and Chi (2019), "AntisymmetricRNN: a dynamical system view on recurrent neural
    networks", eqs. 10 to 13.
    """

    input_weights: Float[Array, "units inputs"] | Unknown = input_weight(lambda self: self.units)
    skew: Float[Array, " pairs"] | Unknown = weight(
        lambda self: (self.units * (self.units - 1) // 2,),
        lambda self, key, shape: jax.random.normal(key, shape) * self.units**-0.5,
        spread=lambda self: self.units**-0.5,
        active=lambda self: self.units > 1,
    )
    bias: Float[Array, " units"] | Unknown = biases(lambda self: self.units)
    gate_weights: Float[Array, "units inputs"] | Unknown = input_weight(
        lambda self: self.units, active=lambda self: self.gate
    )
    gate_bias: Float[Array, " units"] | Unknown = biases(lambda self: self.units, active=lambda self: self.gate)
    _: KW_ONLY  # the fields below have no default, those above have
    matrix: Float[Array, "units units"] | None = None
    inputs: int = eqx.field(static=True)
    units: int = eqx.field(static=True)
    step_size: float = eqx.field(static=True)
    damping: float = eqx.field(static=True)
    gate: bool = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        step_size: float = 0.1,
        damping: float = 0.01,
        gate: bool = False,
        key: Any = None,
    ):
        check_counts(0, input_size=input_size)
        check_counts(hidden_size=hidden_size)
        if not step_size > 0 or not damping >= 0:
            raise ValueError(f"step_size is above 0 and damping at least 0, got {step_size} and {damping}")
        self.inputs, self.units, self.gate = input_size, hidden_size, bool(gate)
        self.step_size, self.damping, self.matrix = float(step_size), float(damping), None
        set_weights(self, key)

    @property
    def reads_dt(self) -> bool:
        """A step moves along the differential equation by its length."""
        return True

    def recurrent_matrix(self) -> Float[Array, "units units"]:
        """A - damping I."""
        if self.matrix is not None:
            return self.matrix
        values = jnp.zeros(0, self.bias.dtype) if self.skew is None else self.skew
        return antisymmetric_matrix(values, self.units) - self.damping * jnp.eye(self.units, dtype=values.dtype)

    def prepared(self) -> "Antisymmetric":
        """The cell with its matrix formed."""
        return with_fields(self, matrix=self.recurrent_matrix())

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps driven"]:
        """V u + b, and the gate's."""
        moved = self.from_inputs(u, self.input_weights, self.bias)
        if not self.gate:
            return moved
        return jnp.concatenate([moved, self.from_inputs(u, self.gate_weights, self.gate_bias)], axis=-1)

    def advance(
        self, state: Float[Array, " units"], driven: Float[Array, " driven"], dt: Any = None
    ) -> Float[Array, " units"]:
        """The units after an input."""
        turned = matmul(self.recurrent_matrix(), state)
        move = jnp.tanh(turned + driven[: self.units])
        if self.gate:
            move = jax.nn.sigmoid(turned + driven[self.units :]) * move
        return state + self.step_size * (1.0 if dt is None else dt) * move
