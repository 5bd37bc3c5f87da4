"""Likelihoods of one ARMA model in all its forms, and in statsmodels: one number."""

import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from convert.joint_law import joint_of_form, normal_log_density
from statsmodels.tsa.arima_process import arma_acovf
from statsmodels.tsa.innovations.arma_innovations import arma_loglike

import statespace as ss
from statespace.convert.forms import (
    ARMA,
    VARMA,
    ARInfinity,
    Autocovariances,
    InnovationsSSM,
    SpectralDensity,
    ZerosPoles,
)

AR, MA, SIGMA, MEAN = [1.4, -0.7], [-0.15, 0.2], 15.0, 48.0


@pytest.fixture(scope="module")
def sunspots():
    return sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()


@pytest.fixture(scope="module")
def model():
    return ARMA(AR, MA, SIGMA, MEAN)


@pytest.fixture(scope="module")
def published(sunspots):
    return arma_loglike(sunspots - MEAN, ar_params=AR, ma_params=MA, sigma2=SIGMA**2)


def exact(form, y, **how):
    return ss.log_likelihood(ss.convert(form, ss.LinearGaussian, **how).value, y)


def dense(form, y):
    """The same by one normal of all stamps."""
    ssm = ss.convert(form, ss.DiscreteSSM).value
    return normal_log_density(y, *joint_of_form(ssm, np.ones((len(y), ssm.B.shape[1])), len(y)))


@pytest.mark.parametrize("representation", ["harvey", "innovations"])
def test_the_exact_likelihood_is_statsmodels(model, sunspots, published, representation):
    assert abs(exact(model, sunspots, representation=representation) - published) < 1e-8


def test_sarimax_too(sunspots, published):
    peer = sm.tsa.SARIMAX(sunspots - MEAN, order=(2, 0, 2))
    assert abs(peer.loglike([*AR, *MA, SIGMA**2]) - published) < 1e-6


def test_vector_innovations_roots_and_spectra_are_the_same_model(model, sunspots):
    """Through each form and back to a state space, of which all stamps are one normal."""
    y, centred = sunspots[:100], ARMA(AR, MA, SIGMA)
    published = arma_loglike(y - MEAN, ar_params=AR, ma_params=MA, sigma2=SIGMA**2)
    through = [ss.convert(model, form).value for form in (VARMA, InnovationsSSM)]
    for form in through:
        assert abs(dense(form, y) - published) < 1e-8
    for target in (ZerosPoles, SpectralDensity):
        form = ss.convert(centred, target).value
        assert abs(dense(form, y - MEAN) - published) < 1e-8
    echelon = ss.convert(ss.convert(model, ss.DiscreteSSM).value, VARMA).value
    assert abs(dense(echelon, y) - published) < 1e-8


def test_the_infinite_autoregression_differs_by_its_start_only(model, sunspots, published):
    """Taken as steady from the first stamp on, it is the model whose first state is known to be its mean."""
    form = ss.convert(model, InnovationsSSM).value
    y, ones = jnp.asarray(sunspots)[:, None], jnp.ones((len(sunspots), 1))
    window = ss.convert(form, ARInfinity, lags=len(sunspots) - 1)
    assert window.error_bound < 1e-12
    found = float(window.value.log_likelihood(y, ones))
    companion = ss.convert(model, ss.DiscreteSSM, representation="innovations").value
    known = dense(companion.replaced(cov=jnp.zeros((2, 2))), sunspots)
    assert abs(found - known) < 1e-8
    assert 0 < abs(found - published) < 5  # the stationary start against a known one
    # a short window predicts as its bound tells
    short = ss.convert(form, ARInfinity, lags=20)
    gap = jnp.abs(short.value.predict(y, ones) - window.value.predict(y, ones)).max()
    past = jnp.linalg.norm(jnp.concatenate([y, ones], axis=1))
    assert 0 < gap <= short.error_bound * past


def test_autocovariances_of_data_as_a_model(sunspots):
    """Yule and Walker's equations, of sample autocovariances, as statsmodels solves them."""
    acf = sm.tsa.acovf(sunspots, nlag=4, fft=False)
    rho, sigma = sm.regression.yule_walker(sunspots, order=4, method="mle", df=0, result_object=False)
    found = ss.convert(Autocovariances(acf), ARMA).value
    np.testing.assert_allclose(found.ar, rho, rtol=1e-10)
    np.testing.assert_allclose(found.sigma, sigma, rtol=1e-10)
    back = arma_acovf(np.r_[1, -np.asarray(found.ar)], [1], 5, sigma2=float(found.sigma) ** 2)
    np.testing.assert_allclose(back, acf, rtol=1e-9)
