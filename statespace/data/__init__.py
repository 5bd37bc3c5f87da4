"""Labelled data in: pandas, xarray and arrays become one `Series` of float64 arrays with stamps and names."""

from .coerce import append_series, as_series, check_observed, on_the_clock, placeholder
from .future import Future, future, future_index
from .index import moment
from .series import Series, join_series
from .transform import BoxCox, Identity, Log, Transform, as_transform, transform_from_spec

__all__ = [
    "BoxCox",
    "Future",
    "Identity",
    "Log",
    "Series",
    "Transform",
    "append_series",
    "as_series",
    "as_transform",
    "check_observed",
    "future",
    "future_index",
    "join_series",
    "moment",
    "on_the_clock",
    "placeholder",
    "transform_from_spec",
]
