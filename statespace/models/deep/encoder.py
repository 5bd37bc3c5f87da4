"""What a guide sees of a sequence before any latent state is drawn."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..layers.block import run
from ..recursion import AbstractRecursion
from .networks import MLP

DIRECTIONS = ("none", "forward", "backward", "both")


class Encoder(eqx.Module):
    """Messages about a sequence for each of its stamps: from the stamp itself, from the past, from the future.

        e[t] = network([features of y[t], which are present, fed inputs, path])
        forward[t]  = recursion over e[1], ..., e[t]
        backward[t] = recursion over e[T], ..., e[t]

    Missing observations enter as zeros (a typical value). What lies beyond the end of a padded sequence is not seen.

    Args:
        network: On each stamp.
        forward: Recursion from the first stamp on: a cell, a layer or a stack; None for no message from the past.
        backward: Recursion from the last stamp back; None for no message from the future.
        masks: Whether the network is told which observations are present, by ones and zeros.
        path: Whether the network sees the model's deterministic path too, which must not depend on latent states.

    Raises:
        ValueError: If a recursion has another number of inputs than the network outputs.

    Example:
        >>> from statespace.models.recurrent import GRU
        >>> Encoder(MLP([3, 8], key=0), backward=GRU(8, 5, key=1)).sizes
        (5,)

    Reference: Krishnan, Shalit and Sontag (2017), section 5.
    """

    network: MLP
    forward: AbstractRecursion | None = None
    backward: AbstractRecursion | None = None
    masks: bool = eqx.field(static=True, default=False)
    path: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        for name in ("forward", "backward"):
            recursion = getattr(self, name)
            if recursion is not None and recursion.input_size != self.network.output_size:
                raise ValueError(
                    f"the {name} recursion has {recursion.input_size} inputs, but the network has "
                    f"{self.network.output_size} outputs"
                )

    @property
    def direction(self) -> str:
        """Of what it tells: "none" (the stamp alone), "forward", "backward" or "both"."""
        return DIRECTIONS[(self.forward is not None) + 2 * (self.backward is not None)]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of the messages: one, or two where it runs both ways."""
        found = tuple(r.output_size for r in (self.forward, self.backward) if r is not None)
        return found or (self.network.output_size,)

    def __call__(
        self,
        frames: Float[Array, "time features"],
        *,
        inside: Bool[Array, " time"] | None = None,
        dt: Float[Array, " time"] | None = None,
    ) -> tuple[Float[Array, "time message"], ...]:
        """The messages.

        Args:
            frames: What the network sees of each stamp.
            inside: False beyond the end of the sequence; None where nothing lies there.
            dt: Time since the stamp before, for recursions that read it.
        """
        return self.along(frames, inside=inside, dt=dt)[0]

    def along(
        self,
        frames: Float[Array, "time features"],
        *,
        state: Any = None,
        inside: Bool[Array, " time"] | None = None,
        dt: Float[Array, " time"] | None = None,
    ) -> tuple[tuple[Float[Array, "time message"], ...], Any]:
        """The messages of a part of a sequence, and the forward recursion's state after it; no later part is seen.

        Args:
            frames: What the network sees of each stamp.
            state: The forward recursion's state after the part before; None at the beginning.
            inside: False beyond the end of the sequence; None where nothing lies there.
            dt: Time since the stamp before, for recursions that read it.
        """
        e = self.network(frames)
        found = []
        if self.forward is not None:
            own = dt if self.forward.reads_dt else None
            forth, state = run(self.forward, e, state, own, inside, "auto")
            found.append(forth)
        if self.backward is not None:
            turned = None if inside is None else jnp.flip(inside)
            own = None if dt is None or not self.backward.reads_dt else jnp.roll(jnp.flip(dt), 1)
            back = run(self.backward, jnp.flip(e, 0), None, own, turned, "auto")[0]
            found.append(jnp.flip(back, 0))
        return tuple(found) or (e,), state


def frames(y: Array, present: Any, features: Any, inputs: Any, path: Any, masks: bool) -> Float[Array, "time frame"]:
    """What the network of an encoder sees.

    Args:
        y: Observations (time, series); anything where missing.
        present: Which of them are there, (time, series); None where all are.
        features: Function of the observations of a stamp.
        inputs: What else is known of each stamp, (time, inputs), or None.
        path: The model's deterministic path, (time, path), or None.
        masks: Whether to add which are present.
    """
    seen = features(y)
    if present is not None:
        each = seen.shape[-1] // y.shape[-1]  # categories have several features a series
        seen = jnp.where(jnp.repeat(present, each, axis=-1), seen, 0.0)
    shown = [] if not masks else [jnp.ones(y.shape, y.dtype) if present is None else present.astype(y.dtype)]
    return jnp.concatenate([seen, *shown, *(x for x in (inputs, path) if x is not None)], axis=-1)
