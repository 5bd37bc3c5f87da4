import os
from dataclasses import replace

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
import xarray as xr

from statespace.data import BoxCox
from statespace.results import Status, read, write

FORMATS = [".nc", ".zarr"]
DAY = pd.Timestamp("2000-03-20")

INDICES = {
    "months": pd.period_range("2000-01", periods=24, freq="M"),
    "quarters": pd.period_range("2000Q1", periods=24, freq="Q-NOV", name="quarter"),
    "weeks": pd.period_range("2000-01-03", periods=24, freq="W-WED"),
    "old years": pd.period_range("1000", periods=24, freq="Y"),
    "month ends": pd.date_range("2000-01-31", periods=24, freq="ME", name="month"),
    "old dates": pd.date_range("1000-01-01", periods=24, freq="YS", unit="s"),
    "business days": pd.date_range("2000-01-03", periods=24, freq="B"),
    "days of a zone": pd.date_range(DAY, periods=24, freq="D", tz="Europe/Berlin"),  # summer time begins
    "hours of a zone": pd.date_range("2000-03-25 20:00", periods=24, freq="h", tz="Europe/Berlin"),
    "offset": pd.date_range("2000-01-01", periods=24, freq=pd.DateOffset(months=5)),
    "nanoseconds": pd.date_range("2000-01-01", periods=24, freq="7ns"),
    "irregular dates": pd.DatetimeIndex(DAY + pd.to_timedelta(np.arange(24) ** 2, "D")),
    "range": pd.RangeIndex(10, 58, 2, name="step"),
    "irregular numbers": pd.Index(np.arange(24) ** 2),
    "real numbers": pd.Index(np.sqrt(np.arange(24.0))),
}


def _same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


def _again(fitted, folder, suffix=".nc"):
    write(fitted, folder / f"fit{suffix}")
    return read(folder / f"fit{suffix}", lambda text, method, sampler: (f"built from {text}", method, sampler))


def _texts(text, method, sampler):
    return text, method, sampler


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", INDICES)
def test_stamps_come_back(make_posterior, tmp_path, kind, suffix):
    fitted = make_posterior(INDICES[kind], chains=1, draws=2)
    before, after = fitted.series, _again(fitted, tmp_path, suffix).series
    pd.testing.assert_index_equal(after.index, before.index, exact=True)
    assert getattr(after.index, "freq", None) == getattr(before.index, "freq", None)
    for name in ("names", "univariate", "input_names", "freq", "is_regular"):
        assert getattr(after, name) == getattr(before, name)
    _same(*({k: getattr(s, k) for k in ("values", "mask", "inputs", "time", "dt")} for s in (before, after)))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_posterior_comes_back(make_posterior, tmp_path, suffix):
    fitted = make_posterior(transform=BoxCox(0.3))
    again = _again(fitted, tmp_path, suffix)
    for field in ("draws", "estimates", "sample_stats", "coefficients", "pointwise"):
        _same(getattr(fitted, field), getattr(again, field))
    for field in ("method_name", "transform", "status", "priors", "supports", "num_parameters", "specification"):
        assert getattr(again, field) == getattr(fitted, field)
    assert again.model == 'built from {"model": "local level"}'
    assert again.sample_stats["diverging"].dtype == bool
    assert again.standard_errors is None
    pd.testing.assert_frame_equal(again.summary(), fitted.summary())


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_estimate_comes_back(make_estimate, tmp_path, suffix):
    fitted = make_estimate()
    again = _again(fitted, tmp_path, suffix)
    _same(fitted.estimates, again.estimates)
    _same(fitted.standard_errors, again.standard_errors)
    assert again.coefficients == fitted.coefficients
    np.testing.assert_array_equal(again.unconstrained_covariance, fitted.unconstrained_covariance)
    assert (again.aic, again.log_likelihood, again.draws) == (fitted.aic, -10.0, None)
    assert again.status.details == {"at_zero": ["level.scale"], "gradient": 1e-9}


