"""Batches, and learning: every sequence once an epoch, going on is the same as never having stopped."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from inference.amortised import linear

import statespace as ss
from statespace.core.parameters import parameters
from statespace.inference.amortised import ELBO, FIVO, IWAE
from statespace.inference.amortised import state as states
from statespace.inference.amortised.batches import Corpus, buckets, epoch
from statespace.inference.amortised.paths import draw_paths
from statespace.inference.amortised.svi import AmortisedSVI
from statespace.inference.amortised.training import Trainer
from statespace.inference.amortised.weights import Trainee
from statespace.models.deep import MLP, Combiner, Encoder, Guide

LENGTHS = np.array([5, 6, 6, 50, 52, 7, 20, 21, 5, 49])


def test_buckets_hold_every_sequence_once_with_little_padding():
    found = buckets(LENGTHS, 3, 3)
    assert sorted(np.concatenate([b.members for b in found]).tolist()) == list(range(len(LENGTHS)))
    assert [b.length for b in found] == [7, 21, 52]
    assert all(LENGTHS[b.members].max() <= b.length for b in found)
    assert len(buckets(LENGTHS, 3, 1)) == 1
    assert sum(b.length * len(b.members) for b in buckets(LENGTHS, 3, 20)) == LENGTHS.sum()  # one for each length


def test_the_best_two_lengths_are_those_of_enumeration():
    def work(split):
        return sum(LENGTHS[split >= LENGTHS].size * [split]) + 52 * np.sum(split < LENGTHS)

    found = buckets(LENGTHS, 3, 2)
    assert sum(b.length * len(b.members) for b in found) == min(work(s) for s in np.unique(LENGTHS)[:-1])


def test_an_epoch_is_shuffled_and_can_be_repeated():
    groups = buckets(LENGTHS, 3, 3)
    orders = [[which.tolist() for which, _ in epoch(groups, seed)] for seed in ([0, 1], [0, 1], [0, 2])]
    assert orders[0] == orders[1] != orders[2]
    for order in orders:
        assert sorted(i for batch in order for i in batch) == list(range(len(LENGTHS)))


def corpus(count=12, length=8, seed=0, gaps=False, model=None):
    random = np.random.default_rng(seed)
    drawn = ss.simulate(model or linear.exact(), length, num_samples=count, key=seed)
    y = [np.asarray(drawn["y"][i])[: length - i % 3] for i in range(count)]
    mask = [random.random(x.shape) > 0.2 if gaps else np.ones(x.shape, bool) for x in y]
    return Corpus([np.where(m, x, 0.0) for x, m in zip(y, mask, strict=True)], mask, None, None, False)


def trainer(objective, data, held_out=None, steps=40, rate=1e-2, **options):
    guide = linear.GUIDES["DKS"]()
    trainee = Trainee(linear.model(), guide)
    free = tuple(path for path in parameters(trainee) if path.startswith("guide"))
    given = {"batch_size": 4, "num_buckets": 2, "evaluate_every": 10, "optimizer": optax.adam(rate)} | options
    method = AmortisedSVI(guide, objective, num_steps=steps, **given)
    return Trainer(trainee, free, data, held_out, {}, method, jax.random.key(0))


def quiet(*_):
    return None


def test_going_on_is_the_same_as_never_having_stopped():
    whole = trainer(ELBO(kl_warmup=20), corpus())
    once = whole.run(whole.begin(), 17, quiet, quiet)
    parts = trainer(ELBO(kl_warmup=20), corpus())
    first = parts.run(parts.begin(), 8, quiet, quiet)
    second = parts.run(first.state, 9, quiet, quiet)
    for path, value in once.state.values.items():
        np.testing.assert_array_equal(value, second.state.values[path])
    np.testing.assert_array_equal(once.history.bound, first.history.joined(second.history).bound)


@pytest.mark.parametrize("objective", [ELBO(), IWAE(4, gradient="dreg"), FIVO(4)], ids=lambda o: o.name)
def test_the_bound_rises_towards_the_likelihood(objective):
    data = corpus(gaps=objective.name == "FIVO")
    found = trainer(objective, data)
    progress = found.run(found.begin(), 40, quiet, quiet)
    assert progress.history.bound[-10:].mean() > progress.history.bound[:5].mean() + 0.1
    seen = [np.where(m, y, np.nan) for y, m in zip(data.y, data.mask, strict=True)]
    exact = sum(ss.log_likelihood(linear.exact(), y) for y in seen) / data.lengths.sum()
    bound = found.bound(progress.state.values, data, jax.random.key(3))
    assert bound < exact + 0.05


def test_the_best_state_is_kept_and_learning_stops():
    data = corpus()
    found = trainer(ELBO(), data, corpus(4, seed=1), rate=10.0, patience=2, evaluate_every=5)
    saved = []
    progress = found.run(found.begin(), 200, quiet, lambda state, seen: saved.append(state))
    assert progress.ended == "patience"
    assert progress.state.step < 200
    assert progress.state.step - progress.state.best_step == 10
    assert progress.state.best_bound == progress.history.held_out.max()
    assert len(saved) == len(progress.history.held_out)


def test_seeds_side_by_side_are_the_same_as_one_by_one():
    """The first one starts from the weights given, and each sees the same batches with noise of its own."""
    data = corpus()
    several = trainer(ELBO(), data, corpus(4, seed=1), num_seeds=2)
    progress = several.run(several.begin(), 20, quiet, quiet)
    assert progress.history.bound.shape == (20, 2)
    assert progress.state.best_bound.shape == (2,)
    starts = several.begin().values
    assert any(np.any(np.asarray(v[0]) != np.asarray(v[1])) for v in starts.values())
    alone = trainer(ELBO(), data, corpus(4, seed=1))
    for path, value in alone.begin().values.items():
        np.testing.assert_array_equal(value, starts[path][0])
    best, seed = several.best(progress.state, progress.history)
    assert seed == int(np.argmax(progress.history.held_out.max(axis=0)))
    kept = parameters(several.weights.point(best))
    for path, value in progress.state.best.items():
        np.testing.assert_array_equal(kept[path].value, value[seed])


def test_a_checkpoint_holds_everything_and_knows_its_run(tmp_path):
    found = trainer(ELBO(), corpus(), corpus(4, seed=1))
    path = tmp_path / "state.npz"
    progress = found.run(found.begin(), 12, quiet, quiet)
    states.write(path, progress.state, progress.history, "mark")
    state, history = states.read(path, found.begin(), "mark")
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(progress.state), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(history.held_out, progress.history.held_out)
    with pytest.raises(ValueError, match="of a run with another model"):
        states.read(path, found.begin(), "another")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read"):
        states.read(path, found.begin(), "mark")


def test_a_step_is_compiled_once():
    learner = trainer(ELBO(), corpus(), num_buckets=1, steps=3)
    where = lambda trainee: trainee.guide.encoder.network.layers[0].bias  # noqa: E731
    bias = where(learner.trainee)
    weak = jnp.broadcast_to(jnp.exp(0.0), bias.shape)
    assert weak.weak_type
    learner.trainee = eqx.tree_at(where, learner.trainee, weak)
    learner.run(learner.begin(), 3, quiet, quiet)
    assert learner.advance._cache_size() == 1


def test_gradients_that_are_not_finite_stop_learning():
    data = corpus()
    data.y[0][0] = np.inf
    data = data.taken([0, 0, 0, 0])
    found = trainer(ELBO(), data)
    with pytest.raises(FloatingPointError, match="not finite at 50 steps"):
        found.run(found.begin(), 80, quiet, quiet)


@pytest.mark.slow
def test_the_inference_network_learns_the_posterior():
    """DKS has the posterior's own factorisation: the bound comes within 0.02 nat a stamp, the moments to RTS.

    Its laws are independent ones, so that it can do so where the latent states are, given those before.
    """
    steps, width, kalman = 4000, 32, linear.exact(*linear.APART)
    data, test = corpus(400, 12, model=kalman), corpus(100, 12, seed=1, model=kalman)
    encoder = Encoder(MLP([2, width], "tanh", key=7), backward=ss.GRU(width, width, key=1))
    guide = Guide(encoder, Combiner(linear.LATENT, width, key=3))
    rate = optax.cosine_decay_schedule(5e-3, steps, 0.01)
    options = {"optimizer": optax.chain(optax.clip_by_global_norm(10.0), optax.adam(rate)), "batch_size": 40}
    method = AmortisedSVI(guide, num_steps=steps, num_buckets=2, evaluate_every=10_000, **options)
    trainee = Trainee(linear.model(*linear.APART), guide)
    free = tuple(path for path in parameters(trainee) if path.startswith("guide"))
    found = Trainer(trainee, free, data, None, {}, method, jax.random.key(0))
    progress = found.run(found.begin(), steps, quiet, quiet)
    exact = sum(ss.log_likelihood(kalman, y) for y in test.y) / test.lengths.sum()
    bound = np.mean([found.bound(progress.state.values, test, jax.random.key(k)) for k in range(5)])
    assert exact - 0.02 < bound < exact + 0.005
    trained = found.weights.point(progress.state.values)
    keys = jax.random.split(jax.random.key(4), 4000)
    one = linear.sequence(test.y[0])
    x = jax.jit(jax.vmap(lambda k: draw_paths(trained.model, trained.guide, one, 1, k).x[:, 0]))(keys)
    smoothed = ss.smooth(kalman, test.y[0]).to_xarray()
    sd = np.sqrt(np.diagonal(smoothed["state_cov"].values, axis1=1, axis2=2))
    assert np.max(np.abs(jnp.mean(x, axis=0) - smoothed["state_mean"].values) / sd) < 0.2
    np.testing.assert_allclose(jnp.std(x, axis=0), sd, rtol=0.15)
