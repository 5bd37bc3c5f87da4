"""Linearisation of a random function of a Gaussian: the one core of all Gaussian approximations.

Given z with conditional mean f(x) and conditional covariance V(x), and a law x ~ N(m, P), a rule finds

    z ~ A x + b + N(0, Omega)

by Taylor's expansion at m (A is the Jacobian, Omega = V(m)), or by statistical linear regression on sigma points,

    x_i = m + L xi_i,  P = L L',   mu = sum w_i f(x_i),   B = sum w_i (f(x_i) - mu) xi_i',
    A L = B,   b = mu - A m,   Omega = sum w_i (f(x_i) - mu - B xi_i)(...)' + sum w_i V(x_i).

L comes from a factorisation that accepts a singular P, and P is never inverted: a direction in which x does not
vary has no regression coefficient, and needs none. The residual form of Omega is nonnegative and loses no digits.

Sources: Arasaratnam, Haykin and Elliott (2007), "Discrete-time nonlinear filtering algorithms using Gauss-Hermite
quadrature", Proceedings of the IEEE 95; García-Fernández, Svensson, Morelande and Särkkä (2015), "Posterior
linearization filter", IEEE Transactions on Signal Processing 63, equations 9 to 11.
"""

import abc
import itertools
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .linalg import matmul, safe_sqrt, semidefinite_factor, solve_lower_right

MOST_POINTS = 20_000

Moments = Callable[[Array], tuple[Array, Array]]


class Affine(NamedTuple):
    """z ~ matrix x + offset + N(0, cov).

    Attributes:
        matrix: A, shape (out, state).
        offset: b, shape (out,).
        cov: Omega, shape (out, out), or the variances, shape (out,), where the elements are independent.
    """

    matrix: Float[Array, "out state"]
    offset: Float[Array, " out"]
    cov: Float[Array, "out out"] | Float[Array, " out"]


class Lines(NamedTuple):
    """Elementwise z_i ~ slope_i x_i + offset_i + N(0, variance_i)."""

    slope: Float[Array, " out"]
    offset: Float[Array, " out"]
    variance: Float[Array, " out"]


