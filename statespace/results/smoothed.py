"""What a smoother run says."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from .account import AbstractDecomposed, moments_frame
from .labels import coordinates, labelled


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Smoothed(AbstractDecomposed):
    """Laws of the state and the components given all data, and what each stamp adds.

    Attributes:
        mean: Smoothed means, (time, state).
        cov: Smoothed covariances, (time, state, state).
        observation_residuals: Auxiliary residuals of the observations, (time, series).
        state_residuals: Auxiliary residuals of the transitions into each stamp, (time, state).
        loo_terms: log p(y_t | y_-t), (time,); NaN where a stamp alone identifies a diffuse element.
        loo_mean: E[y_t | y_-t], (time, series).
        loo_sd: Its standard deviation.
    """

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    observation_residuals: NDArray[np.float64]
    state_residuals: NDArray[np.float64]
    loo_terms: NDArray[np.float64]
    loo_mean: NDArray[np.float64]
    loo_sd: NDArray[np.float64]

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

    def to_pandas(self) -> pd.DataFrame:
        """Means and standard deviations of the states by stamp: columns (state, "mean" or "sd")."""
        return moments_frame(self.index, self.state_names, self.mean, self.sd)
