import numpy as np
import pandas as pd


def test_datatree_has_the_groups_and_dimensions(make_smoothed):
    smoothed = make_smoothed(names=("a", "b"))
    tree = smoothed.to_datatree()
    assert set(tree.children) == {"smoothed", "components", "observed_data", "constant_data"}
    mean = tree["components"]["mean"]
    assert mean.dims == ("component", "time", "series")
    np.testing.assert_array_equal(mean.sel(component="noise", series="b"), smoothed.components["noise"][0][:, 1])
    assert tree["smoothed"]["loo"].dims == ("time",)


def test_without_components_there_is_no_group(make_smoothed):
    assert "components" not in make_smoothed(components={}).to_datatree().children


def test_observed_and_states_as_frames(make_smoothed, months):
    smoothed = make_smoothed()
    assert smoothed.observed["flow"].isna().sum() == 1
    frame = smoothed.to_pandas()
    pd.testing.assert_index_equal(frame.index, months)
    np.testing.assert_array_equal(frame["trend.level"]["sd"], smoothed.sd[:, 0])


def test_sd_is_zero_where_rounding_made_a_variance_negative(make_smoothed):
    cov = make_smoothed().cov.copy()
    cov[4, 0, 0] = -1e-18
    assert make_smoothed(cov=cov).sd[4, 0] == 0.0
