"""A fit of several series that share their parameters."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .bridge import to_arviz
from .fitted import Fitted
from .groups import estimates, posterior
from .labels import labelled


class PanelFit(Mapping[str, Fitted]):
    """The fits of a panel's series by name; each has its own data and the parameters that all share.

    A member is an ordinary `Fitted`: `forecast(panel["north"], horizon=12, key=key)`. The verbs also take the whole
    panel and return a dictionary of results.

    Args:
        members: One fit for each series.
    """

    def __init__(self, members: Mapping[str, Fitted]):
        self.members = dict(members)

    def __getitem__(self, name: str) -> Fitted:
        """The fit of one series."""
        if name not in self.members:
            raise KeyError(f"{name!r} is not in the panel, which has {', '.join(map(repr, self.members))}")
        return self.members[name]

    def __iter__(self) -> Iterator[str]:
        """The names of the series."""
        return iter(self.members)

    def __len__(self) -> int:
        """The number of series."""
        return len(self.members)

    def __repr__(self) -> str:
        """One line: the series and how it ended."""
        return f"PanelFit({', '.join(self.members)}: {self.joint!r})"

    @property
    def joint(self) -> Fitted:
        """The shared parameters, with the coefficients of every series and the sums of what adds up."""
        every = list(self.members.values())
        total = None if every[0].log_likelihood is None else float(sum(m.log_likelihood or 0.0 for m in every))
        return replace(
            every[0],
            coefficients={
                f"{coefficient}[{name}]": value
                for name, member in self.members.items()
                for coefficient, value in member.coefficients.items()
            },
            log_likelihood=total,
            num_observations=sum(m.num_observations for m in every),
            diffuse_count=sum(m.diffuse_count for m in every),
            pointwise=None,
        )

    @property
    def draws(self) -> dict[str, Any] | None:
        """Posterior draws of the shared parameters, as in `Fitted`."""
        return self.joint.draws

    @property
    def estimates(self) -> dict[str, Any]:
        """Estimates of the shared parameters."""
        return self.joint.estimates

    @property
    def status(self) -> Any:
        """How it ended."""
        return self.joint.status

    @property
    def history(self) -> xr.Dataset:
        """How a deep model was learned; see `Fitted.history`."""
        return self.joint.history

    @property
    def filter_method(self) -> Any:
        """How states are integrated out; see `Fitted.filter_method`."""
        return self.joint.filter_method

    @property
    def log_likelihood(self) -> float | None:
        """The sum of the log-likelihoods at the estimates; None for NUTS."""
        return self.joint.log_likelihood

    @property
    def aic(self) -> float:
        """Akaike's criterion of the panel."""
        return self.joint.aic

    @property
    def bic(self) -> float:
        """Schwarz's criterion of the panel."""
        return self.joint.bic

    def summary(self) -> pd.DataFrame:
        """A table of the shared parameters and each series' coefficients; see `Fitted.summary`."""
        return self.joint.summary()

    def to_datatree(self) -> xr.DataTree:
        """The shared groups, and under /members the groups of each series."""
        joint = self.joint
        groups: dict[str, Any] = {}
        if joint.draws is None:
            groups["estimates"] = estimates(joint)
        else:
            groups["posterior"] = posterior(joint.draws, joint.coefficients)
            stats = {name: (("chain", "draw"), value) for name, value in joint.sample_stats.items()}
            groups["sample_stats"] = labelled(stats, {})
            groups |= self._densities() if all(m.pointwise is not None for m in self.members.values()) else {}
        tree = xr.DataTree.from_dict(groups)
        tree["members"] = xr.DataTree(children={name: member.to_datatree() for name, member in self.members.items()})
        return tree

    def _densities(self) -> dict[str, xr.Dataset]:
        """The pointwise log densities of all series, one after another along `observation`."""
        found = {}
        for group in ("log_likelihood", "one_step"):
            parts = []
            for name, member in self.members.items():
                y = member.to_datatree()[group]["y"]
                stamps = np.array([str(stamp) for stamp in y.indexes["time"]])
                labels = {"member": ("time", np.full(y.sizes["time"], name)), "stamp": ("time", stamps)}
                parts.append(y.drop_vars("time").assign_coords(labels).rename(time="observation"))
            found[group] = xr.concat(parts, "observation").rename("y").to_dataset()
        return found

    def to_arviz(self) -> Any:
        """The shared groups as the installed ArviZ reads them.

        Raises:
            TypeError: If the fit is a point estimate, which has no draws.
        """
        if self.draws is None:
            raise TypeError(f"a fit by {self.joint.method_name} has no draws for ArviZ: fit with NUTS")
        tree = self.to_datatree()
        del tree["members"]
        return to_arviz(tree)

    def save(self, path: str | os.PathLike) -> None:
        """Write all members to a `.nc` or `.zarr` file, whole or not at all."""
        from .storage import write

        write(self, path)
