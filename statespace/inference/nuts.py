"""The no-U-turn sampler (NumPyro's) on a model's posterior, in blocks that can be watched and interrupted."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import NUTS as Kernel

from ..core.parameters import unconstrain
from .method import AbstractMethod
from .problem import Problem, first_values

_BLOCK = 25
_VECTORISE_UP_TO = 4
_TRIES = 100


class NUTS(eqx.Module):
    """Sample the posterior by the no-U-turn sampler.

    Args:
        num_warmup: Steps of adaptation, dropped.
        num_samples: Draws kept in each chain.
        num_chains: Number of chains.
        target_accept: Target acceptance probability; raise it where there are divergences.
        max_tree_depth: A trajectory has at most 2^max_tree_depth steps.
        dense_mass: Whether the mass matrix is dense.
        chain_method: `"vectorised"` runs the chains in lock-step, `"threads"` one by one on as many threads
            as there are cores; `"auto"` vectorises where the state has at most four elements.
        filter: How the likelihood is computed.

    Raises:
        ValueError: If a count is below 1 or an option is unknown.

    Example:
        >>> NUTS(num_chains=2).num_chains
        2

    Reference: Hoffman and Gelman (2014), "The No-U-Turn Sampler", JMLR 15.
    """

    num_warmup: int = eqx.field(static=True, default=1000)
    num_samples: int = eqx.field(static=True, default=1000)
    num_chains: int = eqx.field(static=True, default=4)
    target_accept: float = eqx.field(static=True, default=0.8)
    max_tree_depth: int = eqx.field(static=True, default=10)
    dense_mass: bool = eqx.field(static=True, default=False)
    chain_method: Literal["auto", "vectorised", "threads"] = eqx.field(static=True, default="auto")
    filter: AbstractMethod | None = None

    def __check_init__(self):
        """Raise ValueError on impossible options."""
        if min(self.num_warmup, self.num_samples, self.num_chains) < 1:
            raise ValueError(f"num_warmup, num_samples and num_chains must be at least 1, got {self}")
        if self.chain_method not in ("auto", "vectorised", "threads"):
            raise ValueError(f"chain_method is 'auto', 'vectorised' or 'threads', got {self.chain_method!r}")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept lies between 0 and 1, got {self.target_accept}")


class Draws(eqx.Module):
    """What the sampler returns.

    Attributes:
        values: Natural parameter values by path, (chain, draw, ...).
        stats: Sample statistics by name, (chain, draw).
        interrupted: Whether it was stopped before the end.
    """

    values: dict[str, np.ndarray]
    stats: dict[str, np.ndarray]
    interrupted: bool


def _kernel(problem: Problem, method: NUTS) -> Kernel:
    @jax.jit
    def potential(z: Any) -> Any:  # the kernel calls it in several places: this traces it once
        return problem.potential(z)

    return Kernel(
        potential_fn=potential,
        target_accept_prob=method.target_accept,
        max_tree_depth=method.max_tree_depth,
        dense_mass=method.dense_mass,
    )


@eqx.filter_jit
def _start(problem: Problem, method: NUTS, centre: Any, attempt: Any, key: Any) -> Any:
    """A chain's first state: the start, jittered on the unconstrained scale."""
    leaves, treedef = jax.tree.flatten(centre)
    noises = jax.random.split(attempt, len(leaves))
    moved = [x + 0.5 * jax.random.normal(k, x.shape, x.dtype) for x, k in zip(leaves, noises, strict=True)]
    return _kernel(problem, method).init(key, method.num_warmup, jax.tree.unflatten(treedef, moved), (), {})


@eqx.filter_jit
def _advance(problem: Problem, method: NUTS, state: Any, vectorised: bool) -> Any:
    """One block of steps of one chain, or of all chains in lock-step."""

    def block(state):
        kernel = _kernel(problem, method)
        kernel.init(jax.random.key(0), method.num_warmup, state.z, (), {})  # builds the kernel; its state is not used

        def one(carry, _):
            carry = kernel.sample(carry, (), {})
            stats = {
                "lp": -carry.potential_energy,
                "diverging": carry.diverging,
                "energy": carry.energy,
                "n_steps": carry.num_steps,
                "acceptance_rate": carry.accept_prob,
                "step_size": carry.adapt_state.step_size,
            }
            return carry, (problem.natural(carry.z), stats)

        return jax.lax.scan(one, state, None, length=_BLOCK)

    return jax.vmap(block)(state) if vectorised else block(state)


