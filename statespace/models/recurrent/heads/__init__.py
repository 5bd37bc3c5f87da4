"""Heads: laws of an observation given a cell's output."""

from .discrete import BernoulliHead, CategoricalHead, PoissonHead
from .gaussian import GaussianHead, StudentTHead
from .head import AbstractHead
from .mixture import MixtureHead

__all__ = [
    "AbstractHead",
    "BernoulliHead",
    "CategoricalHead",
    "GaussianHead",
    "MixtureHead",
    "PoissonHead",
    "StudentTHead",
]
