"""Draws for all particles at once: one key and one block of random numbers for a law that depends on the particle."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.distributions import Distribution

_OURS = ("numpyro.distributions.", __name__.partition(".")[0] + ".")


def sample_each(law: Callable[[Any], Distribution], xs: Any, key: Any) -> Array:
    """A draw from law(x) for each x of a batch.

    A law of a known family is put together again with all its parameters in a batch, so that one block of random
    numbers serves; any other is drawn with a key for each x, which is slower.

    Args:
        law: Function of one x that returns a distribution.
        xs: Pytree with one leading axis.
        key: PRNG key.

    Returns:
        Draws, (particle, ...).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> sample_each(lambda x: dist.Normal(x, 1e-9), jnp.arange(3.0), jax.random.key(0)).round(3).tolist()
        [0.0, 1.0, 2.0]
    """
    size = jax.tree.leaves(xs)[0].shape[0]
    batched = _batched(jax.vmap(law)(xs), jax.eval_shape(law, jax.tree.map(lambda leaf: leaf[0], xs)), size)
    if batched is not None:
        return jnp.asarray(batched.sample(key))
    return jax.vmap(lambda x, k: jnp.asarray(law(x).sample(k)))(xs, jax.random.split(key, size))


def _batched(law: Any, one: Any, size: int) -> Distribution | None:
    """A law whose arrays have a leading axis, as a batch of laws; None where its family is not known."""
    try:
        made = _rebuilt(law, one)
    except (TypeError, ValueError, NotImplementedError, AttributeError):
        return None
    if made is None or made.batch_shape != (size, *one.batch_shape) or made.event_shape != one.event_shape:
        return None
    return made


def _rebuilt(law: Any, one: Any) -> Distribution | None:
    if type(law) is dist.Independent:
        base = _rebuilt(law.base_dist, one.base_dist)
        return None if base is None else base.to_event(law.reinterpreted_batch_ndims)
    known = type(law).__module__.startswith(_OURS)
    if not known or not law.arg_constraints or getattr(law, "diffuse", False):
        return None
    arguments = law.get_args()
    wide = max((len(one.batch_shape), 0))
    if wide:  # a scalar argument of a law with a batch of its own must line up behind the new axis
        rank = {name: _event_rank(law, name) for name in arguments}
        arguments = {name: _lined_up(value, wide, rank[name]) for name, value in arguments.items()}
    return type(law)(**arguments, **getattr(law, "options", {}))  # those of our own laws that are no arrays


def _event_rank(law: Any, name: str) -> int:
    constraint = law.arg_constraints[name]
    return getattr(constraint, "event_dim", 0)


def _lined_up(value: Array, wide: int, rank: int) -> Array:
    """A batched argument (particle, *some, *event) with axes of length one until its batch has the law's rank."""
    missing = wide - (jnp.ndim(value) - 1 - rank)
    return value.reshape(value.shape[0], *(1,) * max(missing, 0), *value.shape[1:])