def test_what_is_not_there_stays_absent(make_estimate, make_series, tmp_path):
    fitted = make_estimate(
        standard_errors=None, unconstrained_covariance=None, log_likelihood=None, series=make_series(inputs=False)
    )
    again = _again(fitted, tmp_path)
    assert (again.standard_errors, again.unconstrained_covariance, again.log_likelihood) == (None, None, None)
    assert again.series.inputs is None


def test_figures_of_numpy_stay_figures(make_estimate, tmp_path):
    details = {"steps": np.int64(3), "ok": np.bool_(True), "path": np.array([1.0, 2.0]), "why": ValueError("no")}
    again = _again(make_estimate(status=Status(True, "", details)), tmp_path)
    assert again.status.details == {"steps": 3, "ok": True, "path": [1.0, 2.0], "why": "no"}


@pytest.mark.parametrize("suffix", FORMATS)
def test_names_with_a_slash_and_long_specifications_come_back(make_posterior, rng, tmp_path, suffix):
    fitted = make_posterior(coefficients={"regression.a/b": rng.normal(size=(4, 300))}, specification="x" * 200_000)
    again = _again(replace(fitted, estimates={"a/b.c": np.ones(2)}), tmp_path, suffix)
    _same(again.coefficients, fitted.coefficients)
    _same(again.estimates, {"a/b.c": np.ones(2)})
    assert again.specification == fitted.specification


@pytest.mark.parametrize("kind", ["months", "old dates", "nanoseconds", "real numbers"])
def test_extra_groups_come_back_with_their_stamps(make_posterior, tmp_path, kind):
    fitted = make_posterior(INDICES[kind], chains=1, draws=2)
    extra = fitted.to_datatree()["observed_data"].to_dataset().rename(y="y_drawn")
    fitted = replace(fitted, extra_groups={"posterior_predictive": extra})
    xr.testing.assert_identical(_again(fitted, tmp_path).extra_groups["posterior_predictive"], extra)


def test_a_loaded_fit_can_be_saved_again(make_posterior, tmp_path):
    fitted = make_posterior(priors={"level.scale": 3.0})
    once = _again(fitted, tmp_path)
    assert once.priors == _again(once, tmp_path).priors == {"level.scale": "3.0"}


