"""What stands between recurrences: affine maps and the normalisation of a step's features."""

from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ...core.parameters import Unknown
from ..weights import check_counts, normal, set_weights, weight, zeros


class Affine(eqx.Module):
    """An affine map of the features of each step, W u + b.

    Args:
        input_size: Number of inputs.
        output_size: Number of outputs.
        key: PRNG key of W, normal of variance 1 / inputs; b is zero at the start.

    Example:
        >>> Affine(3, 2).outputs  # with key=jax.random.key(0) its weights are drawn
        2
    """

    weights: Float[Array, "outputs inputs"] | Unknown = weight(lambda self: (self.outputs, self.inputs), normal)
    bias: Float[Array, " outputs"] | Unknown = weight(lambda self: (self.outputs,), zeros, spread=lambda self: 1.0)
    _: KW_ONLY  # the fields below have no default, those above have
    inputs: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)

    def __init__(self, input_size: int, output_size: int, *, key: Any = None):
        check_counts(input_size=input_size, output_size=output_size)
        self.inputs, self.outputs = input_size, output_size
        set_weights(self, key)

    def __call__(self, u: Float[Array, "*steps inputs"]) -> Float[Array, "*steps outputs"]:
        """The outputs of each step."""
        return u @ self.weights.T + self.bias


class LayerNorm(eqx.Module):
    """The features of each step shifted and scaled to mean zero and variance one, then by learned weights.

    Args:
        size: Number of features.
        key: PRNG key: scales are one and biases zero at the start, whatever it is; unknown when left out.

    Example:
        >>> LayerNorm(2, key=0)(jnp.array([1.0, 3.0])).round(3).tolist()
        [-1.0, 1.0]

    Reference: Ba, Kiros and Hinton (2016), "Layer normalization".
    """

    scale: Float[Array, " features"] | Unknown = weight(
        lambda self: (self.size,),
        lambda self, key, shape: jnp.ones(shape),
        centre=lambda self: 1.0,
        spread=lambda self: 0.5,
    )
    bias: Float[Array, " features"] | Unknown = weight(lambda self: (self.size,), zeros, spread=lambda self: 0.5)
    _: KW_ONLY  # the fields below have no default, those above have
    size: int = eqx.field(static=True)

    def __init__(self, size: int, *, key: Any = None):
        check_counts(size=size)
        self.size = size
        set_weights(self, key)

    def __call__(self, u: Float[Array, "*steps features"]) -> Float[Array, "*steps features"]:
        """The features of each step, normalised."""
        centred = u - jnp.mean(u, axis=-1, keepdims=True)
        variance = jnp.mean(centred**2, axis=-1, keepdims=True)
        return self.scale * centred * lax.rsqrt(variance + 1e-5) + self.bias
