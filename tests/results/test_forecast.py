import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from statespace.data import BoxCox
from statespace.results.forecast import _mixture_quantile


def test_without_a_transform_the_law_is_the_normal(make_forecast):
    ahead = make_forecast()
    np.testing.assert_array_equal(ahead.mean, ahead.mean_t)
    np.testing.assert_allclose(ahead.sd, 0.5)
    np.testing.assert_allclose(ahead.quantile(0.9), stats.norm(ahead.mean_t, 0.5).ppf(0.9), rtol=1e-12)


def test_log_gives_the_lognormal(make_forecast):
    ahead = make_forecast(transform="log")
    law = stats.lognorm(s=0.5, scale=np.exp(ahead.mean_t))
    np.testing.assert_allclose(ahead.mean, law.mean(), rtol=1e-12)
    np.testing.assert_allclose(ahead.sd, law.std(), rtol=1e-10)
    np.testing.assert_allclose(ahead.quantile(0.05), law.ppf(0.05), rtol=1e-12)


def test_box_cox_mean_agrees_with_numerical_integration(make_forecast):
    transform = BoxCox(0.3)
    ahead = make_forecast(transform=transform)
    for mean_t, got in zip(ahead.mean_t[:, 0], ahead.mean[:, 0], strict=True):
        density = stats.norm(mean_t, 0.5).pdf
        want = integrate.quad(lambda z, d=density: float(transform.inverse(z)) * d(z), mean_t - 5, mean_t + 5)[0]
        assert got == pytest.approx(want, rel=1e-5)


def test_box_cox_with_a_negative_exponent_has_quantiles_but_no_mean(make_forecast):
    ahead = make_forecast(transform=BoxCox(-0.5))
    assert np.isinf(ahead.mean).all()
    assert np.isinf(ahead.sd).all()
    assert np.isfinite(ahead.quantile(0.95)).all()


@pytest.mark.parametrize("transform", [None, "log"])
def test_quantiles_of_a_mixture_solve_its_distribution_function(make_forecast, rng, transform):
    mean, cov = rng.normal(size=(50, 3, 1)), rng.gamma(2.0, size=(50, 3, 1, 1))
    ahead = make_forecast(transform=transform, mixture=(mean, cov))
    for q in (0.01, 0.5, 0.95):
        z = np.log(ahead.quantile(q)) if transform else ahead.quantile(q)
        reached = stats.norm(mean, np.sqrt(cov[..., 0])).cdf(z).mean(axis=0)
        np.testing.assert_allclose(reached, q, atol=1e-9)


def test_log_mean_of_a_mixture_is_the_mean_of_the_means(make_forecast, rng):
    mean, cov = rng.normal(size=(50, 3, 1)), rng.gamma(2.0, 0.1, size=(50, 3, 1, 1))
    want = np.exp(mean + cov[..., 0] / 2).mean(axis=0)
    np.testing.assert_allclose(make_forecast(transform="log", mixture=(mean, cov)).mean, want, rtol=1e-10)


@pytest.mark.parametrize("q", [0.05, 0.3, 0.5, 0.95])
def test_quantiles_of_parts_without_spread_are_among_the_parts(q):
    found = _mixture_quantile(q, np.array([1.0, 2.0, 3.0]), np.zeros(3))
    assert np.abs(found - np.array([1.0, 2.0, 3.0])).min() < 1e-9
    assert _mixture_quantile(q, np.full(3, 2.0), np.zeros(3)) == 2.0


def test_quantiles_of_parts_that_differ_by_rounding():
    mean, sd = np.array([1.0, 1.0 + 2e-16, 1.0]), np.array([1.0, 1.0, 1.0 + 2e-16])
    assert _mixture_quantile(0.05, mean, sd) == pytest.approx(stats.norm(1.0).ppf(0.05))


@pytest.mark.parametrize("q", [0.0, 1.0, -0.1, 95])
def test_a_level_outside_the_unit_interval_raises(make_forecast, q):
    with pytest.raises(ValueError, match="between 0 and 1"):
        make_forecast().quantile(q)


def test_frame_of_one_series(make_forecast):
    ahead = make_forecast()
    frame = ahead.to_pandas()
    assert list(frame.columns) == ["mean", "sd", "5%", "25%", "50%", "75%", "95%"]
    pd.testing.assert_index_equal(frame.index, pd.period_range("2002-01", periods=3, freq="M"))
    assert list(ahead.to_pandas(levels=(0.95,)).columns) == ["mean", "sd", "2.5%", "50%", "97.5%"]


def test_frame_of_several_series_has_two_rows_of_columns(make_forecast):
    frame = make_forecast(names=("a", "b")).to_pandas()
    assert isinstance(frame.columns, pd.MultiIndex)
    assert list(frame["b"].columns)[:2] == ["mean", "sd"]


def test_history_is_on_the_original_scale(make_forecast):
    ahead = make_forecast(transform="log")
    np.testing.assert_allclose(ahead.history.to_numpy(), np.exp(ahead.series.observed))


def test_datatree_has_future_dates_paths_and_inputs(make_forecast, rng):
    ahead = make_forecast(draws=rng.normal(size=(10, 3, 1)))
    tree = ahead.to_datatree()
    assert set(tree.children) == {"predictions", "predictions_constant_data"}
    y = tree["predictions"]["y"]
    assert y.dims == ("draw", "time", "series")
    assert y["time"].values[0] == np.datetime64("2002-01-01")
    assert tree["predictions_constant_data"]["inputs"].dims == ("time", "input")
