"""Particle smoothers against the exact smoother, and against enumeration on a chain of discrete states."""

import itertools

import numpy as np
import pytest
from inference.test_particle import COUNTS, RATES, START, P, linear, switching
from scipy.stats import poisson

import statespace as ss


def proper():
    """Two states with a density each."""
    return ss.LinearGaussian(
        [[0.9, 0.1], [0.0, 0.7]], [0.4, 0.3], np.eye(2) + 0.1, [0.3, 0.5], initial_scale=[0.6, 0.4]
    )


def rows():
    """A draw from the model, with gaps."""
    y = ss.simulate(proper(), 30, key=4).y.to_numpy()[0].copy()
    y[4], y[9:11, 0] = np.nan, np.nan
    return y


@pytest.mark.parametrize(
    ("method", "size"),
    [
        (ss.GuidedFilter(2000, smoother="mcmc", num_moves=15), 2000),
        (ss.GuidedFilter(300, smoother="exact"), 300),
    ],
)
def test_paths_drawn_backwards_have_the_exact_moments(method, size, key):
    """The bound is that of as many independent draws as the filter's weights are worth, and of the paths."""
    model, y = proper(), rows()
    exact = ss.smooth(model, y)
    found = ss.smooth(model, y, method, key=key)
    ess = ss.filter(model, y, method, key=key).ess
    near = np.pad(ess, 2, mode="edge")  # a stamp's smoothed law rests on its neighbours' clouds too
    ess = np.min([near[i : i + len(ess)] for i in range(5)], axis=0)
    bound = 4 * exact.sd * np.sqrt(1 / ess + 1 / size)[:, None]
    assert (np.abs(found.mean - exact.mean) < bound).all()
    assert (np.abs(found.sd - exact.sd) < bound).all()


def test_paths_are_joint_draws(key):
    """The covariance of neighbours along the path."""
    model, y = proper(), rows()
    paths = ss.sample_states(model, y, ss.GuidedFilter(3000, num_moves=15), num_samples=3000, key=key).to_numpy()
    exact = ss.sample_states(model, y, num_samples=20000, key=1).to_numpy()
    for lag in (1, 3):
        mine, other = (np.mean((p - p.mean(0))[:, lag:, 0] * (p - p.mean(0))[:, :-lag, 0], 0) for p in (paths, exact))
        np.testing.assert_allclose(mine, other, atol=0.03)


def test_traced_paths_are_right_where_they_still_differ(key):
    model, y = proper(), rows()
    exact = ss.smooth(model, y)
    found = ss.smooth(model, y, ss.BootstrapFilter(5000, smoother="genealogy"), key=key)
    np.testing.assert_allclose(found.mean[-6:], exact.mean[-6:], atol=0.06)


def test_a_lag_takes_in_later_stamps(key):
    model, y = proper(), rows()
    found = ss.smooth(model, y, ss.BootstrapFilter(50000, smoother="lag", lag=4), key=key)
    for t in (3, 12, 25, 29):
        wanted = ss.smooth(model, y[: min(t + 5, 30)])
        np.testing.assert_allclose(found.mean[t], wanted.mean[t], atol=0.03)
        np.testing.assert_allclose(found.sd[t], wanted.sd[t], rtol=0.06)


@pytest.mark.parametrize("smoother", ["mcmc", "exact"])
def test_paths_of_a_chain_have_the_probabilities_of_enumeration(smoother, key):
    weights = np.zeros((3,) * 5)
    for path in itertools.product(range(3), repeat=5):
        density = START[path[0]]
        for t, k in enumerate(path):
            density *= 1.0 if t == 0 else P[path[t - 1], k]
            density *= 1.0 if np.isnan(COUNTS[t]) else poisson.pmf(COUNTS[t], RATES[k])
        weights[path] = density
    weights /= weights.sum()
    method = ss.BootstrapFilter(4000, smoother=smoother, num_moves=20)
    paths = ss.sample_states(switching(), COUNTS, method, num_samples=4000, key=key).to_numpy()[:, :, 0].astype(int)
    counts = np.zeros_like(weights)
    np.add.at(counts, tuple(paths.T), 1)
    big = weights > 0.003
    error = np.sqrt(2 * weights[big] * (1 - weights[big]) / 4000)  # draws, and the particles they are drawn from
    assert (np.abs(counts[big] / 4000 - weights[big]) < 4 * error).all()


def test_a_transition_without_a_density_is_refused(key):
    with pytest.raises(TypeError, match='1 noises for 2 states.*smoother="genealogy"'):
        ss.smooth(linear(), rows(), ss.BootstrapFilter(10), key=key)
    with pytest.raises(TypeError, match="gives moments only"):
        ss.sample_states(proper(), rows(), ss.BootstrapFilter(10, smoother="lag"), key=key)
    with pytest.raises(ValueError, match="choose one of mcmc, exact, genealogy, lag"):
        ss.BootstrapFilter(smoother="best")
