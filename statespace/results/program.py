"""Posterior draws of a NumPyro program."""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from .bridge import summary_table, to_arviz
from .groups import posterior
from .labels import labelled, safe
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
        sampler_state: Arrays from which `sample_program` goes on.
    """

    draws: dict[str, NDArray[Any]]
    sample_stats: dict[str, NDArray[Any]]
    log_evidence: float
    log_evidence_se: float
    status: Status
    sampler_state: list[NDArray[Any]]

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

    def save(self, path: str | os.PathLike) -> None:
        """Write draws, diagnostics and where to go on to a `.nc` or `.zarr` file, whole or not at all."""
        from .storage import write

        write(self, path)


def program_record(fit: ProgramFit) -> xr.DataTree:
    """The groups of `to_datatree`, and one for `program_from_record`."""
    tree = fit.to_datatree()
    arrays = {
        f"state:{i}": (tuple(f"state:{i}:{axis}" for axis in range(v.ndim)), v) for i, v in enumerate(fit.sampler_state)
    }
    about = {
        "program": list(fit.draws),
        "stats": list(fit.sample_stats),
        "status": asdict(fit.status),
        "evidence": [fit.log_evidence, fit.log_evidence_se],
    }
    tree["statespace"] = xr.DataTree(labelled(arrays, {}, **{k: json.dumps(v) for k, v in about.items()}))
    return tree


def program_from_record(tree: xr.DataTree) -> ProgramFit:
    """The fit that a tree holds.

    Raises:
        KeyError: If something is missing.
    """
    own, posterior_, stats = (tree[group].to_dataset() for group in ("statespace", "posterior", "sample_stats"))
    read = {str(name): json.loads(text) for name, text in own.attrs.items()}
    evidence, error = read["evidence"]
    return ProgramFit(
        draws={name: posterior_[safe(name)].to_numpy() for name in read["program"]},
        sample_stats={name: stats[safe(name)].to_numpy() for name in read["stats"]},
        log_evidence=evidence,
        log_evidence_se=error,
        status=Status(**read["status"]),
        sampler_state=[own[f"state:{i}"].to_numpy() for i in range(len(own.data_vars))],
    )
