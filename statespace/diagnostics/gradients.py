"""How much states depend on earlier ones: gradients by lag, and contraction."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..core.real_vector import real_vector
from .system import as_map, prepared


def gradient_norms(
    system: Any,
    state: PyTree = None,
    *,
    inputs: Float[Array, "time inputs"] | None = None,
    length: int | None = None,
    lags: int | None = None,
) -> Float[np.ndarray, " lag"]:
    """How much the last state depends on earlier ones: the largest singular value of dh[T] / dh[T - k], k = 0, 1, ...

    Where they vanish nothing can be learned over that many steps; where they explode gradients must be clipped.

    Args:
        system: As in `lyapunov_spectrum`.
        state: As there.
        inputs: As there.
        length: As there.
        lags: The largest k; all steps when left out.

    Raises:
        ValueError: If the arguments do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> gradient_norms(lambda x: 0.5 * x, jnp.ones(3), length=5, lags=2).tolist()
        [1.0, 0.5, 0.25]

    Reference: Bengio, Simard and Frasconi (1994), IEEE Transactions on Neural Networks 5; Pascanu, Mikolov and Bengio
    (2013), ICML, equation 5.
    """
    state, drive = prepared(system, state, inputs, length)
    lags = len(drive) if lags is None else lags
    if not 1 <= lags <= len(drive):
        raise ValueError(f"lags is {lags}, expected 1 to the {len(drive)} steps")
    return np.asarray(_lag_norms(system, state, drive, lags))


def contraction_rate(
    system: Any,
    state: PyTree = None,
    *,
    inputs: Float[Array, "time inputs"] | None = None,
    length: int | None = None,
) -> float:
    """The largest singular value of the derivative of a step along a path.

    Where it is below 1 on all of a convex set of states, two paths in it come closer by this factor at each step, so
    what happened k steps ago moves the state by at most rate^k of its size, and log(tolerance) / log(rate) steps of the
    past are enough. On a path it is an estimate of that bound from below.

    Args:
        system: As in `lyapunov_spectrum`.
        state: As there.
        inputs: As there.
        length: As there.

    Raises:
        ValueError: If the arguments do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> contraction_rate(lambda x: jnp.array([0.5, 0.2]) * x, jnp.ones(2), length=3)
        0.5

    Reference: Miller and Hardt (2019), "Stable recurrent models", ICLR.
    """
    state, drive = prepared(system, state, inputs, length)
    return float(jnp.max(_step_norms(system, state, drive)))


@eqx.filter_jit
def _lag_norms(system: Any, state: PyTree, drive: Array, lags: int) -> Array:
    """Norms of products of Jacobians, from the last step backwards."""
    move, start = as_map(system, state), real_vector(state)
    _, before = jax.lax.scan(lambda x, u: (move(x, u), x), start, drive)

    def body(product: Array, slot: Any) -> Any:
        x, u = slot
        _, pull = jax.vjp(lambda z: move(z, u), x)
        product = jax.vmap(lambda row: pull(row)[0])(product)
        return product, jnp.linalg.norm(product, 2)

    slots = before[-lags:], drive[-lags:]
    _, norms = jax.lax.scan(body, jnp.eye(start.shape[0]), slots, reverse=True)
    return jnp.concatenate([jnp.ones(1), norms[::-1]])


@eqx.filter_jit
def _step_norms(system: Any, state: PyTree, drive: Array) -> Array:
    """Norms of the derivative of each step."""
    move = as_map(system, state)

    def body(x: Array, u: Array) -> Any:
        return move(x, u), jnp.linalg.norm(jax.jacfwd(move)(x, u), 2)

    return jax.lax.scan(body, real_vector(state), drive)[1]
