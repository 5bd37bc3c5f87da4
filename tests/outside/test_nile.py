"""The Nile under the local level model, in every convention that is in print (anchor linear_gaussian, 2.1 to 2.3).

Ours is the exact diffuse likelihood with all constants; KFAS and R leave out -0.5 log 2 pi for each diffuse
element, so theirs is ours + d * 0.9189385332.
"""

import numpy as np
import pytest
from inference.problems import log_likelihood, problem_of, terms

from statespace.datasets import nile
from statespace.inference.analysis import filter_arrays, smoother_arrays
from statespace.inference.prediction import predict_moments
from statespace.inference.problem import stamps
from statespace.models.initial import InitialLaw
from statespace.models.structural import LocalLevel, Noise

OBSERVATION, LEVEL = 15099.0, 1469.1
HALF_LOG_2PI = 0.9189385332046727


def model(observation=OBSERVATION, level=LEVEL, initial=None):
    return LocalLevel(np.sqrt(level), initial=initial) + Noise(np.sqrt(observation))


@pytest.fixture(scope="module")
def flow():
    return nile()


@pytest.fixture(scope="module")
def problem(flow):
    return problem_of(model(), flow)


@pytest.fixture(scope="module")
def filtered(problem):
    return filter_arrays(problem, {})


@pytest.fixture(scope="module")
def smoothed(problem):
    return smoother_arrays(problem, {})


@pytest.fixture(scope="module")
def gappy(flow):
    values = flow.to_numpy().copy()
    values[20:40] = values[60:80] = np.nan
    return problem_of(model(), values)


def test_exact_diffuse_with_all_constants(problem):
    assert log_likelihood(problem) == pytest.approx(-633.4645636489, abs=1e-9)


def test_convention_of_kfas(problem, filtered):
    assert int(filtered.diffuse_count) == 1
    kfas = log_likelihood(problem) + int(filtered.diffuse_count) * HALF_LOG_2PI
    assert kfas == pytest.approx(-632.5456251157, abs=1e-9)


def test_maximum(flow):
    best = log_likelihood(problem_of(model(15098.5197, 1469.1761), flow))
    assert best == pytest.approx(-633.4645636362, abs=1e-9)


def test_known_start_counts_the_first_observation(flow):
    start = InitialLaw.gaussian([0.0], [np.sqrt(1e7)])
    problem = problem_of(model(initial=start), flow)
    assert problem.plan.diffuse_steps == 0
    assert log_likelihood(problem) == pytest.approx(-641.5855784594, abs=1e-9)
    best = log_likelihood(problem_of(model(15099.684, 1468.501, start), flow))
    assert best >= log_likelihood(problem)
    assert best == pytest.approx(-641.5855784594, abs=1e-6)


def test_large_variance_with_the_first_term_dropped(flow):
    problem = problem_of(model(initial=InitialLaw.gaussian([0.0], [1e3])), flow)
    assert float(terms(problem)[1:].sum()) == pytest.approx(-632.5376950476, abs=1e-9)


def test_marss_known_start_before_the_first_stamp(flow):
    start = InitialLaw.gaussian([1110.57], [np.sqrt(1196.5)])  # x0 known exactly: x1 ~ N(x0, q)
    found = log_likelihood(problem_of(model(15448.0, 1196.5, start), flow))
    assert found == pytest.approx(-637.74434, abs=2e-5)


@pytest.mark.parametrize(
    ("ratio", "printed"), [(1.0, -495.685105), (0.0360, -492.528999), (0.0745, -492.104585), (0.0974, -492.070710)]
)
def test_concentrated_likelihood_of_durbin_and_koopman(flow, ratio, printed):
    problem = problem_of(model(1.0, ratio), flow)
    squares = float(np.nansum(np.asarray(filter_arrays(problem, {}).residuals) ** 2))
    n = len(flow)
    # ours at unit variance is -n/2 log 2pi - sum(log F)/2 - squares/2
    half_log_f = -log_likelihood(problem) - n * HALF_LOG_2PI - squares / 2
    concentrated = -half_log_f - 0.5 * (n - 1) * np.log(squares / (n - 1))
    assert concentrated == pytest.approx(printed, abs=1e-6)


def test_filtered_moments(filtered):
    np.testing.assert_allclose(filtered.mean[:3, 0], [1120, 1140.927840, 1072.798530], atol=1e-6)
    np.testing.assert_allclose(filtered.cov[:3, 0, 0], [15099, 7899.736379, 5781.469939], atol=1e-6)
    assert float(filtered.predicted_cov[-1, 0, 0]) == pytest.approx(5501.257942, abs=1e-6)
    assert float(filtered.cov[-1, 0, 0]) == pytest.approx(4032.157942, abs=1e-6)
    assert np.isinf(filtered.predicted_cov[0, 0, 0])
    assert np.isinf(filtered.observation_cov[0, 0, 0])
    assert np.isnan(filtered.observation_mean[0, 0])


