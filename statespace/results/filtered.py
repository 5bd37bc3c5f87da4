"""What a filter run says."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..data import Identity, Series, Transform
from .account import AbstractAccount, moments_frame
from .labels import coordinates, labelled

HALF_LOG_2PI = 0.9189385332046727


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AbstractFiltered(AbstractAccount):
    """What any filter run says: the data, the terms of the log-likelihood, and the belief from which to go on.

    Attributes:
        log_likelihood_terms: log p(y_t | y_<t), (time,), all constants included.
        model: The model.
        transform: From the data's original scale to the model's, on which everything here is.
        filter_method: How it was filtered, which `append` goes on with.
        belief: The belief after the last stamp, from which `append` goes on.
        steps_done: Number of stamps behind it.
    """

    log_likelihood_terms: NDArray[np.float64]
    model: Any
    belief: Any
    steps_done: int
    transform: Transform = field(default_factory=Identity)
    filter_method: Any = None

    _group = "filtered"
    _over_time: ClassVar[tuple[str, ...]] = ("log_likelihood_terms",)  # arrays with a leading time axis
    _counts: ClassVar[tuple[str, ...]] = ()  # numbers that add up over time

    @property
    def log_likelihood(self) -> float:
        """The log-likelihood with all constants."""
        return float(self.log_likelihood_terms.sum())

    @property
    def can_go_on(self) -> bool:
        """Whether the belief after the last stamp is a law to go on from."""
        return True

    def followed_by(self, later: Self, joined: Series) -> Self:
        """This run and one that went on from its belief, as one run over the joined series."""
        both = {name: (getattr(self, name), getattr(later, name)) for name in self._over_time}
        rows = {name: np.concatenate(pair) for name, pair in both.items() if pair[0] is not None}
        sums = {name: getattr(self, name) + getattr(later, name) for name in self._counts}
        return replace(later, series=joined, steps_done=joined.length, **rows, **sums)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Filtered(AbstractFiltered):
    """Normal laws of the state given the data up to each stamp, and the one-step predictions.

    Attributes:
        mean: Filtered means, (time, state).
        cov: Filtered covariances, (time, state, state); infinite variances where still diffuse.
        predicted_mean: Means given the data up to the stamp before.
        predicted_cov: Their covariances.
        observation_mean: One-step predictions, (time, series); NaN while diffuse.
        observation_cov: Their covariances, (time, series, series).
        residuals: Standardised one-step errors, (time, series); NaN where diffuse or missing.
        diffuse_count: How many observations the diffuse elements used up.
    """

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    predicted_mean: NDArray[np.float64]
    predicted_cov: NDArray[np.float64]
    observation_mean: NDArray[np.float64]
    observation_cov: NDArray[np.float64]
    residuals: NDArray[np.float64]
    diffuse_count: int

    _over_time: ClassVar[tuple[str, ...]] = (
        "mean",
        "cov",
        "predicted_mean",
        "predicted_cov",
        "observation_mean",
        "observation_cov",
        "residuals",
        "log_likelihood_terms",
    )
    _counts: ClassVar[tuple[str, ...]] = ("diffuse_count",)

    @property
    def can_go_on(self) -> bool:
        """Whether the diffuse phase is over."""
        return bool(np.all(np.isfinite(self.belief.mean)))

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
        return labelled(arrays, coords, likelihood="all constants included")

    def to_pandas(self) -> pd.DataFrame:
        """Means and standard deviations of the states by stamp: columns (state, "mean" or "sd")."""
        return moments_frame(self.index, self.state_names, self.mean, self.sd)
