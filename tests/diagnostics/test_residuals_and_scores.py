"""Residual tests and forecast scores against published values, statsmodels, and definitions written out."""

import numpy as np
import pytest
from scipy import integrate, special, stats
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.stats.stattools import jarque_bera as statsmodels_jarque_bera
from statsmodels.tsa.stattools import acf, breakvar_heteroskedasticity_test

from statespace import diagnostics
from statespace.datasets import nile

NOISE = np.random.default_rng(1).standard_t(5, size=150)


def local_level_residuals(y, variance_observation, variance_level):
    """Standardised one-step residuals of the local level, exact diffuse: the first observation starts it."""
    mean, variance, residuals = y[0], variance_observation, [np.nan]
    for value in y[1:]:
        predicted = variance + variance_level
        total = predicted + variance_observation
        residuals.append((value - mean) / np.sqrt(total))
        mean += predicted / total * (value - mean)
        variance = predicted * variance_observation / total
    return np.array(residuals)


@pytest.fixture(scope="module")
def nile_residuals():
    return local_level_residuals(nile().to_numpy(), 15099.0, 1469.1)


# published values


def test_the_oracle_has_the_published_residuals(nile_residuals):
    np.testing.assert_allclose(nile_residuals[1:4], [0.22477906, -1.13748616, 0.91774955], atol=1e-8)


def test_nile_has_the_values_of_durbin_and_koopman(nile_residuals):
    """Durbin and Koopman (2012), p. 40, as printed."""
    tests = diagnostics.residual_tests(nile_residuals)
    assert (tests.count, tests.lags) == (99, 9)
    assert tests.ljung_box.statistic == pytest.approx(8.84, abs=0.005)
    assert tests.jarque_bera.statistic == pytest.approx(0.05, abs=0.005)
    assert tests.jarque_bera.skewness == pytest.approx(-0.03, abs=0.005)
    assert tests.jarque_bera.kurtosis == pytest.approx(3.09, abs=0.005)
    assert tests.heteroskedasticity.statistic == pytest.approx(0.61, abs=0.005)
    assert tests.heteroskedasticity.df == (33, 33)


def test_nile_has_the_values_of_eviews():
    """EViews, as in statsmodels' test_mlemodel.py: variances exp(9.600350) and exp(7.348705)."""
    residuals = local_level_residuals(nile().to_numpy(), np.exp(9.600350), np.exp(7.348705))
    independence = diagnostics.ljung_box(residuals, 10)
    assert independence.statistic == pytest.approx(13.117, abs=5e-4)
    assert independence.p_value == pytest.approx(0.217, abs=5e-4)
    assert diagnostics.jarque_bera(residuals).statistic == pytest.approx(0.041686, abs=5e-6)


# against statsmodels


@pytest.mark.parametrize("lags", [1, 5, 24])
def test_autocorrelation_agrees_with_statsmodels(lags):
    expected = acf(NOISE, nlags=lags, fft=False)[1:]
    np.testing.assert_allclose(diagnostics.autocorrelation(NOISE, lags), expected, rtol=1e-10)


@pytest.mark.parametrize(("lags", "model_df"), [(1, 0), (10, 0), (10, 3)])
def test_ljung_box_agrees_with_statsmodels(lags, model_df):
    expected = acorr_ljungbox(NOISE, lags=[lags], model_df=model_df).iloc[0]
    result = diagnostics.ljung_box(NOISE, lags, model_df=model_df)
    np.testing.assert_allclose(result[:2], expected, rtol=1e-10)
    assert result.df == lags - model_df


def test_jarque_bera_agrees_with_statsmodels():
    result = diagnostics.jarque_bera(NOISE)
    expected = statsmodels_jarque_bera(NOISE)
    np.testing.assert_allclose(
        [result.statistic, result.p_value, result.skewness, result.kurtosis], expected, rtol=1e-10
    )


@pytest.mark.parametrize("count", [99, 100, 101, 150])
@pytest.mark.parametrize("growth", [0.5, 2.0])
def test_heteroskedasticity_agrees_with_statsmodels(count, growth):
    residuals = NOISE[:count] * np.linspace(1, growth, count)
    expected = breakvar_heteroskedasticity_test(residuals, subset_length=round(count / 3))
    np.testing.assert_allclose(diagnostics.heteroskedasticity(residuals)[:2], expected, rtol=1e-10)


