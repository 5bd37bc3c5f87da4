"""A normal law in factor form, whose covariance may be singular."""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from .gaussian import LOG_2PI


class FactorNormal(Distribution):
    """The law of mean + factor z with z standard normal.

    Args:
        loc: Mean, shape (n,).
        factor: Any matrix of n rows; the covariance is factor factor', singular or not.
        diffuse: Whether some direction has no prior; such a law cannot be sampled.

    The density is NaN where the covariance is singular: there is none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> law = FactorNormal(jnp.zeros(2), jnp.array([[1.0], [1.0]]))
        >>> x = law.sample(jax.random.key(0))
        >>> bool(x[0] == x[1])
        True
    """

    arg_constraints = {"loc": constraints.real_vector}  # noqa: RUF012 (NumPyro's own convention)
    support = constraints.real_vector  # pyright: ignore[reportAssignmentType]  NumPyro declares a property
    reparametrized_params = ["loc", "factor"]  # noqa: RUF012
    pytree_data_fields = ("loc", "factor")
    pytree_aux_fields = ("diffuse",)

    def __init__(
        self,
        loc: Float[Array, " n"],
        factor: Float[Array, "n q"],
        *,
        diffuse: bool = False,
        validate_args: bool | None = None,
    ):
        self.loc, self.factor, self.diffuse = loc, factor, diffuse
        super().__init__((), loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Array:
        """The mean."""
        return self.loc

    @property
    def covariance_matrix(self) -> Array:
        """The covariance."""
        return self.factor @ self.factor.T

    @property
    def variance(self) -> Array:
        """The variances."""
        return jnp.sum(self.factor**2, axis=-1)

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw; raises ValueError if the law is diffuse."""
        if self.diffuse:
            raise ValueError(
                "the model starts from a diffuse law, which cannot be sampled: give its states a proper initial "
                "law (initial=, initial_scale=), or condition on data first and use forecast or sample_states"
            )
        noise = jax.random.normal(key, (*sample_shape, self.factor.shape[1]), self.loc.dtype)
        return self.loc + noise @ self.factor.T

    def log_prob(self, value: Array) -> Array:
        """The log density, NaN where the covariance is singular."""
        root = jnp.linalg.cholesky(self.covariance_matrix)
        whitened = solve_triangular(root, (value - self.loc)[..., None], lower=True)[..., 0]
        size = self.loc.shape[0]
        return -0.5 * jnp.sum(whitened**2, -1) - jnp.sum(jnp.log(jnp.diag(root))) - 0.5 * size * LOG_2PI
