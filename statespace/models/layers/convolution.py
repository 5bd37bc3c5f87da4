"""A short causal convolution, whose state is the last few inputs."""

from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ...core.parameters import Unknown
from ...core.recurrence import Method
from ..weights import check_counts, set_weights, weight, zeros
from .layer import AbstractInvariant, is_convolution, silenced


class ShortConvolution(AbstractInvariant):
    """A causal convolution of each channel with a few taps: a shift register that is read.

        y[t] = sum over k < width of taps[k] u[t-k] + bias

    It counts steps, not time. A step that does not happen is not in the register.

    Args:
        channels: Number of inputs, and of outputs.
        width: Number of taps.
        key: PRNG key of the taps, normal of variance 1 / width; the bias is zero at the start.

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> import jax
        >>> ShortConvolution(2, 4).width  # with key=jax.random.key(0) its taps are drawn
        4
    """

    taps: Float[Array, "width channels"] | Unknown = weight(
        lambda self: (self.width, self.channels),
        lambda self, key, shape: jax.random.normal(key, shape) * self.width**-0.5,
        spread=lambda self: self.width**-0.5,
    )
    bias: Float[Array, " channels"] | Unknown = weight(lambda self: (self.channels,), zeros, spread=lambda self: 1.0)
    _: KW_ONLY  # the fields below have no default, those above have
    channels: int = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __init__(self, channels: int, width: int = 4, *, key: Any = None):
        check_counts(channels=channels, width=width)
        self.channels, self.width = channels, width
        set_weights(self, key)

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.channels

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return self.channels

    def start(self) -> Float[Array, "past channels"]:
        """The inputs before the first, oldest first: zeros."""
        return jnp.zeros((self.width - 1, self.channels), self.taps.dtype)

    def step(
        self, state: Float[Array, "past channels"], u: Float[Array, " channels"], dt: Any = None
    ) -> tuple[Float[Array, "past channels"], Float[Array, " channels"]]:
        """The register after an input, and the output.

        Args:
            state: The inputs before, oldest first.
            u: The input.
            dt: Not read.
        """
        del dt
        window = jnp.concatenate([state, u[None]])
        return window[1:], jnp.sum(window[::-1] * self.taps, axis=0) + self.bias

    def scan(
        self,
        u: Float[Array, "time channels"],
        state: Float[Array, "past channels"] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> tuple[Float[Array, "time channels"], Float[Array, "past channels"]]:
        """All outputs, and the last register; as `AbstractLayer.scan`. All methods are one sum over the taps."""
        self.check_scan(u, dt, mask, method)
        if is_convolution(dt, mask, method) or mask is None:
            return self.convolve(u, state)
        # the steps that happen are moved together, so that they are neighbours in the register
        place = jnp.where(mask, jnp.cumsum(mask) - 1, len(u))
        together = jnp.zeros_like(u).at[place].set(silenced(u, mask), mode="drop")
        state = self.start() if state is None else state
        outputs, _ = self.convolve(together, state)
        whole = jnp.concatenate([state, together])
        last = lax.dynamic_slice_in_dim(whole, jnp.sum(mask), self.width - 1)
        return silenced(outputs[jnp.minimum(place, len(u) - 1)], mask), last

    def kernel(self, length: int) -> Float[Array, "length channels"]:
        """The taps, then zeros; as `AbstractInvariant.kernel`. The bias is no response to an input."""
        return jnp.pad(self.taps, ((0, max(length - self.width, 0)), (0, 0)))[:length]

    def convolve(
        self, u: Float[Array, "time channels"], state: Float[Array, "past channels"] | None = None
    ) -> tuple[Float[Array, "time channels"], Float[Array, "past channels"]]:
        """What `scan` returns, as a sum over the taps; as `AbstractInvariant.convolve`."""
        self.check(u, None, None)
        whole = jnp.concatenate([self.start() if state is None else state, u])
        past = self.width - 1
        outputs = sum(self.taps[k] * whole[past - k : past - k + len(u)] for k in range(self.width))
        return outputs + self.bias, whole[len(u) :]
