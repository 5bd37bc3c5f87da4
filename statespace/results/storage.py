"""Fits on disk: one netCDF or Zarr file, written whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..data import Series, transform_from_spec
from .fitted import Fitted, Status
from .labels import labelled, stamps

_FORMAT = "statespace fit 1"
_PLAIN = (
    "method_name",
    "log_likelihood",
    "num_parameters",
    "diffuse_count",
    "num_observations",
    "specification",
)


def save(fitted: Fitted, path: str | os.PathLike) -> None:
    """Write a fit to a `.nc` (netCDF) or `.zarr` path.

    The groups of `to_datatree` are for everyone; the group `statespace` holds what `load` needs besides.

    Raises:
        ValueError: If the path ends otherwise.
    """
    path = Path(path)
    if path.suffix not in (".nc", ".zarr"):
        raise ValueError(f"a fit is saved as .nc (netCDF) or .zarr, got {path.name!r}")
    tree = fitted.to_datatree()
    tree["statespace"] = xr.DataTree(_state(fitted))
    tree.attrs["format"] = _FORMAT
    folder = path.absolute().parent
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
        made = Path(scratch) / path.name
        if path.suffix == ".nc":
            tree.to_netcdf(made, engine="h5netcdf")
        else:
            tree.to_zarr(made, consolidated=False)
        if path.is_dir():
            os.replace(path, Path(scratch) / "old")
        os.replace(made, path)


def load(path: str | os.PathLike, build: Callable[[str], Any]) -> Fitted:
    """Read a fit that `save` wrote.

    Args:
        path: The file.
        build: Makes the model from its specification.

    Raises:
        ValueError: If the file is not one.
    """
    path = Path(path)
    try:
        options = {"engine": "zarr", "consolidated": False} if path.suffix == ".zarr" else {"engine": "h5netcdf"}
        with xr.open_datatree(path, **options) as opened:
            tree = opened.load()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read as a saved fit: {error}") from None
    if tree.attrs.get("format") != _FORMAT:
        raise ValueError(f"{path} is not a fit saved by statespace (or by another version of its format)")
    return _restore(tree, build)


def _state(fitted: Fitted) -> xr.Dataset:
    """What the public groups do not hold: the data on the model's scale, the index, status and model."""
    series, index = fitted.series, fitted.series.index
    arrays = {"values": (("time", "series"), series.values), "mask": (("time", "series"), series.mask)}
    arrays |= {"clock": (("time",), series.time), "dt": (("time",), series.dt)}
    if series.inputs is not None:
        arrays["inputs"] = (("time", "input"), series.inputs)
    if fitted.unconstrained_covariance is not None:
        arrays["covariance"] = (("row", "column"), np.asarray(fitted.unconstrained_covariance))
    for kind in ("estimates", "standard_errors"):
        for path, v in (getattr(fitted, kind) or {}).items():
            arrays[f"{kind}:{path}"] = (tuple(f"{kind}:{path}:{i}" for i in range(np.ndim(v))), np.asarray(v))
    if fitted.pointwise is not None:
        arrays |= {f"pointwise:{k}": (("chain", "draw", "time"), v) for k, v in fitted.pointwise.items()}
    attrs = {
        "plain": json.dumps({name: getattr(fitted, name) for name in _PLAIN}),
        "status": json.dumps([fitted.status.converged, fitted.status.message, fitted.status.details], default=str),
        "transform": json.dumps(fitted.transform.to_spec()),
        "series": json.dumps([list(series.names), list(series.input_names), series.univariate, series.is_regular]),
        "index": json.dumps(_index_kind(series)),
        "coefficients": json.dumps(list(fitted.coefficients)),
        "point_coefficients": json.dumps({k: v for k, v in fitted.coefficients.items() if isinstance(v, tuple)}),
        "draws": json.dumps(list(fitted.draws) if fitted.draws is not None else None),
        "priors": json.dumps({path: repr(prior) for path, prior in fitted.priors.items()}),
        "supports": json.dumps(fitted.supports),
    }
    return labelled(arrays, {"time": stamps(index)}, **attrs)


def _restore(tree: xr.DataTree, build: Callable[[str], Any]) -> Fitted:
    state = tree["statespace"].to_dataset()
    read = {name: json.loads(state.attrs[name]) for name in state.attrs}
    plain = read["plain"]
    public = {
        "observed_data",
        "constant_data",
        "posterior",
        "sample_stats",
        "log_likelihood",
        "one_step",
        "estimates",
    }

    def arrays(kind: str) -> dict[str, Any]:
        return {k.split(":", 1)[1]: v.to_numpy() for k, v in state.data_vars.items() if str(k).startswith(f"{kind}:")}

    sampled = read["draws"] is not None
    draws = {path: tree["posterior"][path].to_numpy() for path in read["draws"]} if sampled else None
    coefficients: dict[str, Any] = {k: tuple(v) for k, v in read["point_coefficients"].items()}
    if sampled:
        coefficients = {name: tree["posterior"][name].to_numpy() for name in read["coefficients"]}
    return Fitted(
        **plain,
        model=build(plain["specification"]),
        series=_series(state, read),
        transform=transform_from_spec(read["transform"]),
        draws=draws,
        estimates=arrays("estimates"),
        standard_errors=None if sampled else arrays("standard_errors"),
        unconstrained_covariance=state["covariance"].to_numpy() if "covariance" in state else None,
        sample_stats={str(k): v.to_numpy() for k, v in tree["sample_stats"].data_vars.items()} if sampled else {},
        status=Status(*read["status"]),
        priors=read["priors"],
        coefficients=coefficients,
        pointwise=arrays("pointwise") or None,
        supports=read["supports"],
        extra_groups={k: v.to_dataset() for k, v in tree.children.items() if k not in public | {"statespace"}},
    )


def _series(state: xr.Dataset, read: dict[str, Any]) -> Series:
    names, input_names, univariate, regular = read["series"]
    return Series(
        values=state["values"].to_numpy(),
        mask=state["mask"].to_numpy().astype(bool),
        index=_index(state["time"].to_numpy(), *read["index"]),
        names=tuple(names),
        univariate=univariate,
        inputs=state["inputs"].to_numpy() if "inputs" in state else None,
        input_names=tuple(input_names),
        freq=read["index"][1],
        time=state["clock"].to_numpy(),
        dt=state["dt"].to_numpy(),
        is_regular=regular,
    )


def _index_kind(series: Series) -> list[Any]:
    """Kind, frequency, name, time zone and resolution of the index."""
    index = series.index
    zone, unit = str(getattr(index, "tz", None) or ""), getattr(index, "unit", None)
    return [type(index).__name__, series.freq, index.name, zone, unit]


def _index(values: Any, kind: str, freq: str | None, name: str | None, zone: str, unit: str | None) -> pd.Index:
    if kind == "PeriodIndex":
        return pd.PeriodIndex(pd.DatetimeIndex(values), freq=freq, name=name)
    if kind == "DatetimeIndex":
        index = pd.DatetimeIndex(values, name=name).as_unit(unit or "ns")
        index = index.tz_localize("UTC").tz_convert(zone) if zone else index
        return pd.DatetimeIndex(index, freq=freq) if freq else index
    if kind == "RangeIndex":
        step = int(values[1] - values[0]) if len(values) > 1 else 1
        return pd.RangeIndex(int(values[0]), int(values[0]) + step * len(values), step, name=name)
    return pd.Index(values, name=name)
