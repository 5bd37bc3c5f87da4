"""S5: one diagonal state space for all channels."""

import math
from dataclasses import KW_ONLY
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ...core.hippo import NormalPlusLowRank, normal_plus_low_rank
from ...core.parameters import Unknown
from ..weights import check_choice, check_counts, set_weights, weight
from .diagonal import AbstractContinuous, AbstractMixing
from .layer import as_complex, as_pairs, check_steps, log_step_prior, log_uniform, project


class S5(AbstractMixing, AbstractContinuous):
    """One diagonal state space in continuous time with many inputs and outputs, conjugate pairs of modes stored once.

        dz/dt = lambda z + B u,      lambda = -exp(log_decay) + i frequency,      y = 2 Re(C z) + D u

    discretised with a step exp(log_dt) of each mode's own, times dt where stamps are irregular. The modes start from
    those of the normal part of HiPPO's Legendre memory, repeated in blocks.

    Args:
        input_size: Number of inputs.
        state_size: Number of real states: two for each pair of modes.
        output_size: Number of outputs; as many as inputs when left out.
        blocks: Number of blocks at the start; the states of a block are an even number.
        rule: `"zoh"` or `"s4_bilinear"`, see `statespace.core.diagonal`.
        step_bounds: Smallest and largest step at the start, log-uniform between them.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1, the states do not make equal blocks of pairs, or an option is unknown.

    Example:
        >>> S5(2, 8, blocks=2).block().eigenvalues.shape  # with key=jax.random.key(0) its weights are drawn
        (2,)

    Reference: Smith, Warrington and Linderman (2023), "Simplified state space layers for sequence modeling".
    """

    log_decay: Float[Array, " modes"] | Unknown = weight(
        lambda self: (self.modes,),
        lambda self, key, shape: jnp.log(-jnp.tile(self.block().eigenvalues.real, self.blocks)),
        centre=lambda self: math.log(0.5),
        spread=lambda self: 1.0,
    )
    frequency: Float[Array, " modes"] | Unknown = weight(
        lambda self: (self.modes,),
        lambda self, key, shape: jnp.tile(jnp.asarray(self.block().eigenvalues.imag), self.blocks),
        spread=lambda self: math.pi * self.modes / self.blocks,
    )
    B: Float[Array, "modes inputs 2"] | Unknown = weight(
        lambda self: (self.modes, self.inputs, 2),
        lambda self, key, shape: self.into_modes(key),
        spread=lambda self: 1 / math.sqrt(2 * self.inputs),
    )
    C: Float[Array, "outputs modes 2"] | Unknown = weight(
        lambda self: (self.outputs, self.modes, 2),
        lambda self, key, shape: self.from_modes(key),
        spread=lambda self: 1 / math.sqrt(4 * self.modes),
    )
    D: Float[Array, "outputs inputs"] | Unknown = weight(
        lambda self: (self.outputs, self.inputs),
        lambda self, key, shape: jnp.eye(shape[0], shape[1]) * jax.random.normal(key, shape),
        spread=lambda self: 1.0,
    )
    log_dt: Float[Array, " modes"] | Unknown = weight(
        lambda self: (self.modes,),
        lambda self, key, shape: log_uniform(key, shape, self.step_bounds),
        prior=lambda self, scale: log_step_prior((self.modes,), self.step_bounds),
    )
    _: KW_ONLY  # the fields below have no default, those above have
    inputs: int = eqx.field(static=True)
    modes: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    blocks: int = eqx.field(static=True)
    rule: str = eqx.field(static=True)
    step_bounds: tuple[float, float] = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        state_size: int,
        output_size: int | None = None,
        *,
        blocks: int = 1,
        rule: Literal["zoh", "s4_bilinear"] = "zoh",
        step_bounds: tuple[float, float] = (1e-3, 1e-1),
        key: Any = None,
    ):
        output_size = input_size if output_size is None else output_size
        check_counts(input_size=input_size, state_size=state_size, output_size=output_size, blocks=blocks)
        if state_size % (2 * blocks):
            wanted = f"expected a multiple of {2 * blocks}"
            raise ValueError(f"{state_size} states do not make {blocks} blocks of pairs: {wanted}")
        self.inputs, self.modes, self.outputs, self.blocks = input_size, state_size // 2, output_size, blocks
        self.rule = check_choice("rule", rule, ("zoh", "s4_bilinear"))
        self.step_bounds = check_steps(step_bounds)
        set_weights(self, key)

    def block(self) -> NormalPlusLowRank:
        """The modes with which a block starts, one of each pair."""
        return normal_plus_low_rank("legs", 2 * self.modes // self.blocks).halved()

    def into_modes(self, key: Any) -> Float[Array, "modes inputs 2"]:
        """Real normal input weights of variance 1 / inputs, in the modes."""
        real = jax.random.normal(key, (self.blocks, 2 * self.modes // self.blocks, self.inputs))
        modes = jnp.einsum("nm,bni->bmi", self.block().vectors.conj(), real / math.sqrt(self.inputs))
        return as_pairs(modes.reshape(self.modes, self.inputs))

    def from_modes(self, key: Any) -> Float[Array, "outputs modes 2"]:
        """Real normal output weights of variance 1 / states, in the modes."""
        real = jax.random.normal(key, (self.outputs, self.blocks, 2 * self.modes // self.blocks))
        modes = jnp.einsum("obn,nm->obm", real / math.sqrt(2 * self.modes), np.asarray(self.block().vectors))
        return as_pairs(modes.reshape(self.outputs, self.modes))

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
        """Whether each mode stands for itself and its complex conjugate: it does."""
        return True

    def mode_steps(self) -> Float[Array, " modes"]:
        """The modes' steps."""
        return jnp.exp(self.log_dt)

    def drive(self, u: Float[Array, "*steps inputs"]) -> Complex[Array, "*steps modes"]:
        """What an input adds to each mode before the gain."""
        return project(u, self.B)

    def continuous_matrices(self) -> tuple[Array, Array, Array, Array]:
        """Eigenvalues, B, C and D; as `AbstractContinuous.continuous_matrices`."""
        rates = self.mode_steps()
        return rates * self.eigenvalues(), rates[:, None] * as_complex(self.B), 2.0 * as_complex(self.C), self.D

    def matrices(self) -> tuple[Array, Array, Array]:
        """B, C and D."""
        return self.B, self.C, self.D
