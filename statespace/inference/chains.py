"""Chains that sample a posterior, whatever moves them: in blocks that can be watched, interrupted and gone on with."""

import abc
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..core.parameters import unconstrain
from .method import AbstractMethod
from .problem import Problem

_BLOCK = 25
_TRIES = 100


class AbstractSampler(eqx.Module):
    """A way of sampling the posterior of the parameters."""

    name: ClassVar[str]  # as it stands in a fit's `method_name`
    takes_start: ClassVar[bool] = True  # whether it starts somewhere, rather than from the priors
    adds_draws: ClassVar[bool] = True  # whether draws made later join the earlier ones, rather than take their place

    @property
    @abc.abstractmethod
    def num_samples(self) -> int:
        """Draws kept in each chain; a field of every sampler."""

    @property
    @abc.abstractmethod
    def num_chains(self) -> int:
        """Number of chains; a field too."""

    @property
    @abc.abstractmethod
    def filter(self) -> AbstractMethod | None:
        """How the states are integrated out; a field too."""

    def lacks(self, problem: Problem) -> str:
        """What the problem lacks for this sampler, in words; empty where it serves."""
        del problem
        return ""

    @abc.abstractmethod
    def run(
        self,
        problem: Problem,
        start: dict[str, Any],
        key: Any,
        report: Callable[[float, float, str], None],
        state: list[np.ndarray] | None = None,
    ) -> "Draws":
        """Sample.

        Args:
            problem: Model, data and priors.
            start: Natural values near which to start, by path.
            key: PRNG key.
            report: Called now and then with how much is done, of how much, and a remark.
            state: The state of earlier `Draws` from which to go on.

        Raises:
            ValueError: If no starting point with a finite posterior density is found.
            KeyboardInterrupt: If interrupted before the first draw.
        """

    def details(self) -> dict[str, Any]:
        """Options that a fit's status repeats."""
        return {}

    def further(self, made: int, num_samples: int | None) -> "AbstractSampler":
        """The sampler for more draws after some: so many, or what is left undone, or as many as it was told to make."""
        left = self.num_samples - made if made < self.num_samples else self.num_samples
        return replace(self, num_samples=left if num_samples is None else num_samples)

    def lasting(self, total: int) -> "AbstractSampler":
        """The sampler that a fit keeps which holds so many draws a chain in all."""
        return replace(self, num_samples=total)

    def cautions(self, details: dict[str, Any]) -> list[str]:
        """What a user should be warned of, given the details of a fit, each with what to do."""
        del details
        return []


class AbstractChains(AbstractSampler):
    """A sampler by Markov chains that are warmed up."""

    @property
    @abc.abstractmethod
    def num_warmup(self) -> int:
        """Steps of adaptation, dropped; a field."""

    @abc.abstractmethod
    def first(self, problem: Problem, centre: Any, key: Any) -> Any:
        """A chain's first state near a point, given on the unconstrained scale."""

    @abc.abstractmethod
    def log_density(self, state: Any) -> Any:
        """The log posterior density of a state, up to a constant: finite where a chain may start."""

    @abc.abstractmethod
    def steps(self, problem: Problem, state: Any, count: int) -> tuple[Any, "Kept"]:
        """So many steps of one chain: its state, and what is kept of each, stacked."""

    def vectorises(self, problem: Problem) -> bool:
        """Whether the chains run in lock-step, rather than on a thread each."""
        del problem
        return True

    def describe(self, stats: dict[str, np.ndarray]) -> str:
        """What the statistics so far say, for a progress bar; empty for nothing."""
        del stats
        return ""

    def details(self) -> dict[str, Any]:
        """The length of the warm-up."""
        return {"num_warmup": self.num_warmup}

    def run(
        self,
        problem: Problem,
        start: dict[str, Any],
        key: Any,
        report: Callable[[float, float, str], None],
        state: list[np.ndarray] | None = None,
    ) -> "Draws":
        """Run the chains; after a state there is no further warm-up."""
        vectorised, centre = self.vectorises(problem), unconstrain(start, problem.supports)
        core = replace(self, num_samples=1, num_chains=1)  # compiled once, whatever their number
        if state is None:
            keys = jax.random.split(key, self.num_chains)
            states = [_first_state(problem, core, centre, k) for k in keys]
            if vectorised:
                states = [jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)]
        else:
            states = _restored(problem, core, centre, state, vectorised)
        warmup = 0 if state is not None else self.num_warmup
        blocks, states, interrupted = _run(problem, core, states, vectorised, (warmup, self.num_samples), report)
        found = _joined(blocks, vectorised, slice(warmup, warmup + self.num_samples))
        return Draws(found.values, found.stats, interrupted, stored(states, vectorised), found.path)


