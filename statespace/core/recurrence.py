"""One linear recurrence, by any of four algorithms, with the derivatives of a linear solve.

        x[k] = a[k] x[k-1] + b[k],     k = 0, ..., T - 1,     x[-1] given

It is the solution of the bidiagonal system x[k] - a[k] x[k-1] = b[k]. Differentiated as such, its derivatives in either
mode and of any order are recurrences of the same kind, forward or backward in time: nothing of the algorithm's inside
is stored, and an associative scan compiles once forward and once backward.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Inexact

from .kernels import powers

_CHUNK = 64
Method = Literal["auto", "sequential", "chunked", "associative", "fft"]


def linear_recurrence(
    a: Inexact[Array, "..."],
    b: Inexact[Array, "time ..."],
    x0: Inexact[Array, "..."] | None = None,
    method: Method = "auto",
    *,
    matrix: bool = False,
    mask: Bool[Array, " time"] | None = None,
) -> Inexact[Array, "time ..."]:
    """All states of x[k] = a[k] x[k-1] + b[k], real or complex.

    Args:
        a: Without `matrix`, factors for each element: of the shape of a state (constant), or with a leading time axis.
            With it, matrices (state, state) or (time, state, state).
        b: What is added, (time, ...) or, with `matrix`, (time, state).
        x0: The state before the first, x[-1]; zero when left out.
        method: `"sequential"` (a scan: T steps, quick to compile, the fastest on a CPU), `"chunked"` (chunks of 64 side
            by side), `"associative"` (a tree of depth log T, for accelerators), `"fft"` (a convolution with the powers
            of a constant factor; without `matrix` and `mask`), or `"auto"`: sequential on a CPU, else associative.
        matrix: Whether a holds matrices.
        mask: Stamps at which the state stays as it is are False.

    Returns:
        The states x[0], ..., x[T-1]; the last one is where to go on.

    Raises:
        ValueError: If shapes do not fit, or the method does not serve.

    Example:
        >>> linear_recurrence(jnp.array([0.5]), jnp.ones((3, 1)), jnp.array([2.0]))[:, 0].tolist()
        [2.0, 2.0, 2.0]

    Reference: Blelloch (1990), "Prefix sums and their applications"; Martin and Cundy (2018), "Parallelizing linear
    recurrent neural nets over sequence length".
    """
    a, b, x0 = _checked(a, b, x0, matrix)
    varying = a.ndim == b.ndim + matrix
    method = resolved(method)
    if method not in _RUNS and method != "fft":
        raise ValueError(f'method is "sequential", "chunked", "associative", "fft" or "auto", got {method!r}')
    if method == "fft" and (varying or matrix or mask is not None):
        raise ValueError('method="fft" serves constant factors without a mask: take "sequential" or "associative"')
    if len(b) == 0:
        return b
    if mask is not None:
        a, b = _held(a, b, mask, matrix, varying)
        varying = True
    first = _times(a[0] if varying else a, x0, matrix)
    b = b.at[0].add(first)
    forward = _by_fft if method == "fft" else _RUNS[method]
    factors = a if varying else jnp.broadcast_to(a, (len(b), *a.shape))
    later = jnp.concatenate([factors[1:], jnp.zeros_like(factors[:1])])  # those into the stamp after
    turned = jnp.swapaxes(later, -1, -2) if matrix else later

    def solve(_: Any, right: Array) -> Array:
        return forward(a if method == "fft" else factors, right, matrix)

    def solve_transposed(_: Any, right: Array) -> Array:
        return jnp.flip(forward(a if method == "fft" else jnp.flip(turned, 0), jnp.flip(right, 0), matrix), 0)

    def system(x: Array) -> Array:
        before = jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])
        return x - (jnp.einsum("tij,tj->ti", factors, before) if matrix else factors * before)

    return lax.custom_linear_solve(system, b, solve, solve_transposed)


def resolved(method: Method) -> Method:
    """The algorithm that `"auto"` stands for here: sequential on a CPU, else associative; another is itself."""
    if method != "auto":
        return method
    return "sequential" if jax.default_backend() == "cpu" else "associative"


def _checked(a: Any, b: Any, x0: Any, matrix: bool) -> tuple[Array, Array, Array]:
    """Arrays of one type, once their shapes fit."""
    a, b = jnp.asarray(a), jnp.asarray(b)
    state = b.shape[1:]
    x0 = jnp.zeros(state, b.dtype) if x0 is None else jnp.asarray(x0)
    own = (*state, *state) if matrix else state
    if matrix and len(state) != 1:
        raise ValueError(f"with matrices b is (time, state), got shape {b.shape}")
    if a.shape not in (own, (len(b), *own)):
        raise ValueError(f"a has shape {a.shape}, expected {own}, or {(len(b), *own)} where it varies")
    if x0.shape != state:
        raise ValueError(f"x0 has shape {x0.shape}, expected that of a state, {state}")
    dtype = jnp.result_type(a, b, x0, jnp.float32)
    return a.astype(dtype), b.astype(dtype), x0.astype(dtype)


def _held(a: Array, b: Array, mask: Any, matrix: bool, varying: bool) -> tuple[Array, Array]:
    """Factors of one and nothing added where the mask is False."""
    a = a if varying else jnp.broadcast_to(a, (len(b), *a.shape))
    stay = _one(a, matrix)
    wide = jnp.asarray(mask).reshape(-1, *(1,) * (b.ndim - 1))
    return jnp.where(wide[..., None] if matrix else wide, a, stay), jnp.where(wide, b, 0)


def _one(a: Array, matrix: bool) -> Array:
    """The factor that leaves a state as it is."""
    return jnp.eye(a.shape[-1], dtype=a.dtype) if matrix else jnp.ones((), a.dtype)


def _times(a: Array, x: Array, matrix: bool) -> Array:
    return a @ x if matrix else a * x


def _sequential(a: Array, b: Array, matrix: bool) -> Array:
    def step(x: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        x = _times(pair[0], x, matrix) + pair[1]
        return x, x

    return lax.scan(step, jnp.zeros(b.shape[1:], b.dtype), (a, b))[1]


def _joined(matrix: bool) -> Callable[[Any, Any], Any]:
    """Two stretches of a recurrence as one: first the earlier, then the later."""

    def join(early: tuple[Array, Array], late: tuple[Array, Array]) -> tuple[Array, Array]:
        if matrix:
            return late[0] @ early[0], jnp.einsum("...ij,...j->...i", late[0], early[1]) + late[1]
        return late[0] * early[0], late[0] * early[1] + late[1]

    return join


def _associative(a: Array, b: Array, matrix: bool) -> Array:
    return lax.associative_scan(_joined(matrix), (a, b))[1]


def _chunked(a: Array, b: Array, matrix: bool) -> Array:
    """Chunks from zero side by side, then their ends in sequence, then what each start adds."""
    length, join = len(b), _joined(matrix)
    if length <= _CHUNK:
        return _sequential(a, b, matrix)
    pad = -length % _CHUNK
    stay = jnp.broadcast_to(_one(a, matrix), (pad, *a.shape[1:]))
    whole = jnp.concatenate([a, stay]), jnp.concatenate([b, jnp.zeros((pad, *b.shape[1:]), b.dtype)])
    rows = jax.tree.map(lambda x: jnp.swapaxes(x.reshape(-1, _CHUNK, *x.shape[1:]), 0, 1), whole)

    def step(run: Any, row: Any) -> tuple[Any, Any]:
        run = join(run, row)
        return run, run

    _, rest = lax.scan(step, at_start := jax.tree.map(lambda x: x[0], rows), jax.tree.map(lambda x: x[1:], rows))
    products, sums = jax.tree.map(lambda first, later: jnp.concatenate([first[None], later]), at_start, rest)
    ends = _sequential(products[-1], sums[-1], matrix)
    starts = jnp.concatenate([jnp.zeros_like(ends[:1]), ends[:-1]])
    added = jnp.einsum("kcij,cj->kci", products, starts) if matrix else products * starts
    return jnp.swapaxes(sums + added, 0, 1).reshape(-1, *b.shape[1:])[:length]


def _by_fft(a: Array, b: Array, matrix: bool) -> Array:
    """The convolution with 1, a, a^2, ..."""
    del matrix
    length, size = len(b), 2 * len(b)
    kernel = powers(a, length)
    if jnp.iscomplexobj(b):
        return jnp.fft.ifft(jnp.fft.fft(kernel, size, axis=0) * jnp.fft.fft(b, size, axis=0), axis=0)[:length]
    return jnp.fft.irfft(jnp.fft.rfft(kernel, size, axis=0) * jnp.fft.rfft(b, size, axis=0), size, axis=0)[:length]


_RUNS: dict[str, Callable[[Array, Array, bool], Array]] = {
    "sequential": _sequential,
    "chunked": _chunked,
    "associative": _associative,
}
