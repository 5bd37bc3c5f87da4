"""Any recursion as a cell: its state as a real vector."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from ...core.parameters import parameters, replace
from ...core.real_vector import from_real_vector, on_real_vectors, real_size, real_vector
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
        return real_size(self._form()) + self.units

    @property
    def num_noises(self) -> int:
        """All but the outputs."""
        return self.state_size - self.units

    @property
    def state_names(self) -> tuple[str, ...]:
        """h0, h1, ... of the state, output0, output1, ... of the outputs."""
        return (*(f"h{i}" for i in range(self.num_noises)), *(f"output{i}" for i in range(self.units)))

    def start(self) -> Float[Array, " state"]:
        """The recursion's start, and an output of zero, which is never read."""
        flat = real_vector(self.recursion.start())
        return jnp.concatenate([flat, jnp.zeros(self.units, flat.dtype)])

    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps inputs"]:
        """The inputs themselves."""
        return u

    def advance(
        self, state: Float[Array, " state"], driven: Float[Array, " inputs"], dt: Any = None
    ) -> Float[Array, " state"]:
        """State and output after an input."""
        step = on_real_vectors(self.recursion.step, self._form())
        after, output = step(state[: state.shape[0] - self.units], driven, dt)
        if jnp.iscomplexobj(output):
            raise TypeError(f"a cell has real outputs, but those of {type(self.recursion).__name__} are {output.dtype}")
        return self.joined(after, output.astype(state.dtype))

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
        inner = None if state is None else from_real_vector(self._form())(state[: state.shape[0] - self.units])
        outputs, last = self.recursion.scan(u, inner, dt=dt, mask=mask)
        return outputs, self.joined(last, outputs[-1])

    def joined(self, state: PyTree, output: Float[Array, " outputs"]) -> Float[Array, " state"]:
        """The cell's state, of the recursion's and its output."""
        return jnp.concatenate([real_vector(state), output])

    def _form(self) -> PyTree:
        """Shapes and types of the recursion's state, ones standing in for unknown weights."""
        unknown = {path: p.shape for path, p in parameters(self.recursion).items() if p.value is None}

        def start() -> PyTree:
            return replace(self.recursion, {path: jnp.ones(shape) for path, shape in unknown.items()}).start()

        return jax.eval_shape(start)


def as_cell(recursion: AbstractRecursion) -> AbstractCell:
    """The recursion itself if it is a cell, else as one."""
    return recursion if isinstance(recursion, AbstractCell) else Ravelled(recursion)
