"""How the particles of each filter move and what weight they get: the model's side of the scan."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Bool, Float

from ..core.belief import Taught
from ..core.draws import sample_each
from ..core.missing import masked_log_prob
from ..core.parameters import with_fields
from ..core.step import Step
from .method import Observed


class Row(NamedTuple):
    """One stamp's step and observation; `mask` is None where nothing is missing at any stamp."""

    step: Step
    y: Float[Array, " series"]
    mask: Bool[Array, " series"] | None


def rows(model: Any, observed: Observed) -> Row:
    """All stamps; a missing value is stood in for by one that was seen, so that it lies in the support."""
    del model
    y, mask = observed.y, observed.mask
    if observed.complete:
        return Row(observed.steps, y, None)
    first = jnp.take_along_axis(y, jnp.argmax(mask, axis=0)[None], axis=0)
    return Row(observed.steps, jnp.where(mask, y, first), mask)


def state_of(x: Any) -> Any:
    """The states of particles, without what a model that reads previous observations carries beside them."""
    return x.x if isinstance(x, Taught) else x


def anything(row: Row) -> Bool[Array, ""]:
    """Whether anything was observed at the stamp."""
    return jnp.ones((), bool) if row.mask is None else jnp.any(row.mask)


class AbstractMoves(eqx.Module):
    """Particles that are resampled by their weights alone; a subclass gives `move` and `weigh` of `FeynmanKac`.

    Attributes:
        model: The model.
        num_particles: How many.
        score: Whether derivatives are those of the score: nothing flows through the draws themselves.
    """

    model: Any
    num_particles: int = eqx.field(static=True)
    score: bool = eqx.field(static=True)

    def look_ahead(self, x: Any, slot: Row) -> None:
        """None: nothing is promised."""
        del x, slot


