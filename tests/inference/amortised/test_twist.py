"""Twists: whatever they say bounds stay estimates without bias; one that has learned knows the future."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.amortised import linear

import statespace as ss
from statespace.inference.amortised import FIVO
from statespace.inference.amortised.twisting import twist_loss
from statespace.models.deep import MLP, Encoder, Guide, Prior, Twist

WIDTH = 6


def guide(strength=0.0, key=3):
    twist = Twist(MLP([WIDTH + linear.LATENT, 8], "tanh", key=key))
    twist = eqx.tree_at(lambda t: t.weights, twist, strength * jnp.cos(jnp.arange(8.0)))
    return Guide(linear.encoder("backward"), Prior(), twist=twist)


def test_a_twist_that_says_nothing_changes_nothing():
    sequence, model = linear.sequence(linear.data(6)), linear.model()
    plain = Guide(linear.encoder("backward"), Prior())
    bounds = [FIVO(8).bound(model, g, sequence, jax.random.key(0)).value for g in (guide(), plain)]
    np.testing.assert_array_equal(*bounds)


def test_whatever_it_says_weights_are_unbiased():
    """A z-test of the mean of estimates of the likelihood, with gaps, against Kalman's."""
    y = linear.data(6)
    mask = np.ones(y.shape, bool)
    mask[2, 0] = mask[4] = False
    exact = ss.log_likelihood(linear.exact(), np.where(mask, y, np.nan))
    sequence, model, twisted = linear.sequence(y, mask), linear.model(), guide(1.5)
    objective = FIVO(16, threshold=1.0)
    run = jax.jit(jax.vmap(lambda k: objective.bound(model, twisted, sequence, k).value))
    ratio = np.exp(np.asarray(run(jax.random.split(jax.random.key(1), 4000))) - exact)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / 4000**0.5


def test_the_loss_moves_the_twist_alone():
    sequence, model = linear.sequence(linear.data(6)), linear.model()
    loss = eqx.filter_grad(lambda pair: twist_loss(pair[0], pair[1], sequence, jax.random.key(0)))
    of_model, of_guide = loss((model, guide(0.5)))
    moved = of_guide.twist
    assert all(np.any(np.asarray(leaf) != 0) for leaf in jax.tree.leaves(moved))
    rest = jax.tree.leaves((of_model, of_guide.encoder, of_guide.proposal))
    assert all(np.all(np.asarray(leaf) == 0) for leaf in rest)


def test_at_the_start_pairs_are_told_apart_by_chance():
    length = 6
    found = twist_loss(linear.model(), guide(), linear.sequence(linear.data(length)), jax.random.key(0))
    assert float(found) == pytest.approx(2 * (length - 1) * np.log(2))
    inside = np.arange(length) < 4
    short = linear.sequence(linear.data(length), inside=inside)
    assert float(twist_loss(linear.model(), guide(), short, jax.random.key(0))) == pytest.approx(2 * 3 * np.log(2))


@pytest.mark.slow
def test_a_twist_learns_the_ratio_of_densities():
    """The model is known: over latent states, the twist's log ratio is the exact one but for a constant."""
    model, width = linear.model(), 16
    panel = [linear.data(8, seed) for seed in range(20)]
    encoder = Encoder(MLP([2, width], "tanh", key=7), backward=ss.GRU(width, width, key=1))
    helper = Guide(encoder, Prior(), twist=Twist(MLP([width + linear.LATENT, 32, 32], "tanh", key=3)))
    way = ss.SVI(helper, objective=FIVO(4), num_steps=3000, learning_rate=5e-3, num_buckets=1)
    held = {path: p.value for path, p in ss.models.parameters(model).items()}
    fit = ss.fit(model, panel, way, fixed=held, key=0, progress=False)
    learned = fit["0"].filter_method.guide
    exact = linear.exact()
    y = ss.simulate(exact, 8, num_samples=1, key=5).y.to_numpy()[0]
    messages = learned.messages(model, jnp.asarray(y), None, linear.sequence(y).steps)
    states = np.random.default_rng(0).normal(size=(60, linear.LATENT))
    for stamp in (1, 4):
        later = [ss.log_likelihood(_from(z), np.concatenate([np.full((1, 2), np.nan), y[stamp + 1 :]])) for z in states]
        said = [float(learned.promise([m[stamp + 1] for m in messages], jnp.zeros(0), jnp.asarray(z))) for z in states]
        assert np.corrcoef(later, said)[0, 1] > 0.9
    keys = jax.random.split(jax.random.key(2), 2000)

    def mean_bound(one):
        return np.asarray(
            jax.jit(jax.vmap(lambda k: FIVO(8).bound(model, one, linear.sequence(y), k).value))(keys)
        ).mean()

    assert mean_bound(learned) > mean_bound(Guide(learned.encoder, Prior()))


def _from(z):
    """The exact model with a known first state."""
    spread = np.full(linear.LATENT, float(jax.nn.softplus(0.0)) + 1e-4)
    return ss.LinearGaussian(linear.TRANSITION, spread, linear.EMISSION, linear.NOISE, z, np.zeros(2))


def test_bad_twists():
    with pytest.raises(ValueError, match="about the future alone"):
        Guide(linear.encoder("both"), Prior(), twist=Twist(MLP([2 * WIDTH + 2, 4], key=0)))
    with pytest.raises(TypeError, match="twist= takes a Twist"):
        Guide(linear.encoder("backward"), Prior(), twist=Prior())
    model, panel = linear.model(), [linear.data(20)]
    way = ss.SVI(guide(), objective=FIVO(2), window=5, num_steps=1)
    with pytest.raises(ValueError, match="whole sequences"):
        ss.fit(model, panel, way, key=0, progress=False)
