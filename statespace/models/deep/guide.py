"""Guides: the family of posteriors that a deep model is learned with."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Normal

from ...core.step import Step
from .encoder import Encoder, frames
from .model import DeepStateSpace
from .proposals import AbstractProposal, Combiner, MeanField


class Guide(eqx.Module):
    """An amortised posterior: an encoder, run once over a sequence, and a proposal at each stamp.

        q(z | x) = product over t of proposal(z[t] | messages[t], h[t], z[t-1])

    Args:
        encoder: What is known of the sequence; None for a proposal that reads no messages.
        proposal: The law of the latent state at a stamp.

    Example:
        >>> from statespace.models.deep import Prior
        >>> Guide(None, Prior()).direction
        'none'

    Reference: Krishnan, Shalit and Sontag (2017), section 5; Girin et al. (2021), section 4.2.
    """

    encoder: Encoder | None
    proposal: AbstractProposal

    def __check_init__(self):
        if not isinstance(self.proposal, AbstractProposal):
            raise TypeError(f"Guide takes an encoder and a proposal, got {type(self.proposal).__name__} for the latter")
        if self.encoder is None and isinstance(self.proposal, Combiner | MeanField):
            raise ValueError(f"{type(self.proposal).__name__} combines messages: give an encoder")

    @property
    def direction(self) -> str:
        """From where messages come: "none", "forward", "backward" or "both"; the first two know no future."""
        return "none" if self.encoder is None else self.encoder.direction

    @property
    def looks_ahead(self) -> bool:
        """Whether a proposal depends on later observations: a smoother's, which cannot be gone on with."""
        return self.direction in ("backward", "both")

    def messages(
        self, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any = None
    ) -> tuple[Float[Array, "time message"], ...]:
        """What the encoder says of each stamp of a sequence.

        Args:
            model: The model.
            y: Observations (time, series); any finite number where missing.
            present: Which are there, (time, series); None where all are.
            steps: The stamps, with the observations before them where the model reads those.
            inside: False beyond the end of the sequence, (time,); None where nothing lies there.

        Raises:
            ValueError: If the encoder wants the path of a model whose path depends on latent states.
        """
        if self.encoder is None:
            return ()
        inputs = None
        if model.columns:
            inputs = jnp.asarray(steps.inputs)
            inputs = inputs if model.input_unit is None else inputs / model.input_unit
        path = path_of(model, steps, present) if self.encoder.path else None
        features = jax.vmap(model.head.feature)
        shown = frames(y, present, features, inputs, path, self.encoder.masks)
        dt = None if steps.spacing is None else steps.spacing.at[0].set(1.0)  # nothing came before the first stamp
        return self.encoder(shown, inside=inside, dt=dt)

    def propose(self, messages: Any, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Normal) -> Normal:
        """The proposed laws of the latent state at a stamp; arguments as of `AbstractProposal`."""
        return self.proposal(messages, h, z, prior)


def path_of(model: DeepStateSpace, steps: Step, present: Any = None) -> Float[Array, "time path"]:
    """The model's deterministic path over a sequence; an observation that is missing is fed back as a typical value.

    Raises:
        ValueError: If it depends on latent states.
    """
    dynamics = model.dynamics
    if dynamics.path == 0 or dynamics.reads_latent:
        raise ValueError(f"{type(dynamics).__name__} has no path that is known before latent states are drawn")
    before = None if present is None else jnp.concatenate([present[:1], present[:-1]])
    h, z = dynamics.start()

    def body(h: Array, slot: Any) -> tuple[Array, Array]:
        step, seen, first = slot
        fed = jnp.where(first, model.fed(step, started=False), model.fed(step))
        if seen is not None and model.feedback:
            each = model.head.features // model.num_series
            kept = jnp.repeat(seen, each)
            fed = fed.at[: len(kept)].set(jnp.where(kept, fed[: len(kept)], 0.0))
        h = dynamics.advance(h, z, fed, step)
        return h, h

    first = steps.index == 0
    return jax.lax.scan(body, h, (steps, before, first))[1]
