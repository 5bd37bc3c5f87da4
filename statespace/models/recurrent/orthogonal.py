"""The cell whose recurrent matrix is orthogonal."""

import math
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.linalg import matmul
from ...core.parameters import Unknown, with_fields
from ..weights import biases, check_choice, check_counts, input_weight, normal, set_weights, weight
from .cell import AbstractCell
from .rotations import cayley, cayley_angles, householder


def _quarter_turns(cell: "Orthogonal", key: Any, shape: tuple[int, ...]) -> Array:
    """Pairs of units turned by angles between 0 and pi / 2 (Helfrich, Willmott and Ye, 2018, eq. 9)."""
    del shape
    return cayley_angles(jax.random.uniform(key, (cell.units // 2,), maxval=0.5 * math.pi), cell.units)


class Orthogonal(AbstractCell):
    """The cell whose recurrent matrix is orthogonal: what it holds neither fades nor grows.

        h[t] = s(W u[t] + Q h[t-1]),      Q'Q = I,      output = h[t]
        s(z) = sign(z) max(|z| + b, 0)          activation="modrelu"

    Q is made of free numbers: "cayley" takes (I + A)^-1 (I - A) D with A antisymmetric and D = diag(1, ..., -1, ...),
    "householder" a product of reflections.

    Args:
        input_size: Number of inputs; 0 for a cell that runs by itself.
        hidden_size: Number of units.
        parametrisation: "cayley" or "householder".
        num_negative: Number of elements of D that are -1 ("cayley" only).
        num_reflections: Number of reflections ("householder" only); as many as units when left out.
        activation: s: "modrelu", or "identity", with b added: an undamped linear system.
        key: PRNG key of the weights: W normal of variance 1 / inputs, b zero, pairs of units turned by random angles
            up to a quarter turn, or random reflections; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1, a choice is unknown, or a count does not fit.

    Example:
        >>> cell = Orthogonal(1, 4, key=jax.random.key(0))
        >>> q = cell.recurrent_matrix()
        >>> bool(jnp.allclose(q.T @ q, jnp.eye(4), atol=1e-6))
        True

    Reference: Arjovsky, Shah and Bengio (2016), "Unitary evolution recurrent neural networks", for modReLU; Helfrich,
    Willmott and Ye (2018), eqs. 4 and 5; Mhammedi et al. (2017).
    """

    input_weights: Float[Array, "units inputs"] | Unknown = input_weight(lambda self: self.units)
    skew: Float[Array, " pairs"] | Unknown = weight(
        lambda self: (self.units * (self.units - 1) // 2,),
        _quarter_turns,
        spread=lambda self: self.units**-0.5,
        active=lambda self: self.parametrisation == "cayley" and self.units > 1,
    )
    reflections: Float[Array, "reflections units"] | Unknown = weight(
        lambda self: (self.num_reflections, self.units),
        normal,
        active=lambda self: self.parametrisation == "householder",
    )
    bias: Float[Array, " units"] | Unknown = biases(lambda self: self.units)
    _: KW_ONLY  # the fields below have no default, those above have
    matrix: Float[Array, "units units"] | None = None
    inputs: int = eqx.field(static=True)
    units: int = eqx.field(static=True)
    parametrisation: str = eqx.field(static=True)
    num_negative: int = eqx.field(static=True)
    num_reflections: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        parametrisation: str = "cayley",
        num_negative: int = 0,
        num_reflections: int | None = None,
        activation: str = "modrelu",
        key: Any = None,
    ):
        check_counts(0, input_size=input_size)
        check_counts(hidden_size=hidden_size)
        self.parametrisation = check_choice("parametrisation", parametrisation, ("cayley", "householder"))
        _check_form(parametrisation, hidden_size, num_negative, num_reflections)
        self.inputs, self.units, self.num_negative = input_size, hidden_size, num_negative
        self.num_reflections = hidden_size if num_reflections is None else num_reflections
        self.activation = check_choice("activation", activation, ("modrelu", "identity"))
        self.matrix = None
        set_weights(self, key)

    def recurrent_matrix(self) -> Float[Array, "units units"]:
        """Q."""
        if self.matrix is not None:
            return self.matrix
        if self.parametrisation == "householder":
            return householder(self.reflections)
        signs = jnp.where(jnp.arange(self.units) < self.units - self.num_negative, 1.0, -1.0).astype(self.bias.dtype)
        values = jnp.zeros(0, self.bias.dtype) if self.skew is None else self.skew
        return cayley(values, signs)

    def prepared(self) -> "Orthogonal":
        """The cell with its matrix formed."""
        return with_fields(self, matrix=self.recurrent_matrix())

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps units"]:
        """W u."""
        return self.from_inputs(u, self.input_weights, jnp.zeros_like(self.bias))

    def advance(
        self, state: Float[Array, " units"], driven: Float[Array, " units"], dt: Any = None
    ) -> Float[Array, " units"]:
        """The units after an input."""
        del dt
        z = driven + matmul(self.recurrent_matrix(), state)
        return z + self.bias if self.activation == "identity" else modrelu(z, self.bias)


def modrelu(z: Float[Array, " n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """The sign of z times max(|z| + b, 0): turns nothing, and silences what is small.

    Example:
        >>> modrelu(jnp.array([-3.0, 0.5]), jnp.array([-1.0, -1.0])).tolist()
        [-2.0, 0.0]
    """
    return jnp.sign(z) * jax.nn.relu(jnp.abs(z) + b)


def _check_form(form: str, units: int, negative: int, reflections: int | None) -> None:
    if form == "householder" and negative:
        raise ValueError('num_negative belongs to parametrisation="cayley": leave it out')
    if form == "cayley" and reflections is not None:
        raise ValueError('num_reflections belongs to parametrisation="householder": leave it out')
    if not 0 <= negative <= units:
        raise ValueError(f"num_negative is {negative}, expected 0 to the number of units, {units}")
    if reflections is not None and not 1 <= reflections <= units:
        raise ValueError(f"num_reflections is {reflections}, expected 1 to the number of units, {units}")
