"""Several series of one model with common parameters: their problems padded, stacked and joined."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .method import Observed, Plan
from .problem import Problem


def joined(problems: Sequence[Problem]) -> Problem:
    """One problem whose log-likelihood is the sum of those of independent series.

        log p(y_1, ..., y_n | parameters) = sum_i log p(y_i | parameters)

    The series are padded with missing stamps to one length, so that one compiled filter serves them all.

    Args:
        problems: One for each series, of one model bound to each, with the same free parameters and priors.

    Raises:
        ValueError: If the bound models differ in structure.
    """
    length = max(len(p.y) for p in problems)
    complete = all(p.observed.complete and len(p.y) == length for p in problems)
    tails = {p.plan.tails if len(p.y) == length else () for p in problems}
    plan = Plan(max(p.plan.diffuse_steps or 0 for p in problems), tails=tails.pop() if len(tails) == 1 else ())
    alike = [replace(p, observed=_padded(p.observed, length, complete), priors={}, plan=plan) for p in problems]
    structures = {jax.tree.structure(p) for p in alike}
    shapes = {tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(p)) for p in alike}
    if len(structures) > 1 or len(shapes) > 1:
        raise ValueError(
            "the series of a panel must be alike: the same columns and inputs, and all of them regular or none"
        )
    return replace(problems[0], panel=jax.tree.map(lambda *leaves: jnp.stack(leaves), *alike))


def _padded(observed: Observed, length: int, complete: bool) -> Observed:
    """The data with missing stamps after their end."""
    more = length - len(observed.y)

    def edge(leaf: Array) -> Array:
        return jnp.pad(leaf, [(0, more)] + [(0, 0)] * (leaf.ndim - 1), mode="edge")

    y, mask = (jnp.pad(leaf, ((0, more), (0, 0))) for leaf in (observed.y, observed.mask))
    return Observed(y, mask, jax.tree.map(edge, observed.steps), complete)
