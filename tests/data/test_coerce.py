"""pandas, xarray, arrays and lists become one `Series`; what cannot be used raises, each in its own words."""

import datetime
import re
import warnings

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from statespace.data import append_series, as_series, join_series

NAN = np.nan
MONTHS = pd.date_range("2000-01-01", periods=6, freq="MS")
VALUES = np.array([1.0, 2.0, NAN, 4.0, 5.0, 7.0])
IRREGULAR = pd.DatetimeIndex(["2000-01-01", "2000-01-02 12:00", "2000-01-07", "2000-03-01"])


def monthly(name="drivers"):
    return pd.Series(VALUES, MONTHS, name=name)


def inputs_frame(index=MONTHS):
    rows = len(index)
    return pd.DataFrame({"law": np.arange(rows) > 2, "price": np.arange(rows) * 2, "text": ["a"] * rows}, index)


def test_a_pandas_series():
    series = as_series(monthly())
    assert series.names == ("drivers",)
    assert series.univariate
    assert series.values.shape == (6, 1)
    assert series.values.dtype == np.float64
    assert series.values[2, 0] == 0.0
    assert series.mask[:, 0].tolist() == [True, True, False, True, True, True]
    assert (series.freq, series.is_regular, series.complete, series.length) == ("MS", True, False, 6)
    assert series.inputs is None
    assert series.input_names == ()
    np.testing.assert_array_equal(series.observed[:, 0], VALUES)
    np.testing.assert_array_equal(series.time, np.arange(6))
    np.testing.assert_array_equal(series.dt, [NAN, 1, 1, 1, 1, 1])
    pd.testing.assert_series_equal(series.to_pandas(), monthly())


def test_a_frame_comes_back():
    frame = pd.DataFrame({"a": VALUES, "b": [1, 2, 3, 4, 5, 6]}, MONTHS)
    series = as_series(frame)
    assert series.names == ("a", "b")
    assert not series.univariate
    pd.testing.assert_frame_equal(series.to_pandas(), frame.astype(float))


def test_the_users_data_stay_their_own():
    data = np.ones(3)
    series = as_series(data)
    data[0] = 5.0
    assert series.values[0, 0] == 1.0


@pytest.mark.parametrize("freq", ["MS", "ME", "QS-JAN", "QE-DEC", "YS-JAN", "YE-DEC", "W-SUN", "D", "2D", "h", "s"])
@pytest.mark.parametrize("zone", [None, "Europe/London"])
def test_a_frequency_is_inferred(freq, zone):
    index = pd.date_range("2000-01-01", periods=8, freq=freq, tz=zone)
    bare = pd.DatetimeIndex(list(index))
    assert bare.freq is None
    series = as_series(pd.Series(np.arange(8.0), bare))
    assert series.freq == freq
    assert series.index.freq is not None
    np.testing.assert_array_equal(series.dt[1:], 1.0)
    np.testing.assert_array_equal(series.time, np.arange(8))


@pytest.mark.parametrize("freq", ["M", "Q-DEC", "Y-DEC", "W-SUN", "D"])
def test_periods(freq):
    series = as_series(pd.Series(np.arange(5.0), pd.period_range("2000", periods=5, freq=freq)))
    assert (series.freq, series.is_regular) == (freq, True)
    np.testing.assert_array_equal(series.dt[1:], 1.0)


def test_irregular_dates_are_measured_in_days():
    series = as_series(pd.Series([1.0, 2.0, 3.0, 4.0], IRREGULAR))
    assert (series.freq, series.is_regular) == (None, False)
    np.testing.assert_allclose(series.time, [0, 1.5, 6, 60])
    np.testing.assert_allclose(series.dt, [NAN, 1.5, 4.5, 54])


def test_two_dates_say_nothing_about_a_frequency():
    series = as_series(pd.Series([1.0, 2.0], MONTHS[:2]._with_freq(None)))
    assert not series.is_regular
    assert series.dt[1] == 31


