"""Infinite moving averages and autoregressions: their weights, their tails, their likelihood."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convert.joint_law import joint_of_form, normal_log_density, random_stable
from convert.test_innovations import random_form
from statsmodels.tsa.arima_process import arma2ar, arma2ma

import statespace as ss
from statespace.convert.forms import ARMA, VARMA, ARInfinity, Autocovariances, InnovationsSSM, MAInfinity
from statespace.convert.numerics.truncation import size_beyond


def test_weights_are_those_of_statsmodels():
    ar, ma = [0.6, -0.2], [0.5, 0.3]
    model = ARMA(ar, ma, 1.3)
    polynomials = np.r_[1, -np.array(ar)], np.r_[1, ma]
    psi = ss.convert(model, MAInfinity, lags=29).value.psi[:, 0, 0]
    pi = ss.convert(model, ARInfinity, lags=29).value.pi[:, 0, 0]
    np.testing.assert_allclose(psi, arma2ma(*polynomials, 30), atol=1e-15)
    np.testing.assert_allclose(pi, -arma2ar(*polynomials, 30)[1:], atol=1e-15)


def test_tails_are_exact():
    """The bound is the root of the sum of squares of all lags that are cut off: never less, and nothing more."""
    rng = np.random.default_rng(0)
    for seed, lags in itertools.product(range(25), (1, 4)):
        A, K, C = random_stable(rng, 3, 0.9), rng.normal(size=(3, 2)), rng.normal(size=(2, 3))
        bound = size_beyond(jnp.asarray(A), jnp.asarray(K), jnp.asarray(C), lags)
        traced = jax.jit(size_beyond, static_argnums=3)(A, K, C, lags)
        power, total = np.linalg.matrix_power(A, lags), 0.0
        for _ in range(400):
            total += np.sum((C @ power @ K) ** 2)
            power = power @ A
        for found in (bound, traced):
            assert abs(float(found) - total**0.5) <= 1e-12 * float(found), seed


@pytest.mark.parametrize("case", [("current", "before", 0), ("previous", "at", 0), ("previous", "at", 1, False)])
def test_predictions_are_those_of_a_filter_in_its_steady_state(case):
    """Inputs, the first mean and the series: against the recursion of the predictor stamp by stamp."""
    form = ss.convert(random_form(*case), InnovationsSSM).value
    rng = np.random.default_rng(2)
    y, u = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    A, B, C, D, K = (np.asarray(x) for x in (form.A, form.B, form.C, form.D, form.K))
    if form.lead:
        u[0] = 0  # the first state is given, whatever its input
    x, expected = np.asarray(form.mean), []
    for t in range(12):
        expected.append(C @ x + D @ u[t])
        x = A @ x + K @ (y[t] - expected[-1]) + B @ u[min(t + form.lead, 11)]
    found = ss.convert(form, ARInfinity, lags=11)
    predicted = found.value.predict(jnp.asarray(y), jnp.asarray(u))
    np.testing.assert_allclose(predicted, expected, atol=1e-11)
    # a short window is off by no more than the bound times the past
    short = ss.convert(form, ARInfinity, lags=3)
    cut = np.asarray(predicted - short.value.predict(jnp.asarray(y), jnp.asarray(u)))[4:]
    past = np.linalg.norm(np.concatenate([y, u], axis=1))
    start = np.abs(np.asarray(form.C) @ np.linalg.matrix_power(np.asarray(form.closed_loop), 4)).sum()
    assert np.linalg.norm(cut, axis=1).max() <= float(short.error_bound) * past + start * np.abs(form.mean).max()
    # the impulse response of the inputs, by pushing one
    kernel = ss.convert(form, MAInfinity, lags=5).value.inputs
    pushed = np.zeros((7, 1))
    pushed[1] = 1
    back = ss.convert(form, ss.DiscreteSSM).value
    response = joint_of_form(back, pushed, 7)[0] - joint_of_form(back, 0 * pushed, 7)[0]
    np.testing.assert_allclose(kernel[..., 0], response.reshape(7, 2)[1:], atol=1e-12)


def test_likelihoods_of_an_autoregression_agree():
    """Started as steady, the window over the whole past is the model whose first state is its prediction."""
    rng = np.random.default_rng(3)
    K, A = rng.normal(size=(2, 2)) * 0.3, random_stable(rng, 2, 0.7)
    form = InnovationsSSM(A, None, np.eye(2), K=K, V=[[1.0, 0.3], [0.3, 0.5]], mean=[1.0, -1.0])
    y = rng.normal(size=(8, 2))
    mean, cov = joint_of_form(ss.convert(form, ss.DiscreteSSM, noise="innovation").value, None, 8)
    found = ss.convert(form, ARInfinity, lags=7).value.log_likelihood(jnp.asarray(y))
    assert abs(float(found) - normal_log_density(y, mean, cov)) < 1e-11


def test_kernels_of_finite_order_are_models():
    kernel = ss.convert(ARMA([], [0.4, 0.2], 2.0), MAInfinity, lags=2)
    assert kernel.error_bound == 0
    back = ss.convert(ss.convert(kernel.value, VARMA).value, ARMA).value
    np.testing.assert_allclose(back.ma, [0.4, 0.2])
    acf = ss.convert(kernel.value, Autocovariances).value.values[:, 0, 0]
    np.testing.assert_allclose(acf, 4 * np.array([1 + 0.16 + 0.04, 0.4 + 0.08, 0.2]))
    window = ss.convert(ARMA([0.5, 0.1]), ARInfinity, lags=2).value
    np.testing.assert_allclose(ss.convert(ss.convert(window, VARMA).value, ARMA).value.ar, [0.5, 0.1], atol=1e-15)
    with pytest.raises(ValueError, match="whole number from 1 on"):
        ss.convert(ARMA([0.5]), ARInfinity, lags=0)
    with pytest.raises(ValueError, match="expected \\(time, 1\\)"):
        window.predict(jnp.zeros((5, 2)))
