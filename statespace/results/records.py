"""A fit as a DataTree that holds all of it, and back: what the files contain."""

import json
from typing import Any

import numpy as np
import xarray as xr

from ..data import Series, transform_from_spec
from .fitted import Fitted
from .labels import data_groups, labelled, safe, stamps
from .priors import in_words
from .status import Status
from .stored_index import decode_index, encode_index

_GROUP = "statespace"
_PLAIN = (
    "method_name",
    "log_likelihood",
    "num_parameters",
    "diffuse_count",
    "num_observations",
    "specification",
    "filter_specification",
    "sampler_specification",
)
_OWN_GROUPS = {
    _GROUP,
    "observed_data",
    "constant_data",
    "posterior",
    "sample_stats",
    "log_likelihood",
    "one_step",
    "estimates",
}


def to_record(fitted: Fitted) -> xr.DataTree:
    """The groups of `to_datatree`, which are for everyone, and one for `from_record`.

    Raises:
        ValueError: If the frequency of the dates cannot be stored.
    """
    tree = fitted.to_datatree()
    numbers, about = encode_index(fitted.series.index)
    arrays = _series_arrays(fitted.series) | _fit_arrays(fitted) | {"stamps": (("time",), numbers)}
    attrs = {name: json.dumps(value, default=_as_plain) for name, value in _described(fitted, about).items()}
    tree[_GROUP] = xr.DataTree(labelled(arrays, {}, **attrs))
    return tree


def series_record(fitted: Fitted) -> xr.DataTree:
    """The data alone of a fit that shares everything else with another one.

    Raises:
        ValueError: If the frequency of the dates cannot be stored.
    """
    series = fitted.series
    numbers, about = encode_index(series.index)
    described = {"series": _series_described(series), "index": about, "num_observations": fitted.num_observations}
    attrs = {name: json.dumps(value) for name, value in described.items()}
    groups: dict[str, Any] = dict(data_groups(series, np.asarray(fitted.transform.inverse(series.observed))))
    groups[_GROUP] = labelled(_series_arrays(series) | {"stamps": (("time",), numbers)}, {}, **attrs)
    return xr.DataTree.from_dict(groups)


