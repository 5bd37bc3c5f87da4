"""What later stamps say of a linear-Gaussian state: the information filter, run backward over normal potentials."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.linalg import matmul, symmetrise
from .laws import inverse_root


class Information(NamedTuple):
    """The function exp(-z'P z / 2 + v'z) of a state at each stamp; both are zero where nothing is known.

    Attributes:
        precision: P, positive semidefinite, (time, state, state).
        vector: v, (time, state).
    """

    precision: Float[Array, "*time state state"]
    vector: Float[Array, "*time state"]

    def __mul__(self, other: "Information") -> "Information":  # pyright: ignore[reportIncompatibleMethodOverride]
        """The product of both functions: what they say together."""
        return Information(self.precision + other.precision, self.vector + other.vector)


def information_after(
    transitions: Float[Array, "time state state"],
    offsets: Float[Array, "time state"],
    spread: Float[Array, " state"],
    potentials: Information,
) -> Information:
    """What all later potentials say of the state at each stamp.

        z[t] = A[t] z[t-1] + c[t] + S e[t],      e[t] ~ N(0, I),      S = diag(spread)
        beta[t](z[t]) = integral p(z[t+1] | z[t]) potential[t+1](z[t+1]) beta[t+1](z[t+1]) dz[t+1],      beta[T] = 1

    In units of the noise, with P and v of potential times beta at t+1, nothing near singular is inverted:

        V = (I + S P S)^-1,      J = V S P S V + (S P S V)'(S P S V),      j = V S v
        beta[t]: precision B'J B, vector B'(j - J S^-1 c[t+1]),      B = S^-1 A[t+1]

    Args:
        transitions: A[t], from the stamp before to the stamp; the first is not used.
        offsets: c[t]; the first is not used.
        spread: Standard deviations of the transition's noise, above zero.
        potentials: What each stamp says by itself.

    Example:
        >>> eye, zero = jnp.ones((2, 1, 1)), jnp.zeros((2, 1))
        >>> information_after(eye, zero, jnp.ones(1), Information(eye, zero)).precision.ravel().tolist()
        [0.5, 0.0]

    Reference: Zhao and Linderman (2023), "Revisiting structured variational autoencoders", ICML, section 3;
    information form: Anderson and Moore (1979), "Optimal Filtering", section 6.3.
    """
    eye = jnp.eye(len(spread), dtype=potentials.vector.dtype)

    def body(beta: Information, slot: tuple[Array, Array, Information]) -> tuple[Information, Information]:
        matrix, offset, own = slot
        said = own * beta
        scaled = spread[:, None] * said.precision * spread[None]
        root = inverse_root(eye + scaled)
        inverse = matmul(root.T, root)
        rest = matmul(scaled, inverse)
        noisy = matmul(inverse, rest) + matmul(rest.T, rest)
        drawn = matmul(inverse, spread * said.vector) - matmul(noisy, offset / spread)
        loading = matrix / spread[:, None]
        precision = symmetrise(matmul(loading.T, matmul(noisy, loading)))
        return Information(precision, matmul(loading.T, drawn)), beta

    last = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), potentials)
    return jax.lax.scan(body, last, (transitions, offsets, potentials), reverse=True)[1]
