"""A panel: several series of different lengths that share their parameters."""

import warnings

import arviz as az
import jax
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from statsmodels.tsa.statespace.structural import UnobservedComponents

import statespace as ss

MODEL = ss.LocalLevel() + ss.Noise()
LENGTHS = {"north": 60, "south": 45, "west": 30}


def series(name, seed):
    rng, n = np.random.default_rng(seed), LENGTHS[name]
    y = pd.Series(rng.normal(size=n).cumsum() + rng.normal(size=n), pd.date_range("2000", periods=n, freq="MS"))
    return y.rename(name)


@pytest.fixture(scope="module")
def panel():
    found = {name: series(name, i) for i, name in enumerate(LENGTHS)}
    found["south"].iloc[[3, 20]] = np.nan
    return found


@pytest.fixture(scope="module")
def mle(panel):
    return ss.fit(MODEL, panel, ss.MaximumLikelihood(num_starts=1), progress=False)


@pytest.fixture(scope="module")
def posterior(panel):
    method = ss.NUTS(num_warmup=150, num_samples=100, num_chains=2)
    return ss.fit(MODEL, panel, method, key=jax.random.key(0), progress=False)


def by_statsmodels(panel, level, noise):
    """The sum of log-likelihoods; statsmodels leaves out the constant of the diffuse element, as we do not."""
    total = 0.0
    for y in panel.values():
        peer = UnobservedComponents(y.to_numpy(), "llevel", use_exact_diffuse=True)
        total += peer.loglike([noise**2, level**2])
    return total


def test_maximum(panel, mle):
    """The sum of statsmodels' log-likelihoods, maximised by an optimiser that knows no gradient."""
    found = minimize(lambda x: -by_statsmodels(panel, *np.exp(x)), [0.0, 0.0], method="Nelder-Mead", tol=1e-10)
    level, noise = np.exp(found.x)
    assert mle.estimates["level.scale"] == pytest.approx(level, rel=1e-5)
    assert mle.estimates["noise.scale"] == pytest.approx(noise, rel=1e-5)
    assert mle.log_likelihood == pytest.approx(-found.fun, abs=1e-6)
    assert ss.log_likelihood(mle) == pytest.approx(mle.log_likelihood, abs=1e-9)
    k = 2 + 3  # two parameters, and a diffuse element in each series
    assert mle.aic == pytest.approx(-2 * mle.log_likelihood + 2 * k)
    assert mle.bic == pytest.approx(-2 * mle.log_likelihood + k * np.log(60 + 43 + 30))


def test_log_likelihood_of_lists_and_dictionaries(panel):
    model = ss.LocalLevel(0.8) + ss.Noise(1.1)
    expected = by_statsmodels(panel, 0.8, 1.1)
    assert ss.log_likelihood(model, panel) == pytest.approx(expected, abs=1e-8)
    assert ss.log_likelihood(model, list(panel.values())) == pytest.approx(expected, abs=1e-8)


def test_members_are_fits(panel, mle):
    assert list(mle) == list(LENGTHS)
    assert len(mle) == 3
    with pytest.raises(KeyError, match="'east' is not in the panel"):
        mle["east"]
    own = ss.smooth(mle["south"].model, panel["south"])
    np.testing.assert_allclose(ss.smooth(mle)["south"].mean, own.mean, rtol=1e-12)
    ahead = ss.forecast(mle, horizon=3)
    assert ahead["west"].index[0] == pd.Timestamp("2002-07-01")
    np.testing.assert_allclose(ahead["north"].mean, ss.forecast(mle["north"], horizon=3).mean)


def test_posterior(panel, posterior):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ss.ConvergenceWarning)  # few draws
        assert list(posterior.summary().index) == ["level.scale", "noise.scale"]
    shared = posterior["north"].draws["level.scale"]
    assert np.array_equal(shared, posterior["west"].draws["level.scale"])
    total = ss.log_likelihood(posterior)
    assert total.dims == ("chain", "draw")
    one = posterior.to_datatree()["one_step"]["y"]
    np.testing.assert_allclose(one.sum("observation"), total, rtol=1e-10)
    assert one.sizes["observation"] == 60 + 43 + 30
    lp = posterior["north"].sample_stats["lp"]
    assert np.corrcoef(lp.ravel(), total.values.ravel())[0, 1] > 0.9
    assert az.loo(posterior.to_arviz()) is not None


def test_inputs_by_member(panel):
    inputs = {name: pd.DataFrame({"x": np.arange(float(len(y)))}, y.index) for name, y in panel.items()}
    fit = ss.fit(
        ss.LocalLevel(0.5) + ss.Regression(["x"]) + ss.Noise(),
        panel, ss.MaximumLikelihood(num_starts=1), inputs=inputs, fixed={"level.scale": 0.5}, progress=False,
    )  # fmt: skip
    names = [f"regression.x[{name}]" for name in panel]
    assert list(fit.summary().index) == ["noise.scale", *names]
    with pytest.raises(ValueError, match="inputs has 'north', but the panel has 'north', 'south', 'west'"):
        ss.fit(MODEL, panel, inputs={"north": inputs["north"]})


def test_save_and_load(posterior, tmp_path):
    for name in ("fit.nc", "fit.zarr"):
        posterior.save(tmp_path / name)
        again = ss.load(tmp_path / name)
        assert list(again) == list(posterior)
        np.testing.assert_array_equal(again.draws["noise.scale"], posterior.draws["noise.scale"])
        np.testing.assert_allclose(ss.filter(again["west"]).mean, ss.filter(posterior["west"]).mean)


def test_series_that_are_not_alike(panel):
    other = pd.Series([1.0, 2.0, 4.0], pd.to_datetime(["2000-01-01", "2000-01-05", "2000-02-01"]))
    with pytest.raises(ValueError, match="some series of the panel are regular and others are not"):
        ss.fit(MODEL, [panel["north"], other], progress=False)
    with pytest.raises(ValueError, match="the panel has no series"):
        ss.fit(MODEL, {}, progress=False)
