"""Normal laws of latent states against dense linear algebra in NumPy and NumPyro's own densities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions import MultivariateNormal, Normal, kl_divergence
from oracles import normal_logpdf

from statespace.models.deep import MLP, NormalNetwork, Product, TransitionNoise
from statespace.models.deep.information import Information, information_after
from statespace.models.deep.laws import cholesky, divergence_each, either, log_density_each, moved, times

SIZES = (3, pytest.param(20, marks=pytest.mark.slow))  # the last one by library calls


def joint(size, seed):
    """A joint law, and its mean and covariance."""
    random = np.random.default_rng(seed)
    factor = np.tril(random.normal(size=(size, size)), -1) * 0.4 + np.diag(random.uniform(0.5, 1.5, size))
    mean = random.normal(size=size)
    return MultivariateNormal(jnp.asarray(mean), scale_tril=jnp.asarray(factor)), mean, factor @ factor.T


def independent(size, seed):
    random = np.random.default_rng(seed)
    mean, sd = random.normal(size=size), random.uniform(0.5, 1.5, size)
    return Normal(jnp.asarray(mean), jnp.asarray(sd)), mean, np.diag(sd**2)


KINDS = {"joint": joint, "independent": independent}


def as_joint(law):
    wide = isinstance(law, Normal)
    return MultivariateNormal(law.loc, scale_tril=jnp.diag(law.scale)) if wide else law


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_divergences_sum_to_that_of_the_joint_laws(first, second, size):
    q, p = KINDS[first](size, 0)[0], KINDS[second](size, 1)[0]
    each = divergence_each(q, p)
    assert each.shape == (size,)
    assert np.all(np.asarray(each) >= 0)
    np.testing.assert_allclose(jnp.sum(each), kl_divergence(as_joint(q), as_joint(p)), rtol=1e-10)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_densities_are_those_given_the_elements_before(kind, size):
    law, mean, cov = KINDS[kind](size, 0)
    z = np.random.default_rng(2).normal(size=size)
    each = log_density_each(law, jnp.asarray(z))
    found = [normal_logpdf(z[:k], mean[:k], cov[:k, :k]) for k in range(1, size + 1)]
    np.testing.assert_allclose(np.cumsum(each), found, rtol=1e-10)
    noise = np.random.default_rng(3).normal(size=size)
    np.testing.assert_allclose(moved(law, jnp.asarray(noise)), mean + np.linalg.cholesky(cov) @ noise, rtol=1e-10)


@pytest.mark.parametrize("size", [3, 20])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known", ["all", "one direction", "nothing", "diagonal"])
def test_products_with_potentials(kind, known, size):
    law, mean, cov = KINDS[kind](size, 0)
    random = np.random.default_rng(4)
    loading = random.normal(size=(size, {"all": size, "one direction": 1}.get(known, 0)))
    precision = np.diag(random.uniform(1e-3, 1e3, size)) if known == "diagonal" else 1e2 * loading @ loading.T
    vector = precision @ random.normal(size=size)
    given = np.diag(precision) if known == "diagonal" else precision
    found = times(law, jnp.asarray(given), jnp.asarray(vector))
    exact = np.linalg.inv(np.linalg.inv(cov) + precision)
    np.testing.assert_allclose(found.scale_tril @ found.scale_tril.T, exact, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.loc, exact @ (np.linalg.solve(cov, mean) + vector), rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(np.triu(found.scale_tril, 1), 0.0)


def test_either_law_is_taken_whole():
    wide, narrow = joint(3, 0)[0], independent(3, 1)[0]
    for first, second in ((wide, narrow), (narrow, wide), (narrow, independent(3, 2)[0])):
        for condition, kept in ((True, first), (False, second)):
            found = either(jnp.asarray(condition), first, second)
            np.testing.assert_array_equal(found.loc, kept.loc)
            np.testing.assert_array_equal(as_joint(found).scale_tril, as_joint(kept).scale_tril)


def test_a_pivot_below_its_bound_is_put_back():
    # 1 + 1e20 has no 1 in it, so that the second pivot would come out as zero
    a = jnp.array([[1.0, 1.0], [1.0, 1.0]]) * 1e20 + jnp.eye(2)
    assert cholesky(a, jnp.ones(2))[1, 1] == 1.0
    gradient = jax.grad(lambda x: cholesky(x * jnp.eye(2), jnp.ones(2))[1, 1])(1.0)
    assert gradient == pytest.approx(0.5)  # of a square root, at the bound too


def test_information_is_what_integration_leaves():
    random, size, length = np.random.default_rng(0), 3, 4
    matrices, offsets = random.normal(size=(length, size, size)), random.normal(size=(length, size))
    spread = random.uniform(0.3, 1.0, size)
    loadings = random.normal(size=(length, size, 2))
    loadings[2] = 0.0
    precision = np.einsum("tik,tjk->tij", loadings, loadings)
    vector = np.einsum("tij,tj->ti", precision, random.normal(size=(length, size)))
    given = Information(jnp.asarray(precision), jnp.asarray(vector))
    found = information_after(jnp.asarray(matrices), jnp.asarray(offsets), jnp.asarray(spread), given)
    # the joint precision of z[2], ..., z[4] given z[1], by minus the log of everything in it
    wide = length * size
    total, linear = np.zeros((wide, wide)), np.zeros(wide)
    for t in range(1, length):
        here, before = slice(t * size, (t + 1) * size), slice((t - 1) * size, t * size)
        loading = np.zeros((size, wide))
        loading[:, here], loading[:, before] = np.eye(size), -matrices[t]
        total += loading.T @ np.diag(spread**-2) @ loading
        linear += loading.T @ (offsets[t] / spread**2)
        total[here, here] += precision[t]
        linear[here] += vector[t]
    first, rest = slice(0, size), slice(size, wide)
    inner = np.linalg.inv(total[rest, rest])
    np.testing.assert_allclose(
        found.precision[0], total[first, first] - total[first, rest] @ inner @ total[rest, first], rtol=1e-9
    )
    np.testing.assert_allclose(found.vector[0], linear[first] - total[first, rest] @ inner @ linear[rest], rtol=1e-9)
    np.testing.assert_array_equal(found.precision[-1], 0.0)


@pytest.mark.parametrize("sharp", [1e-6, 1e6])
def test_information_survives_potentials_that_say_all_or_nothing(sharp):
    # a chain of one state: beta's precision is that of a sum of variances
    length, one = 30, jnp.ones((30, 1))
    weight = jnp.full((length, 1, 1), sharp).at[::2].set(0.0)
    found = information_after(one[:, :, None], 0 * one, jnp.ones(1), Information(weight, weight[:, 0]))
    expected, beta = [], 0.0
    for t in reversed(range(length)):
        expected.append(beta)
        said = beta + float(weight[t, 0, 0])
        beta = said / (1.0 + said)
    np.testing.assert_allclose(found.precision[:, 0, 0], expected[::-1], rtol=1e-9)
    np.testing.assert_allclose(found.vector[:, 0], expected[::-1], rtol=1e-9)  # all potentials are at one


@pytest.mark.parametrize("kind", [Product, TransitionNoise])
def test_proposals_keep_the_dependence_of_the_prior(kind):
    prior, mean, cov = joint(2, 0)
    proposal = kind(NormalNetwork(MLP([3, 4], "tanh", key=0), 2, key=1), path=False, previous=False)
    message = jnp.array([0.3, -1.0, 2.0])
    net = proposal.network(message)
    found = proposal((message,), None, None, prior)
    factor, m, s = np.linalg.cholesky(cov), np.asarray(net.loc), np.asarray(net.scale)
    if kind is TransitionNoise:
        centre, spread = mean + factor @ m, factor @ np.diag(s**2) @ factor.T
    else:
        spread = np.linalg.inv(np.linalg.inv(cov) + np.diag(s**-2))
        centre = spread @ (np.linalg.solve(cov, mean) + m / s**2)
    np.testing.assert_allclose(found.loc, centre, rtol=1e-10)
    np.testing.assert_allclose(found.covariance_matrix, spread, rtol=1e-10)
