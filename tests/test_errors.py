"""Bad input: each has an error of its own that says what was got, what was expected, and what to do."""

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import statespace as ss

MONTHS = pd.date_range("2020-01-01", periods=24, freq="MS")
VALUES = np.sin(np.arange(24.0)) + 3.0
Y = pd.Series(VALUES, MONTHS, name="y")
UNKNOWN = ss.LocalLevel() + ss.Noise()
KNOWN = ss.LocalLevel(0.3) + ss.Noise(0.5)
REGRESSION = ss.LocalLevel(0.3) + ss.Regression(["price"]) + ss.Noise(0.5)
KEY = jax.random.key(0)
VERBS = {
    "fit": lambda y: ss.fit(UNKNOWN, y, progress=False),
    "filter": lambda y: ss.filter(KNOWN, y),
    "smooth": lambda y: ss.smooth(KNOWN, y),
    "log_likelihood": lambda y: ss.log_likelihood(KNOWN, y),
    "sample_states": lambda y: ss.sample_states(KNOWN, y, num_samples=1, key=KEY),
    "forecast": lambda y: ss.forecast(KNOWN, y, horizon=2),
    "default_priors": lambda y: ss.default_priors(UNKNOWN, y),
}
BAD_DATA = {
    "wrong rank": (np.zeros((4, 1, 2)), ValueError, "wrong rank.*expected 1 .time. or 2"),
    "object column": (pd.Series(["1", "two", "3"], MONTHS[:3], name="y"), TypeError, "column 'y'"),
    "complex column": (VALUES + 1j, TypeError, "complex"),
    "duplicate dates": (pd.Series([1.0, 2.0, 3.0], MONTHS[[0, 1, 1]]), ValueError, "duplicate stamps.*2020-02-01"),
    "unsorted dates": (pd.Series([1.0, 2.0, 3.0], MONTHS[[0, 2, 1]]), ValueError, "unsorted stamps.*sort_index"),
    "all missing": (pd.Series(np.nan, MONTHS, name="y"), ValueError, "'y' is all missing: got 24 NaN"),
    "infinite": (pd.Series(np.where(VALUES > 3.9, np.inf, VALUES), MONTHS), ValueError, "infinite value"),
    "empty": (np.zeros(0), ValueError, "is empty"),
    "text": ("the data", TypeError, "got str, expected a pandas Series"),
}


@pytest.mark.parametrize("kind", BAD_DATA)
@pytest.mark.parametrize("verb", VERBS)
def test_bad_data_at_every_verb(verb, kind):
    data, error, text = BAD_DATA[kind]
    with pytest.raises(error, match=text):
        VERBS[verb](data)


def test_no_frequency_at_forecast():
    days = pd.DatetimeIndex(["2020-01-01", "2020-01-02", "2020-01-05", "2020-01-11"])
    with pytest.raises(ValueError, match=r"no frequency at forecast.*times=.*asfreq"):
        ss.forecast(KNOWN, pd.Series([1.0, 2.0, 3.0, 2.0], days), horizon=3)


def test_the_forecast_needs_a_horizon():
    with pytest.raises(ValueError, match=r"neither horizon= nor times="):
        ss.forecast(KNOWN, Y)
    with pytest.raises(ValueError, match="positive whole number"):
        ss.forecast(KNOWN, Y, horizon=0)
    with pytest.raises(TypeError, match="positive whole number"):
        ss.forecast(KNOWN, Y, horizon=1.5)


def test_inputs_missing_for_the_data_and_for_the_horizon():
    price = pd.DataFrame({"price": VALUES}, MONTHS)
    with pytest.raises(ValueError, match="'price' that the model reads"):
        ss.filter(REGRESSION, Y)
    with pytest.raises(ValueError, match="'price'.*future values"):
        ss.forecast(REGRESSION, Y, past_inputs=price, horizon=3)
    ahead = pd.DataFrame({"price": [1.0, 2.0]}, pd.date_range("2022-01-01", periods=2, freq="MS"))
    with pytest.raises(ValueError, match="2 of the 3 rows that the forecast needs.*2022-03-01"):
        ss.forecast(REGRESSION, Y, past_inputs=price, inputs=ahead, horizon=3)
    with pytest.raises(ValueError, match="reads 'price'"):
        ss.filter(REGRESSION, Y, inputs=price.rename(columns={"price": "cost"}))