class AbstractRule(eqx.Module):
    """How a function is made affine about a normal law."""

    @abc.abstractmethod
    def affine(
        self, moments: Moments, mean: Float[Array, " state"], cov: Float[Array, "state state"], *, elsewhere: bool
    ) -> Affine:
        """The affine approximation about N(mean, cov).

        Args:
            moments: Function from a state to the conditional mean (out,) and covariance (out, out).
            mean: m.
            cov: P, singular or not.
            elsewhere: Whether it will be used under another law than this one, so that a direction without
                variance needs a slope too (the derivative).
        """

    @abc.abstractmethod
    def lines(self, moments: Moments, mean: Float[Array, " out"], variance: Float[Array, " out"]) -> Lines:
        """The same where each element of the result depends on its own element of x only.

        Args:
            moments: Function from (out,) to conditional means (out,) and variances (out,).
            mean: Means of the elements.
            variance: Their variances.
        """

    @abc.abstractmethod
    def points(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (number, size) that stand for a standard normal, their weights, and those for covariances."""


class Taylor(AbstractRule):
    """The first-order expansion at the mean.

    Example:
        >>> import jax.numpy as jnp
        >>> square = lambda x: (x**2, jnp.eye(1))
        >>> found = Taylor().affine(square, jnp.array([3.0]), jnp.eye(1), elsewhere=False)
        >>> float(found.matrix[0, 0]), float(found.offset[0])
        (6.0, -9.0)
    """

    def affine(
        self, moments: Moments, mean: Float[Array, " state"], cov: Float[Array, "state state"], *, elsewhere: bool
    ) -> Affine:
        """The tangent at the mean, and the conditional covariance there."""
        del cov, elsewhere
        value, spread = moments(mean)
        slope = jax.jacfwd(lambda x: moments(x)[0])(mean)
        return Affine(slope, value - matmul(slope, mean), spread)

    def lines(self, moments: Moments, mean: Float[Array, " out"], variance: Float[Array, " out"]) -> Lines:
        """The elementwise tangents at the means, and the conditional variances there."""
        del variance
        value, spread, slope = _tangents(moments, mean)
        return Lines(slope, value - slope * mean, spread)

    def points(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mean alone."""
        return np.zeros((1, size)), np.ones(1), np.ones(1)


class AbstractPoints(AbstractRule):
    """Statistical linear regression on weighted points, whose mean is zero and whose covariance is the identity."""

    def affine(
        self, moments: Moments, mean: Float[Array, " state"], cov: Float[Array, "state state"], *, elsewhere: bool
    ) -> Affine:
        """The regression on the points."""
        xi, weights, cov_weights = (jnp.asarray(a, mean.dtype) for a in self.points(mean.shape[0]))
        lower = semidefinite_factor(cov)
        values, spreads = jax.vmap(moments)(mean + jnp.sum(lower[None] * xi[:, None, :], axis=2))
        centre = jnp.sum(weights[:, None] * values, axis=0)
        away = values - centre
        slope = jnp.sum((weights[:, None] * away)[:, :, None] * xi[:, None, :], axis=0)
        rest = away - jnp.sum(slope[None] * xi[:, None, :], axis=2)
        noise = jnp.sum((cov_weights[:, None] * rest)[:, :, None] * rest[:, None, :], axis=0)
        noise = noise + jnp.sum(weights[:, None, None] * spreads, axis=0)
        if elsewhere:
            tangent = jax.jacfwd(lambda x: moments(x)[0])(mean)
            matrix = tangent + solve_lower_right(slope - matmul(tangent, lower), lower)
        else:
            matrix = solve_lower_right(slope, lower)
        return Affine(matrix, centre - matmul(matrix, mean), noise)

    def lines(self, moments: Moments, mean: Float[Array, " out"], variance: Float[Array, " out"]) -> Lines:
        """The regression of each element on its own points."""
        found = self.points(1)
        xi, weights, cov_weights = (jnp.asarray(a, mean.dtype).reshape(-1, 1) for a in found)
        sd = safe_sqrt(variance)
        values, spreads = jax.vmap(moments)(mean + sd * xi)
        centre = jnp.sum(weights * values, axis=0)
        away = values - centre
        rise = jnp.sum(weights * away * xi, axis=0)
        spread = jnp.sum(cov_weights * (away - rise * xi) ** 2 + weights * spreads, axis=0)
        tangent = _tangents(moments, mean)[2]  # where the element is known: nothing to regress on
        slope = jnp.where(sd > 0, rise / jnp.where(sd > 0, sd, 1.0), tangent)
        return Lines(slope, centre - slope * mean, spread)


class Unscented(AbstractPoints):
    """The scaled unscented points: the mean, and two along each column of L at distance alpha sqrt(n + kappa).

    Args:
        alpha: Spread of the points.
        beta: Weight of what is known of the law's fourth moment, in the covariance.
        kappa: Second spread.

    Reference: Julier (2002), "The scaled unscented transformation", American Control Conference.
    """

    alpha: float = eqx.field(static=True, default=1.0)
    beta: float = eqx.field(static=True, default=0.0)
    kappa: float = eqx.field(static=True, default=1.0)

    def points(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """2 n + 1 points."""
        spread = self.alpha**2 * (size + self.kappa)
        xi = np.concatenate([np.zeros((1, size)), np.sqrt(spread) * np.eye(size), -np.sqrt(spread) * np.eye(size)])
        weights = np.concatenate([[1 - size / spread], np.full(2 * size, 0.5 / spread)])
        cov_weights = weights.copy()
        cov_weights[0] += 1 - self.alpha**2 + self.beta
        return xi, weights, cov_weights


class Cubature(AbstractPoints):
    """The third-degree spherical-radial points: two along each column of L at distance sqrt(n).

    Reference: Arasaratnam and Haykin (2009), "Cubature Kalman filters", IEEE Transactions on Automatic Control 54.
    """

    def points(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """2 n points of equal weight."""
        xi = np.sqrt(size) * np.concatenate([np.eye(size), -np.eye(size)])
        weights = np.full(2 * size, 0.5 / size)
        return xi, weights, weights


class GaussHermite(AbstractPoints):
    """The tensor product of Gauss-Hermite rules, exact for polynomials of degree 2 order - 1 in each direction.

    Args:
        order: Points in each direction.

    Raises:
        ValueError: If the product has too many points.

    Example:
        >>> GaussHermite(3).points(2)[0].shape
        (9, 2)

    Reference: Ito and Xiong (2000), "Gaussian filters for nonlinear filtering problems", IEEE Transactions on
    Automatic Control 45.
    """

    order: int = eqx.field(static=True, default=3)

    def points(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Order ** n points."""
        if self.order**size > MOST_POINTS:
            raise ValueError(
                f"order {self.order} in {size} dimensions makes {self.order}**{size} points, expected at most "
                f"{MOST_POINTS}: take a lower order, or cubature or unscented points, whose number grows with the size"
            )
        nodes, weights = np.polynomial.hermite_e.hermegauss(self.order)
        xi = np.array(list(itertools.product(nodes, repeat=size)))
        product = np.prod(np.array(list(itertools.product(weights / weights.sum(), repeat=size))), axis=1)
        return xi, product, product


def _tangents(moments: Moments, mean: Array) -> tuple[Array, Array, Array]:
    """Elementwise means, variances and derivatives of the means."""
    (value, spread), (slope, _) = jax.jvp(moments, (mean,), (jnp.ones_like(mean),))
    return value, spread, slope
