"""The sum of structural components."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.parameters import with_fields
from ...core.step import Step
from ..base import AbstractLinearDynamics, AbstractLinearGaussian, EmissionMatrices, TransitionMatrices
from ..initial import InitialLaw
from .component import AbstractComponent, Addable, Binding, unique
from .noise import Noise


class AbstractStructural(AbstractLinearDynamics, Addable):
    """A sum of components, whatever term observes it: the linear dynamics of all of them side by side."""

    components: eqx.AbstractVar[tuple[AbstractComponent, ...]]
    observation: eqx.AbstractVar[Any]
    series_names: eqx.AbstractVar[tuple[str, ...]]

    def __init__(self, components: tuple[AbstractComponent, ...], observation: Any = None):
        names = [c.name for c in components] + ([observation.name] if observation is not None else [])
        unique(names, "component")
        unique([name for component in components for name in component.full_names()], "state")
        self.components, self.observation = tuple(components), observation
        self.series_names = self._implied_series()

    def _implied_series(self) -> tuple[str, ...]:
        """The series, as far as the terms tell before data are seen."""
        named = tuple(dict.fromkeys(c.series for c in self.components if c.series))
        count = max(getattr(term, "count", 1) for term in (*self.components, self.observation))
        if len(named) >= count:
            return named or ("y",)
        return ("y",) if count == 1 else tuple(f"y{i}" for i in range(count))

    @property
    def state_names(self) -> tuple[str, ...]:
        """Component and state names of each element of the state."""
        return tuple(name for component in self.components for name in component.full_names())

    @property
    def num_series(self) -> int:
        """The number of observed series."""
        return len(self.series_names)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the components read."""
        return tuple(dict.fromkeys(name for component in self.components for name in component.input_names))

    @property
    def slices(self) -> dict[str, slice]:
        """Where each component's states stand in the state vector."""
        found, start = {}, 0
        for component in self.components:
            found[component.name] = slice(start, start + len(component.states))
            start += len(component.states)
        return found

    @property
    def reported_states(self) -> tuple[str, ...]:
        """Names of the states that are constant coefficients."""
        return tuple(name for component in self.components for name in component.reported_states)

    def bind(self, binding: Binding) -> "AbstractStructural":
        """The model tied to the data's columns and dates, components copied where each series owns one."""
        if self.observation is None:
            raise ValueError("no term observes: add Noise() to the sum (Noise(scale=0.0) if there is none)")
        if not self.components:
            raise ValueError("the sum has no component: add one, such as LocalLevel() (scale=0.0 for a constant)")
        components: list[AbstractComponent] = []
        for component in self.components:
            if component.series and component.series not in binding.series:
                raise ValueError(
                    f"{component.name} belongs to series {component.series!r}, but the data have "
                    f"{', '.join(map(repr, binding.series))}"
                )
            if component.series is None and len(binding.series) > 1:
                components += [
                    with_fields(component, name=f"{component.name}[{s}]", series=s).bind(binding)
                    for s in binding.series
                ]
            else:
                components.append(component.bind(binding))
        model = type(self)(tuple(components), self.observation.bind(binding))
        return with_fields(model, series_names=tuple(binding.series))

    def _blocks(self, x: Array) -> list[Array]:
        return [x[where] for where in self.slices.values()]

    def initial_law(self, step: Step) -> InitialLaw:
        """The normal, possibly diffuse, law of the first state."""
        return InitialLaw.mixture([component.initial_law(step) for component in self.components])

    def propagate(self, x: Float[Array, "state *columns"], step: Step) -> Float[Array, "state *columns"]:
        """Apply each component's transition to its block."""
        return jnp.concatenate([c.propagate(b, step) for c, b in zip(self.components, self._blocks(x), strict=True)])

    def transition_matrices(self, step: Step) -> TransitionMatrices:
        """A zero offset, and the components' noise factors side by side."""
        factors = [component.noise_factor(step) for component in self.components]
        columns = [factor.shape[1] for factor in factors]
        rows = [
            jnp.pad(factor, ((0, 0), (sum(columns[:i]), sum(columns[i + 1 :])))) for i, factor in enumerate(factors)
        ]
        factor = jnp.concatenate(rows)
        return TransitionMatrices(jnp.zeros(factor.shape[0], factor.dtype), factor)

    def loadings(self, step: Step) -> Float[Array, "series state"]:
        """The components' loadings side by side, weighted for each series."""
        return jnp.concatenate([self._loading(c, step) for c in self.components], axis=1)

    def contributions(self, x: Float[Array, "state *columns"], step: Step) -> dict[str, Array]:
        """What each component adds to each series at one stamp, by component, each (series, *columns)."""
        return {
            c.name: jnp.tensordot(self._loading(c, step), b, axes=1)
            for c, b in zip(self.components, self._blocks(x), strict=True)
        }

    def _loading(self, component: AbstractComponent, step: Step) -> Float[Array, "series block"]:
        column = self.series_names.index(component.series) if component.series else None
        if column is None and len(self.series_names) == 1:
            return component.loading(step)[None]
        return component.series_weights(self.num_series, column)[:, None] * component.loading(step)[None]


class Structural(AbstractStructural, AbstractLinearGaussian):
    """A sum of components and the one term that observes: an additive structural time-series model.

        y[t] = contribution_1[t] + ... + contribution_k[t] + noise[t]

    Made by adding: `LocalLinearTrend() + Seasonal(12) + Noise()`. With several series every component
    belongs to one of them (`series=`), is shared (`Common`), or is copied for each.

    Args:
        components: The components.
        observation: The observing term, None until one is added.

    Raises:
        ValueError: If two components have the same name.

    Example:
        >>> from statespace.models.structural import LocalLevel, Noise
        >>> (LocalLevel() + Noise()).state_names
        ('level',)
    """

    components: tuple[AbstractComponent, ...]
    observation: Noise | None
    series_names: tuple[str, ...] = eqx.field(static=True)

    def emission_matrices(self, step: Step) -> EmissionMatrices:
        """The components' loadings, weighted for each series, and the noise scale."""
        if self.observation is None:
            raise ValueError("no term observes: add Noise() to the sum (Noise(scale=0.0) if there is none)")
        scale = self.observation.emission_scale()
        return EmissionMatrices(self.loadings(step), jnp.zeros(self.num_series, scale.dtype), scale)
