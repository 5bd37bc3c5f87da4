"""How much of its past input a system remembers."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np
from numpy.typing import NDArray

from ..core.keys import as_key


@dataclass(frozen=True, eq=False)
class MemoryCapacity:
    """How well past inputs are read from a system's outputs.

    Attributes:
        total: The sum over delays; at most the number of outputs.
        by_delay: Squared correlation of input and reconstruction, for delays 1, 2, ..., on data held out.
    """

    total: float
    by_delay: NDArray[np.float64]


def memory_capacity(
    recursion: Any,
    *,
    delays: int = 200,
    length: int = 4000,
    held_out: int = 1000,
    washout: int = 500,
    ridge: float = 0.0,
    amplitude: float = 0.5,
    key: Any,
) -> MemoryCapacity:
    """Short-term memory capacity of a recursion of one input.

        MC = sum_k corr^2(u[t - k], w_k' (output[t], 1)),   u ~ U(-amplitude, amplitude)

    The weights w_k are those of least squares on the first part of a run; the correlations are on the rest, so that
    they do not grow with the number of outputs alone.

    Args:
        recursion: What is measured, with one input.
        delays: The largest delay.
        length: Steps from which the weights are learned.
        held_out: Steps on which they are judged.
        washout: Steps before both; at least `delays`.
        ridge: Penalty of the weights.
        amplitude: Half the width of the input's law.
        key: PRNG key of the input, or a whole number that makes one.

    Raises:
        ValueError: If the recursion has several inputs, or numbers do not fit.
        TypeError: If the key is none.

    Example:
        >>> import jax.numpy as jnp
        >>> class Line:  # a delay line of three steps
        ...     input_size = 1
        ...     def scan(self, u):
        ...         return jnp.stack([jnp.roll(u[:, 0], k) for k in (1, 2, 3)], axis=1), None
        >>> round(memory_capacity(Line(), delays=20, length=500, key=0).total, 1)
        3.0

    Reference: Jaeger (2002), "Short term memory in echo state networks", GMD report 152; bound: proposition 2.
    """
    if recursion.input_size != 1:
        raise ValueError(f"memory capacity is of systems with one input, this one has {recursion.input_size}")
    if not 1 <= delays <= washout or length < 2 or held_out < 2:
        raise ValueError(
            f"delays is {delays}, washout {washout}, length {length}, held_out {held_out}: expected at least one "
            "delay, a washout no shorter than it, and two steps to learn from and to judge on"
        )
    u = jax.random.uniform(as_key(key), (washout + length + held_out,), float, -amplitude, amplitude)
    outputs = np.asarray(_run(recursion, u[:, None]))[washout:]
    rows = np.column_stack([outputs, np.ones(len(outputs))])
    past = np.lib.stride_tricks.sliding_window_view(np.asarray(u), delays + 1)[washout - delays :, ::-1][:, 1:]
    weights = _least_squares(rows[:length], past[:length], ridge)
    by_delay = _squared_correlation(rows[length:] @ weights, past[length:])
    return MemoryCapacity(float(by_delay.sum()), by_delay)


@eqx.filter_jit
def _run(recursion: Any, u: Any) -> Any:
    return recursion.scan(u)[0]


def _least_squares(rows: np.ndarray, targets: np.ndarray, ridge: float) -> np.ndarray:
    if ridge > 0:
        rows = np.concatenate([rows, np.sqrt(ridge) * np.eye(rows.shape[1])])
        targets = np.concatenate([targets, np.zeros((rows.shape[1], targets.shape[1]))])
    return np.linalg.lstsq(rows, targets, rcond=None)[0]


def _squared_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    power = (a**2).sum(axis=0) * (b**2).sum(axis=0)
    return np.divide((a * b).sum(axis=0) ** 2, power, out=np.zeros(a.shape[1]), where=power > 0)
