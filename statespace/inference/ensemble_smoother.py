"""The ensemble smoother: what updated the members of a stamp updates those of earlier stamps.

    x[s] after all data = Z[T] ... Z[s+2] Z[s+1] x[s] after its own,        Z[t] the map over members at stamp t

Without localisation the maps are matrices over members, the same for every element of the state, and one product of
them is carried back. A localised map is applied as it is, to each stamp by each of the `lag` later ones.

Reference: Evensen and van Leeuwen (2000), "An ensemble Kalman smoother for nonlinear dynamics", Monthly Weather Review
128; Evensen (2003), Ocean Dynamics 53, appendix D.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core.scan import at
from .ensemble_maps import AbstractUpdate


def smoothed_members(
    members: Float[Array, "time member state"], updates: AbstractUpdate, localisation: Any, lag: int | None
) -> Float[Array, "time member state"]:
    """The members of each stamp after the updates of later ones.

    Args:
        members: After the update of their own stamp.
        updates: The maps over members, with a leading time axis.
        localisation: The method's, or None.
        lag: How many later stamps count; None for all, without localisation.
    """
    if lag is None:
        return _all_later(members, updates)
    length = members.shape[0]

    def one(t: Array) -> Array:
        def later(x: Array, step: Array) -> tuple[Array, None]:
            s = jnp.minimum(t + step, length - 1)
            return jnp.where(t + step < length, at(updates, s)(x, localisation), x), None

        return jax.lax.scan(later, members[t], 1 + jnp.arange(min(lag, length)))[0]

    return jax.lax.map(one, jnp.arange(length))


def _all_later(
    members: Float[Array, "time member state"], updates: AbstractUpdate
) -> Float[Array, "time member state"]:
    def back(product: Array, xs: tuple[Array, AbstractUpdate]) -> tuple[Array, Array]:
        x, update = xs
        # product @ Z is the transpose of Z' product', and so needs no Z
        transposed = jax.linear_transpose(lambda m: update(m, None), product)
        (earlier,) = transposed(product.T)
        return earlier.T, product @ x

    unit = jnp.eye(members.shape[1], dtype=members.dtype)
    return jax.lax.scan(back, unit, (members, updates), reverse=True)[1]
