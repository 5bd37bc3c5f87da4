"""What is known about an echo state network after a stamp."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .readout_drift import Drifting
from .readout_root import Root


class ReadoutBelief(eqx.Module):
    """What is known after a stamp: where the recursion is, and the law of the weights.

    Attributes:
        state: The recursion's state.
        law: The law of the weights, in units of the noise's variance, with a leading axis: one for all series, or one
            for each where they miss different stamps.
        noise: The noise scale of each series.
        previous: The last observation, where it is fed back.
    """

    state: PyTree
    law: Root | Drifting
    noise: Float[Array, " series"]
    previous: Float[Array, " series"] | None

    @property
    def mean(self) -> Float[Array, "series feature"]:
        """Means of the weights."""
        means = jax.vmap(lambda law: law.mean)(self.law)
        return jnp.swapaxes(means, 1, 2).reshape(-1, means.shape[1])

    @property
    def cov(self) -> Float[Array, "series feature feature"]:
        """Covariances of the weights of each series (those of two series are independent)."""
        size = self.mean.shape[1]
        root = jax.vmap(lambda law: law.spread(jnp.eye(size)))(self.law)
        shared = jnp.einsum("gik,gjk->gij", root, root)
        return self.noise[:, None, None] ** 2 * shared

    def sample(self, key: Any, num_samples: int) -> Float[Array, "sample series feature"]:
        """Draws of the weights."""
        return self.mean + self.deviations(key, num_samples)

    def deviations(self, key: Any, num_samples: int) -> Float[Array, "sample series feature"]:
        """Draws of what separates the weights from their means."""
        series, size = self.mean.shape
        groups = jax.tree.leaves(self.law)[0].shape[0]
        each = series // groups
        noise = jax.random.normal(key, (groups, size, each * num_samples), self.noise.dtype)
        moved = jax.vmap(lambda law, z: law.spread(z))(self.law, noise).reshape(groups, size, each, num_samples)
        return self.noise[:, None] * jnp.transpose(moved, (3, 0, 2, 1)).reshape(num_samples, series, size)