def test_inputs_that_no_component_reads():
    with pytest.raises(ValueError, match="inputs="):
        ss.filter(KNOWN, Y, inputs=pd.DataFrame({"price": VALUES}, MONTHS))


@pytest.mark.parametrize("argument", ["priors", "fixed"])
def test_unknown_parameter(argument):
    value = dist.HalfNormal(1.0) if argument == "priors" else 1.0
    with pytest.raises(
        ValueError, match=rf"{argument} name 'level.sd'.*level.scale, ?'?noise.scale|{argument}.*level.scale"
    ):
        ss.fit(UNKNOWN, Y, ss.MAP(), progress=False, **{argument: {"level.sd": value}})


def test_prior_outside_the_support():
    with pytest.raises(ValueError, match="outside the parameter's support"):
        ss.fit(UNKNOWN, Y, ss.MAP(), priors={"level.scale": dist.Normal(0.0, 1.0)}, progress=False)


def test_prior_that_is_no_distribution_or_has_another_shape():
    with pytest.raises(TypeError, match="expected a NumPyro distribution"):
        ss.fit(UNKNOWN, Y, ss.MAP(), priors={"level.scale": 1.0}, progress=False)
    with pytest.raises(ValueError, match="shape"):
        ss.fit(UNKNOWN, Y, ss.MAP(), priors={"level.scale": dist.HalfNormal(np.ones(3))}, progress=False)


def test_priors_without_a_use():
    with pytest.raises(ValueError, match="maximum likelihood uses no priors"):
        ss.fit(UNKNOWN, Y, priors={"level.scale": dist.HalfNormal(1.0)}, progress=False)


@pytest.mark.parametrize("form", ["dummy", "trigonometric"])
def test_a_period_longer_than_the_series(form):
    with pytest.raises(ValueError, match="period 36 but the series has only 24 stamps"):
        ss.fit(ss.Seasonal(36, form=form) + ss.Noise(), Y, progress=False)


UNKNOWN_OPTIONS = {
    "Seasonal(form)": (lambda: ss.Seasonal(12, form="fourier"), "'dummy' or 'trigonometric', got 'fourier'"),
    "Seasonal(period)": (lambda: ss.Seasonal(1), "at least 2"),
    "Seasonal(harmonics)": (lambda: ss.Seasonal(12, form="trigonometric", harmonics=9), "1 to 6, got 9"),
    "Seasonal(dummy harmonics)": (lambda: ss.Seasonal(12, harmonics=2), "form='trigonometric'"),
    "NUTS(chain_method)": (lambda: ss.NUTS(chain_method="parallel"), "'auto', 'vectorised' or 'threads'"),
    "NUTS(num_samples)": (lambda: ss.NUTS(num_samples=0), "at least 1"),
    "NUTS(target_accept)": (lambda: ss.NUTS(target_accept=1.5), "between 0 and 1"),
    "MaximumLikelihood(num_starts)": (lambda: ss.MaximumLikelihood(num_starts=0), "at least 1"),
    "Intervention(kind)": (lambda: ss.Intervention("2020-03", kind="ramp"), "'step' or 'pulse', got 'ramp'"),
    "AutoRegressive(order)": (lambda: ss.AutoRegressive(0), "order 1 or more"),
    "Cycle(period_bounds)": (lambda: ss.Cycle(period_bounds=(5, 3)), "2 <= lower < upper"),
    "Regression(scale)": (lambda: ss.Regression(["x"], scale=[1.0]), "time_varying=True"),
    "Noise(correlation)": (lambda: ss.Noise(correlation=np.eye(2)), "correlated=True"),
    "transform": (lambda: ss.fit(UNKNOWN, Y, transform="sqrt", progress=False), "None, 'log' or 'boxcox'"),
    "log of what is not positive": (lambda: ss.fit(UNKNOWN, Y - 10, transform="log", progress=False), "values above 0"),
    "start": (lambda: ss.fit(UNKNOWN, Y, start={"level.sd": 1.0}, progress=False), "start names"),
}


@pytest.mark.parametrize("option", UNKNOWN_OPTIONS)
def test_an_unknown_option(option):
    call, text = UNKNOWN_OPTIONS[option]
    with pytest.raises(ValueError, match=text):
        call()


