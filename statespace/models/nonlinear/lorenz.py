"""Lorenz's two models of an atmosphere: chaotic flows that are seen now and then."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.parameters import Unknown, param
from ...core.step import Step
from ..base import AbstractGaussianDynamics, AbstractLinearEmission, EmissionMatrices


def runge_kutta(velocity: Any, x: Float[Array, " state"], dt: Any, steps: int) -> Float[Array, " state"]:
    """The state after `steps` steps of length dt along a flow, by the classical scheme of fourth order.

    Args:
        velocity: dx/dt, a function of x.
        x: The state.
        dt: Length of a step.
        steps: How many.

    Example:
        >>> round(float(runge_kutta(lambda x: -x, jnp.ones(1), 0.1, 10)[0]), 4)
        0.3679
    """

    def one(x: Array, _: None) -> tuple[Array, None]:
        a = velocity(x)
        b = velocity(x + 0.5 * dt * a)
        c = velocity(x + 0.5 * dt * b)
        d = velocity(x + dt * c)
        return x + dt / 6 * (a + 2 * (b + c) + d), None

    return one(x, None)[0] if steps == 1 else jax.lax.scan(one, x, length=steps)[0]


class AbstractFlow(AbstractGaussianDynamics, AbstractLinearEmission):
    """A flow with normal noise added at each stamp, some of whose elements are seen with noise.

        x[t] = flow(x[t-1]; dt * substeps) + drift_scale sqrt(period) w[t],     w[t] ~ N(0, I)
        y[t] = x[t, observed] + observation_scale e[t],                         e[t] ~ N(0, I)

    Subclasses write `velocity`. No matrix over states is formed but where a method asks for one.
    """

    drift_scale: eqx.AbstractVar[Any]
    observation_scale: eqx.AbstractVar[Any]
    initial_mean: eqx.AbstractVar[Float[Array, " state"]]
    initial_scale: eqx.AbstractVar[Float[Array, " state"]]
    observed: eqx.AbstractVar[tuple[int, ...]]
    dt: eqx.AbstractVar[float]
    substeps: eqx.AbstractVar[int]

    @abc.abstractmethod
    def velocity(self, x: Float[Array, " state"]) -> Float[Array, " state"]:
        """dx/dt."""

    @property
    def num_series(self) -> int:
        """How many elements are seen."""
        return len(self.observed)

    def initial(self, step: Step) -> dist.Distribution:
        """The law of the first state: independent normal elements."""
        del step
        return _normal(self.initial_mean, self.initial_scale)

    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The state one period later, without noise."""
        return runge_kutta(self.velocity, x, self.dt * step.dt, self.substeps)

    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """The factor of the noise, a diagonal."""
        return jnp.sqrt(step.dt) * self.drift_scale * jnp.eye(x.shape[0], dtype=x.dtype)

    def transition(self, x: Float[Array, " state"], step: Step) -> dist.Distribution:  # pyright: ignore[reportIncompatibleMethodOverride]  no matrix
        """The law of the state at `step`; a point without noise, which has no density."""
        return _normal(self.drift(x, step), jnp.sqrt(step.dt) * self.drift_scale)

    def emission_matrices(self, step: Step) -> EmissionMatrices:
        """Rows of the identity."""
        del step
        matrix = jnp.zeros((self.num_series, self.initial_mean.shape[0]))
        chosen = matrix.at[jnp.arange(self.num_series), jnp.asarray(self.observed)].set(1.0)
        return EmissionMatrices(chosen, jnp.zeros(self.num_series), self._noise())

    def conditional_moments(
        self, x: Float[Array, " state"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
        """Mean and covariance of the observation, given the state."""
        del step
        return x[jnp.asarray(self.observed)], jnp.diag(self._noise() ** 2)

    def emission(self, x: Float[Array, " state"], step: Step) -> dist.Distribution:  # pyright: ignore[reportIncompatibleMethodOverride]  no matrix
        """The law of the observation, independent over the series."""
        del step
        return _normal(x[jnp.asarray(self.observed)], self._noise())

    def _noise(self) -> Float[Array, " series"]:
        return jnp.broadcast_to(self.observation_scale, (self.num_series,))


def _normal(mean: Array, scale: Array) -> dist.Distribution:
    return dist.Normal(mean, jnp.broadcast_to(scale, mean.shape), validate_args=False).to_event(1)


def _scale() -> Any:
    return param(constraints.positive, unit="data", prior=lambda self, scale: dist.HalfNormal(scale))


class Lorenz63(AbstractFlow):
    """Convection in three variables, seen in noise.

        x' = sigma (y - x),     y' = rho x - y - x z,     z' = x y - beta z

    Args:
        sigma: Prandtl number. The classical values are 10, 28 and 8/3; None for unknown.
        rho: Relative Rayleigh number.
        beta: Shape of the cells.
        drift_scale: Standard deviation of the noise added at each stamp; 0 for none, left out: unknown.
        observation_scale: Standard deviation of the observations' noise, one for all series; left out: unknown.
        observed: Positions of the elements that are seen.
        dt: Length of a Runge-Kutta step.
        substeps: Steps from one stamp to the next.
        initial_mean: Mean of the first state; the climate's when left out.
        initial_scale: Its standard deviations; the climate's when left out.

    Raises:
        ValueError: If dt or substeps is not positive, or a position does not exist.

    Example:
        >>> Lorenz63(drift_scale=0.0, observation_scale=2.0**0.5, substeps=25).state_names
        ('x', 'y', 'z')

    Reference: Lorenz (1963), "Deterministic nonperiodic flow", Journal of the Atmospheric Sciences 20.
    """

    sigma: Float[Array, "..."] | Unknown = param(constraints.positive, prior=lambda self, s: _about(10.0))
    rho: Float[Array, "..."] | Unknown = param(constraints.positive, prior=lambda self, s: _about(28.0))
    beta: Float[Array, "..."] | Unknown = param(constraints.positive, prior=lambda self, s: _about(8 / 3))
    drift_scale: Float[Array, "..."] | Unknown = _scale()
    observation_scale: Float[Array, "..."] | Unknown = _scale()
    initial_mean: Float[Array, " state"] = None  # pyright: ignore[reportAssignmentType]  set below; fields above have defaults
    initial_scale: Float[Array, " state"] = None  # pyright: ignore[reportAssignmentType]
    observed: tuple[int, ...] = eqx.field(static=True, default=())
    dt: float = eqx.field(static=True, default=0.01)
    substeps: int = eqx.field(static=True, default=1)

    def __init__(
        self,
        sigma: Any = 10.0,
        rho: Any = 28.0,
        beta: Any = 8 / 3,
        drift_scale: Any = None,
        observation_scale: Any = None,
        *,
        observed: Sequence[int] = (0, 1, 2),
        dt: float = 0.01,
        substeps: int = 1,
        initial_mean: Any = (0.0, 0.0, 23.5),
        initial_scale: Any = (7.9, 9.0, 8.6),
    ):
        self.sigma, self.rho, self.beta = sigma, rho, beta
        self.drift_scale, self.observation_scale = drift_scale, observation_scale
        self.dt, self.substeps, self.observed = _checked(dt, substeps, observed, 3)
        self.initial_mean, self.initial_scale = _vector(initial_mean, 3), _vector(initial_scale, 3)

    @property
    def state_names(self) -> tuple[str, ...]:
        """x, y, z."""
        return ("x", "y", "z")

    def velocity(self, x: Float[Array, " state"]) -> Float[Array, " state"]:
        """dx/dt."""
        a, b, c = x[0], x[1], x[2]
        return jnp.stack([self.sigma * (b - a), self.rho * a - b - a * c, a * b - self.beta * c])


class Lorenz96(AbstractFlow):
    """A ring of places with advection, damping and forcing, seen in noise.

        x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + forcing

    Args:
        size: Number of places, at least 4.
        forcing: 8 is chaotic; None for unknown.
        drift_scale: Standard deviation of the noise added at each stamp; 0 for none, left out: unknown.
        observation_scale: Standard deviation of the observations' noise.
        observed: Positions of the places that are seen; all when left out.
        dt: Length of a Runge-Kutta step; 0.05 are six hours.
        substeps: Steps from one stamp to the next.
        initial_mean: Mean of the first state, one number or one for each place; the climate's when left out.
        initial_scale: Its standard deviations; the climate's when left out.

    Raises:
        ValueError: If there are fewer than 4 places, dt or substeps is not positive, or a position does not exist.

    Example:
        >>> Lorenz96(40, drift_scale=0.0, observation_scale=1.0).num_series
        40

    Reference: Lorenz (1996), "Predictability: a problem partly solved"; Lorenz and Emanuel (1998), Journal of the
    Atmospheric Sciences 55.
    """

    forcing: Float[Array, "..."] | Unknown = param(constraints.real, prior=lambda self, s: dist.Normal(8.0, 4.0))
    drift_scale: Float[Array, "..."] | Unknown = _scale()
    observation_scale: Float[Array, "..."] | Unknown = _scale()
    initial_mean: Float[Array, " state"] = None  # pyright: ignore[reportAssignmentType]  set below; fields above have defaults
    initial_scale: Float[Array, " state"] = None  # pyright: ignore[reportAssignmentType]
    observed: tuple[int, ...] = eqx.field(static=True, default=())
    dt: float = eqx.field(static=True, default=0.05)
    substeps: int = eqx.field(static=True, default=1)

    def __init__(
        self,
        size: int = 40,
        forcing: Any = 8.0,
        drift_scale: Any = None,
        observation_scale: Any = None,
        *,
        observed: Sequence[int] | None = None,
        dt: float = 0.05,
        substeps: int = 1,
        initial_mean: Any = 2.3,
        initial_scale: Any = 3.6,
    ):
        if size < 4:
            raise ValueError(f"the ring needs at least 4 places, got size={size}")
        self.forcing, self.drift_scale, self.observation_scale = forcing, drift_scale, observation_scale
        self.dt, self.substeps, self.observed = _checked(
            dt, substeps, range(size) if observed is None else observed, size
        )
        self.initial_mean, self.initial_scale = _vector(initial_mean, size), _vector(initial_scale, size)

    @property
    def state_names(self) -> tuple[str, ...]:
        """x0, x1, ..."""
        return tuple(f"x{i}" for i in range(self.initial_mean.shape[0]))

    def velocity(self, x: Float[Array, " state"]) -> Float[Array, " state"]:
        """dx/dt."""
        return (jnp.roll(x, -1) - jnp.roll(x, 2)) * jnp.roll(x, 1) - x + self.forcing


def _about(value: float) -> dist.Distribution:
    return dist.LogNormal(float(np.log(value)), 0.3)


def _vector(value: Any, size: int) -> Float[Array, " state"]:
    return jnp.broadcast_to(jnp.asarray(value, jnp.result_type(float)), (size,))


def _checked(dt: float, substeps: int, observed: Sequence[int], size: int) -> tuple[float, int, tuple[int, ...]]:
    positions = tuple(int(i) for i in observed)
    if not dt > 0 or substeps < 1:
        raise ValueError(f"dt must be positive and substeps at least 1, got {dt} and {substeps}")
    if not positions or min(positions) < 0 or max(positions) >= size:
        raise ValueError(f"observed holds positions from 0 to {size - 1}, at least one; got {positions}")
    return float(dt), int(substeps), positions
