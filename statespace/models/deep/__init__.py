"""Deep state-space models: networks for the dynamics and the emission, and guides that they are learned with."""

from .assemblies import deep_markov_model, srnn, storn, vrnn
from .dynamics import AbstractLatentDynamics, GatedTransition, LinearTransition, MLPTransition
from .encoder import Encoder
from .guide import Guide
from .model import DeepStateSpace
from .networks import MLP, NormalNetwork
from .proposals import AbstractProposal, Combiner, Direct, MeanField, Noise, Prior, Product, Residual
from .recurrent_dynamics import AbsorbingDynamics, RecurrentDynamics, StackedDynamics

__all__ = [
    "MLP",
    "AbsorbingDynamics",
    "AbstractLatentDynamics",
    "AbstractProposal",
    "Combiner",
    "DeepStateSpace",
    "Direct",
    "Encoder",
    "GatedTransition",
    "Guide",
    "LinearTransition",
    "MLPTransition",
    "MeanField",
    "Noise",
    "NormalNetwork",
    "Prior",
    "Product",
    "RecurrentDynamics",
    "Residual",
    "StackedDynamics",
    "deep_markov_model",
    "srnn",
    "storn",
    "vrnn",
]
