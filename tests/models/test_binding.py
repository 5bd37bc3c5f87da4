"""What components need of the data: input columns, dates, stamps, and the priors in the data's unit."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, truncnorm

import statespace as ss
from statespace.core.parameters import parameters
from statespace.core.step import make_steps
from statespace.data import moment
from statespace.inference.priors import default_priors
from statespace.models.structural import (
    AutoRegressive,
    Binding,
    Common,
    Cycle,
    Intervention,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
)

STEP = make_steps(3)[1]
MONTHS = pd.date_range("2020-01-01", periods=8, freq="MS")


def bound(model, series=("y",), inputs=(), index=None, regular=True):
    return model.bind(Binding(tuple(series), tuple(inputs), (1.0,) * len(inputs), index, regular, moment))


def test_inputs_that_are_not_there():
    with pytest.raises(ValueError, match=r"regression needs the input columns 'b', 'd', but inputs= has 'a', 'c'"):
        bound(Regression(["a", "b", "d"]) + Noise(), inputs=["a", "c"])
    with pytest.raises(ValueError, match=r"needs the input column 'b', but inputs= was not given"):
        bound(Common(Regression(["b"])) + Noise(), "xy")
    with pytest.raises(ValueError, match=r"regression reads 'b', but no inputs= were given"):
        Regression(["b"]).loading(STEP)


@pytest.mark.parametrize("at", [-1, 8, "2019-12", "2020-09-01", "2020-03-02", pd.Timestamp("2019-12-01"), "law"])
def test_events_that_are_not_at_a_stamp(at):
    with pytest.raises(ValueError, match=r"event is at .*(not a stamp of the data|outside the 8 stamps of the data)"):
        bound(Intervention(at, name="event") + Noise(), index=MONTHS)


def test_events_are_looked_up_in_any_index():
    periods, days = pd.period_range("2020-01", periods=8, freq="M"), pd.date_range("2020-01-25", periods=20)
    cases = [
        (periods, "2020-03", 2), (periods, periods[3], 3), (days, "2020-02", 7), (pd.Index([0.0, 0.5, 2.5]), 2.5, 2.5),
        (pd.RangeIndex(1871, 1971), 28, 28), (MONTHS.tz_localize("Europe/Paris"), "2020-03", 2),
    ]  # fmt: skip
    for index, at, expected in cases:
        assert float(bound(Intervention(at) + Noise(), index=index).components[0].time) == expected
    with pytest.raises(ValueError, match="a date needs data with dates, or give a position"):
        bound(Intervention("2020-03") + Noise(1.0)).emission_matrices(STEP)


@pytest.mark.parametrize("form", ["dummy", "trigonometric"])
def test_a_series_shorter_than_the_period(form):
    bound(Seasonal(8, form=form) + Noise(), index=MONTHS)
    for part in (Seasonal(9, form=form), Common(Seasonal(9, form=form))):
        with pytest.raises(ValueError, match="seasonal9 has period 9 but the series has only 8 stamps"):
            bound(part + Noise(), index=MONTHS)
    with pytest.raises(ValueError, match="cycle has periods from 10 on but the series has only 8 stamps"):
        bound(Cycle(period_bounds=(10, 20)) + Noise(), index=MONTHS)


@pytest.mark.parametrize("part", [Seasonal(4), Cycle(), AutoRegressive(1), Common(Cycle())], ids=lambda p: p.name)
def test_components_that_count_periods_want_regular_stamps(part):
    with pytest.raises(ValueError, match=f"{part.name} counts periods, but the stamps are not evenly spaced"):
        bound(part + Noise(), regular=False)
    bound(LocalLevel() + LocalLinearTrend() + Regression(["u"]) + Intervention(1) + Noise(), inputs="u", regular=False)


# --- default priors -----------------------------------------------------------------------------------------


def test_the_prior_of_a_period_is_log_normal_between_its_bounds():
    law = parameters(Cycle(period_bounds=(3, 50)))["cycle.period"].default_prior(1.0)
    low, high = np.log(3), np.log(50)
    middle, spread = (low + high) / 2, (high - low) / 2
    x = np.array([3.1, 8.0, 12.0, 49.0])
    expected = truncnorm.logpdf(np.log(x), -1, 1, middle, spread) - np.log(x)
    np.testing.assert_allclose(law.log_prob(x), expected, rtol=1e-6)
    assert law.support(np.array([2.9, 3.1, 49.0, 51.0])).tolist() == [False, True, True, False]


def test_the_prior_of_an_autoregression_of_order_one():
    law = parameters(AutoRegressive(1))["ar.coefficients"].default_prior(1.0)
    x = np.array([[-0.9], [0.1], [0.7]])
    expected = norm.logpdf(np.arctanh(x), 0, 0.75) - np.log1p(-(x**2))
    np.testing.assert_allclose(law.log_prob(x), expected[:, 0], rtol=1e-10)


def test_priors_of_scales_are_in_the_data_s_unit():
    model = LocalLinearTrend() + Seasonal(4) + Cycle() + AutoRegressive(1) + Noise()
    one, three = (default_priors(model, scale) for scale in (1.0, 3.0))
    for name in ("trend.level_scale", "trend.slope_scale", "seasonal4.scale", "cycle.scale", "ar.scale", "noise.scale"):
        assert float(three[name].mean) == pytest.approx(3 * float(one[name].mean))
    part = Regression(["a", "b"], time_varying=True).bind(Binding(("y",), ("b", "a"), (10.0, 2.0), None))
    mean = np.asarray(default_priors(part, 3.0)["regression.scale"].mean)
    np.testing.assert_allclose(mean[0] / mean[1], 5)  # a step's size times the input's is in the data's unit


# --- known faults -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [np.datetime64("2020-03-01"), np.int64(2)], ids=repr)
def test_an_event_at_a_scalar_of_numpy(at):
    assert int(bound(Intervention(at) + Noise(), index=MONTHS).components[0].time) == 2


def test_a_number_of_harmonics_from_numpy():
    assert Seasonal(12, form="trigonometric", harmonics=np.int64(2)).harmonics == (1, 2)


def test_columns_named_by_numbers():
    assert Regression([0, 1]).full_names() == ("regression.0", "regression.1")


def test_too_many_scales_for_one_series():
    with pytest.raises(ValueError, match=r"noise.scale has shape \(2,\), expected \(\)"):
        ss.filter(LocalLevel(0.5) + Noise([1.0, 2.0]), np.ones(6))


@pytest.mark.parametrize("term", [LocalLevel(0.5, series="b"), Noise(0.5)], ids=lambda term: term.name)
def test_what_cannot_be_shared(term):
    with pytest.raises((TypeError, ValueError)):
        Common(term, weights=[2.0])


def test_a_single_weight_given_as_a_number():
    with pytest.raises(ValueError, match="weights"):
        Common(LocalLevel(), weights=2.0)


def test_damping_of_exactly_one():
    with pytest.raises(ValueError, match="damped=False|damping"):
        ss.log_likelihood(Cycle(8.0, 1.0, 0.3) + Noise(1.0), np.ones(6))


def test_noise_alone():
    with pytest.raises(ValueError, match="component"):
        ss.log_likelihood(Noise(1.0), np.ones(6))


def test_equal_state_names_made_from_different_names():
    with pytest.raises(ValueError, match="name="):
        LocalLinearTrend() + LocalLevel(name="trend.level")
