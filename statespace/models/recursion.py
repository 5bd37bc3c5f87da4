"""What cells, layers, reservoirs and stacks of them share: the recursion (state, input) -> (state, output)."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree

from ..core.parameters import is_traced


class AbstractRecursion(eqx.Module):
    """A deterministic recursion over time.

        x[t], output[t] = step(x[t-1], u[t], dt[t])

    It is written for one sequence: `jax.vmap` serves batches. A state is an array or a tree of arrays, real or
    complex; whoever needs a vector ravels it.
    """

    @property
    @abc.abstractmethod
    def input_size(self) -> int:
        """Number of inputs of a step."""

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """Number of outputs of a step."""

    @property
    def reads_dt(self) -> bool:
        """Whether a step depends on the time since the one before."""
        return False

    @abc.abstractmethod
    def start(self) -> PyTree:
        """The state before the first input."""

    @abc.abstractmethod
    def step(
        self, state: PyTree, u: Float[Array, " inputs"], dt: Float[Array, ""] | float | None = None
    ) -> tuple[PyTree, Float[Array, " outputs"]]:
        """The state after an input, and the output.

        Args:
            state: The state before.
            u: The input.
            dt: Time since the step before, in units of the step for which the recursion was made; 1 when left out.
        """

    def lipschitz(self) -> tuple[float, float] | None:
        """Constants by which a step may magnify differences of states and of inputs, in Euclidean norms.

        Returns:
            The two, None where they are not known.
        """
        return None

    def scan(
        self,
        u: Float[Array, "time inputs"],
        state: PyTree = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
    ) -> tuple[Float[Array, "time outputs"], PyTree]:
        """All outputs, and the last state, from which another call goes on.

        Args:
            u: Inputs.
            state: The state before the first of them; `start()` when left out.
            dt: Time since the step before, for each step.
            mask: Steps that do not happen are False: they leave the state as it is, and their output is zero.

        Raises:
            ValueError: If shapes do not fit, or dt is given to a recursion that does not read it.
        """
        self.check(u, dt, mask)
        state = self.start() if state is None else state

        def body(state: PyTree, slot: Any) -> tuple[PyTree, Array]:
            u, dt, present = slot
            after, output = self.step(state, u, dt)
            if present is None:
                return after, output
            kept = jax.tree.map(lambda new, old: jnp.where(present, new, old), after, state)
            return kept, jnp.where(present, output, jnp.zeros_like(output))

        # an input that is missing may be NaN: it is not let into what its step computes
        u = u if mask is None else jnp.where(mask[:, None], u, 0.0)
        last, outputs = lax.scan(body, state, (u, dt, mask))
        return outputs, last

    def check(self, u: Array, dt: Array | None, mask: Array | None) -> None:
        """Raise a ValueError if the arguments of `scan` do not fit, a TypeError if inputs are no array."""
        if not isinstance(u, jax.Array | np.ndarray):
            raise TypeError(f"inputs are an array (time, {self.input_size}), got {type(u).__name__}")
        if u.ndim != 2 or u.shape[1] != self.input_size:
            raise ValueError(f"inputs have shape {u.shape}, expected (time, {self.input_size})")
        if dt is not None and not self.reads_dt:
            raise ValueError(f"{type(self).__name__} does not depend on the time between steps: leave dt= out")
        for name, value in (("dt", dt), ("mask", mask)):
            if value is not None and np.shape(value) != u.shape[:1]:
                raise ValueError(f"{name} has shape {np.shape(value)}, expected {u.shape[:1]}, one for each input")
        if dt is not None and not is_traced(dt) and not np.all(np.asarray(dt) >= 0):
            raise ValueError(f"dt is the time since the step before, which is not negative: got {np.asarray(dt).min()}")
        if mask is not None and mask.dtype != bool:
            raise ValueError(f"mask tells which steps happen, True or False: got {mask.dtype}")
