"""The normal law in factor form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from scipy import stats

from statespace.core.normal import FactorNormal

LOC = jnp.array([1.0, -2.0, 0.5])
FACTOR = jnp.array([[1.0, 0, 0, 0.2], [0.5, 0.3, 0, 0], [0, -0.4, 0.7, 0.1]])


def test_density():
    law = FactorNormal(LOC, FACTOR)
    x = np.array([0.3, -1.0, 0.9])
    expected = stats.multivariate_normal(LOC, np.asarray(FACTOR @ FACTOR.T)).logpdf(x)
    assert float(law.log_prob(jnp.asarray(x))) == pytest.approx(expected, rel=1e-12)


def test_density_of_many_values():
    law = FactorNormal(LOC, FACTOR)
    x = law.sample(jax.random.key(0), (5, 2))
    expected = stats.multivariate_normal(LOC, np.asarray(FACTOR @ FACTOR.T)).logpdf(np.asarray(x))
    np.testing.assert_allclose(law.log_prob(x), expected, rtol=1e-10)


def test_moments():
    law = FactorNormal(LOC, FACTOR)
    np.testing.assert_array_equal(law.mean, LOC)
    np.testing.assert_allclose(law.covariance_matrix, FACTOR @ FACTOR.T)
    np.testing.assert_allclose(law.variance, jnp.diag(FACTOR @ FACTOR.T))
    assert law.event_shape == (3,)
    assert law.batch_shape == ()


def test_draws():
    many = 20_000
    law = FactorNormal(LOC, FACTOR)
    x = np.asarray(law.sample(jax.random.key(0), (many,)))
    cov = np.asarray(law.covariance_matrix)
    sd = np.sqrt(np.diag(cov))
    assert (np.abs(x.mean(0) - LOC) < 4 * sd / np.sqrt(many)).all()
    error = np.sqrt((np.outer(sd, sd) ** 2 + cov**2) / many)
    assert (np.abs(np.cov(x.T) - cov) < 4 * error).all()
    assert law.sample(jax.random.key(0)).shape == (3,)


def test_singular_laws():
    """They can be sampled; they have no density."""
    law = FactorNormal(jnp.zeros(2), jnp.array([[1.0], [2.0]]))
    x = law.sample(jax.random.key(0), (10,))
    np.testing.assert_allclose(x[:, 1], 2 * x[:, 0])
    assert np.isnan(law.log_prob(jnp.zeros(2))) or np.isneginf(law.log_prob(jnp.zeros(2)))
    known = FactorNormal(LOC, jnp.zeros((3, 0)))
    np.testing.assert_array_equal(known.sample(jax.random.key(0)), LOC)
    np.testing.assert_array_equal(known.variance, 0.0)


def test_a_diffuse_law_cannot_be_sampled():
    law = FactorNormal(jnp.zeros(1), jnp.ones((1, 1)), diffuse=True)
    with pytest.raises(ValueError, match="diffuse law, which cannot be sampled: give its states a proper"):
        law.sample(jax.random.key(0))


def test_it_is_a_pytree_and_maps():
    law = FactorNormal(LOC, FACTOR)
    leaves, treedef = jax.tree.flatten(law)
    assert jax.tree.unflatten(treedef, leaves).diffuse is False
    x = jnp.ones((4, 3))
    several = jax.vmap(lambda m, v: FactorNormal(m, FACTOR).log_prob(v))(jnp.stack([LOC] * 4), x)
    np.testing.assert_allclose(several, law.log_prob(x[0]))
    assert jax.jit(lambda d, v: d.log_prob(v))(law, x[0]).shape == ()


def test_gradients_flow_through_draws_and_densities():
    def value(loc, factor):
        law = FactorNormal(loc, factor)
        return law.log_prob(law.sample(jax.random.key(0)) + 0.1)

    assert all(np.isfinite(g).all() for g in jax.grad(value, argnums=(0, 1))(LOC, FACTOR))


def test_as_a_site_of_a_numpyro_program():
    import numpyro

    def program():
        return numpyro.sample("x", FactorNormal(LOC, FACTOR))

    trace = handlers.trace(handlers.seed(program, jax.random.key(0))).get_trace()
    assert trace["x"]["value"].shape == (3,)
