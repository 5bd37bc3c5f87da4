"""Stochastic volatility: plain, with heavy tails, and with leverage."""

import math
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import digamma, polygamma
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.normal import FactorNormal
from ...core.parameters import Unknown, is_traced, param
from ...core.step import Step
from ..base import (
    AbstractGaussianDynamics,
    AbstractLinearDynamics,
    AbstractSignalEmission,
    SignalMatrices,
    TransitionMatrices,
)
from ..initial import InitialLaw
from ..structural import Binding, LogVolatility
from ..structural.component import check_regular


def _persistence_prior(self: Any, scale: Any) -> Distribution:
    """(1 + rho) / 2 ~ Beta(20, 1.5), as Kim, Shephard and Chib (1998)."""
    del self, scale
    affine = dist.transforms.AffineTransform(-1.0, 2.0, domain=constraints.unit_interval)
    return dist.TransformedDistribution(dist.Beta(20.0, 1.5), affine)


def _mean_prior(self: Any, scale: Any) -> Distribution:
    """About the logarithm of the data's variance."""
    del self
    return dist.Normal(2.0 * jnp.log(scale), 2.0)


def _df_prior(self: Any, scale: Any) -> Distribution:
    del self, scale
    moved = dist.transforms.AffineTransform(2.0, 1.0, domain=constraints.positive)
    return dist.TransformedDistribution(dist.Gamma(2.0, 0.1), moved)


