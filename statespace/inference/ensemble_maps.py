"""Linear maps over the members of an ensemble: what an observation does to them, and what is done besides.

A map that updated the members of a stamp updates those of earlier stamps as well: that is the ensemble smoother.

Reference: Hunt, Kostelich and Szunyogh (2007), "Efficient data assimilation for spatiotemporal chaos: a local ensemble
transform Kalman filter", Physica D 230; rotations: Sakov and Oke (2008), "Implications of the form of the ensemble
transformation in the ensemble square root filters", Monthly Weather Review 136.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core.linalg import safe_sqrt
from ..core.matrix_root import symmetric_sqrt

_AT_ONCE = 4096  # elements of the state that are analysed together


class AbstractUpdate(eqx.Module):
    """A linear map over members; a localised one differs from element to element of the state."""

    @abc.abstractmethod
    def __call__(self, members: Float[Array, "member state"], localisation: Any) -> Float[Array, "member state"]:
        """The members after the observation: this stamp's, or those of an earlier one.

        Args:
            members: The members.
            localisation: The method's, or None.
        """

    @abc.abstractmethod
    def turned(self, rotation: Float[Array, "member member"]) -> "AbstractUpdate":
        """The same update followed by a rotation, which keeps the mean."""


class Gain(AbstractUpdate):
    """x <- U (x + G [w * (Y'A)]), with Schur weights w from the localisation.

    Attributes:
        gain: G.
        anomalies: Y.
        rotation: U; None for the identity.
    """

    gain: Float[Array, "member series"]
    anomalies: Float[Array, "member series"]
    rotation: Float[Array, "member member"] | None = None

    def __call__(self, members: Float[Array, "member state"], localisation: Any) -> Float[Array, "member state"]:
        """The members after the observation."""
        _, spread = centred(members)
        cov = spread.T @ self.anomalies  # a row for each element of a large state, so that rows stay in the cache
        if localisation is not None:
            cov = localisation.weights.astype(cov.dtype) * cov
        return _turn(self.rotation, members + (cov @ self.gain.T).T)

    def turned(self, rotation: Float[Array, "member member"]) -> "Gain":
        """The same with a rotation."""
        return Gain(self.gain, self.anomalies, rotation)


class Transform(AbstractUpdate):
    """x <- Z x, for more series than members.

    Attributes:
        matrix: Z, with rows that sum to one.
    """

    matrix: Float[Array, "member member"]

    def __call__(self, members: Float[Array, "member state"], localisation: Any) -> Float[Array, "member state"]:
        """The members after the observation."""
        del localisation
        return self.matrix @ members

    def turned(self, rotation: Float[Array, "member member"]) -> "Transform":
        """The same with a rotation."""
        return Transform(rotation @ self.matrix)


class LocalTransform(AbstractUpdate):
    """The square-root update of each element of the state by the observations near it.

    Attributes:
        anomalies: Y in units of the noise, (series, member).
        difference: d in units of the noise.
        rotation: The same at every element; None for the identity.
    """

    anomalies: Float[Array, "series member"]
    difference: Float[Array, " series"]
    rotation: Float[Array, "member member"] | None = None

    def __call__(self, members: Float[Array, "member state"], localisation: Any) -> Float[Array, "member state"]:
        """The members after the observation."""
        nearest = localisation.nearest
        weights = jnp.take_along_axis(localisation.weights, nearest, axis=1).astype(members.dtype)

        def one(xs: tuple[Array, Array, Array]) -> Array:
            column, chosen, weight = xs
            root = safe_sqrt(weight)
            return _local(column, root[:, None] * self.anomalies[chosen], root * self.difference[chosen])

        columns = jax.lax.map(one, (members.T, nearest, weights), batch_size=min(_AT_ONCE, members.shape[1]))
        return _turn(self.rotation, columns.T)

    def turned(self, rotation: Float[Array, "member member"]) -> "LocalTransform":
        """The same with a rotation."""
        return LocalTransform(self.anomalies, self.difference, rotation)


def _local(column: Array, anomalies: Array, difference: Array) -> Array:
    """One element's members after the observations near it, whose anomalies are whitened and weighed."""
    size, scale = column.shape[0], jnp.sqrt(column.shape[0] - 1)
    if anomalies.shape[0] > size:
        return ensemble_space(anomalies, difference) @ column
    cov = jnp.eye(anomalies.shape[0], dtype=column.dtype) + anomalies @ anomalies.T
    projected = anomalies @ (column - jnp.mean(column))
    shrink = anomalies.T @ jnp.linalg.solve(cov + symmetric_sqrt(cov), projected)
    return column + difference @ jnp.linalg.solve(cov, projected) / scale - shrink


def ensemble_space(anomalies: Array, difference: Array) -> Float[Array, "member member"]:
    """The map over members from whitened anomalies: T and, in each row, the weights of the mean."""
    size = anomalies.shape[1]
    unit = jnp.eye(size, dtype=anomalies.dtype)
    root = symmetric_sqrt(unit + anomalies.T @ anomalies)
    inverse = jnp.linalg.inv(root)
    return inverse + (inverse @ (inverse @ (anomalies.T @ difference)) / jnp.sqrt(size - 1))[None]


def centred(members: Float[Array, "member n"]) -> tuple[Float[Array, " n"], Float[Array, "member n"]]:
    """Mean and anomalies, whose products are sample covariances."""
    mean = jnp.mean(members, axis=0)
    return mean, (members - mean) / jnp.sqrt(members.shape[0] - 1)


def inflated(members: Float[Array, "member n"], factor: float) -> Float[Array, "member n"]:
    """The members with their deviations from the mean multiplied."""
    if factor == 1.0:
        return members
    mean = jnp.mean(members, axis=0)
    return mean + factor * (members - mean)


def _turn(rotation: Array | None, members: Array) -> Array:
    return members if rotation is None else rotation @ members


def random_rotation(key: Any, size: int, dtype: Any) -> Float[Array, "size size"]:
    """An orthogonal matrix, uniform among those that keep the vector of ones: mean and covariance stay as they are."""
    normal = jax.random.normal(key, (size - 1, size - 1), dtype)
    turn, upper = jnp.linalg.qr(normal)
    turn = turn * jnp.where(jnp.diagonal(upper) < 0, -1.0, 1.0).astype(dtype)
    axis = jnp.full(size, 1 / jnp.sqrt(size), dtype).at[0].add(-1.0)
    basis = (jnp.eye(size, dtype=dtype) - 2 * jnp.outer(axis, axis) / jnp.sum(axis**2))[:, 1:]
    return 1.0 / size + basis @ turn @ basis.T
