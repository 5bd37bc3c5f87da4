"""Kernels of linear recurrences, the numbers that a convolution with the input takes, and that convolution.

        x[k] = A x[k-1] + B u[k],    y[k] = C x[k],        K[k] = C A^k B,    y = K * u + C A^(k+1) x[-1]

Doubling of the Krylov sequence serves dense matrices; powers of the eigenvalues serve diagonal ones, and `core.dplr` a
diagonal plus a low rank. The powers are split into small and large steps, k = q m + r, so that a kernel of length L
costs memory of the order of its square root beside itself.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

EXACT = "highest"  # an accelerator may else round the factors of a product of single precision to ten bits


@partial(jax.jit, static_argnames=("length",))
def krylov(
    a: Inexact[Array, "state state"],
    b: Inexact[Array, "state inputs"],
    c: Inexact[Array, "series state"],
    length: int,
) -> Inexact[Array, "length series inputs"]:
    """The kernel C A^k B of a dense matrix, twice as many of its entries in each round.

    Args:
        a: A.
        b: B.
        c: C.
        length: Number of entries, k = 0, ..., length - 1.

    Raises:
        ValueError: If the length is negative.

    Example:
        >>> half = jnp.array([[0.5]])
        >>> krylov(half, jnp.ones((1, 1)), jnp.ones((1, 1)), 3).ravel().tolist()
        [1.0, 0.5, 0.25]

    Reference: Golub and Van Loan (2013), "Matrix Computations", section 10.1.
    """
    check_length(length)
    a, b, c = (jnp.asarray(x) for x in (a, b, c))
    if c.shape[0] < b.shape[1]:  # as few vectors as possible are multiplied by powers
        return jnp.swapaxes(krylov(a.T, c.T, b.T, length), 1, 2)
    columns, power = b[:, None], a
    while columns.shape[1] < length:
        columns = jnp.concatenate([columns, jnp.einsum("ij,jkm->ikm", power, columns, precision=EXACT)], axis=1)
        power = jnp.matmul(power, power, precision=EXACT) if columns.shape[1] < length else power
    return jnp.einsum("pi,ikm->kpm", c, columns[:, :length], precision=EXACT)


@partial(jax.jit, static_argnames=("length", "log", "conjugate"))
def vandermonde(
    eigenvalues: Inexact[Array, " modes"],
    weights: Inexact[Array, "modes *outputs"],
    length: int,
    *,
    log: bool = False,
    conjugate: bool = False,
) -> Inexact[Array, "length *outputs"]:
    """The kernel of a diagonal matrix, sum over i of weights[i] eigenvalues[i]^k.

    Args:
        eigenvalues: The eigenvalues; with `log` their logarithms.
        weights: What the modes add: C[:, i] B[i, :] for the kernel of a state-space model.
        length: Number of entries, k = 0, ..., length - 1.
        log: Whether logarithms are given. An eigenvalue near one has a logarithm with more digits: in single precision
            powers of exp(z) lose k eps, exponentials of k z only k |z| eps.
        conjugate: Whether each mode stands for itself and its complex conjugate; the kernel is then real, twice the
            real part.

    Raises:
        ValueError: If the length is negative.

    Example:
        >>> vandermonde(jnp.array([0.5, 1.0]), jnp.array([4.0, 1.0]), 3).tolist()
        [5.0, 3.0, 2.0]

    Reference: Gupta, Gu and Berant (2022), "Diagonal state spaces are as effective as structured state spaces".
    """
    check_length(length)
    eigenvalues, weights = jnp.asarray(eigenvalues), jnp.asarray(weights)
    few = max(1, math.isqrt(length))
    many = -(-length // few)
    if log:
        small = jnp.exp(jnp.arange(few)[:, None] * eigenvalues)
        large = jnp.exp(few * jnp.arange(many)[:, None] * eigenvalues)
    else:
        small = powers(eigenvalues, few)
        large = powers(small[-1] * eigenvalues, many)
    started = jnp.einsum("qi,i...->qi...", large, weights)
    if conjugate and jnp.iscomplexobj(started):
        kernel = 2.0 * (_sums(small.real, started.real) - _sums(small.imag, started.imag))
    else:
        kernel = _sums(small, started) * (2.0 if conjugate else 1.0)
    return kernel.reshape(-1, *weights.shape[1:])[:length]


def _sums(small: Array, started: Array) -> Array:
    """Large step by small step: the sum over modes of what each has at the one, times its power at the other."""
    return jnp.einsum("ri,qi...->qr...", small, started, precision=EXACT)


@partial(jax.jit, static_argnames=("length",))
def powers(eigenvalues: Inexact[Array, "*modes"], length: int) -> Inexact[Array, "length *modes"]:
    """The powers 0, 1, ..., length - 1 of numbers, by doubling: zeros and their derivatives are right too.

    Example:
        >>> powers(jnp.array(0.5), 3).tolist()
        [1.0, 0.5, 0.25]
    """
    table, power = jnp.ones_like(eigenvalues)[None], eigenvalues
    while len(table) < length:
        table = jnp.concatenate([table, power * table])
        power = power * power
    return table[:length]


@partial(jax.jit, static_argnames=("exponent",))
def matrix_power(a: Inexact[Array, "n n"], exponent: int) -> Inexact[Array, "n n"]:
    """The power of a matrix, by squaring.

    Args:
        a: The matrix.
        exponent: The power, 0 or more.

    Example:
        >>> matrix_power(jnp.array([[2.0]]), 3).tolist()
        [[8.0]]
    """
    result, power = jnp.eye(a.shape[-1], dtype=a.dtype), a
    while exponent:
        result = jnp.matmul(result, power, precision=EXACT) if exponent & 1 else result
        exponent >>= 1
        power = jnp.matmul(power, power, precision=EXACT) if exponent else power
    return result


@partial(jax.jit, static_argnames=("length",))
def initial_response(
    a: Inexact[Array, "state state"],
    c: Inexact[Array, "series state"],
    x0: Inexact[Array, " state"],
    length: int,
) -> Inexact[Array, "length series"]:
    """What the state x[-1] before the first input adds to the outputs, C A^(k+1) x[-1].

    For a diagonal matrix it is `vandermonde(eigenvalues, c.T * (eigenvalues * x0)[:, None], length)`.

    Args:
        a: A.
        c: C.
        x0: x[-1].
        length: Number of stamps, k = 0, ..., length - 1.

    Raises:
        ValueError: If the length is negative.

    Example:
        >>> initial_response(jnp.array([[0.5]]), jnp.ones((1, 1)), jnp.array([8.0]), 3).ravel().tolist()
        [4.0, 2.0, 1.0]
    """
    return krylov(a, (a @ x0)[:, None], c, length)[..., 0]


def last_state(
    eigenvalues: Inexact[Array, " modes"],
    driven: Inexact[Array, "time modes"],
    x0: Inexact[Array, " modes"] | None = None,
) -> Inexact[Array, " modes"]:
    """The last state of x[k] = eigenvalues x[k-1] + driven[k], without the states before it.

    Args:
        eigenvalues: The diagonal.
        driven: B u[k].
        x0: x[-1]; zero when left out.

    Example:
        >>> last_state(jnp.array([0.5]), jnp.ones((3, 1)), jnp.array([8.0])).tolist()
        [2.75]
    """
    table = powers(eigenvalues, len(driven) + 1)
    reached = jnp.sum(jnp.flip(table[:-1], 0) * driven, axis=0)
    return reached if x0 is None else reached + table[-1] * x0


@jax.jit
def convolve(kernel: Float[Array, "taps series inputs"], u: Float[Array, "time inputs"]) -> Float[Array, "time series"]:
    """The causal, linear (never circular) convolution y[k] = sum over j of kernel[j] u[k-j], by a padded real FFT.

    Args:
        kernel: The kernel; entries beyond the length of u have no effect.
        u: The input, zero before its first stamp.

    Example:
        >>> convolve(jnp.array([1.0, 0.5]).reshape(2, 1, 1), jnp.ones((3, 1))).round(6).ravel().tolist()
        [1.0, 1.5, 1.5]
    """
    length = len(u)
    size = length + min(length, len(kernel))
    if size == 0:  # transforms have at least one element
        return jnp.zeros((0, kernel.shape[1]), jnp.result_type(kernel, u))
    across = jnp.fft.rfft(kernel[:length], size, axis=0)
    return jnp.fft.irfft(jnp.einsum("fpm,fm->fp", across, jnp.fft.rfft(u, size, axis=0)), size, axis=0)[:length]


def check_length(length: int) -> None:
    """Raise a ValueError if the length of a kernel is negative."""
    if length < 0:
        raise ValueError(f"a kernel has a length of 0 or more, got {length}")
