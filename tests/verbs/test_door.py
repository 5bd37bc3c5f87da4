"""What the verbs make of data, fits and keys that a user is likely to pass."""

import jax
import numpy as np
import numpyro
import pandas as pd
import pytest

import statespace as ss

RNG = np.random.default_rng(0)
MONTHS = pd.date_range("2000", periods=40, freq="MS")
PAIR = pd.DataFrame({"a": RNG.normal(size=40).cumsum(), "b": 100 + 10 * RNG.normal(size=40).cumsum()}, MONTHS)
LEVEL = ss.LocalLevel() + ss.Noise()


@pytest.fixture(scope="module")
def pair_fit():
    return ss.fit(LEVEL, PAIR, ss.MaximumLikelihood(num_starts=1), progress=False)


@pytest.fixture(scope="module")
def nile_fit():
    return ss.fit(LEVEL, ss.datasets.nile(), ss.MaximumLikelihood(num_starts=1), progress=False)


def test_columns_in_another_order_are_put_right(pair_fit):
    expected = ss.filter(pair_fit, PAIR)
    found = ss.filter(pair_fit, PAIR[["b", "a"]])
    assert found.names == ("a", "b")
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_allclose(ss.filter(pair_fit, PAIR.to_numpy()).mean, expected.mean)
    with pytest.raises(ValueError, match="the data have the series 'a', 'c', but the model was fitted to 'a', 'b'"):
        ss.filter(pair_fit, PAIR.rename(columns={"b": "c"}))


def test_default_priors_are_on_each_series_scale():
    priors = ss.default_priors(LEVEL, PAIR)
    sd = PAIR.std(ddof=0)
    np.testing.assert_allclose(priors["noise.scale"].base_dist.scale, sd)
    ratio = priors["level[b].scale"].scale / priors["level[a].scale"].scale
    assert ratio == pytest.approx(sd["b"] / sd["a"])
    assert repr(priors).splitlines()[0].startswith("level[a].scale ~ HalfNormal(scale=")


def test_a_zero_variance_of_one_series(pair_fit):
    """Series a is a random walk without noise: an element of a vector of scales is reported at zero."""
    walk = PAIR.assign(b=PAIR["b"] + 30 * np.random.default_rng(1).normal(size=40))
    fit = ss.fit(LEVEL, walk, ss.MaximumLikelihood(num_starts=1), progress=False)
    table = fit.summary()
    zeros = list(table.index[table["note"] == "at zero"])
    assert zeros == ["noise.scale[0]"]
    assert float(fit.estimates["noise.scale"][0]) == 0.0
    assert np.isfinite(table.drop(index=zeros)["std_error"]).all()
    with pytest.raises(ValueError, match="a zero holds a whole parameter at zero, not one element"):
        ss.fit(ss.LocalLevel() + ss.Noise([0.0, 1.0]), PAIR, progress=False)


def test_intervals_of_scales_stay_positive(nile_fit):
    table = nile_fit.summary()
    u, se = np.log(table["estimate"]), table["std_error"] / table["estimate"]
    np.testing.assert_allclose(table["lower_95"], np.exp(u - 1.959964 * se), rtol=1e-5)
    np.testing.assert_allclose(table["upper_95"], np.exp(u + 1.959964 * se), rtol=1e-5)


def test_a_fit_where_a_model_is_expected(nile_fit):
    y = ss.datasets.nile()
    assert ss.log_likelihood(nile_fit) == pytest.approx(nile_fit.log_likelihood, abs=1e-9)
    assert ss.log_likelihood(nile_fit, y[:50]) == pytest.approx(ss.log_likelihood(nile_fit.model, y[:50]))
    proper = ss.LocalLevel(initial=ss.InitialLaw.gaussian([1000.0], [100.0])) + ss.Noise()
    fit = ss.fit(proper, y, ss.MaximumLikelihood(num_starts=1), progress=False)
    assert ss.simulate(fit, 7, num_samples=3, key=0).y.shape == (3, 7, 1)


def test_forecasts_go_on_from_a_filter(nile_fit):
    y = ss.datasets.nile()
    filtered = ss.append(ss.filter(nile_fit, y[:90]), y[90:])
    np.testing.assert_allclose(ss.forecast(filtered, horizon=3).mean, ss.forecast(nile_fit, horizon=3).mean)


def test_a_log_transform_is_kept_from_filter_to_forecast():
    y = ss.datasets.air_passengers()[:60]
    fit = ss.fit(LEVEL, y, ss.MaximumLikelihood(num_starts=1), transform="log", progress=False)
    ahead = ss.forecast(ss.append(ss.filter(fit, y[:50]), y[50:]), horizon=2)
    np.testing.assert_allclose(ahead.mean, ss.forecast(fit, horizon=2).mean, rtol=1e-10)


def test_one_table_of_inputs_serves_past_and_future():
    x = pd.DataFrame({"x": RNG.normal(size=40)}, MONTHS)
    model = ss.LocalLevel(1.0) + ss.Regression(["x"]) + ss.Noise(1.0)
    one = ss.forecast(model, PAIR["a"][:38], horizon=2, inputs=x)
    two = ss.forecast(model, PAIR["a"][:38], horizon=2, inputs=x[38:], past_inputs=x[:38])
    np.testing.assert_array_equal(one.mean, two.mean)