# residual tests, behaviour


def test_missing_residuals_are_dropped():
    with_gaps = np.insert(NOISE, [0, 0, 40, 90, 150], np.nan)
    assert str(diagnostics.residual_tests(with_gaps)) == str(diagnostics.residual_tests(NOISE))


def test_p_values_are_uniform_in_the_right_model():
    """Kolmogorov-Smirnov at the 0.1 % level, 400 series; the limit of Jarque-Bera comes too slowly for it."""
    series = np.random.default_rng(5).normal(size=(400, 200))
    for test in (lambda e: diagnostics.ljung_box(e, 8), diagnostics.heteroskedasticity):
        p = [test(e).p_value for e in series]
        assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_each_fault_is_found_by_its_test():
    rng = np.random.default_rng(2)
    white = rng.normal(size=300)
    dependent = white[1:] + 0.6 * white[:-1]
    assert diagnostics.ljung_box(dependent, 10).p_value < 1e-6
    assert diagnostics.jarque_bera(rng.standard_cauchy(300)).p_value < 1e-6
    growing, shrinking = white * np.linspace(0.2, 2, 300), white * np.linspace(2, 0.2, 300)
    assert diagnostics.heteroskedasticity(growing).statistic > 1
    assert diagnostics.heteroskedasticity(shrinking).statistic < 1
    assert max(diagnostics.heteroskedasticity(e).p_value for e in (growing, shrinking)) < 1e-6


def test_the_table_names_what_it_tests():
    text = str(diagnostics.residual_tests(NOISE, lags=7))
    lines = text.splitlines()
    assert [line.split()[-3] for line in lines[1:4]] == ["Ljung-Box(7)", "Jarque-Bera", "H(50)"]
    assert lines[0].startswith("residuals: 150")
    assert len({len(line) for line in lines[:4]}) == 1
    assert "kurtosis" in lines[4]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnostics.residual_tests(np.zeros((5, 2))), r"residuals\[:, i\]"),
        (lambda: diagnostics.residual_tests([np.nan, 1.0]), "at least two different"),
        (lambda: diagnostics.jarque_bera(np.ones(20)), "20 that are not NaN, 1 different"),
        (lambda: diagnostics.ljung_box([1.0, np.inf, 0.0], 1), "infinite"),
        (lambda: diagnostics.autocorrelation(NOISE, 150), "between 1 and 149, got 150"),
        (lambda: diagnostics.autocorrelation(NOISE, 0), "between 1 and 149, got 0"),
        (lambda: diagnostics.ljung_box(NOISE, 3, model_df=3), "use more lags"),
        (lambda: diagnostics.heteroskedasticity([0.0, 0.0, 1.0, 2.0, 1.0, 1.0]), "no variance to compare"),
    ],
)
def test_residuals_that_cannot_be_tested_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# scores


@pytest.mark.parametrize("fair", [True, False])
def test_crps_of_draws_is_its_definition(fair):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4, 2)), rng.normal(size=(4, 2))
    pairs = np.abs(x[:, None] - x[None]).sum(axis=(0, 1)) / (30 * 29 if fair else 30 * 30)
    expected = np.abs(x - y).mean(axis=0) - 0.5 * pairs
    np.testing.assert_allclose(diagnostics.crps_ensemble(x, y, fair=fair), expected, atol=1e-12)


def test_crps_of_draws_is_the_area_between_step_functions():
    draws, y = np.array([-1.0, 0.5, 2.0]), 0.8
    area = integrate.quad(lambda z: (np.mean(draws <= z) - (y <= z)) ** 2, -2, 3, points=[-1.0, 0.5, 0.8, 2.0])[0]
    assert diagnostics.crps_ensemble(draws, y, fair=False) == pytest.approx(area, abs=1e-10)


@pytest.mark.parametrize("y", [-2.0, 0.0, 1.3])
def test_crps_of_a_normal_is_the_area_between_distributions(y):
    mean, sd = 0.4, 1.7
    area = (
        integrate.quad(lambda z: special.ndtr((z - mean) / sd) ** 2, -40, y)[0]
        + integrate.quad(lambda z: special.ndtr((mean - z) / sd) ** 2, y, 40)[0]
    )
    assert diagnostics.crps_normal(mean, sd, y) == pytest.approx(area, abs=1e-8)


