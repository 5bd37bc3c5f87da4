"""Stochastic cycles."""

import math
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.parameters import Unknown, is_traced, param
from ...core.step import Step
from ..initial import InitialLaw
from .component import AbstractComponent, Binding, check_initial, check_regular
from .trend import scale_prior


class Cycle(AbstractComponent):
    """A stochastic cycle of unknown period.

        c[t]  = rho ( cos l c[t-1] + sin l c*[t-1]) + scale w[t],      l = 2 pi / period
        c*[t] = rho (-sin l c[t-1] + cos l c*[t-1]) + scale w*[t]

    Args:
        period: Stamps in a cycle. Left out: unknown, between `period_bounds`.
        damping: rho, between 0 and 1. Left out: unknown.
        scale: Standard deviation of the disturbances, in the data's unit. Left out: unknown. Zero: none.
        period_bounds: Shortest and longest period that is considered, in stamps.
        damped: False for rho = 1, a cycle that does not die out.
        initial: Law of the first states; stationary when left out, diffuse if not damped.
        name: The component's name.
        series: The series it enters; each series gets its own copy when left out.

    Raises:
        ValueError: If the bounds are not 2 <= lower < upper, the period lies outside them, damping is 1 or more,
            or damping is given together with damped=False.

    Example:
        >>> Cycle().full_names()
        ('cycle.main', 'cycle.auxiliary')

    Reference: Durbin and Koopman (2012), eq. 3.13; Harvey (1989), section 2.3.
    """

    period: Float[Array, "*batch"] | Unknown = param(
        lambda self: constraints.interval(*self.period_bounds), prior=lambda self, scale: self.period_prior()
    )
    damping: Float[Array, "*batch"] | Unknown = param(
        constraints.unit_interval,
        prior=lambda self, scale: dist.Beta(4.0, 1.5),
        active=lambda self: self.damped,
    )
    scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, unit="data", prior=scale_prior(0.3))
    _: KW_ONLY  # the fields below have no default, those above have
    start: InitialLaw | None
    period_bounds: tuple[float, float] = eqx.field(static=True)
    damped: bool = eqx.field(static=True)
    name: str = eqx.field(static=True)
    series: str | None = eqx.field(static=True)

    def __init__(
        self,
        period: Any = None,
        damping: Any = None,
        scale: Any = None,
        *,
        period_bounds: tuple[float, float] = (2.0, 40.0),
        damped: bool = True,
        initial: InitialLaw | None = None,
        name: str = "cycle",
        series: str | None = None,
    ):
        lower, upper = period_bounds
        if not 2 <= lower < upper:
            raise ValueError(f"period_bounds must satisfy 2 <= lower < upper, got {period_bounds}")
        if damping is not None and not damped:
            raise ValueError("a cycle that is not damped has damping 1: leave damping out, or set damped=True")
        if damping is not None and not is_traced(damping) and np.any(np.asarray(damping) >= 1):
            raise ValueError(f"a stationary cycle has damping below 1, got {damping}: for damping 1 set damped=False")
        if period is not None and not is_traced(period) and not np.all((lower <= period) & (period <= upper)):
            raise ValueError(
                f"{name} has period {period}, outside period_bounds={period_bounds}: give bounds that contain it"
            )
        damped = bool(damped)
        self.period, self.damping, self.scale = period, damping, scale
        self.period_bounds, self.damped = (float(lower), float(upper)), damped
        self.name, self.series = name, series
        self.start = check_initial(initial, 2, name)

    def period_prior(self) -> dist.Distribution:
        """Log-normal around the geometric middle of the bounds, cut off at them."""
        lower, upper = (math.log(bound) for bound in self.period_bounds)
        inner = dist.TruncatedNormal(0.5 * (lower + upper), 0.5 * (upper - lower), low=lower, high=upper)
        return dist.TransformedDistribution(inner, dist.transforms.ExpTransform(constraints.interval(lower, upper)))

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states within the component."""
        return ("main", "auxiliary")

    def bind(self, binding: Binding) -> "Cycle":
        """The component itself; raises ValueError on irregular stamps, or a series below the shortest period."""
        check_regular(binding, self.name)
        if binding.index is not None and len(binding.index) < self.period_bounds[0]:
            raise ValueError(
                f"{self.name} has periods from {self.period_bounds[0]:g} on but the series has only "
                f"{len(binding.index)} stamps"
            )
        return self

    def initial_law(self, step: Step) -> InitialLaw:
        """The law of the block at the first stamp."""
        del step
        if self.start is not None:
            return self.start
        if not self.damped:
            return InitialLaw.diffuse_law(2)
        variance = self.scale**2 / ((1 - self.damping) * (1 + self.damping))
        return InitialLaw(jnp.zeros(2, variance.dtype), variance * jnp.eye(2, dtype=variance.dtype), (False, False))

    def propagate(self, x: Float[Array, "2 *columns"], step: Step) -> Float[Array, "2 *columns"]:
        """Apply the block's transition along the leading axis."""
        del step
        rho = self.damping if self.damped else 1.0
        angle = 2 * math.pi / self.period
        cos, sin = rho * jnp.cos(angle), rho * jnp.sin(angle)
        return jnp.stack([cos * x[0] + sin * x[1], cos * x[1] - sin * x[0]])

    def noise_factor(self, step: Step) -> Float[Array, "2 2"]:
        """The factor of the block's noise covariance."""
        del step
        return self.scale * jnp.eye(2, dtype=self.scale.dtype)

    def loading(self, step: Step) -> Float[Array, " 2"]:
        """The row with which the block enters its series."""
        del step
        return jnp.array([1.0, 0.0])