@pytest.mark.parametrize(
    ("index", "regular", "time"),
    [
        (pd.RangeIndex(3), True, [0, 1, 2]),
        (pd.RangeIndex(10, 16, 2), True, [0, 1, 2]),
        (pd.Index([1871, 1872, 1873]), True, [0, 1, 2]),
        (pd.Index([2000, 2004, 2008]), True, [0, 1, 2]),
        (pd.Index([1, 2, 5]), False, [0, 1, 4]),
        (pd.Index([0.5, 1.0, 1.25]), False, [0, 0.5, 0.75]),
    ],
)
def test_numbers_as_stamps(index, regular, time):
    series = as_series(pd.Series([1.0, 2.0, 3.0], index))
    assert series.is_regular is regular
    assert isinstance(series.index, pd.RangeIndex) is regular
    assert series.freq is None
    np.testing.assert_allclose(series.time, time)
    assert list(series.index) == list(index)


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray, list, tuple, np.ma.masked_invalid, xr.DataArray])
def test_one_dimensional_arrays(make):
    data = make(VALUES)
    series = as_series(data.rename(dim_0="time") if isinstance(data, xr.DataArray) else data)
    assert series.names == ("y",)
    assert series.univariate
    assert isinstance(series.index, pd.RangeIndex)
    np.testing.assert_array_equal(series.observed[:, 0], VALUES)


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray])
def test_two_dimensional_arrays(make):
    series = as_series(make(np.ones((4, 2))))
    assert series.names == ("y0", "y1")
    assert not series.univariate
    one = as_series(make(np.ones((4, 1), np.float32)))
    assert (one.names, one.univariate, one.values.dtype) == (("y",), False, np.float64)


@pytest.mark.parametrize("dtype", ["int64", "float32", "bool", "Int64", "Float64", "boolean", "Sparse[float64]"])
def test_kinds_of_numbers(dtype):
    series = as_series(pd.Series([0, 1, 1], dtype=dtype))
    np.testing.assert_array_equal(series.values[:, 0], [0, 1, 1])
    assert series.complete


def test_missing_values_of_pandas():
    series = as_series(pd.Series([1, pd.NA, 3], dtype="Int64"))
    assert series.mask[:, 0].tolist() == [True, False, True]


def test_xarray():
    array = xr.DataArray(
        np.arange(12.0).reshape(6, 2), dims=("time", "series"), coords={"time": MONTHS, "series": ["a", "b"]}
    )
    series = as_series(array)
    assert (series.names, series.freq, series.univariate) == (("a", "b"), "MS", False)
    np.testing.assert_array_equal(as_series(array.T).values, series.values)
    named = as_series(array.sel(series="a").rename("flow"))
    assert (named.names, named.univariate) == (("flow",), True)
    dataset = xr.Dataset({"p": ("time", np.ones(6)), "q": ("time", np.zeros(6))}, {"time": MONTHS})
    assert as_series(dataset).names == ("p", "q")
    assert as_series(array.drop_vars("series")).names == ("y0", "y1")
    periods = array.sel(series="a").assign_coords(time=MONTHS.to_period("M"))
    assert as_series(periods).freq == "M"


def test_times_give_the_stamps():
    numbers = as_series([1.0, 2.0, 3.0], times=[0.5, 1.0, 2.5])
    np.testing.assert_allclose(numbers.time, [0, 0.5, 2])
    assert not numbers.is_regular
    steps = as_series([1.0, 2.0, 3.0], times=[0, 2, 4])
    assert (steps.is_regular, steps.dt[1]) == (False, 2.0)
    whole = as_series([1.0, 2.0, 3.0], times=np.array([5.0, 6.0, 7.0]))
    assert whole.is_regular
    assert list(whole.index) == [5, 6, 7]
    dates = [datetime.date(2000, 1, 1), datetime.date(2000, 1, 3), datetime.date(2000, 1, 4)]
    np.testing.assert_allclose(as_series(np.ones(3), times=dates).time, [0, 2, 3])
    assert as_series(VALUES, times=MONTHS).freq == "MS"
    assert as_series(VALUES, times=list(MONTHS)).freq == "MS"
    assert as_series(VALUES, times=pd.Series(MONTHS)).freq == "MS"
    assert as_series(VALUES, times=MONTHS.to_numpy()).freq == "MS"
    assert as_series(VALUES, times=MONTHS.to_period()).freq == "M"
    assert as_series(pd.Series(VALUES), times=jnp.arange(6)).is_regular


