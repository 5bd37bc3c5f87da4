"""What a filter run says."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..data import Identity, Series, Transform
from .labels import coordinates, data_groups, labelled

HALF_LOG_2PI = 0.9189385332046727


@dataclass(frozen=True, eq=False, kw_only=True)
class Filtered:
    """Laws of the state given the data up to each stamp, and the one-step predictions.

    Attributes:
        series: The data, on the model's scale.
        state_names: Names of the states.
        mean: Filtered means, (time, state).
        cov: Filtered covariances, (time, state, state); infinite variances where still diffuse.
        predicted_mean: Means given the data up to the stamp before.
        predicted_cov: Their covariances.
        observation_mean: One-step predictions, (time, series); NaN while diffuse.
        observation_cov: Their covariances, (time, series, series).
        residuals: Standardised one-step errors, (time, series); NaN where diffuse or missing.
        log_likelihood_terms: log p(y_t | y_<t), (time,), all constants included.
        diffuse_count: How many observations the diffuse elements used up.
        model: The model.
        transform: From the data's original scale to the model's, on which everything here is.
        belief: The belief after the last stamp, from which `append` goes on.
        steps_done: Number of stamps behind it.
        filter_form: How the filter carried its covariance, which `append` goes on with.
    """

    series: Series
    state_names: tuple[str, ...]
    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    predicted_mean: NDArray[np.float64]
    predicted_cov: NDArray[np.float64]
    observation_mean: NDArray[np.float64]
    observation_cov: NDArray[np.float64]
    residuals: NDArray[np.float64]
    log_likelihood_terms: NDArray[np.float64]
    diffuse_count: int
    model: Any
    belief: Any
    steps_done: int
    transform: Transform = field(default_factory=Identity)
    filter_form: str = "auto"

    @property
    def index(self) -> pd.Index:
        """The stamps."""
        return self.series.index

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the series."""
        return self.series.names

    @property
    def log_likelihood(self) -> float:
        """The log-likelihood with all constants, also -0.5 log 2 pi for each diffuse element."""
        return float(self.log_likelihood_terms.sum())

    @property
    def log_likelihood_kfas(self) -> float:
        """The log-likelihood as KFAS and R report it, without that constant."""
        return self.log_likelihood + self.diffuse_count * HALF_LOG_2PI

    @property
    def sd(self) -> NDArray[np.float64]:
        """Filtered standard deviations, (time, state)."""
        return np.sqrt(np.maximum(np.diagonal(self.cov, axis1=1, axis2=2), 0.0))

    def to_xarray(self) -> xr.Dataset:
        """All arrays with their coordinates."""
        states, square = ("time", "state"), ("time", "state", "state_")
        arrays = {
            "state_mean": (states, self.mean),
            "state_cov": (square, self.cov),
            "predicted_state_mean": (states, self.predicted_mean),
            "predicted_state_cov": (square, self.predicted_cov),
            "prediction_mean": (("time", "series"), self.observation_mean),
            "prediction_cov": (("time", "series", "series_"), self.observation_cov),
            "residual": (("time", "series"), self.residuals),
            "log_likelihood": (("time",), self.log_likelihood_terms),
        }
        coords = coordinates(self.index, self.names, self.state_names) | {"series_": list(self.names)}
        return labelled(arrays, coords, likelihood="exact diffuse, all constants included")

    def to_datatree(self) -> xr.DataTree:
        """The groups /filtered, /observed_data and /constant_data."""
        return xr.DataTree.from_dict({"filtered": self.to_xarray(), **data_groups(self.series)})

    def to_pandas(self) -> pd.DataFrame:
        """Means and standard deviations of the states by stamp: columns (state, "mean" or "sd")."""
        return moments_frame(self.index, self.state_names, self.mean, self.sd)


def moments_frame(
    index: pd.Index, names: tuple[str, ...], mean: NDArray[np.float64], sd: NDArray[np.float64]
) -> pd.DataFrame:
    """A frame with columns (name, "mean") and (name, "sd")."""
    columns = {
        (name, what): values[:, i] for i, name in enumerate(names) for what, values in (("mean", mean), ("sd", sd))
    }
    return pd.DataFrame(columns, index=index)
