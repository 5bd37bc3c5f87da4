"""Static latent states: a linear model with a constant state is the same, and guides are unbiased."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.amortised import linear

import statespace as ss
from statespace.inference.amortised import ELBO, FIVO, IWAE
from statespace.inference.amortised.paths import draw_paths
from statespace.models.deep import (
    MLP,
    Combiner,
    DeepStateSpace,
    Encoder,
    Guide,
    LinearTransition,
    Prior,
    StaticLatents,
    StaticProposal,
)

DECAY, SPREAD = 0.8, float(jax.nn.softplus(0.0)) + 1e-4
WEIGHTS, NOISE = np.array([[1.0, 0.7], [0.3, -1.2]]), np.array([0.5, 0.7])


def model():
    moving = eqx.tree_at(lambda m: m.linear.weights, LinearTransition(1, key=0), jnp.array([[DECAY]]))
    head = ss.GaussianHead(WEIGHTS, [0.0, 0.0], NOISE, level=[0.0, 0.0], unit=[1.0, 1.0])
    return DeepStateSpace(StaticLatents(moving, 1), MLP([2]), head)


def exact():
    """The static state as one whose transition is 1 and has no noise."""
    return ss.LinearGaussian(
        np.diag([DECAY, 1.0]), np.array([SPREAD, 0.0]), WEIGHTS, NOISE, np.zeros(2), np.array([SPREAD, 1.0])
    )


def guide(width=6):
    encoder = Encoder(MLP([2, 8], "tanh", key=7), backward=ss.GRU(8, width, key=1))
    return Guide(encoder, StaticProposal(Combiner(2, width, key=3), 1))


def data():
    return linear.data(6)


def test_the_likelihood_is_that_of_a_constant_state():
    y = data()
    target = ss.log_likelihood(exact(), y)
    sequence = linear.sequence(y)
    plain = Guide(None, Prior())
    bound = FIVO(100_000).bound(model(), plain, sequence, jax.random.key(0)).value
    assert float(bound) == pytest.approx(target, abs=0.05)


@pytest.mark.parametrize("objective", [IWAE(16), FIVO(16, threshold=1.0)])
def test_a_guide_is_unbiased(objective):
    """A z-test of estimates of the likelihood, with gaps."""
    y = data()
    mask = np.ones(y.shape, bool)
    mask[0, 1] = mask[3] = False
    target = ss.log_likelihood(exact(), np.where(mask, y, np.nan))
    one, helper, sequence = model(), guide(), linear.sequence(y, mask)
    run = jax.jit(jax.vmap(lambda k: objective.bound(one, helper, sequence, k).value))
    ratio = np.exp(np.asarray(run(jax.random.split(jax.random.key(1), 6000))) - target)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / 6000**0.5


def test_draws_in_its_place_diverge_from_nothing_and_it_is_kept():
    paths = draw_paths(model(), guide(), linear.sequence(data()), 5, jax.random.key(0))
    np.testing.assert_array_equal(paths.divergence[1:, :, 1], 0.0)
    np.testing.assert_array_equal(paths.ratio[1:, :, 1], 0.0)
    h, z = model().split(paths.x)
    np.testing.assert_array_equal(h[1:, :, 0], jnp.broadcast_to(z[0, :, 1], h[1:, :, 0].shape))
    assert np.all(np.asarray(paths.divergence[0, :, 1]) > 0)


def test_a_filter_finds_it():
    """The filtered mean of the static state at the last stamp is Kalman's."""
    y = data()
    found = ss.filter(model(), y, method=ss.AmortisedFilter(guide=Guide(None, Prior()), num_particles=40_000), key=0)
    table = found.to_xarray()
    kalman = ss.filter(exact(), y).to_xarray()
    names = list(table["state"].values)
    mine = float(table["state_mean"].values[-1, names.index("static0")])
    assert mine == pytest.approx(float(kalman["state_mean"].values[-1, 1]), abs=0.05)


def test_learning_and_forecasts_through_the_verbs():
    model_, helper = model(), guide()
    panel = [linear.data(n, n) for n in (5, 8, 6)]
    way = ss.SVI(helper, objective=ELBO(), num_steps=5, num_buckets=1)
    fit = ss.fit(model_, panel, way, key=0, progress=False)
    ahead = ss.forecast(fit["0"], horizon=3, num_samples=20, key=0)
    assert ahead.draws.shape == (20, 3, 2)


def test_bad_calls():
    with pytest.raises(TypeError, match="takes dynamics"):
        StaticLatents(Prior(), 1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="size"):
        StaticLatents(LinearTransition(1), 0)
    with pytest.raises(TypeError, match="takes a proposal"):
        StaticProposal(LinearTransition(1), 1)  # pyright: ignore[reportArgumentType]
