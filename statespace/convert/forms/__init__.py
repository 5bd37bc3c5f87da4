"""The forms in which a linear model can be written."""

from .arma import ARMA
from .balanced import Balanced
from .continuous import ContinuousSSM
from .covariance import CovarianceFunction, Matern, OrnsteinUhlenbeck
from .discrete import DiscreteSSM
from .dplr import DPLR
from .frequency import FrequencyResponse
from .hankel import Hankel
from .innovations import InnovationsSSM
from .kernel import ImpulseResponse
from .modal import Modal
from .predictor import ARInfinity, MAInfinity
from .sections import SecondOrderSections
from .spectrum import Autocovariances, SpectralDensity
from .varma import VARMA
from .window import UnrolledWindow
from .zeros_poles import ZerosPoles

__all__ = [
    "ARMA",
    "DPLR",
    "VARMA",
    "ARInfinity",
    "Autocovariances",
    "Balanced",
    "ContinuousSSM",
    "CovarianceFunction",
    "DiscreteSSM",
    "FrequencyResponse",
    "Hankel",
    "ImpulseResponse",
    "InnovationsSSM",
    "MAInfinity",
    "Matern",
    "Modal",
    "OrnsteinUhlenbeck",
    "SecondOrderSections",
    "SpectralDensity",
    "UnrolledWindow",
    "ZerosPoles",
]
