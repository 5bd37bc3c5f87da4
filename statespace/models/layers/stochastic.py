"""The linear recurrent unit with noise: a linear-Gaussian model that is filtered exactly."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import lax
from jaxtyping import Array, Complex, Float
from numpyro.distributions import constraints

from ...core.diagonal import part_of_step
from ...core.linalg import matmul
from ...core.parameters import Unknown, param
from ...core.step import Step
from ..base import AbstractLinearGaussian, EmissionMatrices, TransitionMatrices
from ..initial import InitialLaw
from ..weights import check_counts
from .diagonal import AbstractContinuous, AbstractDiagonal
from .layer import as_complex, as_pairs


class StochasticLRU(AbstractLinearGaussian):
    """Damped rotations of unit variance, driven by noise and by inputs, and seen through noise.

        z[t] = lambda^dt z[t-1] + sqrt(1 - |lambda|^2) g(dt) B u[t] + s sqrt(1 - |lambda|^(2 dt)) w[t]
        y[t] = Re(C z[t]) + D u[t] + emission_scale e[t],        lambda = modulus exp(i frequency)

    with g(dt) the gain of inputs held over the step, 1 for dt = 1. The real and the imaginary part of a mode are two
    states. With noise of size s = 1 its stationary law is standard normal in every state, for any modes and spacing of
    the stamps: that is where it starts, and C alone carries the unit of the data. As s -> 0 the means are the outputs
    of the deterministic layer, `StochasticLRU.from_layer`.

    One series without inputs does not tell the phases of C, nor its signs: then C is `amplitude`, positive, and each
    mode is a stochastic cycle of period 2 pi / frequency. Modes are in no order: sort draws by frequency.

    Args:
        modes: Number of modes.
        modulus: |lambda|, (modes,), in (0, 1). Left out: unknown; |lambda|^2 is uniform by default.
        frequency: Angles of lambda, (modes,), in (0, pi) radians in a unit of time. Left out: unknown, uniform.
        amplitude: C of a single series, (modes,), in the data's unit. Left out: unknown.
        loading: C of several series, (series, modes, 2): real and imaginary parts. Left out: unknown.
        input_matrix: B, (modes, inputs, 2). Left out: unknown.
        feedthrough: D, (series, inputs), in the data's unit. Left out: unknown.
        noise_scale: s: with inputs unknown when left out; without them 1, since C has the size.
        emission_scale: Standard deviations of the observation noise, (series,). Left out: unknown.
        num_series: Number of observed series, of mean zero.
        input_names: The input columns.

    Raises:
        ValueError: If a count is below 1, or something is given that the model does not have.

    Example:
        >>> model = StochasticLRU(1, [0.9], [0.6], [1.0], emission_scale=[0.1])
        >>> model.state_names
        ('mode0.real', 'mode0.imaginary')

    Reference: Orvieto et al. (2023), "Resurrecting recurrent neural networks for long sequences" (the normalisation);
    Harvey (1989), "Forecasting, structural time series models and the Kalman filter", section 2.3 (the cycle).
    """

    modulus: Float[Array, "*batch modes"] | Unknown = param(
        constraints.unit_interval,
        shape=lambda self: (self.modes,),
        prior=lambda self, scale: dist.Beta(jnp.full(self.modes, 2.0), 1.0),  # the law of the root of a uniform number
        start=lambda self, scale: jnp.full(self.modes, 0.9),
    )
    frequency: Float[Array, "*batch modes"] | Unknown = param(
        constraints.interval(0.0, math.pi),
        shape=lambda self: (self.modes,),
        prior=lambda self, scale: dist.Uniform(jnp.zeros(self.modes), math.pi),
        start=lambda self, scale: math.pi * (jnp.arange(self.modes) + 0.5) / self.modes,  # alike, they would stay so
    )
    amplitude: Float[Array, "*batch modes"] | Unknown = param(
        constraints.positive,
        shape=lambda self: (self.modes,),
        unit="data",
        prior=lambda self, scale: dist.HalfNormal(jnp.full(self.modes, scale)),
        active=lambda self: self.count == 1,
        start=lambda self, scale: jnp.full(self.modes, scale / math.sqrt(self.modes)),
    )
    loading: Float[Array, "*batch series modes 2"] | Unknown = param(
        constraints.real,
        shape=lambda self: (self.count, self.modes, 2),
        prior=lambda self, scale: dist.Normal(jnp.zeros((self.count, self.modes, 2)), scale),
        active=lambda self: self.count > 1,
        start=lambda self, scale: jnp.full((self.count, self.modes, 2), 0.5 * scale / math.sqrt(self.modes)),
    )
    input_matrix: Float[Array, "*batch modes inputs 2"] | Unknown = param(
        constraints.real,
        shape=lambda self: (self.modes, len(self.columns), 2),
        prior=lambda self, scale: dist.Normal(jnp.zeros((self.modes, len(self.columns), 2)), 1.0),
        active=lambda self: bool(self.columns),
    )
    feedthrough: Float[Array, "*batch series inputs"] | Unknown = param(
        constraints.real,
        shape=lambda self: (self.count, len(self.columns)),
        prior=lambda self, scale: dist.Normal(jnp.zeros((self.count, len(self.columns))), scale),
        active=lambda self: bool(self.columns),
    )
    noise_scale: Float[Array, "*batch"] | Unknown = param(
        constraints.positive,
        unit="data",  # a disturbance that zero removes for good
        prior=lambda self, scale: dist.HalfNormal(1.0),
        active=lambda self: bool(self.columns),
        start=lambda self, scale: jnp.ones(()),
    )
    emission_scale: Float[Array, "*batch series"] | Unknown = param(
        constraints.positive,
        shape=lambda self: (self.count,),
        unit="data",
        prior=lambda self, scale: dist.HalfNormal(jnp.broadcast_to(0.5 * scale, (self.count,))),
    )
    _: KW_ONLY  # the fields below have no default, those above have
    modes: int = eqx.field(static=True)
    count: int = eqx.field(static=True)
    columns: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        modes: int,
        modulus: Any = None,
        frequency: Any = None,
        amplitude: Any = None,
        *,
        loading: Any = None,
        input_matrix: Any = None,
        feedthrough: Any = None,
        noise_scale: Any = None,
        emission_scale: Any = None,
        num_series: int = 1,
        input_names: Sequence[str] = (),
    ):
        check_counts(modes=modes, num_series=num_series)
        self.modes, self.count, self.columns = modes, num_series, tuple(input_names)
        self.modulus, self.frequency, self.emission_scale = modulus, frequency, emission_scale
        self.amplitude, self.loading = amplitude, loading
        self.input_matrix, self.feedthrough = input_matrix, feedthrough
        self.noise_scale = 1.0 if noise_scale is None and not self.columns else noise_scale
        if (amplitude is not None and num_series > 1) or (loading is not None and num_series == 1):
            raise ValueError(f"one series has an amplitude=, several have a loading=: got {num_series} series")
        if not self.columns and (input_matrix is not None or feedthrough is not None):
            raise ValueError("a model without inputs has no input_matrix and no feedthrough: name the input_names")

    @classmethod
    def from_layer(
        cls, layer: AbstractDiagonal, noise_scale: Any = None, emission_scale: Any = None
    ) -> "StochasticLRU":
        """The model with a layer's dynamics, inputs u0, u1, ..., and noise.

        Args:
            layer: An `LRU`, or an `S5` or `S4D` with zero-order hold. Frequencies beyond pi in a step are brought
                below it, which equal steps do not tell.
            noise_scale: s; unknown when left out. With 0 the means are the layer's outputs.
            emission_scale: Standard deviations of the observation noise, (series,); unknown when left out.

        Raises:
            TypeError: If the layer is another one.
            ValueError: If its rule of discretisation is another one.
        """
        if not isinstance(layer, AbstractDiagonal):
            raise TypeError(f"expected an LRU, an S5 or an S4D layer, got {type(layer).__name__}")
        if isinstance(layer, AbstractContinuous) and layer.rule != "zoh":
            raise ValueError(f'expected a layer with rule="zoh", got {layer.rule!r}')
        factor, b, c, d = layer.modal_matrices()
        below = jnp.angle(factor) < 0  # the conjugate mode is seen the same
        b, c = jnp.where(below[:, None], b.conj(), b), jnp.where(below, c.conj(), c)
        b = b / jnp.sqrt(1 - jnp.abs(factor) ** 2)[:, None]
        loading: dict[str, Any] = {"loading": as_pairs(c)}
        if len(c) == 1:
            phase = jnp.exp(1j * jnp.angle(c[0]))
            b, loading = phase[:, None] * b, {"amplitude": jnp.abs(c[0])}
        return cls(
            len(factor),
            jnp.abs(factor),
            jnp.abs(jnp.angle(factor)),
            input_matrix=as_pairs(b),
            feedthrough=d,
            noise_scale=noise_scale,
            emission_scale=emission_scale,
            num_series=len(c),
            input_names=[f"u{i}" for i in range(layer.input_size)],
            **loading,
        )

    @property
    def state_names(self) -> tuple[str, ...]:
        """A name for each element of the state."""
        return tuple(f"mode{i}.{part}" for i in range(self.modes) for part in ("real", "imaginary"))

    @property
    def num_series(self) -> int:
        """The number of observed series."""
        return self.count

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the model reads, in the order in which it reads them."""
        return self.columns

    def log_factors(self) -> Complex[Array, " modes"]:
        """The logarithms of lambda."""
        return lax.complex(jnp.log(self.modulus), self.frequency)

    def initial_law(self, step: Step) -> InitialLaw:
        """The stationary law under noise, moved by the inputs at the first stamp."""
        size = 2 * self.modes
        cov = self.noise_scale**2 * jnp.eye(size, dtype=self.modulus.dtype)
        return InitialLaw(self._driven(step, None), cov, (False,) * size)

    def propagate(self, x: Float[Array, "state *columns"], step: Step) -> Float[Array, "state *columns"]:
        """Turn and shrink each mode."""
        z = self.log_factors() * (1.0 if step.spacing is None else step.spacing)
        size = jnp.exp(z.real)
        columns = (self.modes, *(1,) * (x.ndim - 1))
        cos, sin = jnp.reshape(size * jnp.cos(z.imag), columns), jnp.reshape(size * jnp.sin(z.imag), columns)
        real, imaginary = x[0::2], x[1::2]
        return jnp.stack([cos * real - sin * imaginary, sin * real + cos * imaginary], axis=1).reshape(x.shape)

    def transition_matrices(self, step: Step) -> TransitionMatrices:
        """What inputs add, and noise that keeps the stationary law."""
        dt = 1.0 if step.spacing is None else step.spacing
        scale = self.noise_scale * jnp.sqrt(-jnp.expm1(2 * dt * jnp.log(self.modulus)))
        return TransitionMatrices(self._driven(step, step.spacing), jnp.diag(jnp.repeat(scale, 2)))

    def emission_matrices(self, step: Step) -> EmissionMatrices:
        """C's real and minus its imaginary parts, what inputs add at once, and the noise."""
        if self.count == 1:
            matrix = jnp.stack([self.amplitude, jnp.zeros_like(self.amplitude)], axis=-1)[None]
        else:
            matrix = self.loading * jnp.array([1.0, -1.0], self.loading.dtype)
        offset = jnp.zeros(self.count, matrix.dtype)
        if self.columns:
            offset = matmul(self.feedthrough, self._values(step))
        return EmissionMatrices(matrix.reshape(self.count, -1), offset, self.emission_scale)

    def _driven(self, step: Step, dt: Any) -> Float[Array, " state"]:
        """What the inputs of a stamp add to the modes: real and imaginary parts."""
        if not self.columns:
            return jnp.zeros(2 * self.modes, self.modulus.dtype)
        added = jnp.sum(as_complex(self.input_matrix) * self._values(step), axis=-1)
        added = jnp.sqrt((1 - self.modulus) * (1 + self.modulus)) * added
        if dt is not None:
            added = part_of_step(self.log_factors(), dt)[1] * added
        return as_pairs(added).reshape(-1)

    def _values(self, step: Step) -> Float[Array, " inputs"]:
        if step.inputs is None:
            raise ValueError(f"the model reads {', '.join(self.columns)} but no inputs were given: pass inputs=")
        return step.inputs
