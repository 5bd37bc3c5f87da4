"""How particles of a deep model move by a guide, and the weights that they get."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ...core.belief import Taught
from ...core.draws import sample_each
from ...core.missing import masked_log_prob
from ...core.step import Step
from ...models.deep import AbstractGuide, DeepStateSpace
from ...models.deep.guide import path_of
from ...models.deep.laws import Law, either, log_density_each, moved
from ..moves import state_of, with_previous


class Frame(NamedTuple):
    """One stamp of a sequence, or with a leading time axis all of them.

    Attributes:
        step: The stamp, with the observation before it where the model reads that.
        y: The observation; anything finite where missing.
        mask: Which are present; None where nothing is missing at any stamp.
        messages: What the guide knows of the stamp.
        inside: False beyond the end of the sequence; None where nothing lies there.
        shown: Which elements the guide has seen; None for those that are present.
        path: The model's path, where it is known before latent states are drawn; None where each particle has its own.
    """

    step: Step
    y: Float[Array, "*time series"]
    mask: Bool[Array, "*time series"] | None
    messages: tuple[Float[Array, "*time message"], ...]
    inside: Bool[Array, "*time"] | None
    shown: Bool[Array, "*time series"] | None = None
    path: Float[Array, "*time path"] | None = None


class Sequence(eqx.Module):
    """A sequence, or with a leading axis a batch of them, padded to one length.

    Attributes:
        y: Observations, (time, series); anything finite where missing.
        mask: Which are present; None where nothing is missing.
        steps: The stamps, with the observation before each, NaN where missing, for a model that reads it.
        inside: False beyond the end; None where nothing lies there.
        shown: Which elements the guide's encoder sees, where that is less than what is present; None where it is not.
    """

    y: Float[Array, "*batch time series"]
    mask: Bool[Array, "*batch time series"] | None
    steps: Step
    inside: Bool[Array, "*batch time"] | None = None
    shown: Bool[Array, "*batch time series"] | None = None

    def frames(self, model: DeepStateSpace, guide: AbstractGuide, *, whole: bool = True) -> Frame:
        """All stamps of one sequence, with the messages of a guide.

        Args:
            model: The model.
            guide: The guide.
            whole: Whether particles begin with it, so that a path that depends on no draw is that from the start.
        """
        messages = guide.messages(model, self.y, self._seen, self.steps, self.inside)
        dynamics, drawn = model.dynamics, model.feedback and self.mask is not None
        known = whole and dynamics.path > 0 and not dynamics.reads_latent and not drawn
        path = path_of(model, self.steps) if known else None
        return Frame(self.steps, self.y, self.mask, messages, self.inside, self.shown, path)

    def frames_along(self, model: DeepStateSpace, guide: AbstractGuide, memory: Any) -> tuple[Frame, Any]:
        """All stamps of a part of a sequence, and what the guide carries to the next part."""
        messages, memory = guide.messages_along(model, self.y, self._seen, self.steps, self.inside, memory)
        return Frame(self.steps, self.y, self.mask, messages, self.inside, self.shown), memory

    @property
    def stamps(self) -> Any:
        """How many stamps have an observation: what a bound in nats a stamp is counted by."""
        if self.mask is not None:
            return jnp.sum(jnp.any(self.mask, axis=-1))
        return math.prod(self.y.shape[:-1]) if self.inside is None else jnp.sum(self.inside)

    @property
    def _seen(self) -> Any:
        """What the encoder sees."""
        return self.mask if self.shown is None else self.shown


class Proposed(NamedTuple):
    """A move of one particle.

    Attributes:
        x: The new state.
        prior: The model's law of the new latent states.
        guide: The guide's law of them.
    """

    x: Float[Array, " state"]
    prior: Law
    guide: Law


def proposed(
    model: DeepStateSpace, guide: AbstractGuide, parent: Any, frame: Frame, noise: Float[Array, " latent"]
) -> Proposed:
    """A particle moved by the guide, with given standard normal noise.

    Args:
        model: The model.
        guide: The guide.
        parent: The particle at the stamp before; the model's start at the first stamp.
        frame: The stamp.
        noise: The noise.
    """
    x, step = state_of(parent), with_previous(frame.step, parent)
    if frame.path is None:
        h, prior = model.ahead(x, step)
    else:
        h, prior = frame.path, model.law(frame.path, model.split(x)[1], step)
    law = guided(model, guide, x, h, prior, frame)
    return Proposed(jnp.concatenate([h, moved(law, noise)]), prior, law)


def guided(
    model: DeepStateSpace, guide: AbstractGuide, x: Any, h: Float[Array, " path"], prior: Law, frame: Frame
) -> Law:
    """The law of the latent states that a guide proposes.

    Args:
        model: The model.
        guide: The guide.
        x: The state at the stamp before; the model's start at the first stamp.
        h: The path at the stamp.
        prior: The model's law.
        frame: The stamp.
    """
    law = guide.propose(model, frame.messages, h, model.split(x)[1], prior)
    seen = frame.mask if frame.shown is None else frame.shown
    if not guide.skips or seen is None:
        return law
    return either(jnp.any(seen), law, prior)


def log_ratio(model: DeepStateSpace, move: Proposed) -> Float[Array, " latent"]:
    """Log p(z) - log q(z) of each latent state, in joint laws given those before it."""
    z = model.split(move.x)[1]
    return log_density_each(move.prior, z) - log_density_each(move.guide, z)


def seen_density(model: DeepStateSpace, x: Float[Array, " state"], frame: Frame) -> Float[Array, ""]:
    """The log density of what is present at a stamp, given the state."""
    return masked_log_prob(model.emission(x, frame.step), frame.y, frame.mask)


def with_seen(model: DeepStateSpace, x: Float[Array, "particle state"], frame: Frame, key: Any) -> Any:
    """Particles with the observation that they are fed next, which is drawn where it is missing.

    Drawn from the model itself it changes no weight: the bound stays one. No derivative flows through it.
    """
    if not model.reads_previous or frame.mask is None:
        return x
    drawn = sample_each(lambda one: model.emission(one, frame.step), x, key)
    seen = jnp.where(frame.mask, frame.y, drawn.reshape(-1, *frame.y.shape).astype(frame.y.dtype))
    return Taught(x, jax.lax.stop_gradient(seen))


def begun(model: DeepStateSpace, frame: Frame | Sequence, num_particles: int) -> Any:
    """So many particles before the first stamp, with what they carry beside the state.

    Args:
        model: The model.
        frame: Any frame of the data, or all of them.
        num_particles: How many.
    """
    x = jnp.broadcast_to(model.start, (num_particles, len(model.state_names)))
    if not model.reads_previous or frame.mask is None:
        return x
    return Taught(x, jnp.zeros((num_particles, model.num_series), frame.y.dtype))


class AmortisedMoves(eqx.Module):
    """Particles that move by a guide: the functions of `FeynmanKac`.

    Attributes:
        model: The model.
        guide: The guide.
        num_particles: How many.
    """

    model: DeepStateSpace
    guide: AbstractGuide
    num_particles: int = eqx.field(static=True)

    def look_ahead(self, x: Any, slot: Frame) -> Float[Array, " particle"] | None:
        """What the guide's twist promises of each particle; None without one."""
        if not self.guide.twisted:
            return None
        promised = jax.vmap(lambda one: self.guide.promise(slot.messages, *self.model.split(one)))(state_of(x))
        promised: Any = jax.lax.stop_gradient(promised)  # the twist is learned apart
        return promised if slot.inside is None else jnp.where(slot.inside, promised, 0.0)

    def move(self, parents: Any, slot: Frame, key: Any) -> tuple[Any, Array]:
        """Draws from the guide, with the observation's log density and the ratio of prior and guide."""
        noise_key, fill_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, (self.num_particles, self.model.dynamics.latent), slot.y.dtype)
        parents = self._parents(parents, slot)

        def one(parent: Any, e: Array) -> tuple[Array, Array]:
            move = proposed(self.model, self.guide, parent, slot, e)
            return move.x, jnp.sum(log_ratio(self.model, move)) + seen_density(self.model, move.x, slot)

        x, log_g = jax.vmap(one)(parents, noise)
        new = with_seen(self.model, x, slot, fill_key)
        inside = slot.inside
        if inside is None:
            return new, log_g
        return jax.tree.map(lambda a, b: jnp.where(inside, a, b), new, parents), jnp.where(inside, log_g, 0.0)

    def weigh(self, x: Any, parents: Any, slot: Frame) -> Array:
        """The log weights of given moves."""
        none = jnp.zeros(self.model.dynamics.latent, slot.y.dtype)

        def one(new: Any, parent: Any) -> Array:
            move = proposed(self.model, self.guide, parent, slot, none)
            move = move._replace(x=jnp.concatenate([self.model.split(move.x)[0], self.model.split(state_of(new))[1]]))
            return jnp.sum(log_ratio(self.model, move)) + seen_density(self.model, move.x, slot)

        return jax.vmap(one)(x, self._parents(parents, slot))

    def _parents(self, parents: Any, slot: Frame) -> Any:
        return begun(self.model, slot, self.num_particles) if parents is None else parents
