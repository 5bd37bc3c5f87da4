"""Twists: how well particles agree with what is still to come."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.parameters import Unknown
from ..weights import weight, zeros
from .networks import MLP


class Twist(eqx.Module):
    """A network that says how much likelier the future of a sequence is from where a particle is than from anywhere.

        log r(h[t], z[t]; m[t+1]) = v' network([m[t+1], z[t], h[t]]),      of  p(x[t+1:] | h[t], z[t]) / p(x[t+1:])

    with the messages m of an encoder that reads the sequence backwards. Particles are resampled by their weights times
    r, and weighted by 1 / r afterwards, so that a filter's answers and bounds stay what they are whatever r says. It is
    learned apart from model and guide, by telling futures that belong to a state from those that do not, in sequences
    that are drawn from the model.

    Args:
        network: From the messages at a stamp with the latent state before and, with path=True, the path before.
        path: Whether it reads the model's path.

    Example:
        >>> twist = Twist(MLP([8 + 2, 16], "tanh", key=0))
        >>> float(twist((jnp.ones(8),), jnp.zeros(0), jnp.ones(2)))
        0.0

    Reference: Lawson et al. (2022), "SIXO: Smoothing inference with twisted objectives", NeurIPS, section 3.2; as a
    look-ahead: Pitt and Shephard (1999), JASA 94.
    """

    network: MLP
    weights: Float[Array, " outputs"] | Unknown = weight(
        lambda self: (self.network.output_size,), zeros, spread=lambda self: 1.0
    )
    path: bool = eqx.field(static=True, default=False)

    def __init__(self, network: MLP, *, path: bool = False):
        self.network, self.path = network, path
        self.weights = jnp.zeros(network.output_size, jnp.result_type(float))

    def __call__(self, messages: Any, h: Float[Array, " path"], z: Float[Array, " latent"]) -> Float[Array, ""]:
        """The log of r, of the messages at a stamp and the path and the latent state at the stamp before."""
        read = [*messages, z, *([h] if self.path else [])]
        return self.weights @ self.network(jnp.concatenate(read))
