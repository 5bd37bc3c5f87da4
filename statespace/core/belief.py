"""What is known about the state at one time stamp."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from .covariance import Covariance, Root, as_root, dense
from .linalg import psd_factor
from .resample import independent


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

    def sample(self, key: Any, num_samples: int) -> Float[Array, "sample state"]:
        """Draws of the state."""
        noise = jax.random.normal(key, (num_samples, self.mean.shape[0]), self.mean.dtype)
        return self.mean + noise @ psd_factor(dense(self.cov)).T


class Discrete(eqx.Module):
    """Probabilities of the values of a discrete state.

    Attributes:
        log_probabilities: Their logarithms, shape (state,), which sum to one.
        previous: The last observation, shape (series,), for a model that reads it; else None.
    """

    log_probabilities: Float[Array, "*batch state"]
    previous: Float[Array, "*batch series"] | None = None

    @property
    def probabilities(self) -> Float[Array, "*batch state"]:
        """The probabilities."""
        return jnp.exp(self.log_probabilities)

    def sample(self, key: Any, num_samples: int) -> Int[Array, " sample"]:
        """Draws of the state's number."""
        return jax.random.categorical(key, self.log_probabilities, shape=(num_samples,))


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


class Taught(eqx.Module):
    """A state with the observation made at it, for models that read the previous one.

    Attributes:
        x: The state.
        seen: The observation, drawn where it was missing.
    """

    x: PyTree
    seen: Float[Array, "*batch series"]


class Particles(eqx.Module):
    """Weighted draws of the state.

    Attributes:
        x: The particles: an array, or a pytree of arrays, with a leading particle axis.
        log_weights: Logarithms of their weights, which sum to one.
    """

    x: PyTree
    log_weights: Float[Array, "*batch particle"]

    @property
    def weights(self) -> Float[Array, "*batch particle"]:
        """The weights."""
        return jnp.exp(self.log_weights)

    def sample(self, key: Any, num_samples: int) -> PyTree:
        """Independent draws."""
        chosen = independent(key, self.weights, num_samples)
        return jax.tree.map(lambda leaf: leaf[chosen], self.x)


class Ensemble(eqx.Module):
    """Equally weighted members, whose spread stands for a covariance that is never formed.

    Attributes:
        x: The members: an array with a leading member axis.
    """

    x: Float[Array, "member ..."]

    def sample(self, key: Any, num_samples: int) -> Array:
        """Members in random order; each serves as often as any other, or once more."""
        size = self.x.shape[0]
        order = jax.random.permutation(key, size)
        return self.x[order[jnp.arange(num_samples) % size]]
