"""Bounds of a linear-Gaussian model against its exact likelihood, and their gradients against differences."""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.amortised import linear

import statespace as ss
from statespace.inference.amortised import ELBO, FIVO, IWAE
from statespace.inference.amortised.paths import draw_paths

REPEATS = 1000


def values(objective, guide, sequence, repeats=REPEATS, seed=0):
    """Independent bounds."""
    keys = jax.random.split(jax.random.key(seed), repeats)
    model = linear.model()
    return np.asarray(jax.jit(jax.vmap(lambda k: objective.bound(model, guide, sequence, k).value))(keys))


def mean_and_error(x):
    return x.mean(), x.std() / np.sqrt(len(x))


@pytest.mark.parametrize("name", linear.GUIDES)
def test_the_weights_of_a_filter_are_unbiased(name):
    y = linear.data(5)
    exact = ss.log_likelihood(linear.exact(), y)
    found = values(FIVO(64), linear.GUIDES[name](), linear.sequence(y))
    ratio, error = mean_and_error(np.exp(found - exact))
    assert error < 0.15
    assert abs(ratio - 1) < 4 * error


def test_bounds_are_in_order():
    y, guide = linear.data(5), linear.GUIDES["prior"]()
    exact = ss.log_likelihood(linear.exact(), y)
    kinds = (ELBO(), IWAE(4), IWAE(32), FIVO(32))
    found = [mean_and_error(values(kind, guide, linear.sequence(y))) for kind in kinds]
    for (low, first), (high, second) in pairwise(found):
        assert low < high + 3 * np.hypot(first, second)
    assert found[-1][0] < exact + 3 * found[-1][1]


def test_one_path_is_the_same_bound_everywhere():
    y, guide = linear.data(5), linear.GUIDES["DKS"]()
    sampled = values(ELBO(analytic=False), guide, linear.sequence(y), 4)
    np.testing.assert_allclose(values(IWAE(1), guide, linear.sequence(y), 4), sampled, rtol=1e-10)
    analytic = mean_and_error(values(ELBO(), guide, linear.sequence(y)))
    sampled = mean_and_error(values(ELBO(analytic=False), guide, linear.sequence(y), seed=1))
    assert abs(analytic[0] - sampled[0]) < 4 * np.hypot(analytic[1], sampled[1])


def test_never_resampled_a_filter_is_the_importance_weighted_bound():
    y, guide = linear.data(4), linear.GUIDES["residual"]()
    never = mean_and_error(values(FIVO(8, threshold=0.0), guide, linear.sequence(y)))
    whole = mean_and_error(values(IWAE(8), guide, linear.sequence(y), seed=1))
    assert abs(never[0] - whole[0]) < 4 * np.hypot(never[1], whole[1])


@pytest.mark.parametrize("objective", [ELBO(2), IWAE(4), FIVO(4, threshold=1.0)], ids=lambda o: o.name)
@pytest.mark.parametrize("name", ["DKS", "ST-LR", "MF-LR", "direct"])
def test_padding_changes_nothing(objective, name):
    guide, y = linear.GUIDES[name](), linear.data(4)
    longer = np.concatenate([y, np.full((3, 2), 7.0)])
    inside = np.arange(7) < 4
    model = linear.model()
    padded = linear.sequence(longer, inside=inside)
    if objective.name == "FIVO":  # resampling draws numbers of its own: compare the messages, and that it is finite
        own = guide.messages(model, jnp.asarray(y), None, linear.sequence(y).steps)
        theirs = guide.messages(model, padded.y, None, padded.steps, padded.inside)
        for a, b in zip(own, theirs, strict=True):
            np.testing.assert_allclose(b[:4], a, rtol=1e-10)
        assert np.isfinite(objective.bound(model, guide, padded, jax.random.key(0)).value)
        return
    keys = [jax.random.key(0)] * 2

    def with_keys_of(length):  # a path draws one key for each stamp: the first ones must be the same
        split = jax.random.split
        return lambda key, num=2: split(key, 7)[:length] if num == length else split(key, num)

    found = [values_with(objective, model, guide, linear.sequence(y), keys[0], with_keys_of(4))]
    found.append(values_with(objective, model, guide, padded, keys[1], with_keys_of(7)))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10)


