"""score_forecasts: scores of forecasts whose law is known."""

import jax
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import statespace as ss

SCALE, NOISE, HORIZON = 0.7, 1.3, 4


def model():
    return ss.LocalLevel(SCALE, initial=ss.InitialLaw.known([0.0])) + ss.Noise(NOISE)


@pytest.fixture(scope="module")
def panel():
    found = ss.simulate(model(), 30, num_samples=40, key=1).y.to_numpy()[:, :, 0]
    return {f"s{i}": pd.Series(row, name="y") for i, row in enumerate(found)}


@pytest.fixture(scope="module")
def scores(panel):
    return ss.score_forecasts(model(), panel, horizon=HORIZON, origins=[20, 26], num_samples=400, key=0, progress=False)


def test_scores_are_those_of_the_law(scores, panel):
    """Errors, PIT and CRPS agree with the exact normal forecasts; bands cover by that law, not by draws."""
    for number, (name, point) in enumerate(zip(scores.sequences, [20, 26] * 40, strict=True)):
        y = panel[name]
        exact = ss.forecast(model(), y[:point], horizon=HORIZON)
        actual = y.to_numpy()[point : point + HORIZON, None]
        np.testing.assert_allclose(scores.error[number], actual - exact.mean, atol=1e-12)
        np.testing.assert_allclose(scores.naive[number][:, 0], actual[:, 0] - y.iloc[point - 1])
        share = stats.norm.cdf(actual, exact.mean, exact.sd)
        assert np.all(np.abs(scores.pit[number] - share) < 5 * 0.5 / 400**0.5)
        np.testing.assert_array_equal(scores.inside[1, number], (share >= 0.05) & (share <= 0.95))
        crps = ss.diagnostics.crps_normal(exact.mean, exact.sd, actual)
        np.testing.assert_allclose(scores.crps[number], crps, atol=5 * exact.sd.max() / 400**0.5)


def test_tables_average_and_calibrated_forecasts_are_seen_to_be(scores):
    table = scores.table()
    assert table.index.tolist() == [1, 2, 3, 4]
    assert (table["count"] == 80).all()
    np.testing.assert_allclose(table["mae"], np.abs(scores.error).mean(axis=(0, 2)))
    np.testing.assert_allclose(table["rmse"] ** 2, (scores.error**2).mean(axis=(0, 2)))
    assert (table["mae_ratio"] < 1).all()
    overall = scores.table(by=[]).iloc[0]
    assert abs(overall["coverage_50"] - 0.5) < 3 * (0.25 / 80) ** 0.5  # 80 forecasts count as independent
    assert abs(overall["coverage_90"] - 0.9) < 3 * (0.09 / 80) ** 0.5
    assert len(scores.table(by=["sequence", "step"])) == 160
    assert scores.to_xarray()["inside"].dims == ("level", "forecast", "step", "series")
    assert "80 forecasts of 4 steps" in repr(scores)


def test_what_is_missing_is_left_out(panel):
    y = panel["s0"].copy()
    y[22] = np.nan
    found = ss.score_forecasts(model(), y, horizon=4, origins=[20], num_samples=50, key=0, progress=False)
    assert found.table()["count"].tolist() == [1, 1, 1]
    assert found.table().index.tolist() == [1, 2, 4]
    assert np.isnan(found.crps[0, 2, 0])
    assert np.isnan(found.inside[:, 0, 2, 0]).all()


def test_a_fit_is_scored_on_new_data_with_inputs_and_several_series():
    random = np.random.default_rng(0)
    x = pd.DataFrame({"x": random.normal(size=40)})
    y = pd.Series(10 * x["x"] + random.normal(size=40), name="y")
    fit = ss.fit(ss.LocalLevel() + ss.Regression(["x"]) + ss.Noise(), y, inputs=x, key=0, progress=False)
    found = ss.score_forecasts(fit, y, inputs=x, horizon=5, origins=3, key=0, progress=False)
    assert found.origins.tolist() == [19, 26, 34]
    assert found.table()["mae_ratio"].max() < 1.5
    assert np.abs(found.error).mean() < 0.3 * np.abs(found.naive).mean()
    own = ss.score_forecasts(fit, horizon=5, origins=3, key=0, progress=False)
    np.testing.assert_allclose(own.error, found.error)


