"""The atoms of Gaussian filtering: predict, and update by one scalar observation.

Observations enter one element at a time (the univariate treatment of Koopman and Durbin 2000, "Fast
filtering and smoothing for multivariate state space models", JTSA 21), so only scalar divisions occur
and a missing element is simply passed over. The exact diffuse step is that of Koopman and Durbin (2003,
"Filtering and smoothing of state vector for diffuse state-space models", JTSA 24), on a factor of P-infinity.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .belief import DiffuseGaussian, Gaussian
from .covariance import condition, negligible, predicted, project
from .linalg import matmul, reflect

LOG_2PI = 1.8378770664093453

Belief = TypeVar("Belief", Gaussian, DiffuseGaussian)


class Element(NamedTuple):
    """What one scalar observation did to the belief.

    Attributes:
        innovation: v = y - z'm - d, 0 where missing.
        variance: F, the innovation's variance (of P-infinity where diffuse), 1 where missing.
        gain: K, so that the filtered mean is m + K v.
        present: Whether there was an observation; None where that is known throughout.
        diffuse: Whether it identified a diffuse direction; None after the diffuse phase.
    """

    innovation: Float[Array, ""]
    variance: Float[Array, ""]
    gain: Float[Array, " state"]
    present: Bool[Array, ""] | None
    diffuse: Bool[Array, ""] | None


def predict(
    belief: Belief,
    propagate: Callable[[Array], Array],
    offset: Float[Array, " state"],
    noise: Float[Array, "state noise"],
) -> Belief:
    """The law of F x + c + w, w ~ N(0, Q), where `propagate` applies F along the leading axis.

    `noise` is Q, or a factor of it where the belief carries a root of its covariance.
    """
    mean = propagate(belief.mean) + offset
    cov = predicted(belief.cov, propagate, noise)
    if isinstance(belief, Gaussian):
        return Gaussian(mean, cov)
    factor = propagate(belief.factor)
    magnitude = jnp.maximum(belief.magnitude, jnp.sum(factor**2, axis=1))
    return DiffuseGaussian(mean, cov, factor, belief.remaining, magnitude)


def _where(present: Bool[Array, ""] | None, value: Array, otherwise: float) -> Array:
    return value if present is None else jnp.where(present, value, otherwise)


def update_element(
    belief: Gaussian,
    z: Float[Array, " state"],
    h: Float[Array, ""],
    y: Float[Array, ""],
    present: Bool[Array, ""] | None,
    *,
    stable: bool = True,
) -> tuple[Gaussian, Element]:
    """Condition on y = z'x + e, e ~ N(0, h); an absent y changes nothing. None: y is known to be present.

    `stable` keeps the digits of the covariance when the law is vague; the innovations do not need it.
    """
    projected = project(belief.cov, z)
    variance = _where(present, jnp.sum(projected * z) + h, 1.0)
    gain = _where(present, projected / variance, 0.0)
    innovation = _where(present, y - jnp.sum(z * belief.mean), 0.0)
    after = Gaussian(
        belief.mean + gain * innovation, condition(belief.cov, gain, projected, z, h, variance, stable=stable)
    )
    return after, Element(innovation, variance, gain, present, None)


def update_element_diffuse(
    belief: DiffuseGaussian,
    z: Float[Array, " state"],
    h: Float[Array, ""],
    y: Float[Array, ""],
    present: Bool[Array, ""] | None,
    *,
    stable: bool = True,
) -> tuple[DiffuseGaussian, Element]:
    """Condition a diffuse law on y = z'x + e, e ~ N(0, h).

    Where z meets a remaining diffuse direction, that direction is used up; otherwise this is the
    ordinary update of the finite part.
    """
    direction = jnp.sum(belief.factor * z[:, None], axis=0)
    square = jnp.sum(direction**2)
    limit = negligible(belief.cov) * jnp.sum(z**2 * belief.magnitude)
    present = jnp.ones((), bool) if present is None else present
    diffuse = present & (belief.remaining > 0) & (square > limit)
    regular = present & ~diffuse
    variance_inf = jnp.where(diffuse, square, 1.0)

    finite_projected = project(belief.cov, z)
    finite = jnp.sum(finite_projected * z) + h
    variance_star = jnp.where(regular, finite, 1.0)

    diffuse_gain = matmul(belief.factor, direction) / variance_inf
    gain = jnp.where(diffuse, diffuse_gain, jnp.where(regular, finite_projected / variance_star, 0.0))
    innovation = jnp.where(present, y - jnp.sum(z * belief.mean), 0.0)

    cov = condition(belief.cov, gain, finite_projected, z, h, finite, diffuse, stable=stable)
    return (
        DiffuseGaussian(
            belief.mean + gain * innovation,
            cov,
            jnp.where(diffuse, _drop_direction(belief.factor, direction, belief.remaining), belief.factor),
            belief.remaining - diffuse,
            belief.magnitude,
        ),
        Element(innovation, jnp.where(diffuse, square, variance_star), gain, present, diffuse),
    )


def _drop_direction(factor: Array, direction: Array, remaining: Array) -> Array:
    """Turn the factor so that one column carries `direction`, and remove that column."""
    used = factor.shape[1] - remaining
    u, weight = reflect(direction, used)
    turned = factor - weight * matmul(factor, u)[:, None] * u[None]
    return jnp.where(jnp.arange(factor.shape[1]) == used, 0.0, turned)


def log_density(
    innovation: Float[Array, "..."],
    variance: Float[Array, "..."],
    present: Bool[Array, "..."] | None,
    diffuse: Bool[Array, "..."] | None,
) -> Float[Array, "..."]:
    """The log-likelihood terms of elements: 0 where missing, without the quadratic where diffuse."""
    quadratic = innovation**2 / variance
    if diffuse is not None:
        quadratic = jnp.where(diffuse, 0.0, quadratic)
    return _where(present, -0.5 * (LOG_2PI + jnp.log(variance) + quadratic), 0.0)
