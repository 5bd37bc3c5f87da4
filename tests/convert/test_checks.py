"""Numbers that make no form are refused where they are given."""

import numpy as np
import pytest

import statespace as ss

ONE = [[1.0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ss.DiscreteSSM([[0.5]], Q=[[-1.0]]), "Q is a covariance, but has the eigenvalue -1"),
        (lambda: ss.DiscreteSSM(np.eye(2), Q=[[1.0, 0.5], [0.0, 1.0]]), "Q is a covariance, but not symmetric"),
        (lambda: ss.DiscreteSSM([[0.5]], Q=ONE, R=ONE, S=[[5.0]]), "S is no covariance between noises"),
        (lambda: ss.DiscreteSSM([[0.5]], S=[[1.0]]), "S is no covariance between noises"),
        (lambda: ss.DiscreteSSM([[0.5]], dt=-1.0), "dt is -1.0, expected a number above 0"),
        (lambda: ss.DiscreteSSM([[np.nan]]), "A is not finite"),
        (lambda: ss.ContinuousSSM([[-1.0]], Q=[[np.nan]]), "Q is not finite"),
        (lambda: ss.ContinuousSSM([[-1.0]], R=[[-2.0]]), "R is a covariance, but has the eigenvalue -2"),
        (lambda: ss.InnovationsSSM([[0.5]], V=[[-1.0]]), "V is a covariance"),
        (lambda: ss.ARMA(sigma=-1.0), "sigma is -1.0, expected a number above 0"),
        (lambda: ss.VARMA(cov=[[-1.0]]), "cov is a covariance"),
        (lambda: ss.Matern(1.5, -1.0), "length_scale is -1.0"),
        (lambda: ss.OrnsteinUhlenbeck(-1.0), "rate is -1.0"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_step_without_a_real_logarithm_is_refused():
    for seed in (2, 3, 4):
        basis = np.random.default_rng(seed).normal(size=(2, 2))
        step = basis @ np.array([[-0.5, 1e-3], [0.0, -0.5]]) @ np.linalg.inv(basis)
        with pytest.raises(ValueError, match="real logarithm|no real continuous model"):
            ss.convert(ss.DiscreteSSM(step, dt=1.0), ss.ContinuousSSM)
