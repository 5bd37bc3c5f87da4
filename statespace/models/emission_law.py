"""The law of the observation in each state of a `HiddenMarkov` model: a NumPyro distribution or a function."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int
from numpyro.distributions import constraints

from ..core.parameters import Declaration, as_value, params, with_fields
from ..core.step import Step
from .emission_priors import Place, default_prior, start


class EmissionLaw(eqx.Module):
    """A distribution with one value of its arguments for each state, or a function of the state's number.

    Attributes:
        values: Arguments that can be learned, by name; None while unknown. The leading axis of a distribution's
            arguments is the state.
        constants: Arguments that are counts, such as the number of trials.
        law: The distribution's class, or the function.
        level: Means of the series, shape (series,), once data were seen.
        spread: Their standard deviations.
        size: Number of states.
        series: Number of series.
        shapes: Shapes of arguments that were declared, by name.
        supports: Supports of arguments that were declared, by name.
    """

    values: dict[str, Array | None] = params(lambda self, key: self._declaration(key))
    _: KW_ONLY  # the fields below have no default, those above have
    constants: dict[str, Array]
    level: Float[Array, " series"] | None
    spread: Float[Array, " series"] | None
    law: Any = eqx.field(static=True)
    size: int = eqx.field(static=True)
    series: int = eqx.field(static=True)
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)
    supports: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        size: int,
        law: Any,
        arguments: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]],
        supports: Mapping[str, Any],
        series: int | None,
    ):
        self.size, self.name, self.level, self.spread = size, "emission", None, None
        self.law = _resolved(law, arguments)
        names = _all_arguments(self.law, arguments) if self.is_distribution else dict(arguments)
        self.supports = tuple(sorted(supports.items()))
        counts = [name for name in names if getattr(self._stated().get(name), "is_discrete", False)]
        self.constants = {name: jnp.asarray(names[name]) for name in counts}
        given = {name: as_value(value) for name, value in names.items() if name not in counts}
        self.values = {name: self._by_state(value) for name, value in given.items()}
        self.series = series or self._series_of_values()
        self.shapes = tuple(sorted((name, tuple(shape)) for name, shape in shapes.items()))
        self._check()

    @property
    def is_distribution(self) -> bool:
        """Whether the law is a distribution's class rather than a function."""
        return inspect.isclass(self.law)

    def _by_state(self, value: Array | None) -> Array | None:
        """A number as one for each state."""
        return (
            jnp.full((self.size,), value) if self.is_distribution and value is not None and value.ndim == 0 else value
        )

    def _series_of_values(self) -> int:
        """How many series the given arguments are for; 1 if they do not tell."""
        if not self.is_distribution:
            return 1
        rank = _event_dim(self.law)
        for name, value in self.values.items():
            extra = 0 if value is None else value.ndim - 1 - self._support(name).event_dim
            if value is not None and rank:
                return value.shape[-1]
            if extra > 0 and value is not None:
                return value.shape[1]
        return 1

    def _check(self) -> None:
        for name, value in self.values.items():
            self._support(name)
            shape = self._shape(name) if self.is_distribution else None
            if value is not None and shape is not None and value.shape[value.ndim - len(shape) :] != shape:
                raise ValueError(
                    f"{self.name}.{name} has shape {value.shape}, expected {shape}: the leading axis is the state"
                )

    def _stated(self) -> dict[str, Any]:
        """The supports that the law states, or that were declared."""
        own = self.law.arg_constraints if self.is_distribution else {}
        return {**own, **dict(self.supports)}

    def _support(self, name: str) -> Any:
        found = self._stated().get(name, constraints.real if not self.is_distribution else None)
        if not isinstance(found, constraints.Constraint) or type(found) is type(constraints.dependent):
            known = ", ".join(self._stated()) or "none"
            raise ValueError(
                f"{self.law.__name__} says nothing of the support of {name!r} (it does of {known}): pass "
                f"supports={{{name!r}: numpyro.distributions.constraints.real}} or whatever it is"
            )
        return found

    def _shape(self, name: str) -> tuple[int, ...]:
        """The shape of an argument with the state in front."""
        value, declared = self.values[name], dict(self.shapes).get(name)
        if declared is not None:
            return declared
        if not self.is_distribution:
            return (self.size,) if value is None else value.shape
        rank, own = _event_dim(self.law), self._support(name).event_dim
        if own and not rank:  # categories: the number of them is nowhere else
            if value is None:
                raise ValueError(
                    f"{self.name}.{name} is a vector of unknown length: pass shapes={{{name!r}: ({self.size}, n)}}"
                )
            return value.shape
        rows = (self.series,) if self.series > 1 or rank else ()
        return (self.size, *(rows * own if own else rows))

    def _declaration(self, name: str) -> Declaration:
        return Declaration(
            self._support(name),
            lambda owner: owner._shape(name),
            lambda owner, scale: default_prior(owner._place(name, scale)),
            start=lambda owner, scale: start(owner._place(name, scale)),
        )

    def _place(self, name: str, scale: Any) -> Place:
        level = jnp.zeros(self.series) if self.level is None else self.level
        spread = jnp.broadcast_to(jnp.asarray(scale, level.dtype), level.shape) if self.spread is None else self.spread
        return Place(name, self.law, self._support(name), self._shape(name), self.size, level, spread)

    def bind(self, binding: Any) -> "EmissionLaw":
        """The law for as many series as the data have, with their level and spread."""
        known = self.is_distribution and any(value is not None for value in self.values.values())
        series = self.series if known else len(binding.series)
        sizes = [None if v is None else jnp.asarray(v, jnp.result_type(float)) for v in (binding.level, binding.scale)]
        if series != len(binding.series):
            sizes = [None, None]  # the door refuses
        return with_fields(self, series=series, level=sizes[0], spread=sizes[1])

    def at(self, state: Int[Array, ""], step: Step) -> dist.Distribution:
        """The law of the observation in a state."""
        if not self.is_distribution:
            return self.law(state, step, **self.values, **self.constants)
        values = {name: value[state] for name, value in self.values.items() if value is not None}
        return self.law(**values, **{name: _of_state(v, state, self.size) for name, v in self.constants.items()})


