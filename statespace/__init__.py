"""Probabilistic state-space models on JAX: components that add, exact filtering, MLE and NUTS, honest forecasts."""

from . import runtime

runtime.allow_small_loop_kernels()

from typing import TYPE_CHECKING

from .convert import ContinuousSSM, Conversion, DiscreteSSM, convert
from .core.constraints import stationary
from .core.parameters import param
from .core.step import Step
from .inference.discrete import ForwardBackward
from .inference.distribution import StateSpaceDistribution
from .inference.em import EM
from .inference.ensemble import EnsembleKalman
from .inference.gaussian_filters import CubatureKalman, ExtendedKalman, GaussHermiteKalman, UnscentedKalman
from .inference.kalman import Kalman
from .inference.localisation import Localisation
from .inference.maximum_likelihood import MAP, MaximumLikelihood
from .inference.nuts import NUTS
from .inference.particle_filters import AuxiliaryFilter, BootstrapFilter, GuidedFilter
from .inference.particle_gibbs import ParticleGibbs
from .inference.pmmh import PMMH
from .inference.posterior_linearisation import PosteriorLinearisation
from .inference.tempered import TemperedSMC
from .inference.variational import SVI
from .late import load as __getattr__  # noqa: F401
from .late import names as __dir__  # noqa: F401
from .models.base import (
    AbstractGaussianDynamics,
    AbstractLinearDynamics,
    AbstractLinearEmission,
    AbstractLinearGaussian,
    AbstractMomentEmission,
    AbstractSignalEmission,
    AbstractStateSpace,
    EmissionMatrices,
    SignalMatrices,
    TransitionMatrices,
)
from .models.discrete import AbstractDiscreteDynamics, HiddenMarkov
from .models.initial import InitialLaw
from .models.linear import LinearGaussian
from .models.nonlinear import (
    SIR,
    BearingsOnly,
    Gompertz,
    LeverageVolatility,
    Lorenz63,
    Lorenz96,
    NonlinearGrowth,
    Ricker,
    StochasticVolatility,
    ThetaLogistic,
)
from .models.nonlinear_gaussian import NonlinearGaussian
from .models.state_space import StateSpace
from .models.structural import (
    AbstractComponent,
    AbstractSignalObservation,
    AutoRegressive,
    Bernoulli,
    Binding,
    Binomial,
    Common,
    Cycle,
    Gamma,
    Intervention,
    LocalLevel,
    LocalLinearTrend,
    LogVolatility,
    NegativeBinomial,
    Noise,
    Poisson,
    Regression,
    Seasonal,
    Structural,
    StructuralSignal,
    StudentT,
)

if TYPE_CHECKING:  # what needs pandas and xarray is loaded when it is first used: a NumPyro program may need neither
    from . import datasets, diagnostics, plots
    from .data import BoxCox, Identity, Log
    from .results import (
        ConvergenceWarning,
        DegeneracyWarning,
        DiscreteFiltered,
        DiscreteSmoothed,
        EnsembleFiltered,
        EnsembleSmoothed,
        Filtered,
        Fitted,
        Forecast,
        PanelFit,
        ParticleFiltered,
        PathForecast,
        ProgramFit,
        Smoothed,
    )
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
        resume,
        sample_program,
        sample_states,
        simulate,
        smooth,
        viterbi,
    )

__version__ = "0.1.0"

__all__ = [
    "EM",
    "MAP",
    "NUTS",
    "PMMH",
    "SIR",
    "SVI",
    "AbstractComponent",
    "AbstractDiscreteDynamics",
    "AbstractGaussianDynamics",
    "AbstractLinearDynamics",
    "AbstractLinearEmission",
    "AbstractLinearGaussian",
    "AbstractMomentEmission",
    "AbstractSignalEmission",
    "AbstractSignalObservation",
    "AbstractStateSpace",
    "AutoRegressive",
    "AuxiliaryFilter",
    "BearingsOnly",
    "Bernoulli",
    "Binding",
    "Binomial",
    "BootstrapFilter",
    "BoxCox",
    "Common",
    "ContinuousSSM",
    "ConvergenceWarning",
    "Conversion",
    "CubatureKalman",
    "Cycle",
    "DegeneracyWarning",
    "DiscreteFiltered",
    "DiscreteSSM",
    "DiscreteSmoothed",
    "EmissionMatrices",
    "EnsembleFiltered",
    "EnsembleKalman",
    "EnsembleSmoothed",
    "ExtendedKalman",
    "Filtered",
    "Fitted",
    "Forecast",
    "ForwardBackward",
    "Gamma",
    "GaussHermiteKalman",
    "Gompertz",
    "GuidedFilter",
    "HiddenMarkov",
    "Identity",
    "InitialLaw",
    "Intervention",
    "Kalman",
    "LeverageVolatility",
    "LinearGaussian",
    "LocalLevel",
    "LocalLinearTrend",
    "Localisation",
    "Log",
    "LogVolatility",
    "Lorenz63",
    "Lorenz96",
    "MaximumLikelihood",
    "NegativeBinomial",
    "Noise",
    "NonlinearGaussian",
    "NonlinearGrowth",
    "PanelFit",
    "ParticleFiltered",
    "ParticleGibbs",
    "PathForecast",
    "Poisson",
    "PosteriorLinearisation",
    "ProgramFit",
    "Regression",
    "Ricker",
    "Seasonal",
    "SignalMatrices",
    "Smoothed",
    "StateSpace",
    "StateSpaceDistribution",
    "Step",
    "StochasticVolatility",
    "Structural",
    "StructuralSignal",
    "StudentT",
    "TemperedSMC",
    "ThetaLogistic",
    "TransitionMatrices",
    "UnscentedKalman",
    "append",
    "backtest",
    "convert",
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
    "resume",
    "sample_program",
    "sample_states",
    "simulate",
    "smooth",
    "stationary",
    "viterbi",
]
