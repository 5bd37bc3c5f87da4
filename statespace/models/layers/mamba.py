"""The Mamba block: a selective state space behind a short convolution, under a gate."""

from typing import Any

import jax
from jaxtyping import Array, Bool, Float

from ...core.keys import as_key
from ...core.recurrence import Method
from ..weights import check_counts
from .affine import Affine
from .convolution import ShortConvolution
from .layer import AbstractLayer, silenced
from .selective import SelectiveSSM


class Mamba(AbstractLayer):
    """A selective state space on widened features, behind a short convolution and under a gate.

        (x, z) = W_in u,      y = selective(silu(convolution(x))),      output = W_out (y silu(z))

    Time between steps enters the state space; the convolution counts steps.

    Args:
        features: Number of inputs, and of outputs.
        state_size: Number of states of each channel.
        expansion: Channels for each feature.
        width: Taps of the convolution.
        key: PRNG key of the weights; they are unknown when it is left out.
        **selective: Options of `SelectiveSSM`.

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> mamba = Mamba(2, 4)  # with key=jax.random.key(0) its weights are drawn
        >>> mamba.selective.channels, mamba.output_size
        (4, 2)

    Reference: Gu and Dao (2024), "Mamba: linear-time sequence modeling with selective state spaces", figure 3.
    """

    into: Affine
    convolution: ShortConvolution
    selective: SelectiveSSM
    out: Affine

    def __init__(
        self,
        features: int,
        state_size: int = 16,
        *,
        expansion: int = 2,
        width: int = 4,
        key: Any = None,
        **selective: Any,
    ):
        check_counts(features=features, expansion=expansion)
        channels = expansion * features
        keys = (None,) * 4 if key is None else jax.random.split(as_key(key), 4)
        self.into = Affine(features, 2 * channels, key=keys[0])
        self.convolution = ShortConvolution(channels, width, key=keys[1])
        self.selective = SelectiveSSM(channels, state_size, key=keys[2], **selective)
        self.out = Affine(channels, features, key=keys[3])

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.into.inputs

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return self.out.outputs

    @property
    def reads_dt(self) -> bool:
        """Whether a step depends on the time since the one before: it does."""
        return True

    def start(self) -> tuple[Array, Array]:
        """The states before the first input: the convolution's register and the state space's."""
        return self.convolution.start(), self.selective.start()

    def _split(self, u: Float[Array, "*steps features"]) -> tuple[Array, Array]:
        wide = self.into(u)
        return wide[..., : self.selective.channels], jax.nn.silu(wide[..., self.selective.channels :])

    def step(
        self, state: tuple[Array, Array], u: Float[Array, " features"], dt: Any = None
    ) -> tuple[tuple[Array, Array], Float[Array, " features"]]:
        """The states after an input, and the output.

        Args:
            state: The states before.
            u: The input.
            dt: Time since the step before; 1 when left out.
        """
        x, gate = self._split(u)
        register, x = self.convolution.step(state[0], x)
        inner, y = self.selective.step(state[1], jax.nn.silu(x), dt)
        return (register, inner), self.out(y * gate)

    def scan(
        self,
        u: Float[Array, "time features"],
        state: tuple[Array, Array] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> tuple[Float[Array, "time features"], tuple[Array, Array]]:
        """All outputs, and the last states; as `AbstractLayer.scan`, without `"fft"`: the layer is not invariant."""
        self.check_scan(u, dt, mask, method)
        state = self.start() if state is None else state
        x, gate = self._split(silenced(u, mask))
        x, register = self.convolution.scan(x, state[0], mask=mask)
        y, inner = self.selective.scan(jax.nn.silu(x), state[1], dt=dt, mask=mask, method=method)
        return silenced(self.out(y * gate), mask), (register, inner)
