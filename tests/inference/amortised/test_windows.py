"""Sequences that are cut: what is carried from window to window makes them add up to the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.amortised import linear
from inference.amortised.test_training import corpus, quiet, trainer

import statespace as ss
from statespace.core.parameters import with_fields
from statespace.inference.amortised import ELBO, FIVO, IWAE
from statespace.inference.amortised import state as states

WINDOW = 4


def parts(sequence, length):
    """A sequence in windows, the last one shorter."""
    return [jax.tree.map(lambda leaf, a=a: leaf[a : a + WINDOW], sequence) for a in range(0, length, WINDOW)]


def with_gaps(length=10):
    y = linear.data(length)
    mask = np.random.default_rng(1).random(y.shape) > 0.2
    return y, mask


@pytest.mark.parametrize("kind", ["forward encoder", "path"])
def test_messages_of_windows_are_those_of_the_whole(kind):
    y, mask = with_gaps()
    model, guide = linear.model(), linear.GUIDES["ST-L"]()
    sequence = linear.sequence(y, mask)
    if kind == "path":
        head = ss.GaussianHead(np.zeros((2, 4)), [0.0, 0.0], [1.0, 1.0], level=[0.0, 0.0], unit=[1.0, 1.0])
        model, guide = ss.srnn(2, latent=2, hidden=4, smooths=False, head=head, key=0)
        seen = np.concatenate([np.full((1, 2), np.nan), np.where(mask, y, np.nan)[:-1]])
        steps = with_fields(sequence.steps, previous=jnp.asarray(seen))
        sequence = with_fields(sequence, steps=steps)
    whole = sequence.frames(model, guide).messages[0]
    memory, found = guide.memory(model), []
    for part in parts(sequence, 10):
        frames, memory = part.frames_along(model, guide, memory)
        found.append(frames.messages[0])
    np.testing.assert_allclose(jnp.concatenate(found), whole, rtol=1e-12, atol=1e-14)


def summed(objective, model, guide, sequence, key):
    """The bounds of all windows of a sequence, added up."""
    memory = jax.tree.map(lambda leaf: leaf[None], objective.memory(model, guide, sequence))
    total = 0.0
    for number, part in enumerate(parts(sequence, 10)):
        batch = jax.tree.map(lambda leaf: leaf[None], part)
        keys = jax.random.split(jax.random.fold_in(key, number), 1)
        _, found, memory = objective.loss(model, guide, batch, keys, 1.0, memory)
        total = total + found.value[0]
    return total


def test_a_filter_over_windows_estimates_the_likelihood_without_bias():
    y, mask = with_gaps()
    model, guide = linear.model(), linear.GUIDES["prior"]()
    sequence = linear.sequence(y, mask)
    keys = jax.random.split(jax.random.key(0), 1500)
    found = jax.jit(jax.vmap(lambda k: summed(FIVO(100), model, guide, sequence, k)))(keys)
    exact = ss.log_likelihood(linear.exact(), np.where(mask, y, np.nan))
    ratio = np.exp(np.asarray(found) - exact)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / len(ratio) ** 0.5
    assert ratio.std() / len(ratio) ** 0.5 < 0.03


def test_the_evidence_bound_over_windows_has_the_mean_of_the_whole():
    y, mask = with_gaps()
    model, guide, objective = linear.model(), linear.GUIDES["ST-L"](), ELBO()
    sequence = linear.sequence(y, mask)
    keys = jax.random.split(jax.random.key(0), 2000)
    cut = np.asarray(jax.jit(jax.vmap(lambda k: summed(objective, model, guide, sequence, k)))(keys))
    whole = np.asarray(jax.jit(jax.vmap(lambda k: objective.bound(model, guide, sequence, k).value))(keys))
    assert abs(cut.mean() - whole.mean()) < 4 * np.hypot(cut.std(), whole.std()) / len(keys) ** 0.5


@pytest.mark.parametrize("objective", [ELBO(), FIVO(3)], ids=lambda o: o.name)
def test_an_epoch_sees_every_stamp_once_and_can_be_gone_on_with(objective):
    data = corpus(8, 11, gaps=True)
    found = trainer(objective, data, window=WINDOW)
    begin = found.begin()
    assert found.per_epoch == sum(group.count * -(-group.length // WINDOW) for group in found.groups)
    seen = sum(int(found._batch(*place).inside.sum()) for place in found._order(0))
    assert seen == data.lengths.sum()
    once = found.run(begin, 7, quiet, quiet)
    first = found.run(begin, 4, quiet, quiet)  # in the middle of a batch
    kept = states.from_arrays(found.begin(), states.to_arrays(first.state))
    second = found.run(kept, 3, quiet, quiet)
    for path, value in once.state.values.items():
        np.testing.assert_array_equal(value, second.state.values[path])


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="weighs sequences as a whole"):
        ss.SVI(linear.GUIDES["ST-L"](), objective=IWAE(4), window=5)
    model, guide = ss.svae(2, latent=2, key=0)
    with pytest.raises(ValueError, match="cannot be learned with window="):
        ss.fit(model, np.ones((9, 2)), ss.SVI(guide, window=4), key=0, progress=False)