def test_others_can_read_the_file(make_posterior, tmp_path):
    write(make_posterior(), tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as tree:
        assert tree["posterior"]["level.scale"].dims == ("chain", "draw")
        time = tree["observed_data"]["time"]
        assert time.attrs == {"kind": "PeriodIndex", "freq": "M"}
        assert time.values[1] == np.datetime64("2000-02-01")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_replaced_whole_or_stays_as_it_was(make_posterior, tmp_path, monkeypatch, suffix):
    path, fitted = tmp_path / f"fit{suffix}", make_posterior(chains=1, draws=2)
    write(fitted, path)
    write(replace(fitted, specification="new"), path)
    for where in ("to_netcdf", "to_zarr"):
        monkeypatch.setattr(xr.DataTree, where, _interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(replace(fitted, specification="newer"), path)
    assert read(path, _texts).specification == "new"
    assert os.listdir(tmp_path) == [path.name]


def _interrupted(self, path, **options):
    del self, options
    path.write_text("half a fi")
    raise KeyboardInterrupt


def test_an_old_folder_comes_back_when_the_new_one_cannot_take_its_place(make_posterior, tmp_path, monkeypatch):
    path, fitted = tmp_path / "fit.zarr", make_posterior(chains=1, draws=2)
    write(fitted, path)
    move = os.replace

    def refuse_the_new_one(source, target):  # zarr moves its own files too, and the old folder has to move back
        if target == path and source.name == path.name:
            raise PermissionError("in use")
        move(source, target)

    monkeypatch.setattr(os, "replace", refuse_the_new_one)
    with pytest.raises(PermissionError):
        write(replace(fitted, specification="new"), path)
    assert read(path, _texts).specification == fitted.specification


def test_where_a_fit_cannot_be_saved(make_posterior, tmp_path):
    fitted = make_posterior(chains=1, draws=2)
    with pytest.raises(ValueError, match=r"\.nc \(netCDF\) or \.zarr"):
        write(fitted, tmp_path / "fit.csv")
    with pytest.raises(FileNotFoundError, match="does not exist: create it"):
        write(fitted, tmp_path / "none" / "fit.nc")


def test_a_frequency_that_no_file_can_hold(make_posterior, tmp_path):
    days = pd.date_range("2000-01-03", periods=24, freq=pd.offsets.CustomBusinessDay(holidays=["2000-01-05"]))
    with pytest.raises(ValueError, match="no file can hold"):
        write(make_posterior(days, chains=1, draws=2), tmp_path / "fit.nc")
    assert os.listdir(tmp_path) == []


def test_zarr_is_asked_for_by_name_where_it_is_missing(make_posterior, tmp_path, monkeypatch):
    def missing(self, path, **options):
        raise ModuleNotFoundError("No module named 'zarr'")

    monkeypatch.setattr(xr.DataTree, "to_zarr", missing)
    with pytest.raises(ImportError, match=r"statespace-jax\[zarr\]"):
        write(make_posterior(chains=1, draws=2), tmp_path / "fit.zarr")


def _text(path, fitted):
    path.write_text("hello")


def _half(path, fitted):
    write(fitted, path)
    path.write_bytes(path.read_bytes()[:5000])


def _foreign(path, fitted):
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(path, engine="h5netcdf")


def _without_state(path, fitted):
    attrs = {"format": "statespace fit 1"}
    xr.Dataset({"a": ("x", [1.0])}, attrs=attrs).to_netcdf(path, engine="h5netcdf")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_text, "cannot be read"),
        (_half, "cannot be read"),
        (_foreign, "not a fit saved by statespace"),
        (_without_state, "incomplete or damaged"),
    ],
)
def test_files_that_are_no_fits(make_posterior, tmp_path, spoil, text):
    path = tmp_path / "fit.nc"
    spoil(path, make_posterior(chains=1, draws=2))
    with pytest.raises(ValueError, match=f"fit.nc .*{text}"):
        read(path, _texts)


def test_a_folder_that_is_no_fit(tmp_path):
    (tmp_path / "fit.zarr").mkdir()
    with pytest.raises(ValueError, match="cannot be read"):
        read(tmp_path / "fit.zarr", _texts)


def test_what_is_wrong_with_the_model_is_not_blamed_on_the_file(make_posterior, tmp_path):
    def build(text, method, sampler):
        raise ValueError("unknown component")

    write(make_posterior(chains=1, draws=2), tmp_path / "fit.nc")
    with pytest.raises(ValueError, match=r"^unknown component$"):
        read(tmp_path / "fit.nc", build)


def test_priors_are_kept_in_words(make_posterior, tmp_path):
    priors = {
        "scale": dist.HalfNormal(2.0),
        "pair": dist.Normal(np.zeros(2), 1.0).to_event(1),
        "cut": dist.TruncatedNormal(0.0, 1.0, low=0.5),
        "named": dist.LogNormal(0.0, 1.0),
        "text": "Normal(0, 1)",
    }
    again = _again(make_posterior(priors=priors, chains=1, draws=2), tmp_path)
    assert again.priors["scale"] == "HalfNormal(scale=2.0)"
    assert again.priors["pair"] == "Independent(Normal(loc=[0.0, 0.0], scale=[1.0]))"
    assert again.priors["cut"] == "LeftTruncatedDistribution(Normal(loc=0.0, scale=1.0), low=0.5)"
    assert again.priors["named"] == "LogNormal(loc=0.0, scale=1.0)"
    assert again.priors["text"] == "Normal(0, 1)"
