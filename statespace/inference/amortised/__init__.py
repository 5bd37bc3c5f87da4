"""Learning and inference with guides: bounds on the likelihood, and the particles behind them."""

from .distribution import BoundDistribution
from .filter import AmortisedFilter
from .hiding import AbstractHiding, HiddenElements, HiddenStretches
from .moves import AmortisedMoves, Sequence
from .objectives import ELBO, FIVO, IWAE, AbstractObjective, Bound
from .svi import AmortisedSVI

__all__ = [
    "ELBO",
    "FIVO",
    "IWAE",
    "AbstractHiding",
    "AbstractObjective",
    "AmortisedFilter",
    "AmortisedMoves",
    "AmortisedSVI",
    "Bound",
    "BoundDistribution",
    "HiddenElements",
    "HiddenStretches",
    "Sequence",
]
