"""Pictures of small results that only look like the real ones: what is drawn, named, dated and refused."""

from types import SimpleNamespace

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import special

from statespace import plots

YEARS = pd.date_range("1900-01-01", periods=60, freq="YS")
MONTHS = pd.date_range("1980-01-01", periods=60, freq="MS")
INDICES = {
    "years": YEARS,
    "months": MONTHS,
    "days": pd.date_range("2020-02-20", periods=60, freq="D"),
    "hours": pd.date_range("2020-02-28", periods=60, freq="h", tz="Europe/London"),
    "periods": MONTHS.to_period("M"),
    "counts": pd.RangeIndex(60),
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def make_forecast(index=MONTHS, names=("drivers",), ahead=24):
    past, future = index[:-ahead], index[-ahead:]
    history = pd.DataFrame(random(len(past), len(names)).cumsum(0), past, list(names))
    history.iloc[5:8] = np.nan
    mean = np.tile(history.iloc[-1].to_numpy(), (ahead, 1)) + 0.1 * np.arange(ahead)[:, None]
    sd = np.sqrt(1.0 + np.arange(ahead))[:, None] * np.ones(len(names))
    components = {name: (mean * share, sd * share) for name, share in (("trend", 0.7), ("seasonal", 0.3))}
    return SimpleNamespace(
        index=future,
        names=tuple(names),
        history=history,
        mean=mean,
        quantile=lambda q: mean + special.ndtri(q) * sd,
        components=components,
    )


def make_smoothed(index=MONTHS, names=("drivers",), states=("level", "slope", "season.1")):
    n, p, k = len(index), len(names), len(states)
    trend, season = random(n, p).cumsum(0), random(n, p, seed=1)
    state_residuals = random(n, k, seed=2) / 2
    state_residuals[:, 2:] = np.nan
    observation_residuals = random(n, p, seed=3) / 2
    observation_residuals[10] = np.nan
    observation_residuals[20], state_residuals[30, 0] = -4.5, 3.5
    return SimpleNamespace(
        index=index,
        names=tuple(names),
        state_names=tuple(states),
        mean=random(n, k, seed=4).cumsum(0),
        sd=np.ones((n, k)),
        components={"trend": (trend, np.ones((n, p))), "seasonal": (season, 0.5 * np.ones((n, p)))},
        observed=pd.DataFrame(trend + season + 0.1, index, list(names)),
        observation_residuals=observation_residuals,
        state_residuals=state_residuals,
    )


def make_filtered(index=MONTHS, names=("drivers",)):
    residuals = random(len(index), len(names))
    residuals[:2], residuals[10] = np.nan, np.nan
    return SimpleNamespace(index=index, names=tuple(names), residuals=residuals)


def make_fitted():
    rng = np.random.default_rng(0)
    return SimpleNamespace(
        draws={
            "level.scale": np.abs(rng.normal(1.0, 0.2, (2, 300))),
            "beta": rng.normal(size=(2, 300, 3)),
            "weights": rng.dirichlet([2.0, 3.0], (2, 300)),
            "damping": rng.beta(8, 2, (2, 300)),
            "known": np.full((2, 300), 2.0),
            "free": rng.normal(size=(2, 300)),
        },
        supports={},
        priors={
            "level.scale": dist.HalfNormal(2.0),
            "beta": dist.Normal(0.0, np.array([0.5, 1.0, 20.0])),
            "weights": dist.Dirichlet(np.ones(2)),
            "damping": dist.Uniform(0.0, 1.0),
            "known": dist.Gamma(0.5, 0.1),
        },
    )


def lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def bands(ax):
    """Lower and upper edge of every filled band, by label."""
    found = {}
    for area in ax.collections:
        corners = area.get_paths()[0].vertices
        x = np.unique(corners[:, 0])
        edges = np.array([[corners[corners[:, 0] == at, 1].min(), corners[corners[:, 0] == at, 1].max()] for at in x])
        found[area.get_label()] = edges.T
    return found


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


def draw(axes):
    """Renders for real: tick labels exist only then, and a broken artist shows only then."""
    figure = np.ravel(axes)[0].figure
    figure.canvas.draw()
    return figure


# forecast


def test_forecast_shows_the_past_the_mean_and_nested_bands():
    future = make_forecast()
    ax = plots.forecast(future)
    draw(ax)
    assert legend_of(ax) == ["observed", "forecast mean", "90 %", "50 %"]
    np.testing.assert_allclose(lines(ax)["forecast mean"].get_ydata(), future.mean[:, 0])
    np.testing.assert_allclose(lines(ax)["observed"].get_ydata(), future.history["drivers"])
    wide, narrow = bands(ax)["90 %"], bands(ax)["50 %"]
    assert (wide[0] < narrow[0]).all()
    assert (narrow[0] < narrow[1]).all()
    assert (narrow[1] < wide[1]).all()
    np.testing.assert_allclose(wide[1], future.quantile(0.95)[:, 0])
    assert ax.get_title(loc="left") == "drivers"


@pytest.mark.parametrize("history", [0, 5, 1000])
def test_forecast_shows_as_much_past_as_asked(history):
    future = make_forecast()
    observed = lines(plots.forecast(future, history=history))["observed"].get_ydata()
    assert len(observed) == min(history, len(future.history))


def test_forecast_levels_may_come_in_any_order():
    ax = plots.forecast(make_forecast(), levels=(0.8, 0.95, 0.5))
    assert legend_of(ax)[2:] == ["95 %", "80 %", "50 %"]


def test_forecast_of_several_series_has_a_panel_each():
    future = make_forecast(names=("front", "rear"))
    axes = plots.forecast(future)
    assert [ax.get_title(loc="left") for ax in axes] == ["front", "rear"]
    np.testing.assert_allclose(lines(axes[1])["forecast mean"].get_ydata(), future.mean[:, 1])


def test_forecast_one_stamp_ahead_is_visible():
    ax = plots.forecast(make_forecast(ahead=1))
    assert {area.get_label() for area in ax.collections} == {"90 %", "50 %"}
    assert any(line.get_marker() == "." for line in ax.lines)
    draw(ax)


def test_forecast_draws_where_it_is_told():
    _, given = plt.subplots()
    assert plots.forecast(make_forecast(), ax=given) is given
    with pytest.raises(ValueError, match="2 Axes are needed"):
        plots.forecast(make_forecast(names=("front", "rear")), ax=given)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"levels": (0.5, 90)}, "between 0 and 1, got 90"), ({"history": -1}, "at least 0, got -1")],
)
def test_forecast_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        plots.forecast(make_forecast(), **options)


