"""The contract of every resampling scheme: unbiased, in range, never a dead particle, a batch is a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statespace.core.resample import RESAMPLERS

LOW_VARIANCE = ("systematic", "stratified")
WEIGHTS = {
    "skewed": [0.02, 0.6, 0.0, 0.08, 0.3, 0.0],
    "one alive": [0.0, 0.0, 1.0, 0.0],
    "even": [0.2] * 5,
    "dead at both ends": [0.0, 0.1, 0.9, 0.0],
    "not normalised": [3.0, 1.0, 6.0],
}


@pytest.fixture(params=list(RESAMPLERS))
def scheme(request):
    return request.param


def counts_of(scheme, weights, key, repeats):
    draw = jax.jit(jax.vmap(lambda k: RESAMPLERS[scheme](k, weights)))
    found = np.asarray(draw(jax.random.split(key, repeats)))
    return np.stack([np.bincount(row, minlength=len(weights)) for row in found])


@pytest.mark.parametrize("case", WEIGHTS)
def test_offspring_have_the_mean_of_the_weights(scheme, case, key):
    weights = np.array(WEIGHTS[case])
    expected = len(weights) * weights / weights.sum()
    counts = counts_of(scheme, jnp.asarray(weights), key, 4000)
    assert (counts.sum(axis=1) == len(weights)).all()
    assert (counts[:, weights == 0] == 0).all()
    error = np.abs(counts.mean(axis=0) - expected)
    assert (error <= 4 * np.maximum(counts.std(axis=0), 1e-12) / np.sqrt(4000) + 1e-12).all()


def test_systematic_counts_are_next_to_their_mean(key):
    weights = jax.random.dirichlet(key, jnp.full(50, 0.3))
    counts = counts_of("systematic", weights, key, 500)
    expected = 50 * np.asarray(weights)
    assert (counts >= np.floor(expected)).all()
    assert (counts <= np.ceil(expected)).all()


def test_multinomial_ancestors_carry_no_order(key):
    """Each slot's ancestor has the same law: conditional SMC relies on it."""
    weights = jnp.array([0.5, 0.3, 0.2])
    drawn = jax.vmap(lambda k: RESAMPLERS["multinomial"](k, weights))(jax.random.split(key, 20000))
    share = np.stack([np.mean(np.asarray(drawn) == i, axis=0) for i in range(3)], axis=1)
    np.testing.assert_allclose(share, np.tile(weights, (3, 1)), atol=4 * np.sqrt(0.25 / 20000))


def test_a_batch_is_a_loop(scheme, key):
    weights = jax.random.dirichlet(key, jnp.ones(20), (3,))
    keys = jax.random.split(key, 3)
    batch = jax.vmap(RESAMPLERS[scheme])(keys, weights)
    for i in range(3):
        np.testing.assert_array_equal(batch[i], RESAMPLERS[scheme](keys[i], weights[i]))


def test_single_precision_holds_a_million_particles(scheme, key):
    size = 1_000_000
    raw = np.random.default_rng(0).exponential(size=size) * (np.random.default_rng(1).random(size) < 0.7)
    weights = jnp.asarray(raw / raw.sum(), jnp.float32)
    ancestors = np.asarray(RESAMPLERS[scheme](key, weights))
    assert ancestors.min() >= 0
    assert ancestors.max() < size
    assert (raw[ancestors] > 0).all()
    counts = np.bincount(ancestors, minlength=size)
    if scheme in LOW_VARIANCE:
        exact = size * np.cumsum(raw) / raw.sum()  # double precision
        assert np.abs(np.cumsum(counts) - exact).max() <= 1.3 if scheme == "systematic" else 2.3
    else:
        spread = np.sqrt(size) * np.abs(np.cumsum(counts) - size * np.cumsum(raw) / raw.sum()).max() / size
        assert spread < 1.63  # Kolmogorov's 1 % bound
