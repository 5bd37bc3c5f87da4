"""Linear layers with a diagonal transition: each mode of the state evolves by itself."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Complex, Float

from ...core.diagonal import RULES
from ...core.kernels import convolve, last_state, vandermonde
from ...core.recurrence import Method, linear_recurrence
from .layer import AbstractInvariant, as_complex, real_part, silenced


class AbstractDiagonal(AbstractInvariant):
    """A layer of complex modes, the inputs of which are projected and the outputs of which are read.

    z[t] = factor(dt[t]) z[t-1] + gain(dt[t]) drive(u[t]),      output[t] = read(z[t], u[t])
    """

    @property
    def reads_dt(self) -> bool:
        """Whether a step depends on the time since the one before: it does."""
        return True

    @abc.abstractmethod
    def log_factors(self) -> Complex[Array, "..."]:
        """Logarithms of the factors of a step of length 1, (*modes)."""

    @abc.abstractmethod
    def discrete(self, dt: Float[Array, "*steps"] | float) -> tuple[Complex[Array, "..."], Array]:
        """Factor and gain of each mode, for steps of the given lengths, of shape (*steps, *modes)."""

    @abc.abstractmethod
    def drive(self, u: Float[Array, "*steps inputs"]) -> Array:
        """What an input adds to each mode before the gain, (*steps, *modes)."""

    @abc.abstractmethod
    def read(self, z: Complex[Array, "..."], u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps outputs"]:
        """The outputs from modes and inputs."""

    @abc.abstractmethod
    def modal_matrices(self) -> tuple[Array, Array, Array, Array]:
        """Factors (modes,), B (modes, inputs) and C (outputs, modes), complex, of all modes in a row, and D.

        They are those of a step of length 1: z' = factors z + B u and output = Re(C z) + D u.
        """

    @property
    @abc.abstractmethod
    def modes_shape(self) -> tuple[int, ...]:
        """The shape of the state."""

    @abc.abstractmethod
    def convolves(self, dt: Any, mask: Any, method: Method) -> bool:
        """Whether a scan by this method is a convolution with the kernel."""

    def start(self) -> Complex[Array, "..."]:
        """The state before the first input: zero."""
        factor, _ = self.discrete(1.0)
        return jnp.zeros(self.modes_shape, factor.dtype)

    def step(
        self, state: Complex[Array, "..."], u: Float[Array, " inputs"], dt: Any = None
    ) -> tuple[Complex[Array, "..."], Float[Array, " outputs"]]:
        """The state after an input, and the output.

        Args:
            state: The modes before.
            u: The input.
            dt: Time since the step before; 1 when left out.
        """
        factor, gain = self.discrete(1.0 if dt is None else dt)
        state = factor * state + gain * self.drive(u)
        return state, self.read(state, u)

    def scan(
        self,
        u: Float[Array, "time inputs"],
        state: Complex[Array, "..."] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> tuple[Float[Array, "time outputs"], Complex[Array, "..."]]:
        """All outputs, and the last state, from which another call goes on; as `AbstractLayer.scan`."""
        self.check_scan(u, dt, mask, method)
        if self.convolves(dt, mask, method):
            return self.convolve(u, state)
        u = silenced(u, mask)
        state = self.start() if state is None else state
        factor, gain = self.discrete(1.0 if dt is None else dt)
        states = linear_recurrence(factor, gain * self.drive(u), state, method, mask=mask)
        last = states[-1] if len(u) else state
        return silenced(self.read(states, u), mask), last


class AbstractContinuous(AbstractDiagonal):
    """A diagonal layer in continuous time, discretised by a rule.

    Attributes:
        log_decay: Logarithms of the decays, minus the eigenvalues' real parts.
        frequency: The eigenvalues' imaginary parts.
        rule: That of discretisation, `"zoh"` or `"s4_bilinear"`.
    """

    log_decay: eqx.AbstractVar[Any]
    frequency: eqx.AbstractVar[Any]
    rule: eqx.AbstractVar[str]

    @abc.abstractmethod
    def mode_steps(self) -> Float[Array, "..."]:
        """The layer's own step for each mode."""

    @abc.abstractmethod
    def continuous_matrices(self) -> tuple[Array, Array, Array, Array]:
        """Eigenvalues (modes,), B (modes, inputs) and C (outputs, modes), complex, of all modes in a row, and D.

        They are those in continuous time, of which a step of length 1 is the unit: dz/dt = eigenvalues z + B u and
        output = Re(C z) + D u.
        """

    def eigenvalues(self) -> Complex[Array, "..."]:
        """The modes' eigenvalues, in units of the layer's own steps."""
        return lax.complex(-jnp.exp(self.log_decay), self.frequency)

    def log_factors(self) -> Complex[Array, "..."]:
        """Logarithms of the factors of a step of length 1, (*modes)."""
        z = self.eigenvalues() * self.mode_steps()
        return z if self.rule == "zoh" else jnp.log1p(z / 2) - jnp.log1p(-z / 2)

    def discrete(self, dt: Float[Array, "*steps"] | float) -> tuple[Complex[Array, "..."], Array]:
        """Factor and gain of each mode, for steps of the given lengths, of shape (*steps, *modes)."""
        axes = (...,) + (None,) * len(self.modes_shape)
        steps = jnp.asarray(dt, self.log_decay.dtype)[axes] * self.mode_steps()
        return RULES[self.rule](self.eigenvalues(), steps)


