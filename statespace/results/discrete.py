"""What filter and smoother runs say about states that are one of a few."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..data import Series
from .account import AbstractAccount
from .filtered import AbstractFiltered
from .labels import coordinates, labelled


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DiscreteFiltered(AbstractFiltered):
    """Probabilities of the states given the data up to each stamp, and the one-step predictions.

    Attributes:
        probabilities: P(x_t | y_1, ..., y_t), (time, state).
        predicted_probabilities: P(x_t | y_1, ..., y_{t-1}).
        observation_mean: One-step predictions, (time, series); NaN where the emission has no mean.
        observation_cov: Their covariances, (time, series, series).
    """

    probabilities: NDArray[np.float64]
    predicted_probabilities: NDArray[np.float64]
    observation_mean: NDArray[np.float64]
    observation_cov: NDArray[np.float64]

    _over_time: ClassVar[tuple[str, ...]] = (
        "probabilities",
        "predicted_probabilities",
        "observation_mean",
        "observation_cov",
        "log_likelihood_terms",
    )

    def to_xarray(self) -> xr.Dataset:
        """All arrays with their coordinates."""
        arrays = {
            "state_probability": (("time", "state"), self.probabilities),
            "predicted_state_probability": (("time", "state"), self.predicted_probabilities),
            "prediction_mean": (("time", "series"), self.observation_mean),
            "prediction_cov": (("time", "series", "series_"), self.observation_cov),
            "log_likelihood": (("time",), self.log_likelihood_terms),
        }
        coords = coordinates(self.index, self.names, self.state_names) | {"series_": list(self.names)}
        return labelled(arrays, coords, likelihood="all constants included")

    def to_pandas(self) -> pd.DataFrame:
        """Probabilities by stamp, one column a state."""
        return pd.DataFrame(self.probabilities, self.index, list(self.state_names))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DiscreteSmoothed(AbstractAccount):
    """Probabilities of the states and of the transitions given all data.

    Attributes:
        probabilities: P(x_t | y), (time, state).
        transitions: P(x_{t-1} = i, x_t = j | y) for all stamps but the first, (time - 1, state, state).
        loo_terms: log p(y_t | y_-t), (time,); NaN where the emission reads the observation before.
    """

    probabilities: NDArray[np.float64]
    transitions: NDArray[np.float64]
    loo_terms: NDArray[np.float64]

    _group = "smoothed"

    def expected_transitions(self) -> pd.DataFrame:
        """How many times the chain is expected to have moved from a state (row) to a state (column)."""
        names = list(self.state_names)
        return pd.DataFrame(self.transitions.sum(axis=0), names, names)

    def to_xarray(self) -> xr.Dataset:
        """All arrays with their coordinates; the transition into the first stamp is NaN."""
        first = np.full((1, *self.transitions.shape[1:]), np.nan)
        arrays = {
            "state_probability": (("time", "state"), self.probabilities),
            "transition_probability": (("time", "state", "state_"), np.concatenate([first, self.transitions])),
            "loo": (("time",), self.loo_terms),
        }
        return labelled(arrays, coordinates(self.index, self.names, self.state_names))

    def to_pandas(self) -> pd.DataFrame:
        """Probabilities by stamp, one column a state."""
        return pd.DataFrame(self.probabilities, self.index, list(self.state_names))


def state_flags(names: Sequence[str]) -> dict[str, Any]:
    """What the numbers of discrete states mean, as attributes in the way of the CF conventions."""
    return {"flag_values": list(range(len(names))), "flag_meanings": " ".join(n.replace(" ", "_") for n in names)}


def labelled_numbers(paths: NDArray[Any], series: Series, names: Sequence[str]) -> xr.DataArray:
    """Numbers of states by stamp, (time,), (draw, time) or (chain, draw, time)."""
    dims = (*("chain", "draw")[3 - np.ndim(paths) :], "time") if np.ndim(paths) > 1 else ("time",)
    found = labelled({"states": (dims, paths)}, coordinates(series.index, series.names))["states"]
    return found.assign_attrs(state_flags(names))