def test_crps_of_a_sure_forecast_is_the_absolute_error():
    np.testing.assert_allclose(diagnostics.crps_normal([0.0, 1.0], 0.0, [2.0, 1.0]), [2.0, 0.0])


def test_the_fair_score_does_not_depend_on_the_number_of_draws():
    """Three draws many times over give the score of the whole distribution, within 4 standard errors."""
    x = np.random.default_rng(3).normal(size=(3, 40000))
    scores = diagnostics.crps_ensemble(x, np.full(40000, 0.7))
    error = scores.mean() - diagnostics.crps_normal(0.0, 1.0, 0.7)
    assert abs(error) < 4 * scores.std() / 200


def test_pit_of_calibrated_forecasts_is_uniform():
    x = np.random.default_rng(4).normal(size=(100, 2000))
    values = diagnostics.pit(x[:99], x[99])
    counts = np.bincount(np.rint(values * 100 - 0.5).astype(int), minlength=100)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_pit_stays_inside_and_puts_ties_in_the_middle():
    draws = np.array([1.0, 2.0, 2.0, 3.0])[:, None].repeat(4, axis=1)
    np.testing.assert_allclose(diagnostics.pit(draws, [0.0, 2.0, 9.0, np.nan]), [0.1, 0.5, 0.9, np.nan])


def test_coverage_of_calibrated_forecasts_is_the_level():
    x = np.random.default_rng(6).normal(size=(2001, 4000))
    levels = np.array([0.5, 0.8, 0.95])
    shares = diagnostics.coverage(x[:-1], x[-1], levels)
    assert (np.abs(shares - levels) < 4 * np.sqrt(levels * (1 - levels) / 4000)).all()


def test_coverage_leaves_missing_observations_out():
    draws = np.linspace(0, 1, 101)[:, None].repeat(3, axis=1)
    np.testing.assert_allclose(diagnostics.coverage(draws, [0.5, np.nan, 5.0], [0.9]), [0.5])
    assert np.isnan(diagnostics.coverage(draws, np.full(3, np.nan))).all()


def test_interval_score_fines_each_side():
    scores = diagnostics.interval_score(1.0, 3.0, [2.0, 0.5, 3.25, np.nan], 0.8)
    np.testing.assert_allclose(scores, [2.0, 7.0, 4.5, np.nan])


def test_interval_score_is_least_at_the_true_quantiles():
    y = np.random.default_rng(7).normal(size=20000)
    score = {half: diagnostics.interval_score(-half, half, y, 0.9).mean() for half in (1.2, 1.645, 2.2)}
    assert min(score, key=score.get) == 1.645


def test_scaled_error_is_in_naive_units():
    history = np.array([[1.0, 10.0], [2.0, np.nan], [4.0, 30.0], [3.0, 50.0]])
    scaled = diagnostics.scaled_error([[4.0, 20.0]], history)
    np.testing.assert_allclose(scaled, [[4.0 / (4 / 3), 20.0 / 20.0]])
    assert diagnostics.scaled_error(3.0, history[:, 0], season=2) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnostics.crps_ensemble(np.zeros((5, 3)), np.zeros(4)), "join chains"),
        (lambda: diagnostics.crps_ensemble([1.0], 1.0), "fair=False"),
        (lambda: diagnostics.crps_normal(0.0, [-1.0], 0.0), "at least 0, got -1"),
        (lambda: diagnostics.pit(1.0, 1.0), "draws first"),
        (lambda: diagnostics.coverage(np.zeros((5, 3)), np.zeros(3), [90]), "between 0 and 1, got 90"),
        (lambda: diagnostics.interval_score(2.0, 1.0, 0.0, 0.9), "lower first"),
        (lambda: diagnostics.interval_score(1.0, 2.0, 0.0, 1.0), "between 0 and 1, got 1"),
        (lambda: diagnostics.scaled_error(1.0, [1.0, 2.0], season=2), "between 1 and 1"),
        (lambda: diagnostics.scaled_error(1.0, [1.0, 2.0, 1.0, 2.0], season=2), "gives no scale"),
        (lambda: diagnostics.scaled_error(1.0, [1.0, np.nan, 1.0]), "no two observed values"),
    ],
)
def test_scores_refuse_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
