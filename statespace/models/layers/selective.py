"""A state space whose step, input and output weights are chosen by the input."""

import math
from dataclasses import KW_ONLY
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ...core.diagonal import RULES
from ...core.parameters import Unknown
from ...core.recurrence import Method, linear_recurrence
from ..weights import check_choice, check_counts, normal, set_weights, weight
from .layer import AbstractLayer, check_steps, log_step_prior, log_uniform, silenced


class SelectiveSSM(AbstractLayer):
    """A real diagonal state space for each channel that its inputs open and close.

        delta = softplus(W_delta W_low u + log(exp(step) - 1)),      b = W_b u,      c = W_c u
        dx/dt = A x + b u,    A = -exp(log_rates)                    (each channel its own A, delta; b and c are shared)
        y = sum of c x + D u

    discretised with the step delta, times dt where stamps are irregular. It is linear in the state, not in the input.

    Args:
        channels: Number of inputs, and of outputs.
        state_size: Number of states of a channel; their rates start at 1, 2, ...
        step_rank: Rank of the steps' dependence on the input; a sixteenth of the channels when left out.
        rule: `"zoh"`, or `"held_euler"`, the rule of Mamba's programs; see `statespace.core.diagonal`. Two
            steps of half the length are one step under the first only.
        step_bounds: Smallest and largest step at the start, log-uniform between them.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1 or an option is unknown.

    Example:
        >>> SelectiveSSM(32, 4).rank  # with key=jax.random.key(0) its weights are drawn
        2

    Reference: Gu and Dao (2024), "Mamba: linear-time sequence modeling with selective state spaces", algorithm 2.
    """

    log_rates: Float[Array, "channels state"] | Unknown = weight(
        lambda self: (self.channels, self.states),
        lambda self, key, shape: jnp.broadcast_to(jnp.log(jnp.arange(1.0, self.states + 1)), shape),
        centre=lambda self: jnp.log(jnp.arange(1.0, self.states + 1)),
        spread=lambda self: 1.0,
    )
    into: Float[Array, "chosen channels"] | Unknown = weight(
        lambda self: (self.rank + 2 * self.states, self.channels), normal
    )
    step_weights: Float[Array, "channels rank"] | Unknown = weight(
        lambda self: (self.channels, self.rank),
        lambda self, key, shape: jax.random.uniform(key, shape, minval=-1.0, maxval=1.0) * self.rank**-0.5,
        spread=lambda self: (3 * self.rank) ** -0.5,
    )
    log_step: Float[Array, " channels"] | Unknown = weight(
        lambda self: (self.channels,),
        lambda self, key, shape: log_uniform(key, shape, self.step_bounds),
        prior=lambda self, scale: log_step_prior((self.channels,), self.step_bounds),
    )
    D: Float[Array, " channels"] | Unknown = weight(
        lambda self: (self.channels,),
        lambda self, key, shape: jnp.ones(shape),
        centre=lambda self: 1.0,
        spread=lambda self: 1.0,
    )
    _: KW_ONLY  # the fields below have no default, those above have
    channels: int = eqx.field(static=True)
    states: int = eqx.field(static=True)
    rank: int = eqx.field(static=True)
    rule: str = eqx.field(static=True)
    step_bounds: tuple[float, float] = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        state_size: int = 16,
        *,
        step_rank: int | None = None,
        rule: Literal["zoh", "held_euler"] = "zoh",
        step_bounds: tuple[float, float] = (1e-3, 1e-1),
        key: Any = None,
    ):
        check_counts(channels=channels, state_size=state_size)
        step_rank = math.ceil(channels / 16) if step_rank is None else step_rank
        check_counts(step_rank=step_rank)
        self.channels, self.states, self.rank = channels, state_size, step_rank
        self.rule = check_choice("rule", rule, ("zoh", "held_euler"))
        self.step_bounds = check_steps(step_bounds)
        set_weights(self, key)

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.channels

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return self.channels

    @property
    def reads_dt(self) -> bool:
        """Whether a step depends on the time since the one before: it does."""
        return True

    def start(self) -> Float[Array, "channels state"]:
        """The state before the first input: zero."""
        return jnp.zeros((self.channels, self.states), self.log_rates.dtype)

    def chosen(
        self, u: Float[Array, "*steps channels"], dt: Any = None
    ) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "*steps state"]]:
        """What the inputs choose: factors and additions of the states, (*steps, channels, state), and c."""
        low, b, c = jnp.split(u @ self.into.T, [self.rank, self.rank + self.states], axis=-1)
        # softplus of the bias is the step at input zero, whose logarithm is stored
        first = jnp.exp(self.log_step)
        bias = first + jnp.log(-jnp.expm1(-first))
        delta = jax.nn.softplus(low @ self.step_weights.T + bias)
        delta = delta if dt is None else delta * jnp.asarray(dt, delta.dtype)[..., None]
        factor, gain = RULES[self.rule](-jnp.exp(self.log_rates), delta[..., None])
        return factor, gain * b[..., None, :] * u[..., None], c

    def step(
        self, state: Float[Array, "channels state"], u: Float[Array, " channels"], dt: Any = None
    ) -> tuple[Float[Array, "channels state"], Float[Array, " channels"]]:
        """The state after an input, and the output.

        Args:
            state: The state before.
            u: The input.
            dt: Time since the step before; 1 when left out.
        """
        factor, added, c = self.chosen(u, dt)
        state = factor * state + added
        return state, state @ c + self.D * u

    def scan(
        self,
        u: Float[Array, "time channels"],
        state: Float[Array, "channels state"] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> tuple[Float[Array, "time channels"], Float[Array, "channels state"]]:
        """All outputs, and the last state; as `AbstractLayer.scan`, without `"fft"`: the layer is not invariant."""
        self.check_scan(u, dt, mask, method)
        u, state = silenced(u, mask), self.start() if state is None else state
        factor, added, c = self.chosen(u, dt)
        states = linear_recurrence(factor, added, state, method, mask=mask)
        outputs = jnp.einsum("tcn,tn->tc", states, c) + self.D * u
        return silenced(outputs, mask), states[-1] if len(u) else state
