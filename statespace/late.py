"""Public names that are loaded when they are first used: those that need pandas and xarray, slow to import."""

import importlib
from typing import Any

_MODULES = ("datasets", "diagnostics", "plots")
_LATE: dict[str, tuple[str, ...]] = {
    "data": ("BoxCox", "Identity", "Log"),
    "results": ("ConvergenceWarning", "Filtered", "Fitted", "Forecast", "PanelFit", "Smoothed"),
    "verbs": (
        "append",
        "backtest",
        "default_priors",
        "filter",
        "fit",
        "forecast",
        "leave_future_out",
        "load",
        "log_likelihood",
        "observe",
        "posterior_predictive",
        "prior_predictive",
        "sample_states",
        "simulate",
        "smooth",
    ),
}
_ROOMS = {name: room for room, names in _LATE.items() for name in names}


def load(name: str) -> Any:
    """A name of the package that is not loaded yet; an AttributeError if there is none."""
    package = importlib.import_module(__package__ or "statespace")
    if name in _MODULES:
        return importlib.import_module(f".{name}", package.__name__)
    if name not in _ROOMS:
        raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_ROOMS[name]}", package.__name__), name)
    setattr(package, name, found)  # the next look finds it at once
    return found


def names() -> list[str]:
    """All public names, those not loaded yet as well."""
    package = importlib.import_module(__package__ or "statespace")
    return sorted({*vars(package), *package.__all__})
