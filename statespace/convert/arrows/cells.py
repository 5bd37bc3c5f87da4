"""Recurrent cells: linear ones are state-space models by another name, contractive ones have a finite memory."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core.parameters import require_known, with_fields
from ...core.real_vector import from_real_vector, real_vector
from ...models.recurrent import Elman
from ...models.recursion import AbstractRecursion
from ..conversion import Conversion
from ..forms.discrete import CONSTANT, DiscreteSSM
from ..forms.window import UnrolledWindow
from ..numerics.blocks import is_zero
from ..registry import arrow
from .timing import retime


@arrow(Elman, DiscreteSSM)
def elman_to_discrete(cell: Elman) -> Conversion:
    """A simple recurrent cell whose activation is the identity, as the linear system that it is; its bias is an input.

    Raises:
        ValueError: If the activation is another, or weights are unknown.
    """
    require_known(cell, "the cell")
    if cell.activation != "identity":
        raise ValueError(
            f"the cell's activation is {cell.activation!r}: only with the identity is it linear; linearise it with "
            "convert(cell, LinearGaussian, inputs=...)"
        )
    biased = not is_zero(cell.bias)
    B = jnp.concatenate([cell.input_weights, cell.bias[:, None]], axis=1) if biased else cell.input_weights
    names = tuple(f"u{i}" for i in range(cell.inputs))
    value = DiscreteSSM(
        cell.recurrent_weights,
        B,
        mean=cell.start(),
        state_names=cell.state_names,
        input_names=(*names, CONSTANT) if biased else names,
        series_names=cell.state_names,
    )
    return Conversion(value, transform=jnp.eye(cell.units))


@arrow(DiscreteSSM, Elman, chained=False)
def discrete_to_elman(ssm: DiscreteSSM) -> Conversion:
    """A linear system whose series are its states, as a simple recurrent cell with the identity as activation.

    A cell has no noise and starts from zero; what is lost of these is noted.

    Raises:
        ValueError: If the matrices vary with time, or the output is not the state in `current` timing.
    """
    if ssm.timing == "previous":
        ssm = retime(ssm, timing="current").value
    n = ssm.A.shape[-1]
    if not ssm.is_constant or not (np.array_equal(ssm.C, np.eye(n)) and is_zero(ssm.D)):
        raise ValueError(
            "the output of a cell is its state: give a constant system with C = I and D = 0 in current timing, and "
            "apply C and D to what the cell puts out"
        )
    fixed = [i for i, name in enumerate(ssm.input_names) if name == CONSTANT]
    free = [i for i, name in enumerate(ssm.input_names) if name != CONSTANT]
    cell = Elman(len(free), n, activation="identity")
    cell = with_fields(cell, input_weights=ssm.B[:, free], recurrent_weights=ssm.A, bias=ssm.B[:, fixed].sum(axis=1))
    done = Conversion(cell, transform=jnp.eye(n))
    if not (is_zero(ssm.Q) and is_zero(ssm.R)):
        done = done.losing("a cell has no noise: that of the model is not part of it")
    if ssm.start != "before" or not (is_zero(ssm.mean) and is_zero(ssm.cov)) or any(ssm.diffuse):
        done = done.losing("a cell starts from zero before the first input: the first state of the model is another")
    return done


@arrow(AbstractRecursion, DiscreteSSM, cost=2.0)
def recursion_to_discrete(recursion: AbstractRecursion, *, dt: float | None = None) -> Conversion:
    """Any recursion that is linear, of real or complex states, as matrices of real ones.

    Its output is a function of the state before and of the input, so that it is a system in `previous` timing. A
    complex state is a real and an imaginary part; a constant that is added is the input "constant".

    Args:
        recursion: The recursion.
        dt: Time from one step to the next, for a recursion that depends on it; 1 when left out.

    Raises:
        ValueError: If the recursion is not linear (seen at points drawn at random), or does not depend on a given dt.
    """
    require_known(recursion, "the recursion")
    if dt is not None and not recursion.reads_dt:
        raise ValueError(f"{type(recursion).__name__} does not depend on the time between steps: leave dt= out")
    start = recursion.start()
    back, first = from_real_vector(start), real_vector(start)
    n, m = len(first), recursion.input_size

    def step(both: Array) -> Array:
        state, output = recursion.step(back(both[:n]), both[n:], dt)
        return jnp.concatenate([real_vector(state), output])

    zero = jnp.zeros(n + m, first.dtype)
    probes = jnp.asarray(np.random.default_rng(0).normal(size=(4, n + m)), first.dtype)
    offset, matrix, found = jax.jit(lambda x: (step(zero), jax.jacfwd(step)(zero), jax.vmap(step)(x)))(probes)
    expected = probes @ matrix.T + offset
    if not np.allclose(found, expected, rtol=0, atol=1e3 * jnp.finfo(first.dtype).eps * (1 + np.abs(found).max())):
        raise ValueError(
            f"{type(recursion).__name__} is not linear: away from zero it differs from its derivative by "
            f"{np.abs(found - expected).max():.3g}; linearise it with convert(recursion, LinearGaussian, inputs=...)"
        )
    biased = not is_zero(offset)
    columns = jnp.concatenate([matrix[:, n:], offset[:, None]], axis=1) if biased else matrix[:, n:]
    names = tuple(f"u{i}" for i in range(m))
    value = DiscreteSSM(
        matrix[:n, :n],
        columns[:n],
        matrix[n:, :n],
        columns[n:],
        mean=first,
        timing="previous",
        dt=(1.0 if dt is None else dt) if recursion.reads_dt else None,
        input_names=(*names, CONSTANT) if biased else names,
    )
    return Conversion(value, notes=("found linear at four points drawn at random",))


@arrow(AbstractRecursion, UnrolledWindow)
def recursion_to_window(
    recursion: AbstractRecursion,
    *,
    window: int,
    bound: float,
    contraction: float | None = None,
    input_gain: float | None = None,
    output_gain: float = 1.0,
) -> Conversion:
    """A contractive recursion with a finite memory: what is before the window is left out.

    Where |f(x, u) - f(x', u)| <= c |x - x'| with c < 1 and |f(x, u) - f(x, 0)| <= g |u|, no state is further from the
    start s than (g sup|u| + |f(s, 0) - s|) / (1 - c), and a window of k inputs leaves c^k of that.

    Args:
        recursion: The recursion.
        window: Number of inputs, k.
        bound: Largest Euclidean norm of an input, for which the error is bounded.
        contraction: c; what the recursion knows of itself when left out (a simple recurrent cell does).
        input_gain: g; the same.
        output_gain: The Lipschitz constant of the output in the state; 1 where the output is the state.

    Returns:
        The recursion on a window; `error_bound` holds for the Euclidean norm of each output.

    Raises:
        ValueError: If the recursion is not contractive, or a constant is neither given nor known.

    Reference: Miller and Hardt (2019), "Stable recurrent models", ICLR, lemma 1.
    """
    require_known(recursion, "the recursion")
    known = recursion.lipschitz() or (None, None)
    c = known[0] if contraction is None else contraction
    g = known[1] if input_gain is None else input_gain
    if c is None or g is None:
        raise ValueError(
            f"of {type(recursion).__name__} it is not known how fast it forgets: give contraction= and input_gain=, "
            "Lipschitz constants of a step in the state and in the input"
        )
    if not 0 <= c < 1:
        raise ValueError(f"the recursion is not contractive: a step may magnify differences of states by {c:.6g}")
    start = recursion.start()
    moved, _ = recursion.step(start, jnp.zeros(recursion.input_size))
    drift = float(jnp.linalg.norm(real_vector(moved) - real_vector(start)))
    error = output_gain * c**window * (g * bound + drift) / (1 - c)
    note = f"the bound is for inputs of a norm up to {bound:g}; a step contracts by {c:.6g}"
    return Conversion(UnrolledWindow(recursion, window), exact=False, error_bound=error, norm="output", notes=(note,))
