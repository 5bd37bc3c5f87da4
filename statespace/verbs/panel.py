"""Verbs over a panel: a list, or a dictionary by name, of series of any lengths."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from ..data import Series, as_series
from ..results import PanelFit
from .door import as_key

_EACH = ("inputs", "past_inputs", "times")


def is_panel(data: Any) -> bool:
    """Whether data are several series rather than one: a dictionary, or a list of labelled series or arrays."""
    if isinstance(data, PanelFit):
        return True
    if isinstance(data, Mapping) and not isinstance(data, xr.Dataset):
        return True
    kinds = (pd.Series, pd.DataFrame, xr.DataArray, xr.Dataset, np.ndarray, jax.Array, Series)
    whole = isinstance(data, list | tuple) and len(data) > 0
    return whole and all(isinstance(part, kinds) and getattr(part, "ndim", 1) != 0 for part in data)


def members(data: Any) -> dict[str, Any]:
    """The series of a panel by name: the dictionary's, else the series' own where they differ, else numbers.

    Raises:
        ValueError: If there are none.
    """
    if isinstance(data, Mapping):
        found = {str(name): part for name, part in data.items()}
    else:
        own = [getattr(part, "name", None) for part in data]
        good = all(isinstance(name, str) for name in own) and len(set(own)) == len(own)
        found = {str(own[i] if good else i): part for i, part in enumerate(data)}
    if not found:
        raise ValueError("the panel has no series: give a list of series, or a dictionary of them by name")
    return found


def share(value: Any, names: list[str], what: str) -> list[Any]:
    """An argument for each member: one of each from a list or dictionary, or the same for all.

    Raises:
        ValueError: If a list or dictionary does not match the members.
    """
    if isinstance(value, Mapping) and not isinstance(value, xr.Dataset):
        if set(map(str, value)) != set(names):
            had, wanted = (", ".join(map(repr, found)) for found in (value, names))
            raise ValueError(f"{what} has {had}, but the panel has {wanted}")
        by_name = {str(name): part for name, part in value.items()}
        return [by_name[name] for name in names]
    if is_panel(value):
        if len(value) != len(names):
            raise ValueError(f"{what} has {len(value)} parts, but the panel has {len(names)} series: give one for each")
        return list(value)
    return [value] * len(names)


def one_clock(data: Any, times: Any = None) -> None:
    """Raise a ValueError where some series of a panel are regular and others not: one model cannot be both."""
    parts = members(data)
    pairs = zip(parts.values(), share(times, list(parts), "times"), strict=True)
    if len({as_series(part, None, stamps).is_regular for part, stamps in pairs}) > 1:
        raise ValueError(
            "some series of the panel are regular and others are not, so that a step would be another length of time: "
            "put them on one frequency with .asfreq(...)"
        )


def split_by_name(data: Any, others: list[str] | None, value: Any) -> tuple[Any, Any]:
    """An argument for the series of a panel, and for others: by name where it has both, else the same for all."""
    if others is None or not isinstance(value, Mapping) or isinstance(value, xr.Dataset) or not is_panel(data):
        return value, value
    own = members(data)
    return (
        {name: part for name, part in value.items() if str(name) in own or str(name) not in others},
        {name: part for name, part in value.items() if str(name) in others},
    )


def parts_of(data: Any, inputs: Any = None, times: Any = None) -> dict[str, tuple[Any, Any, Any]]:
    """Each series of a panel with its inputs and stamps, by name; a single series is called "y".

    Raises:
        ValueError: If inputs or times do not match the members, or some series are regular and others not.
    """
    if not is_panel(data):
        return {"y": (data, inputs, times)}
    one_clock(data, times)
    parts = members(data)
    names = list(parts)
    each = zip(parts.values(), share(inputs, names, "inputs"), share(times, names, "times"), strict=True)
    return dict(zip(names, each, strict=True))


def for_each_member(verb: Callable[..., Any]) -> Callable[..., Any]:
    """A verb of (model, data, ...) that, given a panel or the fit of one, returns its results by member."""

    @functools.wraps(verb)
    def call(model: Any, *args: Any, **options: Any) -> Any:
        given = args[0] if args else options.get("data")
        fitted = model if isinstance(model, PanelFit) else None
        other = model if fitted is None else fitted.joint  # what the members share serves any other series
        if not is_panel(given) and (given is not None or fitted is None):
            return verb(other, *args, **options)
        parts = dict.fromkeys(fitted) if given is None and fitted is not None else members(given)
        names = list(parts)
        models = [other if fitted is None else fitted.members.get(name, other) for name in names]
        shared = {what: share(options[what], names, what) for what in _EACH if options.get(what) is not None}
        keys = None if options.get("key") is None else jax.random.split(as_key(options["key"]), len(names))
        found = {}
        for i, name in enumerate(names):
            own = {**options, **{what: values[i] for what, values in shared.items()}}
            own |= {} if keys is None else {"key": keys[i]}
            if parts[name] is None:
                found[name] = verb(models[i], **own)
            else:
                own.pop("data", None)
                found[name] = verb(models[i], parts[name], *args[1:], **own)
        return found

    return call
