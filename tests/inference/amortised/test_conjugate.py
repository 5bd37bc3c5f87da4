"""Guides that are the prior times potentials: against dense normal laws, and exact where potentials are likelihoods."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.amortised import linear
from oracles import normal_logpdf

import statespace as ss
from statespace.core.parameters import parameters, replace
from statespace.core.step import make_steps
from statespace.inference.amortised import ELBO, Sequence
from statespace.inference.amortised.moves import proposed
from statespace.inference.amortised.paths import draw_paths
from statespace.models.deep import (
    MLP,
    ConjugateGuide,
    DeepStateSpace,
    Encoder,
    KalmanGuide,
    LinearTransition,
    MLPTransition,
    NormalNetwork,
    svae,
)

LATENT, LENGTH = 2, 6
SLOPE, NOISE = np.array([1.2, -0.8]), np.array([0.5, 0.7])
DRIVE, SHIFT, FIRST = np.array([[0.5], [-1.0]]), np.array([0.1, -0.3]), np.array([0.4, -0.2])
SPREAD = np.array([0.6, 0.9])


def raw(scale):
    """What a standard deviation comes from."""
    return jnp.log(jnp.expm1(jnp.asarray(scale) - 1e-4))


def exact_potentials(fed, slope=SLOPE, noise=NOISE):
    """An encoder and a network whose potentials are the likelihood's."""
    network = NormalNetwork(MLP([2 + fed]), 2, key=0)
    mean = jnp.concatenate([jnp.diag(jnp.asarray(1 / slope)), jnp.zeros((2, fed))], axis=1)
    spread = raw(noise / np.abs(slope))
    where = lambda n: (n.mean.weights, n.spread.weights, n.spread.bias)  # noqa: E731
    return Encoder(MLP([2 + fed])), eqx.tree_at(where, network, (mean, jnp.zeros((2, 2 + fed)), spread))


def made(inputs):
    """A linear-Gaussian model with a diagonal emission, and the guide whose potentials are exact."""
    fed = int(inputs)
    head = ss.GaussianHead(np.diag(SLOPE), [0.0, 0.0], NOISE, level=[0.0, 0.0], unit=[1.0, 1.0])
    names = ["u"] if inputs else []
    model = DeepStateSpace(LinearTransition(LATENT, fed=fed, key=0), MLP([LATENT]), head, input_names=names)
    values = [linear.TRANSITION, SHIFT, raw(SPREAD), FIRST]
    model = eqx.tree_at(
        lambda m: (m.dynamics.linear.weights, m.dynamics.linear.bias, m.dynamics.raw_spread, m.dynamics.first),
        model,
        [jnp.asarray(v) for v in values],
    )
    if inputs:
        model = eqx.tree_at(lambda m: m.dynamics.inputs.weights, model, jnp.asarray(DRIVE))
    return model, ConjugateGuide(*exact_potentials(fed))


def dense_prior(u):
    """Mean and covariance of the whole path."""
    mean, blocks = [], {}
    before = FIRST
    for t in range(LENGTH):
        before = linear.TRANSITION @ before + SHIFT + (0 if u is None else DRIVE @ u[t])
        mean.append(before)
        for s in range(t):
            blocks[t, s] = linear.TRANSITION @ blocks[t - 1, s]
            blocks[s, t] = blocks[t, s].T
        old = blocks[t - 1, t - 1] if t else np.zeros((LATENT, LATENT))
        blocks[t, t] = linear.TRANSITION @ old @ linear.TRANSITION.T + np.diag(SPREAD**2)
    return np.concatenate(mean), np.block([[blocks[t, s] for s in range(LENGTH)] for t in range(LENGTH)])


def sequence(gaps, inputs, seed=0):
    """Data with whole stamps missing, the last one among them."""
    random = np.random.default_rng(seed)
    y, u = random.normal(size=(LENGTH, 2)), random.normal(size=(LENGTH, 1)) if inputs else None
    mask = np.ones((LENGTH, 2), bool)
    if gaps:
        mask[[1, 2, LENGTH - 1]] = False
    steps = make_steps(LENGTH, inputs=None if u is None else jnp.asarray(u))
    return Sequence(jnp.where(mask, y, 7.0), jnp.asarray(mask) if gaps else None, steps), y, mask, u


def affine(model, guide, one):
    """Mean and covariance of the guide's law of the path, from what standard normal noise becomes in it."""
    frames = one.frames(model, guide)

    @jax.jit
    def path(noise):
        x, found = model.start, []
        for t in range(LENGTH):
            x = proposed(model, guide, x, jax.tree.map(lambda leaf, t=t: leaf[t], frames), noise[t]).x
            found.append(model.split(x)[1])
        return jnp.concatenate(found)

    zero = jnp.zeros((LENGTH, LATENT))
    slope = np.asarray(jax.jit(jax.jacobian(path))(zero)).reshape(LENGTH * LATENT, -1)
    return np.asarray(path(zero)), slope @ slope.T


def log_weights(model, guide, one, key=0):
    """The log weight of each of a few paths."""
    paths = jax.jit(lambda k: draw_paths(model, guide, one, 5, k))(jax.random.key(key))
    return np.asarray(jnp.sum(paths.seen, axis=0) + jnp.sum(paths.ratio, axis=(0, 2))), paths


CASES = pytest.mark.parametrize(("gaps", "inputs"), [(False, False), (True, False), (True, True)])


