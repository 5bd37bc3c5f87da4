"""Ricker's map with counts."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.normal import FactorNormal
from ...core.parameters import Unknown, param
from ...core.step import Step
from ..base import (
    AbstractGaussianDynamics,
    SignalMatrices,
)
from .population import AbstractPopulation, log_scale_prior


class Ricker(AbstractGaussianDynamics, AbstractPopulation):
    """Ricker's map with Poisson counts; N[0] = start is known at the first stamp, which is observed too.

        N[0] = start
        N[t] = growth N[t-1] exp(-crowding N[t-1] + scale e[t]),     e[t] ~ N(0, 1)
        y[t] ~ Poisson(sampling N[t])

    In the field's letters r, c, sigma, phi. Crowding sets the unit of N and cannot be learned beside sampling: it is
    held.

    Args:
        growth: r, the factor by which a small population grows in a period. Left out: unknown.
        scale: Standard deviation of the disturbances of log N. Left out: unknown.
        sampling: phi, the expected count for each unit of N. Left out: unknown.
        start: N at the first stamp. Left out: unknown.
        crowding: c, held.

    Raises:
        ValueError: If crowding is not positive, or the stamps are irregular.

    Example:
        >>> import statespace as ss
        >>> model = ss.Ricker(44.7, 0.3, 10.0, 7.0)
        >>> ss.simulate(model, 51, key=1).y.shape
        (1, 51, 1)

    Reference: Ricker (1954); Wood (2010), "Statistical inference for noisy nonlinear ecological dynamic systems",
    Nature 466; King, Nguyen and Ionides (2016), JSS 69, section 4.5.
    """

    growth: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(10.0), 1.0)
    )
    scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, unit="data", prior=log_scale_prior)
    sampling: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(self.level * self.crowding), 1.5)
    )
    start: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(-jnp.log(self.crowding), 1.5)
    )
    crowding: float = eqx.field(static=True, default=1.0)
    level: float = eqx.field(static=True, default=1.0, kw_only=True)

    def __check_init__(self):
        if not self.crowding > 0:
            raise ValueError(f"crowding is {self.crowding}, expected a number above 0: it limits the population")

    def initial(self, step: Step) -> FactorNormal:
        """The start, known."""
        del step
        mean = jnp.log(self.start)[None]
        return FactorNormal(mean, jnp.zeros((1, 1), mean.dtype))

    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The conditional mean of log N."""
        del step
        return jnp.log(self.growth) + x - self.crowding * jnp.exp(x)

    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """The scale."""
        del x, step
        return self.scale[None, None]

    def signal_matrices(self, step: Step) -> SignalMatrices:
        """The logarithm of the expected count."""
        del step
        return SignalMatrices(jnp.ones((1, 1), self.sampling.dtype), jnp.log(self.sampling)[None])

    def signal_law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Poisson laws."""
        del step
        return dist.Poisson(jnp.exp(signal))

    def working_signal(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """log(y + 1/2)."""
        del step
        return jnp.log(y + 0.5)

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Whatever is no count."""
        del inputs
        return ~np.isnan(y) & ((y < 0) | (y != np.round(y))), "whole numbers, 0 or above, or NaN"
