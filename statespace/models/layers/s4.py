"""S4: a normal matrix minus one of low rank for each channel."""

import math
from dataclasses import KW_ONLY
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Complex, Float

from ...core.dplr import dplr_kernel
from ...core.hippo import Measure, NormalPlusLowRank, normal_plus_low_rank
from ...core.kernels import initial_response, krylov, matrix_power
from ...core.parameters import Unknown
from ...core.recurrence import Method, linear_recurrence, resolved
from ..weights import check_choice, check_counts, set_weights, weight
from .layer import (
    AbstractInvariant,
    as_complex,
    as_pairs,
    check_steps,
    convolve_each,
    is_convolution,
    log_step_prior,
    log_uniform,
    silenced,
)

_LEAST_DECAY = 1e-4  # where the normal part has none, as those of "legt" and "fout"; its logarithm is stored


class S4(AbstractInvariant):
    """A structured state space for each channel, in continuous time: diagonal plus low rank, conjugate pairs once.

        dx/dt = (diag(lambda) - P P^H) x + B u,      lambda = -exp(log_decay) + i frequency,      y = 2 Re(C x) + D u

    discretised by S4's bilinear rule with the channel's own step exp(log_dt), times dt where stamps are irregular.
    A step costs modes times rank (Woodbury's identity), a kernel Cauchy sums at the roots of unity. `"chunked"` and
    `"associative"` scans multiply the dense matrices of the channels. With equal steps and no mask a scan is a
    convolution unless another method is named.

    Args:
        channels: Number of inputs, and of outputs; channels do not mix.
        state_size: The number of real states of a channel: even, two for each pair of modes.
        measure: What the states remember at the start: `"legs"`, `"legt"` or `"fout"`, see
            `statespace.core.hippo.hippo`. The last two have no decay of their own; they get 1e-4.
        step_bounds: Smallest and largest step at the start, log-uniform between them.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1, the number of states is odd, or the measure is unknown.

    Example:
        >>> S4(2, 8, measure="legt").rank  # with key=jax.random.key(0) its weights are drawn
        2

    Reference: Gu, Goel and Re (2022), "Efficiently modeling long sequences with structured state spaces".
    """

    log_decay: Float[Array, "channels modes"] | Unknown = weight(
        lambda self: self.modes_shape,
        lambda self, key, shape: jnp.broadcast_to(
            jnp.log(jnp.maximum(-self.memory().eigenvalues.real, _LEAST_DECAY)), shape
        ),
        centre=lambda self: math.log(0.5),
        spread=lambda self: 1.0,
    )
    frequency: Float[Array, "channels modes"] | Unknown = weight(
        lambda self: self.modes_shape,
        lambda self, key, shape: jnp.broadcast_to(self.memory().eigenvalues.imag, shape),
        spread=lambda self: math.pi * self.modes,
    )
    P: Float[Array, "channels modes rank 2"] | Unknown = weight(
        lambda self: (*self.modes_shape, self.rank, 2),
        lambda self, key, shape: jnp.broadcast_to(as_pairs(self.memory().low_rank), shape),
        spread=lambda self: math.sqrt(self.modes),
    )
    B: Float[Array, "channels modes 2"] | Unknown = weight(
        lambda self: (*self.modes_shape, 2),
        lambda self, key, shape: jnp.broadcast_to(as_pairs(self.memory().inputs), shape),
        spread=lambda self: math.sqrt(self.modes),
    )
    C: Float[Array, "channels modes 2"] | Unknown = weight(
        lambda self: (*self.modes_shape, 2),
        lambda self, key, shape: jax.random.normal(key, shape) / math.sqrt(2),
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
    measure: str = eqx.field(static=True)
    step_bounds: tuple[float, float] = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        state_size: int = 64,
        *,
        measure: Measure = "legs",
        step_bounds: tuple[float, float] = (1e-3, 1e-1),
        key: Any = None,
    ):
        check_counts(channels=channels, state_size=state_size)
        if state_size % 2:
            raise ValueError(f"state_size is {state_size}, expected an even number: two states for each pair of modes")
        self.channels, self.modes = channels, state_size // 2
        self.measure = check_choice("measure", measure, ("legs", "legt", "fout"))
        self.step_bounds = check_steps(step_bounds)
        set_weights(self, key)

    def memory(self) -> NormalPlusLowRank:
        """The system with which a channel starts, one mode of each pair."""
        return normal_plus_low_rank(cast(Measure, self.measure), 2 * self.modes).halved()

    @property
    def rank(self) -> int:
        """The number of columns of P."""
        return 2 if self.measure == "legt" else 1

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

    @property
    def reads_dt(self) -> bool:
        """Whether a step depends on the time since the one before: it does."""
        return True

    def start(self) -> Complex[Array, "channels modes"]:
        """The state before the first input: zero."""
        return jnp.zeros(self.modes_shape, self.eigenvalues().dtype)

    def eigenvalues(self) -> Complex[Array, "channels modes"]:
        """The eigenvalues of the normal part, in units of the channel's step."""
        return lax.complex(-jnp.exp(self.log_decay), self.frequency)

    def step_parts(self, dt: Any = None) -> "_StepParts":
        """What the steps of given lengths have in common; for all of them at once."""
        steps = jnp.exp(self.log_dt) * (1.0 if dt is None else jnp.asarray(dt, self.log_dt.dtype)[..., None])
        half, p = 0.5 * steps[..., None], as_complex(self.P)
        shrunk = 1 / (1 - half * self.eigenvalues())
        # P^H D P of both halves of the pairs is twice the real part of one
        inner = 2.0 * jnp.einsum("hmr,...hm,hms->...hrs", p.conj(), half * shrunk, p).real
        return _StepParts(half, shrunk, jnp.linalg.inv(jnp.eye(self.rank, dtype=inner.dtype) + inner))

    def advance(
        self, state: Complex[Array, "channels modes"], u: Float[Array, " channels"], parts: "_StepParts"
    ) -> Complex[Array, "channels modes"]:
        """The state after an input: (I - dt/2 M)^-1 ((I + dt/2 M) x + dt B u) by Woodbury's identity."""
        p, half = as_complex(self.P), parts.half

        def along(x: Array) -> Array:
            return jnp.sum(p * (2.0 * jnp.sum(p.conj() * x[..., None], axis=1).real)[:, None], axis=-1)

        right = state + half * (self.eigenvalues() * state - along(state) + 2.0 * as_complex(self.B) * u[:, None])
        solved = parts.shrunk * right
        heights = 2.0 * jnp.sum(p.conj() * solved[..., None], axis=1).real
        taken = jnp.sum(p * jnp.sum(parts.core * heights[:, None], axis=-1)[:, None], axis=-1)
        return solved - half * parts.shrunk * taken

    def read(
        self, x: Complex[Array, "*steps channels modes"], u: Float[Array, "*steps channels"]
    ) -> Float[Array, "*steps channels"]:
        """The outputs from states and inputs."""
        return 2.0 * jnp.sum(x.real * self.C[..., 0] - x.imag * self.C[..., 1], axis=-1) + self.D * u

    def step(
        self, state: Complex[Array, "channels modes"], u: Float[Array, " channels"], dt: Any = None
    ) -> tuple[Complex[Array, "channels modes"], Float[Array, " channels"]]:
        """The state after an input, and the output.

        Args:
            state: The modes before.
            u: The input.
            dt: Time since the step before; 1 when left out.
        """
        state = self.advance(state, u, self.step_parts(dt))
        return state, self.read(state, u)

    def scan(
        self,
        u: Float[Array, "time channels"],
        state: Complex[Array, "channels modes"] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> tuple[Float[Array, "time channels"], Complex[Array, "channels modes"]]:
        """All outputs, and the last state, from which another call goes on; as `AbstractLayer.scan`."""
        self.check_scan(u, dt, mask, method)
        if is_convolution(dt, mask, method):
            return self.convolve(u, state)
        u, state = silenced(u, mask), self.start() if state is None else state
        method = resolved(method)
        run = self._stepped if method == "sequential" else self._dense_scan
        states = run(u, state, dt, mask, method)
        return silenced(self.read(states, u), mask), states[-1] if len(u) else state

    def _stepped(self, u: Array, state: Array, dt: Any, mask: Any, method: Method) -> Array:
        """All states, one after another."""
        del method
        parts = self.step_parts(dt)

        def body(state: Array, slot: Any) -> tuple[Array, Array]:
            u, own, present = slot
            after = self.advance(state, u, parts if own is None else own)
            after = after if present is None else jnp.where(present, after, state)
            return after, after

        return lax.scan(body, state, (u, None if dt is None else parts, mask))[1]

    def dense(self, dt: Any = None) -> tuple[Float[Array, "*steps channels n n"], Float[Array, "*steps channels n"]]:
        """The matrices and input vectors of the channels' steps, on real and imaginary parts one after the other."""
        size = 2 * self.modes
        basis = jnp.broadcast_to(jnp.eye(size, dtype=self.log_decay.dtype)[:, None], (size, self.channels, size))

        def one(parts: _StepParts) -> tuple[Array, Array]:
            none, unit = jnp.zeros(self.channels, basis.dtype), jnp.ones(self.channels, basis.dtype)
            columns = jax.vmap(lambda x: as_real(self.advance(as_modes(x), none, parts)))(basis)
            return jnp.moveaxis(columns, 0, -1), as_real(self.advance(self.start(), unit, parts))

        parts = self.step_parts(dt)
        return one(parts) if parts.half.ndim == 2 else jax.vmap(one)(parts)

    def _dense_scan(self, u: Array, state: Array, dt: Any, mask: Any, method: Method) -> Array:
        """All states by products of dense matrices, channel by channel."""
        a, b = self.dense(dt)
        added = b * u[..., None]

        def one(a: Array, b: Array, x0: Array) -> Array:
            return linear_recurrence(a, b, x0, method, matrix=True, mask=mask)

        channel = 0 if dt is None else 1
        return as_modes(jax.vmap(one, in_axes=(channel, 1, 0), out_axes=1)(a, added, as_real(state)))

    def kernel(self, length: int) -> Float[Array, "length channels"]:
        """The responses of the channels, by Cauchy sums; as `AbstractInvariant.kernel`."""

        def one(eigenvalues: Array, p: Array, b: Array, c: Array, dt: Array) -> Array:
            return dplr_kernel(eigenvalues, p, p, b[:, None], c[None], length, dt=dt, conjugate=True)[:, 0, 0]

        parts = self.eigenvalues(), as_complex(self.P), as_complex(self.B), as_complex(self.C), jnp.exp(self.log_dt)
        return jax.vmap(one, out_axes=1)(*parts).at[:1].add(self.D)

    def convolve(
        self, u: Float[Array, "time channels"], state: Complex[Array, "channels modes"] | None = None
    ) -> tuple[Float[Array, "time channels"], Complex[Array, "channels modes"]]:
        """What `scan` returns, by convolution; as `AbstractInvariant.convolve`."""
        self.check(u, None, None)
        length, (a, b) = len(u), self.dense()
        reached = jax.vmap(lambda a, b: krylov(a, b[:, None], jnp.eye(len(b), dtype=b.dtype), length)[..., 0])(a, b)
        last = jnp.einsum("htn,th->hn", jnp.flip(reached, 1), u)
        outputs = convolve_each(self.kernel(length), u)
        if state is None:
            return outputs, as_modes(last)
        c = 2.0 * jnp.concatenate([self.C[..., 0], -self.C[..., 1]], axis=-1)
        before = jax.vmap(lambda a, c, x: initial_response(a, c[None], x, length)[:, 0])(a, c, as_real(state))
        homogeneous = jax.vmap(lambda a, x: matrix_power(a, length) @ x)(a, as_real(state))
        return outputs + before.T, as_modes(last + homogeneous)


class _StepParts(NamedTuple):
    """The step of S4 for given lengths: half the lengths, (I - dt/2 Lambda)^-1, and Woodbury's inner inverse."""

    half: Array
    shrunk: Array
    core: Array


def as_real(x: Complex[Array, "*shape modes"]) -> Float[Array, "*shape twice"]:
    """Real parts, then imaginary parts."""
    return jnp.concatenate([x.real, x.imag], axis=-1)


def as_modes(x: Float[Array, "*shape twice"]) -> Complex[Array, "*shape modes"]:
    """Complex numbers from real parts, then imaginary parts."""
    return lax.complex(*jnp.split(x, 2, axis=-1))