def values_with(objective, model, guide, sequence, key, split):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.random, "split", split)
        return float(objective.bound(model, guide, sequence, key).value)


def test_missing_elements_are_integrated_out():
    y = linear.data(5)
    y[1, 0] = y[3] = np.nan
    mask = np.isfinite(y)
    exact = ss.log_likelihood(linear.exact(), y)
    for name in ("DKS", "prior"):
        found = values(FIVO(64), linear.GUIDES[name](), linear.sequence(y, mask))
        ratio, error = mean_and_error(np.exp(found - exact))
        assert error < 0.15
        assert abs(ratio - 1) < 4 * error


@pytest.mark.parametrize(
    "objective", [ELBO(), ELBO(analytic=False), ELBO(free_bits=0.1), IWAE(3)], ids=["ELBO", "sampled", "free", "IWAE"]
)
def test_gradients_are_those_of_differences(objective):
    model, guide, one = linear.model(), linear.GUIDES["residual"](), linear.sequence(linear.data(4))
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), one)
    keys = jax.random.split(jax.random.key(0), 2)
    direction = jax.tree.map(
        lambda leaf: jnp.asarray(np.random.default_rng(1).normal(size=leaf.shape)), eqx.filter(guide, eqx.is_array)
    )

    @jax.jit
    def loss(size):
        moved = eqx.apply_updates(guide, jax.tree.map(lambda leaf: size * leaf, direction))
        return objective.loss(model, moved, batch, keys, 0.7)[0]

    step = 1e-5
    difference = (loss(step) - loss(-step)) / (2 * step)
    assert float(jax.grad(loss)(0.0)) == pytest.approx(float(difference), rel=1e-6)


@pytest.mark.parametrize(
    ("plain", "other"),
    [
        (ELBO(analytic=False), ELBO(analytic=False, gradient="sticking")),
        (IWAE(4), IWAE(4, gradient="dreg")),
    ],
    ids=["sticking", "dreg"],
)
def test_other_gradients_have_the_same_mean(plain, other):
    model, guide, one = linear.model(), linear.GUIDES["DKS"](), linear.sequence(linear.data(4))
    batch = jax.tree.map(lambda leaf: leaf[None], one)

    def gradients(objective, seed):
        @jax.jit
        @jax.vmap
        def each(key):
            found = jax.grad(lambda g: objective.loss(model, g, batch, key[None], 1.0)[0])(guide)
            return found.proposal.mean.bias, found.proposal.spread.bias

        return np.concatenate(each(jax.random.split(jax.random.key(seed), 2000)), axis=1)

    first, second = gradients(plain, 0), gradients(other, 1)
    error = np.hypot(first.std(0), second.std(0)) / np.sqrt(len(first))
    assert np.all(np.abs(first.mean(0) - second.mean(0)) < 4 * error)


def test_sticking_has_no_noise_at_the_posterior():
    # with the prior as guide and nothing seen, the guide is the posterior: log p - log q is zero
    y = np.full((4, 2), np.nan)
    paths = draw_paths(
        linear.model(), linear.GUIDES["prior"](), linear.sequence(y, np.isfinite(y)), 3, jax.random.key(0)
    )
    np.testing.assert_array_equal(paths.ratio, 0.0)
    np.testing.assert_array_equal(paths.seen, 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ELBO(0), "num_particles must be at least 1"),
        (lambda: ELBO(gradient="sticking"), "analytic=False"),
        (lambda: ELBO(gradient="dreg"), "is unknown"),
        (lambda: ELBO(kl_start=2.0), "kl_start is in"),
        (lambda: FIVO(resampling="best"), "is unknown"),
        (lambda: FIVO(threshold=2.0), "between 0 and 1"),
        (lambda: linear.Guide(None, linear.Combiner(2, 3)), "give an encoder"),
    ],
)
def test_bad_options_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
