"""Coordinates: arrays of results with the names and stamps of their series."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..data import Series
from .stored_index import stamp_attrs


def stamps(index: pd.Index) -> NDArray[Any]:
    """Stamps as xarray can store them: periods become the time stamps of their starts, zones become UTC."""
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex) and index.tz is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    return index.to_numpy()


def coordinates(index: pd.Index, names: Sequence[str], states: Sequence[str] = ()) -> dict[str, Any]:
    """The coordinates that results of a series share."""
    time = ("time", stamps(index), stamp_attrs(index))
    found: dict[str, Any] = {"time": time, "series": list(names)}
    if len(states):
        found |= {"state": list(states), "state_": list(states)}
    return found


def labelled(
    arrays: dict[str, tuple[tuple[str, ...], NDArray[Any]]], coords: dict[str, Any], **attrs: Any
) -> xr.Dataset:
    """A Dataset of arrays with the coordinates of the dimensions that occur, and plain ranges for the others."""
    used = {dim: size for dims, values in arrays.values() for dim, size in zip(dims, np.shape(values), strict=True)}
    full = {dim: coords.get(dim, np.arange(size)) for dim, size in used.items()}
    return xr.Dataset({safe(k, used): v for k, v in arrays.items()}, full, attrs)


def safe(name: str, dims: Any = ()) -> str:
    """A variable's name as xarray allows it: not that of a dimension, and `|` where a name has `/`."""
    name = name.replace("/", "|")
    return f"{name}_" if name in dims else name


def observed_frame(series: Series, values: NDArray[np.float64] | None = None) -> pd.DataFrame:
    """The observations, NaN kept, as a frame."""
    return pd.DataFrame(series.observed if values is None else values, series.index, list(series.names))


def data_groups(series: Series, values: NDArray[np.float64] | None = None) -> dict[str, xr.Dataset]:
    """The groups `observed_data` and `constant_data`."""
    coords = coordinates(series.index, series.names) | {"input": list(series.input_names)}
    seen = series.observed if values is None else values
    constant: dict[str, Any] = {"mask": (("time", "series"), series.mask)}
    if series.inputs is not None:
        constant["inputs"] = (("time", "input"), series.inputs)
    return {
        "observed_data": labelled({"y": (("time", "series"), seen)}, coords),
        "constant_data": labelled(constant, coords),
    }


def labelled_paths(paths: NDArray[np.float64], series: Series, state_names: Sequence[str]) -> xr.DataArray:
    """Paths of states, (draw, time, state) or (chain, draw, time, state)."""
    coords = coordinates(series.index, series.names, state_names)
    return labelled({"states": ((*_drawn(paths), "time", "state"), paths)}, coords)["states"]


def _drawn(values: NDArray[np.float64]) -> tuple[str, ...]:
    return ("chain", "draw")[4 - np.ndim(values) :]


def labelled_draws(values: NDArray[np.float64], name: str) -> xr.DataArray:
    """One number for each posterior draw, (chain, draw)."""
    return labelled({name: (("chain", "draw"), values)}, {})[name]


def labelled_values(values: NDArray[np.float64], series: Series) -> xr.DataArray:
    """Simulated observations, (draw, time, series) or (chain, draw, time, series)."""
    coords = coordinates(series.index, series.names)
    return labelled({"y": ((*_drawn(values), "time", "series"), values)}, coords)["y"]


def labelled_simulation(
    states: NDArray[np.float64], values: NDArray[np.float64], series: Series, state_names: Sequence[str]
) -> xr.Dataset:
    """Simulated states and observations; discrete states are numbers, (draw, time)."""
    coords = coordinates(series.index, series.names, state_names)
    dims = ("draw", "time", "state")[: np.ndim(states)]
    return labelled({"y": (("draw", "time", "series"), values), "states": (dims, states)}, coords)


def is_repeated(element: str, supports: Mapping[str, str]) -> bool:
    """Whether an element of a parameter says nothing new: one on or above the diagonal of a correlation matrix.

    Args:
        element: Its name, such as `noise.correlation[0, 1]`.
        supports: The parameters' supports in words, by path.
    """
    path, _, place = element.rstrip("]").partition("[")
    if "CorrMatrix" not in supports.get(path, ""):
        return False
    row, column = map(int, place.split(","))
    return row <= column