def test_an_event_keeps_its_date_in_other_data():
    y = PAIR["a"]
    fit = ss.fit(
        ss.LocalLevel(1.0) + ss.Intervention(20, name="event") + ss.Noise(), y,
        ss.MaximumLikelihood(num_starts=1), progress=False,
    )  # fmt: skip
    later = ss.filter(fit, y[10:])
    expected = ss.filter(
        ss.LocalLevel(1.0) + ss.Intervention(str(MONTHS[20]), name="event") + fit.model.observation, y[10:]
    )
    np.testing.assert_allclose(later.mean, expected.mean)
    assert np.isfinite(ss.filter(fit, y[30:]).mean[-1]).all()  # it came before
    assert not np.isfinite(ss.filter(fit, y[:15]).cov[-1]).all()  # it comes after: its effect is still open


def test_a_coefficient_that_cannot_be_told_from_the_level():
    x = pd.DataFrame({"one": np.ones(40)}, MONTHS)
    model = ss.LocalLevel() + ss.Regression(["one"]) + ss.Noise()
    fit = ss.fit(model, PAIR["a"], ss.MaximumLikelihood(num_starts=1), inputs=x, progress=False)
    assert not fit.status.converged
    assert "do not identify regression.one" in fit.status.message


def test_a_batch_and_columns_are_not_mixed_up():
    def program(y):
        with numpyro.plate("series", 2):
            scale = numpyro.sample("scale", numpyro.distributions.HalfNormal(1.0))
            ss.observe("y", ss.LocalLevel(scale=scale) + ss.Noise(scale=1.0), y)

    with numpyro.handlers.seed(rng_seed=0):
        program(PAIR.to_numpy().T)
        with pytest.raises(ValueError, match=r"batch shape \(2,\), but y is 40 stamps of 2 series"):
            program(PAIR)


def test_several_series_without_data():
    start = ss.InitialLaw.known([0.0])
    found = ss.simulate(ss.LocalLevel(1.0, initial=start) + ss.Noise([1.0, 2.0]), 4, series=["a", "b"], key=1)
    assert list(found.coords["series"].values) == ["a", "b"]
    shared = ss.Common(ss.LocalLevel(1.0, initial=start), weights=[2.0]) + ss.Noise(0.1)
    assert ss.simulate(shared, 4, key=1).y.shape == (1, 4, 2)


def test_prior_predictive_with_nothing_to_learn():
    known = ss.LocalLevel(1.0) + ss.Noise(1.0)
    fixed = {"level.scale": 1.0, "noise.scale": 1.0}
    assert ss.prior_predictive(known, PAIR["a"], fixed=fixed, num_samples=3, key=0).y.shape == (3, 40, 1)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda f: ss.filter(f, inputs=PAIR), ValueError, "go with data; the fit has its own"),
        (lambda f: ss.forecast(f.model, 12), TypeError, "horizon= is given by name"),
        (lambda f: ss.filter(f.model, np.ones((1, 9))), ValueError, r"one stamp of 9 series.*data\.T"),
        (lambda f: ss.plots.diagnostics(f), TypeError, r"what ss\.filter\(\.\.\.\) returns; a Fitted has none"),
        (lambda f: ss.fit(LEVEL, PAIR["a"], ss.NUTS(), priors={"level": None}, key=0), ValueError, "initial="),
        (lambda f: jax.jit(lambda s: ss.smooth(ss.LocalLevel(s) + ss.Noise(1.0), PAIR["a"]))(1.0), TypeError, "traces"),
    ],
    ids=["inputs", "horizon", "row", "plot", "prior of a state", "traced"],
)
def test_likely_mistakes(nile_fit, call, kind, message):
    with pytest.raises(kind, match=message):
        call(nile_fit)


def test_quantiles_at_several_levels(nile_fit):
    ahead = ss.forecast(nile_fit, horizon=2)
    assert ahead.quantile([0.1, 0.9]).shape == (2, 2, 1)
    np.testing.assert_array_equal(ahead.quantile([0.1])[0], ahead.quantile(0.1))


def test_a_filter_result_keeps_the_scale_of_its_data():
    y = ss.datasets.air_passengers()[:60]
    fit = ss.fit(LEVEL, y, ss.MaximumLikelihood(num_starts=1), transform="log", progress=False)
    filtered = ss.filter(fit, y[:50])
    np.testing.assert_allclose(ss.smooth(filtered, y).mean, ss.smooth(fit, y).mean, rtol=1e-12)
    np.testing.assert_allclose(ss.filter(filtered).mean, filtered.mean, rtol=1e-12)
    assert ss.log_likelihood(filtered, y) == pytest.approx(ss.log_likelihood(fit), abs=1e-10)


def test_inputs_in_a_plain_list_are_those_of_the_horizon():
    x = RNG.normal(size=40)
    model = ss.LocalLevel(1.0) + ss.Regression(["x"]) + ss.Noise(1.0)
    table = pd.DataFrame({"x": x}, MONTHS)
    lists = ss.forecast(model, PAIR["a"][:38], horizon=2, inputs=[[v] for v in x[38:]], past_inputs=table[:38])
    np.testing.assert_array_equal(lists.mean, ss.forecast(model, PAIR["a"][:38], horizon=2, inputs=table).mean)


def test_the_key_of_an_optimisation_draws_its_starts():
    def starts(**options):
        fit = ss.fit(LEVEL, PAIR["b"], ss.MAP(num_starts=2, max_iterations=1), progress=False, **options)
        return fit.status.details["starts"]

    assert starts(key=1)[0] == starts(key=2)[0]
    assert starts(key=1)[1] != starts(key=2)[1]
    assert starts()[1] == starts(key=0)[1]
