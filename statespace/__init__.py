"""Probabilistic state-space models on JAX: components that add, exact filtering, MLE and NUTS, honest forecasts."""

from . import runtime

runtime.allow_small_loop_kernels()

from typing import TYPE_CHECKING, Any

from .core.constraints import stationary
from .core.parameters import param
from .core.step import Step
from .inference.distribution import StateSpaceDistribution
from .inference.kalman import Kalman
from .inference.maximum_likelihood import MAP, MaximumLikelihood
from .inference.nuts import NUTS
from .models.base import (
    AbstractGaussianDynamics,
    AbstractLinearDynamics,
    AbstractLinearEmission,
    AbstractLinearGaussian,
    AbstractMomentEmission,
    AbstractStateSpace,
    EmissionMatrices,
    TransitionMatrices,
)
from .models.initial import InitialLaw
from .models.linear import LinearGaussian
from .models.structural import (
    AbstractComponent,
    AutoRegressive,
    Binding,
    Common,
    Cycle,
    Intervention,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
    Structural,
)

if TYPE_CHECKING:  # what needs pandas and xarray is loaded when it is first used: a NumPyro program may need neither
    from . import datasets, diagnostics, plots
    from .data import BoxCox, Identity, Log
    from .results import ConvergenceWarning, Filtered, Fitted, Forecast, PanelFit, Smoothed
    from .verbs import (
        append,
        backtest,
        default_priors,
        filter,
        fit,
        forecast,
        leave_future_out,
        load,
        log_likelihood,
        observe,
        posterior_predictive,
        prior_predictive,
        sample_states,
        simulate,
        smooth,
    )

_LATE = {
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

__version__ = "0.1.0"

__all__ = [
    "MAP",
    "NUTS",
    "AbstractComponent",
    "AbstractGaussianDynamics",
    "AbstractLinearDynamics",
    "AbstractLinearEmission",
    "AbstractLinearGaussian",
    "AbstractMomentEmission",
    "AbstractStateSpace",
    "AutoRegressive",
    "Binding",
    "BoxCox",
    "Common",
    "ConvergenceWarning",
    "Cycle",
    "EmissionMatrices",
    "Filtered",
    "Fitted",
    "Forecast",
    "Identity",
    "InitialLaw",
    "Intervention",
    "Kalman",
    "LinearGaussian",
    "LocalLevel",
    "LocalLinearTrend",
    "Log",
    "MaximumLikelihood",
    "Noise",
    "PanelFit",
    "Regression",
    "Seasonal",
    "Smoothed",
    "StateSpaceDistribution",
    "Step",
    "Structural",
    "TransitionMatrices",
    "append",
    "backtest",
    "datasets",
    "default_priors",
    "diagnostics",
    "filter",
    "fit",
    "forecast",
    "leave_future_out",
    "load",
    "log_likelihood",
    "observe",
    "param",
    "plots",
    "posterior_predictive",
    "prior_predictive",
    "sample_states",
    "simulate",
    "smooth",
    "stationary",
]


def __getattr__(name: str) -> Any:
    """Load a room of the library when one of its names is first used."""
    import importlib

    if name in ("datasets", "diagnostics", "plots"):
        return importlib.import_module(f".{name}", __name__)
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_ROOMS[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """All public names, those not loaded yet as well."""
    return sorted({*globals(), *__all__})
