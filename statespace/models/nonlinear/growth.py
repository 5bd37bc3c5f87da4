"""The univariate nonlinear growth model, on which particle filters are compared."""

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.normal import FactorNormal
from ...core.parameters import Unknown, param
from ...core.step import Step
from ..base import AbstractGaussianDynamics, AbstractMomentEmission
from ..structural import Binding
from ..structural.component import check_regular


class NonlinearGrowth(AbstractGaussianDynamics, AbstractMomentEmission):
    """The univariate nonlinear growth model: the sign of the state is hardly seen, so filtering laws have two modes.

        x[0] ~ N(0, start_scale^2)
        x[t] = x[t-1] / 2 + 25 x[t-1] / (1 + x[t-1]^2) + 8 cos(1.2 t) + scale e[t],     e[t] ~ N(0, 1)
        y[t] = x[t]^2 / 20 + observation_scale u[t],                                    u[t] ~ N(0, 1)

    t counts stamps from 0. The usual scales are sqrt(10) and 1. Gaussian approximations serve it, badly: that is what
    it is for.

    Args:
        scale: Standard deviation of the state's disturbances. Left out: unknown.
        observation_scale: Standard deviation of the noise. Left out: unknown.
        start_scale: Standard deviation of the first state, held.

    Raises:
        ValueError: If the start's scale is not positive, or the stamps are irregular.

    Example:
        >>> import jax.numpy as jnp
        >>> model = NonlinearGrowth(10**0.5, 1.0)
        >>> float(model.conditional_moments(jnp.array([10.0]), None)[0][0])
        5.0

    Reference: Netto, Gimeno and Mendes (1978); Kitagawa (1987), JASA 82, eq. 6.1; Gordon, Salmond and Smith (1993).
    """

    scale: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, unit="data", prior=lambda self, scale: dist.HalfNormal(5.0)
    )
    observation_scale: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, unit="data", prior=lambda self, scale: dist.HalfNormal(0.5 * scale)
    )
    start_scale: float = eqx.field(static=True, default=5.0**0.5)

    def __check_init__(self):
        if not self.start_scale > 0:
            raise ValueError(f"start_scale is {self.start_scale}, expected a standard deviation above 0")

    @property
    def state_names(self) -> tuple[str, ...]:
        """One."""
        return ("x",)

    def bind(self, binding: Binding) -> "NonlinearGrowth":
        """The model itself; raises ValueError if the stamps are irregular."""
        check_regular(binding, type(self).__name__)
        return self

    def initial(self, step: Step) -> FactorNormal:
        """Normal about 0."""
        del step
        return FactorNormal(jnp.zeros(1, self.scale.dtype), jnp.full((1, 1), self.start_scale, self.scale.dtype))

    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The conditional mean of the state."""
        season = 8.0 * jnp.cos(1.2 * step.index.astype(x.dtype))
        return 0.5 * x + 25.0 * x / (1.0 + x**2) + season

    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """The scale."""
        del x, step
        return self.scale[None, None]

    def conditional_moments(
        self, x: Float[Array, " state"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
        """x^2 / 20, and the noise's variance."""
        del step
        return x**2 / 20.0, (self.observation_scale**2)[None, None]
