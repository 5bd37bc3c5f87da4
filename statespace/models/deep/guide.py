"""Guides: the family of posteriors that a deep model is learned with."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.step import Step
from .encoder import Encoder, frames
from .laws import Law
from .model import DeepStateSpace
from .proposals import AbstractProposal, Combiner, MeanField


class AbstractGuide(eqx.Module):
    """An amortised posterior: messages about a sequence, made once, and from them a law at each stamp.

        q(z | x) = product over t of law(z[t] | messages[t], h[t], z[t-1])

    Attributes:
        skips: Whether the model's own law is taken at stamps where nothing is observed.
    """

    skips: eqx.AbstractVar[bool]

    @property
    @abc.abstractmethod
    def direction(self) -> str:
        """From where messages come: "none", "forward", "backward" or "both"; the first two know no future."""

    @property
    def looks_ahead(self) -> bool:
        """Whether a proposal depends on later observations: a smoother's, which cannot be gone on with."""
        return self.direction in ("backward", "both")

    @abc.abstractmethod
    def messages(
        self, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any = None
    ) -> tuple[Float[Array, "time *message"], ...]:
        """What is known of each stamp before any latent state is drawn.

        Args:
            model: The model.
            y: Observations (time, series); any finite number where missing.
            present: Which are there, (time, series); None where all are.
            steps: The stamps, with the observations before them where the model reads those.
            inside: False beyond the end of the sequence, (time,); None where nothing lies there.
        """

    @abc.abstractmethod
    def propose(
        self, model: DeepStateSpace, messages: Any, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law
    ) -> Law:
        """The proposed law of the latent states at a stamp.

        Args:
            model: The model.
            messages: Those of the stamp.
            h: The model's path at the stamp.
            z: The latent state at the stamp before.
            prior: The model's law of the latent states at the stamp.
        """


class Guide(AbstractGuide):
    """A guide of networks: an encoder, run once over a sequence, and a proposal at each stamp.

        q(z | x) = product over t of proposal(z[t] | messages[t], h[t], z[t-1])

    Args:
        encoder: What is known of the sequence; None for a proposal that reads no messages.
        proposal: The law of the latent state at a stamp.
        skips: Whether the model's own law is proposed at stamps where nothing is observed, which then change no weight.

    Raises:
        TypeError: If the proposal is none.
        ValueError: If a proposal that combines messages has no encoder.

    Example:
        >>> from statespace.models.deep import Prior
        >>> Guide(None, Prior()).direction
        'none'

    Reference: Krishnan, Shalit and Sontag (2017), section 5; Girin et al. (2021), section 4.2.
    """

    encoder: Encoder | None
    proposal: AbstractProposal
    skips: bool = eqx.field(static=True)

    def __init__(self, encoder: Encoder | None, proposal: AbstractProposal, *, skips: bool = False):
        self.encoder, self.proposal, self.skips = encoder, proposal, skips

    def __check_init__(self):
        if not isinstance(self.proposal, AbstractProposal):
            raise TypeError(f"Guide takes an encoder and a proposal, got {type(self.proposal).__name__} for the latter")
        if self.encoder is None and isinstance(self.proposal, Combiner | MeanField):
            raise ValueError(f"{type(self.proposal).__name__} combines messages: give an encoder")

    @property
    def direction(self) -> str:
        """From where the encoder's messages come."""
        return "none" if self.encoder is None else self.encoder.direction

    def messages(
        self, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any = None
    ) -> tuple[Float[Array, "time message"], ...]:
        """What the encoder says of each stamp of a sequence; arguments as of `AbstractGuide`.

        Raises:
            ValueError: If the encoder wants the path of a model whose path depends on latent states.
        """
        return () if self.encoder is None else encoded(self.encoder, model, y, present, steps, inside)

    def propose(
        self, model: DeepStateSpace, messages: Any, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law
    ) -> Law:
        """What the proposal says; arguments as of `AbstractGuide`."""
        del model
        return self.proposal(messages, h, z, prior)


def encoded(
    encoder: Encoder, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any = None
) -> tuple[Float[Array, "time message"], ...]:
    """What an encoder says of each stamp of a sequence; arguments as of `AbstractGuide.messages`.

    Raises:
        ValueError: If the encoder wants the path of a model whose path depends on latent states.
    """
    inputs = None
    if model.columns:
        inputs = jnp.asarray(steps.inputs)
        inputs = inputs if model.input_unit is None else inputs / model.input_unit
    path = path_of(model, steps, present) if encoder.path else None
    shown = frames(y, present, jax.vmap(model.head.feature), inputs, path, encoder.masks)
    dt = None if steps.spacing is None else jnp.where(steps.index > 0, steps.spacing, 1.0)  # nothing came before
    return encoder(shown, inside=inside, dt=dt)


def fed_along(model: DeepStateSpace, steps: Step, present: Any = None) -> Float[Array, "time fed"]:
    """What the dynamics are fed at each stamp; an observation that is missing is fed back as a typical value."""
    before = None if present is None else jnp.concatenate([present[:1], present[:-1]])

    def one(slot: Any) -> Array:
        step, seen = slot
        fed = model.fed(step)
        if seen is None or not model.feedback:
            return fed
        kept = jnp.repeat(seen, model.head.features // model.num_series)
        return fed.at[: len(kept)].set(jnp.where(kept, fed[: len(kept)], 0.0))

    return jax.vmap(one)((steps, before))


def path_of(model: DeepStateSpace, steps: Step, present: Any = None) -> Float[Array, "time path"]:
    """The model's deterministic path over a sequence; an observation that is missing is fed back as a typical value.

    Raises:
        ValueError: If it depends on latent states.
    """
    dynamics = model.dynamics
    if dynamics.path == 0 or dynamics.reads_latent:
        raise ValueError(f"{type(dynamics).__name__} has no path that is known before latent states are drawn")
    h, z = dynamics.start()

    def body(h: Array, slot: Any) -> tuple[Array, Array]:
        h = dynamics.advance(h, z, slot[1], slot[0])
        return h, h

    return jax.lax.scan(body, h, (steps, fed_along(model, steps, present)))[1]
