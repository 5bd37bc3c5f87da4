"""Covariance functions and the processes behind them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convert.joint_law import joint_of_form, random_cov
from scipy.linalg import expm, solve_continuous_lyapunov
from sklearn.gaussian_process.kernels import Matern as SklearnMatern

import statespace as ss
from statespace.convert.forms import CovarianceFunction, Matern, OrnsteinUhlenbeck

TIMES = np.linspace(-2.0, 5.0, 8)


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5, 3.5, 6.5])
def test_matern_is_scikit_learns_and_comes_back(nu):
    kernel = Matern(nu, 1.7, 2.0, series_names=["f"])
    expected = 4 * SklearnMatern(1.7, nu=nu)(np.zeros((1, 1)), TIMES[:, None])[0]
    np.testing.assert_allclose(kernel(TIMES), expected, atol=1e-14)
    found = ss.convert(kernel, ss.ContinuousSSM)
    assert found.exact
    A, P, Q = (np.asarray(x) for x in (found.value.A, found.value.cov, found.value.Q))
    np.testing.assert_allclose(A @ P + P @ A.T, -Q, atol=1e-12)
    function = ss.convert(found.value, CovarianceFunction)
    assert function.exact
    np.testing.assert_allclose(function.value(TIMES)[:, 0, 0], expected, atol=1e-12)
    back = ss.convert(found.value, Matern)
    assert back.exact
    got = [back.value.nu, back.value.length_scale, back.value.scale]
    np.testing.assert_allclose(got, [nu, 1.7, 2.0], rtol=1e-12)


def test_the_sampled_process_has_the_kernel_as_covariance():
    """Continuous to discrete: the joint law at the stamps is the dense Gaussian process."""
    dt, length = 0.4, 6
    continuous = ss.convert(Matern(1.5, 1.1, 0.8), ss.ContinuousSSM).value
    discrete = ss.convert(continuous, ss.DiscreteSSM, dt=dt, rule="zoh").value
    times = dt * np.arange(length)
    expected = 0.64 * SklearnMatern(1.1, nu=1.5)(times[:, None])
    np.testing.assert_allclose(joint_of_form(discrete, None, length)[1], expected, atol=1e-12)


def test_ornstein_uhlenbeck_is_matern_of_one_half():
    kernel = OrnsteinUhlenbeck(0.5, 3.0)
    np.testing.assert_allclose(kernel(TIMES), 9 * np.exp(-0.5 * np.abs(TIMES)), rtol=1e-14)
    ssm = ss.convert(kernel, ss.ContinuousSSM).value
    np.testing.assert_allclose([ssm.A[0, 0], ssm.Q[0, 0], ssm.cov[0, 0]], [-0.5, 9.0, 9.0], rtol=1e-14)
    back = ss.convert(ssm, OrnsteinUhlenbeck).value
    np.testing.assert_allclose([back.rate, back.scale], [0.5, 3.0], rtol=1e-14)
    with pytest.raises(ValueError, match="nu = 1.5"):
        ss.convert(Matern(1.5), OrnsteinUhlenbeck)


def test_any_stationary_process():
    rng = np.random.default_rng(0)
    A = np.array([[-0.3, 2.0, 0.1], [-2.0, -0.3, 0.0], [0.0, 0.4, -30.0]])  # slow, oscillating and fast
    Q, C = random_cov(rng, 3, 2), rng.normal(size=(2, 3))
    P = solve_continuous_lyapunov(A, -Q)
    ssm = ss.ContinuousSSM(A, None, C, Q=Q, R=np.eye(2), cov=P, series_names=["a", "b"])
    found = ss.convert(ssm, CovarianceFunction)
    assert found.exact
    assert found.value.series_names == ("a", "b")
    expected = [C @ expm(A * t) @ P @ C.T if t >= 0 else (C @ expm(-A * t) @ P @ C.T).T for t in TIMES]
    np.testing.assert_allclose(found.value(TIMES), expected, atol=1e-12)
    back = ss.convert(found.value, ss.ContinuousSSM).value
    np.testing.assert_allclose(back.Q, Q, atol=1e-12)
    known = ss.convert(ss.ContinuousSSM(A, None, C, Q=Q), CovarianceFunction)
    assert (known.exact, "first state" in known.notes[0]) == (False, True)


def test_what_is_no_matern_is_refused():
    oscillator = ss.ContinuousSSM([[0.0, 1.0], [-1.0, -0.5]], None, [[1.0, 0.0]], Q=np.diag([0.0, 1.0]))
    with pytest.raises(ValueError, match="not Matern's with nu = 1.5"):
        ss.convert(oscillator, Matern)
    with pytest.raises(ValueError, match="no stationary law"):
        ss.convert(ss.ContinuousSSM([[0.0]], None, [[1.0]], Q=[[1.0]]), CovarianceFunction)
    with pytest.raises(ValueError, match="no process has the covariance function"):
        ss.convert(CovarianceFunction([[0.0, 5.0], [0.0, -1.0]], np.eye(2), [[1.0, 0.0]]), ss.ContinuousSSM)
    with pytest.raises(ValueError, match="no finite state"):
        Matern(1.0)
    noisy = ss.convert(ss.convert(Matern(0.5), ss.ContinuousSSM).value.replaced(R=np.eye(1)), Matern)
    assert "measurement noise" in noisy.notes[-1]


def test_hyperparameters_have_gradients():
    def total(log_length):
        ssm = ss.convert(Matern(2.5, jnp.exp(log_length), 1.3), ss.ContinuousSSM).value
        return jnp.sum(ssm.A**2) + jnp.sum(ssm.Q) + jnp.sum(ssm.cov)

    x, step = jnp.array(0.3), 1e-6
    slope = (total(x + step) - total(x - step)) / (2 * step)
    assert abs(jax.grad(total)(x) - slope) < 1e-6 * abs(slope)
