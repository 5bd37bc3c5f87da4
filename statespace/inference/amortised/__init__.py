"""Learning and inference with guides: bounds on the likelihood, and the particles behind them."""

from .filter import AmortisedFilter
from .moves import AmortisedMoves, Sequence
from .objectives import ELBO, FIVO, IWAE, AbstractObjective, Bound
from .svi import AmortisedSVI

__all__ = [
    "ELBO",
    "FIVO",
    "IWAE",
    "AbstractObjective",
    "AmortisedFilter",
    "AmortisedMoves",
    "AmortisedSVI",
    "Bound",
    "Sequence",
]
