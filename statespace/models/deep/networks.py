"""Feed-forward networks: what a deep model computes at one stamp."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Normal

from ...core.keys import as_key
from ..layers.affine import Affine

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "identity": lambda x: x,
}
SMALLEST = 1e-4  # a standard deviation that a network gives is at least this


class MLP(eqx.Module):
    """Affine maps with an elementwise function after each of them.

        f(x) = s(W_n ... s(W_1 x + b_1) ... + b_n)

    Args:
        sizes: Number of inputs, then of the outputs of each layer; one number alone is the identity.
        activation: s, one of `ACTIVATIONS`.
        last: The function after the last layer; s when left out.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1 or a function unknown.

    Example:
        >>> MLP([3, 16, 2], last="identity", key=0)(jnp.zeros(3)).shape
        (2,)
    """

    layers: tuple[Affine, ...]
    sizes: tuple[int, ...] = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    last: str = eqx.field(static=True)

    def __init__(self, sizes: Sequence[int], activation: str = "relu", *, last: str | None = None, key: Any = None):
        self.sizes = tuple(sizes)
        self.activation, self.last = activation, activation if last is None else last
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError(f"sizes are whole numbers of at least 1, got {sizes}")
        for name in (self.activation, self.last):
            if name not in ACTIVATIONS:
                raise ValueError(f"activation={name!r} is unknown: choose one of {', '.join(ACTIVATIONS)}")
        pairs = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        keys = [None] * len(pairs) if key is None else list(jax.random.split(as_key(key), max(len(pairs), 1)))
        self.layers = tuple(Affine(m, n, key=k) for (m, n), k in zip(pairs, keys, strict=False))

    @property
    def input_size(self) -> int:
        """Number of inputs."""
        return self.sizes[0]

    @property
    def output_size(self) -> int:
        """Number of outputs."""
        return self.sizes[-1]

    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        """The outputs."""
        for number, layer in enumerate(self.layers):
            after = self.last if number == len(self.layers) - 1 else self.activation
            x = ACTIVATIONS[after](layer(x))
        return x


class NormalNetwork(eqx.Module):
    """A network whose outputs are the means and standard deviations of independent normal laws.

        o = body(x),      mean = W o + b,      sd = log(1 + exp(V o + c)) + 0.0001

    Args:
        body: The network.
        size: Number of laws.
        spread: Standard deviation where V o = 0: sets c at the start.
        key: PRNG key of the two last maps; they are unknown when it is left out.

    Raises:
        ValueError: If size is below 1 or spread not above 0.0001.

    Example:
        >>> NormalNetwork(MLP([3, 8], key=0), 2, key=1)(jnp.zeros(3)).batch_shape
        (2,)
    """

    body: MLP
    mean: Affine
    spread: Affine

    def __init__(self, body: MLP, size: int, *, spread: float = 1.0, key: Any = None):
        if not spread > SMALLEST:
            raise ValueError(f"spread is {spread}, expected a standard deviation above {SMALLEST}")
        first, second = (None, None) if key is None else jax.random.split(as_key(key))
        self.body = body
        self.mean, self.spread = Affine(body.output_size, size, key=first), Affine(body.output_size, size, key=second)
        if key is not None:
            start = jnp.log(jnp.expm1(spread - SMALLEST))
            self.spread = eqx.tree_at(lambda a: a.bias, self.spread, jnp.full(size, start, jnp.result_type(float)))

    def __call__(self, x: Float[Array, "*batch inputs"]) -> Normal:
        """The laws, of batch shape (*batch, size)."""
        o = self.body(x)
        return Normal(self.mean(o), positive(self.spread(o)))


def positive(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Standard deviations from any numbers, at least 0.0001."""
    return jax.nn.softplus(x) + SMALLEST
