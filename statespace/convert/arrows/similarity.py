"""Another basis of the state: x' = T x, with everything that belongs to the model."""

from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core.parameters import is_traced
from ..conversion import Conversion
from ..forms.arrays import floating, on_host
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM
from ..numerics.blocks import transposed
from ..registry import arrow

Form = TypeVar("Form", DiscreteSSM, ContinuousSSM)


@arrow(DiscreteSSM, DiscreteSSM, chained=False)
def discrete_in_basis(ssm: DiscreteSSM, *, transform: Any) -> Conversion:
    """The same discrete model for the state T x.

    Args:
        ssm: The model.
        transform: T, (state, state), invertible.

    Returns:
        The model T A T^-1, T B, C T^-1, D, T Q T', R, T S and the law T mean, T cov T'; `condition` is that of T.

    Raises:
        ValueError: If T is of another shape or singular, or elements of the first state without a prior would mix with
            those that have one.
    """
    return in_basis(ssm, _checked(transform, ssm.A.shape[-1]))


@arrow(ContinuousSSM, ContinuousSSM, chained=False)
def continuous_in_basis(model: ContinuousSSM, *, transform: Any) -> Conversion:
    """The same continuous model for the state T x.

    Args:
        model: The model.
        transform: T, (state, state), invertible.

    Returns:
        The model T A T^-1, T B, C T^-1, D, T Q T', R and the law T mean, T cov T'; `condition` is that of T.

    Raises:
        ValueError: As for a discrete model.
    """
    return in_basis(model, _checked(transform, model.A.shape[-1]))


def in_basis(
    model: Form,
    T: Float[Array, "state state"],
    inverse: Float[Array, "state state"] | None = None,
    A: Float[Array, "state state"] | None = None,
    names: tuple[str, ...] | None = None,
) -> Conversion:
    """A model for the state T x.

    Args:
        model: The model.
        T: The transform.
        inverse: Its inverse, where it is known better than by inverting it.
        A: The new transition or drift matrix, where it is known better than by multiplying.
        names: Names of the new states; z0, z1, ... when left out.
    """
    kind = model.A.dtype
    T = jnp.asarray(T, kind)
    back = jnp.linalg.inv(T) if inverse is None else jnp.asarray(inverse, kind)
    mean, cov, diffuse = moved_law(model, T)
    changes: dict[str, Any] = {
        "A": T @ model.A @ back if A is None else jnp.asarray(A, kind),
        "B": T @ model.B,
        "C": model.C @ back,
        "Q": T @ model.Q @ T.T,
        "mean": mean,
        "cov": cov,
        "diffuse": diffuse,
        "state_names": tuple(f"z{i}" for i in range(len(T))) if names is None else names,
    }
    if isinstance(model, DiscreteSSM):
        changes["S"] = T @ model.S
    values = jnp.linalg.svd(T, compute_uv=False)
    return Conversion(model.replaced(**changes), condition=values[0] / values[-1], transform=T)


def moved_law(model: Any, T: Array) -> tuple[Array, Array, tuple[bool, ...]]:
    """The law of T x from that of x, with the elements that have no prior.

    Raises:
        ValueError: If those would mix with the ones that have a prior.
    """
    mean, cov = T @ model.mean, T @ model.cov @ transposed(T)
    flags = np.asarray(model.diffuse)
    if not flags.any() or flags.all():
        return mean, cov, tuple(bool(flag) for flag in np.broadcast_to(flags.all() if flags.size else False, len(T)))
    columns = on_host(T, "a model with elements that have no prior")[:, flags]
    after = np.any(np.abs(columns) > 1e-12 * np.abs(columns).max(), axis=1)
    if after.sum() != flags.sum():
        raise ValueError(
            f"elements {np.flatnonzero(flags).tolist()} of the first state have no prior and would mix with the others "
            "in this basis: give them a law, or choose a basis that keeps them apart"
        )
    kept = jnp.asarray(~after)
    clean = T @ jnp.where(jnp.asarray(~flags)[:, None] & jnp.asarray(~flags)[None], model.cov, 0.0) @ transposed(T)
    return (
        jnp.where(kept, T @ jnp.where(jnp.asarray(~flags), model.mean, 0.0), 0.0),
        jnp.where(kept[:, None] & kept[None], clean, 0.0),
        tuple(bool(flag) for flag in after),
    )


def _checked(transform: Any, size: int) -> Array:
    T = floating(transform)
    if T.shape != (size, size):
        raise ValueError(f"transform has shape {T.shape}, expected {(size, size)}")
    if not is_traced(T) and np.linalg.matrix_rank(np.asarray(T)) < size:
        raise ValueError("transform is singular: it loses states; a smaller model is had by order=")
    return T
