"""Deep state-space models: networks for the dynamics and the emission, and guides that they are learned with."""

from .assemblies import deep_markov_model, srnn, storn, vrnn
from .conjugate_assemblies import kvae, svae
from .conjugate_guide import AbstractConjugateGuide, ConjugateGuide, KalmanGuide, smoothed_moments
from .dynamics import AbstractLatentDynamics, GatedTransition, LinearTransition, MLPTransition, NearIdentity
from .encoder import Encoder
from .guide import AbstractGuide, Guide
from .kalman_dynamics import KalmanDynamics
from .model import DeepStateSpace
from .networks import MLP, NormalNetwork
from .proposals import AbstractProposal, Combiner, Direct, MeanField, Prior, Product, Residual, TransitionNoise
from .recurrent_dynamics import AbsorbingDynamics, RecurrentDynamics, StackedDynamics
from .static import StaticLatents, StaticProposal
from .twist import Twist

__all__ = [
    "MLP",
    "AbsorbingDynamics",
    "AbstractConjugateGuide",
    "AbstractGuide",
    "AbstractLatentDynamics",
    "AbstractProposal",
    "Combiner",
    "ConjugateGuide",
    "DeepStateSpace",
    "Direct",
    "Encoder",
    "GatedTransition",
    "Guide",
    "KalmanDynamics",
    "KalmanGuide",
    "LinearTransition",
    "MLPTransition",
    "MeanField",
    "NearIdentity",
    "NormalNetwork",
    "Prior",
    "Product",
    "RecurrentDynamics",
    "Residual",
    "StackedDynamics",
    "StaticLatents",
    "StaticProposal",
    "TransitionNoise",
    "Twist",
    "deep_markov_model",
    "kvae",
    "smoothed_moments",
    "srnn",
    "storn",
    "svae",
    "vrnn",
]
