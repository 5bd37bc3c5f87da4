"""Linear-Gaussian models as the discrete form.

A model's offsets become the column of an input that is one at every stamp, called `CONSTANT`.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.parameters import is_traced, require_known
from ...core.step import Step, make_steps
from ...models.base import AbstractLinearGaussian, noise_matrix
from ..conversion import Conversion
from ..forms.discrete import CONSTANT, DiscreteSSM
from ..numerics.blocks import is_zero
from ..registry import arrow


@arrow(AbstractLinearGaussian, DiscreteSSM)
def model_to_discrete(
    model: AbstractLinearGaussian, *, dt: float | None = None, steps: Step | None = None
) -> Conversion:
    """A linear-Gaussian model as matrices, in `current` timing, known by the law of x[0].

    Args:
        model: The model; its parameters are known.
        dt: Time from one stamp to the next, for a model that depends on it; 1, a period, when left out.
        steps: The stamps, with their inputs, where matrices depend on the time, on its spacing or on inputs. What the
            inputs add is then part of the offsets, and the form is for these stamps.

    Raises:
        ValueError: If a parameter is unknown, or matrices vary and no steps are given.
    """
    require_known(model, "the model")
    if model.reads_previous:
        raise ValueError("the model reads the observation before, which a discrete form has no place for")
    if steps is not None and dt is not None:
        raise ValueError("the steps tell the time between stamps themselves: leave dt= out")
    if steps is not None:
        parts = jax.vmap(lambda step: _parts(model, step))(steps)
        return Conversion(_discrete(model, parts, (), steps[0], steps.spacing), notes=_STEPS)
    schedule = model.schedule
    if schedule is None:
        notes, probe = _check_constant(model, dt), _probe(model, dt=dt)
        form = _discrete(model, _by_inputs(model, probe), model.input_names, _probe(model, index=0, dt=dt), dt)
        return Conversion(form, notes=notes)
    stamps = min(leaf.shape[0] for leaf in jax.tree.leaves(schedule))
    every = None if dt is None else np.full(stamps, dt)
    steps = make_steps(stamps, time=None if dt is None else dt * np.arange(stamps), dt=every, schedule=schedule)
    parts = jax.vmap(lambda step: _by_inputs(model, step))(steps)
    return Conversion(_discrete(model, parts, model.input_names, _with_inputs_at(steps[0], model), dt))


_STEPS = ("the inputs of the given steps are part of the offsets: the form is for these stamps only",)


class _Parts(NamedTuple):
    """Matrices at a stamp: F, Q, H, R, and offsets, what each input adds to them after the constant."""

    F: Array
    Q: Array
    H: Array
    R: Array
    c: Array
    d: Array


def _parts(model: AbstractLinearGaussian, step: Step) -> _Parts:
    """The matrices at a stamp with the inputs that it has."""
    moved, seen = model.transition_matrices(step), model.emission_matrices(step)
    F = model.propagate(jnp.eye(len(model.state_names)), step)
    noise = noise_matrix(seen.scale)
    return _Parts(
        F, moved.factor @ moved.factor.T, seen.matrix, noise @ noise.T, moved.offset[:, None], seen.offset[:, None]
    )


def _probe(model: AbstractLinearGaussian, index: int = 1, dt: float | None = None, inputs: Any = 0.0) -> Step:
    """A stamp without anything particular."""
    spacing = 1.0 if dt is None else dt
    every = None if dt is None else np.array([dt])
    step = make_steps(1, start=index, time=np.array([index * spacing]), dt=every)[0]
    return _with_inputs_at(step, model, inputs)


def _with_inputs_at(step: Step, model: AbstractLinearGaussian, inputs: Any = 0.0) -> Step:
    values = jnp.broadcast_to(jnp.asarray(inputs, float), (len(model.input_names),))
    return eqx.tree_at(lambda s: s.inputs, step, values, is_leaf=lambda x: x is None)


def _by_inputs(model: AbstractLinearGaussian, step: Step) -> _Parts:
    """The matrices at a stamp; the columns of the offsets are those of the inputs, and then the constant."""
    count = len(model.input_names)

    def at(inputs: Array) -> _Parts:
        return _parts(model, _with_inputs_at(step, model, inputs))

    base = at(jnp.zeros(count))
    if not count:
        return base
    moved = jax.vmap(at)(jnp.eye(count))
    c, d = moved.c[..., 0].T - base.c, moved.d[..., 0].T - base.d
    return base._replace(c=jnp.concatenate([c, base.c], axis=1), d=jnp.concatenate([d, base.d], axis=1))


def _check_constant(model: AbstractLinearGaussian, dt: float | None) -> tuple[str, ...]:
    """Raise if matrices depend on the stamp or the inputs, and say so if they depend on the time between stamps."""
    here = _parts(model, _probe(model, dt=dt))
    after = _parts(model, _probe(model, index=2, dt=dt))
    driven = _parts(model, _probe(model, dt=dt, inputs=np.linspace(0.5, 1.5, len(model.input_names))))
    for what, there in (("position of the stamp", after), ("inputs", driven._replace(c=here.c, d=here.d))):
        if not _same(here, there):
            raise ValueError(
                f"the matrices of {type(model).__name__} depend on the {what}: give the stamps for which the form is "
                "wanted, steps=make_steps(length, inputs=...) of statespace.core.step"
            )
    if dt is None and not _same(here, _parts(model, _probe(model, dt=2.0))):
        return ("the matrices depend on the time between stamps: they are those of a regular series (dt= for another)",)
    return ()


def _same(one: _Parts, other: _Parts) -> bool:
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if not is_traced(a)]
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)


def _discrete(
    model: AbstractLinearGaussian, parts: _Parts, inputs: tuple[str, ...], step: Step, dt: Any
) -> DiscreteSSM:
    """The form from its matrices; the constant is an input only where an offset is not zero."""
    B, D = parts.c, parts.d
    offset = is_zero(B[..., -1]) and is_zero(D[..., -1])
    names, columns = (inputs, slice(len(inputs))) if offset else ((*inputs, CONSTANT), slice(None))
    B, D = B[..., columns], D[..., columns]
    law = model.initial_law(step)
    shared: dict[str, Any] = {
        "dt": dt,
        "diffuse": law.diffuse,
        "state_names": model.state_names,
        "input_names": names,
        "series_names": getattr(model, "series_names", None),
    }
    driven = _first_input(model, inputs, step)
    if is_zero(driven):
        return DiscreteSSM(parts.F, B, parts.H, D, parts.Q, parts.R, mean=law.mean, cov=law.cov, start="at", **shared)
    before, cov = _law_before(parts, B, driven, law.mean, law.cov)
    return DiscreteSSM(parts.F, B, parts.H, D, parts.Q, parts.R, mean=before, cov=cov, start="before", **shared)


def _first_input(model: AbstractLinearGaussian, inputs: tuple[str, ...], step: Step) -> Array:
    """What each input at the first stamp adds to the mean of the first state, (state, inputs)."""

    def mean(values: Array) -> Array:
        return model.initial_law(eqx.tree_at(lambda s: s.inputs, step, values)).mean

    zero = jnp.zeros((len(model.state_names), len(inputs)))
    return jax.jacfwd(mean)(jnp.zeros(len(inputs))) if inputs else zero


def _law_before(parts: _Parts, B: Array, driven: Array, mean: Array, cov: Array) -> tuple[Array, Array]:
    """The law of x[-1] from which a transition leads to the given law of x[0], if there is one."""
    A, Q, B0 = (np.asarray(x[0] if x.ndim == 3 else x) for x in (parts.F, parts.Q, B))
    inputs = driven.shape[1]
    back = np.linalg.pinv(A)
    constant = B0[:, inputs:].sum(axis=1)
    before = back @ (np.asarray(mean) - constant)
    cov_before = back @ (np.asarray(cov) - Q) @ back.T
    size = 1e-9 * (1 + np.abs(cov).max() + np.abs(mean).max())
    reached = np.allclose(A @ before + constant, mean, atol=size) and np.allclose(
        A @ cov_before @ A.T + Q, cov, atol=size
    )
    if not (reached and np.allclose(B0[:, :inputs], driven) and np.linalg.eigvalsh(cov_before).min() >= -size):
        raise ValueError(
            "the first state depends on the inputs at its stamp in another way than a transition would make it: the "
            "discrete form has no place for that"
        )
    return jnp.asarray(before), jnp.asarray(cov_before)