class StochasticVolatility(AbstractLinearDynamics, AbstractSignalEmission):
    """Stochastic volatility: the logarithm of the variance is an autoregression, which starts from its own law.

        x[0] ~ N(mean, scale^2 / (1 - persistence^2))
        x[t] = mean + persistence (x[t-1] - mean) + scale e[t],     e[t] ~ N(0, 1)
        y[t] = exp(x[t] / 2) u[t],                                  u[t] ~ N(0, 1), or Student's t

    In the field's letters mean is mu, persistence rho (or phi) and scale sigma. Methods that work with moments look at
    log y^2 (quasi-likelihood, see `LogVolatility`); particle filters see the law itself. The same with other dynamics
    is a sum of components: `LocalLevel() + LogVolatility()`.

    Args:
        mean: Mean of the log-variance. Left out: unknown.
        persistence: Between -1 and 1. Left out: unknown.
        scale: Standard deviation of the log-variance's disturbances. Left out: unknown.
        df: Degrees of freedom of u, above 2; infinite for normal u; None for unknown.
        offset: Added to y^2, in the statistic only, to keep its logarithm finite: needed by methods that work with
            moments where some y is 0.

    Raises:
        ValueError: If persistence is not inside (-1, 1), df not above 2, or the offset negative; if the stamps are
            irregular.

    Example:
        >>> import statespace as ss
        >>> model = ss.StochasticVolatility(-1.02, 0.9702, 0.178)
        >>> pf = ss.BootstrapFilter(2000)
        >>> round(ss.log_likelihood(model, ss.datasets.gbp_usd(), pf, key=0), -1)
        -490.0

    Reference: Taylor (1982); Kim, Shephard and Chib (1998), Review of Economic Studies 65; heavy tails: Chib, Nardari
    and Shephard (2002), Journal of Econometrics 108.
    """

    mean: Float[Array, "*batch"] | Unknown = param(constraints.real, prior=_mean_prior)
    persistence: Float[Array, "*batch"] | Unknown = param(constraints.interval(-1.0, 1.0), prior=_persistence_prior)
    scale: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, unit="data", prior=lambda self, scale: dist.HalfNormal(0.5)
    )
    df: Float[Array, "*batch"] | Unknown = param(
        constraints.greater_than(2.0), prior=_df_prior, active=lambda self: self.heavy
    )
    _: KW_ONLY  # the fields below have no default, those above have
    heavy: bool = eqx.field(static=True)
    term: LogVolatility

    def __init__(
        self, mean: Any = None, persistence: Any = None, scale: Any = None, df: Any = math.inf, *, offset: float = 0.0
    ):
        _check_persistence(persistence)
        if df is not None and not is_traced(df) and np.any(np.asarray(df) <= 2):
            raise ValueError(f"df is {df}, expected more than 2, where the variance exists (None for unknown)")
        self.mean, self.persistence, self.scale, self.df = mean, persistence, scale, df
        self.heavy = df is None or is_traced(df) or not bool(np.all(np.isinf(np.asarray(df))))
        self.term = LogVolatility(offset=offset)

    @property
    def state_names(self) -> tuple[str, ...]:
        """One: the logarithm of the variance."""
        return ("log_variance",)

    def bind(self, binding: Binding) -> "StochasticVolatility":
        """The model itself; raises ValueError if the stamps are irregular."""
        check_regular(binding, type(self).__name__)
        return self

    def initial_law(self, step: Step) -> InitialLaw:
        """The stationary law."""
        del step
        return InitialLaw.gaussian(self.mean[None], _stationary_sd(self)[None])

    def propagate(self, x: Float[Array, "state *columns"], step: Step) -> Float[Array, "state *columns"]:
        """Multiply by the persistence."""
        del step
        return self.persistence * x

    def transition_matrices(self, step: Step) -> TransitionMatrices:
        """Offset and noise factor."""
        del step
        return TransitionMatrices((self.mean * (1 - self.persistence))[None], self.scale[None, None])

    def signal_matrices(self, step: Step) -> SignalMatrices:
        """The state itself."""
        del step
        return SignalMatrices(jnp.ones((1, 1), self.mean.dtype), jnp.zeros(1, self.mean.dtype))

    def signal_law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Normal laws, or Student's."""
        del step
        sd = jnp.exp(0.5 * signal)
        return dist.StudentT(self.df, 0.0, sd) if self.heavy else dist.Normal(0.0, sd)

    def working_signal(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """The statistic less its mean for normal u."""
        return self.term.working(y, step)

    @property
    def has_statistic(self) -> bool:
        """It is log y^2."""
        return True

    def statistic(
        self, y: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """Log y^2, and its log Jacobian; NaN at 0 where there is no offset."""
        value, slope = self.term.statistic(y, step)
        none = (y == 0) & (self.term.offset == 0)
        return jnp.where(none, jnp.nan, value), slope

    def signal_moments(
        self, signal: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """Those of the signal plus log u^2."""
        mean, variance = self.term.moments(signal, step)
        if not self.heavy:
            return mean, variance
        # u^2 is a squared normal over an independent chi-square with df degrees of freedom, divided by df
        half = 0.5 * self.df
        return mean - digamma(half) + jnp.log(half), variance + polygamma(1, half)


class LeverageVolatility(AbstractGaussianDynamics):
    """Stochastic volatility with leverage: a fall today goes with more variance tomorrow.

        x[0]   ~ N(mean, scale^2 / (1 - persistence^2))
        y[t]   = exp(x[t] / 2) u[t]
        x[t+1] = mean + persistence (x[t] - mean) + scale e[t+1],     corr(e[t+1], u[t]) = leverage

    Given y[t] the disturbance e[t+1] is normal with mean leverage u[t] and variance 1 - leverage^2, so the transition
    reads the observation before, and the marginal law of x is that without leverage. Particle filters serve it; a
    missing observation is drawn for each particle.

    Args:
        mean: Mean of the log-variance. Left out: unknown.
        persistence: Between -1 and 1. Left out: unknown.
        scale: Standard deviation of the log-variance's disturbances. Left out: unknown.
        leverage: Correlation of the two disturbances, between -1 and 1. Left out: unknown.

    Raises:
        ValueError: If persistence or leverage is not inside (-1, 1), or the stamps are irregular.

    Example:
        >>> LeverageVolatility(-1.0, 0.95, 0.2, leverage=-0.4).reads_previous
        True

    Reference: Omori, Chib, Shephard and Nakajima (2007), "Stochastic volatility with leverage: fast and efficient
    likelihood inference", Journal of Econometrics 140.
    """

    mean: Float[Array, "*batch"] | Unknown = param(constraints.real, prior=_mean_prior)
    persistence: Float[Array, "*batch"] | Unknown = param(constraints.interval(-1.0, 1.0), prior=_persistence_prior)
    scale: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, unit="data", prior=lambda self, scale: dist.HalfNormal(0.5)
    )
    leverage: Float[Array, "*batch"] | Unknown = param(
        constraints.interval(-1.0, 1.0), prior=lambda self, scale: dist.Uniform(-1.0, 1.0)
    )

    def __check_init__(self):
        _check_persistence(self.persistence)
        given = self.leverage
        if given is not None and not is_traced(given) and np.any(np.abs(np.asarray(given)) >= 1):
            raise ValueError(f"leverage is {given}, expected a correlation inside (-1, 1)")

    @property
    def state_names(self) -> tuple[str, ...]:
        """One: the logarithm of the variance."""
        return ("log_variance",)

    @property
    def reads_previous(self) -> bool:
        """The transition reads the observation before."""
        return True

    def bind(self, binding: Binding) -> "LeverageVolatility":
        """The model itself; raises ValueError if the stamps are irregular."""
        check_regular(binding, type(self).__name__)
        return self

    def initial(self, step: Step) -> FactorNormal:
        """The stationary law."""
        del step
        return FactorNormal(self.mean[None], _stationary_sd(self)[None, None])

    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The conditional mean, given the observation before."""
        shock = step.previous * jnp.exp(-0.5 * x)  # pyright: ignore[reportOptionalOperand]  the model reads it
        return self.mean + self.persistence * (x - self.mean) + self.scale * self.leverage * shock

    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """What is left of the scale given the observation before."""
        del x, step
        return (self.scale * jnp.sqrt(1.0 - self.leverage**2))[None, None]

    def emission(self, x: Float[Array, " state"], step: Step) -> Distribution:
        """Normal laws."""
        del step
        return dist.Normal(0.0, jnp.exp(0.5 * x)).to_event(1)


def _stationary_sd(model: Any) -> Float[Array, ""]:
    return model.scale / jnp.sqrt(1.0 - model.persistence**2)


def _check_persistence(given: Any) -> None:
    if given is not None and not is_traced(given) and np.any(np.abs(np.asarray(given)) >= 1):
        raise ValueError(
            f"persistence is {given}, expected a number inside (-1, 1): the log-variance is stationary (for a random "
            "walk use LocalLevel() + LogVolatility())"
        )
