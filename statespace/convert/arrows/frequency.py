"""Gains at frequencies, by triangular solves or by modes."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array

from ..conversion import Conversion
from ..forms.arrays import floating, on_host
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM
from ..forms.frequency import FrequencyResponse
from ..forms.modal import Modal
from ..numerics.drivers import noise_columns
from ..registry import arrow

_LOST = "the law of the first state is not part of a frequency response"


@arrow(DiscreteSSM, FrequencyResponse)
def discrete_to_frequency(ssm: DiscreteSSM, *, frequencies: Any) -> Conversion:
    """The gains of a discrete model, by one unitary reduction and a triangular solve at each frequency.

        D + C (I - A / z)^-1 B,   z = exp(i w dt)   in `current` timing, D + C (z I - A)^-1 B in `previous`

    Args:
        ssm: The model, constant in time.
        frequencies: Angular frequencies w, per unit of time; radians a stamp where the model has no dt.

    Returns:
        The gains of inputs and of unit white noises.

    Raises:
        ValueError: If the model varies in time, has steps of several lengths, or has a pole at a frequency.

    Reference: Laub (1981), "Efficient multivariable frequency response computations".
    """
    _check(ssm)
    w = floating(frequencies)
    z = _circle(ssm, w)
    G, F = noise_columns(ssm.Q, ssm.R, ssm.S)
    solved = _resolvent(ssm, z, jnp.concatenate([ssm.B, G], axis=1))
    return _discrete_response(ssm, w, z, solved, G, F)


@arrow(ContinuousSSM, FrequencyResponse)
def continuous_to_frequency(model: ContinuousSSM, *, frequencies: Any) -> Conversion:
    """The gains of a continuous model, D + C (i w I - A)^-1 B, and those of noises of unit spectral density.

    Args:
        model: The model.
        frequencies: Angular frequencies w, per unit of time.

    Returns:
        The gains; measurement noise belongs to stamps and is not among them.

    Raises:
        ValueError: If the model has a pole at a frequency.
    """
    w = floating(frequencies)
    G, _ = noise_columns(model.Q)
    solved = _resolvent(model, 1j * w, jnp.concatenate([model.B, G], axis=1))
    return _continuous_response(model, w, solved)


@arrow(Modal, FrequencyResponse)
def modal_to_frequency(form: Modal, *, frequencies: Any) -> Conversion:
    """The gains of modes, a sum over them at each frequency.

    Args:
        form: The modes, in discrete or continuous time.
        frequencies: Angular frequencies, per unit of time; radians a stamp where the model has no dt.

    Raises:
        ValueError: If eigenvectors are too nearly parallel for a diagonal view.
    """
    w, system, modes = floating(frequencies), form.system, form.modes
    if isinstance(system, ContinuousSSM):
        (G, F), z = noise_columns(system.Q), 1j * w
    else:
        _check(system)
        (G, F), z = noise_columns(system.Q, system.R, system.S), _circle(system, w)
    drivers = jnp.concatenate([modes.inputs, modes.unitary @ G], axis=1)
    solved = jnp.einsum("pi,zi,im->zpm", modes.outputs, 1 / (z[:, None] - modes.eigenvalues), drivers)
    if isinstance(system, ContinuousSSM):
        return _continuous_response(system, w, solved)
    return _discrete_response(system, w, z, solved, G, F)


def _check(ssm: DiscreteSSM) -> None:
    if not ssm.is_constant or (ssm.dt is not None and ssm.dt.ndim):
        raise ValueError("a model that varies with time, or with steps of several lengths, has no frequency response")


def _circle(ssm: DiscreteSSM, w: Array) -> Array:
    return jnp.exp(1j * w * (1.0 if ssm.dt is None else ssm.dt))


def _continuous_response(model: ContinuousSSM, w: Array, solved: Array) -> Conversion:
    """Gains from C (i w I - A)^-1 (B, G)."""
    m = model.B.shape[1]
    value = FrequencyResponse(
        w,
        solved[..., :m] + model.D,
        solved[..., m:],
        discrete=False,
        input_names=model.input_names,
        series_names=model.series_names,
    )
    notes = (_LOST, "measurement noise is one of stamps, and not part of a continuous spectrum")
    return Conversion(value, notes=notes if np.any(on_host(model.R)) else notes[:1])


def _discrete_response(ssm: DiscreteSSM, w: Array, z: Array, solved: Array, G: Array, F: Array) -> Conversion:
    """Gains from C (z I - A)^-1 (B, G); what drives the state of its own stamp is a stamp earlier."""
    m, ahead = ssm.B.shape[1], z[:, None, None]
    current = ssm.timing == "current"
    value = FrequencyResponse(
        w,
        solved[..., :m] * (ahead if current or ssm.lead else 1.0) + ssm.D,
        solved[..., m:] * (ahead if current else 1.0) + F,
        dt=ssm.dt,
        input_names=ssm.input_names,
        series_names=ssm.series_names,
    )
    return Conversion(value, notes=(_LOST,))


def _resolvent(model: Any, points: Array, drivers: Array) -> Array:
    """C (p I - A)^-1 drivers at each point: back substitution in a Schur form, at all points at once."""
    p = np.asarray(points)
    found: Any = scipy.linalg.schur(on_host(model.A).astype(complex), output="complex")
    T, U = found
    if np.any(p[:, None] == np.diagonal(T)):
        raise ValueError("the model has a pole at one of the frequencies, where its gain is infinite: leave that out")
    right, left = U.conj().T @ on_host(drivers), on_host(model.C) @ U
    solved = np.zeros((len(p), *right.shape), complex)
    for i in reversed(range(len(T))):
        rest = right[i] + np.einsum("j,zjm->zm", T[i, i + 1 :], solved[:, i + 1 :])
        solved[:, i] = rest / (p - T[i, i])[:, None]
    return jnp.asarray(np.einsum("pi,zim->zpm", left, solved))
