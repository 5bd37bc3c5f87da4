"""A component that several series share."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.parameters import Unknown, param, with_fields
from ...core.step import Step
from ..initial import InitialLaw
from .component import AbstractComponent, Binding


class Common(AbstractComponent):
    """One component that enters all series, each with its own weight; the first weight is 1.

        contribution to series i at t = weight_i * (loading[t]' x[t])

    Args:
        component: The component that is shared.
        weights: Weights of the second and later series, shape (series - 1,). Left out: unknown.
        name: The name; the component's own when left out.

    Raises:
        TypeError: If it is not one component.
        ValueError: If the component belongs to one series, or the number of weights is wrong.

    Example:
        >>> from statespace.models.structural.trend import LocalLevel
        >>> Common(LocalLevel(name="common_level")).full_names()
        ('common_level',)

    Reference: Harvey (1989), section 8.5 (common trends).
    """

    component: AbstractComponent
    weights: Float[Array, "*batch others"] | Unknown = param(
        constraints.real_vector,
        shape=lambda self: (self.count - 1,),
        prior=lambda self, scale: self._weight_prior(scale),
        active=lambda self: self.count > 1,
    )
    _: KW_ONLY  # the fields below have no default, those above have
    count: int = eqx.field(static=True)
    name: str = eqx.field(static=True)
    series: str | None = eqx.field(static=True)

    def __init__(self, component: AbstractComponent, *, weights: Sequence[float] | Any = None, name: str | None = None):
        if not isinstance(component, AbstractComponent):
            raise TypeError(f"Common shares one component, got {type(component).__name__}")
        if component.series:
            raise ValueError(f"{component.name} belongs to series {component.series!r}: leave series= out to share it")
        if weights is not None and np.ndim(weights) == 0:
            raise ValueError(f"weights has one element for each series after the first, such as [2.0]; got {weights}")
        self.component, self.weights = component, weights
        self.count = 1 if weights is None else np.shape(weights)[-1] + 1
        self.name, self.series = component.name if name is None else name, ""

    def _weight_prior(self, scale: Any) -> dist.Distribution:
        """Of the size of the series' ratio to the first, in which the component is measured."""
        sizes = jnp.broadcast_to(jnp.asarray(scale, float), (self.count,))
        ratio = sizes[1:] / sizes[0]
        return dist.Normal(ratio, ratio).to_event(1)

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states within the component."""
        return self.component.states

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the component reads."""
        return self.component.input_names

    @property
    def reported_states(self) -> tuple[str, ...]:
        """Constant coefficients of the shared component, under this name."""
        return self.full_names() if self.component.reported_states else ()

    def bind(self, binding: Binding) -> "Common":
        """The shared component tied to the data, with a weight for each series."""
        count = len(binding.series)
        if self.weights is not None and self.count != count:
            raise ValueError(f"{self.name} has {self.count - 1} weights but there are {count} series: give {count - 1}")
        return with_fields(self, component=self.component.bind(binding), count=count)

    def initial_law(self, step: Step) -> InitialLaw:
        """The law of the block at the first stamp."""
        return self.component.initial_law(step)

    def propagate(self, x: Float[Array, "block *columns"], step: Step) -> Float[Array, "block *columns"]:
        """Apply the block's transition along the leading axis."""
        return self.component.propagate(x, step)

    def noise_factor(self, step: Step) -> Float[Array, "block noise"]:
        """The factor of the block's noise covariance."""
        return self.component.noise_factor(step)

    def loading(self, step: Step) -> Float[Array, " block"]:
        """The row with which the block enters the first series."""
        return self.component.loading(step)

    def series_weights(self, num_series: int, column: int | None) -> Float[Array, " series"]:
        """How strongly the component enters each series."""
        del column
        if self.count == 1:
            return jnp.ones(num_series)
        return jnp.concatenate([jnp.ones(1, self.weights.dtype), self.weights])