def test_rows():
    series = as_series(monthly(), inputs_frame(), input_columns=["price"])
    part = series.rows(2, 5)
    assert part.length == 3
    assert (part.index == MONTHS[2:5]).all()
    np.testing.assert_array_equal(part.time, [2, 3, 4])
    np.testing.assert_array_equal(part.dt, [1, 1, 1])
    np.testing.assert_array_equal(part.inputs, series.inputs[2:5])
    assert series.rows(-2).length == 2
    assert series.rows(0, 1).freq == "MS"
    assert "drivers: 6 stamps" in repr(series)


def test_other_observations_at_the_same_stamps():
    series = as_series(monthly())
    doubled = series.with_observed(2 * series.observed)
    np.testing.assert_array_equal(doubled.observed[:, 0], 2 * VALUES)
    assert not doubled.complete


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6, 1e200])
def test_scale(factor):
    frame = pd.DataFrame({"a": VALUES * factor, "b": 0.1 * factor})
    assert as_series(frame["a"]).scale()[0] == pytest.approx(np.nanstd(VALUES) * factor)
    assert as_series(frame).scale().tolist() == pytest.approx([np.nanstd(VALUES) * factor] * frame.shape[1])
    assert as_series(frame["b"]).scale().tolist() == [1.0]
    assert as_series([0.0, 0.0]).scale().tolist() == [1.0]


def test_input_scale():
    table = np.column_stack([np.arange(4.0), np.full(4, 5.0), np.zeros(4)])
    series = as_series(np.ones(4), table, input_columns=["a", "b", "c"])
    assert series.input_scale() == pytest.approx((np.std(np.arange(4)), 5.0, 1.0))
    assert as_series(np.ones(4)).input_scale() == ()


def test_inputs_are_chosen_by_name_and_stamp():
    longer = pd.date_range("1999-06-01", periods=24, freq="MS")
    shuffled = inputs_frame(longer).sample(frac=1.0, random_state=0)
    series = as_series(monthly(), shuffled, input_columns=("price", "law"))
    assert series.input_names == ("price", "law")
    np.testing.assert_array_equal(series.inputs, [[2 * i, i > 2] for i in range(7, 13)])
    assert series.inputs.dtype == np.float64


@pytest.mark.parametrize(
    "make", [np.asarray, jnp.asarray, lambda x: x.tolist(), lambda x: pd.DataFrame(x, MONTHS, ["a", "b"])]
)
def test_inputs_as_arrays(make):
    table = np.arange(12.0).reshape(6, 2)
    series = as_series(monthly(), make(table), input_columns=("a", "b"))
    assert series.input_names == ("a", "b")
    np.testing.assert_array_equal(series.inputs, table)


def test_one_input():
    for inputs in (
        np.arange(6),
        list(range(6)),
        pd.Series(range(6), MONTHS),
        pd.Series(range(6), MONTHS, name="x"),
    ):
        series = as_series(monthly(), inputs, input_columns=["x"])
        np.testing.assert_array_equal(series.inputs[:, 0], np.arange(6))
        assert series.input_names == ("x",)


def test_inputs_of_xarray():
    array = xr.DataArray(np.arange(12.0).reshape(6, 2), dims=("time", "k"), coords={"time": MONTHS, "k": ["b", "a"]})
    series = as_series(monthly(), array, input_columns=["a"])
    np.testing.assert_array_equal(series.inputs[:, 0], [1, 3, 5, 7, 9, 11])


def test_all_inputs_are_kept_where_the_model_takes_any():
    assert as_series([1.0, 2.0], np.ones((2, 3)), input_columns=None).input_names == ("x0", "x1", "x2")
    assert as_series(monthly(), inputs_frame()[["law"]], input_columns=None).input_names == ("law",)
    assert as_series([1.0, 2.0], input_columns=None).inputs is None


def test_numbered_inputs_of_data_with_times_are_in_order():
    series = as_series([1.0, 2.0], pd.DataFrame({"x": [3.0, 4.0]}), times=[0.5, 0.9], input_columns=["x"])
    np.testing.assert_array_equal(series.inputs[:, 0], [3, 4])


