"""A model, or a fit, that meets other data than those it was made with: events, clocks, directions left open."""

import warnings
from dataclasses import replace

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import statespace as ss

RNG = np.random.default_rng(0)
MONTHS = pd.date_range("2010-01-01", periods=60, freq="MS")
Y = pd.Series(RNG.normal(size=60).cumsum() + RNG.normal(size=60) + 5.0 * (np.arange(60) >= 40), MONTHS)
LEVEL = ss.LocalLevel(1.0) + ss.Noise(1.0)
WIDE = ss.InitialLaw.gaussian([0.0], [10.0])


def event(kind, initial=WIDE):
    return ss.LocalLevel(1.0) + ss.Intervention("2013-05", kind, initial=initial) + ss.Noise(1.0)


@pytest.fixture(scope="module", params=["step", "pulse"])
def with_event(request):
    return request.param, ss.filter(event(request.param), Y)


def test_an_event_after_the_data_comes_with_the_rows_that_are_appended(with_event):
    _, full = with_event
    more = ss.append(ss.filter(full, Y[:20]), Y[20:])
    np.testing.assert_allclose(more.log_likelihood_terms, full.log_likelihood_terms, rtol=1e-12)
    np.testing.assert_allclose(more.mean, full.mean, rtol=1e-9, atol=1e-9)


def test_an_event_within_the_horizon(with_event):
    kind, full = with_event
    ahead = ss.forecast(full, Y[:20], horizon=25)
    applies = np.arange(20, 45) >= 40 if kind == "step" else np.arange(20, 45) == 40
    np.testing.assert_allclose(ahead.components["intervention"][1][:, 0], 10.0 * applies, atol=1e-12)


def test_a_pulse_before_the_data_is_over():
    full = ss.filter(event("pulse"), Y)
    np.testing.assert_array_equal(ss.forecast(full, Y[45:], horizon=3).components["intervention"][1], 0.0)


@pytest.mark.parametrize("index", [
    pd.period_range("2010-01", periods=60, freq="M"), MONTHS.tz_localize("Europe/Paris"), pd.RangeIndex(1960, 2020),
    pd.DatetimeIndex(MONTHS + pd.to_timedelta(RNG.integers(0, 20, 60), "D")),
])  # fmt: skip
def test_an_event_after_the_data_in_any_index(index):
    y = Y.set_axis(index)
    at = int(index[40]) if isinstance(index, pd.RangeIndex) else str(index[40])
    position = 40 if isinstance(index, pd.RangeIndex) else at
    model = ss.LocalLevel(1.0) + ss.Intervention(position, initial=WIDE) + ss.Noise(1.0)
    full = ss.filter(model, y)
    more = ss.append(ss.filter(full, y.iloc[:20]), y.iloc[20:])
    assert more.log_likelihood == pytest.approx(full.log_likelihood, rel=1e-12)


def test_new_data_are_on_the_clock_of_the_fit():
    fitted = ss.filter(LEVEL, Y)
    bare = pd.Series(Y.to_numpy(), pd.DatetimeIndex(MONTHS.to_numpy()))  # as read from a file: no frequency
    two = ss.filter(fitted, bare[:2])
    assert two.log_likelihood == pytest.approx(ss.filter(fitted, Y[:2]).log_likelihood, rel=1e-12)
    assert ss.append(two, bare[2:]).log_likelihood == pytest.approx(fitted.log_likelihood, rel=1e-12)
    week = pd.Series(RNG.normal(size=30), pd.date_range("2024-01-01", periods=30, freq="B"))
    four = ss.forecast(ss.filter(LEVEL, week), week[:4], horizon=3)
    assert list(four.index.day_of_week) == [4, 0, 1]


def test_a_fit_of_irregular_data_takes_regular_ones_in_days():
    days = pd.DatetimeIndex(["2020-01-01", "2020-01-04", "2020-01-05", "2020-02-01"])
    fitted = ss.filter(LEVEL, pd.Series([1.0, 2.0, 0.5, 3.0], days))
    given = pd.Series([1.0, 2.0, 4.0], pd.date_range("2020-01-01", periods=3, freq="MS"))
    expected = ss.filter(LEVEL, given.to_numpy(), times=[0.0, 31.0, 60.0])
    assert ss.filter(fitted, given).log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)


@pytest.mark.parametrize("other", [Y.drop(MONTHS[[3, 9, 10, 30]]), Y.resample("QS").mean(), Y.iloc[::7]])
@pytest.mark.filterwarnings("ignore:the dates are those of frequency")
def test_another_frequency_is_refused(other):
    with pytest.raises(ValueError, match=r"but the model was fitted to 'MS'.*asfreq\('MS'\)"):
        ss.log_likelihood(ss.filter(LEVEL, Y), other)


