"""A nonlinear model with additive normal noise, from plain functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core.normal import FactorNormal
from ..core.step import Step
from .base import AbstractGaussianDynamics, AbstractMomentEmission, noise_matrix
from .functions import AbstractFunctions, split_parameters, takes_parameters


class NonlinearGaussian(AbstractFunctions, AbstractGaussianDynamics, AbstractMomentEmission):
    """A nonlinear model with additive normal noise, from plain functions.

        x[0] ~ N(initial_mean, S0 S0')
        x[t] = drift(x[t-1], step) + G w[t],       w[t] ~ N(0, I)
        y[t] = observation(x[t], step) + S e[t],   e[t] ~ N(0, I)

    The noise scales are arrays or functions: a vector means a diagonal of standard deviations, a matrix any factor.

    Args:
        drift: Function of the state at the stamp before and of the step, to the mean of the state.
        drift_scale: G: an array, or a function like drift, whose value may depend on the state.
        observation: Function of the state and of the step, to the mean of the observation, (series,) or a number.
        observation_scale: S: an array, or a function like observation.
        initial_mean: Mean of the first state, (state,): an array, or a function of the first step.
        initial_scale: S0: an array, or a function of the first step.
        parameters: By name, a prior (unknown), a pair of a value and a prior (known so far), or a number (held).
        state_names: Names of the states; numbered when left out.
        input_names: The input columns in the order in which `step.inputs` has them.
        num_series: Number of observed series.

    Raises:
        TypeError: If a function takes another number of arguments, or a parameter is neither of the three.

    Example:
        >>> pendulum = NonlinearGaussian(
        ...     lambda x, step: jnp.array([x[0] + 0.1 * x[1], x[1] - 0.981 * jnp.sin(x[0])]),
        ...     [0.01, 0.1],
        ...     lambda x, step: jnp.sin(x[:1]),
        ...     [0.3],
        ...     initial_mean=[1.5, 0.0],
        ...     initial_scale=[0.1, 0.1],
        ... )
        >>> pendulum.state_names
        ('x0', 'x1')

    Reference: Särkkä (2013), "Bayesian Filtering and Smoothing", eq. 5.1.
    """

    _: KW_ONLY
    moves: Callable[..., Any] = eqx.field(static=True)
    seen: Callable[..., Any] = eqx.field(static=True)
    move_scale: Any
    seen_scale: Any
    first_mean: Any
    first_scale: Any

    def __init__(
        self,
        drift: Callable[..., Any],
        drift_scale: Any,
        observation: Callable[..., Any],
        observation_scale: Any,
        *,
        initial_mean: Any,
        initial_scale: Any,
        parameters: Mapping[str, Any] | None = None,
        state_names: Sequence[str] | None = None,
        input_names: Sequence[str] = (),
        num_series: int = 1,
    ):
        self.parameters, self.priors, self.constants = split_parameters(parameters)
        self.names = None if state_names is None else tuple(state_names)
        self.columns, self.count, self.teacher = tuple(input_names), num_series, False
        takes_parameters(drift, 2, "drift")
        takes_parameters(observation, 2, "observation")
        self.moves, self.seen = drift, observation
        self.move_scale = _part(drift_scale, 2, "drift_scale")
        self.seen_scale = _part(observation_scale, 2, "observation_scale")
        self.first_mean = _part(initial_mean, 1, "initial_mean")
        self.first_scale = _part(initial_scale, 1, "initial_scale")

    def initial(self, step: Step) -> FactorNormal:
        """The law of the state at the first stamp."""
        mean = jnp.atleast_1d(self._value(self.first_mean, 1, step))
        return FactorNormal(mean, _factor(self._value(self.first_scale, 1, step)))

    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The conditional mean of the state at `step`."""
        return jnp.atleast_1d(self._call(self.moves, 2, x, step))

    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """The factor of the conditional covariance."""
        return _factor(self._value(self.move_scale, 2, x, step))

    def conditional_moments(
        self, x: Float[Array, " state"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
        """Mean and covariance of the observation, given the state."""
        factor = _factor(self._value(self.seen_scale, 2, x, step))
        return jnp.atleast_1d(self._call(self.seen, 2, x, step)), factor @ factor.T

    def emission(self, x: Float[Array, " state"], step: Step) -> FactorNormal:
        """The law of the observation at `step`, given the state there."""
        mean = jnp.atleast_1d(self._call(self.seen, 2, x, step))
        return FactorNormal(mean, _factor(self._value(self.seen_scale, 2, x, step)))

    def _value(self, given: Any, count: int, *args: Any) -> Array:
        found = self._call(given.function, count, *args) if isinstance(given, _Function) else given
        return jnp.asarray(found, jnp.result_type(float))


class _Function(eqx.Module):
    """A function in a field that may also hold an array."""

    function: Callable[..., Any] = eqx.field(static=True)


def _part(given: Any, count: int, what: str) -> Any:
    if not callable(given):
        return jnp.asarray(given, jnp.result_type(float))
    takes_parameters(given, count, what)
    return _Function(given)


def _factor(scale: Array) -> Array:
    return noise_matrix(jnp.atleast_1d(scale))
