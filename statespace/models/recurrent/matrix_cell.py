"""Cells whose past enters by a product with a matrix, and the loop over their steps."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ...core.linalg import matmul
from ...core.parameters import Unknown
from .cell import AbstractCell


class AbstractMatrixCell(AbstractCell):
    """A cell whose past enters by a product with a matrix U, in blocks for its gates.

        h[t] = join(h[t-1], p[t], drive(u[t]), dt[t]),      p[t] = U seen(h[t-1])

    Over many steps the state is carried in its parts, and what inputs contribute comes in gates: joined to one row, XLA
    would take it apart element by element on a CPU.

    Attributes:
        recurrent_weights: U.
    """

    recurrent_weights: eqx.AbstractVar[Array | Unknown]

    @property
    def gates(self) -> int:
        """Of how many blocks U consists, and what an input contributes."""
        return 1

    @property
    def parts(self) -> int:
        """Of how many vectors of one length the state consists."""
        return 1

    @abc.abstractmethod
    def join(
        self, state: Sequence[Array], product: Sequence[Array], driven: Sequence[Array], dt: Any = None
    ) -> list[Array]:
        """The parts of the state after an input, from those before, and the products and the input's part by gate."""

    def seen(self, state: Sequence[Array]) -> Float[Array, " units"]:
        """What U is multiplied with: here the first part of the state."""
        return state[0]

    def after(self, state: Sequence[Array], driven: Sequence[Array], dt: Any = None) -> list[Array]:
        """The parts of the state after an input, from those before and the input's part by gate."""
        product = jnp.split(matmul(self.recurrent_weights, self.seen(state)), self.gates)
        return self.join(state, product, driven, dt)

    def advance(
        self, state: Float[Array, " state"], driven: Float[Array, " driven"], dt: Any = None
    ) -> Float[Array, " state"]:
        """The state after an input, from what the input contributes."""
        return jnp.concatenate(self.after(jnp.split(state, self.parts), jnp.split(driven, self.gates), dt))

    def along(
        self,
        driven: Float[Array, "time driven"],
        state: Float[Array, " state"],
        dt: Float[Array, " time"] | None,
        mask: Bool[Array, " time"] | None,
    ) -> tuple[Float[Array, "time state"], Float[Array, " state"]]:
        """All states, from what the inputs contribute, and the last one; as `AbstractCell.along`."""

        def body(before: list[Array], slot: Any) -> tuple[list[Array], list[Array]]:
            u, dt, present = slot
            after = self.after(before, u, dt)
            if present is not None:
                after = [jnp.where(present, new, old) for new, old in zip(after, before, strict=True)]
            return after, after

        start = jnp.split(jnp.asarray(state), self.parts)
        last, parts = lax.scan(body, start, (jnp.split(driven, self.gates, axis=-1), dt, mask))
        states = jnp.concatenate(parts, axis=-1)
        return (states if mask is None else jnp.where(mask[:, None], states, 0.0)), jnp.concatenate(last)
