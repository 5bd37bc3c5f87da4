"""Localisation: how far in space an observation reaches.

Covariances estimated from few members are noisy; between distant places they are noise. They are multiplied, element by
element, by a correlation function that falls to zero, so that an observation updates its neighbourhood only.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int


def gaspari_cohn(distance: ArrayLike, radius: ArrayLike) -> Float[Array, "..."]:
    """The fifth-order piecewise rational correlation function, in r = distance / radius.

        1 - 5/3 r^2 + 5/8 r^3 + 1/2 r^4 - 1/4 r^5                        0 <= r <= 1
        4 - 5 r + 5/3 r^2 + 5/8 r^3 - 1/2 r^4 + 1/12 r^5 - 2/(3 r)       1 <= r <= 2,  and 0 beyond

    It is positive definite on up to three dimensions, and close to a normal curve of standard deviation 0.55 radius.

    Args:
        distance: Distances, of any shape, in the unit of the radius.
        radius: Half of the distance from which on the value is zero.

    Example:
        >>> gaspari_cohn(jnp.array([0.0, 1.0, 2.0]), 1.0).round(4).tolist()
        [1.0, 0.2083, 0.0]

    Reference: Gaspari and Cohn (1999), "Construction of correlation functions in two and three dimensions",
    Quarterly Journal of the Royal Meteorological Society 125, eq. 4.10.
    """
    r = jnp.abs(jnp.asarray(distance, jnp.result_type(float))) / radius
    near = 1 + r**2 * (-5 / 3 + r * (5 / 8 + r * (1 / 2 - r / 4)))
    safe = jnp.clip(r, 1.0, 2.0)
    far = 4 + safe * (-5 + safe * (5 / 3 + safe * (5 / 8 + safe * (-1 / 2 + safe / 12)))) - 2 / (3 * safe)
    return jnp.where(r <= 1, near, jnp.where(r < 2, jnp.maximum(far, 0.0), 0.0))


class Localisation(eqx.Module):
    """How much an observed series says about an element of the state, and about another series, by their distance.

    Make one with `from_coordinates` or `from_distances`. The weights are those of `gaspari_cohn`: 1 at distance 0,
    0.21 at the radius, 0 from twice the radius on.

    Attributes:
        weights: Between elements of the state and series.
        between: Between series.
        nearest: For each element of the state the series that reach it, filled up with others to equal length.

    Example:
        >>> ring = Localisation.from_coordinates(range(40), range(0, 40, 2), radius=4.0, period=40)
        >>> ring.weights.shape, ring.nearest.shape
        ((40, 20), (40, 8))

    Reference: Houtekamer and Mitchell (2001), Monthly Weather Review 129; for `gaspari_cohn` see there.
    """

    weights: Float[Array, "state series"]
    between: Float[Array, "series series"]
    nearest: Int[Array, "state near"]

    @classmethod
    def from_distances(cls, to_series: Any, between_series: Any, radius: float) -> "Localisation":
        """From distances that you have.

        Args:
            to_series: From each element of the state to each series, (state, series).
            between_series: From each series to each other, (series, series).
            radius: Half of the distance from which on an observation says nothing, in the same unit; infinite for none.

        Raises:
            ValueError: If the shapes disagree, a distance is negative, or the radius is not positive.
        """
        to_series, between = np.asarray(to_series, float), np.asarray(between_series, float)
        if to_series.ndim != 2 or between.shape != (to_series.shape[1],) * 2:
            raise ValueError(
                f"expected distances (state, series) and (series, series), got {to_series.shape} and {between.shape}"
            )
        if not radius > 0 or not (np.all(to_series >= 0) and np.all(between >= 0)):
            raise ValueError(f"distances cannot be negative and the radius (got {radius}) must be positive")
        weights = np.asarray(gaspari_cohn(to_series, radius))
        reach = max(int((weights > 0).sum(axis=1).max()), 1)
        nearest = np.argsort(-weights, axis=1, kind="stable")[:, :reach]
        return cls(jnp.asarray(weights), gaspari_cohn(between, radius), jnp.asarray(nearest, jnp.int32))

    @classmethod
    def from_coordinates(cls, states: Any, series: Any, radius: float, *, period: Any = None) -> "Localisation":
        """From places on a line, in a plane or in space, or on a ring or torus.

        Args:
            states: Place of each element of the state, (state,) or (state, dimension).
            series: Place of each series, (series,) or (series, dimension).
            radius: Half of the distance from which on an observation says nothing, in the same unit; infinite for none.
            period: Length after which space repeats, one number or one for each dimension; infinite where it does not.

        Raises:
            ValueError: If the dimensions disagree, or the radius is not positive.
        """
        states, series = (np.asarray(list(x) if isinstance(x, range) else x, float) for x in (states, series))
        states, series = (x[:, None] if x.ndim == 1 else x for x in (states, series))
        if states.ndim != 2 or series.ndim != 2 or states.shape[1] != series.shape[1]:
            raise ValueError(
                f"expected places (state, dimension) and (series, dimension) of one dimension, got {states.shape} and "
                f"{series.shape}"
            )
        length = np.broadcast_to(np.inf if period is None else np.asarray(period, float), states.shape[1:])
        return cls.from_distances(_distances(states, series, length), _distances(series, series, length), radius)


def _distances(a: np.ndarray, b: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Distances from each row of a to each row of b, the short way round where space repeats."""
    square = np.zeros((len(a), len(b)))
    for x, y, length in zip(a.T, b.T, period, strict=True):
        gap = np.abs(x[:, None] - y[None])
        if np.isfinite(length):
            gap = gap % length
            gap = np.minimum(gap, length - gap)
        square += gap**2
    return np.sqrt(square)