class Draws(eqx.Module):
    """What a sampler returns.

    Attributes:
        values: Natural parameter values by path, (chain, draw, ...).
        stats: Sample statistics by name, (chain, draw).
        interrupted: Whether it was stopped before the end.
        state: The chains' last state, from which they can go on: a list of arrays.
        paths: Draws of the states, (chain, draw, time, state), where the sampler makes and keeps them.
        details: What else it found out, by name.
        unfinished: What the draws are instead, where they are not yet those of the posterior; empty where they are.
    """

    values: dict[str, np.ndarray]
    stats: dict[str, np.ndarray]
    interrupted: bool
    state: list[np.ndarray]
    paths: np.ndarray | None = None
    details: dict[str, Any] = eqx.field(default_factory=dict)
    unfinished: str = ""


class Kept(NamedTuple):
    """What a sampler says of each step."""

    values: dict[str, Any]
    stats: dict[str, Any]
    path: Any = None


def jittered(centre: Any, key: Any) -> Any:
    """A point near the centre, on the unconstrained scale."""
    leaves, treedef = jax.tree.flatten(centre)
    keys = jax.random.split(key, len(leaves))
    moved = [x + 0.5 * jax.random.normal(k, x.shape, x.dtype) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(treedef, moved)


@eqx.filter_jit
def _first(problem: Problem, sampler: AbstractChains, centre: Any, key: Any) -> Any:
    return sampler.first(problem, centre, key)


@eqx.filter_jit
def _advance(problem: Problem, sampler: AbstractChains, state: Any, vectorised: bool) -> Any:
    """One block of steps of one chain, or of all chains in lock-step."""

    def block(one: Any) -> tuple[Any, Any]:
        return sampler.steps(problem, one, _BLOCK)

    return jax.vmap(block)(state) if vectorised else block(state)


def _run(
    problem: Problem,
    sampler: AbstractChains,
    states: list[Any],
    vectorised: bool,
    counts: tuple[int, int],
    report: Callable,
) -> tuple[list, list, bool]:
    warmup, total = counts[0], sum(counts)
    blocks: list[Any] = []

    def advance(state: Any) -> Any:
        return jax.block_until_ready(_advance(problem, sampler, state, vectorised))

    workers = min(len(states), os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for done in range(0, total, _BLOCK):
                made = list(pool.map(advance, states))
                blocks.append(jax.device_get([kept for _, kept in made]))
                states = [state for state, _ in made]
                rows = slice(warmup if done + _BLOCK > warmup else 0, None)
                stats = _joined([[kept.stats for kept in block] for block in blocks], vectorised, rows)
                report(min(done + _BLOCK, total), total, sampler.describe(stats))
        except KeyboardInterrupt:
            if len(blocks) * _BLOCK <= warmup:
                raise
            return blocks, states, True
    return blocks, states, False


def _joined(blocks: list, vectorised: bool, rows: slice) -> Any:
    """What was kept in some rows of the blocks, (chain, draw, ...)."""

    def join(*leaves: Any) -> np.ndarray:  # by block, then, on threads, by chain
        if vectorised:
            return np.concatenate(leaves, axis=1)[:, rows]
        chains = len(leaves) // len(blocks)
        return np.stack([np.concatenate(leaves[c::chains])[rows] for c in range(chains)])

    return jax.tree.map(join, *[kept for block in blocks for kept in block])


def stored(states: list[Any], vectorised: bool) -> list[np.ndarray]:
    """The chains' states as arrays with a leading axis of chains; keys as the numbers behind them."""
    whole = states[0] if vectorised else jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    return [np.asarray(jax.random.key_data(x) if _is_key(x) else x) for x in jax.tree.leaves(whole)]


def _restored(problem: Problem, sampler: AbstractChains, centre: Any, stored: list, vectorised: bool) -> list[Any]:
    """The states behind arrays that `stored` made."""
    shape = eqx.filter_eval_shape(lambda k: sampler.first(problem, centre, k), jax.random.key(0))
    return restored(shape, stored, vectorised)


def restored(shape: Any, stored: list, vectorised: bool) -> list[Any]:
    """The states behind arrays that `stored` made, each of a given shape."""
    leaves, treedef = jax.tree.flatten(shape)
    if len(leaves) != len(stored):
        raise ValueError("the stored state of the chains is of another version of this sampler: start them anew")
    made = [
        jax.random.wrap_key_data(jnp.asarray(x)) if _is_key(leaf) else jnp.asarray(x, leaf.dtype)
        for x, leaf in zip(stored, leaves, strict=True)
    ]
    whole = jax.tree.unflatten(treedef, made)
    if vectorised:
        return [whole]
    return [jax.tree.map(lambda leaf, c=c: leaf[c], whole) for c in range(len(stored[0]))]


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _first_state(problem: Problem, sampler: AbstractChains, centre: Any, key: Any) -> Any:
    """A chain's first state, tried again until its density is finite."""
    for attempt in range(_TRIES):
        state = _first(problem, sampler, centre, jax.random.fold_in(key, attempt))
        if bool(jnp.isfinite(sampler.log_density(state))):
            return state
    raise ValueError(
        "no starting point with a finite posterior density was found; check the model for states that the data "
        "cannot identify, and the priors against the parameters' supports"
    )
