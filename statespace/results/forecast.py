"""What comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from ..data import Identity, Series, Transform
from .labels import coordinates, labelled, observed_frame


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Forecast:
    """Predictions of the stamps after a series, on its original scale.

    Each value's law is a normal, or an equal mixture of normals over posterior draws, carried through the
    inverse of the transform. Box-Cox with a negative exponent reaches infinity with positive probability: there
    mean and standard deviation are infinite, while the quantiles are finite. Laws that are not normal are a
    `PathForecast`.

    Attributes:
        series: The history, on the model's scale.
        index: The future stamps.
        transform: From the original scale to the model's.
        mean_t: Means on the model's scale, (horizon, series).
        cov_t: Covariances on the model's scale, (horizon, series, series).
        state_mean: (horizon, state).
        state_cov: (horizon, state, state); None where the state has more than 1000 elements.
        state_names: Names of the states.
        components: Mean and standard deviation, (horizon, series), of each component on the model's scale.
        draws: Joint paths on the original scale, (draw, horizon, series), or None.
        mixture: Means (draw, horizon, series) and covariances of the parts of a mixture, or None.
        inputs: Inputs over the horizon.
        input_names: Their names.
    """

    series: Series
    index: pd.Index
    transform: Transform
    mean_t: NDArray[np.float64]
    cov_t: NDArray[np.float64]
    state_mean: NDArray[np.float64]
    state_cov: NDArray[np.float64] | None
    state_names: tuple[str, ...]
    components: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] | None
    draws: NDArray[np.float64] | None
    mixture: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    inputs: NDArray[np.float64] | None = None
    input_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line: the kind, the series and the horizon."""
        span = f", {self.index[0]} to {self.index[-1]}" if len(self.index) else ""
        return f"{type(self).__name__}({', '.join(self.names)}: {len(self.index)} ahead{span})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the series."""
        return self.series.names

    @property
    def history(self) -> pd.DataFrame:
        """The data on the original scale, NaN kept."""
        return observed_frame(self.series, self.transform.inverse(self.series.observed))

    def _parts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Means and standard deviations of the normals, (part, horizon, series)."""
        mean, cov = (self.mean_t[None], self.cov_t[None]) if self.mixture is None else self.mixture
        return mean, np.sqrt(np.maximum(np.diagonal(cov, axis1=-2, axis2=-1), 0.0))

    def _moment(self, power: int) -> NDArray[np.float64]:
        return self.transform.moments(*self._parts())[power - 1].mean(axis=0)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Means, (horizon, series); those of a log-normal law, or by quadrature, where the data were transformed."""
        return self.mean_t if isinstance(self.transform, Identity) else self._moment(1)

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviations, (horizon, series)."""
        if isinstance(self.transform, Identity):
            return np.sqrt(np.maximum(np.diagonal(self.cov_t, axis1=1, axis2=2), 0.0))
        mean, square = self._moment(1), self._moment(2)
        finite = np.isfinite(square)
        return np.sqrt(np.maximum(np.where(finite, square, np.inf) - np.where(finite, mean, 0.0) ** 2, 0.0))

    def quantile(self, q: Any) -> NDArray[np.float64]:
        """The q-th quantile of each value, (horizon, series), free of Monte Carlo error.

        Args:
            q: A level, or a list of levels, which gives a leading axis.

        Raises:
            ValueError: If a level does not lie between 0 and 1.
        """
        if np.ndim(q):
            return np.stack([self.quantile(level) for level in q])
        if not 0 < q < 1:
            raise ValueError(f"a quantile level lies between 0 and 1, got {q}")
        mean, sd = self._parts()
        if len(mean) == 1:
            return np.asarray(self.transform.inverse(mean[0] + sd[0] * ndtri(q)))
        found = np.empty(mean.shape[1:])
        for where in np.ndindex(*found.shape):
            found[where] = _mixture_quantile(q, mean[(slice(None), *where)], sd[(slice(None), *where)])
        return np.asarray(self.transform.inverse(found))

    def to_pandas(self, levels: Sequence[float] = (0.5, 0.9)) -> pd.DataFrame:
        """Mean, standard deviation and quantiles by future stamp; columns (series, statistic) if several.

        Args:
            levels: Probabilities of the central intervals whose ends (and the median) are given.
        """
        tails = sorted({round(0.5 + sign * level / 2, 10) for level in levels for sign in (-1, 1)} | {0.5})
        columns = {"mean": self.mean, "sd": self.sd} | {f"{100 * q:g}%": self.quantile(q) for q in tails}
        if len(self.names) == 1:
            return pd.DataFrame({k: v[:, 0] for k, v in columns.items()}, index=self.index)
        both = {(name, k): v[:, i] for i, name in enumerate(self.names) for k, v in columns.items()}
        return pd.DataFrame(both, index=self.index)

    def to_xarray(self) -> xr.Dataset:
        """Moments, states, components and paths with their coordinates; `time` holds the future stamps."""
        arrays: dict[str, Any] = {
            "mean": (("time", "series"), self.mean),
            "sd": (("time", "series"), self.sd),
            "state_mean": (("time", "state"), self.state_mean),
        }
        if self.state_cov is not None:
            arrays["state_cov"] = (("time", "state", "state_"), self.state_cov)
        if self.draws is not None:
            arrays["y"] = (("draw", "time", "series"), self.draws)
        coords = coordinates(self.index, self.names, self.state_names)
        if self.components:
            coords["component"] = list(self.components)
            for i, what in enumerate(("component_mean", "component_sd")):
                values = np.stack([pair[i] for pair in self.components.values()])
                arrays[what] = (("component", "time", "series"), values)
        return labelled(arrays, coords)

    def to_datatree(self) -> xr.DataTree:
        """The groups /predictions and, with inputs, /predictions_constant_data."""
        groups = {"predictions": self.to_xarray()}
        if self.inputs is not None:
            coords = coordinates(self.index, self.names) | {"input": list(self.input_names)}
            groups["predictions_constant_data"] = labelled({"inputs": (("time", "input"), self.inputs)}, coords)
        return xr.DataTree.from_dict(groups)


class DivergenceWarning(UserWarning):
    """Paths of a forecast that leave all data behind: the model is not stable where it runs free."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PathForecast(Forecast):
    """Predictions whose laws are not normal and are known by their paths: counts, discrete states, nonlinear models.

    Quantiles are those of the paths, so that a quantile of counts is a count; so are moments behind a transform.
    """

    draws: NDArray[np.float64]

    def _moment(self, power: int) -> NDArray[np.float64]:
        return np.mean(self.draws**power, axis=0)

    def quantile(self, q: Any) -> NDArray[np.float64]:
        """The smallest value that a share q of the paths does not exceed, (horizon, series).

        Args:
            q: A level, or a list of levels, which gives a leading axis.

        Raises:
            ValueError: If a level does not lie between 0 and 1.
        """
        if np.any(np.asarray(q) <= 0) or np.any(np.asarray(q) >= 1):
            raise ValueError(f"a quantile level lies between 0 and 1, got {q}")
        return np.quantile(self.draws, q, axis=0, method="inverted_cdf")


def _mixture_quantile(q: float, mean: NDArray[np.float64], sd: NDArray[np.float64]) -> float:
    """The q-th quantile of an equal mixture of normals, which lies between those of its parts."""
    parts = mean + sd * ndtri(q)
    if not np.ptp(parts) > 0:
        return float(parts[0])
    spread = np.maximum(sd, 1e-12 * np.ptp(parts))  # a part without spread is a step: make it a steep slope
    parts = mean + spread * ndtri(q)
    low, high = float(parts.min()), float(parts.max())

    def excess(x: float) -> float:
        return float(ndtr((x - mean) / spread).mean()) - q

    if excess(low) >= 0 or excess(high) <= 0:  # parts that differ by no more than rounding
        return low if excess(low) >= 0 else high
    return cast(float, brentq(excess, low, high, xtol=1e-12 * (high - low)))
