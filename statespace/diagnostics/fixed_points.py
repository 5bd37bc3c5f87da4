"""States that a deterministic system leaves where they are."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from numpy.typing import NDArray

from ..core.real_vector import real_vector
from .system import as_map


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """States that a step leaves where they are.

    Attributes:
        points: (point, state), states as vectors.
        eigenvalues: Of the step's derivative there, (point, state), by falling modulus: all below 1 where stable.
        residuals: Largest element of step(x) - x at each.
    """

    points: NDArray[np.float64]
    eigenvalues: NDArray[np.complex128]
    residuals: NDArray[np.float64]


def fixed_points(
    system: Any,
    starts: Float[Array, "start state"],
    *,
    u: Any = None,
    tolerance: float = 1e-10,
    max_steps: int = 100,
    apart: float = 1e-6,
) -> FixedPoints:
    """Fixed points of a step under a constant input, by Newton's method from many starts.

        x <- x - (J(x) - I)^-1 (step(x) - x)

    Args:
        system: A recursion or a function, as in `lyapunov_spectrum`.
        starts: States to start from, as vectors: points of a path, for example.
        u: The constant input of a recursion; zero when left out.
        tolerance: Largest element of step(x) - x, relative to 1 + |x|, at which a start has arrived.
        max_steps: Newton steps from each start.
        apart: Distance below which two points are the same.

    Returns:
        The points that were reached, none where no start arrived.

    Raises:
        ValueError: If starts are not (start, state).

    Example:
        >>> import jax.numpy as jnp
        >>> found = fixed_points(lambda x: jnp.tanh(2.0 * x), jnp.array([[-1.0], [0.1], [1.0]]))
        >>> found.points[:, 0].round(4).tolist()
        [-0.9575, 0.0, 0.9575]

    Reference: Sussillo and Barak (2013), "Opening the black box", Neural Computation 25.
    """
    starts = jnp.asarray(starts, float)
    like = system.start() if hasattr(system, "start") else (starts[0] if starts.ndim == 2 else starts)
    size = real_vector(like).shape[0]
    if starts.ndim != 2 or starts.shape[1] != size:
        raise ValueError(f"starts have shape {starts.shape}, expected (start, {size})")
    u = jnp.zeros(getattr(system, "input_size", 0)) if u is None else jnp.asarray(u, float)
    x, jacobians, errors = (np.asarray(a) for a in _newton(system, like, starts, u, max_steps))
    limits = tolerance * (1 + np.abs(x).max(axis=1))
    chosen: list[int] = []
    for i in np.flatnonzero(errors <= limits).tolist():
        if all(np.linalg.norm(x[i] - x[j]) > apart for j in chosen):
            chosen.append(i)
    chosen.sort(key=lambda i: tuple(x[i]))
    roots = [sorted(np.linalg.eigvals(jacobians[i]), key=lambda z: -abs(z)) for i in chosen]
    return FixedPoints(x[chosen], np.array(roots, complex).reshape(-1, size), errors[chosen])


@eqx.filter_jit
def _newton(system: Any, like: PyTree, starts: Array, u: Array, max_steps: int) -> tuple[Array, Array, Array]:
    """Where Newton's method ends from each start, the derivative of the step there, and what it misses."""
    move = as_map(system, like)
    one = jnp.eye(starts.shape[1])

    def better(_: Any, x: Array) -> Array:
        return x - jnp.linalg.solve(jax.jacfwd(move)(x, u) - one, move(x, u) - x)

    def run(x: Array) -> tuple[Array, Array, Array]:
        x = jax.lax.fori_loop(0, max_steps, better, x)
        return x, jax.jacfwd(move)(x, u), jnp.max(jnp.abs(move(x, u) - x))

    return jax.vmap(run)(starts)
