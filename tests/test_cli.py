"""The command: what it writes, what it prints, and errors that are one line."""

import os

import numpy as np
import pandas as pd
import pytest

import statespace as ss
from statespace.cli import main
from statespace.cli.errors import CommandError
from statespace.cli.language import build, input_columns, parse

pytest.importorskip("matplotlib")


@pytest.fixture
def flows(tmp_path):
    path = tmp_path / "nile.csv"
    ss.datasets.nile().to_csv(path)
    return path


@pytest.fixture
def monthly(tmp_path):
    months = pd.date_range("2000-01-01", periods=40, freq="MS", name="month")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"sales": 5 + np.sin(np.arange(40)) ** 2 + 0.1 * rng.normal(size=40)}, months)
    table["price"], table["a, b"] = rng.normal(size=40), 1.0 + rng.normal(size=40)
    table.loc[months[7], "sales"] = np.nan
    path = tmp_path / "sales.csv"
    table.to_csv(path)
    return path


def fit(path, model, *more, date="time", value="volume", out="fit.nc"):
    target = path.parent / out
    words = ["fit", str(path), "--date", date, "--value", value, "--model", model, "--out", str(target), *more]
    return main(words), target


def last_line(capsys):
    """The one line on stderr of a command that failed."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("statespace: error: ")
    return lines[0].removeprefix("statespace: error: ")


def test_fit_info_and_forecast(flows, capsys):
    status, saved = fit(flows, "level")
    assert status == 0
    printed = capsys.readouterr()
    assert "noise.scale" in printed.out
    assert str(saved) in printed.out
    assert printed.err == ""

    assert main(["info", str(saved)]) == 0
    said = capsys.readouterr().out
    assert "100 stamps" in said
    assert "level + noise" in said
    assert "maximum_likelihood" in said

    table, picture = flows.parent / "forecast.csv", flows.parent / "fan.png"
    words = ["forecast", str(saved), "--horizon", "3", "--out", str(table), "--plot", str(picture)]
    assert main(words) == 0
    ahead = pd.read_csv(table, index_col=0, parse_dates=True)
    assert list(ahead.index.year) == [1971, 1972, 1973]
    np.testing.assert_allclose(ahead["mean"], 798.37, atol=0.2)
    assert picture.stat().st_size > 5000
    assert sorted(os.listdir(flows.parent)) == ["fan.png", "fit.nc", "forecast.csv", "nile.csv"]  # nothing half-written


def test_nuts_with_inputs_transform_and_an_event(monthly, capsys):
    model = "smooth_trend + regression(price, 'a, b') + step(2001-06-01)"
    more = ("--method", "nuts", "--transform", "log", "--draws", "25", "--chains", "1", "--seed", "3")
    status, saved = fit(monthly, model, *more, date="month", value="sales")
    assert status == 0
    loaded = ss.load(saved)
    assert loaded.draws["noise.scale"].shape == (1, 25)
    assert {"regression.price", "regression.a, b", "step_2001-06-01"} <= set(loaded.coefficients)
    assert loaded.transform.name == "log"
    capsys.readouterr()

    target = str(monthly.parent / "ahead.csv")
    assert main(["forecast", str(saved), "--horizon", "2", "--out", target]) == 2
    assert "--inputs FILE" in last_line(capsys)

    months = pd.date_range("2003-05-01", periods=2, freq="MS", name="month")
    inputs = monthly.parent / "inputs.csv"
    pd.DataFrame({"price": [0.0, 1.0], "a, b": [1.0, 1.0]}, months).to_csv(inputs)
    assert main(["forecast", str(saved), "--horizon", "2", "--inputs", str(inputs), "--out", target]) == 0
    ahead = pd.read_csv(target, index_col=0)
    assert len(ahead) == 2
    assert (ahead["mean"] > 0).all()
    capsys.readouterr()

    assert main(["forecast", str(saved), "--horizon", "3", "--inputs", str(inputs), "--out", target]) == 2
    assert "2003-07" in last_line(capsys)


def test_freq_fills_gaps_with_missing_stamps(flows, capsys):
    table = pd.read_csv(flows).drop(index=[30, 31])
    table.to_csv(flows, index=False)
    status, saved = fit(flows, "level", "--freq", "YS")
    assert status == 0
    assert int((~ss.load(saved).series.mask).sum()) == 2
    capsys.readouterr()


def test_whole_numbers_stay_numbers(flows):
    table = pd.read_csv(flows)
    table["time"] = range(1871, 1971)
    table.to_csv(flows, index=False)
    status, saved = fit(flows, "level + pulse(1913)")
    assert status == 0
    loaded = ss.load(saved)
    assert loaded.series.index[-1] == 1970
    assert loaded.coefficients["pulse_1913"][0] < -200  # the dry year, against its neighbours


def test_demo_writes_all_it_says(tmp_path, capsys):
    folder = tmp_path / "new" / "demo"
    assert main(["demo", "--out", str(folder), "--samples", "10"]) == 0
    printed = capsys.readouterr().out
    assert "regression.law" in printed
    assert str(folder) in printed
    expected = ["components.png", "diagnostics.png", "fit.nc", "forecast.csv", "forecast.png", "priors.png"]
    assert sorted(os.listdir(folder)) == expected
    assert ss.load(folder / "fit.nc").draws["noise.scale"].shape == (4, 10)


def test_a_failed_write_leaves_nothing(flows, monkeypatch, capsys):
    saved = fit(flows, "level")[1]
    target = flows.parent / "out.csv"
    target.write_text("before")

    def broken(self, path, *args, **kwargs):
        path.write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(pd.DataFrame, "to_csv", broken)
    capsys.readouterr()
    assert main(["forecast", str(saved), "--horizon", "2", "--out", str(target)]) == 2
    assert "no space left" in last_line(capsys)
    assert target.read_text() == "before"
    assert sorted(os.listdir(flows.parent)) == ["fit.nc", "nile.csv", "out.csv"]


WRONG_FITS = [
    ("levle", (), "unknown term 'levle'; there are level"),
    ("level +", (), "cannot be read"),
    ("level - trend", (), "cannot be read at 'level - trend'"),
    ("seasonal", (), "expected seasonal(p[, trig[, harmonics]])"),
    ("seasonal(0)", (), "whole number of at least 2, got '0'"),
    ("seasonal(12, sine)", (), "expected trig or dummy"),
    ("level + level", (), "level occurs twice"),
    ("trend + smooth_trend", (), "trend occurs twice"),
    ("__import__('os')", (), "unknown term"),
    ("ar(x)", (), "whole number of at least 1, got 'x'"),
    ("seasonal(365)", (), "only 100 stamps"),
    ("level + regression(price)", (), "no column 'price'; it has time, volume"),
    ("level + step(2050-01-01)", (), "not a stamp of the data"),
    ("level", ("--draws", "10"), "--draws belong to --method nuts"),
    ("level", ("--method", "nuts", "--chains", "0"), "whole number of at least 1"),
    ("level", ("--method", "vb"), "invalid choice"),
    ("level", ("--value", "flow"), "no column 'flow'"),
    ("level", ("--date", "volume"), "got duplicate stamps"),
    ("level", ("--freq", "often"), "--freq often"),
    ("level", ("--out", "fit.csv"), "expected .nc"),
    ("level", ("--out", "nowhere/fit.nc"), "does not exist"),
    ("level", ("--wrong",), "unrecognized arguments: --wrong"),
]


@pytest.mark.parametrize(("model", "more", "what"), WRONG_FITS)
def test_errors_of_fit_are_one_line(flows, capsys, model, more, what):
    assert fit(flows, model, *more)[0] == 2
    assert what in last_line(capsys)
    assert os.listdir(flows.parent) == ["nile.csv"]


def test_dates_that_cannot_be_read(flows, capsys):
    table = pd.read_csv(flows).astype({"time": str})
    table.loc[4, "time"] = "sometime"
    table.to_csv(flows, index=False)
    assert fit(flows, "level")[0] == 2
    assert "'sometime' in line 6 cannot be read as a date" in last_line(capsys)


def test_text_in_the_values(flows, capsys):
    table = pd.read_csv(flows).astype({"volume": object})
    table.loc[4, "volume"] = "none at all"
    table.to_csv(flows, index=False)
    assert fit(flows, "level")[0] == 2
    assert "column 'volume'" in last_line(capsys)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "required"),
        (["predict"], "invalid choice"),
        (["info", "missing.nc"], "missing.nc does not exist"),
        (["forecast", "missing.nc", "--horizon", "3"], "missing.nc does not exist"),
        (["forecast", "missing.nc", "--horizon", "-3"], "whole number of at least 1"),
        (["forecast", "missing.nc", "--horizon", "3", "--plot", "fan.gif"], "expected .png"),
        (["fit", "missing.csv", "--date", "a", "--value", "b", "--model", "level"], "missing.csv does not exist"),
        (["demo", "--samples", "many"], "whole number"),
    ],
)
def test_errors_of_arguments_are_one_line(words, what, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert what in last_line(capsys)
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_no_fit(flows, capsys):
    other = flows.with_suffix(".nc")
    other.write_text("not netCDF")
    assert main(["info", str(other)]) == 2
    assert "is not a saved fit" in last_line(capsys)


def test_help_is_no_error(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--help"])
    assert stop.value.code == 0
    assert "--model" in capsys.readouterr().out


def test_the_language_builds_what_it_says():
    terms = parse("trend + Seasonal(12, trig, 3)+ cycle +ar(2) + regression(x, 'y (z)') + pulse(3)")
    model = build(terms, pd.RangeIndex(10))
    expected = ["trend", "seasonal12", "cycle", "ar", "regression", "pulse_3"]
    assert [component.name for component in model.components] == expected
    assert input_columns(terms) == ["x", "y (z)"]
    assert len(model.components[1].states) == 6
    assert int(model.components[5].time) == 3
    assert model.observation is not None


def test_a_smooth_trend_has_no_level_noise():
    (component,) = build(parse("smooth_trend")).components
    assert float(component.level_scale) == 0.0


@pytest.mark.parametrize("text", ["", "+", "level level", "level + (2)", "ar(1", "regression(a,,b)", "ar(1)(2)"])
def test_what_is_not_the_language(text):
    with pytest.raises(CommandError, match="--model"):
        parse(text)