class Bootstrap(AbstractMoves):
    """Particles move by the transition and are weighed by the emission."""

    def move(self, parents: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        """Draws from the transition, or from the first law."""
        draw_key, fill_key = jax.random.split(key)
        x, log_g = free_move(self.model, parents, slot, draw_key, self.num_particles), jnp.zeros(())
        if self.score:
            x = jax.lax.stop_gradient(x)
            log_g = own_derivative(own_log_prob(self.model, x, parents, slot))
        x, seen = weighed(self.model, x, parents, slot, fill_key)
        return x, log_g + seen

    def weigh(self, x: Any, parents: Any, slot: Row) -> Array:
        """The observation's log density."""
        return seen_log_prob(self.model, x, parents, slot)


def free_move(model: Any, parents: Any, slot: Row, key: Any, size: int) -> Any:
    """States drawn from the transition, or from the first law where there are no parents."""
    if parents is None:
        return model.initial(slot.step).sample(key, (size,))
    return sample_each(lambda z: transition_law(model, z, slot), parents, key)


def own_log_prob(model: Any, x: Any, parents: Any, slot: Row) -> Float[Array, " particle"]:
    """The log density of states by the transition, or by the first law where there are no parents."""
    if parents is None:
        law = model.initial(slot.step)
        return jax.vmap(lambda z: total_log_prob(law, state_of(z)))(x)
    return jax.vmap(lambda z, moved: total_log_prob(transition_law(model, z, slot), state_of(moved)))(parents, x)


def transition_law(model: Any, x: Any, slot: Row) -> Any:
    """The law of the next state given a particle at the stamp before."""
    return model.transition(state_of(x), with_previous(slot.step, x))


def seen_log_prob(model: Any, x: Any, parents: Any, slot: Row) -> Float[Array, " particle"]:
    """The log density of the observation given each particle, and its parent where the model reads what came before."""

    def one(pair: Any) -> Array:
        return masked_log_prob(_emission(model, pair, slot), slot.y, slot.mask)

    return jax.vmap(one)((x, parents if model.reads_previous else None))


def weighed(model: Any, new: Any, parents: Any, slot: Row, key: Any) -> tuple[Any, Array]:
    """The particles with their observation's log density, and with the observation itself where the model reads it.

    A missing observation is drawn for each particle: that is what the next stamp reads.
    """
    log_g = seen_log_prob(model, new, parents, slot)
    if not model.reads_previous:
        return new, log_g
    size = jax.tree.leaves(new)[0].shape[0]
    seen = jnp.broadcast_to(slot.y, (size, slot.y.shape[0]))
    if slot.mask is not None:
        drawn = sample_each(lambda pair: _emission(model, pair, slot), (new, parents), key)
        seen = jnp.where(slot.mask, seen, drawn.reshape(seen.shape).astype(seen.dtype))
    return Taught(new, seen), log_g


def _emission(model: Any, pair: Any, slot: Row) -> Any:
    """The law of the observation given a particle and its parent, None at the first stamp."""
    x, parent = pair
    return model.emission(state_of(x), with_previous(slot.step, parent))


def with_previous(step: Step, x: Any) -> Step:
    """The step with the particle's own previous observation, where it carries one."""
    return with_fields(step, previous=x.seen) if isinstance(x, Taught) else step


def total_log_prob(law: Any, value: Array) -> Array:
    """The log density of a state; elements of a law with a batch of its own are independent."""
    return jnp.sum(law.log_prob(value))


def own_derivative(log_density: Array) -> Array:
    """Zero, with the derivative of a log density: Fisher's identity."""
    return log_density - jax.lax.stop_gradient(log_density)


class Guided(AbstractMoves):
    """Particles move by a given proposal where there is an observation, else by the transition."""

    proposal: Callable[[Any, Any, Any], Any] = eqx.field(static=True)

    def move(self, parents: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        """Draws from the proposal; parents are None at the first stamp."""
        first, second, fill_key = jax.random.split(key, 3)
        if parents is None:
            new = self._proposed(None, slot).sample(first, (self.num_particles,))
        else:
            new = sample_each(lambda z: self._proposed(z, slot), parents, first)
        if slot.mask is not None:
            new = _either(anything(slot), new, free_move(self.model, parents, slot, second, self.num_particles))
        new = jax.lax.stop_gradient(new) if self.score else new
        log_g = self._ratio(new, parents, slot)
        new, seen = weighed(self.model, new, parents, slot, fill_key)
        return new, log_g + seen

    def weigh(self, x: Any, parents: Any, slot: Row) -> Array:
        """The observation's log density, and the ratio of the transition's to the proposal's."""
        return self._ratio(x, parents, slot) + seen_log_prob(self.model, x, parents, slot)

    def _proposed(self, x: Any, slot: Row) -> Any:
        return self.proposal(state_of(x), with_gaps(slot), with_previous(slot.step, x))

    def _ratio(self, x: Any, parents: Any, slot: Row) -> Array:
        """Log p - log q of the moves; with the score wanted, q's parameters have no derivative."""
        if parents is None:
            law = self._proposed(None, slot)
            taken = jax.vmap(lambda z: total_log_prob(law, state_of(z)))(x)
        else:
            taken = jax.vmap(lambda z, moved: total_log_prob(self._proposed(z, slot), state_of(moved)))(parents, x)
        taken = jax.lax.stop_gradient(taken) if self.score else taken
        wanted = own_log_prob(self.model, x, parents, slot)
        if slot.mask is None:
            return wanted - taken
        free = own_derivative(wanted) if self.score else jnp.zeros_like(wanted)
        return jnp.where(anything(slot), wanted - taken, free)


def with_gaps(slot: Row) -> Array:
    """The observation with NaN where it is missing."""
    return slot.y if slot.mask is None else jnp.where(slot.mask, slot.y, jnp.nan)


def _either(condition: Any, a: Any, b: Any) -> Any:
    return jax.tree.map(lambda u, v: jnp.where(condition, u, v), a, b)


class Auxiliary(eqx.Module):
    """Any filter, chosen ahead by a bounded promise for the observation."""

    moves: Bootstrap
    promise: Callable[[Any, Any, Any], Any] = eqx.field(static=True)
    share: float = eqx.field(static=True)

    @property
    def num_particles(self) -> int:
        """Number of particles."""
        return self.moves.num_particles

    def look_ahead(self, x: Any, slot: Row) -> Array:
        """The log of the promise, relative to its mean and bounded below by the share."""
        promise = jax.vmap(lambda z: self.promise(state_of(z), with_gaps(slot), with_previous(slot.step, z)))(x)
        promise = jnp.where(jnp.isnan(promise), -jnp.inf, promise)
        top = logsumexp(promise) - jnp.log(promise.shape[0])
        even = jnp.isfinite(top) & anything(slot)
        relative = jnp.where(even, promise - jnp.where(even, top, 0.0), 0.0)
        return jnp.logaddexp(jnp.log(self.share), jnp.log1p(-self.share) + relative)

    def move(self, parents: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        """As the filter itself."""
        return self.moves.move(parents, slot, key)

    def weigh(self, x: Any, parents: Any, slot: Row) -> Array:
        """As the filter itself."""
        return self.moves.weigh(x, parents, slot)


def log_mean_density(model: Any, x: Any, y: Array, step: Step) -> Array:
    """The emission's log density of y at the mean of the transition from x."""
    mask = jnp.isfinite(y)
    law = model.transition(x, step)
    return masked_log_prob(model.emission(law.mean, step), jnp.where(mask, y, 0.0), mask)
