"""Models from plain functions: their laws, or drift and scales, with parameters by name."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from ..core.normal import FactorNormal
from ..core.parameters import Declaration, params
from ..core.step import Step
from .base import AbstractGaussianDynamics, AbstractMomentEmission, AbstractStateSpace, noise_matrix


class AbstractFunctions(AbstractStateSpace):
    """A model whose laws are plain functions, with parameters by name.

    Attributes:
        parameters: Values of the parameters that may be learned; None while unknown.
        constants: Values that are held.
        priors: Prior of each parameter, which gives its support and shape too.
        names: Names of the states; None to number them.
        columns: The input columns in the order in which the functions read them.
        count: Number of observed series.
        teacher: Whether a function reads `step.previous`.
    """

    parameters: dict[str, Any] = params(lambda self, name: _declared(self.priors[name]))
    _: KW_ONLY  # the fields below have no default, the one above has
    constants: dict[str, Array]
    priors: dict[str, Distribution]
    names: tuple[str, ...] | None = eqx.field(static=True)
    columns: tuple[str, ...] = eqx.field(static=True)
    count: int = eqx.field(static=True)
    teacher: bool = eqx.field(static=True)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The given names, or x0, x1, ... for as many elements as the first law has."""
        if self.names is not None:
            return self.names
        size = self._state_shape()
        return ("x",) if size == () else tuple(f"x{i}" for i in range(size[0]))

    @property
    def num_series(self) -> int:
        """The number of observed series."""
        return self.count

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the functions read."""
        return self.columns

    @property
    def reads_previous(self) -> bool:
        """Whether a function reads `step.previous`."""
        return self.teacher

    def _state_shape(self) -> tuple[int, ...]:
        """The shape of the state, from the first law with stand-ins for all values."""
        blank = {n: jnp.ones(p.batch_shape + p.event_shape) for n, p in self.priors.items()}
        model = eqx.tree_at(lambda m: m.parameters, self, blank, is_leaf=lambda x: x is None)
        inputs = jnp.zeros(len(self.columns)) if self.columns else None
        step = Step(jnp.zeros((), int), jnp.zeros(()), None, inputs, None, jnp.full(self.count, jnp.nan))
        law = jax.eval_shape(model.initial, step)
        return law.batch_shape + law.event_shape

    def _call(self, function: Callable[..., Any], count: int, *args: Any) -> Any:
        """A function's value, given the parameters as well where it takes them."""
        if not takes_parameters(function, count):
            return function(*args)
        return function(*args, SimpleNamespace(**self.constants, **self.parameters))


class StateSpace(AbstractFunctions):
    """A state-space model from three plain functions, each of which returns a NumPyro distribution.

        x[0] ~ initial(step),   x[t] ~ transition(x[t-1], step),   y[t] ~ emission(x[t], step)

    A law may do without a density: particle filters that move by the transition only draw from it.

    Args:
        initial: Function of the first step. Each of the three may take the parameters as a last argument.
        transition: Function of the state at the stamp before and of the step.
        emission: Function of the state and of the step; a law of one number, or of one for each series.
        parameters: By name, a prior (unknown), a pair of a value and a prior (known so far), or a number (held).
        state_names: Names of the states; numbered when left out.
        input_names: The input columns in the order in which `step.inputs` has them.
        num_series: Number of observed series.
        reads_previous: Whether a function reads `step.previous`, the observation at the stamp before.

    Raises:
        TypeError: If a function takes another number of arguments, or a parameter is neither of the three.
        ValueError: If a parameter's name is not a Python name.

    Example:
        >>> import numpyro.distributions as dist
        >>> walk = StateSpace(
        ...     lambda step: dist.Normal(0.0, 1.0),
        ...     lambda x, step, p: dist.Normal(x, p.scale),
        ...     lambda x, step: dist.Poisson(jnp.exp(x)),
        ...     parameters={"scale": (0.1, dist.HalfNormal(1.0))},
        ... )
        >>> walk.state_names
        ('x',)
    """

    _: KW_ONLY
    first: Callable[..., Any] = eqx.field(static=True)
    then: Callable[..., Any] = eqx.field(static=True)
    seen: Callable[..., Any] = eqx.field(static=True)

    def __init__(
        self,
        initial: Callable[..., Distribution],
        transition: Callable[..., Distribution],
        emission: Callable[..., Distribution],
        *,
        parameters: Mapping[str, Any] | None = None,
        state_names: Sequence[str] | None = None,
        input_names: Sequence[str] = (),
        num_series: int = 1,
        reads_previous: bool = False,
    ):
        self.parameters, self.priors, self.constants = split_parameters(parameters)
        self.names = None if state_names is None else tuple(state_names)
        self.columns, self.count, self.teacher = tuple(input_names), num_series, reads_previous
        for function, count, what in (
            (initial, 1, "initial"),
            (transition, 2, "transition"),
            (emission, 2, "emission"),
        ):
            takes_parameters(function, count, what)
        self.first, self.then, self.seen = initial, transition, emission

    def initial(self, step: Step) -> Distribution:
        """The law of the state at the first stamp."""
        return self._call(self.first, 1, step)

    def transition(self, x: Any, step: Step) -> Distribution:
        """The law of the state at `step`, given the state at the stamp before."""
        return self._call(self.then, 2, x, step)

    def emission(self, x: Any, step: Step) -> Distribution:
        """The law of the observation at `step`, given the state there."""
        return self._call(self.seen, 2, x, step)


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


def _declared(prior: Distribution) -> Declaration:
    """What a prior says of its parameter: shape and support."""
    shape = prior.batch_shape + prior.event_shape
    return Declaration(prior.support, lambda self: shape, lambda self, scale: prior, "none", lambda self: True)


def split_parameters(parameters: Mapping[str, Any] | None) -> tuple[Any, Any, Any]:
    """Values of the parameters, their priors, and the constants."""
    values: dict[str, Any] = {}
    priors: dict[str, Distribution] = {}
    constants: dict[str, Any] = {}
    for name, given in (parameters or {}).items():
        if not name.isidentifier():
            raise ValueError(f"a parameter's name must be a Python name, got {name!r}")
        value, prior = given if isinstance(given, tuple) else (None, given)
        if isinstance(prior, Distribution):
            values[name], priors[name] = value, prior
        elif isinstance(given, tuple):
            raise TypeError(f"parameters[{name!r}] is a pair of a value and a prior, got {given!r}")
        else:
            constants[name] = jnp.asarray(given, jnp.result_type(float))
    return values, priors, constants


def takes_parameters(function: Callable[..., Any], count: int, what: str = "") -> bool:
    """Whether a function takes the parameters after its `count` arguments; a TypeError if it takes anything else."""
    try:
        kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return False
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = sum(kind in named for kind in kinds)
    if positional not in (count, count + 1):
        wanted = "(step)" if count == 1 else "(x, step)"
        raise TypeError(f"{what} takes {positional} arguments, expected {wanted}, or those and the parameters last")
    return positional == count + 1
