"""Models in other forms: the forms, the arrows between them, and `convert`."""

from .conversion import Conversion
from .convert import convert
from .forms import ContinuousSSM, DiscreteSSM

__all__ = ["ContinuousSSM", "Conversion", "DiscreteSSM", "convert"]
