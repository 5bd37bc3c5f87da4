"""Filtering, smoothing, appending and sampling through the public verbs."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import statespace as ss

MODEL = ss.LocalLevel(1469.1**0.5) + ss.Noise(15099**0.5)


@pytest.fixture(scope="module")
def nile():
    return ss.datasets.nile()


def test_log_likelihood_in_every_form(nile):
    expected = -633.4645636489
    for data in (
        nile,
        nile.to_frame(),
        nile.to_numpy(),
        jnp.asarray(nile.to_numpy()),
        nile.to_period(),
        nile.to_xarray().rename({"index": "time"}) if "index" in nile.to_xarray().dims else nile.to_numpy(),
    ):
        assert ss.log_likelihood(MODEL, data) == pytest.approx(expected, abs=1e-9)


def test_log_likelihood_under_jit_grad_and_vmap(nile):
    y = jnp.asarray(nile.to_numpy())

    def value(scale):
        return ss.log_likelihood(ss.LocalLevel(scale) + ss.Noise(120.0), y)

    at = ss.log_likelihood(ss.LocalLevel(40.0) + ss.Noise(120.0), nile)
    assert float(jax.jit(value)(40.0)) == pytest.approx(at, abs=1e-9)
    up, down = (float(jax.jit(value)(40.0 + h)) for h in (1e-4, -1e-4))
    assert float(jax.jit(jax.grad(value))(40.0)) == pytest.approx((up - down) / 2e-4, rel=1e-5)
    batch = jax.jit(jax.vmap(value))(jnp.array([40.0, 50.0]))
    assert float(batch[0]) == pytest.approx(at, abs=1e-9)


def test_filter_reports_the_diffuse_start(nile):
    found = ss.filter(ss.LocalLinearTrend(30.0, 3.0) + ss.Noise(100.0), nile)
    assert np.isinf(found.cov[0, 1, 1])
    assert np.all(np.isfinite(found.cov[1]))
    assert np.isnan(found.residuals[:2, 0]).all()
    assert found.diffuse_count == 2
    assert found.log_likelihood_kfas == pytest.approx(found.log_likelihood + 2 * 0.9189385332046727)


@pytest.mark.parametrize("split", [1, 2, 50, 99])
def test_append_equals_a_full_run(nile, split):
    model = ss.LocalLinearTrend(30.0, 3.0) + ss.Noise(100.0)
    full = ss.filter(model, nile)
    pieces = ss.append(ss.filter(model, nile[:split]), nile[split:])
    np.testing.assert_allclose(pieces.mean, full.mean, rtol=1e-9)
    np.testing.assert_allclose(pieces.log_likelihood_terms, full.log_likelihood_terms, atol=1e-9)
    pd.testing.assert_index_equal(pieces.index, full.index)


def test_append_continues_inputs_and_interventions():
    data = ss.datasets.seatbelts()
    y, inputs = np.log(data["drivers"]), data[["law"]]
    model = (
        ss.LocalLevel(0.03) + ss.Seasonal(12, scale=0.0) + ss.Regression(["law"])
        + ss.Intervention("1974-02", "pulse", name="strike") + ss.Noise(0.06)
    )  # fmt: skip
    full = ss.filter(model, y, inputs=inputs)
    pieces = ss.append(ss.filter(model, y[:180], inputs=inputs), y[180:], inputs=inputs)
    np.testing.assert_allclose(pieces.mean, full.mean, atol=1e-9)
    assert pieces.log_likelihood == pytest.approx(full.log_likelihood, abs=1e-8)


def test_smoothed_components_add_up(nile):
    found = ss.smooth(ss.LocalLevel(30.0) + ss.AutoRegressive(1, [0.5], 50.0) + ss.Noise(0.0), nile)
    total = sum(mean for mean, _ in found.components.values())
    np.testing.assert_allclose(total[:, 0], nile.to_numpy(), atol=1e-6)


def test_sample_states_has_the_smoothed_moments(nile):
    gaps = nile.copy()
    gaps[20:40] = np.nan
    exact = ss.smooth(MODEL, gaps)
    paths = ss.sample_states(MODEL, gaps, num_samples=4000, key=jax.random.key(5))
    assert paths.dims == ("draw", "time", "state")
    z = (paths.values.mean(axis=0) - exact.mean) / exact.sd * np.sqrt(4000)
    assert np.abs(z).max() < 4.5
    np.testing.assert_allclose(paths.values.std(axis=0), exact.sd, rtol=0.06)


def test_several_series_own_or_share():
    rng = np.random.default_rng(0)
    index = pd.date_range("2000-01", periods=40, freq="MS")
    level = rng.normal(size=40).cumsum()
    y = pd.DataFrame({"a": level + rng.normal(size=40), "b": 2 * level + rng.normal(size=40)}, index)
    own = ss.LocalLevel(1.0) + ss.Noise(1.0)
    separate = sum(ss.log_likelihood(own, y[c]) for c in y)
    assert ss.log_likelihood(own, y) == pytest.approx(separate, abs=1e-9)
    shared = (
        ss.Common(ss.LocalLevel(1.0), weights=[2.0]) + ss.LocalLevel(0.0, name="offset", series="b") + ss.Noise(1.0)
    )
    found = ss.smooth(shared, y)
    assert found.state_names == ("level", "offset")
    assert abs(np.corrcoef(found.mean[:, 0], level)[0, 1]) > 0.9
