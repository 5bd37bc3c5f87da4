import warnings
from dataclasses import replace

import numpy as np
import pytest

from statespace.results import ConvergenceWarning, Status


def _arviz():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ 0.23 announces ArviZ 1
        import arviz
    return arviz


def test_information_criteria_by_hand(make_estimate):
    found = make_estimate()  # 3 parameters, 1 diffuse element, 23 observations
    assert found.aic == 20.0 + 2 * 4
    assert found.bic == pytest.approx(20.0 + 4 * np.log(23))
    assert found.aicc == pytest.approx(28.0 + 2 * 4 * 5 / (23 - 4 - 1))
    assert replace(found, num_observations=5).aicc == np.inf


def test_information_criteria_need_maximum_likelihood(make_posterior):
    with pytest.raises(TypeError, match=r"az\.loo"):
        _ = make_posterior().aic


def test_summary_of_estimates(make_estimate):
    table = make_estimate().summary()
    assert list(table.columns) == ["estimate", "std_error", "lower_95", "upper_95", "note"]
    assert list(table.index) == ["level.scale", "ar.coefficients[0]", "ar.coefficients[1]", "regression.law"]
    assert table.loc["level.scale", "note"] == "at zero"
    assert np.isnan(table.loc["level.scale", "std_error"])
    assert table.loc["ar.coefficients[0]", "upper_95"] == pytest.approx(0.5 + 1.96 * 0.1, abs=1e-5)
    assert table.attrs["log_likelihood"] == -10.0
    assert table.attrs["aic"] == 28.0
    assert table.attrs["status"] == "converged"


def test_summary_of_estimates_without_standard_errors(make_estimate):
    assert make_estimate(standard_errors=None).summary()["std_error"].isna().sum() == 3


def test_summary_of_estimates_warns_when_it_did_not_converge(make_estimate):
    with pytest.warns(ConvergenceWarning, match="more starts"):
        make_estimate(status=Status(False, "try more starts")).summary()


def test_summary_of_draws_is_the_table_of_arviz_and_is_silent_when_all_is_well(make_posterior):
    found = make_posterior()
    table = found.summary()
    assert {"mean", "sd", "ess_bulk", "ess_tail", "r_hat", "mcse_mean"} <= set(table.columns)
    assert list(table.index) == ["level.scale", "ar.coefficients[0]", "ar.coefficients[1]", "regression.law"]
    assert table.loc["level.scale", "mean"] == pytest.approx(found.draws["level.scale"].mean())


def _moved(found, path, change):
    return replace(found, draws=found.draws | {path: change(found.draws[path])})


def _with_stats(found, **stats):
    return replace(found, sample_stats=found.sample_stats | stats)


TROUBLES = {
    "2 transitions diverged": lambda f: _with_stats(f, diverging=np.eye(4, 300) * [[1], [1], [0], [0]] > 0),
    "4 transitions reached the tree depth 10": lambda f: _with_stats(f, tree_depth=np.eye(4, 300).astype(int) * 10),
    "chains disagree": lambda f: _moved(f, "level.scale", lambda v: v + 3.0 * np.arange(4)[:, None]),
    "few effective draws": lambda f: _moved(f, "level.scale", lambda v: np.cumsum(v - v.mean(), axis=1)),
    "level.scale never moved": lambda f: _moved(f, "level.scale", np.ones_like),
    "interrupted": lambda f: replace(f, status=Status(False, "interrupted: 20 draws were kept")),
}


@pytest.mark.filterwarnings("ignore::statespace.results.ConvergenceWarning")
@pytest.mark.parametrize("text", TROUBLES)
def test_summary_of_draws_warns(make_posterior, text):
    with pytest.warns(ConvergenceWarning, match=text) as caught:
        TROUBLES[text](make_posterior()).summary()
    assert {warning.filename for warning in caught if warning.category is ConvergenceWarning} == {__file__}


