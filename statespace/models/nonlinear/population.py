"""Populations that limit their own growth, measured with noise: Gompertz, theta-logistic."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.normal import FactorNormal
from ...core.parameters import Unknown, param, with_fields
from ...core.step import Step
from ..base import (
    AbstractGaussianDynamics,
    AbstractLinearDynamics,
    AbstractSignalEmission,
    SignalMatrices,
    TransitionMatrices,
)
from ..initial import InitialLaw
from ..structural import Binding
from ..structural.component import check_regular


def _size_prior(self: Any, scale: Any) -> Distribution:
    """About the level of the data."""
    del scale
    return dist.LogNormal(jnp.log(self.level), 1.0)


def log_scale_prior(self: Any, scale: Any) -> Distribution:
    """Of standard deviations of logarithms."""
    del self, scale
    return dist.HalfNormal(0.5)


class AbstractPopulation(AbstractSignalEmission):
    """A population whose state is the logarithm of its size."""

    level: eqx.AbstractVar[float]

    @property
    def state_names(self) -> tuple[str, ...]:
        """One: the logarithm of the size."""
        return ("log_size",)

    def bind(self, binding: Binding) -> "AbstractPopulation":
        """The model with the level of the data, for its priors; raises ValueError if the stamps are irregular."""
        check_regular(binding, type(self).__name__)
        known = None if binding.level is None else float(binding.level[0])
        return with_fields(self, level=known) if known is not None and known > 0 else self

    def in_signal_unit(self, y: np.ndarray, inputs: np.ndarray | None) -> np.ndarray:
        """Logarithms; of counts with one half added."""
        del inputs
        return np.log(np.where(np.isnan(y) | (y > 0), y, 0.5))


class AbstractMeasured(AbstractPopulation):
    """A population that is measured with log-normal noise.

    Methods that work with moments look at log y, which is normal, and put the Jacobian into the likelihood: for data on
    their own scale they are as good as on the logarithms.
    """

    observation_scale: eqx.AbstractVar[Any]

    def signal_matrices(self, step: Step) -> SignalMatrices:
        """The state itself."""
        del step
        one = jnp.ones((1, 1), self.observation_scale.dtype)
        return SignalMatrices(one, 0.0 * one[0])

    def signal_law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Log-normal laws."""
        del step
        return dist.LogNormal(signal, self.observation_scale)

    def working_signal(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """The logarithm."""
        return self.statistic(y, step)[0]

    @property
    def has_statistic(self) -> bool:
        """It is log y."""
        return True

    def statistic(
        self, y: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """Log y, and its log Jacobian."""
        del step
        value = jnp.log(jnp.where(y > 0, y, 1.0))  # a missing value is 0 here, and is never used
        return value, -value

    def signal_moments(
        self, signal: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """Those of log y."""
        del step
        return signal, jnp.broadcast_to(self.observation_scale**2, signal.shape)

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Whatever is not above 0."""
        del inputs
        return ~np.isnan(y) & ~(y > 0), "numbers above 0, or NaN"


class Gompertz(AbstractLinearDynamics, AbstractMeasured):
    """Gompertz growth, measured with log-normal noise; N[-1] = start is the size one period before the first stamp.

        N[t] = capacity^(1 - S) N[t-1]^S exp(scale e[t]),     S = exp(-growth_rate)
        y[t] ~ LogNormal(log N[t], observation_scale)

    In the field's letters r, K, sigma, tau and X_0. The logarithm of N is linear-Gaussian and so is that of y, so that
    `ExtendedKalman` (any method that works with moments) is exact, on data of the original scale.

    Args:
        growth_rate: Speed of the return to the capacity, per period. Left out: unknown.
        capacity: Size to which the population returns. Left out: unknown.
        scale: Standard deviation of the disturbances of log N. Left out: unknown.
        observation_scale: Standard deviation of the noise of log y. Left out: unknown.
        start: Size one period before the first stamp. Left out: unknown.

    Raises:
        ValueError: If the stamps are irregular.

    Example:
        >>> import statespace as ss
        >>> model = ss.Gompertz(0.1, 1.0, 0.1, 0.1, 1.0)
        >>> round(ss.log_likelihood(model, [1.04, 1.19, 1.13], ss.ExtendedKalman()), 4)
        2.0194

    Reference: King, Nguyen and Ionides (2016), "Statistical inference for partially observed Markov processes via the R
    package pomp", Journal of Statistical Software 69, section 4.
    """

    growth_rate: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(0.2), 1.0)
    )
    capacity: Float[Array, "*batch"] | Unknown = param(constraints.positive, prior=_size_prior)
    scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, unit="data", prior=log_scale_prior)
    observation_scale: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, unit="data", prior=log_scale_prior
    )
    start: Float[Array, "*batch"] | Unknown = param(constraints.positive, prior=_size_prior)
    level: float = eqx.field(static=True, default=1.0, kw_only=True)

    def initial_law(self, step: Step) -> InitialLaw:
        """One period after the start."""
        moved = self.propagate(jnp.log(self.start)[None], step)
        parts = self.transition_matrices(step)
        return InitialLaw.gaussian(moved + parts.offset, parts.factor)

    def propagate(self, x: Float[Array, "state *columns"], step: Step) -> Float[Array, "state *columns"]:
        """Multiply by S."""
        del step
        return jnp.exp(-self.growth_rate) * x

    def transition_matrices(self, step: Step) -> TransitionMatrices:
        """Offset and noise factor of the logarithm."""
        del step
        offset = -jnp.expm1(-self.growth_rate) * jnp.log(self.capacity)
        return TransitionMatrices(offset[None], self.scale[None, None])


class ThetaLogistic(AbstractGaussianDynamics, AbstractMeasured):
    """Theta-logistic growth, measured with log-normal noise; N[-1] = start is the size before the first stamp.

        N[t] = N[t-1] exp(growth_rate (1 - (N[t-1] / capacity)^theta) + scale e[t])
        y[t] ~ LogNormal(log N[t], observation_scale)

    theta = 1 is Ricker's (logistic) growth, theta towards 0 Gompertz's.

    Args:
        growth_rate: r, growth per period where the population is small. Left out: unknown.
        capacity: K. Left out: unknown.
        theta: How sharply growth ends near the capacity, above 0. Left out: unknown.
        scale: Standard deviation of the disturbances of log N. Left out: unknown.
        observation_scale: Standard deviation of the noise of log y. Left out: unknown.
        start: Size one period before the first stamp. Left out: unknown.

    Raises:
        ValueError: If the stamps are irregular.

    Example:
        >>> import jax.numpy as jnp
        >>> model = ThetaLogistic(0.15, 4.0, 2.0, 0.1, 0.05, 1.0)
        >>> round(float(model.drift(jnp.log(jnp.array([4.0])), None)[0]), 4)
        1.3863

    Reference: Gilpin and Ayala (1973), "Global models of growth and competition", PNAS 70; Peters, Hosack and Hayes
    (2010), arXiv:1005.2238.
    """

    growth_rate: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(0.2), 1.0)
    )
    capacity: Float[Array, "*batch"] | Unknown = param(constraints.positive, prior=_size_prior)
    theta: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(0.0, 1.0)
    )
    scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, unit="data", prior=log_scale_prior)
    observation_scale: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, unit="data", prior=log_scale_prior
    )
    start: Float[Array, "*batch"] | Unknown = param(constraints.positive, prior=_size_prior)
    level: float = eqx.field(static=True, default=1.0, kw_only=True)

    def initial(self, step: Step) -> FactorNormal:
        """One period after the start."""
        return self.transition(jnp.log(self.start)[None], step)

    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The conditional mean of log N."""
        del step
        crowding = jnp.exp(self.theta * (x - jnp.log(self.capacity)))
        return x + self.growth_rate * (1.0 - crowding)

    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """The scale."""
        del x, step
        return self.scale[None, None]
