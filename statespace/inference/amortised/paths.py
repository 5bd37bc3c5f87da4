"""Paths drawn from a guide without resampling, and everything that bounds are made of."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...models.deep import AbstractGuide, DeepStateSpace
from ..moves import state_of
from .moves import Frame, Sequence, begun, divergence, guided, log_ratio, proposed, seen_density, with_seen


class Paths(NamedTuple):
    """Draws of a whole sequence from a guide; zero beyond its end.

    Attributes:
        x: States, (time, particle, state).
        seen: Log densities of the observations, (time, particle).
        ratio: log p - log q of the latent states, (time, particle, latent).
        divergence: KL(q || p) given the states before, (time, particle, latent).
    """

    x: Float[Array, "time particle state"]
    seen: Float[Array, "time particle"]
    ratio: Float[Array, "time particle latent"]
    divergence: Float[Array, "time particle latent"]


def draw_paths(
    model: DeepStateSpace,
    guide: AbstractGuide,
    sequence: Sequence,
    num_particles: int,
    key: Any,
    *,
    sticking: bool = False,
) -> Paths:
    """Draw paths from a guide, differentiable through the draws.

    Only what a draw depends on is computed stamp by stamp; the emission is evaluated for all stamps at once.

    Args:
        model: The model.
        guide: The guide.
        sequence: The data.
        num_particles: Number of paths.
        key: PRNG key.
        sticking: Whether log q has no derivative by the guide's own parameters, only through the draws ("sticking the
            landing"): that derivative is zero on average, and all noise where the guide is the posterior.

    Reference: Roeder, Wu and Duvenaud (2017), "Sticking the landing", NeurIPS.
    """
    frames = sequence.frames(model, guide)
    length, size = frames.y.shape[0], (num_particles, model.dynamics.latent)
    still = jax.lax.stop_gradient(guide) if sticking else None
    keys = jax.random.split(key, length)

    def move(parents: Any, frame: Frame, key: Any) -> tuple[Any, Any]:
        noise_key, fill_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, size, frame.y.dtype)

        def one(parent: Any, e: Array) -> Any:
            found = proposed(model, guide, parent, frame, e)
            return found.x, _ratio(model, still, found, parent, frame), divergence(found)

        x, ratio, kl = jax.vmap(one)(parents, noise)
        new = with_seen(model, x, frame, fill_key)
        return new, (x, ratio, kl)

    start = begun(model, frames, num_particles)
    _, (x, ratio, kl) = jax.lax.scan(lambda x, slot: move(x, *slot), start, (frames, keys))
    seen = jax.vmap(lambda xs, frame: jax.vmap(lambda one: seen_density(model, one, frame))(xs))(x, frames)
    if sequence.inside is not None:
        seen = jnp.where(sequence.inside[:, None], seen, 0.0)
        ratio, kl = (jnp.where(sequence.inside[:, None, None], v, 0.0) for v in (ratio, kl))
    return Paths(x, seen, ratio, kl)


def _ratio(model: DeepStateSpace, still: AbstractGuide | None, found: Any, parent: Any, frame: Frame) -> Array:
    """Log p - log q of a move, with the guide's parameters held in q if a guide that is still is given."""
    if still is None:
        return log_ratio(model, found)
    frame = frame._replace(messages=jax.lax.stop_gradient(frame.messages))
    law = guided(model, still, state_of(parent), model.split(found.x)[0], found.prior, frame)
    return log_ratio(model, found._replace(guide=law))
