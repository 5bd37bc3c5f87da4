"""Stacks of blocks between an encoder and a decoder."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree

from ...core.keys import as_key
from ...core.recurrence import Method
from ..recursion import AbstractRecursion
from ..weights import check_counts
from .affine import Affine, LayerNorm
from .block import Block, run
from .layer import AbstractLayer, silenced


class Stack(AbstractLayer):
    """Blocks one after another, between an affine encoder and a normalised affine decoder.

        x = W_in u,    x = block(x) for each block,    output = W_out norm(x)

    Its state is the tuple of the blocks' states. Blocks of one kind are compiled once, whatever their number. It serves
    as the backbone of a model as it is, and within `Bidirectional` as an encoder of a whole sequence.

    Args:
        input_size: Number of inputs.
        output_size: Number of outputs.
        layer: Function of a key that returns the layer, or the cell, of a block; its inputs are the width of the stack.
        depth: Number of blocks.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If the depth is below 1.

    Example:
        >>> from statespace.models.layers import LRU
        >>> stack = Stack(1, 2, lambda key: LRU(4, 8, key=key), depth=3)  # with key=jax.random.key(0) weights are drawn
        >>> stack.output_size, len(stack.blocks)
        (2, 3)

    Reference: Orvieto et al. (2023), "Resurrecting recurrent neural networks for long sequences", figure 1.
    """

    encoder: Affine
    blocks: tuple[Block, ...]
    norm: LayerNorm
    decoder: Affine

    def __init__(
        self,
        input_size: int,
        output_size: int,
        layer: Callable[[Any], AbstractRecursion],
        *,
        depth: int = 2,
        key: Any = None,
    ):
        check_counts(depth=depth)
        keys = (None,) * (2 * depth + 2) if key is None else jax.random.split(as_key(key), 2 * depth + 2)
        pairs = zip(keys[2::2], keys[3::2], strict=True)
        self.blocks = tuple(Block(layer(first), key=second) for first, second in pairs)
        width = self.blocks[0].input_size
        self.encoder, self.norm = Affine(input_size, width, key=keys[0]), LayerNorm(width, key=key)
        self.decoder = Affine(width, output_size, key=keys[1])

    def __check_init__(self):
        widths = {block.input_size for block in self.blocks} | {self.encoder.outputs}
        if len(widths) != 1:
            raise ValueError(f"the blocks of a stack have one width, got {sorted(widths)}")

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.encoder.inputs

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return self.decoder.outputs

    @property
    def reads_dt(self) -> bool:
        """Whether any block depends on the time between steps."""
        return any(block.reads_dt for block in self.blocks)

    def start(self) -> tuple[PyTree, ...]:
        """The blocks' states before the first input."""
        return tuple(block.start() for block in self.blocks)

    def step(
        self, state: tuple[PyTree, ...], u: Float[Array, " inputs"], dt: Any = None
    ) -> tuple[tuple[PyTree, ...], Float[Array, " outputs"]]:
        """The states after an input, and the output.

        Args:
            state: The blocks' states before.
            u: The input.
            dt: Time since the step before; 1 when left out.
        """
        x, after = self.encoder(u), []
        for block, one in zip(self.blocks, state, strict=True):
            one, x = block.step(one, x, dt if block.reads_dt else None)
            after.append(one)
        return tuple(after), self.decoder(self.norm(x))

    def scan(
        self,
        u: Float[Array, "time inputs"],
        state: tuple[PyTree, ...] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> tuple[Float[Array, "time outputs"], tuple[PyTree, ...]]:
        """All outputs, and the last states; as `AbstractLayer.scan`."""
        self.check_scan(u, dt, mask, method)
        state = self.start() if state is None else state
        x = self.encoder(silenced(u, mask))

        def through(block: Block, x: Array, one: Any) -> tuple[Array, Any]:
            return block.scan(x, one, dt=dt if block.reads_dt else None, mask=mask, method=method)

        x, after = (
            _in_one(through, self.blocks, x, state) if _alike(self.blocks) else _each(through, self.blocks, x, state)
        )
        return silenced(self.decoder(self.norm(x)), mask), after


def _each(through: Any, blocks: Sequence[Block], x: Array, state: Any) -> tuple[Array, tuple[PyTree, ...]]:
    """Blocks of different kinds, one after another."""
    after = []
    for block, one in zip(blocks, state, strict=True):
        x, one = through(block, x, one)
        after.append(one)
    return x, tuple(after)


def _in_one(through: Any, blocks: Sequence[Block], x: Array, state: Any) -> tuple[Array, tuple[PyTree, ...]]:
    """Blocks of one kind as a loop over their weights."""
    arrays, kind = eqx.partition(blocks[0], eqx.is_array)
    del arrays
    weights = _stacked([eqx.filter(block, eqx.is_array) for block in blocks])

    def body(x: Array, slot: Any) -> tuple[Array, Any]:
        own, one = slot
        return through(eqx.combine(own, kind), x, one)

    x, after = lax.scan(body, x, (weights, _stacked(list(state))))
    return x, tuple(jax.tree.map(lambda leaf, i=i: leaf[i], after) for i in range(len(blocks)))


def _stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _alike(blocks: Sequence[Block]) -> bool:
    """Whether blocks differ in the values of their weights only."""

    def kind(block: Block) -> Any:
        leaves, tree = jax.tree.flatten(block)
        return tree, [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]

    return len(blocks) > 1 and all(kind(block) == kind(blocks[0]) for block in blocks[1:])


class Bidirectional(eqx.Module):
    """Two recursions over a sequence, one from each end: an encoder that sees all of it at every step.

    What it returns at a step depends on later inputs, so it has no state and no step of its own.

    Args:
        forward: The recursion from the first step on.
        backward: The recursion from the last step back; it may be of another kind.

    Raises:
        ValueError: If the two have different numbers of inputs.

    Example:
        >>> from statespace.models.layers import LRU
        >>> Bidirectional(LRU(2, 8), LRU(2, 8)).output_size
        4

    Reference: Schuster and Paliwal (1997), "Bidirectional recurrent neural networks".
    """

    forward: AbstractRecursion
    backward: AbstractRecursion

    def __check_init__(self):
        if self.forward.input_size != self.backward.input_size:
            raise ValueError(
                f"both directions read the same inputs, got {self.forward.input_size} and {self.backward.input_size}"
            )

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.forward.input_size

    @property
    def output_size(self) -> int:
        """Number of outputs of a step: those of both directions."""
        return self.forward.output_size + self.backward.output_size

    def encode(
        self,
        u: Float[Array, "time inputs"],
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> Float[Array, "time outputs"]:
        """The outputs of both directions side by side.

        Args:
            u: Inputs.
            dt: Time since the step before, for each step; the backward direction takes that to the step after. At
                its first step, the last of the sequence, it takes the first element.
            mask: Steps that do not happen are False; their output is zero.
            method: As for `AbstractLayer.scan`.

        Raises:
            ValueError: If shapes do not fit, or dt is given and neither direction reads it.
        """
        if dt is not None and not (self.forward.reads_dt or self.backward.reads_dt):
            raise ValueError("neither direction depends on the time between steps: leave dt= out")
        turned = None if dt is None else jnp.roll(jnp.flip(dt), 1)
        ahead, _ = run(self.forward, u, None, dt if self.forward.reads_dt else None, mask, method)
        flipped = None if mask is None else jnp.flip(mask)
        own = turned if self.backward.reads_dt else None
        back, _ = run(self.backward, jnp.flip(u, 0), None, own, flipped, method)
        return jnp.concatenate([ahead, jnp.flip(back, 0)], axis=-1)
