"""Conditional sequential Monte Carlo: a Markov kernel on paths of states that leaves their law given the data alone.

A particle filter is run with one of its particles held on a given path, and a new path is drawn from what it leaves.
The kernel is right for any number of particles from two on, if all other ancestors are drawn independently. Drawing
the path backwards, or letting the held path find a new past at each stamp, makes it move far with few particles.

Reference: Andrieu, Doucet and Holenstein (2010), JRSS B 72; backward sampling: Whiteley (2010), in its discussion;
ancestor sampling: Lindsten, Jordan and Schon (2014), "Particle Gibbs with ancestor sampling", JMLR 15.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..core.belief import Particles
from ..core.missing import masked_log_prob
from ..core.scan import at, length_of, part
from .feynman_kac import FeynmanKac, Moved, Options, Selection, everyone, normalised, run, select
from .moves import Row, seen_log_prob, state_of, total_log_prob, transition_law
from .particle_smoother import log_transition, sample_backward
from .summaries import history

KINDS = ("backward", "ancestor", "genealogy")
_ALWAYS = Options("multinomial", threshold=2.0)  # independent ancestors: the held slot is exchangeable with the others


def sample_path(
    kac: FeynmanKac, model: Any, slots: Row, reference: Any, key: Any, kind: str
) -> tuple[Any, Float[Array, ""]]:
    """A new path given the old one.

    Args:
        kac: A particle filter, of at least two particles.
        model: Its model.
        slots: All stamps.
        reference: The path so far: a pytree with a leading time axis; its last values are particles of the filter.
        key: PRNG key.
        kind: "backward" or "ancestor" sampling, which need the transition's density, or "genealogy" for neither.

    Returns:
        The path, and the filter's estimate of the log-likelihood.
    """
    start_key, run_key, end_key = jax.random.split(key, 3)
    head, x0 = at(slots, 0), at(reference, 0)
    begun = _moved(kac, everyone(kac.num_particles, slots.y.dtype), None, x0, head, start_key)

    def body(cloud: Particles, xs: Any) -> tuple[Particles, Any]:
        slot, ref, k = xs
        moved = _advance(kac, model, cloud, ref, slot, k, kind)
        return moved.cloud, (moved.term, history(moved))

    keys = jax.random.split(run_key, length_of(reference) - 1)
    _, (terms, clouds) = jax.lax.scan(body, begun.cloud, (part(slots, 1, None), part(reference, 1, None), keys))
    clouds = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), history(begun), clouds)
    back = "exact" if kind == "backward" else "genealogy"
    path = sample_backward(model, clouds, slots, 1, end_key, kind=back, num_moves=0)
    return jax.tree.map(lambda leaf: leaf[:, 0], path), begun.term + jnp.sum(terms)


def sample_first_path(kac: FeynmanKac, model: Any, slots: Row, key: Any) -> Any:
    """A path to start from: one that a particle filter leaves."""
    forward, back = jax.random.split(key)
    _, clouds = run(kac, slots, forward, _ALWAYS, lambda moved, slot: history(moved))
    path = sample_backward(model, clouds, slots, 1, back, kind="genealogy", num_moves=0)
    return jax.tree.map(lambda leaf: leaf[:, 0], path)


def log_joint(model: Any, path: Any, slots: Row, *, initial: bool = True) -> Float[Array, ""]:
    """Log p(x_1..T, y_1..T) of one path and the data.

    Args:
        model: The model, whose transition has a density.
        path: Pytree with a leading time axis, as `sample_path` returns.
        slots: All stamps.
        initial: Whether the density of the first state counts.
    """

    def seen(x: Any, parent: Any, slot: Row) -> Array:
        x, parent = jax.tree.map(lambda leaf: leaf[None], (x, parent))
        return seen_log_prob(model, x, parent, slot)[0]

    def move(parent: Any, child: Any, slot: Row) -> Array:
        if model.reads_previous:  # what was missing is a part of the path
            return log_transition(model, parent, child, slot)
        return total_log_prob(transition_law(model, parent, slot), child) + seen(child, None, slot)

    head, x0 = at(slots, 0), at(path, 0)
    if model.reads_previous:
        total = masked_log_prob(model.emission(state_of(x0), head.step), x0.seen, None)
    else:
        total = seen(x0, None, head)
    if initial:
        total = total + total_log_prob(model.initial(head.step), state_of(x0))
    return total + jnp.sum(jax.vmap(move)(part(path, 0, -1), part(path, 1, None), part(slots, 1, None)))


def _advance(kac: FeynmanKac, model: Any, cloud: Particles, ref: Any, slot: Row, key: Any, kind: str) -> Moved:
    """One stamp, whose first particle is the reference's."""
    select_key, ancestor_key, move_key = jax.random.split(key, 3)
    ahead = kac.look_ahead(cloud.x, slot)
    selection = select(cloud.log_weights, ahead, select_key, _ALWAYS)
    parent = _ancestor(model, cloud, ref, slot, ancestor_key) if kind == "ancestor" else jnp.zeros((), jnp.int32)
    log_weights = selection.log_weights
    if ahead is not None:
        log_weights = log_weights.at[0].add(ahead[selection.ancestors[0]] - ahead[parent])
    ancestors = selection.ancestors.at[0].set(parent.astype(selection.ancestors.dtype))
    parents = jax.tree.map(lambda leaf: leaf[ancestors], cloud.x)
    selection = selection._replace(ancestors=ancestors, log_weights=log_weights)
    return _moved(kac, selection, parents, ref, slot, move_key)


def _moved(kac: FeynmanKac, selection: Selection, parents: Any, ref: Any, slot: Row, key: Any) -> Moved:
    """The particles moved and weighed, the first of them put on the reference."""
    x, log_g = kac.move(parents, slot, key)
    x = jax.tree.map(lambda leaf, held: leaf.at[0].set(held), x, ref)
    held, parent = jax.tree.map(lambda leaf: leaf[:1], (x, parents))
    log_g = log_g.at[0].set(kac.weigh(held, parent, slot)[0])
    return normalised(x, selection.log_weights + log_g, selection)


def _ancestor(model: Any, cloud: Particles, ref: Any, slot: Row, key: Any) -> Int[Array, ""]:
    """A past for the reference, by its weight and its density of moving on to the reference."""
    density = jax.vmap(lambda z: log_transition(model, z, ref, slot))(cloud.x)
    return jax.random.categorical(key, cloud.log_weights + density)