def test_a_deep_model_is_scored_over_a_panel():
    model, guide = ss.deep_markov_model(2, latent=2, transition=4, emission=[4], encoder=4, key=0)
    random = np.random.default_rng(0)
    panel = {name: pd.DataFrame(random.integers(0, 2, (8, 2)), columns=["a", "b"]) for name in "uv"}
    fit = ss.fit(model, panel, ss.SVI(guide, num_steps=2), key=0, progress=False)
    found = ss.score_forecasts(fit, panel, horizon=3, origins=[5], num_samples=20, key=0, progress=False)
    assert found.error.shape == (2, 3, 2)
    assert found.sequences == ("u", "v")
    assert found.table(by="series").index.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 40}, "leaves too little"),
        ({"horizon": 2, "origins": [0]}, "leaves too little"),
        ({"horizon": 2, "origins": 0}, "at least 1"),
        ({"horizon": 2, "num_samples": 1}, "at least 2"),
        ({"horizon": 2, "levels": (0.5, 1.2)}, "between 0 and 1"),
    ],
)
def test_bad_options(panel, options, message):
    with pytest.raises(ValueError, match=message):
        ss.score_forecasts(model(), panel["s0"], key=jax.random.key(0), **options)


def test_bad_calls(scores):
    with pytest.raises(ValueError, match="needs data"):
        ss.score_forecasts(model(), horizon=2, key=0)
    with pytest.raises(ValueError, match="'steps' is unknown"):
        scores.table(by="steps")


def test_the_picture(scores):
    axes = ss.plots.calibration(scores)
    assert axes.shape == (3,)
    assert len(axes[0].patches) >= 10
    with pytest.raises(TypeError, match="score_forecasts"):
        ss.plots.calibration(3)


def test_a_regular_beginning_does_not_change_the_clock():
    """Irregular whole numbers whose first ones are evenly spaced: spacings count as they do for all of them."""
    stamps = np.array([0, 10, 20, 30, 40, 53, 54, 90])
    y = pd.Series(np.random.default_rng(0).normal(size=8).cumsum(), index=stamps)
    walk = ss.LocalLevel(1.0, initial=ss.InitialLaw.known([0.0])) + ss.Noise(0.1)
    found = [
        ss.score_forecasts(walk, series, horizon=2, origins=[4], num_samples=200, key=0, progress=False)
        for series in (y, y.set_axis(y.index.astype(float)))
    ]
    np.testing.assert_allclose(found[0].crps, found[1].crps)


def test_a_series_that_begins_late_has_no_last_value():
    y = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 2)).cumsum(axis=0), columns=["a", "b"])
    y.loc[:5, "b"] = np.nan
    pair = ss.LinearGaussian(np.eye(2), np.ones(2), np.eye(2), np.ones(2), np.zeros(2), np.ones(2))
    found = ss.score_forecasts(pair, y, horizon=2, origins=[5], num_samples=50, key=0, progress=False)
    row = found.table(by=[]).loc["all"]
    both = np.isfinite(found.naive) & np.isfinite(found.error)
    assert row["count"] == np.isfinite(found.error).sum() > both.sum()
    assert row["mae_ratio"] == pytest.approx(np.abs(found.error[both]).mean() / np.abs(found.naive[both]).mean())


def test_short_sequences_are_left_out(panel):
    short = {"long": panel["s0"], "short": panel["s1"][:4]}
    with pytest.warns(UserWarning, match="left out 'short'"):
        found = ss.score_forecasts(model(), short, horizon=4, num_samples=20, key=0, progress=False)
    assert found.sequences == ("long",)
