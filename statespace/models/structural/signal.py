"""Sums of components that are seen through a law other than the normal, and what their observing terms are."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from ...core.parameters import with_fields
from ...core.step import Step, make_steps
from ..base import AbstractSignalEmission, HasStatistic, SignalMatrices
from .component import AbstractComponent, AbstractObservation, Binding
from .model import AbstractStructural


class AbstractSignalObservation(AbstractObservation, HasStatistic):
    """An observing term in which each series has a law given its own element of the signal, the sum of components.

    A subclass gives `law`, `working` and `outside`. Its parameters serve all series.
    """

    @abc.abstractmethod
    def law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """The laws of the elements given theirs of the signal, as a batch."""

    @abc.abstractmethod
    def working(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """The signal that each observation suggests by itself; it depends on no parameter."""

    @abc.abstractmethod
    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Which of the values (time, series), NaN where missing, cannot be, and what can, in words."""

    def moments(
        self, signal: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """Mean and variance of each statistic."""
        law: Any = self.law(signal, step)
        return law.mean, law.variance

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the term reads."""
        return ()

    def bind(self, binding: Binding) -> "AbstractSignalObservation":
        """The term tied to the data's columns."""
        del binding
        return self


class Column(eqx.Module):
    """A number that is constant, or a column of the inputs.

    Attributes:
        value: The number, or the column's name.
        position: Where the column stands, known once the term is bound.
    """

    value: float | str = eqx.field(static=True)
    position: int | None = eqx.field(static=True, default=None)

    @property
    def names(self) -> tuple[str, ...]:
        """The column's name, if it is one."""
        return (self.value,) if isinstance(self.value, str) else ()

    def bind(self, binding: Binding, owner: str) -> "Column":
        """The same with the column's position; raises ValueError if it is missing."""
        if not self.names:
            return self
        if self.value not in binding.inputs:
            has = f"has {', '.join(map(repr, binding.inputs))}" if binding.inputs else "was not given"
            raise ValueError(f"{owner} needs the input column {self.value!r}, but inputs= {has}")
        return with_fields(self, position=binding.inputs.index(self.value))

    def at(self, step: Step) -> Any:
        """Its value at a stamp."""
        return self.over(step.inputs) if self.names else self.value

    def over(self, inputs: Any) -> Any:
        """Its value in one or many rows of inputs, with an axis for the series."""
        if isinstance(self.value, str):
            return inputs[..., self.position, None]
        return self.value


class StructuralSignal(AbstractStructural, AbstractSignalEmission):
    """A sum of components seen through a law other than the normal.

        signal[t] = contribution_1[t] + ... + contribution_k[t],     y[t] ~ law(signal[t])

    Made by adding: `LocalLevel() + Seasonal(12) + Poisson()`. The components, and the default priors of their scales,
    are in the unit of the signal (for counts, logarithms).

    Args:
        components: The components.
        observation: The observing term.

    Example:
        >>> from statespace.models.structural import LocalLevel, Poisson
        >>> type(LocalLevel() + Poisson()).__name__
        'StructuralSignal'

    Reference: Durbin and Koopman (2012), chapter 9.
    """

    components: tuple[AbstractComponent, ...]
    observation: AbstractSignalObservation
    series_names: tuple[str, ...] = eqx.field(static=True)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the components and the observing term read."""
        return tuple(dict.fromkeys((*super().input_names, *self.observation.input_names)))

    def signal_matrices(self, step: Step) -> SignalMatrices:
        """The components' loadings, weighted for each series."""
        matrix = self.loadings(step)
        return SignalMatrices(matrix, jnp.zeros(matrix.shape[0], matrix.dtype))

    def signal_law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """The observing term's laws of the elements."""
        return self.observation.law(signal, step)

    def working_signal(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """The signal that each observation suggests by itself."""
        return self.observation.working(y, step)

    @property
    def has_statistic(self) -> bool:
        """Whether the observing term names a statistic."""
        return self.observation.has_statistic

    def statistic(
        self, y: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """The observing term's statistic, and its log Jacobian."""
        return self.observation.statistic(y, step)

    def signal_moments(
        self, signal: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """Mean and variance of each statistic given the signal."""
        return self.observation.moments(signal, step)

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Which values the observing term cannot make."""
        return self.observation.outside(y, inputs)

    def in_signal_unit(self, y: np.ndarray, inputs: np.ndarray | None) -> np.ndarray:
        """The signal that each observation suggests by itself, NaN where missing."""
        steps = make_steps(len(y), inputs=None if inputs is None else jnp.asarray(inputs))
        found = jax.vmap(self.observation.working)(jnp.asarray(np.nan_to_num(y)), steps)
        return np.where(np.isnan(y), np.nan, np.asarray(found, float))
