import numpy as np
import pandas as pd
import pytest


def test_log_likelihood_in_both_conventions(make_filtered):
    filtered = make_filtered()
    assert filtered.log_likelihood == -276.0
    assert filtered.log_likelihood_kfas == pytest.approx(-276.0 + 2 * 0.5 * np.log(2 * np.pi), abs=1e-12)


def test_sd_is_the_root_of_the_diagonal_and_survives_rounding(make_filtered):
    filtered = make_filtered()
    np.testing.assert_allclose(filtered.sd[5, 1], np.sqrt(filtered.cov[5, 1, 1]))
    cov = filtered.cov.copy()
    cov[0], cov[1, 0, 0] = np.diag([np.inf, np.inf]), -1e-18
    sd = make_filtered(cov=cov).sd
    assert np.isinf(sd[0]).all()
    assert sd[1, 0] == 0.0


def test_datatree_has_the_groups_dimensions_and_stamps(make_filtered, months):
    filtered = make_filtered(names=("a", "b"))
    tree = filtered.to_datatree()
    assert set(tree.children) == {"filtered", "observed_data", "constant_data"}
    found = tree["filtered"].to_dataset()
    assert found["state_cov"].dims == ("time", "state", "state_")
    assert found["prediction_cov"].dims == ("time", "series", "series_")
    assert list(found["state"].values) == ["trend.level", "trend.slope"]
    assert list(found["series"].values) == ["a", "b"]
    np.testing.assert_array_equal(found["time"].values, months.to_timestamp().to_numpy())
    assert found["time"].attrs == {"kind": "PeriodIndex", "freq": "M"}
    assert np.isnan(tree["observed_data"]["y"].values[3]).all()
    assert list(tree["constant_data"]["inputs"]["input"].values) == ["law"]


def test_every_dimension_has_a_coordinate_and_no_variable_its_name(make_filtered, make_smoothed, make_forecast):
    for result in (make_filtered(), make_smoothed(), make_forecast()):
        for node in result.to_datatree().subtree:
            dataset = node.to_dataset()
            assert set(dataset.dims) == set(dataset.coords)
            assert not set(dataset.data_vars) & set(dataset.dims)


def test_to_pandas_keeps_the_stamps_and_names_the_states(make_filtered, months):
    filtered = make_filtered()
    frame = filtered.to_pandas()
    pd.testing.assert_index_equal(frame.index, months)
    assert list(frame.columns) == [(s, w) for s in ("trend.level", "trend.slope") for w in ("mean", "sd")]
    np.testing.assert_array_equal(frame["trend.slope"]["mean"], filtered.mean[:, 1])
