"""Default priors and starting values of the arguments of emissions: weakly informative, on the data's scale.

States are interchangeable in the priors; the starting values set them apart, in the order of the states.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import biject_to, constraints

_COUNTED = ("rate", "mean")


class Place(NamedTuple):
    """An argument of a distribution, and the data it will meet.

    Attributes:
        name: Its name.
        law: The distribution's class, or a function.
        support: Its support.
        shape: Its shape; the leading axis is the state in a distribution.
        size: Number of states.
        level: Means of the series.
        spread: Their standard deviations.
    """

    name: str
    law: Any
    support: Any
    shape: tuple[int, ...]
    size: int
    level: Float[Array, " series"]
    spread: Float[Array, " series"]

    @property
    def role(self) -> str:
        """What the argument stands for: a location, scale, mean or rate in the data's unit, or its shape alone."""
        support = getattr(self.law, "support", None)
        on_the_line = support in (constraints.real, constraints.real_vector)
        if self.name == "loc" and on_the_line:
            return "location"
        if self.name == "scale" and (on_the_line or support is constraints.positive) and self.law is not dist.LogNormal:
            return "scale"
        if self.name in _COUNTED and getattr(support, "is_discrete", False) and self.law is not dist.GammaPoisson:
            return "mean"
        if self.name == "rate" and support is constraints.positive:
            return "rate"
        if self.support is constraints.lower_cholesky:
            return "factor"
        return "logs" if self.name == "loc" and self.law is dist.LogNormal else "other"

    @property
    def order(self) -> Array:
        """-1 to 1 over the states, in the argument's rank; zero where its leading axis is not the state."""
        if self.shape[:1] != (self.size,):
            return jnp.zeros((1,) * len(self.shape))
        return jnp.linspace(-1.0, 1.0, self.size).reshape(-1, *[1] * (len(self.shape) - 1))

    @property
    def mean_size(self) -> Array:
        """A typical positive value of the data."""
        return jnp.maximum(jnp.abs(self.level), 0.1 * self.spread)


def default_prior(place: Place) -> dist.Distribution:
    """The default prior of an argument, of its shape."""
    if place.role == "other":
        return _by_support(place)
    level, spread, size = (jnp.broadcast_to(v, _rows(place)) for v in (place.level, place.spread, place.mean_size))
    laws = {
        "location": lambda: dist.Normal(level, 2 * spread),
        "scale": lambda: dist.HalfNormal(2 * spread),
        "mean": lambda: dist.Gamma(2.0, 2.0 / size),
        "rate": lambda: dist.Gamma(2.0, 2.0 * size),
        "logs": lambda: dist.Normal(jnp.log(size), 2.0),
    }
    return laws[place.role]().expand(place.shape) if place.role in laws else _by_support(place)


def start(place: Place) -> Array:
    """Where learning starts: a value for each state, all different."""
    if place.role == "other":
        return _apart(place)
    level, spread, size = (jnp.broadcast_to(v, _rows(place)) for v in (place.level, place.spread, place.mean_size))
    order = place.order
    starts = {
        "location": lambda: level + order * spread,
        "scale": lambda: spread * (0.75 + 0.25 * order),
        "mean": lambda: size * (1 + 0.5 * order),
        "rate": lambda: (1 - 0.5 * order) / size,
        "logs": lambda: jnp.log(size) + order,
        "factor": lambda: jnp.broadcast_to(jnp.diag(place.spread), place.shape) * (0.75 + 0.25 * order),
    }
    return jnp.broadcast_to(starts[place.role](), place.shape)


def _rows(place: Place) -> tuple[int, ...]:
    """The shape that an argument in the data's unit has, without the axes of a matrix."""
    return place.shape if place.shape[-1:] == place.level.shape and len(place.shape) > 1 else (1,) * len(place.shape)


def _by_support(place: Place) -> dist.Distribution:
    support, shape = place.support, place.shape
    if support is constraints.simplex:
        return dist.Dirichlet(jnp.ones(shape))
    if support is constraints.unit_interval:
        return dist.Beta(1.0, 1.0).expand(shape)
    if support is constraints.positive and place.name == "df":
        return dist.Gamma(2.0, 0.1).expand(shape)  # Juarez and Steel (2010), JBES 28
    if getattr(support, "lower_bound", None) == 0 and not hasattr(support, "upper_bound"):
        return dist.LogNormal(0.0, 1.5).expand(shape)
    if support in (constraints.real, constraints.real_vector):
        return dist.Normal(0.0, 2.5).expand(shape)
    transform = biject_to(support)
    inner = transform.inverse_shape(shape)
    centre, width = jnp.zeros(inner), jnp.full(inner, 1.5)
    if place.role == "factor":  # below the diagonal in the data's unit, on it in logs
        centre = transform.inv(start(place))
        width = jnp.where(jnp.arange(inner[-1]) < inner[-1] - shape[-1], jnp.mean(place.spread), 1.5) + 0 * centre
    return dist.TransformedDistribution(dist.Normal(centre, width).to_event(transform.domain.event_dim), transform)


def _apart(place: Place) -> Array:
    """The middle of the unconstrained scale, moved by half a unit either way."""
    if place.name == "df":
        return jnp.broadcast_to(7.5 + 2.5 * place.order, place.shape)
    transform = biject_to(place.support)
    inner = transform.inverse_shape(place.shape)
    if place.shape[:1] != (place.size,):
        return transform(jnp.zeros(inner))
    order = jnp.linspace(-1.0, 1.0, place.size).reshape(-1, *[1] * (len(inner) - 1))
    signs = jnp.where(jnp.arange(inner[-1]) % 2 == 0, 1.0, -1.0) if len(inner) > 1 else 1.0
    return transform(jnp.broadcast_to(0.5 * order * signs, inner))