def _of_state(value: Array, state: Any, size: int) -> Array:
    return value[state] if value.ndim and value.shape[0] == size else value


def _resolved(law: Any, arguments: Mapping[str, Any]) -> Callable:
    """The class behind NumPyro's `Bernoulli`, `Categorical` and the like, which are functions."""
    name = getattr(law, "__name__", "")
    if inspect.isclass(law) and issubclass(law, dist.Distribution):
        return law
    if getattr(dist, name, None) is law:
        return getattr(dist, f"{name}{'Logits' if 'logits' in arguments else 'Probs'}")
    if not callable(law) or isinstance(law, dist.Distribution) or inspect.isclass(law):
        raise TypeError(
            f"emission is {law!r}, expected a NumPyro distribution's class such as dist.Normal (its arguments follow "
            "by name), or a function emission(state, step, **parameters) that returns a distribution"
        )
    return law


def _all_arguments(law: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given arguments of a distribution and, unknown, those left out; counts that have a default are left to it."""
    signature = inspect.signature(law.__init__).parameters
    wrong = [name for name in given if name not in signature]
    if wrong:
        raise ValueError(
            f"{law.__name__} has no argument {', '.join(map(repr, wrong))}: it takes {list(signature)[1:]}"
        )
    choice = [name for name in law.arg_constraints if name in signature and signature[name].default is None]
    if choice and not any(name in given for name in choice):
        raise ValueError(
            f"{law.__name__} can be given by {' or '.join(choice)}: name one, {choice[-1]}=None if it is to be learned"
        )
    found = dict(given)
    for name, support in law.arg_constraints.items():
        if name in given or name in choice:
            continue
        if not support.is_discrete:
            found[name] = None
        elif signature[name].default is inspect.Parameter.empty:
            raise ValueError(f"{law.__name__} needs {name}, which is a count and not learned: give it")
    return {name: found[name] for name in signature if name in found}


def _event_dim(law: Any) -> int:
    support = law.support
    return int(np.asarray(getattr(support, "event_dim", 0)))
