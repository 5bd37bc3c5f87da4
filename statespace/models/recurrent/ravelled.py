"""Any recursion as a cell: its state as a real vector."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ...core.parameters import parameters, replace
from ..recursion import AbstractRecursion
from .cell import AbstractCell


class Ravelled(AbstractCell):
    """Any recursion (a layer, a stack) as a cell: its state as a real vector, with the output at the end.

    Complex numbers become pairs: all real parts of an array, then its imaginary parts. The output is carried along
    since it need not be a function of the state alone.

    Args:
        recursion: The recursion.

    Example:
        >>> from .gru import GRU
        >>> Ravelled(GRU(2, 3, key=jax.random.key(0))).state_size
        6
    """

    recursion: AbstractRecursion
    inputs: int = eqx.field(static=True)
    units: int = eqx.field(static=True)

    def __init__(self, recursion: AbstractRecursion):
        self.recursion, self.inputs, self.units = recursion, recursion.input_size, recursion.output_size

    @property
    def reads_dt(self) -> bool:
        """Whether the recursion does."""
        return self.recursion.reads_dt

    @property
    def state_size(self) -> int:
        """Real numbers of the state, and the outputs."""
        return sum(_count(leaf) for leaf in jax.tree.leaves(self._form())) + self.units

    @property
    def num_noises(self) -> int:
        """All but the outputs."""
        return self.state_size - self.units

    @property
    def state_names(self) -> tuple[str, ...]:
        """s0, s1, ... of the state, o0, o1, ... of the outputs."""
        return (*(f"s{i}" for i in range(self.num_noises)), *(f"o{i}" for i in range(self.units)))

    def start(self) -> Float[Array, " state"]:
        """The recursion's start, and an output of zero, which is never read."""
        flat = ravelled(self.recursion.start())
        return jnp.concatenate([flat, jnp.zeros(self.units, flat.dtype)])

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps inputs"]:
        """The inputs themselves."""
        return u

    def advance(
        self, state: Float[Array, " state"], driven: Float[Array, " inputs"], dt: Any = None
    ) -> Float[Array, " state"]:
        """State and output after an input."""
        before = unravelled(state[: state.shape[0] - self.units], self._form())
        after, output = self.recursion.step(before, driven, dt)
        return jnp.concatenate([ravelled(after), output.astype(state.dtype)])

    def output(self, state: Float[Array, " state"]) -> Float[Array, " outputs"]:
        """The output that the state carries."""
        return state[state.shape[0] - self.units :]

    def scan(
        self,
        u: Float[Array, "time inputs"],
        state: Float[Array, " state"] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
    ) -> tuple[Float[Array, "time outputs"], Float[Array, " state"]]:
        """All outputs, and the last state; by the recursion's own scan."""
        inner = None if state is None else unravelled(state[: state.shape[0] - self.units], self._form())
        outputs, last = self.recursion.scan(u, inner, dt=dt, mask=mask)
        return outputs, jnp.concatenate([ravelled(last), outputs[-1]])

    def _form(self) -> PyTree:
        """Shapes and types of the recursion's state, ones standing in for unknown weights."""
        unknown = {path: p.shape for path, p in parameters(self.recursion).items() if p.value is None}

        def start() -> PyTree:
            return replace(self.recursion, {path: jnp.ones(shape) for path, shape in unknown.items()}).start()

        return jax.eval_shape(start)


def as_cell(recursion: AbstractRecursion) -> AbstractCell:
    """The recursion itself if it is a cell, else as one."""
    return recursion if isinstance(recursion, AbstractCell) else Ravelled(recursion)


def _count(leaf: Any) -> int:
    return math.prod(leaf.shape) * (2 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else 1)


def ravelled(tree: PyTree) -> Float[Array, " n"]:
    """The numbers of a tree one after another; complex ones as their real, then their imaginary parts."""
    parts: list[Array] = []
    for leaf in jax.tree.leaves(tree):
        flat = jnp.ravel(leaf)
        parts += [flat.real, flat.imag] if jnp.iscomplexobj(flat) else [flat]
    return jnp.concatenate(parts)


def unravelled(vector: Float[Array, " n"], form: PyTree) -> PyTree:
    """The tree of given shapes and types whose numbers `ravelled` put one after another."""
    leaves, tree = jax.tree.flatten(form)
    made, place = [], 0
    for leaf in leaves:
        part, place = vector[place : place + _count(leaf)], place + _count(leaf)
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            real, imaginary = jnp.split(part, 2)
            part = jax.lax.complex(real, imaginary)
        made.append(part.reshape(leaf.shape))
    return jax.tree.unflatten(tree, made)
