"""Stationary autoregressions."""

import operator
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.constraints import StationaryTransform, stationary
from ...core.linalg import banded_shift
from ...core.parameters import Unknown, param
from ...core.step import Step
from ..initial import InitialLaw
from .component import AbstractComponent, Binding, check_initial, check_regular
from .trend import scale_prior


class AutoRegressive(AbstractComponent):
    """A stationary autoregression of order p with mean zero.

        x[t] = phi_1 x[t-1] + ... + phi_p x[t-p] + scale w[t]

    Args:
        order: p, at least 1.
        coefficients: phi, shape (order,). Left out: unknown, within the stationary region.
        scale: Standard deviation of w's contribution, in the data's unit. Left out: unknown.
        initial: Law of the first states; stationary when left out.
        name: The component's name.
        series: The series it enters; each series gets its own copy when left out.

    Raises:
        TypeError: If the order is not a whole number.
        ValueError: If the order is below 1, or the coefficients are not `order` of them.

    Example:
        >>> AutoRegressive(2).full_names()
        ('ar.value', 'ar.lag1')

    Reference: Durbin and Koopman (2012), section 3.4; start: Lyapunov equation, their eq. 5.38.
    """

    coefficients: Float[Array, "*batch order"] | Unknown = param(
        stationary, shape=lambda self: (self.order,), prior=lambda self, scale: _stationary_prior(self.order)
    )
    scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, unit="data", prior=scale_prior(0.5))
    _: KW_ONLY  # the fields below have no default, those above have
    start: InitialLaw | None
    order: int = eqx.field(static=True)
    name: str = eqx.field(static=True)
    series: str | None = eqx.field(static=True)

    def __init__(
        self,
        order: int,
        coefficients: Any = None,
        scale: Any = None,
        *,
        initial: InitialLaw | None = None,
        name: str = "ar",
        series: str | None = None,
    ):
        order = operator.index(order)
        if order < 1:
            raise ValueError(f"an autoregression has order 1 or more, got {order}")
        if coefficients is not None and np.shape(coefficients)[-1:] != (order,):
            raise ValueError(f"{name} of order {order} needs {order} coefficients, got shape {np.shape(coefficients)}")
        self.coefficients, self.scale, self.order = coefficients, scale, order
        self.name, self.series = name, series
        self.start = check_initial(initial, order, name)

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states within the component."""
        return ("",) if self.order == 1 else ("value", *(f"lag{i}" for i in range(1, self.order)))

    def bind(self, binding: Binding) -> "AutoRegressive":
        """The component itself; raises ValueError if the stamps are irregular."""
        check_regular(binding, self.name)
        return self

    def initial_law(self, step: Step) -> InitialLaw:
        """The law of the block at the first stamp."""
        if self.start is not None:
            return self.start
        companion = self.propagate(jnp.eye(self.order, dtype=self.coefficients.dtype), step)
        return InitialLaw.stationary(companion, self.noise_factor(step))

    def propagate(self, x: Float[Array, "order *columns"], step: Step) -> Float[Array, "order *columns"]:
        """Apply the companion matrix along the leading axis."""
        del step
        weights = self.coefficients.reshape((self.order,) + (1,) * (x.ndim - 1))
        return banded_shift(x, jnp.sum(weights * x, axis=0))

    def noise_factor(self, step: Step) -> Float[Array, "order 1"]:
        """The factor of the block's noise covariance."""
        del step
        return self.scale * jnp.eye(self.order, 1, dtype=self.scale.dtype)

    def loading(self, step: Step) -> Float[Array, " order"]:
        """The row with which the block enters its series."""
        del step
        return jnp.eye(1, self.order)[0]


def _stationary_prior(order: int) -> dist.Distribution:
    """A law on the stationary region whose partial autocorrelations are tanh of N(0, 3/4^2)."""
    base = dist.Normal(jnp.zeros(order), 0.75).to_event(1)
    return dist.TransformedDistribution(base, StationaryTransform())
