"""An echo state network that runs freely."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ...core.step import Step
from ..recursion import AbstractRecursion


class ClosedLoop(AbstractRecursion):
    """An echo state network that runs freely: its output is fed back in place of the observation, without noise.

        state = (h, y),    h' = recursion(h, ((y - level) / unit, u)),    y' = level + W phi'

    Its inputs are the exogenous ones, of which there may be none; its output is y. Lyapunov exponents and fixed points
    of it are those of the system that the network has learned.

    Args:
        model: The network.
        weights: W, (series, features).

    Example:
        >>> from statespace.models.reservoir import CycleCoupling, EchoState, Reservoir
        >>> model = EchoState(Reservoir(1, CycleCoupling(3), key=0), 1e-3, 0.1, level=1.0, unit=1.0)
        >>> y, _ = model.closed_loop(jnp.zeros((1, 5))).scan(jnp.zeros((4, 0)))
        >>> y[:, 0].tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    model: Any
    weights: Float[Array, "series features"]

    @property
    def input_size(self) -> int:
        """Number of exogenous inputs."""
        return len(self.model.columns)

    @property
    def output_size(self) -> int:
        """Number of series."""
        return self.model.count

    @property
    def reads_dt(self) -> bool:
        """Whether the recursion inside reads the time between steps."""
        return self.model.recursion.reads_dt

    def start(self) -> PyTree:
        """The recursion at rest, after the observation before the first stamp."""
        return self.model.recursion.start(), self.model.first_previous

    def step(self, state: PyTree, u: Float[Array, " inputs"], dt: Any = None) -> tuple[PyTree, Float[Array, " series"]]:
        """State and output after the next step."""
        inner, previous = state
        model, zero = self.model, jnp.zeros((), int)
        step = Step(zero, jnp.zeros(()), inputs=u, previous=previous)
        drive = model.fed(step)
        inner, output = model.recursion.step(inner, drive, dt)
        y = model.centre + self.weights @ model.features(output, drive)
        return (inner, y), y
