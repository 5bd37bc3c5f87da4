"""The shipped data sets: lengths, dates, frequencies and values known from their publications."""

from importlib import resources

import numpy as np
import pandas as pd
import pytest

from statespace import datasets

DATED = {
    "nile": (100, "1871-01-01", "1970-01-01", "YS"),
    "seatbelts": (192, "1969-01-01", "1984-12-01", "MS"),
    "air_passengers": (144, "1949-01-01", "1960-12-01", "MS"),
    "uk_gas": (108, "1960-01-01", "1986-10-01", "QS"),
    "us_accidental_deaths": (72, "1973-01-01", "1978-12-01", "MS"),
    "lake_huron": (98, "1875-01-01", "1972-01-01", "YS"),
    "lynx": (114, "1821-01-01", "1934-01-01", "YS"),
    "sunspots": (309, "1700-01-01", "2008-01-01", "YS"),
    "seattle_weather": (1461, "2012-01-01", "2015-12-31", "D"),
    "boarding_school_flu": (14, "1978-01-22", "1978-02-04", "D"),
}
COUNTED = {"gbp_usd": 750, "nutria": 120}
SHIPPED = (*DATED, *COUNTED)
MUSIC = ("jsb_chorales",)
GENERATED = ("lorenz63", "mackey_glass", "narma10", "Video", "bouncing_balls", "pendulum")
FIRST_AND_LAST = {
    "nile": (1120, 740),
    "air_passengers": (112, 432),
    "uk_gas": (160.1, 782.8),
    "us_accidental_deaths": (9007, 9240),
    "lake_huron": (580.38, 579.96),
    "lynx": (269, 3396),
    "sunspots": (5.0, 2.9),
    "gbp_usd": (-0.2397637281990161462, None),
    "nutria": (0.55, 2.65),
}
ORIGINALS = {
    "seatbelts": "Seatbelts",
    "air_passengers": "AirPassengers",
    "uk_gas": "UKgas",
    "us_accidental_deaths": "USAccDeaths",
    "lake_huron": "LakeHuron",
    "lynx": "lynx",
    "seattle_weather": "seattle-weather",
    "gbp_usd": "gbp_usd_9798",
    "nutria": "nutria",
}


@pytest.mark.parametrize("name", DATED)
def test_dates_and_frequency(name):
    length, first, last, freq = DATED[name]
    index = getattr(datasets, name)().index
    pd.testing.assert_index_equal(
        index, pd.date_range(first, last, freq=freq, name="time"), exact="equiv", check_names=True
    )
    assert len(index) == length
    assert index.freq == pd.tseries.frequencies.to_offset(freq)


@pytest.mark.parametrize("name", ["air_passengers", "uk_gas", "us_accidental_deaths", "lake_huron", "lynx"])
def test_dates_are_those_of_the_fractional_years(name):
    index = getattr(datasets, name)().index
    file = resources.files("statespace.datasets") / f"{name}.csv"
    years = np.loadtxt(file.read_text(encoding="utf-8").splitlines(), delimiter=",", skiprows=1, usecols=1)
    np.testing.assert_allclose(index.year + (index.month - 1) / 12, years, atol=1e-9)


@pytest.mark.parametrize("name", COUNTED)
def test_a_file_without_dates_has_a_range_index(name):
    index = getattr(datasets, name)().index
    assert isinstance(index, pd.RangeIndex)
    assert len(index) == COUNTED[name]


@pytest.mark.parametrize("name", SHIPPED)
def test_values_are_finite_floats_with_names(name):
    data = getattr(datasets, name)()
    assert np.isfinite(data.to_numpy()).all()
    assert data.to_numpy().dtype == np.float64
    assert isinstance(data, pd.DataFrame) or data.name


@pytest.mark.parametrize("name", FIRST_AND_LAST)
def test_first_and_last_value(name):
    data = getattr(datasets, name)()
    first, last = FIRST_AND_LAST[name]
    assert data.iloc[0] == pytest.approx(first, rel=1e-12)
    assert last is None or data.iloc[-1] == pytest.approx(last, rel=1e-12)


def test_totals_that_textbooks_print():
    assert datasets.nile().mean() == pytest.approx(919.35)
    assert datasets.lynx().max() == 6991
    assert datasets.air_passengers().max() == 622


def test_seatbelts_columns_and_law():
    data = datasets.seatbelts()
    expected = ["DriversKilled", "drivers", "front", "rear", "kms", "PetrolPrice", "VanKilled", "law"]
    assert list(data.columns) == expected
    assert data["drivers"].iloc[0] == 1687
    assert data["law"].sum() == 23
    assert data.index[data["law"] == 1][0] == pd.Timestamp("1983-02-01")


def test_seattle_weather_has_numbers_only():
    data = datasets.seattle_weather()
    assert list(data.columns) == ["precipitation", "temp_max", "temp_min", "wind"]
    assert data.loc["2012-01-02"].tolist() == [10.9, 10.6, 2.8, 4.5]
    assert (data["temp_max"] >= data["temp_min"]).all()


def test_the_outbreak_in_the_boarding_school():
    data = datasets.boarding_school_flu()
    assert data["in_bed"].tolist() == [3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4]
    assert data["convalescent"].sum() == 937


def test_the_public_names_are_those_of_files_and_generators():
    assert sorted(datasets.__all__) == sorted((*SHIPPED, *MUSIC, *GENERATED))


@pytest.mark.parametrize(("split", "count", "frames"), [("train", 229, 13807), ("valid", 76, 4602), ("test", 77, 4725)])
def test_chorales_are_the_canonical_frames(split, count, frames):
    chorales = datasets.jsb_chorales(split)
    roll = np.concatenate([part.to_numpy() for part in chorales.values()])
    assert (len(chorales), len(roll)) == (count, frames)
    assert set(np.unique(roll)) == {0.0, 1.0}
    first = chorales[f"{split} 0"]
    assert list(first.columns[[0, 39, 87]]) == ["A0", "C4", "C8"]
    assert first.sum(axis=1).between(0, 5).all()  # four voices
    with pytest.raises(ValueError, match='split is "train"'):
        datasets.jsb_chorales("all")


def test_each_call_returns_its_own_copy():
    flow = datasets.nile()
    flow.iloc[0] = -1.0
    assert datasets.nile().iloc[0] == 1120


def test_every_file_has_a_licence_note_and_a_function():
    folder = resources.files("statespace.datasets")
    files = {entry.name for entry in folder.iterdir() if entry.name.endswith(".csv")}
    notes = (folder / "LICENCES.md").read_text(encoding="utf-8")
    assert files == {f"{name}.csv" for name in SHIPPED}
    assert "| `jsb_chorales.npz` |" in notes
    assert [file for file in sorted(files) if f"| `{file}` |" not in notes] == []


@pytest.mark.parametrize("name", ORIGINALS)
def test_equals_the_shared_original(name, shared_data):
    shipped = (resources.files("statespace.datasets") / f"{name}.csv").read_bytes()
    assert shipped == (shared_data / f"{ORIGINALS[name]}.csv").read_bytes()