BAD_DATA = [
    (np.ones((2, 2, 2)), ValueError, "wrong rank, 3 with shape (2, 2, 2), expected 1"),
    (np.array(1.0), ValueError, "wrong rank, 0"),
    (xr.DataArray(np.ones((2, 2, 2)), dims=("time", "a", "b")), ValueError, "wrong rank"),
    (xr.DataArray(np.ones(2), dims="day"), ValueError, "expected 'time' first"),
    (xr.Dataset({"a": (("time", "b"), np.ones((2, 2)))}), ValueError, "none in a Dataset"),
    (pd.DataFrame({"a": [1.0, None]}, dtype=object), TypeError, "'a' as an object column"),
    (np.array([1.0, None]), TypeError, "object column"),
    ([1.0, None], TypeError, "object column"),
    (np.array([1.0, 2j]), TypeError, "complex numbers, expected real ones"),
    (["a", "b"], TypeError, "strings, expected numbers"),
    (pd.Series(["1", "2"]), TypeError, "strings, expected numbers"),
    (pd.Series(["1", 2.0], dtype="string"), TypeError, "strings, expected numbers"),
    (pd.Series(MONTHS), TypeError, "dtype datetime64"),
    (pd.Series(["a", "b"], dtype="category"), TypeError, "expected numbers"),
    ([1.0, np.inf], ValueError, "infinite value in column 'y' at 1"),
    ([], ValueError, "empty: got 0 rows"),
    (pd.DataFrame(index=MONTHS), ValueError, "empty: got 6 rows of 0 columns"),
    ([NAN, NAN], ValueError, "'y' is all missing: got 2 NaN"),
    (pd.DataFrame({"a": [1.0], "b": [NAN]}), ValueError, "'b' is all missing"),
    (
        [monthly(), monthly()],
        TypeError,
        "a list of several series, expected one; pass an array",
    ),
    ((np.ones(2), np.ones(3)), TypeError, "a list of several series"),
    ([[1.0], [2.0]], TypeError, "a list of several series"),
    ({"a": [1.0]}, TypeError, "got dict, expected a pandas Series"),
    (3.0, TypeError, "got float, expected"),
    (None, TypeError, "got NoneType, expected"),
    ("y.csv", TypeError, "got str, expected"),
    (pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]), ValueError, "two columns named 'a'"),
    (pd.Series([1.0, 2.0], MONTHS[[0, 0]]), ValueError, "duplicate stamps (first: 2000-01-01"),
    (pd.Series([1.0, 2.0], MONTHS[[1, 0]]), ValueError, "unsorted stamps (2000-01-01"),
    (pd.Series([1.0, 2.0], [2, 1]), ValueError, "unsorted stamps"),
    (pd.Series([1.0, 2.0], pd.DatetimeIndex(["2000-01-01", None])), ValueError, "missing or infinite stamp"),
    (pd.Series([1.0, 2.0], ["2000-01", "2000-02"]), TypeError, "got text as the stamps of the data"),
    (pd.Series([1.0], [datetime.date(2000, 1, 1)]), TypeError, "pd.to_datetime"),
    (pd.Series([1.0], pd.MultiIndex.from_tuples([(1, 2)])), TypeError, "got MultiIndex"),
    (
        pd.Series([1.0, 2.0], pd.PeriodIndex(["2000-01", "2000-03"], freq="M")),
        ValueError,
        "a gap after 2000-01",
    ),
]


@pytest.mark.parametrize(("data", "error", "message"), BAD_DATA, ids=range(len(BAD_DATA)))
def test_bad_data(data, error, message):
    with pytest.raises(error, match=re.escape(message)):
        as_series(data)


BAD_TIMES = [
    (VALUES, [0.0, 1.0], ValueError, "times= got 2 stamps, expected 6"),
    (np.ones(2), [1.0, 0.5], ValueError, "times= got unsorted stamps"),
    (np.ones(2), [1.0, 1.0], ValueError, "times= got duplicate stamps"),
    (np.ones(2), [1.0, NAN], ValueError, "times= got a missing or infinite stamp"),
    (np.ones(2), [1.0, np.inf], ValueError, "times= got a missing or infinite stamp"),
    (np.ones(2), ["2000-01-01", "2000-01-02"], TypeError, "got text as the stamps of times="),
    (np.ones(2), [[1.0, 2.0]], ValueError, "times= got 2 dimensions"),
    (monthly(), np.arange(6), ValueError, "got times= for the data that have an index of their own"),
]


