"""Latent states that do not move: what a sequence is like as a whole."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.step import Step
from ..weights import check_counts
from .dynamics import AbstractLatentDynamics
from .laws import Law, normal, parts, triangle
from .proposals import AbstractProposal, Messages


class StaticLatents(AbstractLatentDynamics):
    """Dynamics, and beside them latent states v that are drawn once and stay.

        v ~ N(0, I),      h[t], z[t] as the dynamics have them,      read(h[t], z[t]), v is what the emission sees

    v is drawn with z at the first stamp and kept in the path from the second on; for the state to keep its form, there
    are as many standard normal draws later on, which nothing depends on. A guide leaves them to the model by
    `StaticProposal`.

    Args:
        dynamics: What moves.
        size: Length of v.

    Raises:
        TypeError: If the dynamics are none.
        ValueError: If the size is below 1.

    Example:
        >>> from statespace.models.deep import LinearTransition
        >>> both = StaticLatents(LinearTransition(2, key=0), 3)
        >>> both.latent, both.readout, both.path
        (5, 5, 4)

    Reference: Li and Mandt (2018), "Disentangled sequential autoencoder", ICML, equation 1.
    """

    dynamics: AbstractLatentDynamics
    size: int = eqx.field(static=True)

    def __init__(self, dynamics: AbstractLatentDynamics, size: int):
        self.dynamics, self.size = dynamics, size

    def __check_init__(self):
        if not isinstance(self.dynamics, AbstractLatentDynamics):
            raise TypeError(f"StaticLatents takes dynamics, got {type(self.dynamics).__name__}")
        check_counts(size=self.size)

    @property
    def latent(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those that move, then v."""
        return self.dynamics.latent + self.size

    @property
    def fed(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the dynamics are fed."""
        return self.dynamics.fed

    @property
    def path(self) -> int:
        """The dynamics' path, v as it was drawn, and whether that is in the past."""
        return self.dynamics.path + self.size + 1

    @property
    def reads_dt(self) -> bool:
        """Whether the dynamics do."""
        return self.dynamics.reads_dt

    @property
    def readout(self) -> int:
        """What the dynamics show, and v."""
        return self.dynamics.readout + self.size

    @property
    def path_names(self) -> tuple[str, ...]:
        """The dynamics' names, and those of v."""
        return (*self.dynamics.path_names, *(f"static{i}" for i in range(self.size)), "begun")

    def start(self) -> tuple[Float[Array, " path"], Float[Array, " latent"]]:
        """Before v is drawn."""
        h, z = self.dynamics.start()
        return jnp.concatenate([h, jnp.zeros(self.size + 1)]), jnp.concatenate([z, jnp.zeros(self.size)])

    def advance(
        self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step
    ) -> Float[Array, " path"]:
        """The dynamics' path, and v once it has been drawn."""
        h, kept, begun = self._path(h)
        z, drawn = self._latent(z)
        started = jnp.asarray(step.index) > 0
        kept = jnp.where(started, jnp.where(begun > 0, kept, drawn), 0.0)
        flag = jnp.where(started, 1.0, 0.0)[None].astype(kept.dtype)
        return jnp.concatenate([self.dynamics.advance(h, z, fed, step), kept, flag])

    def law(self, h: Float[Array, " path"], z: Float[Array, " latent"], fed: Float[Array, " fed"], step: Step) -> Law:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The dynamics' law, and independent standard normal ones."""
        own = self.dynamics.law(self._path(h)[0], self._latent(z)[0], fed, step)
        mean, factor = parts(own)
        mean = jnp.concatenate([mean, jnp.zeros(self.size, mean.dtype)])
        if factor.ndim == 1:
            return normal(mean, jnp.concatenate([factor, jnp.ones(self.size, factor.dtype)]))
        whole = jnp.eye(self.latent, dtype=factor.dtype)
        return normal(mean, whole.at[: len(factor), : len(factor)].set(triangle(own)))

    def read(self, h: Float[Array, " path"], z: Float[Array, " latent"]) -> Float[Array, " readout"]:
        """What the dynamics show, and v."""
        h, kept, begun = self._path(h)
        z, drawn = self._latent(z)
        return jnp.concatenate([self.dynamics.read(h, z), jnp.where(begun > 0, kept, drawn)])

    def _path(self, h: Array) -> tuple[Array, Array, Array]:
        """The dynamics' path, v as it is kept, and whether the first stamp is past."""
        size = self.dynamics.path
        return h[:size], h[size:-1], h[-1]

    def _latent(self, z: Array) -> tuple[Array, Array]:
        """What moves, and what was drawn for v."""
        return z[: self.dynamics.latent], z[self.dynamics.latent :]


class StaticProposal(AbstractProposal):
    """A proposal for dynamics with static latent states: of all at the first stamp, later of those that move.

        q(z[1], v | messages[1]) prod over t of q(z[t] | messages[t], h[t], z[t-1], v)

    Args:
        proposal: Of as many latent states as there are, v among them; in place of what was drawn for v at the stamp
            before it sees v itself.
        size: Length of v.

    Raises:
        TypeError: If the proposal is none.
        ValueError: If the size is below 1.

    Example:
        >>> from statespace.models.deep import Combiner
        >>> StaticProposal(Combiner(5, 8, key=0), 3).size
        3

    Reference: Li and Mandt (2018), equation 2.
    """

    proposal: AbstractProposal
    size: int = eqx.field(static=True)

    def __check_init__(self):
        if not isinstance(self.proposal, AbstractProposal):
            raise TypeError(f"StaticProposal takes a proposal, got {type(self.proposal).__name__}")
        check_counts(size=self.size)

    def __call__(self, messages: Messages, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law) -> Law:
        """The proposal's law; the model's own of what is drawn in place of v after the first stamp."""
        kept, begun = h[-self.size - 1 : -1], h[-1] > 0
        seen = jnp.concatenate([z[: -self.size], jnp.where(begun, kept, 0.0)])
        found: Any = self.proposal(messages, h[: -self.size - 1], seen, prior)
        idle = begun & (jnp.arange(len(z)) >= len(z) - self.size)
        (mean, factor), (plain, wide) = parts(found), parts(prior)
        if factor.ndim == 1 and wide.ndim == 1:
            return normal(jnp.where(idle, plain, mean), jnp.where(idle, wide, factor))
        rows = jnp.where(idle[:, None] | idle[None], triangle(prior), triangle(found))
        return normal(jnp.where(idle, plain, mean), rows)