# dates


@pytest.mark.parametrize("name", INDICES)
def test_every_index_plots_with_its_stamps(name):
    index = INDICES[name]
    smoothed = make_smoothed(index)
    dated = [
        plots.forecast(make_forecast(index)),
        plots.components(smoothed, names="trend")[-1],
        plots.states(smoothed, names="level")[-1],
        plots.diagnostics(make_filtered(index))[0],
        plots.auxiliary_residuals(smoothed)[-1],
    ]
    for ax in dated:
        draw(ax)
        assert isinstance(ax.xaxis.get_major_formatter(), mdates.ConciseDateFormatter) == (name != "counts")
        labels = [label.get_text() for label in ax.get_xticklabels() if label.get_text()]
        assert 2 <= len(labels) <= 10


def test_periods_stand_where_their_begin_stands():
    by_period = plots.forecast(make_forecast(MONTHS.to_period("M")))
    by_stamp = plots.forecast(make_forecast(MONTHS))
    np.testing.assert_array_equal(lines(by_period)["observed"].get_xdata(), lines(by_stamp)["observed"].get_xdata())


def test_history_and_forecast_share_the_axis():
    ax = plots.forecast(make_forecast())
    drawn = lines(ax)
    assert drawn["observed"].get_xdata()[-1] < drawn["forecast mean"].get_xdata()[0]
    assert drawn["forecast mean"].get_xdata()[0] == np.datetime64("1983-01-01")


@pytest.mark.parametrize(
    ("index", "label"),
    [
        (YEARS, "1920"),
        (MONTHS, "1981-09"),
        (pd.date_range("1980-03-31", periods=60, freq="QE"), "1985-03"),
        (INDICES["days"], "2020-03-11"),
        (INDICES["hours"], "2020-02-28 20:00"),
        (INDICES["periods"], "1981-09"),
        (INDICES["counts"], "20"),
    ],
)
def test_a_date_in_words_is_as_short_as_the_index_allows(index, label):
    axes = plots.auxiliary_residuals(make_smoothed(index))
    assert label in texts_of(axes[0])


# components and states


