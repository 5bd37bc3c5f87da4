"""A diagonal plus a low rank, M = diag(eigenvalues) - p q^H: its kernel, its dense matrix, its bilinear step.

Cauchy sums at the roots of unity give the kernel, Woodbury's identity solves with the low rank.

Reference: Gu, Goel and Ré (2022), "Efficiently modeling long sequences with structured state spaces".
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from .kernels import EXACT, check_length, matrix_power


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
    check_length(length)
    if length == 0:
        return jnp.zeros((0, c.shape[0], b.shape[1]), jnp.result_type(eigenvalues, b, c))
    real = conjugate or not any(jnp.iscomplexobj(x) for x in (eigenvalues, p, q, b, c))
    parts = [jnp.asarray(x) for x in (eigenvalues, p, q, b)]
    if conjugate:
        parts, c = [jnp.concatenate([x, x.conj()]) for x in parts], jnp.concatenate([c, c.conj()], axis=1)
    eigenvalues, p, q, b = parts
    step = dplr_dense(eigenvalues, p, q, dt)
    folded = c - jnp.matmul(c, matrix_power(step, length), precision=EXACT)
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
