"""The discrete form as a linear-Gaussian model.

An input called `CONSTANT` is an offset again. What `LinearGaussian` has no place for (noises that are correlated,
inputs that act a stamp later) joins the state, so that the law of the observations stays exactly the same.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.linalg import semidefinite_factor, symmetrise
from ...models.linear import LinearGaussian
from ..conversion import Conversion
from ..forms.discrete import CONSTANT, DiscreteSSM
from ..numerics.blocks import block, is_zero, later
from ..registry import arrow
from .timing import with_independent_noises


@arrow(DiscreteSSM, LinearGaussian)
def discrete_to_model(ssm: DiscreteSSM) -> Conversion:
    """The discrete form as a model that can be filtered; what `LinearGaussian` has no place for joins the state.

    - correlated noises: the measurement noise becomes part of the state;
    - inputs that act a stamp later (`previous` timing): the inputs of the stamp before become part of it;
    - an input called "constant": offsets.

    Raises:
        ValueError: If elements without a prior mix with others in the first transition.
    """
    size = ssm.A.shape[-1]
    whole = with_independent_noises(ssm)
    plain, first = _from_first(whole) if ssm.timing == "current" else _at_once(whole)
    added = plain.state_names[size:]
    notes = () if not added else (f"{len(added)} states were added: {', '.join(added)}",)
    return Conversion(_linear_gaussian(plain, first), transform=None if added else jnp.eye(size), notes=notes)


def _linear_gaussian(ssm: DiscreteSSM, first: Array) -> LinearGaussian:
    """The model of a form in `current` timing, known by the law of x[0], to which the first inputs add `first`."""
    names = ssm.input_names
    fixed = [i for i, name in enumerate(names) if name == CONSTANT]
    free = [i for i, name in enumerate(names) if name != CONSTANT]
    driven = bool(free)
    return LinearGaussian(
        ssm.A,
        _factor(ssm.Q),
        ssm.C,
        _factor(ssm.R),
        ssm.mean + first[:, fixed].sum(axis=1),
        _factor(ssm.cov),
        transition_offset=ssm.B[..., fixed].sum(axis=-1) if fixed else None,
        emission_offset=ssm.D[..., fixed].sum(axis=-1) if fixed else None,
        transition_input=ssm.B[..., free] if driven else None,
        emission_input=ssm.D[..., free] if driven else None,
        initial_input=None if not driven or is_zero(first[:, free]) else first[:, free],
        diffuse=ssm.diffuse,
        state_names=ssm.state_names,
        input_names=[names[i] for i in free],
    )


@jax.jit
def _factor(cov: Array) -> Array:
    """A factor of a covariance, or of one for each stamp."""
    return semidefinite_factor(symmetrise(cov)) if cov.ndim == 2 else jax.vmap(_factor)(cov)


def _from_first(ssm: DiscreteSSM) -> tuple[DiscreteSSM, Array]:
    """The form in `current` timing by the law of x[0], and what the inputs at the first stamp add to that."""
    A, B, Q = (x[0] if x.ndim == 3 else x for x in (ssm.A, ssm.B, ssm.Q))
    if ssm.start == "at":
        return ssm, jnp.zeros_like(B)
    cov, diffuse = _diffuse_after(A, A @ ssm.cov @ A.T + Q, ssm)
    return ssm.replaced(mean=A @ ssm.mean, cov=cov, diffuse=diffuse, start="at"), B


def _at_once(ssm: DiscreteSSM) -> tuple[DiscreteSSM, Array]:
    """The same of a form in `previous` timing, whose inputs act a stamp later: they wait in the state."""
    A, B, Q = (later(x, back=True) for x in (ssm.A, ssm.B, ssm.Q))
    moved = ssm.replaced(A=A, B=B, Q=Q, timing="current", start="at", lead=0)
    none = jnp.zeros(B.shape[-2:], B.dtype)
    waiting = [i for i, name in enumerate(ssm.input_names) if name != CONSTANT]
    if ssm.lead or is_zero(B[..., waiting]):
        return moved, none
    n, m, kept = B.shape[-2], B.shape[-1], len(waiting)
    store = jnp.eye(m, dtype=B.dtype)[jnp.array(waiting)]
    pad, zero = jnp.zeros((n, kept), B.dtype), jnp.zeros((kept, kept), B.dtype)
    value = moved.replaced(
        A=block([[A, B[..., waiting]], [pad.T, zero]]),
        B=block([[B.at[..., waiting].set(0.0)], [store]]),
        C=block([[ssm.C, jnp.zeros((ssm.C.shape[-2], kept), B.dtype)]]),
        Q=block([[Q, pad], [pad.T, zero]]),
        S=None,
        mean=jnp.concatenate([ssm.mean, jnp.zeros(kept, B.dtype)]),
        cov=block([[ssm.cov, pad], [pad.T, zero]]),
        diffuse=(*ssm.diffuse, *(False,) * kept),
        state_names=(*ssm.state_names, *(f"{ssm.input_names[i]}_before" for i in waiting)),
    )
    return value, jnp.concatenate([none, store])


def _diffuse_after(A: Array, cov: Array, ssm: DiscreteSSM) -> tuple[Array, tuple[bool, ...]]:
    """Which elements have no prior after a transition, and the covariance of the others."""
    flags = np.asarray(ssm.diffuse)
    if not flags.any():
        return cov, ssm.diffuse
    moved = np.asarray(A)[:, flags]
    after = np.any(moved != 0, axis=1)
    if after.sum() != flags.sum() or np.linalg.matrix_rank(moved) < flags.sum():
        raise ValueError(
            "the elements without a prior mix with others in the first transition: give the law of x[0], start='at'"
        )
    given = jnp.asarray(~after)
    return jnp.where(given[:, None] & given[None], cov, 0.0), tuple(bool(flag) for flag in after)
