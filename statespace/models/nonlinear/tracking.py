"""Tracking from angles alone."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.parameters import Unknown, param
from ...core.step import Step
from ..base import AbstractLinearDynamics, TransitionMatrices
from ..initial import InitialLaw


class BearingsOnly(AbstractLinearDynamics):
    """A target of nearly constant velocity in the plane, of which only bearings are seen, in radians.

        d(x, y) = (vx, vy) dt,     d(vx, vy) = scale dW,     W a Brownian motion in each direction
        bearing[t, i] ~ VonMises(atan2(y[t] - b[t, i], x[t] - a[t, i]), 1 / observation_scale^2)

    with (a, b) the place of sensor i. The von Mises law is that of a normal angle on the circle (for small noise
    it is the normal one with standard deviation observation_scale), so -pi and pi are the same direction. Angles are
    counted from the x axis anticlockwise; of compass bearings c, which count clockwise from the y axis, pass the
    wrapped pi / 2 - c. Particle filters serve the model. One sensor that stands still does not see the distance:
    give several, or one that is carried along a path with turns.

    Args:
        sensors: Places of the sensors, (sensor, 2): one observed series each.
        initial: Normal law of the first x, y, vx, vy: `InitialLaw.gaussian(mean, scale)`.
        scale: Spread of the velocity after one unit of time. Left out: unknown.
        observation_scale: Standard deviation of the bearings in radians. Left out: unknown.
        carrier: Names of two input columns with the position of a vessel that carries the sensors, whose places are
            then relative to it.

    Raises:
        ValueError: If shapes disagree, or the initial law is diffuse.

    Example:
        >>> import statespace as ss
        >>> start = ss.InitialLaw.gaussian([3.0, 5.0, -0.1, 0.0], [1.0, 1.0, 0.1, 0.1])
        >>> model = ss.BearingsOnly([[0.0, 0.0], [4.0, 0.0]], start, 0.01, 0.02)
        >>> ss.simulate(model, 20, key=0).y.shape
        (1, 20, 2)

    Reference: Gordon, Salmond and Smith (1993), IEE Proceedings F 140, section 4.2; the dynamics: Bar-Shalom, Li and
    Kirubarajan (2001), "Estimation with Applications to Tracking and Navigation", section 6.2.2.
    """

    scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, prior=lambda self, scale: self.scale_prior())
    observation_scale: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(0.05), 1.0)
    )
    _: KW_ONLY  # the fields below have no default, those above have
    sensors: Float[Array, "sensor 2"]
    first: InitialLaw
    carrier: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        sensors: Any,
        initial: InitialLaw,
        scale: Any = None,
        observation_scale: Any = None,
        *,
        carrier: Sequence[str] = (),
    ):
        places = jnp.atleast_2d(jnp.asarray(sensors, jnp.result_type(float)))
        if places.ndim != 2 or places.shape[1] != 2:
            raise ValueError(f"sensors has shape {np.shape(sensors)}, expected (sensor, 2): a place in the plane each")
        if not isinstance(initial, InitialLaw) or initial.mean.shape != (4,) or any(initial.diffuse):
            raise ValueError(
                "initial is a proper normal law of x, y, vx, vy: InitialLaw.gaussian([3, 5, 0, 0], [1, 1, 0.1, 0.1])"
            )
        if isinstance(carrier, str) or len(carrier) not in (0, 2):
            raise ValueError(f"carrier names two input columns, its x and its y, got {carrier!r}")
        self.sensors, self.first, self.carrier = places, initial, tuple(carrier)
        self.scale, self.observation_scale = scale, observation_scale

    def scale_prior(self) -> Distribution:
        """About a tenth of the first law's spread of speeds."""
        spread = jnp.sqrt(jnp.mean(jnp.diag(self.first.cov)[2:]))
        return dist.HalfNormal(jnp.where(spread > 0, 0.3 * spread, 1.0))

    @property
    def state_names(self) -> tuple[str, ...]:
        """Position and velocity."""
        return ("x", "y", "vx", "vy")

    @property
    def num_series(self) -> int:
        """One bearing for each sensor."""
        return self.sensors.shape[0]

    @property
    def input_names(self) -> tuple[str, ...]:
        """The columns of the carrier."""
        return self.carrier

    def initial_law(self, step: Step) -> InitialLaw:
        """The given law."""
        del step
        return self.first

    def propagate(self, x: Float[Array, "state *columns"], step: Step) -> Float[Array, "state *columns"]:
        """Go on with the same velocity."""
        return jnp.concatenate([x[:2] + step.dt * x[2:], x[2:]])

    def transition_matrices(self, step: Step) -> TransitionMatrices:
        """The factor of an integrated Brownian motion in each direction."""
        dt = jnp.asarray(step.dt, self.scale.dtype)
        root = jnp.sqrt(dt)
        # of [[dt^3 / 3, dt^2 / 2], [dt^2 / 2, dt]], by Cholesky
        both = jnp.array([[1.0, 0.0], [0.0, 1.0]], self.scale.dtype)
        zero = jnp.zeros((2, 2), self.scale.dtype)
        position = jnp.concatenate([dt * root / jnp.sqrt(3.0) * both, zero], axis=1)
        velocity = jnp.concatenate([0.5 * jnp.sqrt(3.0) * root * both, 0.5 * root * both], axis=1)
        return TransitionMatrices(jnp.zeros(4, self.scale.dtype), self.scale * jnp.concatenate([position, velocity]))

    def emission(self, x: Float[Array, " state"], step: Step) -> Distribution:
        """Von Mises laws, independent over the sensors."""
        places = self.sensors if not self.carrier else self.sensors + jnp.asarray(step.inputs)
        away = x[:2] - places
        angle = jnp.arctan2(away[:, 1], away[:, 0])
        return dist.VonMises(angle, jnp.broadcast_to(self.observation_scale**-2, angle.shape)).to_event(1)

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Whatever is beyond -pi or pi."""
        del inputs
        expected = "angles in radians between -pi and pi (wrap them: (y + np.pi) % (2 * np.pi) - np.pi), or NaN"
        return ~np.isnan(y) & (np.abs(y) > np.pi * (1 + 1e-6)), expected
