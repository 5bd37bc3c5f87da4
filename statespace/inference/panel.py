"""Several series of one model with common parameters: their problems padded, stacked and joined."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array

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
    complete = all(p.complete and len(p.y) == length for p in problems)
    diffuse = max(p.diffuse_steps for p in problems)
    alike = [
        replace(_padded(p, length), priors={}, complete=complete, diffuse_steps=diffuse, unidentified=0)
        for p in problems
    ]
    structures = {jax.tree.structure(p) for p in alike}
    shapes = {tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(p)) for p in alike}
    if len(structures) > 1 or len(shapes) > 1:
        raise ValueError(
            "the series of a panel must be alike: the same columns and inputs, and all of them regular or none"
        )
    return replace(problems[0], panel=jax.tree.map(lambda *leaves: jnp.stack(leaves), *alike))


def _padded(problem: Problem, length: int) -> Problem:
    """The problem with missing stamps after its end."""
    more = length - len(problem.y)

    def edge(leaf: Array) -> Array:
        return jnp.pad(leaf, [(0, more)] + [(0, 0)] * (leaf.ndim - 1), mode="edge")

    y, mask = (jnp.pad(leaf, ((0, more), (0, 0))) for leaf in (problem.y, problem.mask))
    return replace(problem, y=y, mask=mask, steps=jax.tree.map(edge, problem.steps))
