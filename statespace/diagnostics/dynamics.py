"""Chaos of deterministic systems: recursions with `step`, or maps of the state."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from numpy.typing import NDArray

from ..core.real_vector import real_vector
from .system import as_map, prepared

_BATCHES = 20  # stretches of time from whose scatter the standard errors come


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """Lyapunov exponents, from the largest.

    Attributes:
        exponents: Mean rates of growth along the path, per unit of time, (exponent,).
        standard_errors: Of them, from the scatter between 20 stretches of the path.
        dimension: Kaplan-Yorke dimension; that of the state where the sum of all exponents is not negative, NaN where
            too few were computed for their sum to be.
        running: The mean rates up to each step, (time, exponent): whether they have converged.
    """

    exponents: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    dimension: float
    running: NDArray[np.float64]


def lyapunov_spectrum(
    system: Any,
    state: PyTree = None,
    *,
    inputs: Float[Array, "time inputs"] | None = None,
    length: int | None = None,
    num_exponents: int | None = None,
    dt: float = 1.0,
    burn_in: int = 100,
) -> LyapunovSpectrum:
    """Lyapunov exponents of a path: how fast small differences of states grow or vanish.

    Tangents are moved by the derivative of each step and made orthogonal again by a QR decomposition; the exponents are
    the means of log |R_ii| / dt. With inputs the system is driven by them, and its exponents are conditional ones: all
    must be negative for the state to forget where it began (the echo state property).

    Args:
        system: A recursion, with `step(state, u) -> (state, output)`, or a function from a state to the next.
        state: Where the path starts; `system.start()` when left out.
        inputs: What drives a recursion; left out for a function, or a recursion without inputs.
        length: Number of steps, burn-in included, where there are no inputs.
        num_exponents: How many, from the largest; all when left out.
        dt: Time that a step takes.
        burn_in: Steps at the start in which state and tangents settle, and nothing is counted.

    Raises:
        ValueError: If neither inputs nor length is given (or both), or numbers do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> rates = lyapunov_spectrum(lambda x: jnp.array([0.5, 2.0]) * x, jnp.zeros(2), length=300)
        >>> (rates.exponents / np.log(2)).round(6).tolist()
        [1.0, -1.0]

    Reference: Benettin, Galgani, Giorgilli and Strelcyn (1980), Meccanica 15; Eckmann and Ruelle (1985), Reviews of
    Modern Physics 57, section V.
    """
    state, drive = prepared(system, state, inputs, length)
    size = real_vector(state).shape[0]
    count = size if num_exponents is None else num_exponents
    if not 1 <= count <= size:
        raise ValueError(f"num_exponents is {num_exponents}, expected 1 to {size}, the size of the state")
    if not 0 <= burn_in < len(drive):
        raise ValueError(f"burn_in is {burn_in}, expected 0 or more and fewer than the {len(drive)} steps")
    rates = np.asarray(_rates(system, state, drive, count))[burn_in:] / dt
    exponents = rates.mean(axis=0)
    stretches = np.stack([part.mean(axis=0) for part in np.array_split(rates, min(_BATCHES, len(rates)))])
    errors = stretches.std(axis=0, ddof=1) / np.sqrt(len(stretches)) if len(stretches) > 1 else np.full(count, np.nan)
    order = np.argsort(-exponents)
    running = np.cumsum(rates, axis=0)[:, order] / np.arange(1, len(rates) + 1)[:, None]
    short = count < size and np.all(np.cumsum(exponents[order]) >= 0)
    dimension = float("nan") if short else kaplan_yorke(exponents)
    return LyapunovSpectrum(exponents[order], errors[order], dimension, running)


def kaplan_yorke(exponents: Any) -> float:
    """The Kaplan-Yorke dimension j + (l_1 + ... + l_j) / |l_{j+1}|, j the last for which the sum is not negative.

    Args:
        exponents: Lyapunov exponents, in any order.

    Returns:
        The dimension; the number of exponents where their sum is not negative.

    Example:
        >>> round(kaplan_yorke([0.906, 0.0, -14.57]), 4)
        2.0622

    Reference: Kaplan and Yorke (1979), "Chaotic behavior of multidimensional difference equations".
    """
    rates = np.sort(np.asarray(exponents, float))[::-1]
    sums = np.cumsum(rates)
    whole = int(np.sum(np.cumprod(sums >= 0)))
    if whole == 0:
        return 0.0
    return float(whole) if whole == len(rates) else whole + float(sums[whole - 1] / -rates[whole])


def valid_prediction_time(
    truth: Any, prediction: Any, *, dt: float = 1.0, exponent: float = 1.0, threshold: float = 0.4, scale: Any = None
) -> Float[np.ndarray, "*run"]:
    """How long a forecast of a chaotic system holds: until its error first exceeds a share of the system's spread.

        error[t] = sqrt(mean over series of ((truth - prediction) / scale)^2)

    Args:
        truth: (time,), (time, series), or (run, time, series).
        prediction: Of the same shape.
        dt: Time that a step takes.
        exponent: Largest Lyapunov exponent per unit of time: the result is in units of its inverse, Lyapunov times.
        threshold: The error at which a forecast ends.
        scale: Standard deviation of each series; that of all truths when left out.

    Returns:
        One number for each run; the whole length where the error never exceeds the threshold (or is never above it).

    Raises:
        ValueError: If shapes differ.

    Example:
        >>> truth = np.sin(np.arange(100.0))[:, None]
        >>> float(valid_prediction_time(truth, np.where(np.arange(100)[:, None] < 30, truth, 9.0), dt=0.5))
        15.0

    Reference: Pathak et al. (2018), Physical Review Letters 120; Vlachas et al. (2020), Neural Networks 126, eq. 26.
    """
    truth, prediction = np.asarray(truth, float), np.asarray(prediction, float)
    if truth.shape != prediction.shape or truth.ndim not in (1, 2, 3):
        raise ValueError(
            f"truth and prediction have shapes {truth.shape} and {prediction.shape}, expected the same: (time,), "
            "(time, series) or (run, time, series)"
        )
    if truth.ndim == 1:
        truth, prediction = truth[:, None], prediction[:, None]
    spread = truth.reshape(-1, truth.shape[-1]).std(axis=0) if scale is None else np.asarray(scale, float)
    error = np.sqrt(np.mean(((truth - prediction) / spread) ** 2, axis=-1))
    over = ~(error <= threshold)  # a forecast that is not a number has ended
    steps = np.where(over.any(axis=-1), over.argmax(axis=-1), over.shape[-1])
    return steps * dt * exponent


@eqx.filter_jit
def _rates(system: Any, state: PyTree, drive: Array, count: int) -> Array:
    """The logarithms of the diagonal of R at every step."""
    move, x = as_map(system, state), real_vector(state)
    tangents, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(0), (x.shape[0], count), x.dtype))

    def body(carry: Any, u: Array) -> Any:
        x, tangents = carry
        after, push = jax.linearize(lambda z: move(z, u), x)
        tangents, r = jnp.linalg.qr(jax.vmap(push, 1, 1)(tangents))
        return (after, tangents), jnp.log(jnp.abs(jnp.diag(r)))

    return jax.lax.scan(body, (x, tangents), drive)[1]
