"""The network in continuous time."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.parameters import Unknown
from ..weights import biases, check_choice, check_counts, input_weight, normal, set_weights, weight
from .matrix_cell import AbstractMatrixCell

_ACTIVATIONS = {"tanh": jnp.tanh, "logistic": jax.nn.sigmoid}


class CTRNN(AbstractMatrixCell):
    """The network in continuous time, by exponential Euler steps of any length.

        tau dy/dt = -y + U s(y + b) + W u
        y' = a y + (1 - a) (U s(y + b) + W u),      a = exp(-dt / tau),      output = s(y' + b)

    The leak is integrated exactly, the rest held over a step. With noise, dy = ... dt + sigma dw, it is a stochastic
    differential equation, and a step adds normal noise of variance sigma^2 tau (1 - a^2) / 2.

    Args:
        input_size: Number of inputs; 0 for a cell that runs by itself.
        hidden_size: Number of units.
        activation: s: "tanh" or "logistic".
        key: PRNG key of the weights: U normal of variance 1 / units, W of variance 1 / inputs, b zero, tau between 1
            and 8 in logs; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1 or the activation is unknown.

    Example:
        >>> cell = CTRNN(1, 3, key=jax.random.key(0))
        >>> cell.scan(jnp.ones((4, 1)), dt=jnp.array([1.0, 0.1, 3.0, 1.0]))[0].shape
        (4, 3)

    Reference: Beer (1995), "On the dynamics of small continuous-time recurrent neural networks", eq. 1; exponential
    Euler: Hochbruck and Ostermann (2010), "Exponential integrators", eq. 1.6.
    """

    input_weights: Float[Array, "units inputs"] | Unknown = input_weight(lambda self: self.units)
    recurrent_weights: Float[Array, "units units"] | Unknown = weight(lambda self: (self.units, self.units), normal)
    bias: Float[Array, " units"] | Unknown = biases(lambda self: self.units)
    tau: Float[Array, " units"] | Unknown = weight(
        lambda self: (self.units,),
        lambda self, key, shape: 8.0 ** jax.random.uniform(key, shape),
        constraint=constraints.positive,
        prior=lambda self, scale: dist.LogNormal(jnp.full(self.units, 1.0), 1.0),
    )
    _: KW_ONLY  # the fields below have no default, those above have
    inputs: int = eqx.field(static=True)
    units: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(self, input_size: int, hidden_size: int, *, activation: str = "tanh", key: Any = None):
        check_counts(0, input_size=input_size)
        check_counts(hidden_size=hidden_size)
        self.inputs, self.units = input_size, hidden_size
        self.activation = check_choice("activation", activation, tuple(_ACTIVATIONS))
        set_weights(self, key)

    @property
    def reads_dt(self) -> bool:
        """A step moves along the differential equation by its length."""
        return True

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps units"]:
        """W u."""
        return self.from_inputs(u, self.input_weights, jnp.zeros_like(self.bias))

    def seen(self, state: Sequence[Array]) -> Float[Array, " units"]:
        """The outputs."""
        return self.output(state[0])

    def join(
        self, state: Sequence[Array], product: Sequence[Array], driven: Sequence[Array], dt: Any = None
    ) -> list[Array]:
        """The units after a step."""
        rate = (1.0 if dt is None else dt) / self.tau
        return [state[0] - jnp.expm1(-rate) * (product[0] + driven[0] - state[0])]

    def output(self, state: Float[Array, " units"]) -> Float[Array, " units"]:
        """s(y + b)."""
        return _ACTIVATIONS[self.activation](state + self.bias)

    def disturbance(self, scale: Float[Array, " units"], dt: Any = None) -> Float[Array, " units"]:
        """Standard deviations of what sigma dw adds over a step.

        Args:
            scale: sigma.
            dt: Length of the step; 1 when left out.
        """
        rate = (1.0 if dt is None else dt) / self.tau
        return scale * jnp.sqrt(-0.5 * self.tau * jnp.expm1(-2 * rate))
