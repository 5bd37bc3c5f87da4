"""The cell whose units do not see each other."""

from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.parameters import Unknown
from ..weights import biases, check_choice, check_counts, input_weight, set_weights, weight
from .cell import AbstractCell
from .elman import ACTIVATIONS


class IndRNN(AbstractCell):
    """The cell whose units do not see each other: each has a recurrent weight of its own, which is bounded.

        h[t] = s(W u[t] + w * h[t-1] + b),      |w| <= growth^(1 / horizon),      output = h[t]

    The bound keeps what a step of the past contributes below `growth` after `horizon` steps. With the identity it is a
    diagonal linear system.

    Args:
        input_size: Number of inputs; 0 for a cell that runs by itself.
        hidden_size: Number of units.
        horizon: Number of steps over which a gradient may grow by the factor `growth`.
        growth: That factor, at least 1.
        activation: s: "relu", "tanh" or "identity".
        key: PRNG key of the weights: w uniform between 0 and its bound, W normal of variance 1 / inputs, b zero; they
            are unknown when it is left out.

    Raises:
        ValueError: If a size or the horizon is below 1, the growth is, or the activation is unknown.

    Example:
        >>> cell = IndRNN(2, 3, horizon=100, key=jax.random.key(0))
        >>> bool(abs(cell.recurrent_weights).max() <= 2 ** 0.01)
        True

    Reference: Li, Li, Cook, Zhu and Gao (2018), "Independently recurrent neural network (IndRNN)", eqs. 2 and 8.
    """

    input_weights: Float[Array, "units inputs"] | Unknown = input_weight(lambda self: self.units)
    recurrent_weights: Float[Array, " units"] | Unknown = weight(
        lambda self: (self.units,),
        lambda self, key, shape: jax.random.uniform(key, shape, maxval=self.bound),
        constraint=lambda self: constraints.interval(-self.bound, self.bound),
        prior=lambda self, scale: dist.Uniform(-self.bound, self.bound).expand((self.units,)),
    )
    bias: Float[Array, " units"] | Unknown = biases(lambda self: self.units)
    _: KW_ONLY  # the fields below have no default, those above have
    inputs: int = eqx.field(static=True)
    units: int = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    growth: float = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        horizon: int,
        growth: float = 2.0,
        activation: str = "relu",
        key: Any = None,
    ):
        check_counts(0, input_size=input_size)
        check_counts(hidden_size=hidden_size, horizon=horizon)
        if not growth >= 1:
            raise ValueError(f"growth is {growth}, expected a factor of at least 1")
        self.inputs, self.units, self.horizon, self.growth = input_size, hidden_size, horizon, float(growth)
        self.activation = check_choice("activation", activation, tuple(ACTIVATIONS))
        set_weights(self, key)

    @property
    def bound(self) -> float:
        """The largest size of a recurrent weight."""
        return self.growth ** (1.0 / self.horizon)

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps units"]:
        """W u + b."""
        return self.from_inputs(u, self.input_weights, self.bias)

    def advance(
        self, state: Float[Array, " units"], driven: Float[Array, " units"], dt: Any = None
    ) -> Float[Array, " units"]:
        """The units after an input."""
        del dt
        return ACTIVATIONS[self.activation](driven + self.recurrent_weights * state)