@pytest.mark.parametrize(("data", "times", "error", "message"), BAD_TIMES, ids=range(len(BAD_TIMES)))
def test_bad_times(data, times, error, message):
    with pytest.raises(error, match=re.escape(message)):
        as_series(data, times=times)


def _hole(column="price"):
    frame = inputs_frame().astype({"price": float})
    frame.loc[MONTHS[3], column] = NAN
    return frame


BAD_INPUTS = [
    (inputs_frame(), (), ValueError, "inputs= but the model reads none"),
    (None, ("law",), ValueError, "got no inputs=, expected the columns 'law'"),
    (
        inputs_frame(),
        ("law", "petrol"),
        ValueError,
        "'law', 'price', 'text' but the model also reads 'petrol'",
    ),
    (np.ones((6, 3)), ("law",), ValueError, "an array of 3 columns, expected 1: 'law'"),
    (np.ones(6), ("law", "price"), ValueError, "an array of 1 columns, expected 2"),
    (np.ones(5), ("law",), ValueError, "inputs= got 5 rows, expected 6"),
    (np.ones((6, 1, 1)), ("law",), ValueError, "wrong rank"),
    (inputs_frame()[:4], ("law",), ValueError, "got 4 of the 6 rows that the data needs"),
    (inputs_frame()[:4], ("law",), ValueError, "first without inputs: 2000-05-01"),
    (
        inputs_frame(MONTHS.to_period("M")),
        ("law",),
        ValueError,
        "inputs= got periods of frequency M, expected dates",
    ),
    (
        inputs_frame(MONTHS.tz_localize("UTC")),
        ("law",),
        ValueError,
        "got dates in time zone UTC, expected dates",
    ),
    (inputs_frame(pd.RangeIndex(6)), ("law",), ValueError, "got numbers, expected dates as in the data"),
    (inputs_frame(MONTHS[[0, 0, 1, 2, 3, 4, 5]]), ("law",), ValueError, "inputs= got duplicate stamps"),
    (_hole(), ("law", "price"), ValueError, "a missing value in column 'price' at 2000-04-01"),
    (inputs_frame(), ("text",), TypeError, "inputs= got column 'text' of strings"),
    (inputs_frame().assign(price=np.inf), ("price",), ValueError, "inputs= got an infinite value"),
    ({"law": [1]}, ("law",), TypeError, "inputs= got dict"),
    ([[1.0], [2.0, 3.0]], ("law",), ValueError, "rows of different lengths"),
]


@pytest.mark.parametrize(("inputs", "columns", "error", "message"), BAD_INPUTS, ids=range(len(BAD_INPUTS)))
def test_bad_inputs(inputs, columns, error, message):
    with pytest.raises(error, match=re.escape(message)):
        as_series(monthly(), inputs, input_columns=columns)


def test_a_column_that_the_model_does_not_read_may_hold_anything():
    assert as_series(monthly(), _hole(), input_columns=["law"]).inputs.shape == (6, 1)


def _series(data):
    return as_series(data.iloc[:4])


@pytest.mark.parametrize(
    "index",
    [
        MONTHS,
        MONTHS.to_period("M"),
        pd.RangeIndex(6),
        pd.RangeIndex(3, 15, 2),
        pd.date_range("2000", periods=6, freq="YE", tz="UTC"),
        pd.DatetimeIndex([*IRREGULAR, "2000-03-03", "2000-04-01"]),
        pd.Index([0.0, 0.1, 0.5, 0.6, 2.0, 2.5]),
    ],
    ids=range(7),
)
@pytest.mark.parametrize("length", [1, 2])
def test_appended_rows_are_those_of_the_whole(index, length):
    data = pd.DataFrame({"a": VALUES, "b": VALUES[::-1]}, index).iloc[: 4 + length]
    inputs = pd.DataFrame({"x": np.arange(6.0)}, index)
    whole = as_series(data, inputs, input_columns=["x"])
    first = as_series(data[:4], inputs, input_columns=["x"])
    rows = append_series(first, data[4:][["b", "a"]], inputs=inputs)
    joined = join_series(first, rows)
    for got, wanted in ((rows, whole.rows(4)), (joined, whole)):
        for name in ("values", "mask", "time", "dt", "inputs"):
            np.testing.assert_allclose(getattr(got, name), getattr(wanted, name), atol=1e-12)
        pd.testing.assert_index_equal(got.index, wanted.index, exact="equiv")
        assert (got.names, got.freq, got.is_regular) == (wanted.names, wanted.freq, wanted.is_regular)
    assert joined.index.equals(whole.index)
    assert getattr(joined.index, "freq", None) == getattr(whole.index, "freq", None)


