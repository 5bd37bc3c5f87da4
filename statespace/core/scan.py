"""The scan that runs every recursion over time, and what it needs to be fast.

A recursion has `predict(belief, slot)` and `update(belief, slot) -> (belief, summary)`; a slot is
everything that belongs to one stamp (step, data, matrices). The law of the first stamp is given, so the
first stamp is only updated; `predict` is never called there.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Literal

B = TypeVar("B")

CHECKPOINT_FROM = 4096
_CHUNK = 256


@runtime_checkable
class Recursion(Protocol):
    """What the scan needs from a method."""

    def predict(self, belief: Any, slot: Any) -> Any:
        """The belief at this stamp before its observation."""
        ...

    def update(self, belief: Any, slot: Any) -> tuple[Any, Any]:
        """The belief after the stamp's observation, and what is to be kept of the step."""
        ...


def forward(recursion: Recursion, belief: B, slots: Any, *, started: bool, checkpoint: bool = False) -> tuple[B, Any]:
    """Run a recursion over the slots.

    Args:
        recursion: The method.
        belief: The law of the state at the first slot's stamp, or, if `started`, after the stamp before.
        slots: Pytree of arrays with a leading time axis.
        started: Whether the first slot needs a prediction too.
        checkpoint: Whether reverse-mode differentiation recomputes inner steps to save memory.

    Returns:
        The last belief, and the summaries stacked over time.
    """

    @functools.partial(jax.checkpoint, prevent_cse=False)  # the backward pass recomputes a step: less to store
    def body(carry, slot):
        return recursion.update(recursion.predict(carry, slot), slot)

    if started:
        return scan(body, belief, slots, checkpoint=checkpoint)
    head, tail = at(slots, 0), jax.tree.map(lambda leaf: leaf[1:], slots)
    belief, first = recursion.update(belief, head)
    if length_of(slots) == 1:
        return belief, jax.tree.map(lambda a: a[None], first)
    belief, rest = scan(body, belief, tail, checkpoint=checkpoint)
    return belief, jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)


def scan(body: Callable, carry: Any, xs: Any, *, reverse: bool = False, checkpoint: bool = False) -> tuple[Any, Any]:
    """`lax.scan`, with inner chunks recomputed in the backward pass of long series if asked."""
    length = length_of(xs)
    if not checkpoint or length < CHECKPOINT_FROM:
        return lax.scan(body, carry, xs, reverse=reverse)
    chunks, rest = divmod(length, _CHUNK)
    split = length - rest
    if reverse:
        carry, tail = lax.scan(body, carry, part(xs, split, length), reverse=True)
    blocks = jax.tree.map(lambda x: x[:split].reshape(chunks, _CHUNK, *x.shape[1:]), xs)
    inner = jax.checkpoint(lambda c, block: lax.scan(body, c, block, reverse=reverse))
    carry, out = lax.scan(inner, carry, blocks, reverse=reverse)
    out = jax.tree.map(lambda x: x.reshape(split, *x.shape[2:]), out)
    if not reverse:
        carry, tail = lax.scan(body, carry, part(xs, split, length))
    return carry, join(out, tail)


def length_of(tree: Any) -> int:
    """The length of the leading axis."""
    return jax.tree.leaves(tree)[0].shape[0]


def at(tree: Any, position: Any) -> Any:
    """One position of the leading axis."""
    return jax.tree.map(lambda leaf: leaf[position], tree)


def part(tree: Any, start: int | None, stop: int | None) -> Any:
    """A stretch of the leading axis."""
    return jax.tree.map(lambda leaf: leaf[start:stop], tree)


def join(*trees: Any) -> Any:
    """Pytrees put one after another along the leading axis."""
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


class Hoisted:
    """The values of a function of the slot, computed ahead of a scan.

    What does not depend on the slot is computed once and closed over by the scan's body; the rest has a
    leading time axis and is scanned.
    """

    def __init__(self, function: Callable[[Any], Any], xs: Any):
        """Trace the function once and split its outputs by whether they depend on the slot."""
        example = at(xs, 0)
        jaxpr, shape = jax.make_jaxpr(function, return_shape=True)(example)
        depends = _depends(jaxpr.jaxpr)
        once = jax.tree.leaves(function(example))
        each = jax.tree.leaves(jax.vmap(function)(xs)) if any(depends) else once
        self.treedef = jax.tree.structure(shape)
        self.constant = [None if d else leaf for d, leaf in zip(depends, once, strict=True)]
        self.varying = [leaf if d else None for d, leaf in zip(depends, each, strict=True)]

    def merge(self, slices: list[Any]) -> Any:
        """The function's value at one slot, given that slot's slice of `varying`."""
        leaves = [v if c is None else c for c, v in zip(self.constant, slices, strict=True)]
        return jax.tree.unflatten(self.treedef, leaves)

    def all(self, length: int) -> Any:
        """The function's value at all slots, constants repeated."""
        leaves = [
            v if c is None else jnp.broadcast_to(c, (length, *c.shape))
            for c, v in zip(self.constant, self.varying, strict=True)
        ]
        return jax.tree.unflatten(self.treedef, leaves)


def depends(function: Callable[..., Any], *args: Any) -> bool:
    """Whether any output of a function depends on its first argument (and is not only made beside it)."""
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    count = len(jax.tree.leaves(args[0]))
    return any(_reached(jaxpr, jaxpr.invars[:count]))


def _depends(jaxpr: Any) -> list[bool]:
    """Which outputs of a jaxpr depend on its inputs."""
    return _reached(jaxpr, jaxpr.invars)


def _reached(jaxpr: Any, inputs: Any) -> list[bool]:
    """Which outputs of a jaxpr depend on some of its inputs."""
    reached = set(inputs)
    for equation in jaxpr.eqns:
        if any(not isinstance(v, Literal) and v in reached for v in equation.invars):
            reached.update(equation.outvars)
    return [not isinstance(v, Literal) and v in reached for v in jaxpr.outvars]
