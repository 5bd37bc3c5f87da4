"""Reservoirs: leaky units with fixed random weights, one layer or several."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.parameters import Unknown, as_value, is_traced, param
from ..recursion import AbstractRecursion
from .coupling import AbstractCoupling, host_generator
from .values import as_value_of

ACTIVATIONS = {"tanh": jnp.tanh, "identity": lambda x: x}


class Reservoir(AbstractRecursion):
    """Leaky units with fixed weights; only a few scales are parameters.

        h[t] = (1 - leak) h[t-1] + leak f(spectral_radius W h[t-1] + V (input_scale * u[t]) + bias_scale b)

    W has spectral radius one, so that `spectral_radius` is that of the product, exactly. W, V and b never change; the
    evidence of a readout (`EchoState`) can learn the scales. The output is h itself.

    Args:
        input_size: Number of inputs.
        coupling: How the units act on each other: `SparseCoupling`, `CycleCoupling`, `DenseCoupling`.
        spectral_radius: Of the recurrent matrix; None if unknown.
        leak: Share of a unit's new value, above 0 and at most 1; exactly 1 (no leak) is not learned.
        input_scale: Scale of the inputs, one or one for each of them (fed-back outputs among them); None if unknown.
        bias_scale: Scale of the constant input of each unit; exactly 0 (none) is not learned.
        activation: "tanh", or "identity" for a linear reservoir.
        input_weights: V, (units, inputs); uniform on (-1, 1) when left out.
        bias: b, (units,); uniform on (-1, 1) when left out.
        key: PRNG key, or a whole number that makes one, for the weights that are left out.

    Raises:
        ValueError: If a shape, a scale or the activation is not as it should be, or a key is needed.

    Example:
        >>> from statespace.models.reservoir import SparseCoupling
        >>> cell = Reservoir(1, SparseCoupling(50, key=0), spectral_radius=0.9, leak=0.5, key=1)
        >>> outputs, last = cell.scan(jnp.ones((20, 1)))
        >>> outputs.shape, last.shape
        ((20, 50), (50,))

    Reference: Jaeger (2001), GMD report 148; Jaeger et al. (2007), "Optimization and applications of echo state
    networks with leaky-integrator neurons", Neural Networks 20, equation 4.
    """

    spectral_radius: Float[Array, ""] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(0.9), 0.3)
    )
    leak: Float[Array, ""] | Unknown = param(
        constraints.unit_interval,
        prior=lambda self, scale: dist.Uniform(0.0, 1.0),
        active=lambda self: self.leaks,
    )
    input_scale: Float[Array, " inputs"] | Unknown = param(
        constraints.positive,
        prior=lambda self, scale: dist.LogNormal(jnp.zeros(self.input_size), 1.0),
        shape=lambda self: (self.input_size,),
        active=lambda self: self.input_size > 0,
    )
    bias_scale: Float[Array, ""] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.HalfNormal(1.0), active=lambda self: self.biased
    )
    _: KW_ONLY
    coupling: AbstractCoupling
    input_weights: Float[Array, "units inputs"]
    bias: Float[Array, " units"]
    activation: str = eqx.field(static=True)
    leaks: bool = eqx.field(static=True)
    biased: bool = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        coupling: AbstractCoupling,
        *,
        spectral_radius: Any = 0.9,
        leak: Any = 1.0,
        input_scale: Any = 1.0,
        bias_scale: Any = 0.0,
        activation: str = "tanh",
        input_weights: Any = None,
        bias: Any = None,
        key: Any = None,
    ):
        if not isinstance(coupling, AbstractCoupling):
            raise TypeError(f"coupling= takes SparseCoupling, CycleCoupling or DenseCoupling, got {coupling!r}")
        if activation not in ACTIVATIONS:
            raise ValueError(f'activation is "tanh" or "identity", got {activation!r}')
        self.coupling, self.activation = coupling, activation
        self.leaks, self.biased = not _is(leak, 1.0), not _is(bias_scale, 0.0)
        drawn = _weights((coupling.units, input_size), input_weights, bias, self.biased, key)
        self.input_weights, self.bias = drawn
        self.spectral_radius, self.leak = as_value(spectral_radius), as_value(leak)
        self.bias_scale = as_value(bias_scale)
        self.input_scale = as_value_of(input_scale, (input_size,), "input_scale")
        self._check_values()

    def _check_values(self) -> None:
        for name, high in (("spectral_radius", np.inf), ("leak", 1.0), ("input_scale", np.inf), ("bias_scale", np.inf)):
            value = getattr(self, name)
            low = 0.0 if name == "bias_scale" else np.finfo(float).tiny
            if value is None or is_traced(value):
                continue
            if not np.all((np.asarray(value) >= low) & (np.asarray(value) <= high)):
                raise ValueError(f"{name} is {np.asarray(value)}, expected a positive number{' up to 1' * (high == 1)}")

    @property
    def input_size(self) -> int:
        """Number of inputs."""
        return self.input_weights.shape[1]

    @property
    def output_size(self) -> int:
        """Number of units."""
        return self.coupling.units

    def start(self) -> Float[Array, " units"]:
        """Units at rest."""
        return jnp.zeros(self.coupling.units, self.input_weights.dtype)

    def step(
        self, state: Float[Array, " units"], u: Float[Array, " inputs"], dt: Any = None
    ) -> tuple[Float[Array, " units"], Float[Array, " units"]]:
        """The units after an input."""
        del dt
        drive = self.input_weights @ (self.input_scale * u)
        if self.biased:
            drive = drive + self.bias_scale * self.bias
        new = ACTIVATIONS[self.activation](self.spectral_radius * self.coupling.apply(state) + drive)
        after = (1.0 - self.leak) * state + self.leak * new if self.leaks else new
        return after, after


class DeepReservoir(AbstractRecursion):
    """Reservoirs one above the other: each is driven by the units of the one below, and all units are the output.

        h_1[t] = f_1(h_1[t-1], u[t]),    h_l[t] = f_l(h_l[t-1], h_{l-1}[t])

    Args:
        layers: Reservoirs, from the first; the inputs of each are the units of the one before.

    Raises:
        ValueError: If there is none, or sizes do not follow on each other.

    Example:
        >>> from statespace.models.reservoir import CycleCoupling
        >>> first = Reservoir(1, CycleCoupling(20), key=0)
        >>> DeepReservoir([first, Reservoir(20, CycleCoupling(10), input_scale=0.1, key=1)]).output_size
        30

    Reference: Gallicchio, Micheli and Pedrelli (2017), "Deep reservoir computing: a critical experimental analysis",
    Neurocomputing 268, equations 2 and 3.
    """

    layers: tuple[Reservoir, ...]

    def __init__(self, layers: Sequence[Reservoir]):
        self.layers = tuple(layers)
        if not self.layers:
            raise ValueError("a deep reservoir has at least one layer")
        for i, (below, above) in enumerate(zip(self.layers[:-1], self.layers[1:], strict=True)):
            if above.input_size != below.output_size:
                raise ValueError(
                    f"layer {i + 1} has {above.input_size} inputs, but layer {i} has {below.output_size} units"
                )

    @property
    def input_size(self) -> int:
        """Number of inputs of the first layer."""
        return self.layers[0].input_size

    @property
    def output_size(self) -> int:
        """Number of units of all layers."""
        return sum(layer.output_size for layer in self.layers)

    def start(self) -> tuple[Array, ...]:
        """Units at rest."""
        return tuple(layer.start() for layer in self.layers)

    def step(
        self, state: tuple[Array, ...], u: Float[Array, " inputs"], dt: Any = None
    ) -> tuple[tuple[Array, ...], Float[Array, " units"]]:
        """The units of all layers after an input."""
        del dt
        after, signal = [], u
        for layer, units in zip(self.layers, state, strict=True):
            units, signal = layer.step(units, signal)
            after.append(units)
        return tuple(after), jnp.concatenate(after)


def _is(value: Any, number: float) -> bool:
    """Whether a plain number was given, and it is this one."""
    return isinstance(value, (int, float, np.number)) and float(value) == number


def _weights(shape: tuple[int, int], given: Any, bias: Any, biased: bool, key: Any) -> tuple[Array, Array]:
    """Input weights and bias: those given, or uniform on (-1, 1)."""
    if key is None and (given is None or (bias is None and biased)):
        raise ValueError("the weights are random: pass key=jax.random.key(0), or input_weights= (and bias=)")
    random = host_generator(0 if key is None else key)
    drawn = random.uniform(-1.0, 1.0, shape), random.uniform(-1.0, 1.0, shape[0])
    weights = np.asarray(drawn[0] if given is None else given, np.float64)
    constant = np.asarray(drawn[1] if bias is None else bias, np.float64)
    for name, value, expected in (("input_weights", weights, shape), ("bias", constant, shape[:1])):
        if value.shape != expected:
            raise ValueError(f"{name} has shape {value.shape}, expected {expected}")
    dtype = jnp.result_type(float)
    return jnp.asarray(weights, dtype), jnp.asarray(constant if biased else np.zeros_like(constant), dtype)
