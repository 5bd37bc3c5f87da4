"""A recursion whose parameters are constants."""

from typing import Any

from jaxtyping import Array, Float, PyTree

from ...core.parameters import require_known
from ..recursion import AbstractRecursion


class Frozen(AbstractRecursion):
    """A cell, layer or reservoir that is used as it is: nothing in it is a parameter of the model around it.

    Args:
        recursion: What is frozen; all its parameters have values.

    Raises:
        ValueError: If a parameter is unknown.

    Example:
        >>> from statespace.core.parameters import parameters
        >>> from statespace.models.reservoir import CycleCoupling, Reservoir
        >>> cell = Reservoir(1, CycleCoupling(5), key=0)
        >>> list(parameters(cell)), list(parameters(Frozen(cell)))
        (['spectral_radius', 'input_scale'], [])
    """

    held: dict[str, AbstractRecursion]  # parameters are not looked for in a dictionary of modules

    def __init__(self, recursion: AbstractRecursion):
        require_known(recursion, "what is frozen")
        self.held = {"recursion": recursion}

    @property
    def recursion(self) -> AbstractRecursion:
        """What is frozen."""
        return self.held["recursion"]

    @property
    def input_size(self) -> int:
        """Number of inputs."""
        return self.recursion.input_size

    @property
    def output_size(self) -> int:
        """Number of outputs."""
        return self.recursion.output_size

    @property
    def reads_dt(self) -> bool:
        """Whether a step depends on the time since the one before."""
        return self.recursion.reads_dt

    def start(self) -> PyTree:
        """The state before the first input."""
        return self.recursion.start()

    def step(
        self, state: PyTree, u: Float[Array, " inputs"], dt: Any = None
    ) -> tuple[PyTree, Float[Array, " outputs"]]:
        """The state after an input, and the output."""
        return self.recursion.step(state, u, dt)

    def scan(
        self, u: Float[Array, "time inputs"], state: PyTree = None, *, dt: Any = None, mask: Any = None
    ) -> tuple[Float[Array, "time outputs"], PyTree]:
        """All outputs, and the last state."""
        return self.recursion.scan(u, state, dt=dt, mask=mask)
