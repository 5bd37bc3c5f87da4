"""The groups of a fit's DataTree."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..data import Series
from .labels import coordinates, data_groups, labelled

_LOO = "log p(y_t | y_-t, parameters): exact leave-one-stamp-out predictive densities from one smoother pass"
_ONE_STEP = "log p(y_t | y_<t, parameters): one-step predictive densities; their sum is the log-likelihood"


def posterior(draws: dict[str, NDArray[Any]], coefficients: dict[str, NDArray[Any]]) -> xr.Dataset:
    """Parameters and constant coefficients with chain and draw."""
    arrays = {path: (("chain", "draw", *_own(path, v.ndim - 2)), v) for path, v in draws.items()}
    arrays |= {name: (("chain", "draw"), v) for name, v in coefficients.items()}
    return labelled(arrays, {}, inference_library="statespace")


def _own(path: str, rank: int) -> tuple[str, ...]:
    return tuple(f"{path}_dim_{i}" for i in range(rank))


def fitted_groups(fitted: Any) -> dict[str, xr.Dataset]:
    """All groups of a fit."""
    original = fitted.transform.inverse(fitted.series.observed)
    found = data_groups(fitted.series, np.asarray(original))
    if fitted.draws is not None:
        found["posterior"] = posterior(fitted.draws, fitted.coefficients)
        stats = {name: (("chain", "draw"), v) for name, v in fitted.sample_stats.items()}
        found["sample_stats"] = labelled(stats, {})
        found |= pointwise_groups(fitted.pointwise, fitted.series)
    else:
        found["estimates"] = estimates(fitted)
    return {**found, **fitted.extra_groups}


def pointwise_groups(pointwise: dict[str, NDArray[Any]] | None, series: Series) -> dict[str, xr.Dataset]:
    """/log_likelihood and /one_step, stamps without an observation left out."""
    if pointwise is None:
        return {}
    seen = series.mask.any(axis=1)
    coords = coordinates(series.index[seen], series.names)
    dims = ("chain", "draw", "time")
    return {
        "log_likelihood": labelled({"y": (dims, pointwise["loo"][..., seen])}, coords, density=_LOO),
        "one_step": labelled({"y": (dims, pointwise["one_step"][..., seen])}, coords, density=_ONE_STEP),
    }


def estimates(fitted: Any) -> xr.Dataset:
    """Estimates and standard errors of a point estimate."""
    arrays: dict[str, Any] = {path: (_own(path, np.ndim(v)), v) for path, v in fitted.estimates.items()}
    for path, v in (fitted.standard_errors or {}).items():
        arrays[f"{path}_std_error"] = (_own(path, np.ndim(v)), v)
    for name, (mean, sd) in fitted.coefficients.items():
        arrays |= {name: ((), mean), f"{name}_std_error": ((), sd)}
    return labelled(arrays, {}, log_likelihood=fitted.log_likelihood, status=fitted.status.message)
