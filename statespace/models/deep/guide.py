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
from .model import DeepStateSpace, with_length
from .proposals import AbstractProposal, Combiner, MeanField
from .twist import Twist


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

    @property
    def twisted(self) -> bool:
        """Whether it promises anything of the future."""
        return False

    def promise(self, messages: Any, h: Float[Array, " path"], z: Float[Array, " latent"]) -> Float[Array, ""] | None:
        """How well a particle agrees with what is to come, by a twist; None without one.

        Args:
            messages: Those of a stamp.
            h: The model's path at the stamp before.
            z: The latent state at the stamp before.
        """
        del messages, h, z

    def memory(self, model: DeepStateSpace) -> Any:
        """What a guide carries from one part of a sequence to the next, before the first part.

        Raises:
            ValueError: If it carries nothing, so that its sequences cannot be cut.
        """
        del model
        raise ValueError(f"{type(self).__name__} sees a sequence as a whole, so that it cannot be learned with window=")

    def messages_along(
        self, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any, memory: Any
    ) -> tuple[tuple[Float[Array, "time message"], ...], Any]:
        """The messages of a part of a sequence, and what is carried to the next part."""
        del memory
        return self.messages(model, y, present, steps, inside), self.memory(model)


class Guide(AbstractGuide):
    """A guide of networks: an encoder, run once over a sequence, and a proposal at each stamp.

        q(z | x) = product over t of proposal(z[t] | messages[t], h[t], z[t-1])

    Args:
        encoder: What is known of the sequence; None for a proposal that reads no messages.
        proposal: The law of the latent state at a stamp.
        twist: What particles are resampled by beside their weights: how well they agree with the future. None for their
            weights alone.
        skips: Whether the model's own law is proposed at stamps where nothing is observed, which then change no weight.

    Raises:
        TypeError: If the proposal or the twist is none.
        ValueError: If a proposal that combines messages has no encoder, or a twist one that knows more than the future.

    Example:
        >>> from statespace.models.deep import Prior
        >>> Guide(None, Prior()).direction
        'none'

    Reference: Krishnan, Shalit and Sontag (2017), section 5; Girin et al. (2021), section 4.2.
    """

    encoder: Encoder | None
    proposal: AbstractProposal
    twist: Twist | None
    skips: bool = eqx.field(static=True)

    def __init__(
        self, encoder: Encoder | None, proposal: AbstractProposal, *, twist: Twist | None = None, skips: bool = False
    ):
        self.encoder, self.proposal, self.twist, self.skips = encoder, proposal, twist, skips

    def __check_init__(self):
        if not isinstance(self.proposal, AbstractProposal):
            raise TypeError(f"Guide takes an encoder and a proposal, got {type(self.proposal).__name__} for the latter")
        if self.encoder is None and isinstance(self.proposal, Combiner | MeanField):
            raise ValueError(f"{type(self.proposal).__name__} combines messages: give an encoder")
        if self.twist is None:
            return
        if not isinstance(self.twist, Twist):
            raise TypeError(f"twist= takes a Twist, got {type(self.twist).__name__}")
        if self.encoder is None or self.encoder.forward is not None or self.encoder.path:
            raise ValueError(
                "a twist compares states with messages about the future alone: give an encoder with backward=, and "
                "without forward= and path=True"
            )

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
        return self.messages_along(model, y, present, steps, inside, self.memory(model))[0]

    def memory(self, model: DeepStateSpace) -> Any:
        """The state of the encoder's forward recursion, and the path that it is shown, before the first stamp."""
        if self.encoder is None:
            return None, None
        forward = None if self.encoder.forward is None else self.encoder.forward.start()
        return forward, model.dynamics.start()[0] if self.encoder.path else None

    def messages_along(
        self, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any, memory: Any
    ) -> tuple[tuple[Float[Array, "time message"], ...], Any]:
        """The messages of a part of a sequence; arguments as of `AbstractGuide`."""
        if self.encoder is None:
            return (), memory
        forward, h = memory
        path = path_of(model, steps, present, h) if self.encoder.path else None
        shown, dt = _shown(self.encoder, model, y, present, steps, path)
        messages, forward = self.encoder.along(shown, state=forward, inside=inside, dt=dt)
        return messages, (forward, None if path is None else path[-1])

    @property
    def twisted(self) -> bool:
        """Whether there is a twist."""
        return self.twist is not None

    def promise(self, messages: Any, h: Float[Array, " path"], z: Float[Array, " latent"]) -> Float[Array, ""] | None:
        """What the twist says; arguments as of `AbstractGuide`."""
        return None if self.twist is None else self.twist(messages, h, z)

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
    path = path_of(model, steps, present) if encoder.path else None
    shown, dt = _shown(encoder, model, y, present, steps, path)
    return encoder(shown, inside=inside, dt=dt)


def _shown(
    encoder: Encoder, model: DeepStateSpace, y: Array, present: Any, steps: Step, path: Any
) -> tuple[Array, Any]:
    """What an encoder sees of each stamp, and the time since the one before; nothing came before the first of all."""
    inputs = None
    if model.columns:
        inputs = jnp.asarray(steps.inputs)
        inputs = inputs if model.input_unit is None else inputs / model.input_unit
    shown = frames(y, present, jax.vmap(model.head.feature), inputs, path, encoder.masks)
    return shown, None if steps.spacing is None else jnp.where(steps.index > 0, steps.spacing, 1.0)


def fed_along(model: DeepStateSpace, steps: Step, present: Any = None) -> Float[Array, "time fed"]:
    """What the dynamics are fed at each stamp; an observation that is missing is fed back as a typical value."""

    def one(step: Step) -> Array:
        fed = model.fed(step)
        if present is None or not model.feedback:
            return fed
        seen = ~jnp.isnan(jnp.asarray(step.previous))
        kept = jnp.repeat(seen, model.head.features // model.num_series)
        return fed.at[: len(kept)].set(jnp.where(kept, fed[: len(kept)], 0.0))

    return jax.vmap(one)(steps)


def path_of(model: DeepStateSpace, steps: Step, present: Any = None, h: Any = None) -> Float[Array, "time path"]:
    """The model's deterministic path over a sequence; an observation that is missing is fed back as a typical value.

    Args:
        model: The model.
        steps: The stamps, with the observations before them.
        present: None where nothing is missing.
        h: The path at the stamp before; the dynamics' start when left out.

    Raises:
        ValueError: If it depends on latent states.
    """
    dynamics = model.dynamics
    if dynamics.path == 0 or dynamics.reads_latent:
        raise ValueError(f"{type(dynamics).__name__} has no path that is known before latent states are drawn")
    start, z = dynamics.start()

    def body(h: Array, slot: Any) -> tuple[Array, Array]:
        h = dynamics.advance(h, z, slot[1], with_length(slot[0]))
        return h, h

    return jax.lax.scan(body, start if h is None else h, (steps, fed_along(model, steps, present)))[1]