class AbstractMixing(AbstractDiagonal):
    """A diagonal layer in which every input drives and every output reads all modes."""

    @property
    @abc.abstractmethod
    def conjugate(self) -> bool:
        """Whether each mode stands for itself and its complex conjugate."""

    @abc.abstractmethod
    def matrices(self) -> tuple[Array, Array, Array]:
        """B and C as pairs of real and imaginary parts, (modes, inputs, 2) and (outputs, modes, 2), and D."""

    def convolves(self, dt: Any, mask: Any, method: Method) -> bool:
        """Whether a scan by this method is a convolution: never, the kernel has inputs times outputs columns."""
        del dt, mask, method
        return False

    def read(self, z: Complex[Array, "*steps modes"], u: Float[Array, "*steps inputs"]) -> Float[Array, "..."]:
        """The outputs from modes and inputs: C z, real part (twice that of conjugate pairs), and D u."""
        _, c, d = self.matrices()
        return (2.0 if self.conjugate else 1.0) * real_part(z, c) + u @ d.T

    def modal_matrices(self) -> tuple[Array, Array, Array, Array]:
        """Factors, B, C and D of a step of length 1; as `AbstractDiagonal.modal_matrices`."""
        b, c, d = self.matrices()
        factor, gain = self.discrete(1.0)
        return factor, gain[:, None] * as_complex(b), (2.0 if self.conjugate else 1.0) * as_complex(c), d

    def kernel(self, length: int) -> Float[Array, "length outputs inputs"]:
        """The responses C factor^k B of all outputs to all inputs, and D at once; as `AbstractInvariant.kernel`."""
        _, b, c, d = self.modal_matrices()
        taps = vandermonde(self.log_factors(), c.T[:, :, None] * b[:, None, :], length, log=True).real
        return taps.at[:1].add(d)

    def convolve(
        self, u: Float[Array, "time inputs"], state: Complex[Array, " modes"] | None = None
    ) -> tuple[Float[Array, "time outputs"], Complex[Array, " modes"]]:
        """What `scan` returns, by convolution; as `AbstractInvariant.convolve`."""
        self.check(u, None, None)
        factor, _, c, _ = self.modal_matrices()
        outputs = convolve(self.kernel(len(u)), u)
        if state is not None:
            weights = (factor * state)[:, None] * c.T
            outputs = outputs + vandermonde(self.log_factors(), weights, len(u), log=True).real
        return outputs, last_state(factor, self.discrete(1.0)[1] * self.drive(u), state)
