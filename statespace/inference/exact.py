"""Which method is exact for a model: the one that is meant where none is named."""

from typing import Any

from .discrete import ForwardBackward
from .kalman import Kalman
from .method import AbstractMethod
from .readout import BayesianReadout
from .teacher_forcing import TeacherForcing

EXACT = (Kalman, ForwardBackward, BayesianReadout, TeacherForcing)


def exact_method(model: Any) -> AbstractMethod | None:
    """The exact method that serves a model, None if there is none.

    Example:
        >>> from statespace.models.structural import LocalLevel, Noise
        >>> type(exact_method(LocalLevel() + Noise())).__name__
        'Kalman'
    """
    return next((cls() for cls in EXACT if not cls().lacks(model)), None)
