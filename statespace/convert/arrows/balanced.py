"""Balanced coordinates and balanced truncation, of the map from inputs, noises and first state together."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.linalg

from ..conversion import Conversion
from ..forms.arrays import on_host
from ..forms.balanced import Balanced
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM
from ..numerics.drivers import law_columns, noise_columns
from ..numerics.gramians import balancing, cayley
from ..registry import arrow

_EDGE = 1e-6  # nearer to the circle, or the axis, is not stable: rounding splits a double root there by its own root


@arrow(DiscreteSSM, Balanced, cost=2.0)
def discrete_to_balanced(ssm: DiscreteSSM, *, order: int | None = None, tolerance: float | None = None) -> Conversion:
    """Balanced coordinates of a discrete model, and with an order the best known of them only.

    The map that is balanced leads from the inputs, from unit white noises and from the law of the first state together
    to the series, so that nothing is dropped that only noise or the first state reach. A part with eigenvalues on or
    outside the unit circle has no Gramians: it is kept as it is, apart from the rest.

    Args:
        ssm: The model, constant in time, in either timing.
        order: Number of states to keep; all but those that nothing reaches or shows when left out.
        tolerance: Instead of an order: as few states as have an error bound of at most this.

    Returns:
        The model. Twice the sum of the singular values left out bounds the error of the whole map, in `hinf`; the
        largest of them is a lower bound, which a note states. The law of the noise is that of the projected model: its
        spectrum is near to the true one by the same bound.

    Raises:
        ValueError: If the model varies in time, order and tolerance are both given or out of range, elements of the
            first state have no prior, or the order is below that of the part that is not stable.

    Reference: Antoulas (2005), "Approximation of Large-Scale Dynamical Systems", chapter 7; Enns (1984), "Model
    reduction with balanced realizations".
    """
    if not ssm.is_constant:
        raise ValueError("a model that varies with time has no Gramians")
    G, _ = noise_columns(ssm.Q, ssm.R, ssm.S)
    return _balanced(ssm, on_host(jnp.concatenate([ssm.B, G], axis=1)), order, tolerance)


@arrow(ContinuousSSM, Balanced, cost=2.0)
def continuous_to_balanced(
    model: ContinuousSSM, *, order: int | None = None, tolerance: float | None = None
) -> Conversion:
    """Balanced coordinates of a continuous model.

    Args:
        model: The model.
        order: Number of states to keep.
        tolerance: Instead of an order: the largest error bound.

    Returns:
        As for a discrete model; a part with eigenvalues on or right of the imaginary axis is kept as it is.

    Raises:
        ValueError: As for a discrete model.
    """
    G, _ = noise_columns(model.Q)
    return _balanced(model, on_host(jnp.concatenate([model.B, G], axis=1)), order, tolerance)


@arrow(DiscreteSSM, DiscreteSSM, chained=False)
def reduce_discrete(ssm: DiscreteSSM, *, order: int) -> Conversion:
    """A discrete model with fewer states, by balanced truncation.

    Args:
        ssm: The model.
        order: Number of states to keep; the model itself if it has no more.

    Returns:
        The model, with the bounds that `discrete_to_balanced` states.

    Raises:
        ValueError: As there.

    Example:
        >>> import statespace as ss
        >>> slow_and_fast = ss.DiscreteSSM(jnp.diag(jnp.array([0.9, 0.1])), jnp.ones((2, 1)), jnp.ones((1, 2)))
        >>> ss.convert(slow_and_fast, ss.DiscreteSSM, order=1).value.A.shape
        (1, 1)
    """
    if order >= ssm.A.shape[-1]:
        return Conversion(ssm, transform=jnp.eye(ssm.A.shape[-1], dtype=ssm.A.dtype))
    found = discrete_to_balanced(ssm, order=order)
    return dataclasses.replace(found, value=found.value.system)


@arrow(ContinuousSSM, ContinuousSSM, chained=False)
def reduce_continuous(model: ContinuousSSM, *, order: int) -> Conversion:
    """A continuous model with fewer states, by balanced truncation.

    Args:
        model: The model.
        order: Number of states to keep; the model itself if it has no more.

    Returns:
        The model, with the bounds that `continuous_to_balanced` states.

    Raises:
        ValueError: As there.
    """
    if order >= len(model.A):
        return Conversion(model, transform=jnp.eye(len(model.A), dtype=model.A.dtype))
    found = continuous_to_balanced(model, order=order)
    return dataclasses.replace(found, value=found.value.system)


class _Projection(NamedTuple):
    """New states W' x, old ones V x' + what is lost."""

    V: np.ndarray
    W: np.ndarray


def _balanced(model: Any, drivers: np.ndarray, order: int | None, tolerance: float | None) -> Conversion:
    if order is not None and tolerance is not None:
        raise ValueError("give order= or tolerance=, not both")
    if any(model.diffuse):
        raise ValueError("elements of the first state have no prior, so that no state matters less: give them a law")
    A, C = on_host(model.A), on_host(model.C)
    columns = np.concatenate([drivers, on_host(law_columns(model.mean, model.cov))], axis=1)
    apart, unstable, condition = _split(A, isinstance(model, DiscreteSSM))
    stable = _Projection(apart.V[:, unstable:], apart.W[:, unstable:])
    parts = stable.W.T @ A @ stable.V, stable.W.T @ columns, C @ stable.V
    if not isinstance(model, DiscreteSSM):
        parts = cayley(*parts, np.zeros((len(C), columns.shape[1])))[:3]
    found = balancing(*parts)
    values = found.values
    count = _kept(values, found.V.shape[1], unstable, order, tolerance)
    whole = _Projection(
        np.concatenate([apart.V[:, :unstable], stable.V @ found.V[:, :count]], axis=1),
        np.concatenate([apart.W[:, :unstable], stable.W @ found.W[:, :count]], axis=1),
    )
    bound = 2 * float(np.sum(values[count:]))
    rounding = values[0] * len(values) * np.finfo(float).eps if len(values) else 0.0
    value = Balanced(_projected(model, whole), jnp.asarray(values), unstable)
    # a model that drives the state of its own stamp has a direct effect that is free: its kernel begins one later
    late = isinstance(model, DiscreteSSM) and (model.timing == "current" or model.lead)
    notes = _notes(model, unstable, found.later[count:] if late else values[count:])
    square = whole.V.shape[0] == whole.V.shape[1]
    if bound <= 2 * len(values) * rounding:
        return Conversion(value, condition=condition, transform=jnp.asarray(whole.W.T) if square else None, notes=notes)
    return Conversion(value, exact=False, error_bound=bound, norm="hinf", condition=condition, notes=notes)


def _split(A: np.ndarray, discrete: bool) -> tuple[_Projection, int, float]:
    """A basis in which the part that is not stable comes first, apart from the rest; its condition."""

    def wild(re: float, im: float = 0.0) -> bool:
        return (abs(complex(re, im)) >= 1 - _EDGE) if discrete else (re >= -_EDGE * size)

    size = max(np.abs(A).max(initial=0.0), 1e-300)
    found: Any = scipy.linalg.schur(A, output="real", sort=wild)
    S, U, count = found
    eye = np.eye(len(A))
    if count in (0, len(A)):
        return _Projection(eye, eye), int(count), 1.0
    X = scipy.linalg.solve_sylvester(S[:count, :count], -S[count:, count:], -S[:count, count:])
    inner, back = eye.copy(), eye.copy()
    inner[:count, count:], back[:count, count:] = X, -X
    return _Projection(U @ inner, U @ back.T), int(count), float(np.linalg.cond(inner))


def _kept(values: np.ndarray, known: int, unstable: int, order: int | None, tolerance: float | None) -> int:
    """How many balanced states stay."""
    if tolerance is not None:
        if not tolerance > 0:
            raise ValueError(f"tolerance is positive, got {tolerance}")
        beyond = 2 * np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])
        return min(known, int(np.argmax(beyond <= tolerance)))
    if order is None:
        return known
    if order < unstable or order < 0:
        raise ValueError(f"order={order} is below the {unstable} states of the part that is not stable, which are kept")
    return min(order - unstable, known)


def _projected(model: Any, by: _Projection) -> Any:
    """The model for the states W' x, as if x were V W' x."""
    kind = model.A.dtype
    V, W = jnp.asarray(by.V, kind), jnp.asarray(by.W, kind)
    changes = {
        "A": W.T @ model.A @ V,
        "B": W.T @ model.B,
        "C": model.C @ V,
        "Q": W.T @ model.Q @ W,
        "mean": W.T @ model.mean,
        "cov": W.T @ model.cov @ W,
        "diffuse": None,
        "state_names": tuple(f"b{i}" for i in range(V.shape[1])),
    }
    if isinstance(model, DiscreteSSM):
        changes["S"] = W.T @ model.S
    return model.replaced(**changes)


def _notes(model: Any, unstable: int, left: np.ndarray) -> tuple[str, ...]:
    found = []
    if unstable:
        found.append(f"{unstable} states of a part that is not stable are kept as they are")
    if len(left) and left[0] > 0:
        found.append(f"no model with as many states has an error below {left[0]:.6g} in the same norm")
        if np.any(np.asarray(model.Q)) or np.any(np.asarray(model.cov)) or np.any(np.asarray(model.mean)):
            found.append(
                "the bound is one of the map from inputs, unit noises and first state together; noise covariance and "
                "law of the first state are those of the projected states"
            )
    return tuple(found)
