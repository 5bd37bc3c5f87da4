"""Sequences of different lengths in batches of few shapes: what is padded is wasted, and each shape is compiled."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from ...core.step import Step
from .moves import Sequence

_CANDIDATES = 200  # lengths among which shapes are chosen


class Corpus(NamedTuple):
    """Sequences on the host.

    Attributes:
        y: Observations of each, (time, series); anything finite where missing.
        mask: Which are present.
        inputs: Input values, (time, inputs); None where the model reads none.
        spacing: Time since the stamp before; None where all are regular.
        reads_previous: Whether steps carry the observation before.
    """

    y: list[Float[np.ndarray, "time series"]]
    mask: list[Bool[np.ndarray, "time series"]]
    inputs: list[Float[np.ndarray, "time inputs"]] | None
    spacing: list[Float[np.ndarray, " time"]] | None
    reads_previous: bool

    @property
    def lengths(self) -> np.ndarray:
        """Number of stamps of each."""
        return np.array([len(y) for y in self.y])

    @property
    def stamps(self) -> int:
        """How many stamps have an observation, at least 1."""
        return max(sum(int(mask.any(axis=1).sum()) for mask in self.mask), 1)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return all(bool(mask.all()) for mask in self.mask)

    def taken(self, which: Any) -> "Corpus":
        """Some of the sequences."""
        parts = ([part[i] for i in which] if isinstance(part, list) else part for part in self)
        return Corpus(*parts)  # pyright: ignore[reportArgumentType]  the last field is no list

    def batch(self, which: Any, length: int, size: int) -> Sequence:
        """Sequences of given numbers, padded to one length, and with empty ones to one number of them."""
        y = _padded([self.y[i] for i in which], length, size)
        mask = _padded([self.mask[i] for i in which], length, size)
        inside = np.arange(length) < np.pad(self.lengths[list(which)], (0, size - len(which)))[:, None]
        dtype = jnp.result_type(float)
        previous = None
        if self.reads_previous:
            seen = np.where(mask, y, np.nan)
            previous = jnp.asarray(np.concatenate([np.full_like(seen[:, :1], np.nan), seen[:, :-1]], axis=1), dtype)
            # beyond the end nothing is known, but what is computed there must be finite
            previous = jnp.where(jnp.asarray(inside)[:, :, None], previous, 0.0)
        index = jnp.broadcast_to(jnp.arange(length), (size, length))
        spacing = None
        if self.spacing is not None:
            spacing = jnp.asarray(_padded([self.spacing[i] for i in which], length, size, 1.0), dtype)
        inputs = None
        if self.inputs is not None:
            inputs = jnp.asarray(_padded([self.inputs[i] for i in which], length, size), dtype)
        time = index.astype(dtype) if spacing is None else jnp.cumsum(spacing, axis=1) - spacing[:, :1]
        steps = Step(index, time, spacing, inputs, None, previous)
        kept = None if self.complete else jnp.asarray(mask)
        whole = bool(inside.all())
        return Sequence(jnp.asarray(y, dtype), kept, steps, None if whole else jnp.asarray(inside))


class Bucket(NamedTuple):
    """Sequences that are padded to one length.

    Attributes:
        members: Their numbers.
        length: To which they are padded.
        size: Sequences in a batch.
    """

    members: np.ndarray
    length: int
    size: int

    @property
    def count(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.members) // self.size)


def buckets(lengths: np.ndarray, batch_size: int, most: int) -> list[Bucket]:
    """Sequences in at most so many groups of like lengths, with the least padding; batches of nearly equal sizes.

    Args:
        lengths: Number of stamps of each sequence.
        batch_size: About how many sequences there are in a batch.
        most: Largest number of groups.

    Example:
        >>> [(b.length, len(b.members)) for b in buckets(np.array([5, 6, 50, 52]), 2, 2)]
        [(6, 2), (52, 2)]
    """
    found, before = [], 0
    for end in _ends(lengths, most):
        members = np.flatnonzero((lengths > before) & (lengths <= end))
        before = end
        if len(members):
            parts = max(1, round(len(members) / batch_size))
            found.append(Bucket(members, int(end), -(-len(members) // parts)))
    return found


def epoch(groups: list[Bucket], seed: Any) -> Iterator[tuple[np.ndarray, Bucket]]:
    """All sequences once, in batches: shuffled within their group, and the batches among each other.

    Args:
        groups: The groups.
        seed: What the order depends on: the same seed gives the same order.
    """
    random = np.random.default_rng(seed)
    batches = []
    for group in groups:
        order = random.permutation(group.members)
        batches += [(order[i : i + group.size], group) for i in range(0, len(order), group.size)]
    for i in random.permutation(len(batches)):
        yield batches[i]


def _ends(lengths: np.ndarray, most: int) -> list[int]:
    """Lengths to which groups are padded: those with the least work, found by dynamic programming."""
    values, counts = np.unique(lengths, return_counts=True)
    if len(values) > _CANDIDATES:
        chosen = np.unique(np.linspace(0, len(values) - 1, _CANDIDATES).round().astype(int))
        counts = np.add.reduceat(counts, np.concatenate([[0], chosen[:-1] + 1]))
        values = values[chosen]
    total = np.concatenate([[0], np.cumsum(counts)])
    number = np.arange(len(values))
    # work of a group that ends at the column's length and begins after the row's
    own = np.where(number[None] > number[:, None], values[None] * (total[None, 1:] - total[1:, None]), np.inf)
    best, links = [(values * total[1:]).astype(float)], []
    for _ in range(min(most, len(values)) - 1):
        cost = best[-1][:, None] + own
        links.append(cost.argmin(axis=0))
        best.append(cost.min(axis=0))
    groups = int(np.argmin([work[-1] for work in best]))
    ends, i = [int(values[-1])], len(values) - 1
    for link in reversed(links[:groups]):
        i = int(link[i])
        ends.append(int(values[i]))
    return ends[::-1]


def _padded(parts: list[np.ndarray], length: int, size: int, fill: Any = 0) -> np.ndarray:
    """Arrays (time, ...) in one, (size, length, ...)."""
    found = np.full((size, length, *parts[0].shape[1:]), fill, parts[0].dtype)
    for row, part in zip(found, parts, strict=False):
        row[: len(part)] = part
    return found
