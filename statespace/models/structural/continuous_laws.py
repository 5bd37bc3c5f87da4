"""Observing terms for measurements that are not normal."""

import math
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.parameters import Unknown, param
from ...core.step import Step
from .signal import AbstractSignalObservation

_LOG_CHI_MEAN = -1.2703628454614782  # E log e^2 of a standard normal e: digamma(1/2) + log 2
_LOG_CHI_VARIANCE = math.pi**2 / 2


class StudentT(AbstractSignalObservation):
    """Noise with heavy tails.

        y[t] = signal[t] + scale e[t],     e[t] ~ Student's t with df degrees of freedom

    Methods that work with moments know the variance scale^2 df / (df - 2) only: from it alone df and scale cannot be
    told apart, and an outlier pulls as it does under normal noise. Fix df, or use a method that sees the density.

    Args:
        df: Degrees of freedom, above 2. Left out: unknown.
        scale: Scale in the data's unit. Left out: unknown.
        name: The term's name.

    Example:
        >>> import jax.numpy as jnp
        >>> float(StudentT(4.0, 1.0).law(jnp.zeros(1), None).variance[0])
        2.0

    Reference: Durbin and Koopman (2012), section 9.4.1.
    """

    df: Float[Array, "*batch"] | Unknown = param(
        constraints.greater_than(2.0), prior=lambda self, scale: _shifted_gamma()
    )
    scale: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, unit="data", prior=lambda self, scale: dist.HalfNormal(scale)
    )
    _: KW_ONLY
    name: str = eqx.field(static=True, default="student")

    def law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Student's t laws."""
        del step
        return dist.StudentT(self.df, signal, self.scale)

    def moments(
        self, signal: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """The signal, and scale^2 df / (df - 2)."""
        del step
        return signal, jnp.broadcast_to(self.scale**2 * self.df / (self.df - 2.0), signal.shape)

    def working(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """The observation."""
        del step
        return y

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Nothing."""
        del inputs
        return np.zeros(y.shape, bool), "any number, or NaN"


class Gamma(AbstractSignalObservation):
    """Positive measurements whose spread grows with their size, with the logarithmic link.

        y[t] ~ Gamma(mean mu, variance mu^2 / shape),     mu = exp(signal[t])

    Args:
        shape: Above 0; 1 is the exponential law. Left out: unknown.
        name: The term's name.

    Example:
        >>> import jax.numpy as jnp
        >>> float(Gamma(4.0).law(jnp.zeros(1), None).variance[0])
        0.25

    Reference: McCullagh and Nelder (1989), chapter 8.
    """

    shape: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(5.0), 1.5)
    )
    _: KW_ONLY
    name: str = eqx.field(static=True, default="gamma")

    def law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Gamma laws."""
        del step
        return dist.Gamma(self.shape, self.shape * jnp.exp(-signal))

    def working(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """The logarithm; a missing value stands for 0, whose signal is never used."""
        del step
        return jnp.log(jnp.where(y > 0, y, 1.0))

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Whatever is not above 0."""
        del inputs
        return ~np.isnan(y) & ~(y > 0), "numbers above 0, or NaN"


class LogVolatility(AbstractSignalObservation):
    """Stochastic volatility: the components are the logarithm of the variance.

        y[t] = mean + exp(signal[t] / 2) e[t],     e[t] ~ N(0, 1)

    The variance tells nothing through the first moments of y, so methods that work with moments look at
    log (y - mean)^2, which is the signal plus log e^2, of mean -1.27036 and variance pi^2 / 2: quasi-maximum
    likelihood, exact in nothing but these two moments. The Jacobian is part of the likelihood.

    Args:
        mean: The known mean of the observations (of returns often 0).
        offset: Added to (y - mean)^2 to keep its logarithm finite, as a variance; needed where y equals the mean.
        name: The term's name.

    Raises:
        ValueError: If the offset is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> float(LogVolatility().law(jnp.zeros(1), None).variance[0])
        1.0

    Reference: Harvey, Ruiz and Shephard (1994), "Multivariate stochastic variance models", Review of Economic
    Studies 61; the offset: Fuller (1996), "Introduction to Statistical Time Series", example 9.3.2.
    """

    mean: float = eqx.field(static=True, default=0.0)
    offset: float = eqx.field(static=True, default=0.0)
    name: str = eqx.field(static=True, default="volatility")

    def __check_init__(self):
        if self.offset < 0:
            raise ValueError(f"offset is {self.offset}, expected 0 or above: it is added to a square")

    @property
    def has_statistic(self) -> bool:
        """It is log (y - mean)^2."""
        return True

    def law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Normal laws."""
        del step
        return dist.Normal(self.mean, jnp.exp(0.5 * signal))

    def statistic(
        self, y: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """Log (y - mean)^2 (Fuller's form with an offset), and its log Jacobian for two values of y that share it."""
        del step
        square = (y - self.mean) ** 2
        raised = square + self.offset
        present = raised > 0
        raised, square = jnp.where(present, raised, 1.0), jnp.where(present & (square > 0), square, 1.0)
        slope = 0.5 * jnp.log(square) - jnp.log(raised) + jnp.log1p(self.offset / raised)
        return jnp.log(raised) - self.offset / raised, slope

    def moments(
        self, signal: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """Those of the statistic."""
        del step
        return signal + _LOG_CHI_MEAN, jnp.full_like(signal, _LOG_CHI_VARIANCE)

    def working(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """The statistic less its mean."""
        return self.statistic(y, step)[0] - _LOG_CHI_MEAN

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """A value equal to the mean, where there is no offset."""
        del inputs
        bad = (y == self.mean) if self.offset == 0 else np.zeros(y.shape, bool)
        return bad, "numbers other than the mean (else pass offset=, such as 0.02 times their variance), or NaN"


def _shifted_gamma() -> Any:
    """A prior for degrees of freedom above 2 (Juarez and Steel 2010, moved to where the variance exists)."""
    return dist.TransformedDistribution(
        dist.Gamma(2.0, 0.1), dist.transforms.AffineTransform(2.0, 1.0, domain=constraints.positive)
    )
