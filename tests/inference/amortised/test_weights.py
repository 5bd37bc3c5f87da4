"""Laws of weights that are learned: where the posterior is known they reach it, and a fit carries their draws."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pandas as pd
import pytest

import statespace as ss
from statespace.models.deep import MLP, DeepStateSpace, Guide, LinearTransition, Prior

SCALE, WIDE = np.array([0.5, 1.5]), 0.8
LENGTHS = (7, 12, 9)


def model():
    """Latent states that nobody sees, so that the likelihood is that of independent normal readings."""
    head = ss.GaussianHead(np.zeros((2, 1)), None, SCALE, level=[0.0, 0.0], unit=[1.0, 1.0])
    return DeepStateSpace(LinearTransition(1, key=0), MLP([1]), head)


@pytest.fixture(scope="module")
def panel():
    random = np.random.default_rng(0)
    return [pd.DataFrame([0.7, -0.4] + SCALE * random.normal(size=(n, 2)), columns=["a", "b"]) for n in LENGTHS]


@pytest.fixture(scope="module")
def fit(panel):
    rate = optax.cosine_decay_schedule(0.03, 1500, 0.02)
    way = ss.SVI(
        Guide(None, Prior()), weights="normal", num_samples=500, num_steps=1500, batch_size=3, num_buckets=1,
        learning_rate=rate, clip=1e3,
    )  # fmt: skip
    held = {path: v for path, v in _values().items() if path != "head.bias"}
    priors = {"head.bias": dist.Normal(jnp.zeros(2), WIDE)}
    return ss.fit(model(), panel, way, priors=priors, fixed=held, key=0, progress=False)


def _values():
    from statespace.core.parameters import parameters

    return {path: p.value for path, p in parameters(model()).items()}


def test_a_conjugate_posterior_is_found(fit, panel):
    """The mean of normal readings: posterior mean and standard deviation, in closed form."""
    readings = np.concatenate([y.to_numpy() for y in panel])
    precision = len(readings) / SCALE**2 + 1 / WIDE**2
    mean, sd = readings.sum(axis=0) / SCALE**2 / precision, precision**-0.5
    draws = fit["0"].draws["head.bias"]
    assert draws.shape == (1, 500, 2)
    assert np.all(np.abs(fit["0"].estimates["head.bias"] - mean) < 0.2 * sd)
    assert np.all(np.abs(draws[0].mean(axis=0) - mean) < 0.35 * sd)
    np.testing.assert_allclose(draws[0].std(axis=0), sd, rtol=0.15)


def test_the_verbs_go_over_the_draws(fit, tmp_path):
    one = fit["1"]
    assert set(one.draws) == {"head.bias"}
    ahead = ss.forecast(one, horizon=2, num_samples=400, key=0)
    wide = np.sqrt(SCALE**2 + one.draws["head.bias"][0].var(axis=0))
    np.testing.assert_allclose(ahead.sd[0], wide, rtol=0.2)
    assert one.to_arviz()["posterior"]["head.bias"].shape == (1, 500, 2)
    fit.save(tmp_path / "fit.nc")
    again = ss.load(tmp_path / "fit.nc")
    np.testing.assert_array_equal(again["1"].draws["head.bias"], one.draws["head.bias"])


def test_laws_need_priors(panel):
    with pytest.raises(ValueError, match="weights='normal' .* priors="):
        ss.fit(model(), panel, ss.SVI(Guide(None, Prior()), weights="normal", num_steps=1), key=0, progress=False)
    with pytest.raises(ValueError, match="weights='law' is unknown"):
        ss.SVI(Guide(None, Prior()), weights="law")
