"""Structural components that add to a model."""

from .autoregressive import AutoRegressive
from .common import Common
from .component import AbstractComponent, AbstractObservation, Binding
from .continuous_laws import Gamma, LogVolatility, StudentT
from .counts import Bernoulli, Binomial, NegativeBinomial, Poisson
from .cycle import Cycle
from .model import AbstractStructural, Structural
from .noise import Noise
from .regression import Intervention, Regression
from .seasonal import Seasonal
from .signal import AbstractSignalObservation, Column, StructuralSignal
from .trend import LocalLevel, LocalLinearTrend

__all__ = [
    "AbstractComponent",
    "AbstractObservation",
    "AbstractSignalObservation",
    "AbstractStructural",
    "AutoRegressive",
    "Bernoulli",
    "Binding",
    "Binomial",
    "Column",
    "Common",
    "Cycle",
    "Gamma",
    "Intervention",
    "LocalLevel",
    "LocalLinearTrend",
    "LogVolatility",
    "NegativeBinomial",
    "Noise",
    "Poisson",
    "Regression",
    "Seasonal",
    "Structural",
    "StructuralSignal",
    "StudentT",
]
