"""Structural components that add to a model."""

from .autoregressive import AutoRegressive
from .common import Common
from .component import AbstractComponent, AbstractObservation, Binding
from .cycle import Cycle
from .model import Structural
from .noise import Noise
from .regression import Intervention, Regression
from .seasonal import Seasonal
from .trend import LocalLevel, LocalLinearTrend

__all__ = [
    "AbstractComponent",
    "AbstractObservation",
    "AutoRegressive",
    "Binding",
    "Common",
    "Cycle",
    "Intervention",
    "LocalLevel",
    "LocalLinearTrend",
    "Noise",
    "Regression",
    "Seasonal",
    "Structural",
]
