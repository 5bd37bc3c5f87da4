"""How good forecasts were, once it is known what happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

_BY = ("step", "series", "sequence")


@dataclass(frozen=True, eq=False, kw_only=True)
class ForecastScores:
    """Errors, scores and calibration of forecasts from several origins, each value by itself.

    NaN stands where nothing was observed.

    Attributes:
        error: What happened minus the forecast's mean, (forecast, step, series), on the original scale.
        naive: What happened minus the last value before the origin.
        crps: Continuous ranked probability scores, in the data's unit.
        pit: Where among the forecast's draws the observation fell, between 0 and 1.
        inside: Whether it lay in the central interval of each level, (level, forecast, step, series).
        levels: Probabilities of these intervals.
        sequences: Whose forecast each one is.
        origins: The stamp before the first that was forecast, of each.
        names: Names of the series.
        num_samples: Number of paths of each forecast.
    """

    error: NDArray[np.float64]
    naive: NDArray[np.float64]
    crps: NDArray[np.float64]
    pit: NDArray[np.float64]
    inside: NDArray[np.float64]
    levels: tuple[float, ...]
    sequences: tuple[str, ...]
    origins: pd.Index
    names: tuple[str, ...]
    num_samples: int

    def __repr__(self) -> str:
        row = self.table(by=[]).iloc[0]
        covered = ", ".join(f"{level:.0%} bands cover {row[_column(level)]:.1%}" for level in self.levels)
        count, steps, _ = self.error.shape
        return f"ForecastScores({count} forecasts of {steps} steps: CRPS {row['crps']:.4g}, {covered})"

    def table(self, by: str | Sequence[str] = "step") -> pd.DataFrame:
        """Averages of the scores.

        Args:
            by: What they are told apart by: "step" ahead, "series", "sequence", or a list of these; an empty list
                averages over all.

        Returns:
            A row each with columns count, mae, rmse, crps, coverage_50 ... (a share), naive_mae, and mae_ratio
            (below 1: better than repeating the last value).

        Raises:
            ValueError: If `by` names anything else.
        """
        keys = [by] if isinstance(by, str) else list(by)
        if not set(keys) <= set(_BY):
            raise ValueError(f"by={by!r} is unknown: choose from {', '.join(map(repr, _BY))}")
        values = self.to_pandas().dropna(subset=["error"])
        values = values.assign(square=values["error"] ** 2, error=values["error"].abs(), naive=values["naive"].abs())
        values["paired"] = values["error"].where(values["naive"].notna())  # the first ones may have no last value
        coverage = [_column(level) for level in self.levels]
        columns = ["error", "square", "crps", *coverage, "naive", "paired"]
        groups: Any = values.groupby(keys or np.full(len(values), "all"), sort=True)[columns]
        names = {"error": "mae", "naive": "naive_mae", "square": "rmse"}
        found = groups.mean().rename(columns=names)
        found["rmse"] **= 0.5
        found.insert(0, "count", groups.size())
        found["mae_ratio"] = found.pop("paired") / found["naive_mae"]
        return found

    def to_pandas(self) -> pd.DataFrame:
        """A row for each value that was forecast: sequence, origin, step, series and its scores."""
        forecasts, steps, series = self.error.shape
        which, step, column = (x.ravel() for x in np.indices((forecasts, steps, series)))
        labels = {
            "sequence": np.asarray(self.sequences)[which],
            "origin": self.origins.take(which),
            "step": step + 1,
            "series": np.asarray(self.names)[column],
        }
        scores = {"error": self.error, "naive": self.naive, "crps": self.crps, "pit": self.pit}
        scores |= {_column(level): inside for level, inside in zip(self.levels, self.inside, strict=True)}
        return pd.DataFrame(labels | {name: value.ravel() for name, value in scores.items()})

    def to_xarray(self) -> xr.Dataset:
        """All numbers with their labels."""
        dims = ("forecast", "step", "series")
        arrays = {name: (dims, getattr(self, name)) for name in ("error", "naive", "crps", "pit")}
        coords = {
            "step": np.arange(1, self.error.shape[1] + 1),
            "series": list(self.names),
            "level": list(self.levels),
            "sequence": ("forecast", list(self.sequences)),
            "origin": ("forecast", self.origins),
        }
        return xr.Dataset(
            arrays | {"inside": (("level", *dims), self.inside)}, coords, {"num_samples": self.num_samples}
        )


def _column(level: float) -> str:
    return f"coverage_{100 * level:g}"