def test_datatree_of_draws(make_posterior):
    found = make_posterior()
    tree = found.to_datatree()
    groups = {"posterior", "sample_stats", "log_likelihood", "one_step", "observed_data", "constant_data"}
    assert set(tree.children) == groups
    posterior = tree["posterior"].to_dataset()
    assert posterior["level.scale"].dims == ("chain", "draw")
    assert posterior["ar.coefficients"].dims == ("chain", "draw", "ar.coefficients_dim_0")
    assert set(posterior.dims) == set(posterior.coords)
    np.testing.assert_allclose(tree["observed_data"]["y"], np.exp(found.series.observed))


def test_pointwise_groups_leave_out_stamps_without_an_observation(make_posterior):
    found = make_posterior()
    tree = found.to_datatree()
    for group, kind in (("log_likelihood", "loo"), ("one_step", "one_step")):
        y = tree[group]["y"]
        assert y.sizes == {"chain": 4, "draw": 300, "time": 23}
        assert np.datetime64("2000-04-01") not in y["time"].values
        np.testing.assert_allclose(y.sum("time"), np.delete(found.pointwise[kind], 3, axis=-1).sum(axis=-1))
    assert "y_-t" in tree["log_likelihood"].attrs["density"]


def test_a_stamp_that_alone_identifies_a_coefficient_does_not_spoil_loo(make_posterior):
    found = make_posterior()
    loo = found.pointwise["loo"].copy()
    loo[..., 7] = np.nan
    found = replace(found, pointwise=found.pointwise | {"loo": loo})
    tree = found.to_datatree()
    assert tree["log_likelihood"].sizes["time"] == 22
    assert tree["log_likelihood"].attrs["improper_stamps_left_out"] == 1
    assert tree["one_step"].sizes["time"] == 23
    assert np.isfinite(_elpd(_arviz().loo(found.to_arviz())))


def test_datatree_of_estimates(make_estimate):
    found = make_estimate(log_likelihood=None, method_name="map").to_datatree()["estimates"].to_dataset()
    assert float(found["regression.law_std_error"]) == 0.05
    assert found["ar.coefficients"].dims == ("ar.coefficients_dim_0",)


def test_a_point_estimate_has_no_draws_for_arviz(make_estimate):
    with pytest.raises(TypeError, match="no draws"):
        make_estimate().to_arviz()


def test_extra_groups_and_names_with_a_slash(make_posterior, rng):
    prior = make_posterior().to_datatree()["posterior"].to_dataset()
    found = make_posterior(extra_groups={"prior": prior}, coefficients={"regression.a/b": rng.normal(size=(4, 300))})
    assert "prior" in found.to_datatree().children
    assert "regression.a|b" in found.to_datatree()["posterior"]
    assert "regression.a|b" in found.summary().index


def _elpd(found):
    return float(found.elpd_loo if "elpd_loo" in getattr(found, "index", ()) else found.elpd)


def test_arviz_reads_the_fit(make_posterior):
    az, found = _arviz(), make_posterior()
    given = found.to_arviz()
    assert type(given).__name__ == ("InferenceData" if az.__version__.startswith("0.") else "DataTree")
    loo = _elpd(az.loo(given))
    terms = np.delete(found.pointwise["loo"], 3, axis=-1)
    importance = -np.log(np.exp(-terms).mean(axis=(0, 1))).sum()  # without smoothing of the tail
    assert loo == pytest.approx(importance, abs=0.05)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_arviz_compares_and_draws(make_posterior):
    import matplotlib.pyplot as plt

    az, found = _arviz(), make_posterior()
    worse = replace(found, pointwise=found.pointwise | {"loo": found.pointwise["loo"] - 1.0})
    table = az.compare({"better": found.to_arviz(), "worse": worse.to_arviz()})
    assert list(table.index) == ["better", "worse"]
    assert az.plot_trace(found.to_arviz(), var_names=["level.scale"]) is not None
    plt.close("all")


def test_one_chain_is_summarised_without_a_verdict_on_agreement(make_posterior):
    assert make_posterior(chains=1).summary()["r_hat"].isna().all()