def test_components_have_a_panel_each_after_the_fit():
    smoothed = make_smoothed()
    axes = plots.components(smoothed)
    draw(axes)
    assert [ax.get_title(loc="left") for ax in axes] == ["drivers", "trend", "seasonal"]
    assert legend_of(axes[0]) == ["observed", "sum of components"]
    assert sorted(legend_of(axes[1])) == ["90 %", "mean"]
    total = smoothed.components["trend"][0] + smoothed.components["seasonal"][0]
    np.testing.assert_allclose(lines(axes[0])["sum of components"].get_ydata(), total[:, 0])


def test_component_bands_have_their_level():
    smoothed = make_smoothed()
    ax = plots.components(smoothed, names="seasonal", level=0.5)[1]
    low, high = bands(ax)["50 %"]
    np.testing.assert_allclose(high - low, 2 * 0.67448975 * 0.5)


def test_components_of_a_forecast_follow_the_past():
    axes = plots.components(make_forecast(), names=["trend"])
    assert legend_of(axes[0]) == ["observed", "forecast mean"]
    assert len(axes) == 2
    assert len(lines(axes[0])["observed"].get_ydata()) == 24


def test_components_of_several_series_have_a_column_each():
    smoothed = make_smoothed(names=("front", "rear"))
    mean, sd = smoothed.components["seasonal"]
    mean[:, 1] = sd[:, 1] = 0
    axes = plots.components(smoothed)
    draw(axes)
    assert axes.shape == (3, 2)
    assert [ax.get_title(loc="left") for ax in axes[:, 0]] == ["front", "trend", "seasonal"]
    assert [ax.get_title(loc="left") for ax in axes[:, 1]] == ["rear", "trend", ""]
    assert not axes[2, 1].axison
    assert axes[1, 1].xaxis.get_tick_params()["labelbottom"]


def test_a_component_that_is_zero_everywhere_keeps_its_panel():
    smoothed = make_smoothed()
    for moment in smoothed.components["seasonal"]:
        moment[:] = 0
    assert plots.components(smoothed)[2].get_title(loc="left") == "seasonal"


def test_states_have_a_panel_each():
    smoothed = make_smoothed()
    axes = plots.states(smoothed, names=["slope", "level"])
    draw(axes)
    assert [ax.get_title(loc="left") for ax in axes] == ["slope", "level"]
    np.testing.assert_allclose(lines(axes[0])["mean"].get_ydata(), smoothed.mean[:, 1])
    low, high = bands(axes[0])["90 %"]
    np.testing.assert_allclose(high - low, 2 * 1.6448536)


def test_many_states_fit_in_columns():
    axes = plots.states(make_smoothed(states=tuple(f"s{i}" for i in range(15))))
    assert axes.shape == (15,)
    assert axes[0].get_subplotspec().get_gridspec().ncols == 3
    draw(axes)


def test_unbounded_variances_leave_the_picture_finite():
    smoothed = make_smoothed()
    smoothed.sd[0] = np.inf
    ax = plots.states(smoothed, names="level")[0]
    draw(ax)
    assert np.isfinite(ax.get_ylim()).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: plots.components(make_smoothed(), names="cycle"),
            r"component \['cycle'\].*'trend', 'seasonal'",
        ),
        (lambda: plots.states(make_smoothed(), names=["level", "x"]), r"state \['x'\].*'level', 'slope'"),
        (lambda: plots.diagnostics(make_filtered(), series="rear"), r"series \['rear'\].*'drivers'"),
        (lambda: plots.priors(make_fitted(), names="sigma"), r"parameter \['sigma'\].*'level.scale'"),
        (lambda: plots.states(make_smoothed(), level=1.0), "between 0 and 1"),
        (lambda: plots.states(make_smoothed(), names=[]), "no state to draw"),
        (lambda: plots.auxiliary_residuals(make_smoothed(), threshold=0), "positive"),
    ],
)
def test_unknown_names_and_options_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_result_without_components_is_refused():
    future = make_forecast()
    future.components = None
    with pytest.raises(TypeError, match=r"has none; ss\.plots\.forecast can draw it"):
        plots.components(future)
    future.components = {}
    with pytest.raises(ValueError, match="no component to draw"):
        plots.components(future)


# diagnostics


