"""Structured state-space layers: linear recurrences that are scanned, stepped or convolved."""

from .affine import Affine, LayerNorm
from .attention import LinearAttention
from .block import Block
from .convolution import ShortConvolution
from .layer import AbstractInvariant, AbstractLayer
from .lru import LRU
from .mamba import Mamba
from .s4 import S4
from .s4d import S4D
from .s5 import S5
from .selective import SelectiveSSM
from .stack import Bidirectional, Stack
from .stochastic import StochasticLRU

__all__ = [
    "LRU",
    "S4",
    "S4D",
    "S5",
    "AbstractInvariant",
    "AbstractLayer",
    "Affine",
    "Bidirectional",
    "Block",
    "LayerNorm",
    "LinearAttention",
    "Mamba",
    "SelectiveSSM",
    "ShortConvolution",
    "Stack",
    "StochasticLRU",
]
