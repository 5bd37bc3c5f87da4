"""Observing terms for counts and for yes or no."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.parameters import Unknown, param, with_fields
from ...core.step import Step
from .component import Binding
from .signal import AbstractSignalObservation, Column

_HALF = 0.5  # keeps the link finite at a count of nothing, or of everything (Haldane, Anscombe)


class Poisson(AbstractSignalObservation):
    """Counts with the logarithmic link.

        y[t] ~ Poisson(exposure[t] exp(signal[t]))

    Args:
        exposure: Name of an input column by which the rate is multiplied (people at risk, hours open); a number serves
            all stamps.
        name: The term's name.

    Raises:
        ValueError: If the exposure is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> float(Poisson().law(jnp.zeros(1), None).mean[0])
        1.0

    Reference: Durbin and Koopman (2012), section 9.3.1; West, Harrison and Migon (1985), "Dynamic generalized linear
    models and Bayesian forecasting", JASA 80.
    """

    exposure: Column
    name: str = eqx.field(static=True)

    def __init__(self, exposure: str | float = 1.0, *, name: str = "poisson"):
        self.exposure, self.name = _positive(exposure, "exposure"), name

    @property
    def input_names(self) -> tuple[str, ...]:
        """The exposure's column, if it is one."""
        return self.exposure.names

    def bind(self, binding: Binding) -> "Poisson":
        """The term tied to the exposure's column."""
        return with_fields(self, exposure=self.exposure.bind(binding, self.name))

    def law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Poisson laws."""
        return dist.Poisson(self.exposure.at(step) * jnp.exp(signal))

    def working(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """log((y + 1/2) / exposure)."""
        return jnp.log((y + _HALF) / self.exposure.at(step))

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Whatever is no count; any value where the exposure is not positive."""
        return _no_count(y) | _no_exposure(self.exposure, y, inputs), _COUNTS


class NegativeBinomial(AbstractSignalObservation):
    """Counts that vary more than Poisson ones, with the logarithmic link.

        y[t] ~ NegativeBinomial(mean mu, variance mu + mu^2 / concentration),     mu = exposure[t] exp(signal[t])

    Args:
        concentration: Above 0; the larger, the nearer to Poisson. Left out: unknown.
        exposure: Name of an input column by which the mean is multiplied; a number serves all stamps.
        name: The term's name.

    Raises:
        ValueError: If the exposure is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> float(NegativeBinomial(2.0).law(jnp.zeros(1), None).variance[0])
        1.5

    Reference: Durbin and Koopman (2012), section 9.3.4.
    """

    concentration: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(10.0), 1.5)
    )
    exposure: Column = Column(1.0)
    name: str = eqx.field(static=True, default="negative_binomial")

    def __init__(self, concentration: Any = None, *, exposure: str | float = 1.0, name: str = "negative_binomial"):
        self.concentration, self.exposure, self.name = concentration, _positive(exposure, "exposure"), name

    @property
    def input_names(self) -> tuple[str, ...]:
        """The exposure's column, if it is one."""
        return self.exposure.names

    def bind(self, binding: Binding) -> "NegativeBinomial":
        """The term tied to the exposure's column."""
        return with_fields(self, exposure=self.exposure.bind(binding, self.name))

    def law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Negative binomial laws."""
        return dist.NegativeBinomial2(self.exposure.at(step) * jnp.exp(signal), self.concentration)

    def working(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """log((y + 1/2) / exposure)."""
        return jnp.log((y + _HALF) / self.exposure.at(step))

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Whatever is no count; any value where the exposure is not positive."""
        return _no_count(y) | _no_exposure(self.exposure, y, inputs), _COUNTS


class Binomial(AbstractSignalObservation):
    """Successes in a known number of trials, with the logistic link.

        y[t] ~ Binomial(trials[t], 1 / (1 + exp(-signal[t])))

    Args:
        trials: Number of trials, or the name of the input column that holds it.
        name: The term's name.

    Raises:
        ValueError: If trials is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> float(Binomial(10).law(jnp.zeros(1), None).mean[0])
        5.0

    Reference: Durbin and Koopman (2012), section 9.3.3.
    """

    trials: Column
    name: str = eqx.field(static=True)

    def __init__(self, trials: int | str, *, name: str = "binomial"):
        self.trials, self.name = _positive(trials, "trials"), name

    @property
    def input_names(self) -> tuple[str, ...]:
        """The trials' column, if it is one."""
        return self.trials.names

    def bind(self, binding: Binding) -> "Binomial":
        """The term tied to the trials' column."""
        return with_fields(self, trials=self.trials.bind(binding, self.name))

    def law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Binomial laws."""
        trials = jnp.round(jnp.asarray(self.trials.at(step))).astype(int)  # NumPyro draws by indexing with it
        return dist.BinomialLogits(signal, jnp.broadcast_to(trials, signal.shape))

    def moments(
        self, signal: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """N p and n p (1 - p), the latter without loss of digits at large signals."""
        return _binomial_moments(signal, self.trials.at(step))

    def working(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """log((y + 1/2) / (trials - y + 1/2))."""
        return jnp.log((y + _HALF) / (self.trials.at(step) - y + _HALF))

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Whatever is no count between 0 and the trials."""
        return _no_count(y) | (y > self.trials.over(inputs)), "whole numbers between 0 and trials, or NaN"


class Bernoulli(AbstractSignalObservation):
    """Yes (1) or no (0), with the logistic link.

        P(y[t] = 1) = 1 / (1 + exp(-signal[t]))

    Args:
        name: The term's name.

    Example:
        >>> import jax.numpy as jnp
        >>> float(Bernoulli().law(jnp.zeros(1), None).mean[0])
        0.5

    Reference: Durbin and Koopman (2012), section 9.3.2.
    """

    name: str = eqx.field(static=True, default="bernoulli")

    def law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """Bernoulli laws."""
        del step
        return dist.BernoulliLogits(signal)

    def moments(
        self, signal: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """P and p (1 - p), the latter without loss of digits at large signals."""
        del step
        return _binomial_moments(signal, 1.0)

    def working(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """log((y + 1/2) / (3/2 - y))."""
        del step
        return jnp.log((y + _HALF) / (1 + _HALF - y))

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Whatever is neither 0 nor 1."""
        del inputs
        return ~np.isnan(y) & (y != 0) & (y != 1), "0 or 1, or NaN"


_COUNTS = "whole numbers, 0 or above (with a positive exposure), or NaN"


def _positive(value: Any, what: str) -> Column:
    if not isinstance(value, str) and not float(value) > 0:
        raise ValueError(f"{what} is {value!r}: give a positive number, or the name of an input column")
    return Column(value if isinstance(value, str) else float(value))


def _no_count(y: np.ndarray) -> np.ndarray:
    return ~np.isnan(y) & ((y < 0) | (y != np.round(y)))


def _no_exposure(exposure: Column, y: np.ndarray, inputs: np.ndarray | None) -> np.ndarray:
    return ~np.isnan(y) & ~(np.asarray(exposure.over(inputs)) > 0)


def _binomial_moments(signal: Array, trials: Any) -> tuple[Array, Array]:
    p = 1.0 / (1.0 + jnp.exp(-signal))
    return trials * p, trials * p * (1.0 / (1.0 + jnp.exp(signal)))
