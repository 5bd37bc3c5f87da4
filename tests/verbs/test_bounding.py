"""evaluate and collapse_report: bounds of the linear case lie below the exact likelihood and reach it."""

import jax
import numpy as np
import pytest
from inference.amortised import linear
from scipy.special import logsumexp

import statespace as ss

NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def data():
    drawn = ss.simulate(linear.exact(), 9, num_samples=len(NAMES), key=3)
    random = np.random.default_rng(0)
    found = {}
    for i, name in enumerate(NAMES):
        y = np.array(drawn["y"][i])[: 9 - i]
        y[random.random(y.shape) < 0.15] = np.nan
        found[name] = y
    return found


@pytest.fixture(scope="module")
def exact(data):
    return {name: ss.log_likelihood(linear.exact(), y) for name, y in data.items()}


def evaluated(data, bound, particles, **options):
    given = {"repeats": 4, "key": 0, "progress": False} | options
    return ss.evaluate(linear.model(), data, bound=bound, num_particles=particles, **given)


def test_a_filter_s_bound_reaches_the_likelihood_of_each_sequence(data, exact):
    found = evaluated(data, "fivo", 1000)
    assert found.names == NAMES
    assert found.stamps.tolist() == [int(np.isfinite(y).any(axis=1).sum()) for y in data.values()]
    table = found.to_pandas()
    gap = np.array([exact[name] - table.loc[name, "bound"] for name in NAMES])
    assert np.all(np.abs(gap) < 5 * table["mc_error"] + 0.05)


def test_bounds_are_in_order(data, exact):
    guide = linear.GUIDES["residual"]()
    elbo, iwae = (evaluated(data, bound, 50, guide=guide).bounds.mean(axis=0).sum() for bound in ("elbo", "iwae"))
    fivo = evaluated(data, "fivo", 50, guide=guide).bounds.mean(axis=0).sum()
    assert elbo < iwae < fivo < sum(exact.values()) + 0.5


def test_the_averages_are_those_of_their_definitions(data):
    guide = linear.GUIDES["residual"]()
    found = ss.evaluate(linear.model(), data, num_particles=8, repeats=3, guide=guide, key=0, progress=False)
    table, bounds, stamps = found.table(), found.bounds, found.stamps
    assert table.loc["over stamps", "value"] == pytest.approx(bounds.mean(axis=0).sum() / stamps.sum())
    assert table.loc["over sequences", "value"] == pytest.approx(np.mean(bounds.mean(axis=0) / stamps))
    whole = (logsumexp(bounds, axis=0) - np.log(3)).sum() / stamps.sum()
    assert table.loc["importance-weighted", "value"] == pytest.approx(whole)
    each = bounds.sum(axis=1) / stamps.sum()
    assert table.loc["over stamps", "mc_error"] == pytest.approx(each.std(ddof=1) / 3**0.5)
    assert found.to_xarray()["bound"].shape == (3, 4)
    assert "FIVO-8" in repr(found)


def test_without_a_guide_the_model_s_transition_proposes(data, exact):
    found = ss.evaluate(linear.model(), data, num_particles=1000, repeats=2, key=0, progress=False)
    assert abs(found.bounds.mean(axis=0).sum() - sum(exact.values())) < 1.0


def test_the_report_tells_idle_latent_states_from_busy_ones(data):
    guide = linear.GUIDES["residual"]()
    busy = ss.collapse_report(linear.model(), data, guide=guide, num_particles=32, key=0, progress=False)
    assert busy.attrs["gap"] > 0
    assert busy["active"].all()
    assert busy.attrs["active_units"] == 2
    idle = ss.collapse_report(
        linear.model(), data, guide=ss.Guide(None, ss.deep.Prior()), num_particles=32, key=0, progress=False
    )
    np.testing.assert_allclose(idle["divergence"], 0.0, atol=1e-12)
    assert not idle["active"].any()
    assert idle.attrs["elbo"] < idle.attrs["iwae"]


def test_what_does_not_fit_is_refused(data):
    with pytest.raises(ValueError, match="bound='is' is unknown"):
        ss.evaluate(linear.model(), data, bound="is", key=0)
    with pytest.raises(TypeError, match="got Structural"):
        ss.evaluate(ss.LocalLevel(1.0) + ss.Noise(1.0), data, key=0)
    with pytest.raises(ValueError, match="repeats must be"):
        ss.evaluate(linear.model(), data, repeats=0, key=0)
    with pytest.raises(ValueError, match="needs data"):
        ss.evaluate(linear.model(), key=jax.random.key(0))
