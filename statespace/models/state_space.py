"""A state-space model from plain functions that return its laws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
from numpyro.distributions import Distribution

from ..core.step import Step
from .functions import AbstractFunctions, split_parameters, takes_parameters


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
        >>> import jax.numpy as jnp, numpyro.distributions as dist
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
