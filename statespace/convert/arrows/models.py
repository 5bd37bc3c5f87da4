"""Linear-Gaussian models and the discrete form.

A model's offsets become the column of an input that is one at every stamp, called `CONSTANT`; back again that input is
an offset. What `LinearGaussian` has no place for (noises that are correlated, inputs that act a stamp later) joins the
state, so that the law of the observations stays exactly the same.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.linalg import semidefinite_factor, symmetrise
from ...core.parameters import is_traced, require_known
from ...core.step import Step, make_steps
from ...models.base import AbstractLinearGaussian, noise_matrix
from ...models.linear import LinearGaussian
from ..conversion import Conversion
from ..forms.discrete import DiscreteSSM
from ..numerics.blocks import block, is_zero, later, transposed
from ..registry import arrow

CONSTANT = "constant"


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
    later = _parts(model, _probe(model, index=2, dt=dt))
    driven = _parts(model, _probe(model, dt=dt, inputs=np.linspace(0.5, 1.5, len(model.input_names))))
    for what, there in (("position of the stamp", later), ("inputs", driven._replace(c=here.c, d=here.d))):
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


class _Blocks(NamedTuple):
    """A system whose noises are independent and whose inputs act at once, at each stamp."""

    F: Array
    Q: Array
    H: Array
    R: Array
    B: Array
    D: Array
    mean: Array
    cov: Array
    first: Array
    names: tuple[str, ...]
    diffuse: tuple[bool, ...]


@arrow(DiscreteSSM, LinearGaussian)
def discrete_to_model(ssm: DiscreteSSM) -> Conversion:
    """The discrete form as a model that can be filtered; what `LinearGaussian` has no place for joins the state.

    - correlated noises: the measurement noise becomes part of the state;
    - inputs that act a stamp later (`previous` timing): the inputs of the stamp before become part of it;
    - an input called "constant": offsets.
    """
    size = ssm.A.shape[-1]
    blocks = _current(ssm) if ssm.timing == "current" else _previous(ssm)
    more = blocks.F.shape[-1] - size
    notes = () if not more else (f"{more} states were added: {', '.join(blocks.names[size:])}",)
    return Conversion(_linear_gaussian(ssm, blocks), transform=None if more else jnp.eye(size), notes=notes)


def _linear_gaussian(ssm: DiscreteSSM, blocks: _Blocks) -> LinearGaussian:
    names = ssm.input_names
    fixed = [i for i, name in enumerate(names) if name == CONSTANT]
    free = [i for i, name in enumerate(names) if name != CONSTANT]
    driven = bool(free)
    return LinearGaussian(
        blocks.F,
        _factor(blocks.Q),
        blocks.H,
        _factor(blocks.R),
        blocks.mean + blocks.first[:, fixed].sum(axis=1),
        _factor(blocks.cov),
        transition_offset=blocks.B[..., fixed].sum(axis=-1) if fixed else None,
        emission_offset=blocks.D[..., fixed].sum(axis=-1) if fixed else None,
        transition_input=blocks.B[..., free] if driven else None,
        emission_input=blocks.D[..., free] if driven else None,
        initial_input=None if not driven or is_zero(blocks.first[:, free]) else blocks.first[:, free],
        diffuse=blocks.diffuse,
        state_names=blocks.names,
        input_names=[names[i] for i in free],
    )


@jax.jit
def _factor(cov: Array) -> Array:
    """A factor of a covariance, or of one for each stamp."""
    return semidefinite_factor(symmetrise(cov)) if cov.ndim == 2 else jax.vmap(_factor)(cov)


def _current(ssm: DiscreteSSM) -> _Blocks:
    """In `current` timing the measurement noise joins the state where it is correlated with the state's."""
    none = jnp.zeros_like(_first(ssm.B))
    if ssm.start == "at":
        mean, cov, first, diffuse = ssm.mean, ssm.cov, none, ssm.diffuse
        shared = jnp.zeros_like(_first(ssm.S))
    else:
        A, B, Q = _first(ssm.A), _first(ssm.B), _first(ssm.Q)
        mean, cov, first, shared = A @ ssm.mean, A @ ssm.cov @ A.T + Q, B, _first(ssm.S)
        cov, diffuse = _diffuse_after(A, cov, ssm)
    plain = _Blocks(ssm.A, ssm.Q, ssm.C, ssm.R, ssm.B, ssm.D, mean, cov, first, ssm.state_names, diffuse)
    return plain if is_zero(ssm.S) else _with_noise(plain, ssm, jnp.zeros_like(ssm.S), ssm.S, shared)


