"""Recurrent cells, and the state-space models that they become with a head."""

from .antisymmetric import Antisymmetric
from .cell import AbstractCell
from .ctrnn import CTRNN
from .elman import Elman
from .gru import GRU
from .heads import (
    AbstractHead,
    BernoulliHead,
    CategoricalHead,
    GaussianHead,
    MixtureHead,
    PoissonHead,
    StudentTHead,
)
from .indrnn import IndRNN
from .jordan import Jordan
from .lstm import LSTM
from .model import Recurrent
from .orthogonal import Orthogonal
from .ravelled import Ravelled

__all__ = [
    "CTRNN",
    "GRU",
    "LSTM",
    "AbstractCell",
    "AbstractHead",
    "Antisymmetric",
    "BernoulliHead",
    "CategoricalHead",
    "Elman",
    "GaussianHead",
    "IndRNN",
    "Jordan",
    "MixtureHead",
    "Orthogonal",
    "PoissonHead",
    "Ravelled",
    "Recurrent",
    "StudentTHead",
]
