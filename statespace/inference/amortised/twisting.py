"""How a guide's twist is learned: futures that belong to a state are told from those that do not."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.parameters import with_fields
from ...core.step import Step
from ...models.deep import AbstractGuide, DeepStateSpace
from ..prediction import simulate
from .moves import Sequence


def twist_loss(model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence, key: Any) -> Float[Array, ""]:
    """Minus the log probability of telling pairs apart: a state with its own future, and with another's.

    Two sequences are drawn from the model at the stamps, with the inputs and the gaps, of one that was observed. Where
    pairs are told apart best, the network's output is the log of the ratio of densities that the twist stands for. Only
    the twist has a derivative.

    Args:
        model: The model.
        guide: The guide, which has a twist.
        sequence: The sequence.
        key: PRNG key.

    Reference: Lawson et al. (2022), section 3.2; Gutmann and Hyvaerinen (2012), JMLR 13.
    """
    model, still = jax.lax.stop_gradient((model, guide))
    pairs = [_drawn(model, still, sequence, k) for k in jax.random.split(key)]

    def logits(states: Array, messages: Any) -> Float[Array, " time"]:
        """Of states at all stamps but the last, and messages of the stamps after."""
        later = jax.tree.map(lambda m: m[1:], messages)
        return jax.vmap(lambda x, m: jnp.asarray(guide.promise(jax.lax.stop_gradient(m), *model.split(x))))(
            states[:-1], later
        )

    total = jnp.zeros(())
    for mine, (states, messages) in enumerate(pairs):
        own, other = logits(states, messages), logits(states, pairs[1 - mine][1])
        each = jax.nn.softplus(-own) + jax.nn.softplus(other)
        total = total + 0.5 * jnp.sum(each if sequence.inside is None else jnp.where(sequence.inside[1:], each, 0.0))
    return total


def _drawn(model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence, key: Any) -> tuple[Array, Any]:
    """States (time, state) of a sequence that the model makes, and what the guide's encoder says of it."""
    steps: Step = with_fields(sequence.steps, previous=None)
    states, y = simulate(model, steps, key)
    if model.reads_previous:
        steps = with_fields(steps, previous=jnp.concatenate([jnp.full_like(y[:1], jnp.nan), y[:-1]]))
    seen = sequence.mask if sequence.shown is None else sequence.shown
    return states, guide.messages(model, y.astype(sequence.y.dtype), seen, steps, sequence.inside)