def test_terms_add_up_to_the_likelihood(problem, filtered):
    assert float(filtered.terms.sum()) == pytest.approx(-633.4645636489, abs=1e-9)
    np.testing.assert_allclose(filtered.terms, terms(problem), atol=1e-12)


def test_smoothed_moments(smoothed):
    np.testing.assert_allclose(smoothed.mean[[0, 49, 99], 0], [1111.668319, 834.763259, 798.370293], atol=1e-6)
    variances = [4032.157942, 2326.756870, 4032.157942]
    np.testing.assert_allclose(smoothed.cov[[0, 49, 99], 0, 0], variances, atol=1e-6)


def test_level_is_its_own_component(smoothed):
    np.testing.assert_allclose(smoothed.component_mean["level"], smoothed.mean)
    np.testing.assert_allclose(smoothed.component_var["level"], smoothed.cov[:, 0])


def test_forecast(problem, filtered):
    future = predict_moments(problem.model, filtered.last, stamps(problem.model, 30, start=100))
    np.testing.assert_allclose(future.mean[:, 0], 798.370293, atol=1e-6)
    expected = [20600.257942, 33822.157942, 63204.157942]
    np.testing.assert_allclose(future.cov[[0, 9, 29], 0, 0], expected, atol=1e-6)


def test_missing_blocks(gappy):
    assert log_likelihood(gappy) == pytest.approx(-381.5060013085, abs=1e-9)
    smoothed, filtered = smoother_arrays(gappy, {}), filter_arrays(gappy, {})
    assert float(smoothed.mean[29, 0]) == pytest.approx(903.421103, abs=1e-6)
    assert float(smoothed.cov[29, 0, 0]) == pytest.approx(9715.005902, abs=1e-6)
    assert float(filtered.mean[39, 0]) == pytest.approx(1026.141555, abs=1e-6)
    assert float(filtered.cov[39, 0, 0]) == pytest.approx(33414.196160, abs=1e-6)
    assert np.isnan(filtered.residuals[20:40]).all()
    assert (np.asarray(filtered.terms[20:40]) == 0).all()


def test_standardised_errors(filtered):
    residuals = np.asarray(filtered.residuals[:, 0])
    assert np.isnan(residuals[0])
    np.testing.assert_allclose(residuals[1:4], [0.22477906, -1.13748616, 0.91774955], atol=5e-9)
    assert np.isfinite(residuals[1:]).all()


def test_statistics_of_the_standardised_errors(filtered):
    e = np.asarray(filtered.residuals[1:, 0])
    n, centred = len(e), e - e.mean()
    correlations = np.array([(centred[k:] * centred[:-k]).sum() for k in range(1, 10)]) / (centred**2).sum()
    ljung_box = n * (n + 2) * (correlations**2 / (n - np.arange(1, 10))).sum()
    assert ljung_box == pytest.approx(8.84, abs=0.01)
    spread = np.sqrt((centred**2).mean())
    skew, kurtosis = (centred**3).mean() / spread**3, (centred**4).mean() / spread**4
    assert skew == pytest.approx(-0.03, abs=0.006)
    assert kurtosis == pytest.approx(3.09, abs=0.006)
    assert (e[-33:] ** 2).sum() / (e[:33] ** 2).sum() == pytest.approx(0.61, abs=0.006)


def test_auxiliary_residuals(flow, smoothed):
    years = flow.index.year.to_numpy()
    observation = np.asarray(smoothed.observation_residuals[:, 0])
    level = np.asarray(smoothed.state_residuals[:, 0])
    assert years[np.nanargmax(np.abs(observation))] == 1913
    assert np.nanmin(observation) == pytest.approx(-3.03902, abs=5e-6)
    assert years[np.nanargmax(np.abs(level))] == 1899  # the disturbance that leads into 1899
    assert np.nanmin(level) == pytest.approx(-3.23371, abs=5e-6)
    assert np.isnan(level[0])


def test_exact_leave_one_out(smoothed):
    assert float(smoothed.loo_terms.sum()) == pytest.approx(-631.5359294406533, abs=1e-10)
    assert float(smoothed.loo_terms[42]) == pytest.approx(-10.431639615253, abs=1e-11)


def test_leave_one_out_by_refitting(flow, smoothed):
    full = log_likelihood(problem_of(model(), flow))
    for t in (0, 42, 99):
        without = flow.to_numpy().copy()
        without[t] = np.nan
        rest = log_likelihood(problem_of(model(), without))
        assert float(smoothed.loo_terms[t]) == pytest.approx(full - rest, abs=1e-9)
