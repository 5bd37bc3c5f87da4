"""The linear recurrent unit."""

import math
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import lax
from jaxtyping import Array, Complex, Float

from ...core.diagonal import part_of_step
from ...core.parameters import Unknown
from ..weights import check_counts, set_weights, weight
from .diagonal import AbstractMixing
from .layer import project


class LRU(AbstractMixing):
    """The linear recurrent unit: complex modes inside the unit circle, inputs scaled to modes of unit size.

        lambda = exp(-exp(nu) + i exp(theta))
        z[t] = lambda z[t-1] + sqrt(1 - |lambda|^2) B u[t],      y[t] = Re(C z[t]) + D u[t]

    White inputs of variance one make modes of variance |B|^2 whatever the decay. With dt the input is held: lambda
    becomes lambda^dt, and two steps of half the length are one step.

    Args:
        input_size: Number of inputs.
        modes: Number of complex modes: two real states each.
        output_size: Number of outputs; as many as inputs when left out.
        ring: Bounds of |lambda| at the start, where |lambda|^2 is uniform between their squares.
        max_phase: Upper bound of the angles at the start, in radians per step.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1, or the bounds are not 0 <= lower < upper < 1 and 0 < max_phase <= 2 pi.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> LRU(2, 8, key=jax.random.key(0)).scan(jnp.ones((5, 2)))[0].shape
        (5, 2)

    Reference: Orvieto et al. (2023), "Resurrecting recurrent neural networks for long sequences".
    """

    log_decay: Float[Array, " modes"] | Unknown = weight(
        lambda self: (self.modes,),
        lambda self, key, shape: _log_decays(key, shape, self.ring),
        prior=lambda self, scale: disc_prior((self.modes,)),
    )
    log_frequency: Float[Array, " modes"] | Unknown = weight(
        lambda self: (self.modes,),
        # from 0 to the cap, but never 0 itself
        lambda self, key, shape: jnp.log(self.max_phase * (1 - jax.random.uniform(key, shape))),
        centre=lambda self: math.log(self.max_phase) - 1,  # mean and variance of the logarithm of a uniform angle
        spread=lambda self: 1.0,
    )
    B: Float[Array, "modes inputs 2"] | Unknown = weight(
        lambda self: (self.modes, self.inputs, 2),
        lambda self, key, shape: jax.random.normal(key, shape) / math.sqrt(2 * self.inputs),
        spread=lambda self: 1 / math.sqrt(2 * self.inputs),
    )
    C: Float[Array, "outputs modes 2"] | Unknown = weight(
        lambda self: (self.outputs, self.modes, 2),
        lambda self, key, shape: jax.random.normal(key, shape) / math.sqrt(self.modes),
        spread=lambda self: 1 / math.sqrt(self.modes),
    )
    D: Float[Array, "outputs inputs"] | Unknown = weight(
        lambda self: (self.outputs, self.inputs),
        lambda self, key, shape: jnp.eye(shape[0], shape[1]) * jax.random.normal(key, shape),
        spread=lambda self: 1.0,
    )
    _: KW_ONLY  # the fields below have no default, those above have
    inputs: int = eqx.field(static=True)
    modes: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    ring: tuple[float, float] = eqx.field(static=True)
    max_phase: float = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        modes: int,
        output_size: int | None = None,
        *,
        ring: tuple[float, float] = (0.0, 0.99),
        max_phase: float = 2 * math.pi,
        key: Any = None,
    ):
        output_size = input_size if output_size is None else output_size
        check_counts(input_size=input_size, modes=modes, output_size=output_size)
        if not 0 <= ring[0] < ring[1] < 1 or not 0 < max_phase <= 2 * math.pi:
            raise ValueError(f"expected 0 <= lower < upper < 1 and 0 < max_phase <= 2 pi, got {ring}, {max_phase}")
        self.inputs, self.modes, self.outputs = input_size, modes, output_size
        self.ring, self.max_phase = (float(ring[0]), float(ring[1])), float(max_phase)
        set_weights(self, key)

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.inputs

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return self.outputs

    @property
    def modes_shape(self) -> tuple[int, ...]:
        """The shape of the state."""
        return (self.modes,)

    @property
    def conjugate(self) -> bool:
        """Whether each mode stands for itself and its complex conjugate: it stands for itself."""
        return False

    def log_factors(self) -> Complex[Array, " modes"]:
        """The logarithms of lambda, angles within (-pi, pi]: what a part of a step is the power of."""
        angle = jnp.exp(self.log_frequency)
        turns = jnp.round(lax.stop_gradient(angle) / (2 * math.pi))
        return lax.complex(-jnp.exp(self.log_decay), angle - 2 * math.pi * turns)

    def normalisation(self) -> Float[Array, " modes"]:
        """The factor of inputs, sqrt(1 - |lambda|^2)."""
        return jnp.sqrt(-jnp.expm1(-2 * jnp.exp(self.log_decay)))

    def discrete(self, dt: Float[Array, "*steps"] | float) -> tuple[Complex[Array, "*steps modes"], Array]:
        """Factor and gain of each mode, for steps of the given lengths."""
        factor, gain = part_of_step(self.log_factors(), jnp.asarray(dt, self.log_decay.dtype)[..., None])
        return factor, self.normalisation() * gain

    def drive(self, u: Float[Array, "*steps inputs"]) -> Complex[Array, "*steps modes"]:
        """What an input adds to each mode before the gain."""
        return project(u, self.B)

    def matrices(self) -> tuple[Array, Array, Array]:
        """B, C and D."""
        return self.B, self.C, self.D


def disc_prior(shape: tuple[int, ...]) -> dist.Distribution:
    """The law of log(-log |lambda|) for lambda uniform on the unit disc: |lambda|^2 is then uniform."""
    # -log |lambda|^2 is exponential, minus its logarithm is standard Gumbel
    flipped = dist.transforms.AffineTransform(-math.log(2), -1.0)
    return dist.TransformedDistribution(dist.Gumbel(jnp.zeros(shape), 1.0), flipped)


def _log_decays(key: Any, shape: tuple[int, ...], ring: tuple[float, float]) -> Array:
    """Draws of log(-log |lambda|) with |lambda|^2 uniform on the ring."""
    low, high = ring[0] ** 2, ring[1] ** 2
    square = high - (high - low) * jax.random.uniform(key, shape)  # the lower bound, perhaps 0, is left out
    return jnp.log(-0.5 * jnp.log(square))
