"""Specifications: models as text, and back."""

import json

import equinox as eqx
import numpy as np
import pandas as pd
import pytest

from statespace.core.parameters import parameters
from statespace.data import moment
from statespace.models.initial import InitialLaw
from statespace.models.linear import LinearGaussian
from statespace.models.specification import describe, rebuild
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

MONTHS = pd.date_range("2020-01-01", periods=8, freq="MS")
HOURS = pd.date_range("2020-01-01", periods=30, freq="h")
DAYS = pd.date_range("2020-01-25", periods=20, freq="D")
QUARTERS = pd.period_range("2020Q1", periods=5, freq="Q")
WEEKS = pd.period_range("2020-01-06", periods=5, freq="W")


def bound(model, series=("y",), inputs=(), index=None):
    return model.bind(Binding(tuple(series), tuple(inputs), (1.0,) * len(inputs), index, True, moment))


def stored(model):
    """The model after a round trip through the text of a file."""
    return rebuild(json.loads(json.dumps(describe(model))))


STORED = [
    LocalLevel(0.5, initial=InitialLaw.gaussian([1.0], [2.0])), LocalLinearTrend(0.5, 0, series="a"),
    Seasonal(4, scale=0.3, initial=InitialLaw.diffuse_law(3)), Seasonal(365.25, form="trigonometric", harmonics=[1, 3]),
    Cycle(9.0, scale=0.3, damped=False), Cycle(period_bounds=(3, 12)), AutoRegressive(2, [0.5, 0.2], 0.7),
    Regression(["a", "b"], time_varying=True, scale=[0.1, 0.2]), Regression("a", name="price"), Intervention(2),
    Intervention("2020-03", "pulse"), Common(Seasonal(3), weights=[2.0]), Noise(), Noise([0.5, 0.7]),
    Noise(0.5, correlated=True, correlation=[[1, 0.6], [0.6, 1]]), LocalLevel() + Seasonal(4),
    LinearGaussian(np.ones((5, 1, 1)), [0.3], [[1.0]], [0.4], diffuse=True, state_names=["m"]),
    bound(Common(LocalLevel()) + Seasonal(3) + Regression("u") + Intervention("2020-03") + Noise(), "ab", "u", MONTHS),
]  # fmt: skip


@pytest.mark.parametrize("model", STORED, ids=lambda model: getattr(model, "name", "sum"))
def test_a_specification_comes_back_whole(model):
    assert eqx.tree_equal(stored(model), model)
    assert list(parameters(stored(model))) == list(parameters(model))


@pytest.mark.parametrize(
    "index",
    [
        MONTHS, HOURS, DAYS, DAYS.tz_localize("Europe/Paris"), DAYS + pd.Timedelta(hours=12), MONTHS.to_period("M"),
        QUARTERS,
        WEEKS,
    ],
    ids=lambda index: index.freqstr,
)  # fmt: skip
def test_a_date_comes_back_as_text_that_finds_the_same_stamp(index):
    again = stored(Intervention(index[2]))
    assert isinstance(again.at, str)
    assert int(bound(again + Noise(), index=index).components[0].time) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: AutoRegressive(np.int64(2), [0.5, 0.2], 0.7),
        lambda: Seasonal(12, form="trigonometric", harmonics=np.arange(1, 3)),
    ],
)
def test_integers_of_numpy_come_back_as_integers(make):
    assert eqx.tree_equal(stored(make()), make())


def test_only_parts_of_the_library_are_described():
    class LocalLevel(eqx.Module):
        name: str = "level"

    with pytest.raises(TypeError, match="LocalLevel is not a model of statespace"):
        describe((LocalLevel(),))
    with pytest.raises(ValueError, match="class 'Volatility', which this version does not have"):
        rebuild({"class": "Volatility", "fields": {}})