def test_arrays_follow_a_regular_series():
    rows = append_series(as_series(monthly()), [NAN])
    assert rows.index[0] == pd.Timestamp("2000-07-01")
    assert rows.univariate
    assert not rows.mask.any()
    assert append_series(as_series([1.0, 2.0], times=[0.0, 1.0]), [3.0], times=[2.0]).index[0] == 2
    later = append_series(as_series([1.0, 2.0], times=[0.0, 1.5]), [3.0], times=[2.0])
    np.testing.assert_allclose((later.time[0], later.dt[0]), (2.0, 0.5))


NEXT = MONTHS.shift(6)
BAD_ROWS = [
    (
        monthly(),
        pd.Series([1.0], MONTHS[5:]),
        {},
        "got the stamp 2000-06-01 00:00:00, expected 2000-07-01 00:00:00",
    ),
    (
        monthly(),
        pd.Series([1.0], NEXT[1:2]),
        {},
        "got the stamp 2000-08-01 00:00:00, expected 2000-07-01 00:00:00",
    ),
    (monthly(), pd.Series([1.0], NEXT[:1].to_period()), {}, "got periods of frequency M, expected dates"),
    (monthly(), pd.Series([1.0]), {}, "got numbers, expected dates"),
    (monthly(), pd.Series([1.0], NEXT[:1], name="front"), {}, "got the series 'front', expected 'drivers'"),
    (monthly(), np.ones((1, 2)), {}, "got the series 2 without names, expected 'drivers'"),
    (monthly(), [1.0], {"inputs": [1.0]}, "inputs= but the model reads none"),
    (pd.Series(VALUES), pd.Series([1.0]), {}, "got the stamp 0, expected 6"),
    (pd.Series([1.0] * 4, IRREGULAR), [1.0], {}, "got no stamps, expected later ones than 2000-03-01"),
    (pd.Series([1.0] * 4, IRREGULAR), [1.0], {"times": IRREGULAR[1:2]}, "expected later ones than the last"),
]


@pytest.mark.parametrize(("data", "new", "given", "message"), BAD_ROWS, ids=range(len(BAD_ROWS)))
def test_rows_that_do_not_follow(data, new, given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        append_series(as_series(data), new, **given)


def test_new_rows_need_inputs():
    series = as_series(monthly(), np.ones(6), input_columns=["x"])
    with pytest.raises(ValueError, match="got no inputs=, expected the columns 'x'"):
        append_series(series, [1.0])
    with pytest.raises(ValueError, match="got 0 of the 1 rows that the new rows needs"):
        append_series(series, [1.0], inputs=pd.Series(np.ones(6), MONTHS))
    np.testing.assert_array_equal(append_series(series, [1.0], inputs=[4.0]).inputs, [[4.0]])


def test_parts_of_different_series_do_not_join():
    with pytest.raises(ValueError, match="join parts of one series"):
        join_series(as_series(monthly()), as_series(monthly("front")))


def test_a_grid_with_a_few_dates_left_out_is_warned_about():
    months = pd.date_range("2000-01-01", periods=40, freq="MS")
    left = months.delete([12, 30])
    with pytest.warns(UserWarning, match=r"frequency 'MS' with 2 left out.*asfreq\('MS'\)"):
        series = as_series(pd.Series(np.arange(38.0), left))
    assert not series.is_regular
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_series(pd.Series(np.arange(38.0), left).asfreq("MS"))
        days = pd.Timestamp("2000-01-01") + pd.to_timedelta(np.arange(30) ** 2, unit="D")
        as_series(pd.Series(np.arange(30.0), days))
