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


def observed_log_prob(model: Any, x: Any, row: Row) -> Array:
    """Log p(y_t | x_t) of the elements that are present, for one particle."""
    return masked_log_prob(model.emission(x, row.step), row.y, row.mask)


def anything(row: Row) -> Bool[Array, ""]:
    """Whether anything was observed at the stamp."""
    return jnp.ones((), bool) if row.mask is None else jnp.any(row.mask)


class Bootstrap(eqx.Module):
    """Particles move by the transition and are weighed by the emission."""

    model: Any
    num_particles: int = eqx.field(static=True)
    score: bool = eqx.field(static=True)

    def start(self, slot: Row, key: Any) -> tuple[Any, Array]:
        """Draws from the first law."""
        law = self.model.initial(slot.step)
        draw_key, fill_key = jax.random.split(key)
        x, log_g = law.sample(draw_key, (self.num_particles,)), jnp.zeros(())
        if self.score:
            x = jax.lax.stop_gradient(x)
            log_g = _own_derivative(jax.vmap(lambda z: total_log_prob(law, z))(x))
        x, seen = weighed(self.model, x, None, slot, fill_key)
        return x, log_g + seen

    def look_ahead(self, x: Any, slot: Row) -> None:
        """None: resampled by the weights alone."""
        del x, slot

    def move(self, x: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        """Draws from the transition."""
        draw_key, fill_key = jax.random.split(key)
        new, log_g = sample_each(lambda z: transition_law(self.model, z, slot), x, draw_key), jnp.zeros(())
        if self.score:
            new = jax.lax.stop_gradient(new)
            log_p = jax.vmap(lambda z, moved: total_log_prob(transition_law(self.model, z, slot), moved))(x, new)
            log_g = _own_derivative(log_p)
        new, seen = weighed(self.model, new, x, slot, fill_key)
        return new, log_g + seen


def transition_law(model: Any, x: Any, slot: Row) -> Any:
    """The law of the next state given a particle at the stamp before."""
    return model.transition(state_of(x), with_previous(slot.step, x))


def weighed(model: Any, new: Any, parents: Any, slot: Row, key: Any) -> tuple[Any, Array]:
    """The particles with their observation's log density, and with the observation itself where the model reads it.

    A missing observation is drawn for each particle: that is what the next stamp reads.
    """
    if not model.reads_previous:
        return new, jax.vmap(lambda z: observed_log_prob(model, z, slot))(new)
    size = jax.tree.leaves(new)[0].shape[0]
    parents = Taught(new, jnp.full((size, slot.y.shape[0]), jnp.nan)) if parents is None else parents

    def emission(pair: Any) -> Any:
        z, parent = pair
        return model.emission(z, with_previous(slot.step, parent))

    log_g = jax.vmap(lambda pair: masked_log_prob(emission(pair), slot.y, slot.mask))((new, parents))
    seen = jnp.broadcast_to(slot.y, (size, slot.y.shape[0]))
    if slot.mask is not None:
        drawn = sample_each(emission, (new, parents), key).reshape(seen.shape).astype(seen.dtype)
        seen = jnp.where(slot.mask, seen, drawn)
    return Taught(new, seen), log_g


def with_previous(step: Step, x: Any) -> Step:
    """The step with the particle's own previous observation, where it carries one."""
    return with_fields(step, previous=x.seen) if isinstance(x, Taught) else step


def total_log_prob(law: Any, value: Array) -> Array:
    """The log density of a state; elements of a law with a batch of its own are independent."""
    return jnp.sum(law.log_prob(value))


def _own_derivative(log_density: Array) -> Array:
    """Zero, with the derivative of a log density: Fisher's identity."""
    return log_density - jax.lax.stop_gradient(log_density)


class Guided(eqx.Module):
    """Particles move by a given proposal where there is an observation, else by the transition."""

    model: Any
    num_particles: int = eqx.field(static=True)
    score: bool = eqx.field(static=True)
    proposal: Callable[[Any, Any, Any], Any] = eqx.field(static=True)

    def start(self, slot: Row, key: Any) -> tuple[Any, Array]:
        """Draws from the proposal of the first state."""
        own, law = self.model.initial(slot.step), self.proposal(None, with_gaps(slot), slot.step)
        first, second, fill_key = jax.random.split(key, 3)
        shape = (self.num_particles,)
        x = law.sample(first, shape)
        x = x if slot.mask is None else _either(anything(slot), x, own.sample(second, shape))
        log_g = jax.vmap(lambda z: self._ratio(own, law, z, slot))(x)
        x, seen = weighed(self.model, x, None, slot, fill_key)
        return x, log_g + seen

    def look_ahead(self, x: Any, slot: Row) -> None:
        """None: resampled by the weights alone."""
        del x, slot

    def move(self, x: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        """Draws from the proposal."""
        first, second, fill_key = jax.random.split(key, 3)
        new = sample_each(lambda z: self._proposed(z, slot), x, first)
        if slot.mask is not None:
            free = sample_each(lambda z: transition_law(self.model, z, slot), x, second)
            new = _either(anything(slot), new, free)
        new = jax.lax.stop_gradient(new) if self.score else new

        def ratio(z: Any, moved: Any) -> Array:
            return self._ratio(transition_law(self.model, z, slot), self._proposed(z, slot), moved, slot)

        log_g = jax.vmap(ratio)(x, new)
        new, seen = weighed(self.model, new, x, slot, fill_key)
        return new, log_g + seen

    def _proposed(self, x: Any, slot: Row) -> Any:
        return self.proposal(state_of(x), with_gaps(slot), with_previous(slot.step, x))

    def _ratio(self, own: Any, law: Any, x: Any, slot: Row) -> Array:
        """Log p - log q of a move; with the score wanted, q's parameters have no derivative."""
        taken = total_log_prob(law, x)
        taken = jax.lax.stop_gradient(taken) if self.score else taken
        wanted = total_log_prob(own, x)
        if slot.mask is None:
            return wanted - taken
        free = _own_derivative(wanted) if self.score else jnp.zeros_like(wanted)
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

    def start(self, slot: Row, key: Any) -> tuple[Any, Array]:
        """As the filter itself."""
        return self.moves.start(slot, key)

    def look_ahead(self, x: Any, slot: Row) -> Array:
        """The log of the promise, relative to its mean and bounded below by the share."""
        promise = jax.vmap(lambda z: self.promise(state_of(z), with_gaps(slot), with_previous(slot.step, z)))(x)
        promise = jnp.where(jnp.isnan(promise), -jnp.inf, promise)
        top = logsumexp(promise) - jnp.log(promise.shape[0])
        even = jnp.isfinite(top) & anything(slot)
        relative = jnp.where(even, promise - jnp.where(even, top, 0.0), 0.0)
        return jnp.logaddexp(jnp.log(self.share), jnp.log1p(-self.share) + relative)

    def move(self, x: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        """As the filter itself."""
        return self.moves.move(x, slot, key)


def log_mean_density(model: Any, x: Any, y: Array, step: Step) -> Array:
    """The emission's log density of y at the mean of the transition from x."""
    mask = jnp.isfinite(y)
    law = model.transition(x, step)
    return masked_log_prob(model.emission(law.mean, step), jnp.where(mask, y, 0.0), mask)
