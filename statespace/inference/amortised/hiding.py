"""What is hidden from a guide while it learns, so that it learns to do without."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool


class AbstractHiding(eqx.Module):
    """Hide some of what was observed from the guide's encoder, anew at each step of learning.

    The likelihood keeps all of it: a guide that has not seen a value is told by the bound how well it did without. What
    a model is fed back is not hidden, nor what a bound is computed from when nothing is learned.
    """

    @abc.abstractmethod
    def shown(self, key: Any, length: int, series: int) -> Bool[Array, "time series"]:
        """Which elements of a sequence the encoder sees."""


class HiddenElements(AbstractHiding):
    """Hide each element with some probability, by itself: for sensors that fail alone (input dropout).

    Args:
        share: The probability.

    Raises:
        ValueError: If it is not between 0 and 1.

    Example:
        >>> HiddenElements(0.25).shown(jax.random.key(0), 100, 2).shape
        (100, 2)
    """

    share: float = eqx.field(static=True)

    def __check_init__(self):
        _check(self.share)

    def shown(self, key: Any, length: int, series: int) -> Bool[Array, "time series"]:
        """Each element by itself."""
        return jax.random.bernoulli(key, 1 - self.share, (length, series))


class HiddenStretches(AbstractHiding):
    """Hide stretches of whole stamps: for gaps that are to be filled from both sides.

    A stretch begins at each stamp with the probability that hides the wanted share of stamps; stretches may overlap.

    Args:
        share: Share of stamps that are hidden, on average.
        length: Stamps of a stretch.

    Raises:
        ValueError: If the share is not between 0 and 1, or the length below 1.

    Example:
        >>> shown = HiddenStretches(0.3, length=5).shown(jax.random.key(0), 10_000, 1)
        >>> round(float(1 - shown.mean()), 1)
        0.3
    """

    share: float = eqx.field(static=True)
    length: int = eqx.field(static=True)

    def __check_init__(self):
        _check(self.share)
        if not isinstance(self.length, int) or self.length < 1:
            raise ValueError(f"length is {self.length!r}, expected a whole number of at least 1")

    def shown(self, key: Any, length: int, series: int) -> Bool[Array, "time series"]:
        """Whole stamps."""
        chance = 1 - (1 - self.share) ** (1 / self.length)
        begins = jax.random.bernoulli(key, chance, (length + self.length - 1,))  # those before the first stamp, too
        total = jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(begins)])
        hidden = total[self.length :] > total[: -self.length]
        return jnp.broadcast_to(~hidden[:, None], (length, series))


def _check(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"share is {share!r}, expected a share between 0 and 1")
