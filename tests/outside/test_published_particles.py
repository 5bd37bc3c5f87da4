"""Likelihoods in print, by particle filters of 2e4 particles: the anchor on sequential Monte Carlo, section 3.

An estimate is the logarithm of the mean of ten runs. What is in print was itself estimated, or rounded, to .1.
"""

import numpy as np
import pytest
from scipy.special import logsumexp

import statespace as ss
from statespace.datasets import gbp_usd

FILTER = ss.BootstrapFilter(20000)


def estimate(model, y, method=FILTER, runs=10):
    """The log of the mean of the likelihood estimates, and its standard error."""
    found = np.array([ss.log_likelihood(model, y, method, key=k) for k in range(runs)])
    mean = logsumexp(found) - np.log(runs)
    return mean, np.exp(found - mean).std(ddof=1) / np.sqrt(runs)


@pytest.fixture
def gompertz(shared_data):
    return np.loadtxt(shared_data / "gompertz_jss.csv")


@pytest.fixture
def ricker(shared_data):
    return np.loadtxt(shared_data / "ricker_jss.csv")


def test_gompertz_exactly(gompertz):
    """King, Nguyen and Ionides (2016), table 3: 36.01 at the truth."""
    model = ss.Gompertz(0.1, 1.0, 0.1, 0.1, 1.0)
    assert ss.log_likelihood(model, gompertz, ss.ExtendedKalman()) == pytest.approx(36.0085, abs=1e-3)


def test_gompertz_at_its_maximum(gompertz):
    """37.88 at r .0322, sigma .0694, tau .1168, with K and X_0 known."""
    method = ss.MaximumLikelihood(filter=ss.ExtendedKalman())
    known = {"capacity": 1.0, "start": 1.0}
    fitted = ss.fit(ss.Gompertz(0.1, 1.0, 0.1, 0.1, 1.0), gompertz, method, fixed=known, progress=False)
    assert fitted.log_likelihood == pytest.approx(37.878, abs=1e-3)
    found = [float(fitted.estimates[name]) for name in ("growth_rate", "scale", "observation_scale")]
    np.testing.assert_allclose(found, [0.03217, 0.06943, 0.11685], rtol=2e-3)


@pytest.mark.slow
def test_gompertz_by_particles(gompertz):
    mean, error = estimate(ss.Gompertz(0.1, 1.0, 0.1, 0.1, 1.0), gompertz)
    assert mean == pytest.approx(36.0085, abs=3.5 * error)
    assert error < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "published"),
    [((44.7, 0.3, 10.0), -139.05), ((40.0, 0.5, 12.0), -156.65), ((45.2, 0.227, 10.1), -137.48)],
)
def test_ricker(values, published, ricker):
    """King, Nguyen and Ionides (2016), table 4: the truth, a guess, the maximum."""
    mean, error = estimate(ss.Ricker(*values, 7.0), ricker)
    assert mean == pytest.approx(published, abs=0.1)
    assert error < 0.05


@pytest.mark.slow
def test_volatility_of_the_pound():
    """-492.44 with a standard deviation of .02 at 2e5 particles."""
    mean, error = estimate(ss.StochasticVolatility(-1.02, 0.9702, 0.178), gbp_usd())
    assert mean == pytest.approx(-492.45, abs=0.1)
    assert error < 0.05
