"""The groups of a fit's DataTree."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..data import Series
from .discrete import DiscreteSmoothed
from .filtered import AbstractFiltered
from .forecast import Forecast
from .labels import coordinates, data_groups, labelled, safe
from .smoothed import Smoothed

_LOO = "log p(y_t | y_-t, parameters): exact leave-one-stamp-out predictive densities from one smoother pass"
_OF_THE_DATA = ("observed_data", "constant_data")
_PARTS: dict[str, tuple[Any, str]] = {
    "states": (xr.DataArray, "sample_states(fit, ...)"),
    "posterior_predictive": (xr.DataArray, "posterior_predictive(fit, ...)"),
    "prior": (xr.Dataset, "prior_predictive(model, data, ...)"),
    "predictions": (Forecast, "forecast(fit, ...)"),
    "filtered": (AbstractFiltered, "filter(fit)"),
    "smoothed": (Smoothed | DiscreteSmoothed, "smooth(fit)"),
}
_ONE_STEP = "log p(y_t | y_<t, parameters): one-step predictive densities; their sum is the log-likelihood"


def posterior(draws: dict[str, NDArray[Any]], coefficients: dict[str, NDArray[Any]]) -> xr.Dataset:
    """Parameters and constant coefficients with chain and draw."""
    arrays = {path: (("chain", "draw", *_own(path, v.ndim - 2)), v) for path, v in draws.items()}
    arrays |= {name: (("chain", "draw"), v) for name, v in coefficients.items()}
    return labelled(arrays, {}, inference_library="statespace")


def _own(path: str, rank: int) -> tuple[str, ...]:
    return tuple(f"{safe(path)}_dim_{i}" for i in range(rank))


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
    for name, more in fitted.extra_groups.items():
        found[name] = found[name].merge(more) if name in found else more
    return found


def further_groups(**parts: Any) -> dict[str, xr.Dataset]:
    """The groups that other results of a fit fill; see `Fitted.with_groups`.

    Raises:
        TypeError: If a part is not what its name says.
    """
    found: dict[str, xr.Dataset] = {}
    for name, part in ((name, part) for name, part in parts.items() if part is not None):
        kind, verb = _PARTS[name]
        if not isinstance(part, kind):
            raise TypeError(f"{name}= takes what ss.{verb} returns, got {type(part).__name__}")
        if name == "prior":
            found |= {"prior": _with_chain(part.drop_vars("y")), "prior_predictive": _with_chain(part[["y"]])}
        elif name in ("states", "posterior_predictive"):
            found["posterior" if name == "states" else name] = _with_chain(part.to_dataset())
        else:
            own = {group: node.to_dataset() for group, node in part.to_datatree().children.items()}
            found |= {group: _with_chain(made) for group, made in own.items() if group not in _OF_THE_DATA}
    return found


def _with_chain(made: xr.Dataset) -> xr.Dataset:
    """Draws without chains as those of one chain, which is what ArviZ reads."""
    if "draw" not in made.dims or "chain" in made.dims:
        return made
    arrays = {name: v.expand_dims(chain=[0]) if "draw" in v.dims else v for name, v in made.data_vars.items()}
    return xr.Dataset(arrays, attrs=made.attrs)


def pointwise_groups(pointwise: dict[str, NDArray[Any]] | None, series: Series) -> dict[str, xr.Dataset]:
    """/log_likelihood and /one_step, stamps without an observation left out.

    A stamp that alone identifies a coefficient (the only one under a pulse) has no predictive density given
    the others; /log_likelihood leaves it out as well and counts it in its attrs, since one NaN would make
    `az.loo` NaN. Where no stamp has such a density (that of innovations forms given later data is not known) there is
    no /log_likelihood.
    """
    if pointwise is None:
        return {}
    seen = np.asarray(series.mask.any(axis=1))
    proper = seen & ~np.isnan(pointwise["loo"]).any(axis=(0, 1))
    lonely = int(seen.sum() - proper.sum())
    one_step = {"one_step": _density(pointwise["one_step"], seen, series, {"density": _ONE_STEP})}
    if not proper.any():
        return one_step
    about = {"density": _LOO} | ({"improper_stamps_left_out": lonely} if lonely else {})
    return {"log_likelihood": _density(pointwise["loo"], proper, series, about), **one_step}


def _density(values: NDArray[Any], kept: NDArray[np.bool_], series: Series, about: dict[str, Any]) -> xr.Dataset:
    coords = coordinates(series.index[kept], series.names)
    return labelled({"y": (("chain", "draw", "time"), values[..., kept])}, coords, **about)


def estimates(fitted: Any) -> xr.Dataset:
    """Estimates and standard errors of a point estimate."""
    arrays: dict[str, Any] = {path: (_own(path, np.ndim(v)), v) for path, v in fitted.estimates.items()}
    for path, v in (fitted.standard_errors or {}).items():
        arrays[f"{path}_std_error"] = (_own(path, np.ndim(v)), v)
    for name, (mean, sd) in fitted.coefficients.items():
        arrays |= {name: ((), mean), f"{name}_std_error": ((), sd)}
    known = {} if fitted.log_likelihood is None else {"log_likelihood": fitted.log_likelihood}
    return labelled(arrays, {}, status=fitted.status.message, **known)
