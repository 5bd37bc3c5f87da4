"""Weights of cells and layers: parameters with a default prior, and an initialisation from which learning starts."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ..core.keys import as_key
from ..core.parameters import param, parameters, replace

Init = Callable[[Any, Any, tuple[int, ...]], Array]  # of the owner, a key and a shape


class Draw:
    """Where learning a weight starts: a draw of its initialisation, always the same for a cell made without a key."""

    def __init__(self, init: Init, shape: Callable[[Any], tuple[int, ...]]):
        self.init, self.shape = init, shape

    def __call__(self, owner: Any, scale: Any) -> Array:
        """The draw with a fixed key."""
        del scale
        return self.draw(owner, jax.random.key(0))

    def draw(self, owner: Any, key: Any) -> Array:
        """A draw; weights of one owner have keys of their own."""
        numbers = [i for i, field in enumerate(dataclasses.fields(owner)) if _draw_of(field) is self]
        return self.init(owner, jax.random.fold_in(key, numbers[0]), self.shape(owner))


def _draw_of(field: Any) -> Any:
    declaration = field.metadata.get("parameter")
    return None if declaration is None else declaration.start


def weight(
    shape: Callable[[Any], tuple[int, ...]],
    init: Init,
    *,
    spread: Callable[[Any], Any] | None = None,
    centre: Callable[[Any], Any] = lambda self: 0.0,
    constraint: Any = constraints.real,
    prior: Callable[[Any, Any], dist.Distribution] | None = None,
    active: Callable[[Any], bool] = lambda self: True,
) -> Any:
    """Declare a field of a cell as a weight.

    Args:
        shape: Function of the cell that returns the weight's shape.
        init: The initialisation: function of the cell, a key and a shape.
        spread: Function of the cell that returns the standard deviation of the normal default prior; that of weights
            with as many terms as the shape's last axis, 1 / sqrt(terms), when left out.
        centre: Function of the cell that returns the mean of the default prior.
        constraint: The support of the weight.
        prior: The default prior as in `core.parameters.param`, where it is not normal.
        active: Function of the cell that says whether it has this weight at all.
    """

    def normal(self: Any, scale: Any) -> dist.Distribution:
        del scale
        size = shape(self)
        width = size[-1] ** -0.5 if spread is None else spread(self)
        return dist.Normal(jnp.broadcast_to(centre(self), size), jnp.broadcast_to(width, size))

    return param(constraint, shape=shape, prior=prior or normal, active=active, start=Draw(init, shape))


def set_weights(owner: Any, key: Any) -> None:
    """Give a cell or layer that is being made its weights: draws of their initialisations, unknown without a key.

    Args:
        owner: The cell, whose other fields are set.
        key: PRNG key, or a whole number that makes one; None for unknown weights.

    Raises:
        TypeError: If the key is none.
    """
    key = None if key is None else as_key(key)
    for field in dataclasses.fields(owner):
        found = _draw_of(field)
        if isinstance(found, Draw):
            on = key is not None and field.metadata["parameter"].active(owner)
            setattr(owner, field.name, found.draw(owner, key) if on else None)


def redrawn(model: Any, paths: Sequence[str], key: Any) -> Any:
    """A model with new draws of the weights among some parameters: those whose initialisation is random.

    Args:
        model: The model.
        paths: The parameters.
        key: PRNG key.
    """
    found = {}
    for number, (path, p) in enumerate(parameters(model).items()):
        start = p.declaration.start
        if path in paths and isinstance(start, Draw):
            first, other = (start.draw(p.owner, jax.random.fold_in(k, number)) for k in jax.random.split(key))
            if p.value is None or bool(jnp.any(first != other)):  # else its owner may have set it as it is
                found[path] = first
    return replace(model, found)


def normal(owner: Any, key: Any, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Normal draws of variance one over the number of terms in a sum: outputs as large as inputs."""
    del owner
    return jax.random.normal(key, shape) * shape[-1] ** -0.5


def orthogonal(owner: Any, key: Any, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Orthogonal blocks, one below the other (Saxe, McClelland and Ganguli, 2014)."""
    del owner
    size = shape[-1]
    blocks = jax.random.orthogonal(key, size, (-(-shape[0] // size),))
    return blocks.reshape(-1, size)[: shape[0]]


def zeros(owner: Any, key: Any, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Zeros."""
    del owner, key
    return jnp.zeros(shape)


def input_weight(rows: Callable[[Any], int], active: Callable[[Any], bool] = lambda self: True) -> Any:
    """Declare weights of a cell's inputs, with so many rows; a cell without inputs has none."""
    return weight(lambda self: (rows(self), self.inputs), normal, active=lambda self: self.inputs > 0 and active(self))


def biases(rows: Callable[[Any], int], **options: Any) -> Any:
    """Declare biases, with so many elements: zero at first, standard normal by default."""
    return weight(lambda self: (rows(self),), options.pop("init", zeros), spread=lambda self: 1.0, **options)


def check_counts(least: int = 1, /, **counts: Any) -> None:
    """Raise a ValueError if a count is not a whole number, or below the least.

    Args:
        least: The smallest number that serves: 0 for the inputs of a cell, which may run by itself.
        **counts: The counts by name.

    Raises:
        ValueError: Names the first that does not serve.
    """
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < least:
            raise ValueError(f"{name} is {count!r}, expected a whole number of at least {least}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """The value, once it is known to be one of the choices.

    Args:
        name: Of the option.
        value: What was given.
        choices: What there is.

    Raises:
        ValueError: If it is another one.
    """
    if value not in choices:
        raise ValueError(f"{name}={value!r} is unknown: choose one of {', '.join(map(repr, choices))}")
    return value
