"""The law of the state at the first stamp."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import block_diag
from jaxtyping import Array, Float

from ..core.linalg import psd_factor, symmetrise
from ..core.riccati import lyapunov


class InitialLaw(eqx.Module):
    """A normal law in which some elements may have no prior at all (diffuse).

    Build one with `known`, `gaussian`, `stationary`, `diffuse_law` or, element by element, `mixture`.

    Attributes:
        mean: Mean, shape (state,); the value of diffuse elements is immaterial.
        cov: Covariance, shape (state, state); rows of diffuse elements are zero.
        diffuse: Which elements have no prior.

    Example:
        >>> InitialLaw.gaussian([0.0], [10.0]).diffuse
        (False,)
    """

    mean: Float[Array, " state"]
    cov: Float[Array, "state state"]
    diffuse: tuple[bool, ...] = eqx.field(static=True)

    @classmethod
    def known(cls, mean: Sequence[float] | Array) -> "InitialLaw":
        """The first state is exactly `mean`."""
        mean = _vector(mean)
        return cls(mean, jnp.zeros((mean.shape[0],) * 2, mean.dtype), (False,) * mean.shape[0])

    @classmethod
    def gaussian(cls, mean: Sequence[float] | Array, scale: Sequence[float] | Array) -> "InitialLaw":
        """N(mean, scale scale'), where a vector of scales means standard deviations."""
        mean = _vector(mean)
        scale = jnp.asarray(scale, mean.dtype)
        scale = jnp.diag(scale) if scale.ndim == 1 else scale
        if scale.ndim != 2 or scale.shape[0] != mean.shape[0]:
            raise ValueError(
                f"the initial scale has shape {scale.shape} but the mean has {mean.shape[0]} elements: give a vector "
                "of standard deviations or a factor with one row a state"
            )
        return cls(mean, scale @ scale.T, (False,) * mean.shape[0])

    @classmethod
    def diffuse_law(cls, size: int) -> "InitialLaw":
        """No prior for any of `size` elements."""
        return cls(jnp.zeros(size), jnp.zeros((size, size)), (True,) * size)

    @classmethod
    def stationary(cls, transition: Array, factor: Array, offset: Array | None = None) -> "InitialLaw":
        """The stationary law of x' = F x + offset + factor z: mean (I - F)^-1 offset, covariance by Lyapunov.

        Args:
            transition: F, shape (state, state), of spectral radius below 1.
            factor: Noise factor, shape (state, noise).
            offset: Shape (state,); 0 when left out.
        """
        size = transition.shape[0]
        cov = symmetrise(lyapunov(transition, factor @ factor.T))
        zero = jnp.zeros(size, cov.dtype)
        mean = zero if offset is None else jnp.linalg.solve(jnp.eye(size) - transition, offset)
        return cls(mean, cov, (False,) * size)

    @classmethod
    def mixture(cls, laws: Sequence["InitialLaw"]) -> "InitialLaw":
        """Independent blocks one after another, each with its own law."""
        return cls(
            jnp.concatenate([law.mean for law in laws]),
            block_diag(*(law.cov for law in laws)),
            tuple(flag for law in laws for flag in law.diffuse),
        )

    @property
    def scale(self) -> Float[Array, "state state"]:
        """A factor of the covariance."""
        return psd_factor(self.cov)

    def diffuse_factor(self) -> Float[Array, "state diffuse"]:
        """One unit column for each diffuse element."""
        chosen = np.flatnonzero(self.diffuse)
        return jnp.eye(len(self.diffuse), dtype=self.mean.dtype)[:, chosen]


def _vector(values: Sequence[float] | Array) -> Float[Array, " state"]:
    vector = jnp.asarray(values)
    vector = vector.astype(jnp.result_type(vector.dtype, float)) if vector.dtype.kind != "f" else vector
    if vector.ndim != 1:
        raise ValueError(f"an initial mean is a vector with one element a state, got shape {vector.shape}")
    return vector