def sample(
    problem: Problem,
    method: NUTS,
    scale: Any,
    key: Any,
    report: Callable[[int, int, int], None] = lambda done, total, divergences: None,
    start: dict[str, Any] | None = None,
) -> Draws:
    """Run the chains.

    Args:
        problem: Model, data and priors.
        method: Options.
        scale: Standard deviation of the data, for starting values.
        key: PRNG key.
        report: Called after each block with steps done, steps in all, and divergences so far.
        start: Natural values near which the chains start.

    Returns:
        Draws and statistics; if interrupted, those completed in every chain.

    Raises:
        ValueError: If no starting point with a finite posterior density is found.
        KeyboardInterrupt: If interrupted before the first draw.
    """
    if not problem.free:
        raise ValueError("the model has no parameter to learn: every one is fixed or zero; use filter or smooth")
    init_key, run_key = jax.random.split(key)
    keys = zip(jax.random.split(init_key, method.num_chains), jax.random.split(run_key, method.num_chains), strict=True)
    centre = unconstrain(first_values(problem, scale, start), problem.supports)
    states = [_first_state(problem, method, centre, *pair) for pair in keys]
    small = len(problem.model.state_names) <= _VECTORISE_UP_TO
    vectorised = method.chain_method == "vectorised" or (method.chain_method == "auto" and small)
    if vectorised:
        states = [jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)]
    blocks, interrupted = _run(problem, method, states, vectorised, report)
    return _collect(blocks, method, vectorised, interrupted)


def _run(problem: Problem, method: NUTS, states: list[Any], vectorised: bool, report: Callable) -> tuple[list, bool]:
    total = method.num_warmup + method.num_samples
    blocks: list[Any] = []
    divergences = 0
    workers = min(len(states), os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for done in range(0, total, _BLOCK):
                made = list(pool.map(lambda s: jax.block_until_ready(_advance(problem, method, s, vectorised)), states))
                states = [state for state, _ in made]
                blocks.append(jax.device_get([kept for _, kept in made]))
                kept_from = max(method.num_warmup - done, 0)
                for _, stats in blocks[-1]:
                    divergences += int(stats["diverging"][..., kept_from:].sum())
                report(min(done + _BLOCK, total), total, divergences)
        except KeyboardInterrupt:
            if len(blocks) * _BLOCK <= method.num_warmup:
                raise
            return blocks, True
    return blocks, False


def _collect(blocks: list, method: NUTS, vectorised: bool, interrupted: bool) -> Draws:
    stop = method.num_warmup + method.num_samples

    def chains(pick: Callable) -> np.ndarray:
        if vectorised:
            joined = np.concatenate([pick(block[0]) for block in blocks], axis=1)
        else:
            joined = np.stack([np.concatenate([pick(block[c]) for block in blocks]) for c in range(method.num_chains)])
        return joined[:, method.num_warmup : stop]

    values, stats = blocks[0][0]
    found = {name: chains(lambda kept, n=name: kept[1][n]) for name in stats}
    found["tree_depth"] = np.ceil(np.log2(found["n_steps"] + 1)).astype(int)
    return Draws({path: chains(lambda kept, p=path: kept[0][p]) for path in values}, found, interrupted)


def _first_state(problem: Problem, method: NUTS, centre: Any, init_key: Any, run_key: Any) -> Any:
    """A chain's first state, tried again until its density is finite."""
    for attempt in range(_TRIES):
        state = _start(problem, method, centre, jax.random.fold_in(init_key, attempt), run_key)
        if bool(jnp.isfinite(state.potential_energy)):
            return state
    raise ValueError(
        "no starting point with a finite posterior density was found; check the model for states that the data "
        "cannot identify, and the priors against the parameters' supports"
    )
