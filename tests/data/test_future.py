"""Stamps and inputs of a forecast continue those of the data."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from statespace.data import as_series, future, future_index

MONTHS = pd.date_range("2000-01-01", periods=6, freq="MS", name="month")
AHEAD = pd.date_range("2000-07-01", periods=3, freq="MS")
IRREGULAR = pd.DatetimeIndex(["2000-01-01", "2000-01-02 12:00", "2000-01-07", "2000-03-01"])


def monthly(inputs=None):
    columns = () if inputs is None else ("x",)
    return as_series(pd.Series(np.arange(6.0), MONTHS), inputs, input_columns=columns)


def irregular():
    return as_series(np.arange(4.0), times=IRREGULAR)


@pytest.mark.parametrize("freq", ["MS", "ME", "QS", "QE", "YS", "YE", "W", "B", "D", "2D", "h"])
@pytest.mark.parametrize("zone", [None, "Europe/London"])
def test_dates_continue(freq, zone):
    whole = pd.date_range("2000-01-01", periods=10, freq=freq, tz=zone)
    ahead = future_index(as_series(pd.Series(np.arange(6.0), whole[:6])), 4)
    pd.testing.assert_index_equal(ahead.index, whole[6:])
    np.testing.assert_array_equal(ahead.time, [6, 7, 8, 9])
    np.testing.assert_array_equal(ahead.dt, np.ones(4))
    assert ahead.length == 4
    assert ahead.inputs is None


@pytest.mark.parametrize("freq", ["M", "Q", "Y", "W", "D"])
def test_periods_continue(freq):
    whole = pd.period_range("2000", periods=10, freq=freq)
    ahead = future_index(as_series(pd.Series(np.arange(6.0), whole[:6])), np.int64(4))
    pd.testing.assert_index_equal(ahead.index, whole[6:])


def test_inferred_frequencies_continue_and_names_stay():
    index = pd.DatetimeIndex(list(MONTHS), name="month")
    ahead = future_index(as_series(pd.Series(np.arange(6.0), index)), 3)
    pd.testing.assert_index_equal(ahead.index, AHEAD.rename("month"))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.RangeIndex(3), [3, 4]),
        (pd.RangeIndex(1, 7, 2), [7, 9]),
        (pd.Index([2000, 2004, 2008]), [2012, 2016]),
    ],
)
def test_numbers_continue_with_their_step(index, expected):
    ahead = future_index(as_series(pd.Series([1.0, 2.0, 3.0], index)), 2)
    assert list(ahead.index) == expected
    np.testing.assert_array_equal(ahead.time, [3, 4])


def test_a_part_of_a_series_continues_where_it_ends():
    ahead = future_index(monthly().rows(1, 3), 2)
    assert ahead.index[0] == MONTHS[3]
    np.testing.assert_array_equal(ahead.time, [3, 4])


def test_irregular_stamps_need_times():
    ahead = future_index(irregular(), times=pd.DatetimeIndex(["2000-03-02", "2000-03-05"]))
    np.testing.assert_allclose(ahead.time, [61, 64])
    np.testing.assert_allclose(ahead.dt, [1, 3])
    with pytest.raises(ValueError, match=r"no frequency at forecast.*pass times="):
        future_index(irregular(), 3)
    numbers = future_index(as_series([1.0, 2.0], times=[0.5, 2.0]), times=[2.5, 4.0])
    np.testing.assert_allclose((numbers.time, numbers.dt), [[2, 3.5], [0.5, 1.5]])


def test_times_of_a_regular_series_are_checked():
    pd.testing.assert_index_equal(future_index(monthly(), times=AHEAD).index, AHEAD.rename("month"))
    assert future_index(monthly(), 3, times=list(AHEAD)).length == 3
    assert list(future_index(as_series([1.0, 2.0]), times=[2.0]).index) == [2]


def test_inputs_are_matched_by_stamp():
    index = pd.date_range("1999-01-01", periods=30, freq="MS")
    inputs = pd.DataFrame({"z": "text", "x": np.arange(30)}, index)
    series = monthly(inputs)
    ahead = future(series, horizon=3, inputs=inputs.iloc[::-1])
    np.testing.assert_array_equal(ahead.inputs, [[18], [19], [20]])
    assert ahead.input_names == ("x",)
    labelled = xr.DataArray(np.arange(30), dims="time", coords={"time": index}, name="x")
    np.testing.assert_array_equal(future(series, horizon=3, inputs=labelled).inputs, ahead.inputs)


def test_inputs_of_periods_and_numbers():
    periods = as_series(pd.Series(np.ones(6), MONTHS.to_period()), np.ones(6), input_columns=["x"])
    given = pd.Series([1, 2], AHEAD[:2].to_period())
    np.testing.assert_array_equal(future(periods, horizon=2, inputs=given).inputs[:, 0], [1, 2])
    frame = pd.DataFrame({"x": np.arange(9)})
    numbers = as_series(np.ones(6), frame, input_columns=["x"])
    np.testing.assert_array_equal(future(numbers, horizon=3, inputs=frame).inputs[:, 0], [6, 7, 8])


def test_inputs_as_arrays_are_the_next_rows():
    ahead = future(monthly(np.ones(6)), horizon=3, inputs=[1, 2, 3])
    np.testing.assert_array_equal(ahead.inputs[:, 0], [1, 2, 3])
    series = as_series(np.ones(4), np.ones(4), times=IRREGULAR, input_columns=["x"])
    given = {"times": ["2000-04-01"], "inputs": pd.DataFrame({"x": [7.0]})}
    given["times"] = pd.to_datetime(given["times"])
    np.testing.assert_array_equal(future(series, **given).inputs, [[7]])


def test_no_inputs():
    assert future(monthly(), horizon=2).inputs is None


BAD = [
    ({}, ValueError, "got neither horizon= nor times="),
    ({"horizon": 0}, ValueError, "got horizon=0, expected a positive whole number"),
    ({"horizon": -2}, ValueError, "got horizon=-2"),
    ({"horizon": 2.0}, TypeError, "got horizon=2.0, expected a positive whole number"),
    ({"horizon": True}, TypeError, "got horizon=True"),
    ({"horizon": "3"}, TypeError, "got horizon='3'"),
    ({"horizon": 2, "times": AHEAD}, ValueError, "got horizon=2 and 3 times="),
    ({"times": AHEAD[1:]}, ValueError, "got the stamp 2000-08-01 00:00:00, expected 2000-07-01 00:00:00"),
    ({"times": AHEAD.to_period()}, ValueError, "times= got periods of frequency M, expected dates"),
    ({"times": AHEAD[[1, 0]]}, ValueError, "times= got unsorted stamps"),
    ({"times": AHEAD[[0, 0]]}, ValueError, "times= got duplicate stamps"),
    ({"times": [7.0]}, ValueError, "times= got numbers, expected dates"),
    ({"horizon": 2, "inputs": [1.0, 2.0]}, ValueError, "inputs= but the model reads none"),
]


@pytest.mark.parametrize(("given", "error", "message"), BAD, ids=range(len(BAD)))
def test_bad_horizons(given, error, message):
    with pytest.raises(error, match=re.escape(message)):
        future(monthly(), **given)


BAD_INPUTS = [
    (None, "got no inputs= for the forecast, expected 'x'"),
    ([1.0, 2.0], "inputs= got 2 rows, expected 3, one for each stamp of the forecast"),
    (np.ones(4), "inputs= got 4 rows, expected 3"),
    (np.ones((3, 2)), "an array of 2 columns, expected 1"),
    (pd.Series([1.0, 2.0], AHEAD[:2]), "inputs= got 2 of the 3 rows that the forecast needs"),
    (pd.Series([1.0, 2.0], AHEAD[:2]), "first without inputs: 2000-09-01"),
    (pd.Series(np.ones(6), MONTHS), "inputs= got 0 of the 3 rows that the forecast needs"),
    (pd.Series(np.ones(3), AHEAD.to_period()), "inputs= got periods of frequency M, expected dates"),
    (pd.DataFrame({"x": np.ones(3)}), "inputs= got numbers, expected dates"),
    (pd.DataFrame({"z": np.ones(3)}, AHEAD), "but the model also reads 'x'"),
    (pd.Series([1.0, np.nan, 2.0], AHEAD), "a missing value in column 'x' at 2000-08-01"),
]


@pytest.mark.parametrize(("inputs", "message"), BAD_INPUTS, ids=range(len(BAD_INPUTS)))
def test_bad_inputs(inputs, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        future(monthly(np.ones(6)), horizon=3, inputs=inputs)


def test_times_before_the_end_of_irregular_data():
    with pytest.raises(ValueError, match="expected later ones than the last of the data, 2000-03-01"):
        future_index(irregular(), times=pd.DatetimeIndex(["2000-02-01"]))