def _previous(ssm: DiscreteSSM) -> _Blocks:
    """In `previous` timing the noise and the inputs of a stamp act on the next: they wait in the state."""
    A, B, Q, S = (later(x, back=True) for x in (ssm.A, ssm.B, ssm.Q, ssm.S))
    none = jnp.zeros_like(_first(ssm.B))
    at_once = B if ssm.lead else B * (np.array(ssm.input_names, dtype=object) == CONSTANT).astype(float)
    blocks = _Blocks(A, Q, ssm.C, ssm.R, at_once, ssm.D, ssm.mean, ssm.cov, none, ssm.state_names, ssm.diffuse)
    if not is_zero(ssm.S):
        gain = S @ jnp.linalg.pinv(later(ssm.R, back=True), hermitian=True)  # w = gain v + what is independent of v
        Q = symmetrise(Q - gain @ transposed(S))
        blocks = _with_noise(blocks._replace(Q=Q), ssm, gain, jnp.zeros_like(S), jnp.zeros_like(_first(S)))
    waiting = [i for i, name in enumerate(ssm.input_names) if name != CONSTANT]
    if ssm.lead or is_zero(B[..., waiting]):
        return blocks
    return _with_inputs(blocks, B, waiting, ssm.input_names)


def _with_noise(blocks: _Blocks, ssm: DiscreteSSM, gain: Array, shared: Array, at_first: Array) -> _Blocks:
    """The system with its measurement noise v in the state: x = F x + gain v + w, cov(w, v) = shared."""
    p = blocks.R.shape[-1]
    F = block([[blocks.F, gain], [jnp.zeros((p, len(blocks.names))), jnp.zeros((p, p))]])
    Q = block([[blocks.Q, shared], [transposed(shared), blocks.R]])
    cov = block([[blocks.cov, at_first], [at_first.T, _first(blocks.R)]])
    pad = jnp.zeros((p, blocks.first.shape[1]))
    return blocks._replace(
        F=F,
        Q=Q,
        H=block([[blocks.H, jnp.eye(p)]]),
        R=jnp.zeros((p, p)),
        B=block([[blocks.B], [pad]]),
        mean=jnp.concatenate([blocks.mean, jnp.zeros(p)]),
        cov=cov,
        first=jnp.concatenate([blocks.first, pad]),
        names=(*blocks.names, *(f"{name}_noise" for name in ssm.series_names)),
        diffuse=(*blocks.diffuse, *(False,) * p),
    )


def _with_inputs(blocks: _Blocks, B: Array, waiting: list[int], inputs: tuple[str, ...]) -> _Blocks:
    """The system with the inputs in the state: x = F x + B u[k-1] + w."""
    n, m, kept = len(blocks.names), len(inputs), len(waiting)
    rows = B.shape[-2]
    B = block([[B[..., waiting]], [jnp.zeros((n - rows, kept))]])
    store = jnp.eye(m)[jnp.array(waiting)]
    return blocks._replace(
        F=block([[blocks.F, B], [jnp.zeros((kept, n)), jnp.zeros((kept, kept))]]),
        Q=block([[blocks.Q, jnp.zeros((n, kept))], [jnp.zeros((kept, n)), jnp.zeros((kept, kept))]]),
        H=block([[blocks.H, jnp.zeros((blocks.H.shape[-2], kept))]]),
        B=block([[blocks.B], [store]]),
        mean=jnp.concatenate([blocks.mean, jnp.zeros(kept)]),
        cov=block([[blocks.cov, jnp.zeros((n, kept))], [jnp.zeros((kept, n)), jnp.zeros((kept, kept))]]),
        first=jnp.concatenate([blocks.first, store]),
        names=(*blocks.names, *(f"{inputs[i]}_before" for i in waiting)),
        diffuse=(*blocks.diffuse, *(False,) * kept),
    )


def _first(x: Array) -> Array:
    """A matrix at the first stamp."""
    return x[0] if x.ndim == 3 else x


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
