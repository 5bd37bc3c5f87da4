"""Probabilistic state-space models on JAX: components that add, exact filtering, MLE and NUTS, honest forecasts."""

from . import runtime

runtime.allow_small_loop_kernels()

from . import datasets, diagnostics, plots  # noqa: E402 (XLA's option comes before the first computation)
from .core.constraints import stationary  # noqa: E402
from .core.parameters import param  # noqa: E402
from .core.step import Step  # noqa: E402
from .data import BoxCox, Identity, Log  # noqa: E402
from .inference.distribution import StateSpaceDistribution  # noqa: E402
from .inference.kalman import Kalman  # noqa: E402
from .inference.maximum_likelihood import MAP, MaximumLikelihood  # noqa: E402
from .inference.nuts import NUTS  # noqa: E402
from .models.base import (  # noqa: E402
    AbstractGaussianDynamics,
    AbstractLinearDynamics,
    AbstractLinearEmission,
    AbstractLinearGaussian,
    AbstractMomentEmission,
    AbstractStateSpace,
    EmissionMatrices,
    TransitionMatrices,
)
from .models.initial import InitialLaw  # noqa: E402
from .models.linear import LinearGaussian  # noqa: E402
from .models.structural import (  # noqa: E402
    AutoRegressive,
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
from .results import ConvergenceWarning, Filtered, Fitted, Forecast, Smoothed  # noqa: E402
from .verbs import (  # noqa: E402
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

__version__ = "0.1.0"

__all__ = [
    "MAP",
    "NUTS",
    "AbstractGaussianDynamics",
    "AbstractLinearDynamics",
    "AbstractLinearEmission",
    "AbstractLinearGaussian",
    "AbstractMomentEmission",
    "AbstractStateSpace",
    "AutoRegressive",
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
