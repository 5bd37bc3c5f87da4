"""Posterior draws of a NumPyro program."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from .bridge import summary_table, to_arviz
from .groups import posterior
from .labels import labelled
from .status import Status, warn_of_draws


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ProgramFit:
    """What a sampler made of a NumPyro program.

    Attributes:
        draws: Values of its latent and deterministic sites, (chain, draw, ...).
        sample_stats: Statistics of the sampler by name, (chain, draw).
        log_evidence: The log of the estimated evidence p(y).
        log_evidence_se: Its standard error, from independent populations.
        status: How it ended.
    """

    draws: dict[str, NDArray[Any]]
    sample_stats: dict[str, NDArray[Any]]
    log_evidence: float
    log_evidence_se: float
    status: Status

    def __repr__(self) -> str:
        """One line: its sites and how it ended."""
        return f"ProgramFit({', '.join(self.draws)}; {self.status.message})"

    def summary(self) -> pd.DataFrame:
        """ArviZ's table (mean, sd, interval, ess_bulk, ess_tail, r_hat), with warnings about what disagrees."""
        table = summary_table(posterior(self.draws, {}))
        warn_of_draws(table, self.sample_stats, self.status, chains=len(next(iter(self.draws.values()))))
        return table

    def to_datatree(self) -> xr.DataTree:
        """The groups /posterior and /sample_stats, which has the evidence as attributes."""
        stats = {name: (("chain", "draw"), v) for name, v in self.sample_stats.items()}
        about = {"log_evidence": self.log_evidence, "log_evidence_se": self.log_evidence_se}
        groups = {"posterior": posterior(self.draws, {}), "sample_stats": labelled(stats, {}, **about)}
        return xr.DataTree.from_dict(groups)

    def to_arviz(self) -> Any:
        """What the installed ArviZ reads: InferenceData below ArviZ 1, DataTree from 1 on."""
        return to_arviz(self.to_datatree())
