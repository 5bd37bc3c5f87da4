"""Nonlinear models of their fields, ready to use."""

from .epidemic import SIR
from .growth import NonlinearGrowth
from .population import Gompertz, Ricker, ThetaLogistic
from .tracking import BearingsOnly
from .volatility import LeverageVolatility, StochasticVolatility

__all__ = [
    "SIR",
    "BearingsOnly",
    "Gompertz",
    "LeverageVolatility",
    "NonlinearGrowth",
    "Ricker",
    "StochasticVolatility",
    "ThetaLogistic",
]
