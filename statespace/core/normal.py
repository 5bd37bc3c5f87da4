"""A normal law in factor form, whose covariance may be singular."""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from .gaussian import LOG_2PI
from .linalg import SMALL, solve_unit_lower, unit_ldl


class FactorNormal(Distribution):
    """The law of mean + factor z with z standard normal.

    Args:
        loc: Mean, shape (n,), with any batch axes in front.
        factor: Any matrix of n rows, with any batch axes; the covariance is factor factor', singular or not.
        diffuse: Whether some direction has no prior; such a law cannot be sampled.

    The density is NaN where the covariance is singular: there is none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> law = FactorNormal(jnp.zeros(2), jnp.array([[1.0], [1.0]]))
        >>> x = law.sample(jax.random.key(0))
        >>> bool(x[0] == x[1])
        True
    """

    arg_constraints = {"loc": constraints.real_vector, "factor": constraints.real_matrix}  # noqa: RUF012 (NumPyro's own convention)
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
        batch = jnp.broadcast_shapes(jnp.shape(loc)[:-1], jnp.shape(factor)[:-2])
        super().__init__(batch, jnp.shape(loc)[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Array:
        """The mean."""
        return self.loc

    @property
    def covariance_matrix(self) -> Array:
        """The covariance."""
        return self.factor @ jnp.swapaxes(self.factor, -1, -2)

    @property
    def variance(self) -> Array:
        """The variances."""
        return jnp.sum(self.factor**2, axis=-1)

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw; raises ValueError if the law is diffuse."""
        if self.diffuse:
            raise ValueError(
                "the model starts from a diffuse law, which cannot be sampled: give its states a proper initial "
                "law, as in LocalLevel(initial=ss.InitialLaw.gaussian([0.0], [10.0]))"
            )
        shape = (*sample_shape, *self.batch_shape, self.factor.shape[-1])
        noise = jax.random.normal(key, shape, self.loc.dtype)
        return self.loc + jnp.sum(self.factor * noise[..., None, :], axis=-1)

    def log_prob(self, value: Array) -> Array:
        """The log density, NaN where the covariance is singular."""
        size = self.loc.shape[-1]
        difference = value - self.loc
        if size <= SMALL:
            return _small_log_prob(difference, self.covariance_matrix)
        root = jnp.linalg.cholesky(self.covariance_matrix)
        whitened = solve_triangular(root, difference[..., None], lower=True)[..., 0]
        log_det = jnp.sum(jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)), axis=-1)
        return -0.5 * jnp.sum(whitened**2, -1) - log_det - 0.5 * size * LOG_2PI


def _small_log_prob(difference: Array, cov: Array) -> Array:
    """The same without a library call, which a time loop could not fuse."""
    size = cov.shape[-1]

    def one(d: Array, c: Array) -> Array:
        lower, pivots = unit_ldl(c)
        regular = pivots > 0
        whitened = solve_unit_lower(lower, d) ** 2 / jnp.where(regular, pivots, 1.0)
        term = -0.5 * jnp.sum(whitened + jnp.log(jnp.where(regular, pivots, 1.0)) + LOG_2PI)
        return jnp.where(jnp.all(regular), term, jnp.nan)

    batch = jnp.broadcast_shapes(difference.shape[:-1], cov.shape[:-2])
    flat = jnp.broadcast_to(difference, (*batch, size)).reshape(-1, size)
    covs = jnp.broadcast_to(cov, (*batch, size, size)).reshape(-1, size, size)
    return one(flat[0], covs[0]) if not batch else jax.vmap(one)(flat, covs).reshape(batch)
