"""Nonlinear models of their fields, ready to use."""

from .epidemic import SIR
from .growth import NonlinearGrowth
from .lorenz import Lorenz63, Lorenz96
from .population import Gompertz, ThetaLogistic
from .ricker import Ricker
from .tracking import BearingsOnly
from .volatility import LeverageVolatility, StochasticVolatility

__all__ = [
    "SIR",
    "BearingsOnly",
    "Gompertz",
    "LeverageVolatility",
    "Lorenz63",
    "Lorenz96",
    "NonlinearGrowth",
    "Ricker",
    "StochasticVolatility",
    "ThetaLogistic",
]