def test_diagnostics_have_four_panels_with_their_statistics():
    axes = plots.diagnostics(make_filtered(), lags=12)
    draw(axes)
    assert axes.shape == (4,)
    printed = [" ".join(texts_of(ax)) for ax in axes]
    for text, statistic in zip(printed, ["H(19) = ", "kurtosis = ", "Jarque-Bera = ", "Ljung-Box(12) = "], strict=True):
        assert statistic in text
    assert legend_of(axes[1]) == ["residuals", "normal"]


def test_a_tiny_p_value_is_not_printed_as_zero():
    filtered = make_filtered()
    filtered.residuals[:] = random(60, 1).cumsum(0)
    (text,) = texts_of(plots.diagnostics(filtered)[3])
    assert text.endswith("p < 0.001")


def test_correlogram_shows_every_lag():
    ax = plots.diagnostics(make_filtered(), lags=12)[3]
    np.testing.assert_array_equal(ax.lines[-1].get_xdata(), np.arange(1, 13))


def test_residuals_keep_their_gaps_and_quantiles_leave_them_out():
    axes = plots.diagnostics(make_filtered())
    over_time = [line for line in axes[0].lines if len(line.get_ydata()) == 60]
    assert np.isnan(over_time[0].get_ydata()).sum() == 3
    assert len(axes[2].lines[-1].get_ydata()) == 57


def test_diagnostics_of_several_series_have_a_row_each():
    axes = plots.diagnostics(make_filtered(names=("front", "rear")))
    draw(axes)
    assert axes.shape == (2, 4)
    assert axes[1, 0].get_title(loc="left").startswith("rear: ")
    assert plots.diagnostics(make_filtered(names=("front", "rear")), series="rear").shape == (4,)


# auxiliary residuals


def test_large_auxiliary_residuals_are_dated():
    axes = plots.auxiliary_residuals(make_smoothed())
    draw(axes)
    assert [ax.get_title(loc="left") for ax in axes] == ["observation", "state: level", "state: slope"]
    assert [texts_of(ax) for ax in axes] == [["1981-09"], ["1982-07"], []]


def test_neighbours_of_a_large_one_are_not_labelled_over_it():
    smoothed = make_smoothed()
    smoothed.observation_residuals[21] = -3.2
    smoothed.observation_residuals[22] = 3.2
    ax = plots.auxiliary_residuals(smoothed)[0]
    assert sorted(texts_of(ax)) == ["1981-09", "1981-11"]


def test_auxiliary_residuals_that_are_all_missing_are_refused():
    smoothed = make_smoothed()
    smoothed.observation_residuals[:] = np.nan
    smoothed.state_residuals[:] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        plots.auxiliary_residuals(smoothed)


# priors


def test_priors_have_a_panel_for_each_element():
    axes = plots.priors(make_fitted())
    draw(axes)
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[:5] == ["level.scale", "beta[0]", "beta[1]", "beta[2]", "weights[0]"]
    assert legend_of(axes[0]) == ["prior", "posterior"]


@pytest.mark.parametrize(
    ("name", "panel", "exact"),
    [
        ("level.scale", 0, dist.HalfNormal(2.0)),
        ("beta", 0, dist.Normal(0.0, 0.5)),
        ("beta", 2, dist.Normal(0.0, 20.0)),
        ("damping", 0, dist.Uniform(0.0, 1.0)),
    ],
)
def test_prior_curve_is_the_density(name, panel, exact):
    curve = lines(plots.priors(make_fitted(), names=name)[panel])["prior"]
    x, y = curve.get_data()
    np.testing.assert_allclose(y, np.exp(exact.log_prob(x)), rtol=1e-6)


def test_posterior_stays_in_the_support_and_integrates_to_one():
    x, y = lines(plots.priors(make_fitted(), names="damping")[0])["posterior"].get_data()
    assert x[0] >= 0
    assert x[-1] <= 1
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.01)


def test_a_wide_prior_does_not_squeeze_the_posterior():
    low, high = plots.priors(make_fitted(), names="beta")[2].get_xlim()
    assert high - low < 25  # the prior's central 98 % cover 93


def test_a_joint_prior_is_drawn_from_its_draws():
    x, y = lines(plots.priors(make_fitted(), names="weights")[0])["prior"].get_data()
    inside = (x > 0.1) & (x < 0.9)
    np.testing.assert_allclose(y[inside], 1.0, atol=0.2)  # an element of Dirichlet(1, 1) is uniform


