"""Whether a linear recurrence is stable, and by how much, with derivatives.

Three certificates: eigenvalues, reflection coefficients of a characteristic polynomial, and a Lyapunov function.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from .riccati import lyapunov


def spectral_radius(a: Inexact[Array, "state state"]) -> Float[Array, ""]:
    """The largest modulus of an eigenvalue: x[k] = A x[k-1] is stable if it is below one.

    Example:
        >>> float(spectral_radius(jnp.array([[0.0, 1.0], [-0.25, 0.0]])))
        0.5
    """
    return jnp.max(jnp.abs(jnp.linalg.eigvals(a)), initial=0.0)


def radius_on_host(a: Any) -> float:
    """The spectral radius of numbers, on the host: for decisions, without derivatives or a compilation for each size.

    Args:
        a: A real square matrix, (state, state); 0 of an empty one.

    Example:
        >>> radius_on_host([[0.0, 1.0], [-0.25, 0.0]])
        0.5
    """
    return float(np.abs(np.linalg.eigvals(np.asarray(a, float))).max(initial=0.0))


def spectral_abscissa(a: Inexact[Array, "state state"]) -> Float[Array, ""]:
    """The largest real part of an eigenvalue: dx = A x dt is stable if it is negative.

    Example:
        >>> float(spectral_abscissa(jnp.array([[0.0, 1.0], [-1.0, -1.0]])))
        -0.5
    """
    return jnp.max(jnp.linalg.eigvals(a).real, initial=-jnp.inf)


class SchurCohn(NamedTuple):
    """What reflection coefficients say of a polynomial.

    Attributes:
        reflections: Reflection (partial autocorrelation) coefficients r_1, ..., r_p; after one of modulus 1 or more
            those below it mean nothing.
        margin: The smallest 1 - |r_k|: positive exactly where all roots are inside the unit circle.
    """

    reflections: Float[Array, " order"]
    margin: Float[Array, ""]


def schur_cohn(coefficients: Float[Array, " order_and_one"]) -> SchurCohn:
    """The stability of z^p + a_1 z^(p-1) + ... + a_p without its roots, which have no derivative where they meet.

    Step down from degree p: r_k is the last coefficient of the monic polynomial of degree k, and the next is

        a_i <- (a_i - r_k a_(k-i)) / (1 - r_k^2)

    Args:
        coefficients: (1, a_1, ..., a_p) up to a common factor; the first is not zero.

    Returns:
        A `SchurCohn`.

    Raises:
        ValueError: If there are no coefficients.

    Example:
        >>> found = schur_cohn(jnp.array([1.0, -0.5, 0.25]))
        >>> found.reflections.tolist(), float(found.margin)
        ([-0.4, 0.25], 0.6)

    Reference: Kay (1988), "Modern Spectral Estimation", section 6.3.4.
    """
    monic = jnp.asarray(coefficients)
    if monic.ndim != 1 or len(monic) == 0:
        raise ValueError(f"a polynomial is a vector of coefficients, got shape {monic.shape}")
    monic, found = monic / monic[0], []
    for _ in range(len(monic) - 1):
        last = monic[-1]
        found.append(last)
        rest = 1 - last**2
        monic = ((monic - last * monic[::-1]) / jnp.where(rest == 0, 1.0, rest))[:-1]
    reflections = jnp.stack(found[::-1]) if found else jnp.zeros(0, monic.dtype)
    # the first from above whose modulus is one or more decides; below it the recursion means nothing
    above = jnp.flip(jnp.cumsum(jnp.flip(jnp.abs(reflections) >= 1)))
    decided = jnp.concatenate([above[1:], jnp.zeros(1, above.dtype)])[: len(reflections)] > 0
    margins = jnp.where(decided, jnp.inf, 1 - jnp.abs(reflections))
    return SchurCohn(reflections, jnp.min(margins, initial=1.0))


class LyapunovCertificate(NamedTuple):
    """A quadratic function that decreases along every path of x[k] = A x[k-1].

    Attributes:
        P: Its matrix, V(x) = x' P x, the solution of P = A' P A + I; not finite where A is not stable.
        rate: The largest factor by which V can change in one step; below one where A is stable, else infinite.
    """

    P: Float[Array, "state state"]
    rate: Float[Array, ""]


def lyapunov_certificate(a: Float[Array, "state state"]) -> LyapunovCertificate:
    """A proof that A is stable which needs no eigenvalues: V decreases by x'x, and so by the factor 1 - 1/max eig(P).

    Args:
        a: A.

    Example:
        >>> found = lyapunov_certificate(jnp.array([[0.5]]))
        >>> round(float(found.P[0, 0]), 6), round(float(found.rate), 6)
        (1.333333, 0.25)

    Reference: Anderson and Moore (1979), "Optimal Filtering", section 4.2.
    """
    P = lyapunov(a.T, jnp.eye(len(a), dtype=a.dtype))
    finite = jnp.all(jnp.isfinite(P))
    values = jnp.linalg.eigvalsh(jnp.where(finite, P, jnp.eye(len(a), dtype=a.dtype)))
    return LyapunovCertificate(P, jnp.where(finite & (values[0] > 0), 1 - 1 / values[-1], jnp.inf))
