"""Levels and trends."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.parameters import Unknown, param
from ...core.step import Step
from ..initial import InitialLaw
from .component import AbstractComponent, check_initial


def scale_prior(fraction: float):
    """A half-normal default prior for a scale, in units of the data's standard deviation."""
    return lambda self, scale: dist.HalfNormal(fraction * scale)


class LocalLevel(AbstractComponent):
    """A random walk.

        level[t] = level[t-1] + scale w[t]

    Args:
        scale: Standard deviation of a step, in the data's unit. Left out: unknown. Zero: a fixed level.
        initial: Law of the first level; diffuse when left out.
        name: The component's name.
        series: The series it enters; each series gets its own copy when left out.

    Example:
        >>> LocalLevel().full_names()
        ('level',)

    Reference: Durbin and Koopman (2012), section 2.1.
    """

    scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, unit="data", prior=scale_prior(0.5))
    start: InitialLaw | None = None
    name: str = eqx.field(static=True, default="level")
    series: str | None = eqx.field(static=True, default=None)

    def __init__(
        self,
        scale: Any = None,
        *,
        initial: InitialLaw | None = None,
        name: str = "level",
        series: str | None = None,
    ):
        self.scale, self.name, self.series = scale, name, series
        self.start = check_initial(initial, 1, name)

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states within the component."""
        return ("",)

    def initial_law(self, step: Step) -> InitialLaw:
        """The law of the block at the first stamp."""
        del step
        return InitialLaw.diffuse_law(1) if self.start is None else self.start

    def propagate(self, x: Float[Array, "1 *columns"], step: Step) -> Float[Array, "1 *columns"]:
        """Apply the block's transition along the leading axis."""
        del step
        return x

    def noise_factor(self, step: Step) -> Float[Array, "1 1"]:
        """The factor of the block's noise covariance, growing with the time since the previous stamp."""
        return jnp.reshape(self.scale * jnp.sqrt(step.dt), (1, 1))

    def loading(self, step: Step) -> Float[Array, " 1"]:
        """The row with which the block enters its series."""
        del step
        return jnp.ones(1)


class LocalLinearTrend(AbstractComponent):
    """A level with a slope, both of which may change.

        level[t] = level[t-1] + slope[t-1] + level_scale w1[t]
        slope[t] = slope[t-1] + slope_scale w2[t]

    A scale given as zero removes that disturbance: `slope_scale=0` is the random walk with drift,
    `level_scale=0` the smooth trend (integrated random walk), both zero a straight line.

    On irregular stamps the level is a Wiener process with a Wiener slope, so that what happens between two
    stamps does not depend on how many others lie between them: over a time dt the noise covariance is
    [[level_scale^2 dt + slope_scale^2 dt^3 / 3, slope_scale^2 dt^2 / 2], [., slope_scale^2 dt]].

    Args:
        level_scale: Standard deviation of the level's steps, in the data's unit. Left out: unknown.
        slope_scale: Standard deviation of the slope's steps, in the data's unit a period. Left out: unknown.
        initial: Law of the first level and slope; diffuse when left out.
        name: The component's name.
        series: The series it enters; each series gets its own copy when left out.

    Example:
        >>> LocalLinearTrend().full_names()
        ('trend.level', 'trend.slope')

    Reference: Durbin and Koopman (2012), eq. 3.2.
    """

    level_scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, unit="data", prior=scale_prior(0.5))
    slope_scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, unit="data", prior=scale_prior(0.05))
    start: InitialLaw | None = None
    name: str = eqx.field(static=True, default="trend")
    series: str | None = eqx.field(static=True, default=None)

    def __init__(
        self,
        level_scale: Any = None,
        slope_scale: Any = None,
        *,
        initial: InitialLaw | None = None,
        name: str = "trend",
        series: str | None = None,
    ):
        self.level_scale, self.slope_scale = level_scale, slope_scale
        self.name, self.series = name, series
        self.start = check_initial(initial, 2, name)

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states within the component."""
        return ("level", "slope")

    def initial_law(self, step: Step) -> InitialLaw:
        """The law of the block at the first stamp."""
        del step
        return InitialLaw.diffuse_law(2) if self.start is None else self.start

    def propagate(self, x: Float[Array, "2 *columns"], step: Step) -> Float[Array, "2 *columns"]:
        """Apply the block's transition along the leading axis."""
        return jnp.stack([x[0] + step.dt * x[1], x[1]])

    def noise_factor(self, step: Step) -> Float[Array, "2 noise"]:
        """The factor of the block's noise covariance; on irregular stamps that of the continuous-time trend."""
        if step.spacing is None:
            return jnp.diag(jnp.stack([self.level_scale, self.slope_scale]))
        dt, root = step.dt, jnp.sqrt(step.dt)
        zero = jnp.zeros_like(dt * self.slope_scale)
        level = jnp.stack(
            [self.level_scale * root, self.slope_scale * root * dt / 12**0.5, self.slope_scale * root * dt / 2]
        )
        return jnp.stack([level, jnp.stack([zero, zero, self.slope_scale * root])])

    def loading(self, step: Step) -> Float[Array, " 2"]:
        """The row with which the block enters its series."""
        del step
        return jnp.array([1.0, 0.0])
