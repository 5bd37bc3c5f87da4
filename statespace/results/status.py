"""How a fit ended, and what a user is warned of."""

import warnings
from dataclasses import dataclass, field
from typing import Any, cast

import pandas as pd

_RHAT, _ESS_PER_CHAIN = 1.01, 100


class ConvergenceWarning(UserWarning):
    """A fit whose numbers should not be trusted yet."""


@dataclass(frozen=True)
class Status:
    """How a fit ended.

    Attributes:
        converged: Whether it ended as it should.
        message: What happened, and what to do if it did not.
        details: Figures of the optimiser or sampler.
    """

    converged: bool
    message: str
    details: dict[str, Any] = field(default_factory=dict)


def caution(text: str) -> None:
    """Warn of numbers that should not be trusted yet."""
    warnings.warn(text, ConvergenceWarning, stacklevel=5)


def warn_of_draws(table: pd.DataFrame, sample_stats: dict[str, Any], status: Status, chains: int) -> None:
    """Warn of what the diagnostics of posterior draws say, each with what to do.

    Args:
        table: ArviZ's summary.
        sample_stats: Statistics of the sampler by name, (chain, draw).
        status: How the run ended.
        chains: Number of chains.
    """
    more = "more particles or longer chains of moves" if "stages" in status.details else "longer warmup and more draws"
    divergences = int(sample_stats["diverging"].sum()) if "diverging" in sample_stats else 0
    depth = status.details.get("max_tree_depth")
    deep = int((sample_stats["tree_depth"] >= depth).sum()) if depth and "tree_depth" in sample_stats else 0
    rhat, ess = cast(tuple[float, float], (table["r_hat"].max(), table[["ess_bulk", "ess_tail"]].min().min()))
    if divergences:
        caution(f"{divergences} transitions diverged: raise target_accept, or give tighter priors")
    if deep:
        caution(f"{deep} transitions reached the tree depth {depth}: raise max_tree_depth, or try dense_mass=True")
    stuck = [str(name) for name in table.index[table["sd"] == 0]]  # pyright: ignore[reportCallIssue, reportArgumentType]
    if stuck:
        caution(f"{', '.join(stuck)} never moved: start elsewhere (start=), or check priors and data")
    if rhat > _RHAT:
        caution(f"chains disagree (largest r_hat {rhat:.3f}, above {_RHAT}): run {more}")
    if ess < _ESS_PER_CHAIN * chains:
        caution(f"few effective draws (smallest {ess:.0f}, below {_ESS_PER_CHAIN} a chain): run {more}")
    for text in status.details.get("cautions", []):
        caution(text)
    if not status.converged:
        caution(status.message)
