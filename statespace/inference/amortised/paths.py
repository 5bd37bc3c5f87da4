"""Paths drawn from a guide without resampling, and everything that bounds are made of."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...models.deep import AbstractGuide, DeepStateSpace
from ...models.deep.laws import divergence_each, log_density_each
from ..moves import state_of, with_previous
from .moves import Frame, Sequence, begun, guided, proposed, seen_density, with_seen


class Paths(NamedTuple):
    """Draws of a whole sequence from a guide; zero beyond its end.

    Attributes:
        x: States, (time, particle, state).
        seen: Log densities of the observations, (time, particle).
        ratio: log p - log q of the latent states, (time, particle, latent).
        divergence: KL(q || p) given the states before, (time, particle, latent).
        last: The particles at the last stamp, from which the next part of a sequence goes on.
    """

    x: Float[Array, "time particle state"]
    seen: Float[Array, "time particle"]
    ratio: Float[Array, "time particle latent"]
    divergence: Float[Array, "time particle latent"]
    last: Any


def draw_paths(
    model: DeepStateSpace,
    guide: AbstractGuide,
    sequence: Sequence,
    num_particles: int,
    key: Any,
    *,
    sticking: bool = False,
) -> Paths:
    """Draw paths of a whole sequence from a guide, differentiable through the draws.

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
    return continued(model, guide, frames, begun(model, frames, num_particles), key, sticking=sticking)


def continued(
    model: DeepStateSpace, guide: AbstractGuide, frames: Frame, start: Any, key: Any, *, sticking: bool = False
) -> Paths:
    """The paths over some frames from given particles on; arguments as of `draw_paths`.

    Only what a draw depends on is computed stamp by stamp; all densities are evaluated for all stamps at once.
    """
    count = len(state_of(start))
    length, size = frames.y.shape[0], (count, model.dynamics.latent)

    def move(parents: Any, slot: Any) -> tuple[Any, Any]:
        frame, key = slot
        noise_key, fill_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, size, frame.y.dtype)
        x = jax.vmap(lambda parent, e: proposed(model, guide, parent, frame, e).x)(parents, noise)
        new = with_seen(model, x, frame, fill_key)
        return new, new

    last, new = jax.lax.scan(move, start, (frames, jax.random.split(key, length)))
    parents = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b[:-1]]), start, new)
    still = jax.lax.stop_gradient(guide) if sticking else None

    def densities(frame: Frame, parent: Any, x: Array) -> tuple[Array, Array, Array]:
        prior, law = _laws(model, guide, frame, parent, x)
        z = model.split(x)[1]
        divergence = divergence_each(law, prior)
        if still is not None:
            frame_still = frame._replace(messages=jax.lax.stop_gradient(frame.messages))
            law = _laws(model, still, frame_still, parent, x)[1]
        return seen_density(model, x, frame), log_density_each(prior, z) - log_density_each(law, z), divergence

    x = state_of(new)
    over_particles = jax.vmap(densities, in_axes=(None, 0, 0))
    seen, ratio, divergence = jax.vmap(over_particles)(frames, parents, x)
    if frames.inside is not None:
        seen = jnp.where(frames.inside[:, None], seen, 0.0)
        ratio, divergence = (jnp.where(frames.inside[:, None, None], v, 0.0) for v in (ratio, divergence))
    return Paths(x, seen, ratio, divergence, last)


def _laws(model: DeepStateSpace, guide: AbstractGuide, frame: Frame, parent: Any, x: Array) -> Any:
    """The model's and the guide's law of the latent states of a particle, whose path is known."""
    h = model.split(x)[0]
    prior = model.law(h, model.split(state_of(parent))[1], with_previous(frame.step, parent))
    return prior, guided(model, guide, state_of(parent), h, prior, frame)