@CASES
def test_with_exact_potentials_every_path_weighs_as_much_as_the_likelihood(gaps, inputs):
    model, guide = made(inputs)
    one, y, mask, u = sequence(gaps, inputs)
    found, paths = log_weights(model, guide, one)
    mean, cov = dense_prior(u)
    emission = np.kron(np.eye(LENGTH), np.diag(SLOPE))
    seen = np.flatnonzero(mask)
    whole = emission @ cov @ emission.T + np.kron(np.eye(LENGTH), np.diag(NOISE**2))
    exact = normal_logpdf(y.ravel()[seen], (emission @ mean)[seen], whole[np.ix_(seen, seen)])
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-8)
    if not inputs:
        first = linear.TRANSITION @ FIRST + SHIFT
        kalman = ss.LinearGaussian(
            linear.TRANSITION, SPREAD, np.diag(SLOPE), NOISE, first, SPREAD, transition_offset=SHIFT
        )
        assert ss.log_likelihood(kalman, np.where(mask, y, np.nan)) == pytest.approx(exact, abs=1e-8)
    # the divergence in closed form is the sampled one on average: both bound the same likelihood
    assert np.all(np.asarray(paths.divergence) >= 0)


@CASES
def test_the_guide_is_the_prior_times_the_potentials(gaps, inputs):
    model, guide = made(inputs)
    guide = eqx.tree_at(lambda g: g.potential, guide, NormalNetwork(MLP([2 + inputs]), 2, key=5))  # any
    one, _, mask, u = sequence(gaps, inputs)
    potential = guide.potential(jnp.concatenate([jnp.where(mask, one.y, 0.0), *([] if u is None else [u])], axis=1))
    weight = np.where(mask, np.asarray(potential.scale) ** -2, 0.0).ravel()
    mean, cov = dense_prior(u)
    exact = np.linalg.inv(np.linalg.inv(cov) + np.diag(weight))
    centre = exact @ (np.linalg.solve(cov, mean) + weight * np.asarray(potential.loc).ravel())
    found, spread = affine(model, guide, one)
    np.testing.assert_allclose(found, centre, rtol=1e-8)
    np.testing.assert_allclose(spread, exact, rtol=1e-8, atol=1e-12)


def test_padding_changes_no_message():
    model, guide = made(inputs=False)
    one = sequence(gaps=True, inputs=False)[0]
    longer = Sequence(
        jnp.concatenate([one.y, jnp.full((3, 2), 5.0)]),
        jnp.concatenate([one.mask, jnp.ones((3, 2), bool)]),
        make_steps(LENGTH + 3),
        jnp.arange(LENGTH + 3) < LENGTH,
    )
    for a, b in zip(one.frames(model, guide).messages, longer.frames(model, guide).messages, strict=True):
        np.testing.assert_allclose(b[:LENGTH], a, rtol=1e-12)


def check_gradients(pair, objective, one):
    """The gradient of a bound by every weight of a model and its guide is not zero, and that of differences."""
    random, known = np.random.default_rng(1), [parameters(part) for part in pair]
    direction = [{path: random.normal(size=p.value.shape) for path, p in found.items()} for found in known]

    @jax.jit
    @jax.value_and_grad
    def bound(values):
        made = (replace(*each) for each in zip(pair, values, strict=True))
        return objective.bound(*made, one, jax.random.key(0)).value

    def at(size):
        return bound(
            [{path: p.value + size * d[path] for path, p in f.items()} for f, d in zip(known, direction, strict=True)]
        )

    gradients = at(0.0)[1]
    assert [path for part in gradients for path, value in part.items() if not np.any(np.asarray(value))] == []
    slope = sum(jnp.sum(d[path] * g[path]) for d, g in zip(direction, gradients, strict=True) for path in d)
    difference = (at(1e-5)[0] - at(-1e-5)[0]) / 2e-5
    assert float(slope) == pytest.approx(float(difference), rel=1e-6)


def test_gradients_reach_every_weight_and_are_those_of_differences():
    head = ss.GaussianHead(np.full((2, 4), 0.5), [0.0, 0.0], [1.0, 1.0], level=[0.0, 0.0], unit=[1.0, 1.0])
    pair = svae(2, latent=3, emission=[4], encoder=[4], head=head, key=0)
    check_gradients(pair, ELBO(), sequence(gaps=True, inputs=False)[0])


def test_sticking_has_no_noise_where_the_guide_is_the_posterior():
    model, guide = made(inputs=False)
    one, objective = sequence(gaps=True, inputs=False)[0], ELBO(analytic=False, gradient="sticking")
    found = jax.jit(jax.grad(lambda g: objective.bound(model, g, one, jax.random.key(0)).value))(guide)
    for leaf in jax.tree.leaves(eqx.filter(found, eqx.is_inexact_array)):
        np.testing.assert_allclose(leaf, 0.0, atol=1e-9)


def test_what_does_not_fit_is_refused():
    encoder, network = exact_potentials(0)
    with pytest.raises(ValueError, match="has 2 inputs, but the encoder's messages have 3"):
        ConjugateGuide(Encoder(MLP([3])), network)
    one = sequence(gaps=False, inputs=False)[0]
    head = ss.GaussianHead(np.eye(2), [0.0, 0.0], NOISE, level=[0.0, 0.0], unit=[1.0, 1.0])
    other = DeepStateSpace(MLPTransition(LATENT, [4], key=0), MLP([LATENT]), head)
    with pytest.raises(TypeError, match="for a LinearTransition, got MLPTransition"):
        one.frames(other, ConjugateGuide(encoder, network))
    with pytest.raises(TypeError, match="for KalmanDynamics, got MLPTransition"):
        one.frames(other, KalmanGuide(encoder, network))
