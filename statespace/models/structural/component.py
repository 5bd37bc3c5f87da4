"""What a structural component is, and how components add."""

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.step import Step
from ..initial import InitialLaw

if TYPE_CHECKING:
    from .model import AbstractStructural


def _position(index: Any, at: Any) -> float:
    return float(index.get_loc(at))


class Binding(eqx.Module):
    """What the door knows about the data that a model may need: names, dates, sizes.

    Attributes:
        series: Names of the observed series.
        inputs: Names of the input columns.
        input_scale: A typical size of each input column.
        index: The data's index of stamps (opaque here): something with a length and `get_loc`; or None.
        regular: Whether the stamps are one period apart.
        moment: Function of the index and of a stamp, inside of it or not, that gives the stamp's time.
        level: The mean of each series; None where no values are seen.
        scale: The standard deviation of each series; None where no values are seen.
    """

    series: tuple[str, ...]
    inputs: tuple[str, ...]
    input_scale: tuple[float, ...]
    index: Any
    regular: bool = True
    moment: Callable[[Any, Any], float] = eqx.field(static=True, default=_position)
    level: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None


class Addable(eqx.Module):
    """Something that joins a sum of components."""

    def __add__(self, other: Any) -> "AbstractStructural":
        """The sum of two terms, or of a term and a sum."""
        from .sums import as_sum

        return as_sum(self, other)

    def __radd__(self, other: Any) -> "AbstractStructural":
        """The same from the right; `sum([...])` starts from 0."""
        from .sums import as_sum

        return as_sum(self) if isinstance(other, int) and other == 0 else as_sum(other, self)


class AbstractComponent(Addable):
    """A block of states with its own linear dynamics, and how it enters the observation.

    A subclass gives a name, state names, `initial_law`, `propagate`, `noise_factor` and `loading`.
    """

    name: eqx.AbstractVar[str]
    series: eqx.AbstractVar[str | None]

    @property
    @abc.abstractmethod
    def states(self) -> tuple[str, ...]:
        """The names of the states within the component; `("",)` for a single one."""

    @abc.abstractmethod
    def initial_law(self, step: Step) -> InitialLaw:
        """The law of the block at the first stamp."""

    @abc.abstractmethod
    def propagate(self, x: Float[Array, "block *columns"], step: Step) -> Float[Array, "block *columns"]:
        """Apply the block's transition along the leading axis."""

    @abc.abstractmethod
    def noise_factor(self, step: Step) -> Float[Array, "block noise"]:
        """The factor of the block's noise covariance."""

    @abc.abstractmethod
    def loading(self, step: Step) -> Float[Array, " block"]:
        """The row with which the block enters its series."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the component reads."""
        return ()

    @property
    def reported_states(self) -> tuple[str, ...]:
        """States that are constants of interest (coefficients), reported beside the parameters."""
        return ()

    def series_weights(self, num_series: int, column: int | None) -> Float[Array, " series"]:
        """How strongly the component enters each series."""
        return jnp.ones(1) if column is None else jnp.where(jnp.arange(num_series) == column, 1.0, 0.0)

    def bind(self, binding: Binding) -> "AbstractComponent":
        """The component tied to the data's columns and dates."""
        del binding
        return self

    def full_names(self) -> tuple[str, ...]:
        """State names with the component's name in front."""
        return tuple(f"{self.name}.{state}" if state else self.name for state in self.states)


class AbstractObservation(Addable):
    """The one term of a sum that observes."""

    name: eqx.AbstractVar[str]


def check_initial(given: InitialLaw | None, size: int, name: str) -> InitialLaw | None:
    """Raise a ValueError if a given initial law does not have the component's number of states."""
    if given is not None and given.mean.shape[0] != size:
        raise ValueError(f"{name} has {size} states but its initial law has {given.mean.shape[0]} elements")
    return given


def check_regular(binding: Binding, name: str) -> None:
    """Raise a ValueError if a component that counts periods meets irregular stamps."""
    if not binding.regular:
        raise ValueError(
            f"{name} counts periods, but the stamps are not evenly spaced: put the data on a regular frequency "
            "(asfreq, with NaN for missing stamps), or use components in continuous time such as LocalLevel"
        )


def unique(names: Sequence[str], what: str) -> None:
    """Raise a ValueError if a name occurs twice."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ValueError(f"{what} {', '.join(map(repr, twice))} occurs twice: give each its own name=")