def test_methods_of_the_wrong_kind():
    with pytest.raises(TypeError, match="fit takes MaximumLikelihood"):
        ss.fit(UNKNOWN, Y, "nuts", progress=False)
    with pytest.raises(TypeError, match=r"Kalman\(\)"):
        ss.filter(KNOWN, Y, ss.NUTS())
    with pytest.raises(TypeError, match="expected a state-space model.*got dict"):
        ss.filter({"level": 1.0}, Y)


def test_exactly_one_term_observes():
    with pytest.raises(ValueError, match="second Noise"):
        ss.LocalLevel() + ss.Noise() + ss.Noise(name="more")
    with pytest.raises(ValueError, match=r"add Noise\(\)"):
        ss.filter(ss.LocalLevel(1.0), Y)


def test_components_are_told_apart_by_name():
    with pytest.raises(ValueError, match=r"'level' occurs twice.*name="):
        ss.LocalLevel() + ss.LocalLevel()
    with pytest.raises(TypeError, match="sum of components"):
        ss.LocalLevel() + 3.0


@pytest.mark.parametrize("verb", ["filter", "smooth", "log_likelihood", "forecast"])
def test_unknown_parameters_where_values_are_needed(verb):
    more = {"horizon": 2} if verb == "forecast" else {}
    with pytest.raises(ValueError, match=f"{verb} needs a value.*level.scale, noise.scale.*fit the model"):
        getattr(ss, verb)(UNKNOWN, Y, **more)


def test_simulating_what_is_not_known():
    with pytest.raises(ValueError, match="simulate needs a value.*level.scale"):
        ss.simulate(UNKNOWN, 5, key=KEY)
    with pytest.raises(ValueError, match="diffuse"):
        ss.simulate(KNOWN, 5, key=KEY)
    with pytest.raises(ValueError, match="either a length or times="):
        ss.simulate(KNOWN, key=KEY)


def test_random_numbers_need_a_key():
    with pytest.raises(ValueError, match=r"key=jax.random.key"):
        ss.fit(UNKNOWN, Y, ss.NUTS(), progress=False)
    with pytest.raises(ValueError, match=r"key=jax.random.key"):
        ss.forecast(KNOWN, Y, horizon=2, num_samples=5)


def test_data_are_needed_without_a_fit():
    with pytest.raises(ValueError, match="needs data"):
        ss.filter(KNOWN)
    with pytest.raises(ValueError, match="needs data"):
        ss.forecast(KNOWN, horizon=2)


def test_nothing_is_left_to_learn():
    with pytest.raises(ValueError, match="no parameter to learn"):
        ss.fit(UNKNOWN, Y, fixed={"level.scale": 1.0, "noise.scale": 1.0}, progress=False)


def test_events_outside_the_series():
    for at in ("2031-05-01", 99):
        with pytest.raises(ValueError, match="not a stamp of the data|outside the 24 stamps"):
            ss.filter(ss.LocalLevel(1.0) + ss.Intervention(at) + ss.Noise(1.0), Y)


def test_components_that_count_periods_need_even_stamps():
    days = pd.DatetimeIndex(["2020-01-01", "2020-01-02", "2020-01-05", "2020-01-11", "2020-01-12"])
    with pytest.raises(ValueError, match="counts periods.*asfreq"):
        ss.filter(ss.Seasonal(2, scale=1.0) + ss.Noise(1.0), pd.Series(np.arange(5.0), days))


def test_new_rows_that_do_not_follow():
    found = ss.filter(KNOWN, Y)
    with pytest.raises(ValueError, match="expected"):
        ss.append(found, pd.Series([1.0], MONTHS[:1], name="y"))


def test_backtest_origins():
    with pytest.raises(ValueError, match="origins lie between 12 and 18"):
        ss.backtest(UNKNOWN, Y, horizon=6, origins=[20], season=12, key=KEY, progress=False)


def test_no_saved_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ss.load(tmp_path / "missing.nc")
    other = tmp_path / "other.nc"
    other.write_text("not netCDF")
    with pytest.raises(ValueError, match="saved fit"):
        ss.load(other)


def test_a_file_of_another_kind(tmp_path):
    found = ss.fit(UNKNOWN, Y, ss.MaximumLikelihood(num_starts=1), progress=False)
    with pytest.raises(ValueError, match=r"\.nc .*\.zarr"):
        found.save(tmp_path / "fit.pickle")


def test_observing_nothing():
    with pytest.raises(ValueError, match="either a length or times="):
        ss.observe("y", KNOWN)
