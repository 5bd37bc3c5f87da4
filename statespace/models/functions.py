"""What models from plain functions share: parameters by name, and a trial of each function before it is used."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpyro.distributions import Distribution

from ..core.parameters import Declaration, params
from ..core.step import Step
from .base import AbstractStateSpace


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
        model, step = self._with_stand_ins()
        size = _shape("initial", model.initial, step)
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

    def bind(self, binding: Any) -> "AbstractFunctions":
        """The model itself, once its functions have been tried.

        Raises:
            TypeError: If a function does not return a law.
            ValueError: If the shapes of the laws do not agree. What a function raises itself has a note on its place.
        """
        model, step = self._with_stand_ins()
        shape = _shape("initial", model.initial, step)
        x = jax.eval_shape(lambda s: model.initial(s).sample(jax.random.key(0)), step)  # of the law's own dtype
        after, seen = _shape("transition", model.transition, x, step), _shape("emission", model.emission, x, step)
        if after != shape:
            raise ValueError(f"transition gives a state of shape {after}, the law of the first one has shape {shape}")
        if seen != (self.count,) and not (seen == () and self.count == 1):
            raise ValueError(f"emission gives an observation of shape {seen}, but num_series is {self.count}")
        return self

    def _with_stand_ins(self) -> tuple[Any, Step]:
        """The model with ones for all values, and a step, for looking at shapes."""
        blank = {n: jnp.ones(p.batch_shape + p.event_shape) for n, p in self.priors.items()}
        model = eqx.tree_at(lambda m: m.parameters, self, blank, is_leaf=lambda x: x is None)
        inputs = jnp.zeros(len(self.columns)) if self.columns else None
        previous = jnp.full(self.count, jnp.nan) if self.teacher else None
        return model, Step(jnp.zeros((), int), jnp.zeros(()), None, inputs, None, previous)

    def _call(self, function: Callable[..., Any], count: int, *args: Any) -> Any:
        """A function's value, given the parameters as well where it takes them."""
        if not takes_parameters(function, count):
            return function(*args)
        return function(*args, SimpleNamespace(**self.constants, **self.parameters))


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


def _shape(what: str, law: Callable[..., Any], *args: Any) -> tuple[int, ...]:
    """The shape of what a law is of; an error of the function behind it says which one it was."""
    try:
        found = jax.eval_shape(law, *args)
    except Exception as error:
        shapes = [np.shape(x) for x in args[:-1]]
        state = f" with a state of shape {shapes[0]}" if shapes else ""
        inputs = "None" if args[-1].inputs is None else f"of shape {args[-1].inputs.shape}"
        error.add_note(f"The model's {what} was tried{state}; step.inputs is {inputs}.")
        raise
    if not isinstance(found, Distribution):
        kind = f"array of shape {found.shape}" if isinstance(found, jax.ShapeDtypeStruct) else type(found).__name__
        raise TypeError(f"{what} returns {kind}, expected a NumPyro distribution")
    return found.batch_shape + found.event_shape
