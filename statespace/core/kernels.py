"""Kernels of linear recurrences, the numbers that a convolution with the input takes, by three algorithms.

        x[k] = A x[k-1] + B u[k],    y[k] = C x[k],        K[k] = C A^k B,    y = K * u + C A^(k+1) x[-1]

Doubling of the Krylov sequence serves dense matrices; powers of the eigenvalues serve diagonal ones; Cauchy sums at the
roots of unity serve a diagonal plus a low rank. The powers are split into small and large steps, k = q m + r, so that a
kernel of length L costs memory of the order of its square root beside itself.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

_EXACT = "highest"  # an accelerator may else round the factors of a product of single precision to ten bits


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
    _check_length(length)
    a, b, c = (jnp.asarray(x) for x in (a, b, c))
    if c.shape[0] < b.shape[1]:  # as few vectors as possible are multiplied by powers
        return jnp.swapaxes(krylov(a.T, c.T, b.T, length), 1, 2)
    columns, power = b[:, None], a
    while columns.shape[1] < length:
        columns = jnp.concatenate([columns, jnp.einsum("ij,jkm->ikm", power, columns, precision=_EXACT)], axis=1)
        power = jnp.matmul(power, power, precision=_EXACT) if columns.shape[1] < length else power
    return jnp.einsum("pi,ikm->kpm", c, columns[:, :length], precision=_EXACT)


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
    _check_length(length)
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
    return jnp.einsum("ri,qi...->qr...", small, started, precision=_EXACT)


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


@partial(jax.jit, static_argnames=("length", "conjugate"))
def dplr_kernel(
    eigenvalues: Inexact[Array, " modes"],
    p: Inexact[Array, "modes rank"],
    q: Inexact[Array, "modes rank"],
    b: Inexact[Array, "modes inputs"],
    c: Inexact[Array, "series modes"],
    length: int,
    *,
    dt: Float[Array, ""] | float | None = None,
    conjugate: bool = False,
) -> Inexact[Array, "length series inputs"]:
    """The kernel of a diagonal plus a low rank, M = diag(eigenvalues) - p q^H, by Cauchy sums at the roots of unity.

    With z^L = 1 the transform of the first L entries of the kernel C A^k B is, A M's bilinear step or M itself,

        K(z) = C~ (I - z A)^-1 B,    C~ = C (I - A^L),

    a resolvent of M, which Woodbury's identity turns into sums over i of x_i y_i / (alpha(z) - beta(z) eigenvalues_i).
    It belongs to this length only: C~ is made here and never kept.

    Args:
        eigenvalues: The diagonal; continuous in time if dt is given.
        p: The left factor of the low rank; zero or more columns.
        q: The right one.
        b: B, continuous in time if dt is given.
        c: C.
        length: Number of entries.
        dt: Step of the bilinear discretisation A = (I - dt/2 M)^-1 (I + dt/2 M), B = dt (I - dt/2 M)^-1 b; left out, M
            and b are already those of a step.
        conjugate: Whether each mode stands for itself and its conjugate (all arrays then hold one of each pair); the
            kernel is then real.

    Raises:
        ValueError: If the length is negative.

    Example:
        >>> none = jnp.zeros((1, 0))
        >>> ones = jnp.ones((1, 1))
        >>> dplr_kernel(jnp.array([0.5]), none, none, ones, ones, 3).real.round(6).ravel().tolist()
        [1.0, 0.5, 0.25]

    Reference: Gu, Goel and Ré (2022), "Efficiently modeling long sequences with structured state spaces", appendix C.3.
    """
    _check_length(length)
    if length == 0:
        return jnp.zeros((0, c.shape[0], b.shape[1]), jnp.result_type(eigenvalues, b, c))
    real = conjugate or not any(jnp.iscomplexobj(x) for x in (eigenvalues, p, q, b, c))
    parts = [jnp.asarray(x) for x in (eigenvalues, p, q, b)]
    if conjugate:
        parts, c = [jnp.concatenate([x, x.conj()]) for x in parts], jnp.concatenate([c, c.conj()], axis=1)
    eigenvalues, p, q, b = parts
    step = dplr_dense(eigenvalues, p, q, dt)
    folded = c - jnp.matmul(c, matrix_power(step, length), precision=_EXACT)
    angle = 2 * jnp.pi * jnp.arange(length // 2 + 1 if real else length) / length
    z = jnp.exp(-1j * angle)
    # 1 - z near z = 1 would lose its digits in single precision
    far = 2 * jnp.sin(angle / 2) ** 2 + 1j * jnp.sin(angle)
    alpha, beta = (jnp.ones_like(z), z) if dt is None else (far, 0.5 * dt * (1 + z))
    cauchy = 1.0 / (alpha[:, None] - beta[:, None] * eigenvalues)
    weight = jnp.einsum("pi,zi,im->zpm", folded, cauchy, b)
    if p.shape[1]:
        weight = weight - _woodbury(folded, b, p, q, cauchy, beta)
    weight = weight if dt is None else dt * weight
    return jnp.fft.irfft(weight, length, axis=0) if real else jnp.fft.ifft(weight, axis=0)


def _woodbury(c: Array, b: Array, p: Array, q: Array, cauchy: Array, beta: Array) -> Array:
    """What the low rank takes from the sums of the diagonal: beta C D p (1 + beta q^H D p)^-1 q^H D B."""
    left = jnp.einsum("pi,zi,ir->zpr", c, cauchy, p)
    right = jnp.einsum("ir,zi,im->zrm", q.conj(), cauchy, b)
    inner = jnp.einsum("ir,zi,is->zrs", q.conj(), cauchy, p)
    beta = beta[:, None, None]
    return beta * left @ jnp.linalg.solve(jnp.eye(p.shape[1]) + beta * inner, right)


def dplr_dense(
    eigenvalues: Inexact[Array, " modes"],
    p: Inexact[Array, "modes rank"],
    q: Inexact[Array, "modes rank"],
    dt: Float[Array, ""] | float | None = None,
) -> Inexact[Array, "modes modes"]:
    """The matrix diag(eigenvalues) - p q^H, or with dt that of its bilinear step."""
    eye = jnp.eye(len(eigenvalues), dtype=jnp.result_type(eigenvalues, p, q))
    if dt is None:
        return jnp.diag(eigenvalues) - p @ q.conj().T
    return dplr_step(eigenvalues, p, q, dt, eye)


def dplr_step(
    eigenvalues: Inexact[Array, " modes"],
    p: Inexact[Array, "modes rank"],
    q: Inexact[Array, "modes rank"],
    dt: Float[Array, ""] | float,
    x: Inexact[Array, "modes *columns"],
    driven: Inexact[Array, "modes *columns"] | float = 0.0,
) -> Inexact[Array, "modes *columns"]:
    """One bilinear step of x' = M x + driven, M = diag(eigenvalues) - p q^H, in time proportional to modes times rank.

        (I - dt/2 M)^-1 ((I + dt/2 M) x + dt driven)

    Args:
        eigenvalues: The diagonal.
        p: The left factor of the low rank.
        q: The right one.
        dt: The step.
        x: The state, or several of them as columns.
        driven: b u, held over the step.

    Example:
        >>> none = jnp.zeros((1, 0))
        >>> dplr_step(jnp.array([-1.0]), none, none, 2.0, jnp.array([5.0]), jnp.array([1.0])).tolist()
        [1.0]
    """
    half = 0.5 * dt

    def along(values: Array) -> Array:
        return values.reshape(-1, *(1,) * (x.ndim - 1))

    right = x + half * (along(eigenvalues) * x - p @ (q.conj().T @ x)) + dt * driven
    shrunk = 1.0 / (1.0 - half * eigenvalues)
    solved = along(shrunk) * right
    if p.shape[1] == 0:
        return solved
    inner = jnp.eye(p.shape[1]) + half * (q.conj().T * shrunk) @ p
    return solved - along(shrunk) * (half * p @ jnp.linalg.solve(inner, q.conj().T @ solved))


@partial(jax.jit, static_argnames=("exponent",))
def matrix_power(a: Inexact[Array, "n n"], exponent: int) -> Inexact[Array, "n n"]:
    """The power of a matrix, by squaring."""
    result, power = jnp.eye(a.shape[-1], dtype=a.dtype), a
    while exponent:
        result = jnp.matmul(result, power, precision=_EXACT) if exponent & 1 else result
        exponent >>= 1
        power = jnp.matmul(power, power, precision=_EXACT) if exponent else power
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
    across = jnp.fft.rfft(kernel[:length], size, axis=0)
    return jnp.fft.irfft(jnp.einsum("fpm,fm->fp", across, jnp.fft.rfft(u, size, axis=0)), size, axis=0)[:length]


def _check_length(length: Any) -> None:
    if length < 0:
        raise ValueError(f"a kernel has a length of 0 or more, got {length}")