def from_series_record(tree: xr.DataTree, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a `Fitted`, given those of the one that it shares all but its data with."""
    state = tree[_GROUP].to_dataset()
    read = {str(name): json.loads(text) for name, text in state.attrs.items()}
    return {**fields, "series": _series(state, read), "num_observations": read["num_observations"]}


def is_series_record(tree: xr.DataTree) -> bool:
    """Whether a tree holds the data alone."""
    return "plain" not in tree[_GROUP].attrs


def from_record(tree: xr.DataTree) -> dict[str, Any]:
    """The fields of the `Fitted` that a tree holds, all but its model; times in the tree are not decoded yet.

    Raises:
        KeyError: If something is missing.
        ValueError: If something is damaged.
    """
    state = tree[_GROUP].to_dataset()
    read = {str(name): json.loads(text) for name, text in state.attrs.items()}
    extra = {str(k): v.to_dataset() for k, v in tree.children.items() if k not in _OWN_GROUPS}
    if "posterior" in tree and "states" in tree["posterior"]:
        extra["posterior"] = tree["posterior"].to_dataset()[["states"]]
    return {
        **read["plain"],
        **_learned(tree, state, read),
        "series": _series(state, read),
        "transform": transform_from_spec(read["transform"]),
        "unconstrained_covariance": state["covariance"].to_numpy() if "covariance" in state else None,
        "status": Status(*read["status"]),
        "sampler_state": [state[f"state:{i}"].to_numpy() for i in range(read.get("states", 0))] or None,
        "priors": read["priors"],
        "supports": read["supports"],
        "extra_groups": {name: _with_times(part, read["time_unit"]) for name, part in extra.items()},
    }


def _series_arrays(series: Series) -> dict[str, Any]:
    both = ("time", "series")
    found: dict[str, Any] = {"values": (both, series.values), "mask": (both, series.mask)}
    if series.inputs is not None:
        found["inputs"] = (("time", "input"), series.inputs)
    return found | {"clock": (("time",), series.time), "dt": (("time",), series.dt)}


def _fit_arrays(fitted: Fitted) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if fitted.unconstrained_covariance is not None:
        found["covariance"] = (("row", "column"), np.asarray(fitted.unconstrained_covariance))
    for kind in ("estimates", "standard_errors", "intervals"):
        for path, value in (getattr(fitted, kind) or {}).items():
            name = _variable(kind, path)
            found[name] = (tuple(f"{name}:{i}" for i in range(np.ndim(value))), np.asarray(value))
    for name, value in (fitted.pointwise or {}).items():
        found[_variable("pointwise", name)] = (("chain", "draw", "time"), value)
    for i, value in enumerate(fitted.sampler_state or []):
        found[f"state:{i}"] = (tuple(f"state:{i}:{axis}" for axis in range(np.ndim(value))), np.asarray(value))
    return found


def _described(fitted: Fitted, index: dict[str, Any]) -> dict[str, Any]:
    series, status = fitted.series, fitted.status
    time = stamps(series.index).dtype
    return {
        "plain": {name: getattr(fitted, name) for name in _PLAIN},
        "status": [status.converged, status.message, status.details],
        "transform": fitted.transform.to_spec(),
        "series": _series_described(series),
        "index": index,
        "time_unit": np.datetime_data(time)[0] if time.kind == "M" else None,
        "draws": _names(fitted.draws),
        "estimates": _names(fitted.estimates),
        "standard_errors": _names(fitted.standard_errors),
        "intervals": _names(fitted.intervals),
        "pointwise": _names(fitted.pointwise),
        "coefficients": list(fitted.coefficients) if fitted.draws is not None else fitted.coefficients,
        "priors": {path: in_words(prior) for path, prior in fitted.priors.items()},
        "supports": fitted.supports,
        "states": len(fitted.sampler_state or []),
    }


def _series_described(series: Series) -> list[Any]:
    return [series.names, series.input_names, series.univariate, series.is_regular, series.freq]


def _learned(tree: xr.DataTree, state: xr.Dataset, read: dict[str, Any]) -> dict[str, Any]:
    """Draws or estimates, and what was computed from them."""

    def kept(kind: str) -> dict[str, Any] | None:
        names = read[kind]
        return None if names is None else {name: state[_variable(kind, name)].to_numpy() for name in names}

    found = {kind: kept(kind) for kind in ("estimates", "standard_errors", "intervals", "pointwise")}
    if read["draws"] is None:
        pairs = {name: tuple(pair) for name, pair in read["coefficients"].items()}
        return found | {"draws": None, "coefficients": pairs, "sample_stats": {}}
    posterior, stats = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    return found | {
        "draws": {path: posterior[safe(path)].to_numpy() for path in read["draws"]},
        "coefficients": {name: posterior[safe(name)].to_numpy() for name in read["coefficients"]},
        "sample_stats": {str(name): value.to_numpy() for name, value in stats.data_vars.items()},
    }


def _series(state: xr.Dataset, read: dict[str, Any]) -> Series:
    names, input_names, univariate, regular, freq = read["series"]
    return Series(
        values=state["values"].to_numpy(),
        mask=state["mask"].to_numpy().astype(bool),
        index=decode_index(state["stamps"].to_numpy(), read["index"]),
        names=tuple(names),
        univariate=univariate,
        inputs=state["inputs"].to_numpy() if "inputs" in state else None,
        input_names=tuple(input_names),
        freq=freq,
        time=state["clock"].to_numpy(),
        dt=state["dt"].to_numpy(),
        is_regular=regular,
    )


def _with_times(part: xr.Dataset, unit: Any) -> xr.Dataset:
    """A group with its dates decoded in the unit of the series', so that years before 1678 survive."""
    coders = getattr(xr, "coders", None)  # xarray 2025.1 and later
    if coders is None or unit is None:
        return xr.decode_cf(part)
    return xr.decode_cf(part, decode_times=coders.CFDatetimeCoder(time_unit=unit))


def _variable(kind: str, name: str) -> str:
    return safe(f"{kind}:{name}")


def _names(values: dict[str, Any] | None) -> list[str] | None:
    return None if values is None else list(values)


def _as_plain(value: Any) -> Any:
    """NumPy scalars and arrays as JSON can hold them; anything else as text."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)
