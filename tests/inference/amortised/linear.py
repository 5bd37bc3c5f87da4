"""A deep model that is linear and Gaussian, for which a Kalman filter is exact, and guides of every kind for it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import statespace as ss
from statespace.core.step import make_steps
from statespace.inference.amortised import Sequence
from statespace.models.deep import (
    MLP,
    Combiner,
    DeepStateSpace,
    Direct,
    Encoder,
    Guide,
    LinearTransition,
    MeanField,
    NormalNetwork,
    Prior,
    Product,
    Residual,
    TransitionNoise,
)

TRANSITION = np.array([[0.8, 0.2], [-0.1, 0.7]])
EMISSION = np.array([[1.0, 0.3], [0.2, 1.0]])
NOISE = np.array([0.5, 0.7])
LATENT, WIDTH = 2, 6


APART = (
    np.diag([0.8, 0.6]),
    np.diag([1.0, 0.7]),
)  # two chains, whose posterior moves are not correlated


def model(transition=TRANSITION, emission=EMISSION):
    head = ss.GaussianHead(emission, [0.0, 0.0], NOISE, level=[0.0, 0.0], unit=[1.0, 1.0])
    made = DeepStateSpace(LinearTransition(LATENT, key=0), MLP([LATENT]), head)
    return eqx.tree_at(lambda m: m.dynamics.linear.weights, made, jnp.asarray(transition))


def exact(transition=TRANSITION, emission=EMISSION):
    """The same model for the Kalman filter."""
    spread = np.full(LATENT, float(jax.nn.softplus(0.0)) + 1e-4)
    return ss.LinearGaussian(transition, spread, emission, NOISE, [0.0, 0.0], spread)


def data(length=10, seed=0):
    return np.random.default_rng(seed).normal(size=(length, 2))


def sequence(y, mask=None, inside=None):
    mask = None if mask is None else jnp.asarray(mask)
    inside = None if inside is None else jnp.asarray(inside)
    return Sequence(jnp.asarray(np.nan_to_num(y)), mask, make_steps(len(y)), inside)


def encoder(direction):
    """An encoder with messages from one side or both."""
    sides = {"forward": ("forward",), "backward": ("backward",), "both": ("forward", "backward"), "none": ()}[direction]
    cells = {side: ss.GRU(8, WIDTH, key=number) for number, side in enumerate(sides)}
    return Encoder(MLP([2, 8], "tanh", key=7), **cells)


def network(inputs, spread=0.7, key=3):
    return NormalNetwork(MLP([inputs, 8], "tanh", key=key), LATENT, spread=spread, key=key + 1)


GUIDES = {
    "DKS": lambda: Guide(encoder("backward"), Combiner(LATENT, WIDTH, key=3)),
    "ST-LR": lambda: Guide(encoder("both"), Combiner(LATENT, WIDTH, key=3)),
    "ST-L": lambda: Guide(encoder("forward"), Combiner(LATENT, WIDTH, key=3)),
    "MF-LR": lambda: Guide(encoder("both"), MeanField(LATENT, [WIDTH, WIDTH], key=3)),
    "MF-L": lambda: Guide(encoder("forward"), MeanField(LATENT, [WIDTH], key=3)),
    "direct": lambda: Guide(encoder("none"), Direct(network(8 + LATENT), path=False)),
    "residual": lambda: Guide(encoder("backward"), Residual(network(WIDTH + LATENT), path=False)),
    "product": lambda: Guide(encoder("forward"), Product(network(WIDTH + LATENT), path=False)),
    "noise": lambda: Guide(encoder("backward"), TransitionNoise(network(WIDTH + LATENT, spread=1.3), path=False)),
    "prior": lambda: Guide(None, Prior()),
}
