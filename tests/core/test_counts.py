"""Draws of counts through the inverse distribution function, against SciPy's laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from statespace.core.counts import draw_binomial, draw_poisson

SIZE = 200_000


def agrees(draws, law):
    """A chi-square test at the 1e-4 level over the values that are expected at least ten times."""
    draws = np.asarray(draws)
    k = np.arange(int(law.ppf(1e-9)), int(law.ppf(1 - 1e-9)) + 2)
    expected = law.pmf(k) * draws.size
    seen = np.array([(draws == value).sum() for value in k])
    often = expected >= 10
    rest = draws.size - expected[often].sum(), draws.size - seen[often].sum()
    value = ((seen[often] - expected[often]) ** 2 / expected[often]).sum()
    value += (rest[1] - rest[0]) ** 2 / max(rest[0], 1.0)
    return value < stats.chi2.ppf(1 - 1e-4, often.sum())


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (7, 0.9), (40, 0.5), (60, 0.5), (70, 0.5), (763, 0.02), (763, 0.04),
                                      (5000, 0.7), (10**6, 2e-5), (10**6, 0.3)])  # fmt: skip
def test_binomial_counts(n, p, key):
    draws = draw_binomial(key, jnp.full(SIZE, float(n)), jnp.full(SIZE, p))
    assert agrees(draws, stats.binom(n, p))


@pytest.mark.parametrize("mean", [0.01, 1.0, 15.9, 16.1, 300.0])
def test_poisson_counts(mean, key):
    assert agrees(draw_poisson(key, jnp.full(SIZE, mean)), stats.poisson(mean))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_edges(dtype, key):
    n, p = jnp.array([0, 0, 9, 9, 1e6, 1e6, 3], dtype), jnp.array([0.3, 1, 0, 1, 0, 1, 0.5], dtype)
    draws = draw_binomial(key, jnp.broadcast_to(n, (2000, 7)), jnp.broadcast_to(p, (2000, 7)))
    assert draws.dtype == dtype
    np.testing.assert_array_equal(draws[:, :6], np.broadcast_to([0, 0, 0, 9, 0, 1e6], (2000, 6)))
    assert set(np.unique(draws[:, 6])) == {0.0, 1.0, 2.0, 3.0}
    assert float(draw_poisson(key, jnp.zeros((), dtype))) == 0.0


def test_works_in_batches(key):
    keys = jax.random.split(key, 3)
    n = jnp.array([[5.0, 900.0]] * 3)
    found = jax.vmap(draw_binomial)(keys, n, 0.3 * jnp.ones_like(n))
    for i in range(3):
        np.testing.assert_array_equal(found[i], draw_binomial(keys[i], n[i], 0.3 * jnp.ones(2)))
