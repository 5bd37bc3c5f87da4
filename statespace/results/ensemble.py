"""What ensemble filter and smoother runs say."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from .account import AbstractDecomposed, moments_frame
from .filtered import AbstractFiltered
from .labels import coordinates, labelled


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class EnsembleFiltered(AbstractFiltered):
    """An ensemble filter's account of the states given the data up to each stamp; no covariance of states.

    Attributes:
        num_members: Number of members.
        spread: Root of the mean variance of the state's elements, (time,): compare it with the error.
        observation_mean: One-step predictions, (time, series).
        observation_sd: Their standard deviations, (time, series).
        residuals: Standardised one-step errors, (time, series); NaN where missing.
        mean: Means of the members, (time, state), or None where "moments" were not kept.
        sd: Their standard deviations, (time, state), or None.
        members: All members, (time, member, state), or None where "members" were not kept.
    """

    num_members: int
    spread: NDArray[np.float64]
    observation_mean: NDArray[np.float64]
    observation_sd: NDArray[np.float64]
    residuals: NDArray[np.float64]
    mean: NDArray[np.float64] | None = None
    sd: NDArray[np.float64] | None = None
    members: NDArray[np.float64] | None = None

    _over_time: ClassVar[tuple[str, ...]] = (
        "log_likelihood_terms",
        "spread",
        "observation_mean",
        "observation_sd",
        "residuals",
        "mean",
        "sd",
        "members",
    )

    def to_xarray(self) -> xr.Dataset:
        """All arrays with their coordinates; dimension `member` where members were kept."""
        state, series = ("time", "state"), ("time", "series")
        named: dict[str, tuple[tuple[str, ...], Any]] = {
            "log_likelihood": (("time",), self.log_likelihood_terms),
            "spread": (("time",), self.spread),
            "prediction_mean": (series, self.observation_mean),
            "prediction_sd": (series, self.observation_sd),
            "residual": (series, self.residuals),
            "state_mean": (state, self.mean),
            "state_sd": (state, self.sd),
            "members": (("time", "member", "state"), self.members),
        }
        arrays = {name: pair for name, pair in named.items() if pair[1] is not None}
        coords = coordinates(self.index, self.names, self.state_names)
        return labelled(arrays, coords, num_members=self.num_members)

    def to_pandas(self) -> pd.DataFrame:
        """Means and standard deviations of the states by stamp: columns (state, "mean" or "sd").

        Raises:
            ValueError: If moments were not kept.
        """
        if self.mean is None or self.sd is None:
            raise ValueError('the moments were not kept: filter with keep=("moments",)')
        return moments_frame(self.index, self.state_names, self.mean, self.sd)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class EnsembleSmoothed(AbstractDecomposed):
    """An ensemble smoother's account of the states and components given all data; no covariance of states.

    Attributes:
        mean: Means of the members, (time, state).
        sd: Their standard deviations, (time, state).
        members: All members, (time, member, state), or None where "members" were not kept.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    members: NDArray[np.float64] | None = None

    def to_xarray(self) -> xr.Dataset:
        """All arrays but the components, with their coordinates."""
        arrays: dict[str, Any] = {
            "state_mean": (("time", "state"), self.mean),
            "state_sd": (("time", "state"), self.sd),
        }
        if self.members is not None:
            arrays["members"] = (("time", "member", "state"), self.members)
        return labelled(arrays, coordinates(self.index, self.names, self.state_names))

    def to_pandas(self) -> pd.DataFrame:
        """Means and standard deviations of the states by stamp: columns (state, "mean" or "sd")."""
        return moments_frame(self.index, self.state_names, self.mean, self.sd)
