"""What is known about the state at one time stamp."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .covariance import Covariance, Root, as_root, dense
from .linalg import psd_factor


class Gaussian(eqx.Module):
    """A normal law N(mean, cov) of the state.

    Attributes:
        mean: Mean, shape (state,).
        cov: Covariance, shape (state, state), or a root of it.
    """

    mean: Float[Array, "*batch state"]
    cov: Covariance

    def as_matrices(self) -> "Gaussian":
        """The same law with its covariance as a matrix."""
        return Gaussian(self.mean, dense(self.cov))

    def sample(self, key: jax.Array, num_samples: int) -> Float[Array, "sample state"]:
        """Independent draws of the state."""
        noise = jax.random.normal(key, (num_samples, self.mean.shape[-1]), self.mean.dtype)
        return self.mean + noise @ psd_factor(dense(self.cov)).T


class DiffuseGaussian(eqx.Module):
    """The limit, as kappa grows without bound, of N(mean, cov + kappa factor factor').

    The diffuse part is kept as a factor whose columns are used up one by one: every observation that
    identifies a diffuse direction turns the factor so that one column carries all it says, and drops
    that column. The remaining columns are exact, so the phase ends by counting, in any precision.

    Attributes:
        mean: Mean, shape (state,).
        cov: The finite part of the covariance, shape (state, state), or a root of it.
        factor: The diffuse directions that remain, shape (state, diffuse); used columns are zero.
        remaining: How many columns remain.
        magnitude: Largest squared row norm that the factor has had: the scale against which a product
            with it counts as zero, shape (state,).
    """

    mean: Float[Array, "*batch state"]
    cov: Covariance
    factor: Float[Array, "*batch state diffuse"]
    remaining: Int[Array, "*batch"]
    magnitude: Float[Array, "*batch state"]

    def proper(self) -> Gaussian:
        """The finite part; NaN where a diffuse direction remains, so that it cannot pass unnoticed."""
        bad = self.remaining > 0
        cov = as_root(self.cov) if isinstance(self.cov, Root) else self.cov
        return jax.tree.map(lambda leaf: jnp.where(bad, jnp.nan, leaf), Gaussian(self.mean, cov))

    def as_matrices(self) -> "DiffuseGaussian":
        """The same law with its covariance as a matrix."""
        return eqx.tree_at(lambda b: b.cov, self, dense(self.cov), is_leaf=lambda x: isinstance(x, Root))

    def display_cov(self) -> Float[Array, "state state"]:
        """The covariance in the limit: infinite variances and undefined covariances where diffuse."""
        open_rows = jnp.any(jnp.abs(self.factor) > 0, axis=-1) & (self.remaining > 0)
        either = open_rows[:, None] | open_rows[None]
        cov = jnp.where(either, jnp.nan, self.cov)
        return jnp.where(jnp.diag(open_rows), jnp.inf, cov)
