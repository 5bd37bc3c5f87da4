"""The forms in which a linear model can be written."""

from .continuous import ContinuousSSM
from .discrete import DiscreteSSM

__all__ = ["ContinuousSSM", "DiscreteSSM"]