def test_a_parameter_without_prior_or_without_spread_is_drawn():
    free, known = plots.priors(make_fitted(), names=["free", "known"])
    draw([free, known])
    assert list(lines(free)) == ["posterior"]
    assert lines(known)["posterior"].get_xdata()[0] == 2.0
    assert np.isfinite(known.get_ylim()).all()


def test_a_fit_without_draws_is_refused():
    with pytest.raises(TypeError, match="fit with NUTS"):
        plots.priors(SimpleNamespace(draws=None, priors={}))


def test_missing_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"statespace-jax\[plots\]"):
        plots.forecast(make_forecast())


def test_probabilities_of_discrete_states_are_stacked():
    probabilities = np.abs(random(60, 3))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = SimpleNamespace(index=MONTHS, state_names=("calm", "wild", "high"), probabilities=probabilities)
    (ax,) = plots.states(found)
    assert ax.get_legend_handles_labels()[1] == ["calm", "wild", "high"]
    top = np.concatenate([path.vertices[:, 1] for path in ax.collections[-1].get_paths()])
    assert top.max() == pytest.approx(1.0)
    assert ax.get_ylim() == (0, 1)
    (chosen,) = plots.states(found, names="wild")
    assert chosen.get_legend_handles_labels()[1] == ["wild"]


# particles


def make_particles(kept="quantiles", index=MONTHS, size=100):
    n, rng = len(index), np.random.default_rng(8)
    centre = np.stack([random(n).cumsum(), 5 + random(n, seed=1)], axis=1)
    spread = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    ess = rng.uniform(20, size, n)
    ess[[4, 30]] = 3.0
    cloud = centre[:, None] + rng.normal(size=(n, size, 2))
    return SimpleNamespace(
        index=index,
        state_names=("level", "slope"),
        num_particles=size,
        ess=ess,
        resampled=np.arange(n) % 7 == 5,
        filter_method=SimpleNamespace(threshold=0.5),
        series=SimpleNamespace(observed=centre[:, :1] + 0.2),
        quantiles=centre[:, None] + spread[:, None] if kept == "quantiles" else None,
        mean=centre if kept == "moments" else None,
        sd=np.ones((n, 2)) if kept == "moments" else None,
        particles=cloud if kept == "history" else None,
        log_weights=np.full((n, size), -np.log(size)) if kept == "history" else None,
    )


def test_particles_have_a_fan_each_above_their_effective_size():
    found = make_particles()
    axes = plots.particles(found, observed="level")
    draw(axes)
    assert [ax.get_title(loc="left") for ax in axes] == ["level", "slope", "effective sample size"]
    assert legend_of(axes[0]) == ["90 %", "50 %", "median", "observed"]
    assert legend_of(axes[2]) == ["resampled below", "below 10", "resampled"]
    np.testing.assert_allclose(lines(axes[1])["median"].get_ydata(), found.quantiles[:, 2, 1])
    np.testing.assert_allclose(bands(axes[0])["90 %"][1], found.quantiles[:, 4, 0])
    np.testing.assert_allclose(lines(axes[0])["observed"].get_ydata(), found.series.observed[:, 0])
    np.testing.assert_allclose(lines(axes[2])["below 10"].get_ydata(), [3.0, 3.0])
    assert "100 particles, resampled at 8 of 60 stamps" in texts_of(axes[2])
    assert axes[2].get_ylim()[0] == 0


def test_particles_draw_what_was_kept():
    ax = plots.particles(make_particles("moments"), names="slope")[0]
    low, high = bands(ax)["90 %"]
    np.testing.assert_allclose(high - low, 2 * 1.6448536)
    found = make_particles("history")
    ax = plots.particles(found, names="slope", transform=np.exp)[0]
    median = np.log(lines(ax)["median"].get_ydata())
    np.testing.assert_allclose(median, np.median(found.particles[:, :, 1], axis=1), atol=0.1)
    assert len(plots.particles(make_particles("nothing"), names=())) == 1
    with pytest.raises(ValueError, match="nothing of the states was kept"):
        plots.particles(make_particles("nothing"))


def test_particles_refuse():
    with pytest.raises(TypeError, match="ss.filter"):
        plots.particles(object())
    with pytest.raises(ValueError, match="no state that is drawn"):
        plots.particles(make_particles(), names="slope", observed="level")
    with pytest.raises(ValueError, match="3 Axes are needed"):
        plots.particles(make_particles(), axes=plt.subplots()[1])
