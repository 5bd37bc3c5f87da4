"""The two forms in which a filter carries a covariance: the matrix itself, and a square root of it.

A square root P = S S' holds twice the digits: where a regressor hardly varies, or a first law is vague, P is
large in some directions and small in others, and single precision cannot hold both in the matrix.

Reference: Bierman (1977), "Factorization Methods for Discrete Sequential Estimation", chapters II (the update
of Potter) and V.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .linalg import psd_factor


class Root(eqx.Module):
    """A covariance as a square root of any width, P = S S'.

    Attributes:
        factor: S, shape (state, columns).
    """

    factor: Float[Array, "*batch state columns"]


# A matrix everywhere but inside a filter run that asked for roots, so to a type checker it is Any.
if TYPE_CHECKING:
    Covariance = Any
else:
    Covariance = Float[Array, "*batch state state"] | Root


def dense(cov: Any) -> Float[Array, "*batch state state"]:
    """The matrix."""
    return cov.factor @ jnp.swapaxes(cov.factor, -1, -2) if isinstance(cov, Root) else cov


def project(cov: Any, z: Float[Array, " state"]) -> Float[Array, " state"]:
    """P z."""
    if isinstance(cov, Root):
        return jnp.sum(cov.factor * _weights(cov, z), axis=1)
    return jnp.sum(cov * z, axis=1)


def condition(
    cov: Any,
    gain: Array,
    projected: Array,
    z: Array,
    h: Array,
    variance: Array,
    diffuse: Array | None = None,
    *,
    stable: bool,
) -> Any:
    """L P L' + h K K' with L = I - K z': the covariance after an element was seen with gain K.

    Args:
        cov: P before it.
        gain: K; zero where the element is missing.
        projected: P z.
        z: Row of the observation matrix.
        h: Variance of the observation noise.
        variance: z'P z + h, positive.
        diffuse: Whether K is the gain of a diffuse direction, so that it is not P z / variance; None: it never is.
        stable: Whether to take the form that loses no digits when P is vague (Joseph's) where P is a matrix.

    Returns:
        The covariance in the form that `cov` has. A root gains a column where `diffuse` is given.
    """
    if isinstance(cov, Root):
        positive = (h > 0) & (variance > 0)
        ratio = jnp.where(positive, h, 1.0) / jnp.where(positive, variance, 1.0)
        share = jnp.where(positive, 1.0 / (1.0 + jnp.sqrt(ratio)), 1.0)  # Potter
        share = share if diffuse is None else jnp.where(diffuse, 1.0, share)
        factor = cov.factor - share * gain[:, None] * _weights(cov, z)[None]
        if diffuse is None:
            return Root(factor)
        spread = jnp.where(diffuse & (h > 0), jnp.sqrt(jnp.where(h > 0, h, 1.0)), 0.0)
        return Root(jnp.concatenate([factor, (spread * gain)[:, None]], axis=1))
    half = cov - gain[:, None] * projected[None]
    if stable:
        return half - (jnp.sum(half * z, axis=1) - h * gain)[:, None] * gain[None]
    if diffuse is None:
        return half
    return half + (variance * gain - projected)[:, None] * gain[None]


def predicted(cov: Any, propagate: Callable[[Array], Array], noise: Float[Array, "state noise"]) -> Any:
    """F P F' + Q, where `noise` is Q, or, for a root, a factor of it."""
    if isinstance(cov, Root):
        return Root(triangular(jnp.concatenate([propagate(cov.factor), noise], axis=1)))
    return propagate(propagate(cov).T) + noise


def negligible(cov: Any) -> float:
    """The share of its scale below which the square of a diffuse direction's loading counts as zero.

    A direction met at a small loading leaves a large variance; a root can hold a larger one.
    """
    eps = jnp.finfo(cov.factor.dtype if isinstance(cov, Root) else cov.dtype).eps
    return float(eps) ** (1.5 if isinstance(cov, Root) else 1.0)


def as_root(cov: Any) -> Root:
    """A covariance as a square (state, state) root."""
    return Root(triangular(cov.factor)) if isinstance(cov, Root) else Root(psd_factor(cov))


def _weights(cov: Root, z: Array) -> Array:
    return jnp.sum(cov.factor * z[:, None], axis=0)


@jax.custom_jvp
def triangular(factor: Float[Array, "state columns"]) -> Float[Array, "state state"]:
    """The lower triangular square root of S S'.

    A root is defined up to a rotation, and nothing here depends on which is taken. So the derivative holds the
    rotation fixed: that of S S' is then exact, and finite where S S' is singular.
    """
    return _rotated(factor)[0]


@triangular.defjvp
def _triangular_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    lower, rotation = _rotated(primals[0])
    return lower, _wide(tangents[0]) @ rotation


@jax.custom_jvp
def _rotated(factor: Array) -> tuple[Array, Array]:
    rotation, upper = jnp.linalg.qr(_wide(factor).T)
    return upper.T, rotation


@_rotated.defjvp
def _rotated_jvp(primals: Any, tangents: Any) -> Any:
    raise NotImplementedError(
        "the square-root form of the filter has first derivatives only: use Kalman(form='covariance'), or switch "
        "on double precision with jax.config.update('jax_enable_x64', True)"
    )


def _wide(factor: Array) -> Array:
    """At least as many columns as rows."""
    missing = factor.shape[0] - factor.shape[1]
    return jnp.pad(factor, ((0, 0), (0, missing))) if missing > 0 else factor
