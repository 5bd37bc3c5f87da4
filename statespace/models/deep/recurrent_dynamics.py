"""Latent states beside a recurrent cell: whether the cell sees them tells the models apart."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Normal

from ...core.step import Step
from ..recurrent.cell import AbstractCell
from ..weights import check_counts
from .dynamics import AbstractLatentDynamics
from .networks import MLP, NormalNetwork


class AbstractCellDynamics(AbstractLatentDynamics):
    """Dynamics whose path is a cell's state.

    Attributes:
        cell: The cell.
    """

    cell: eqx.AbstractVar[AbstractCell]

    @property
    def path(self) -> int:
        """Length of the cell's state."""
        return self.cell.state_size

    @property
    def path_names(self) -> tuple[str, ...]:
        """The cell's."""
        return self.cell.state_names

    @property
    def reads_dt(self) -> bool:
        """Whether the cell does."""
        return self.cell.reads_dt

    def start(self) -> tuple[Float[Array, " path"], Float[Array, " latent"]]:
        """The cell's start, and zero."""
        h = self.cell.start()
        return h, jnp.zeros(self.latent, h.dtype)


class RecurrentDynamics(AbstractCellDynamics):
    """The variational recurrent network: the cell sees what was observed, and the latent state before.

        h[t] = cell(h[t-1], [seen(fed[t]), feature(z[t-1])]),      z[t] ~ law(output(h[t]))

    Args:
        cell: The cell; its inputs are the outputs of `seen`, then those of `feature`.
        law: Network from the cell's output to the laws of the latent states.
        feature: Network on the latent state.
        seen: Network on what is fed; what is fed itself when left out.

    Raises:
        ValueError: If sizes do not follow on each other.

    Example:
        >>> from statespace.models.recurrent import GRU
        >>> law = NormalNetwork(MLP([6, 6]), 2)
        >>> RecurrentDynamics(GRU(3 + 4, 6), law, MLP([2, 4])).fed
        3

    Reference: Chung et al. (2015), "A recurrent latent variable model for sequential data", equations 5 to 8.
    """

    cell: AbstractCell
    prior: NormalNetwork
    feature: MLP
    seen: MLP | None
    latent: int = eqx.field(static=True)
    fed: int = eqx.field(static=True)

    def __init__(self, cell: AbstractCell, law: NormalNetwork, feature: MLP, seen: MLP | None = None):
        self.cell, self.prior, self.feature, self.seen = cell, law, feature, seen
        self.latent = law.mean.outputs
        left = cell.input_size - feature.output_size
        self.fed = left if seen is None else seen.input_size
        if seen is not None:
            _check_follows("the cell", left, seen.output_size, "outputs of the network on what is fed")
        _check_follows("the feature network", feature.input_size, self.latent, "latent states")
        _check_follows("the law", law.body.input_size, cell.output_size, "outputs of the cell")
        check_counts(0, fed=self.fed)

    @property
    def readout(self) -> int:
        """The cell's output, and the feature of the latent state."""
        return self.cell.output_size + self.feature.output_size

    def advance(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Float[Array, " path"]:
        """The cell's next state."""
        u = jnp.concatenate([_through(self.seen, fed), self.feature(z)])
        return self.cell.step(h, u, cell_dt(self.cell, step))[0]

    def law(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Normal:
        """The laws of the latent state, given the cell's output."""
        del z, fed, step
        return self.prior(self.cell.output(h))

    def read(self, h: Float[Array, " path"], z: Float[Array, " latent"]) -> Float[Array, " readout"]:
        """The cell's output and the feature of the latent state."""
        return jnp.concatenate([self.cell.output(h), self.feature(z)])


class StackedDynamics(AbstractCellDynamics):
    """The stochastic recurrent network: a cell that never sees the latent states, and a Markov chain on top of it.

        d[t] = cell(d[t-1], seen(fed[t])),      z[t] ~ law([z[t-1], output(d[t])])

    The cell's path is known before any latent state is drawn.

    Args:
        cell: The cell; its inputs are the outputs of `seen`.
        law: Network from the latent state before and the cell's output to the laws of the latent states.
        seen: Network on what is fed; what is fed itself when left out.

    Raises:
        ValueError: If sizes do not follow on each other.

    Example:
        >>> from statespace.models.recurrent import GRU
        >>> StackedDynamics(GRU(3, 6), NormalNetwork(MLP([2 + 6, 8]), 2)).reads_latent
        False

    Reference: Fraccaro et al. (2016), "Sequential neural models with stochastic layers", NeurIPS, section 3.
    """

    cell: AbstractCell
    prior: NormalNetwork
    seen: MLP | None
    latent: int = eqx.field(static=True)
    fed: int = eqx.field(static=True)

    def __init__(self, cell: AbstractCell, law: NormalNetwork, seen: MLP | None = None):
        self.cell, self.prior, self.seen = cell, law, seen
        self.latent, self.fed = law.mean.outputs, cell.input_size if seen is None else seen.input_size
        if seen is not None:
            _check_follows("the cell", cell.input_size, seen.output_size, "outputs of the network on what is fed")
        _check_follows("the law", law.body.input_size, self.latent + cell.output_size, "latent states and outputs")

    @property
    def reads_latent(self) -> bool:
        """The cell does not."""
        return False

    @property
    def readout(self) -> int:
        """The cell's output and the latent state."""
        return self.cell.output_size + self.latent

    def advance(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Float[Array, " path"]:
        """The cell's next state."""
        del z
        return self.cell.step(h, _through(self.seen, fed), cell_dt(self.cell, step))[0]

    def law(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Normal:
        """The laws of the latent state, given the one before and the cell's output."""
        del fed, step
        return self.prior(jnp.concatenate([z, self.cell.output(h)]))

    def read(self, h: Float[Array, " path"], z: Float[Array, " latent"]) -> Float[Array, " readout"]:
        """The cell's output and the latent state."""
        return jnp.concatenate([self.cell.output(h), z])


class AbsorbingDynamics(AbstractLatentDynamics):
    """The stochastic recurrent network of STORN: independent latent states that the cell takes in at once.

        z[t] ~ N(0, I),      c[t] = cell(c[t-1], [fed[t], z[t]]),      the emission sees output(c[t])

    The path h[t] holds c[t-1] and fed[t], from which z[t] leads to c[t].

    Args:
        cell: The cell; its inputs are what is fed, then the latent states.
        latent: Number of latent states.

    Raises:
        ValueError: If the cell has fewer inputs than there are latent states, or depends on the time between stamps.

    Example:
        >>> from statespace.models.recurrent import GRU
        >>> AbsorbingDynamics(GRU(3 + 2, 6), 2).readout
        6

    Reference: Bayer and Osendorfer (2014), "Learning stochastic recurrent networks", section 3.
    """

    cell: AbstractCell
    latent: int = eqx.field(static=True)
    fed: int = eqx.field(static=True)

    def __init__(self, cell: AbstractCell, latent: int):
        check_counts(latent=latent)
        self.cell, self.latent, self.fed = cell, latent, cell.input_size - latent
        check_counts(0, fed=self.fed)
        if cell.reads_dt:
            raise ValueError(f"{type(cell).__name__} depends on the time between stamps, which the path does not keep")

    @property
    def path(self) -> int:
        """Length of the cell's state, and of what is fed."""
        return self.cell.state_size + self.fed

    @property
    def readout(self) -> int:
        """The cell's output."""
        return self.cell.output_size

    @property
    def path_names(self) -> tuple[str, ...]:
        """The cell's, then fed0, fed1, ..."""
        return (*self.cell.state_names, *(f"fed{i}" for i in range(self.fed)))

    def start(self) -> tuple[Float[Array, " path"], Float[Array, " latent"]]:
        """The cell's start, and zeros."""
        c = self.cell.start()
        return jnp.concatenate([c, jnp.zeros(self.fed, c.dtype)]), jnp.zeros(self.latent, c.dtype)

    def advance(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Float[Array, " path"]:
        """The cell's state before the step, and what is fed there."""
        started = step.index > 0  # the cell's start has taken in nothing
        return jnp.concatenate([jnp.where(started, self._taken(h, z), h[: self.cell.state_size]), fed])

    def law(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Normal:
        """Standard normal laws."""
        del h, fed, step
        return Normal(jnp.zeros_like(z), jnp.ones_like(z))

    def read(self, h: Float[Array, " path"], z: Float[Array, " latent"]) -> Float[Array, " readout"]:
        """The cell's output."""
        return self.cell.output(self._taken(h, z))

    def _taken(self, h: Array, z: Array) -> Array:
        """The cell's state once it has taken in a latent state, and what was fed beside it."""
        size = self.cell.state_size
        return self.cell.step(h[:size], jnp.concatenate([h[size:], z]))[0]


def cell_dt(cell: AbstractCell, step: Step) -> Any:
    """The length of the cell's step where it reads it."""
    return step.spacing if cell.reads_dt else None


def _through(network: MLP | None, x: Array) -> Array:
    return x if network is None else network(x)


def _check_follows(what: str, got: int, expected: int, of: str) -> None:
    if got != expected:
        raise ValueError(f"{what} has {got} inputs, but there are {expected} {of}")
