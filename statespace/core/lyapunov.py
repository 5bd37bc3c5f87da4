"""Stationary covariances: the discrete Lyapunov equation."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_KRONECKER_LIMIT = 12
_DOUBLINGS = 40


def solve_lyapunov(f: Float[Array, "n n"], q: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The P with P = F P F' + Q, for F with spectral radius below 1.

    Small systems are solved exactly as (I - F (x) F) vec P = vec Q; larger ones by Smith's doubling,
    P <- P + A P A', A <- A A, whose error falls as rho(F)^(2^k).

    Args:
        f: Transition matrix, shape (n, n).
        q: Noise covariance, shape (n, n).

    Returns:
        The stationary covariance, shape (n, n). It is not positive semidefinite (or not finite) if F
        is not stable.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(solve_lyapunov(jnp.array([[0.6]]), jnp.array([[0.64]]))[0, 0]), 6)
        1.0
    """
    n = f.shape[0]
    if n <= _KRONECKER_LIMIT:
        system = jnp.eye(n * n, dtype=f.dtype) - jnp.kron(f, f)
        p = jnp.linalg.solve(system, q.reshape(-1)).reshape(n, n)
        return 0.5 * (p + p.T)

    def double(carry, _):
        a, p = carry
        return (a @ a, p + a @ p @ a.T), None

    (_, p), _ = lax.scan(double, (f, q), None, length=_DOUBLINGS)
    return 0.5 * (p + p.T)
