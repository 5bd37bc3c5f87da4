"""States that are trees of arrays, real or complex, as one vector of real numbers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree


def real_vector(tree: PyTree) -> Float[Array, " n"]:
    """All numbers of a tree in one vector; of a complex array the real parts, then the imaginary ones.

    Args:
        tree: Floating-point arrays.

    Example:
        >>> real_vector((jnp.array([1.0]), jnp.array([2.0 + 3.0j]))).tolist()
        [1.0, 2.0, 3.0]
    """
    flat = [leaf.reshape(-1) for leaf in map(jnp.asarray, jax.tree.leaves(tree))]
    parts = [part for x in flat for part in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
    return jnp.concatenate(parts) if parts else jnp.zeros(0)


def real_size(like: PyTree) -> int:
    """How many real numbers a tree holds."""
    return sum(map(_size, jax.tree.leaves(like)))


def from_real_vector(like: PyTree) -> Callable[[Float[Array, " n"]], PyTree]:
    """The way back, for trees of the shapes and types of this one.

    Example:
        >>> back = from_real_vector({"x": jnp.zeros(2)})
        >>> back(jnp.array([4.0, 5.0]))["x"].tolist()
        [4.0, 5.0]
    """
    leaves, structure = jax.tree.flatten(like)
    ends = np.cumsum([_size(leaf) for leaf in leaves])

    def restored(vector: Array) -> PyTree:
        parts = jnp.split(vector, ends[:-1])
        return jax.tree.unflatten(structure, [_shaped(p, leaf) for p, leaf in zip(parts, leaves, strict=True)])

    return restored


def on_real_vectors(step: Callable[..., tuple[PyTree, Any]], like: PyTree) -> Callable[..., tuple[Array, Any]]:
    """A step (state, ...) -> (state, output) as one whose states are vectors.

    Args:
        step: The step; what follows the state is handed on.
        like: A state, or its shapes and types.

    Example:
        >>> turn = on_real_vectors(lambda z, u: (1j * z + u, u), jnp.array([0.0j]))
        >>> turn(jnp.array([1.0, 0.0]), 0.5)[0].tolist()
        [0.5, 1.0]
    """
    back = from_real_vector(like)

    def stepped(x: Array, *inputs: Any) -> tuple[Array, Any]:
        after, output = step(back(x), *inputs)
        return real_vector(after), output

    return stepped


def _is_complex(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.complexfloating)


def _size(leaf: Array) -> int:
    return int(np.prod(leaf.shape)) * (2 if _is_complex(leaf) else 1)


def _shaped(flat: Array, like: Array) -> Array:
    if _is_complex(like):
        real, imaginary = jnp.split(flat, 2)
        flat = real + 1j * imaginary
    return flat.reshape(like.shape)
