"""ARMA and vector ARMA models: the same second-order law in every form, whatever the way."""

import ast

import numpy as np
import pytest
from convert.joint_law import joint_of_form, random_cov, random_stable
from scipy.linalg import solve_discrete_lyapunov
from statsmodels.tsa.arima_process import arma_acovf

import statespace as ss
from statespace.convert.forms import ARMA, VARMA, InnovationsSSM

LENGTH = 6
MODELS = [
    ARMA([0.6, -0.2], [0.5, 0.1], 1.3, 2.0),
    ARMA([1.3, -0.9, 0.2], [], 0.7),
    ARMA([], [0.4, -0.3, 0.2], 2.0),
    ARMA([0.5], [0.9, 0.2, -0.3], 1.0),
]


def autocovariances(model):
    return arma_acovf(np.r_[1, -np.asarray(model.ar)], np.r_[1, model.ma], LENGTH, sigma2=float(model.sigma) ** 2)


@pytest.mark.parametrize("model", MODELS, ids=["arma22", "ar3", "ma3", "arma13"])
@pytest.mark.parametrize("representation", ["harvey", "innovations"])
def test_companions_have_statsmodels_autocovariances_and_come_back(model, representation):
    found = ss.convert(model, ss.DiscreteSSM, representation=representation)
    assert found.exact
    constant = np.ones((LENGTH, len(found.value.input_names)))
    mean, cov = joint_of_form(found.value, constant, LENGTH)
    expected = autocovariances(model)
    lags = np.abs(np.subtract.outer(np.arange(LENGTH), np.arange(LENGTH)))
    np.testing.assert_allclose(cov, expected[lags], atol=1e-13 * expected[0])
    np.testing.assert_allclose(mean, float(model.mean), atol=1e-14)
    back = ss.convert(found.value, ARMA)
    assert back.exact
    np.testing.assert_allclose(back.value.ar, model.ar, atol=1e-12)
    np.testing.assert_allclose(back.value.ma, model.ma, atol=1e-12)
    np.testing.assert_allclose([back.value.sigma, back.value.mean], [model.sigma, model.mean], atol=1e-12)


def test_zeros_come_back_inside_the_circle():
    """A zero at -2 and one at -1/2 with twice the noise are one process."""
    found = ss.convert(ARMA([0.6], [2.0], 1.0), InnovationsSSM)
    assert "not invertible" in found.notes[0]
    back = ss.convert(found.value, ARMA).value
    np.testing.assert_allclose([*back.ar, *back.ma, back.sigma], [0.6, 0.5, 2.0], atol=1e-12)


def test_factors_that_cancel_are_told():
    assert "more coefficients than it needs" in ss.convert(ARMA([0.5], [-0.5]), VARMA).notes[0]
    for model in (ARMA([0.5], [-0.5]), ARMA([0.5, 0.24], [-0.8])):  # one pole is 0.8
        back = ss.convert(ss.convert(model, ss.DiscreteSSM).value, ARMA)
        assert "cancel" in " ".join(back.notes)
        assert len(back.value.ar) == len(model.ar) - 1
        assert len(back.value.ma) == 0
    assert abs(float(back.value.ar[0]) + 0.3) < 1e-12


def test_what_is_not_stationary_is_told():
    with pytest.raises(ValueError, match="no stationary law"):
        ss.convert(ARMA([1.0], [0.3]), ss.DiscreteSSM)
    found = ss.convert(ss.LocalLevel(1.0) + ss.Noise(1.0), ARMA)
    assert not found.exact
    assert found.norm == "kernel_l2"
    golden = (5**0.5 - 1) / 2  # the steady gain of q = 1
    np.testing.assert_allclose([found.value.ar[0], found.value.ma[0]], [1.0, golden - 1], atol=1e-12)
    known = ss.convert(ss.convert(ARMA([0.5]), ss.DiscreteSSM).value.replaced(cov=np.zeros((1, 1))), ARMA)
    assert not known.exact
    assert "another covariance" in " ".join(known.notes)


def test_an_arma_model_is_a_vector_model_with_one_series():
    model = MODELS[0]
    there = ss.convert(model, VARMA).value
    back = ss.convert(there, ARMA).value
    np.testing.assert_allclose(back.ma, model.ma)
    with pytest.raises(ValueError, match="one series, got 2"):
        ss.convert(VARMA(cov=np.eye(2)), ARMA)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_vector_model_in_echelon_form(seed):
    """Kronecker indices add up to the order, the form is unique, and its law is that of the state space."""
    rng = np.random.default_rng(seed)
    n, k = 4, 3
    A, C, noise = random_stable(rng, n, 0.8), rng.normal(size=(k, n)), random_cov(rng, n + k)
    if seed:  # a series that sees one mode only has a smaller index
        A[0, 1:], C[0] = 0, [1.0, 0, 0, 0]
    A = A * 0.8 / np.abs(np.linalg.eigvals(A)).max()
    cov = solve_discrete_lyapunov(A, noise[:n, :n])
    arrays = (A, None, C, None, noise[:n, :n], noise[n:, n:], noise[:n, n:])
    ssm = ss.DiscreteSSM(*arrays, cov=cov, timing="previous", series_names=["a", "b", "c"])
    found = ss.convert(ssm, VARMA)
    assert found.exact
    assert found.value.series_names == ("a", "b", "c")
    note = next(note for note in found.notes if "Kronecker" in note)
    indices = ast.literal_eval(note.split("indices ")[1])
    assert sum(indices) == n
    forward = ss.convert(found.value, ss.DiscreteSSM).value
    np.testing.assert_allclose(joint_of_form(forward)[1], joint_of_form(ssm)[1], atol=1e-10)
    again = ss.convert(forward, VARMA).value
    for one, other in zip(
        (again.leading, again.ar, again.ma), (found.value.leading, found.value.ar, found.value.ma), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_bad_coefficients_are_refused():
    with pytest.raises(ValueError, match="vectors"):
        ARMA([[0.5]])
    with pytest.raises(ValueError, match="expected \\(lags, 2, 2\\)"):
        VARMA([[0.5]], cov=np.eye(2))
    with pytest.raises(ValueError, match='"harvey" or "innovations"'):
        ss.convert(ARMA([0.5]), ss.DiscreteSSM, representation="akaike")
