"""Diagonal systems from continuous to discrete time, elementwise and stable for small and for large arguments.

        dx/dt = lambda x + b u   becomes   x[k] = factor x[k-1] + gain b u[k]

The step that ends at stamp k has the length dt[k]; u[k] drives it.
"""

import math
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Inexact

_RADIUS = 0.25
_TERMS = tuple(1 / math.factorial(n + 1) for n in range(13))  # the next is below 1e-17 inside the radius


def phi1(z: Any) -> Inexact[Array, "..."]:
    """The function (exp(z) - 1) / z, 1 at zero: the integral of exp(z s) for s from 0 to 1.

    Args:
        z: Real or complex numbers.

    Returns:
        Values of the same shape, to the accuracy of their type, and so are their derivatives.

    Example:
        >>> float(phi1(0.0))
        1.0

    Reference: Hochbruck and Ostermann (2010), "Exponential integrators", section 2.1.
    """
    z = _inexact(z)
    small = jnp.abs(lax.stop_gradient(z)) < _RADIUS
    # the quotient's derivative (exp(z) - phi1(z)) / z cancels near zero, where the series serves
    large = jnp.where(small, jnp.ones_like(z), z)
    near = jnp.where(small, z, jnp.zeros_like(z))
    series = jnp.full_like(z, _TERMS[-1])
    for term in _TERMS[-2::-1]:
        series = series * near + term
    return jnp.where(small, series, _expm1(large) / large)


def zoh(eigenvalues: Any, dt: Any) -> tuple[Inexact[Array, "..."], Inexact[Array, "..."]]:
    """Zero-order hold: exact for an input that is constant during each step.

        factor = exp(lambda dt),      gain = dt phi1(lambda dt)

    Args:
        eigenvalues: lambda, per unit of time.
        dt: Lengths of steps; the two broadcast. With 0 the state stays (factor 1, gain 0), and two steps of half
            the length are one step.

    Returns:
        The pair (factor, gain).

    Example:
        >>> factor, gain = zoh(-1.0, 0.5)
        >>> round(float(factor), 6), round(float(gain), 6)
        (0.606531, 0.393469)
    """
    dt = _inexact(dt)
    z = _inexact(eigenvalues) * dt
    return jnp.exp(z), dt * phi1(z)


def s4_bilinear(eigenvalues: Any, dt: Any) -> tuple[Inexact[Array, "..."], Inexact[Array, "..."]]:
    """The bilinear rule of S4: the trapezoidal rule for an input held over the step, with C and D as they are.

        factor = (1 + lambda dt/2) / (1 - lambda dt/2),      gain = dt / (1 - lambda dt/2)

    It is not Tustin's rule, which changes C and D too: each output of Tustin's is the mean of two neighbours of this.

    Args:
        eigenvalues: lambda, per unit of time.
        dt: Lengths of steps; the two broadcast.

    Returns:
        The pair (factor, gain).

    Example:
        >>> factor, gain = s4_bilinear(-1.0, 2.0)
        >>> float(factor), float(gain)
        (0.0, 1.0)

    Reference: Gu, Goel and Re (2022), "Efficiently modeling long sequences with structured state spaces", eq. 3.
    """
    dt = _inexact(dt)
    half = _inexact(eigenvalues) * dt / 2
    return (1 + half) / (1 - half), dt / (1 - half)


def held_euler(eigenvalues: Any, dt: Any) -> tuple[Inexact[Array, "..."], Inexact[Array, "..."]]:
    """The rule of Mamba's programs: the factor of a zero-order hold, the gain of Euler's rule.

        factor = exp(lambda dt),      gain = dt

    Args:
        eigenvalues: lambda, per unit of time.
        dt: Lengths of steps; the two broadcast.

    Returns:
        The pair (factor, gain).

    Example:
        >>> float(held_euler(-1.0, 0.5)[1])
        0.5

    Reference: Gu and Dao (2024), "Mamba: linear-time sequence modeling with selective state spaces".
    """
    dt = _inexact(dt)
    factor = jnp.exp(_inexact(eigenvalues) * dt)
    return factor, jnp.broadcast_to(dt, factor.shape)


RULES = {"zoh": zoh, "s4_bilinear": s4_bilinear, "held_euler": held_euler}


def part_of_step(log_factors: Any, dt: Any) -> tuple[Inexact[Array, "..."], Inexact[Array, "..."]]:
    """A system known by the factors of its whole steps, run for steps of other lengths with the input held.

        factor = exp(z dt),      gain = dt phi1(z dt) / phi1(z)      (1 where dt is 1)

    Args:
        log_factors: z, logarithms of the factors of a step of length 1, imaginary parts within (-pi, pi].
        dt: Lengths of steps; the two broadcast.

    Returns:
        The pair (factor, gain), where the gain multiplies what a whole step adds.

    Example:
        >>> factor, gain = part_of_step(jnp.log(0.25), 0.5)
        >>> round(float(factor), 6), round(float(gain), 6)
        (0.5, 0.666667)
    """
    z = _inexact(log_factors)
    factor, gain = zoh(z, dt)
    return factor, gain / phi1(z)


def diffused(eigenvalues: Inexact[Array, " modes"], q: Inexact[Array, "modes modes"], dt: Any) -> Array:
    """The covariance of what noise adds to diagonal modes during one step.

        Q_d[i, j] = Q[i, j] dt phi1((lambda_i + conj(lambda_j)) dt)

    Args:
        eigenvalues: lambda.
        q: Hermitian spectral density Q of the noise in the modes, per unit of time.
        dt: The length of the step.

    Returns:
        The Hermitian Q_d.

    Example:
        >>> round(float(diffused(jnp.array([0.0]), jnp.array([[2.0]]), 0.5)[0, 0]), 6)
        1.0
    """
    dt = _inexact(dt)
    return q * dt * phi1((eigenvalues[:, None] + eigenvalues[None].conj()) * dt)


def _expm1(z: Array) -> Array:
    """The function exp(z) - 1 without cancellation, also for complex z."""
    if not jnp.iscomplexobj(z):
        return jnp.expm1(z)
    real, imag = z.real, z.imag
    return lax.complex(jnp.expm1(real) * jnp.cos(imag) - 2 * jnp.sin(imag / 2) ** 2, jnp.exp(real) * jnp.sin(imag))


def _inexact(value: Any) -> Array:
    """An array of a floating or complex type."""
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(jnp.result_type(float))
