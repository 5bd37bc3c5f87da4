"""The NumPyro bridge: sites, plates, vmap and Predictive."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, Predictive

import statespace as ss
from statespace.core.step import make_steps

PROPER = ss.InitialLaw.gaussian([0.0], [2.0])


def local_level(scale, noise=0.5):
    return ss.LocalLevel(scale, initial=PROPER) + ss.Noise(noise)


@pytest.fixture(scope="module")
def panel():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 30)).cumsum(axis=1)


def test_log_prob_is_the_log_likelihood(panel):
    law = ss.StateSpaceDistribution(local_level(0.7), make_steps(30))
    assert law.event_shape == (30,)
    assert law.log_prob(panel[0]) == pytest.approx(ss.log_likelihood(local_level(0.7), panel[0]), abs=1e-9)
    assert law.log_prob(panel).shape == (3,)
    assert law.sample(jax.random.key(0), (4,)).shape == (4, 30)


def test_unknown_parameters_are_named():
    with pytest.raises(ValueError, match="level.scale"):
        ss.StateSpaceDistribution(ss.LocalLevel() + ss.Noise(1.0), make_steps(5))


def test_plate_and_vmap_agree(panel):
    scales = jnp.array([0.3, 0.6, 0.9])
    each = [ss.log_likelihood(local_level(s), row) for s, row in zip(scales, panel, strict=True)]
    law = ss.StateSpaceDistribution(local_level(scales), make_steps(30))
    assert law.batch_shape == (3,)
    np.testing.assert_allclose(law.log_prob(panel), each, atol=1e-9)
    mapped = jax.vmap(lambda s, y: ss.StateSpaceDistribution(local_level(s), make_steps(30)).log_prob(y))(scales, panel)
    np.testing.assert_allclose(mapped, each, atol=1e-9)
    assert law.sample(jax.random.key(1), (5,)).shape == (5, 3, 30)

    def program(y):
        with numpyro.plate("series", 3):
            s = numpyro.sample("s", dist.HalfNormal(1.0))
            ss.observe("y", local_level(s), y)

    trace = handlers.trace(handlers.substitute(program, {"s": scales})).get_trace(panel)
    np.testing.assert_allclose(trace["y"]["fn"].log_prob(trace["y"]["value"]), each, atol=1e-9)


def test_missing_values_in_a_plate(panel):
    gaps = panel.copy()
    gaps[0, 3:6] = np.nan
    gaps[2, :5] = np.nan
    scales = jnp.array([0.3, 0.6, 0.9])

    def program(y):
        with numpyro.plate("series", 3):
            ss.observe("y", local_level(numpyro.deterministic("s", scales)), y)

    trace = handlers.trace(program).get_trace(gaps)
    each = [ss.log_likelihood(local_level(s), row) for s, row in zip(scales, gaps, strict=True)]
    np.testing.assert_allclose(trace["y"]["fn"].log_prob(trace["y"]["value"]), each, atol=1e-9)


def test_diffuse_program_finds_its_short_phase_while_traced():
    y = ss.datasets.nile()

    def program(y):
        s = numpyro.sample("s", dist.HalfNormal(50.0))
        ss.observe("y", ss.LocalLevel(scale=s) + ss.Noise(scale=120.0), y)

    @jax.jit
    def density(s):
        found = handlers.trace(handlers.substitute(handlers.seed(program, 0), {"s": s})).get_trace(y)
        assert found["y"]["fn"].plan.diffuse_steps == 1
        return found["y"]["fn"].log_prob(found["y"]["value"])

    expected = ss.log_likelihood(ss.LocalLevel(40.0) + ss.Noise(120.0), y)
    assert float(density(40.0)) == pytest.approx(expected, abs=1e-9)


def test_predictive_and_mcmc(panel):
    def program(y=None):
        s = numpyro.sample("s", dist.HalfNormal(1.0))
        ss.observe("y", local_level(s), y, length=None if y is not None else 30)

    prior = Predictive(program, num_samples=7)(jax.random.key(0))
    assert prior["y"].shape == (7, 30)
    for parallel in (False, True):
        again = Predictive(program, posterior_samples={"s": jnp.linspace(0.1, 1.0, 6)}, parallel=parallel)
        assert again(jax.random.key(1))["y"].shape == (6, 30)
    sampler = MCMC(NUTS(program), num_warmup=50, num_samples=50, progress_bar=False)
    sampler.run(jax.random.key(2), y=panel[0])
    assert np.isfinite(sampler.get_samples()["s"]).all()


def test_simulated_moments_match_the_dense_covariance():
    law = ss.StateSpaceDistribution(local_level(0.5), make_steps(4))
    draws = np.asarray(law.sample(jax.random.key(3), (20_000,)))
    expected = 4.0 + 0.25 * np.minimum.outer(np.arange(4), np.arange(4)) + 0.25 * np.eye(4)
    found = np.cov(draws.T)
    # the standard error of a covariance is about sqrt((s_ii s_jj + s_ij^2) / n)
    error = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / 20_000)
    assert np.abs((found - expected) / error).max() < 4


def test_sampling_from_a_diffuse_law_names_the_cure():
    law = ss.StateSpaceDistribution(ss.LocalLevel(1.0) + ss.Noise(1.0), make_steps(4))
    with pytest.raises(ValueError, match="proper initial law"):
        law.sample(jax.random.key(0))