def test_criteria_count_free_numbers():
    pair = pd.DataFrame(RNG.normal(size=(40, 2)).cumsum(0) + RNG.normal(size=(40, 2)), MONTHS[:40], columns=["a", "b"])
    once = ss.MaximumLikelihood(num_starts=1)
    fitted = ss.fit(ss.LocalLevel() + ss.Noise(correlated=True), pair, once, progress=False)
    assert fitted.num_parameters == 2 + 2 + 1
    table = fitted.summary()
    assert [name for name in table.index if "correlation" in name] == ["noise.correlation[1, 0]"]
    row = table.loc["noise.correlation[1, 0]"]
    z = np.arctanh(row["estimate"]) + 1.959963984540054 * row["std_error"] / (1 - row["estimate"] ** 2)
    assert row["upper_95"] == pytest.approx(np.tanh(z))
    positive = np.exp(0.1 * Y)
    for transform, count in (("boxcox", 3), (ss.BoxCox(0.5), 2), ("log", 2)):
        found = ss.fit(ss.LocalLevel() + ss.Noise(), positive, once, transform=transform, progress=False)
        assert found.num_parameters == count


def test_directions_that_no_data_can_identify():
    both = ss.LocalLevel() + ss.Seasonal(2) + ss.Seasonal(4) + ss.Noise()  # both hold the frequency 1/2
    fitted = ss.fit(both, Y, ss.MaximumLikelihood(num_starts=1), progress=False)
    assert not fitted.status.converged
    assert fitted.diffuse_count == ss.filter(fitted).diffuse_count == 4
    assert "leave 1 direction(s) of the diffuse first state open" in fitted.status.message
    apart = (
        ss.LocalLevel(1.0)
        + ss.Seasonal(2, scale=0.1)
        + ss.Seasonal(4, scale=0.1, form="trigonometric", harmonics=1)
        + ss.Noise(1.0)
    )
    assert np.isfinite(ss.smooth(apart, Y).mean).all()


def test_a_prior_of_a_value_that_is_held():
    with pytest.raises(ValueError, match=r"noise.scale is in priors= and in fixed="):
        ss.fit(LEVEL, Y, ss.MAP(), priors={"noise.scale": dist.HalfNormal(1.0)}, fixed={"noise.scale": 1.0})


def test_the_future_is_scored_where_densities_have_a_scale():
    model = ss.LocalLevel() + ss.Intervention("2013-05", name="law") + ss.Noise()
    fitted = ss.fit(model, Y, ss.NUTS(20, 10, 1), key=jax.random.key(0), progress=False)
    with pytest.raises(ValueError, match=r"2013-05-01 00:00:00 identifies a state or coefficient of its own"):
        ss.leave_future_out(fitted, 30)
    assert np.isfinite(ss.leave_future_out(fitted, 41)).all()


def test_moments_of_a_wide_log_normal_law():
    ahead = ss.forecast(ss.LocalLinearTrend(0.3, 0.3) + ss.Noise(0.1), np.exp(0.1 * Y[:20]), horizon=12)
    mean, variance = ahead.mean_t[:, 0], ahead.cov_t[:, 0, 0]
    assert variance.max() > 25
    there = replace(ahead, transform=ss.Log())
    np.testing.assert_allclose(there.mean[:, 0], np.exp(mean + variance / 2), rtol=1e-12)
    np.testing.assert_allclose(there.sd[:, 0], np.sqrt(np.expm1(variance)) * np.exp(mean + variance / 2), rtol=1e-10)


def test_predictions_that_no_open_direction_enters_are_known():
    known = ss.filter(ss.LocalLevel(1.0) + ss.Noise(1.0), Y[:40])
    found = ss.filter(event("step", None), Y)  # the effect stays diffuse until its month
    np.testing.assert_allclose(found.observation_mean[1:40], known.observation_mean[1:])
    np.testing.assert_allclose(found.observation_cov[1:40], known.observation_cov[1:])
    assert np.isnan(found.observation_mean[40, 0])
    assert found.observation_cov[40, 0, 0] == np.inf
    assert np.isfinite(found.observation_cov[41:]).all()


@pytest.mark.filterwarnings("ignore:the dates are those of frequency")
def test_the_series_of_a_panel_share_a_clock():
    with pytest.raises(ValueError, match="some series of the panel are regular and others are not"):
        ss.log_likelihood(LEVEL, {"a": Y, "b": Y.drop(MONTHS[7])})
    both = ss.log_likelihood(LEVEL, {"a": Y, "b": Y[:30]})
    assert both == pytest.approx(ss.log_likelihood(LEVEL, Y) + ss.log_likelihood(LEVEL, Y[:30]))


def test_paths_that_run_away_are_warned_of():
    model = ss.NonlinearGaussian(
        lambda x, step: 4.0 * x, [0.1], lambda x, step: x, [0.1], initial_mean=[1.0], initial_scale=[0.1]
    )
    y = np.array([1.0, 4.0, 16.0])
    method = ss.ExtendedKalman()
    with pytest.warns(ss.DivergenceWarning, match="100% of the paths .* from .* on: the model is not stable"):
        ss.forecast(ss.filter(model, y, method=method), horizon=20, num_samples=20, key=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ss.forecast(ss.filter(model, y, method=method), horizon=2, num_samples=20, key=0)
