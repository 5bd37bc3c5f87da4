"""Spectral densities and autocovariances: of Q, R and S together, and back by factorisation."""

import numpy as np
import pytest
import scipy.signal
from convert.joint_law import joint_of_form, random_cov, random_stable
from scipy.linalg import solve_discrete_lyapunov

import statespace as ss
from statespace.convert.forms import ARMA, VARMA, Autocovariances, InnovationsSSM, SpectralDensity

LENGTH = 6


def stationary(timing, seed=0):
    """A form with correlated noises, started from its stationary law."""
    rng = np.random.default_rng(seed)
    n, p = 3, 2
    A, noise, C = random_stable(rng, n), random_cov(rng, n + p), rng.normal(size=(p, n))
    cov = solve_discrete_lyapunov(A, noise[:n, :n])
    return ss.DiscreteSSM(A, None, C, None, noise[:n, :n], noise[n:, n:], noise[:n, n:], cov=cov, timing=timing)


@pytest.fixture(scope="module")
def spectrum():
    return ss.convert(stationary("previous"), SpectralDensity).value


@pytest.mark.parametrize("timing", ["current", "previous"])
def test_the_density_is_that_of_the_joint_law(timing):
    ssm = stationary(timing)
    found = ss.convert(ssm, SpectralDensity)
    assert found.exact
    cov = joint_of_form(ssm, None, LENGTH)[1]
    acf = np.asarray(found.value.autocovariances(LENGTH - 1))
    np.testing.assert_allclose(acf.reshape(-1, 2), cov[:, :2], atol=1e-12 * cov.max())
    # the density is the transform of the autocovariances, and their variance its mean over the circle
    lags = np.asarray(found.value.autocovariances(400))
    for w in (0.0, 0.7, 2.5):
        terms = lags[1:] * np.exp(-1j * w * np.arange(1, 401))[:, None, None]
        total = lags[0] + terms.sum(0) + terms.sum(0).conj().T
        np.testing.assert_allclose(found.value(w), total, atol=1e-9 * cov.max())
    samples = found.value(2 * np.pi * np.arange(512) / 512)
    back = Autocovariances.of_samples(samples).values
    np.testing.assert_allclose(back[:LENGTH], acf, atol=1e-11 * cov.max())


def test_an_arma_density_is_scipys():
    model = ARMA([0.6, -0.2], [0.5], 1.3, 5.0)
    found = ss.convert(model, SpectralDensity)
    assert not found.exact
    assert "mean" in found.notes[-1]
    w, response = scipy.signal.freqz([1, 0.5], [1, -0.6, 0.2], worN=20)
    np.testing.assert_allclose(found.value(w)[:, 0, 0], 1.69 * np.abs(response) ** 2, rtol=1e-12)


def test_the_factor_has_the_density_and_is_minimum_phase(spectrum):
    found = ss.convert(spectrum, InnovationsSSM)
    assert found.exact
    assert found.value.radius < 1
    w = np.linspace(0, np.pi, 20)
    np.testing.assert_allclose(ss.convert(found.value, SpectralDensity).value(w), spectrum(w), atol=1e-11)
    cov = joint_of_form(stationary("previous"), None, LENGTH)[1]
    for noise in ("original", "innovation"):
        back = ss.convert(found.value, ss.DiscreteSSM, noise=noise).value
        np.testing.assert_allclose(joint_of_form(back, None, LENGTH)[1], cov, atol=1e-11 * cov.max())


def test_the_margin_finds_a_narrow_violation():
    """A line next to a pole that is far from every point of a coarse grid."""
    pole = 0.9999 * np.exp(1.2345j)
    A = np.array([[pole.real, pole.imag], [-pole.imag, pole.real]])
    form = SpectralDensity(A, -2e-4 * np.eye(2)[:, :1], np.eye(2)[:1], [[1.0]])
    margin, frequency = form.margin
    direct = np.linspace(1.2335, 1.2355, 20001)
    values = np.asarray(form(direct))[:, 0, 0].real
    assert abs(margin - values.min()) < 1e-6
    assert abs(frequency - direct[values.argmin()]) < 1e-6
    with pytest.raises(ValueError, match="not positive real, with the eigenvalue -0.33"):
        ss.convert(form, InnovationsSSM)


def test_moving_averages_and_their_limits():
    for theta in (0.5, -0.8):
        found = ss.convert(Autocovariances([1 + theta**2, theta]), ARMA, beyond="zero").value
        np.testing.assert_allclose([*found.ma, found.sigma], [theta, 1.0], atol=1e-12)
        assert len(found.ar) == 0
    with pytest.raises(ValueError, match="not positive real, with the eigenvalue -0.2 of"):
        ss.convert(Autocovariances([1.0, 0.6]), InnovationsSSM)
    unit = ss.convert(Autocovariances([2.0, 1.0]), InnovationsSSM)  # a zero on the circle: half of the digits
    assert "root on the circle" in unit.notes[0]
    np.testing.assert_allclose([unit.value.V[0, 0], unit.value.K[0, 0]], [1.0, 1.0], atol=1e-6)


def test_an_autoregression_has_the_given_lags(spectrum):
    given = ss.convert(spectrum, Autocovariances, lags=LENGTH - 1)
    later = np.asarray(spectrum.autocovariances(400))[LENGTH:]
    assert abs(float(given.error_bound) - np.sqrt(np.sum(later**2))) < 1e-10
    model = ss.convert(given.value, VARMA)
    assert model.exact
    cov = joint_of_form(ss.convert(model.value, ss.DiscreteSSM).value, None, LENGTH)[1]
    np.testing.assert_allclose(cov[:, :2].reshape(LENGTH, 2, 2), given.value.values, atol=1e-10 * cov.max())
    with pytest.raises(ValueError, match="Toeplitz matrix has the eigenvalue -0"):
        ss.convert(Autocovariances([1.0, 0.9, 0.2]), VARMA)


def test_a_realisation_finds_the_order(spectrum):
    given = Autocovariances(spectrum.autocovariances(15))
    found = ss.convert(given, SpectralDensity, beyond="realisation", order=3)
    assert found.error_bound < 1e-10
    w = np.linspace(0, np.pi, 20)
    np.testing.assert_allclose(found.value(w), spectrum(w), atol=1e-9)
    less = ss.convert(given, SpectralDensity, beyond="realisation", order=2)
    gap = np.asarray(less.value.autocovariances(15)) - np.asarray(given.values)
    assert abs(less.error_bound - np.linalg.norm(gap)) < 1e-12
    with pytest.raises(ValueError, match="leave it out"):
        ss.convert(given, SpectralDensity, beyond="zero", order=2)
    with pytest.raises(ValueError, match="order is from 1"):
        ss.convert(given, SpectralDensity, beyond="realisation", order=40)


def test_a_model_that_is_not_stationary_has_no_density():
    with pytest.raises(ValueError, match="no stationary law"):
        ss.convert(ss.LocalLevel(1.0) + ss.Noise(1.0), SpectralDensity)
    known = ss.convert(stationary("previous").replaced(cov=np.zeros((3, 3))), SpectralDensity)
    assert not known.exact
