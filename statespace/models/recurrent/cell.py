"""What recurrent cells share: a real vector as state, of which the output is a function."""

import abc
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ...core.linalg import matmul
from ...core.parameters import parameters, require_known
from ..recursion import AbstractRecursion


class AbstractCell(AbstractRecursion):
    """A recurrent cell: a recursion on a real vector h.

        h[t] = advance(h[t-1], drive(u[t]), dt[t]),      output[t] = output(h[t])

    What the inputs alone contribute, `drive`, is computed for all steps at once. Weights are parameters, so that a cell
    in a model is learned with it; one that is made without a key has unknown weights.

    Attributes:
        inputs: Number of inputs; 0 for a cell that runs by itself.
        units: Number of units.
    """

    inputs: eqx.AbstractVar[int]
    units: eqx.AbstractVar[int]

    @abc.abstractmethod
    def drive(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps driven"]:
        """What the inputs alone contribute."""

    @abc.abstractmethod
    def advance(
        self, state: Float[Array, " state"], driven: Float[Array, " driven"], dt: Any = None
    ) -> Float[Array, " state"]:
        """The state after an input, from what the input contributes."""

    def output(self, state: Float[Array, " state"]) -> Float[Array, " outputs"]:
        """The output of a state: here the state itself."""
        return state

    def prepared(self) -> Self:
        """The cell with what does not depend on the step computed once, for a loop over steps."""
        return self

    def disturbance(self, scale: Float[Array, " noises"], dt: Any = None) -> Float[Array, " noises"]:
        """Standard deviations of the noise of a step, from those of a step of length 1: a random walk's if dt counts.

        Args:
            scale: Standard deviations over a step of length 1.
            dt: Length of the step; 1 when left out.
        """
        return scale if dt is None or not self.reads_dt else scale * jnp.sqrt(dt)

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.inputs

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return self.units

    @property
    def state_size(self) -> int:
        """Number of elements of the state."""
        return self.units

    @property
    def num_noises(self) -> int:
        """How many elements of the state, the first ones, noise may enter."""
        return self.state_size

    @property
    def state_names(self) -> tuple[str, ...]:
        """A name for each element of the state."""
        return tuple(f"h{i}" for i in range(self.state_size))

    def start(self) -> Float[Array, " state"]:
        """The state before the first input: zero."""
        values = [found.value for found in parameters(self).values() if found.value is not None]
        return jnp.zeros(self.state_size, jnp.result_type(*values) if values else float)

    def step(
        self, state: Float[Array, " state"], u: Float[Array, " inputs"], dt: Any = None
    ) -> tuple[Float[Array, " state"], Float[Array, " outputs"]]:
        """The state after an input, and the output.

        Args:
            state: The state before.
            u: The input.
            dt: Time since the step before; 1 when left out.
        """
        after = self.advance(state, self.drive(u), dt)
        return after, self.output(after)

    def scan(
        self,
        u: Float[Array, "time inputs"],
        state: Float[Array, " state"] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
    ) -> tuple[Float[Array, "time outputs"], Float[Array, " state"]]:
        """All outputs, and the last state, from which another call goes on; as `AbstractRecursion.scan`."""
        states, last = self.states(u, state, dt=dt, mask=mask)
        outputs = jax.vmap(self.output)(states)
        return (outputs if mask is None else jnp.where(mask[:, None], outputs, 0.0)), last

    def states(
        self,
        u: Float[Array, "time inputs"],
        state: Float[Array, " state"] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
    ) -> tuple[Float[Array, "time state"], Float[Array, " state"]]:
        """All states (zero at steps that do not happen), and the last one; arguments as of `scan`."""
        self.check(u, dt, mask)
        u = u if mask is None else jnp.where(mask[:, None], u, 0.0)  # a missing input may be NaN
        driven = self.drive(u)
        return self.prepared().along(driven, self.start() if state is None else state, dt, mask)

    def along(
        self,
        driven: Float[Array, "time driven"],
        state: Float[Array, " state"],
        dt: Float[Array, " time"] | None,
        mask: Bool[Array, " time"] | None,
    ) -> tuple[Float[Array, "time state"], Float[Array, " state"]]:
        """All states (zero at steps that do not happen), from what the inputs contribute, and the last one.

        Args:
            driven: What the inputs contribute at each step.
            state: The state before the first step.
            dt: Time since the step before; None where it is 1.
            mask: Which steps happen; None where all do.
        """
        return _Driven(self, driven.shape[-1]).scan(driven, state, dt=dt, mask=mask)

    def check(self, u: Array, dt: Array | None, mask: Array | None) -> None:
        """Raise a ValueError if the arguments of `scan` do not fit, or a weight is unknown."""
        super().check(u, dt, mask)
        require_known(self, "the cell")

    def from_inputs(self, u: Array, weights: Array, bias: Array) -> Array:
        """W u + b for one input or for all steps; b alone for a cell without inputs."""
        if not self.inputs:
            return jnp.broadcast_to(bias, (*u.shape[:-1], *bias.shape))
        return (matmul(weights, u) if u.ndim == 1 else u @ weights.T) + bias


class _Driven(AbstractRecursion):
    """A cell whose inputs' part has been computed; its output is the whole state."""

    cell: AbstractCell
    width: int = eqx.field(static=True)

    @property
    def input_size(self) -> int:
        return self.width

    @property
    def output_size(self) -> int:
        return self.cell.state_size

    @property
    def reads_dt(self) -> bool:
        return self.cell.reads_dt

    def start(self) -> Array:
        return self.cell.start()

    def step(self, state: Array, u: Array, dt: Any = None) -> tuple[Array, Array]:
        after = self.cell.advance(state, u, dt)
        return after, after
