"""S4D: diagonal state spaces, one for each channel."""

import math
from dataclasses import KW_ONLY
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ...core.hippo import normal_plus_low_rank
from ...core.kernels import last_state, vandermonde
from ...core.parameters import Unknown
from ...core.recurrence import Method
from ..weights import check_choice, check_counts, set_weights, weight
from .diagonal import AbstractContinuous
from .layer import (
    as_complex,
    as_pairs,
    check_steps,
    convolve_each,
    is_convolution,
    log_step_prior,
    log_uniform,
)

InitialModes = Literal["lin", "inv", "legs"]


class S4D(AbstractContinuous):
    """A diagonal state space for each channel, in continuous time, with conjugate pairs of modes.

        dz/dt = lambda z + u,      lambda = -exp(log_decay) + i frequency,      y = 2 Re(sum of C z) + D u

    discretised with the channel's own step exp(log_dt), times dt where stamps are irregular. B is one: only its product
    with C matters. With equal steps and no mask a scan is a convolution unless another method is named. Modes start
    from

    - `"lin"`: -1/2 + i pi n, a Fourier series;
    - `"inv"`: -1/2 + i (N / pi) (N / (2n + 1) - 1), which approximates the next;
    - `"legs"`: the normal part of HiPPO's Legendre memory, C times its input weights.

    Args:
        channels: Number of inputs, and of outputs; channels do not mix.
        state_size: N, the number of real states of a channel: even, two for each pair of modes.
        initial_modes: `"lin"`, `"inv"` or `"legs"`.
        rule: `"zoh"` or `"s4_bilinear"`, see `statespace.core.diagonal`.
        step_bounds: Smallest and largest step at the start, log-uniform between them.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1, the number of states is odd, or an option is unknown.

    Example:
        >>> S4D(2, 8).modes_shape  # with key=jax.random.key(0) its weights are drawn
        (2, 4)

    Reference: Gu, Gupta, Goel and Re (2022), "On the parameterization and initialization of diagonal state space
    models".
    """

    log_decay: Float[Array, "channels modes"] | Unknown = weight(
        lambda self: self.modes_shape,
        lambda self, key, shape: jnp.broadcast_to(jnp.log(-self.first_modes()[0].real), shape),
        centre=lambda self: math.log(0.5),
        spread=lambda self: 1.0,
    )
    frequency: Float[Array, "channels modes"] | Unknown = weight(
        lambda self: self.modes_shape,
        lambda self, key, shape: jnp.broadcast_to(self.first_modes()[0].imag, shape),
        spread=lambda self: math.pi * self.modes,
    )
    C: Float[Array, "channels modes 2"] | Unknown = weight(
        lambda self: (*self.modes_shape, 2),
        lambda self, key, shape: (
            as_pairs(as_complex(jax.random.normal(key, shape)) * self.first_modes()[1]) / math.sqrt(2)
        ),
        spread=lambda self: math.sqrt(0.5),
    )
    D: Float[Array, " channels"] | Unknown = weight(
        lambda self: (self.channels,), lambda self, key, shape: jax.random.normal(key, shape), spread=lambda self: 1.0
    )
    log_dt: Float[Array, " channels"] | Unknown = weight(
        lambda self: (self.channels,),
        lambda self, key, shape: log_uniform(key, shape, self.step_bounds),
        prior=lambda self, scale: log_step_prior((self.channels,), self.step_bounds),
    )
    _: KW_ONLY  # the fields below have no default, those above have
    channels: int = eqx.field(static=True)
    modes: int = eqx.field(static=True)
    initial_modes: str = eqx.field(static=True)
    rule: str = eqx.field(static=True)
    step_bounds: tuple[float, float] = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        state_size: int = 64,
        *,
        initial_modes: InitialModes = "lin",
        rule: Literal["zoh", "s4_bilinear"] = "zoh",
        step_bounds: tuple[float, float] = (1e-3, 1e-1),
        key: Any = None,
    ):
        check_counts(channels=channels, state_size=state_size)
        if state_size % 2:
            raise ValueError(f"state_size is {state_size}, expected an even number: two states for each pair of modes")
        self.channels, self.modes = channels, state_size // 2
        self.initial_modes = check_choice("initial_modes", initial_modes, ("lin", "inv", "legs"))
        self.rule = check_choice("rule", rule, ("zoh", "s4_bilinear"))
        self.step_bounds = check_steps(step_bounds)
        set_weights(self, key)

    def first_modes(self) -> tuple[Complex[np.ndarray, " modes"], Complex[np.ndarray, " modes"]]:
        """Where the modes of a channel start, and their input weights there."""
        order, size = np.arange(self.modes), 2 * self.modes
        if self.initial_modes == "legs":
            found = normal_plus_low_rank("legs", size).halved()
            return found.eigenvalues, found.inputs
        imaginary = np.pi * order if self.initial_modes == "lin" else size / np.pi * (size / (2 * order + 1) - 1)
        return -0.5 + 1j * imaginary, np.ones(self.modes, complex)

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.channels

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return self.channels

    @property
    def modes_shape(self) -> tuple[int, ...]:
        """The shape of the state."""
        return (self.channels, self.modes)

    def convolves(self, dt: Any, mask: Any, method: Method) -> bool:
        """Whether a scan by this method is a convolution with the kernel: `"auto"` and `"fft"` for equal steps."""
        return is_convolution(dt, mask, method)

    def mode_steps(self) -> Float[Array, "channels 1"]:
        """The channels' steps."""
        return jnp.exp(self.log_dt)[:, None]

    def drive(self, u: Float[Array, "*steps channels"]) -> Float[Array, "*steps channels 1"]:
        """What an input adds to each mode before the gain."""
        return u[..., None]

    def read(
        self, z: Complex[Array, "*steps channels modes"], u: Float[Array, "*steps channels"]
    ) -> Float[Array, "*steps channels"]:
        """The outputs from modes and inputs."""
        # real parts apart: half the work of a complex product
        return 2.0 * jnp.sum(z.real * self.C[..., 0] - z.imag * self.C[..., 1], axis=-1) + self.D * u

    def modal_matrices(self) -> tuple[Array, Array, Array, Array]:
        """Factors, B, C and D of a step of length 1, channel after channel; as `AbstractDiagonal.modal_matrices`."""
        factor, gain = self.discrete(1.0)
        own = jnp.repeat(jnp.eye(self.channels, dtype=self.D.dtype), self.modes, axis=0)
        c = own.T * (2.0 * as_complex(self.C)).reshape(-1)
        return factor.reshape(-1), own * gain.reshape(-1, 1), c, jnp.diag(self.D)

    def continuous_matrices(self) -> tuple[Array, Array, Array, Array]:
        """Eigenvalues, B, C and D, channel after channel; as `AbstractContinuous.continuous_matrices`."""
        rates = jnp.broadcast_to(self.mode_steps(), self.modes_shape).reshape(-1)
        own = jnp.repeat(jnp.eye(self.channels, dtype=rates.dtype), self.modes, axis=0)
        _, _, c, d = self.modal_matrices()
        return rates * self.eigenvalues().reshape(-1), rates[:, None] * own, c, d

    def kernel(self, length: int) -> Float[Array, "length channels"]:
        """The responses 2 Re(sum of C gain factor^k) of the channels, and D at once."""
        taps = self._responses(self.discrete(1.0)[1] * as_complex(self.C), length)
        return taps.at[:1].add(self.D)

    def _responses(self, weights: Complex[Array, "channels modes"], length: int) -> Float[Array, "length channels"]:
        """Twice the real part of the sum over modes of weights times powers of the factors."""

        def one(logs: Array, weights: Array) -> Array:
            return vandermonde(logs, weights, length, log=True, conjugate=True)

        return jax.vmap(one, out_axes=1)(self.log_factors(), weights)

    def convolve(
        self, u: Float[Array, "time channels"], state: Complex[Array, "channels modes"] | None = None
    ) -> tuple[Float[Array, "time channels"], Complex[Array, "channels modes"]]:
        """What `scan` returns, by convolution; as `AbstractInvariant.convolve`."""
        self.check(u, None, None)
        factor, gain = self.discrete(1.0)
        outputs = convolve_each(self.kernel(len(u)), u)
        if state is not None:
            outputs = outputs + self._responses(factor * state * as_complex(self.C), len(u))
        return outputs, last_state(factor, gain * self.drive(u), state)
