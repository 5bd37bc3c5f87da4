"""The one scan that runs every particle filter: select, move, weigh.

A particle filter is given by how a particle moves to a stamp (at the first, from nowhere) and the weight that it
gets there. Whatever moves the particles, the weights make

    prod over t of  sum over i of  w[t-1, i] G[t, i]

an unbiased estimate of the likelihood; its factors are computed here and nowhere else. Particles are resampled where
the effective sample size is low, without a branch, so that the same code runs in batches.

Reference: Chopin and Papaspiliopoulos (2020), "An Introduction to Sequential Monte Carlo", chapters 5, 10 and 11.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Bool, Float, Int

from ..core.belief import Particles
from ..core.resample import RESAMPLERS
from ..core.scan import at, length_of, part, scan


class FeynmanKac(Protocol):
    """What the scan needs of a particle filter; a slot is one stamp's step, observation and mask."""

    @property
    def num_particles(self) -> int:
        """Number of particles."""
        ...

    def look_ahead(self, x: Any, slot: Any) -> Float[Array, " particle"] | None:
        """What the particles at the stamp before promise for this observation (log, any constant), or None."""
        ...

    def move(self, parents: Any, slot: Any, key: Any) -> tuple[Any, Float[Array, " particle"]]:
        """The particles at this stamp, and the log weights of their moves and of the observation.

        Parents are None at the first stamp.
        """
        ...

    def weigh(self, x: Any, parents: Any, slot: Any) -> Float[Array, " particle"]:
        """The log weights of given moves and of the observation: what `move` says of those it makes."""
        ...


class Selection(NamedTuple):
    """How particles were chosen to go on.

    Attributes:
        ancestors: Positions in the cloud before.
        log_weights: Log weights of the chosen, which make up for the choice.
        resampled: Whether there was a choice, or all went on.
        ess: Effective sample size of the cloud before.
    """

    ancestors: Int[Array, " particle"]
    log_weights: Float[Array, " particle"]
    resampled: Bool[Array, ""]
    ess: Float[Array, ""]


class Moved(NamedTuple):
    """What one stamp did.

    Attributes:
        cloud: The particles after the observation.
        selection: How their parents were chosen; at the first stamp all of them go on.
        term: log p(y_t | y_<t), estimated.
        alive: Whether any particle has a weight.
    """

    cloud: Particles
    selection: Selection
    term: Float[Array, ""]
    alive: Bool[Array, ""]


class Options(eqx.Module):
    """How particles are resampled.

    Attributes:
        resampling: Name of the scheme, one of `core.resample.RESAMPLERS`.
        threshold: Resample where the effective sample size falls to this share of the number of particles.
        score: Whether the gradient of the estimate is to be the score by Fisher's identity.
    """

    resampling: str = eqx.field(static=True, default="systematic")
    threshold: float = eqx.field(static=True, default=0.5)
    score: bool = eqx.field(static=True, default=False)


def run(
    kac: FeynmanKac,
    slots: Any,
    key: Any,
    options: Options,
    summary: Callable[[Moved, Any], Any],
    cloud: Particles | None = None,
    *,
    checkpoint: bool = False,
) -> tuple[Particles, Any]:
    """Run a particle filter over the slots.

    Args:
        kac: The filter.
        slots: Pytree of arrays with a leading time axis.
        key: PRNG key.
        options: How particles are resampled.
        summary: What to keep of a stamp, from what it did and its slot.
        cloud: The particles after the stamp before the first, when continuing.
        checkpoint: Whether reverse-mode differentiation recomputes inner steps to save memory.

    Returns:
        The last particles, and the summaries stacked over time.
    """
    keys = jax.random.split(key, length_of(slots))

    def body(carry: Particles, xs: Any) -> tuple[Particles, Any]:
        slot, k = xs
        moved = advance(kac, carry, slot, k, options)
        return moved.cloud, summary(moved, slot)

    if checkpoint:
        body = jax.checkpoint(body, prevent_cse=False)
    if cloud is not None:
        return scan(body, cloud, (slots, keys), checkpoint=checkpoint)
    head = at(slots, 0)
    moved = first(kac, head, keys[0])
    last, rest = scan(body, moved.cloud, (part(slots, 1, None), keys[1:]), checkpoint=checkpoint)
    return last, jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), summary(moved, head), rest)


def first(kac: FeynmanKac, slot: Any, key: Any) -> Moved:
    """The first stamp: no selection, equal weights before the observation."""
    x, log_g = kac.move(None, slot, key)
    selection = everyone(kac.num_particles, log_g.dtype)
    return normalised(x, selection.log_weights + log_g, selection)


def everyone(size: int, dtype: Any) -> Selection:
    """All go on, with equal weights."""
    even = jnp.full(size, -jnp.log(size), dtype)
    return Selection(jnp.arange(size, dtype=jnp.int32), even, jnp.zeros((), bool), jnp.asarray(size, dtype))


def advance(kac: FeynmanKac, cloud: Particles, slot: Any, key: Any, options: Options) -> Moved:
    """One stamp: select, move, weigh."""
    select_key, move_key = jax.random.split(key)
    selection = select(cloud.log_weights, kac.look_ahead(cloud.x, slot), select_key, options)
    parents = jax.tree.map(lambda leaf: leaf[selection.ancestors], cloud.x)
    x, log_g = kac.move(parents, slot, move_key)
    return normalised(x, selection.log_weights + log_g, selection)


def select(log_weights: Array, look_ahead: Array | None, key: Any, options: Options) -> Selection:
    """Ancestors by the scheme where the effective sample size is low, else everyone with the weight it has.

    With a look-ahead e the particles are chosen by w e, and the chosen get weights 1 / e.
    """
    size = log_weights.shape[0]
    chosen_by = log_weights if look_ahead is None else log_weights + look_ahead
    total = logsumexp(chosen_by)
    weights = jnp.exp(chosen_by - total)
    ess = 1.0 / jnp.sum(weights**2)
    resampled = ess <= options.threshold * size
    fixed = jax.lax.stop_gradient(weights)
    drawn = RESAMPLERS[options.resampling](key, jnp.where(jnp.isfinite(total), fixed, 1.0 / size))
    ancestors = jnp.where(resampled, drawn, jnp.arange(size, dtype=drawn.dtype))
    after = jnp.full(size, total - jnp.log(size), log_weights.dtype)
    if options.score:  # zero, with the derivative of the chance of being chosen
        after = after + chosen_by[ancestors] - jax.lax.stop_gradient(chosen_by[ancestors])
        after = after - total + jax.lax.stop_gradient(total)
    if look_ahead is not None:
        after = after - look_ahead[ancestors]
    return Selection(ancestors, jnp.where(resampled, after, log_weights), resampled, ess)


def normalised(x: Any, log_weights: Array, selection: Selection) -> Moved:
    """What a stamp did, from its log weights; where no particle has one the likelihood is estimated as zero."""
    log_weights = jnp.where(jnp.isnan(log_weights), -jnp.inf, log_weights)
    largest = jnp.max(log_weights)
    alive = jnp.isfinite(largest)
    safe = jnp.where(alive, log_weights, 0.0)
    total = logsumexp(safe)
    return Moved(Particles(x, safe - total), selection, jnp.where(alive, total, -jnp.inf), alive)
