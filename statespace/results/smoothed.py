"""What a smoother run says."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..data import Series
from .filtered import moments_frame
from .labels import coordinates, data_groups, labelled, observed_frame


@dataclass(frozen=True, eq=False, kw_only=True)
class Smoothed:
    """Laws of the state and the components given all data, and what each stamp adds.

    Attributes:
        series: The data, on the model's scale.
        state_names: Names of the states.
        mean: Smoothed means, (time, state).
        cov: Smoothed covariances, (time, state, state).
        components: Mean and standard deviation, (time, series), of each component's contribution.
        observation_residuals: Auxiliary residuals of the observations, (time, series).
        state_residuals: Auxiliary residuals of the transitions into each stamp, (time, state).
        loo_terms: log p(y_t | y_-t), (time,); NaN where a stamp alone identifies a diffuse element.
        loo_mean: E[y_t | y_-t], (time, series).
        loo_sd: Its standard deviation.
    """

    series: Series
    state_names: tuple[str, ...]
    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    components: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    observation_residuals: NDArray[np.float64]
    state_residuals: NDArray[np.float64]
    loo_terms: NDArray[np.float64]
    loo_mean: NDArray[np.float64]
    loo_sd: NDArray[np.float64]

    @property
    def index(self) -> pd.Index:
        """The stamps."""
        return self.series.index

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the series."""
        return self.series.names

    @property
    def observed(self) -> pd.DataFrame:
        """The data, NaN kept."""
        return observed_frame(self.series)

    @property
    def sd(self) -> NDArray[np.float64]:
        """Smoothed standard deviations, (time, state)."""
        return np.sqrt(np.maximum(np.diagonal(self.cov, axis1=1, axis2=2), 0.0))

    def to_xarray(self) -> xr.Dataset:
        """All arrays but the components, with their coordinates."""
        arrays = {
            "state_mean": (("time", "state"), self.mean),
            "state_cov": (("time", "state", "state_"), self.cov),
            "observation_residual": (("time", "series"), self.observation_residuals),
            "state_residual": (("time", "state"), self.state_residuals),
            "loo": (("time",), self.loo_terms),
            "loo_mean": (("time", "series"), self.loo_mean),
            "loo_sd": (("time", "series"), self.loo_sd),
        }
        return labelled(arrays, coordinates(self.index, self.names, self.state_names))

    def components_to_xarray(self) -> xr.Dataset:
        """`mean` and `sd` of the contributions, (component, time, series)."""
        return components_dataset(self.components, self.index, self.names)

    def to_datatree(self) -> xr.DataTree:
        """The groups /smoothed, /components, /observed_data and /constant_data."""
        groups = {"smoothed": self.to_xarray(), **data_groups(self.series)}
        if self.components:
            groups["components"] = self.components_to_xarray()
        return xr.DataTree.from_dict(groups)

    def to_pandas(self) -> pd.DataFrame:
        """Means and standard deviations of the states by stamp: columns (state, "mean" or "sd")."""
        return moments_frame(self.index, self.state_names, self.mean, self.sd)


def components_dataset(
    components: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    index: pd.Index,
    names: tuple[str, ...],
) -> xr.Dataset:
    """`mean` and `sd` of each component's contribution, (component, time, series)."""
    dims = ("component", "time", "series")
    mean, sd = (np.stack([pair[i] for pair in components.values()]) for i in (0, 1))
    coords = coordinates(index, names) | {"component": list(components)}
    return labelled({"mean": (dims, mean), "sd": (dims, sd)}, coords)
