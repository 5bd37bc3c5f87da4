"""Ensemble filter and smoother over whole series: Kalman as members grow, gradients, fitting."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from inference.ensembles import MIXED, Case, chaotic, on_a_line

import statespace as ss
from statespace.core.step import make_steps
from statespace.inference.ensemble_maps import random_rotation
from statespace.inference.ensemble_smoother import smoothed_members
from statespace.inference.ensemble_update import innovation, local_square_root, perturbed, square_root
from statespace.inference.method import Observed, Plan
from statespace.models.specification import describe, rebuild
from statespace.verbs.door import WRITTEN

UPDATES = ["perturbed", "square_root"]


# --- whole series, against the Kalman filter --------------------------------------------------------------------


def linear():
    return ss.LinearGaussian(
        [[0.9, 0.1], [0.0, 0.7]],
        [[0.4], [0.2]],  # one source of noise for two states
        np.eye(2) + 0.1,
        [0.3, 0.5],
        initial_mean=[0.5, -0.2],
        initial_scale=[0.6, 0.4],
    )


def rows(length=30):
    y = np.random.default_rng(5).normal(size=(length, 2)).cumsum(axis=0) * 0.3
    y[4], y[9:11, 0] = np.nan, np.nan
    return y


@pytest.mark.parametrize("update", UPDATES)
def test_filter_and_smoother_agree_with_kalman(update, key):
    model, y = linear(), rows()
    method = ss.EnsembleKalman(1500, update)
    exact, found = ss.filter(model, y), ss.filter(model, y, method, key=key)
    np.testing.assert_allclose(found.mean, exact.mean, atol=0.03)
    np.testing.assert_allclose(found.sd, exact.sd, rtol=0.08)
    np.testing.assert_allclose(found.observation_mean, exact.observation_mean, atol=0.06)
    np.testing.assert_allclose(found.residuals, exact.residuals, atol=0.12)
    assert found.log_likelihood == pytest.approx(exact.log_likelihood, abs=0.5)
    np.testing.assert_allclose(found.spread**2, (found.sd**2).mean(axis=1), rtol=1e-10)
    all_data, smoothed = ss.smooth(model, y), ss.smooth(model, y, method, key=key)
    np.testing.assert_allclose(smoothed.mean, all_data.mean, atol=0.07)
    np.testing.assert_allclose(smoothed.sd, all_data.sd, rtol=0.08)


def test_forecasts_and_rows_that_follow_go_on_from_the_members(key):
    model, y = linear(), rows()
    method, exact = ss.EnsembleKalman(1500, "square_root"), ss.filter(model, y)
    head = ss.filter(model, y[:15], method, key=key)
    whole = ss.append(head, y[15:], key=1)
    assert whole.mean.shape == exact.mean.shape
    np.testing.assert_array_equal(whole.mean[:15], head.mean)
    np.testing.assert_allclose(whole.mean, exact.mean, atol=0.03)
    assert whole.log_likelihood == pytest.approx(exact.log_likelihood, abs=0.5)
    ahead, wanted = ss.forecast(whole, horizon=3, num_samples=6000, key=1), ss.forecast(exact, horizon=3)
    np.testing.assert_allclose(ahead.mean, wanted.mean, atol=0.06)
    np.testing.assert_allclose(ahead.sd, wanted.sd, rtol=0.06)


def estimates(method, y, key, repeats):
    """The log-likelihood by independent runs."""
    mask = np.isfinite(y)
    data = Observed(jnp.asarray(np.where(mask, y, 0.0)), jnp.asarray(mask), make_steps(len(y)))
    run = eqx.filter_jit(jax.vmap(lambda k: jnp.sum(method.log_likelihood(linear(), data, Plan(), k))))
    return np.asarray(run(jax.random.split(key, repeats)))


@pytest.mark.parametrize("update", [pytest.param("perturbed", marks=pytest.mark.slow), "square_root"])
def test_the_bias_of_the_likelihood_falls_as_one_over_the_members(update, key):
    y = rows()[:12]
    exact = ss.log_likelihood(linear(), y)
    bias = {}
    for size, repeats in ((10, 4000), (40, 4000)):
        found = estimates(ss.EnsembleKalman(size, update), y, key, repeats) - exact
        bias[size] = found.mean(), found.std() / np.sqrt(repeats)
    (small, _), (large, error) = bias[10], bias[40]
    assert abs(small) > 20 * error
    assert abs(large) < 0.4 * abs(small)


def test_paths_have_the_moments_and_the_dependence_of_the_smoother(key):
    model, y = linear(), rows()
    paths = ss.sample_states(model, y, ss.EnsembleKalman(1500), num_samples=1500, key=key).values
    exact = ss.sample_states(model, y, num_samples=3000, key=key).values
    for lag in (0, 1, 3):
        pairs = [(p[:, lag:, 0] - p[:, lag:, 0].mean(axis=0), p[:, : 30 - lag, 0]) for p in (paths, exact)]
        found, wanted = ((a * b).mean(axis=0) for a, b in pairs)
        np.testing.assert_allclose(found, wanted, atol=0.03)


@pytest.mark.parametrize("kind", ["perturbed", "square root", "more series than members", "local"])
def test_the_smoother_applies_every_later_update(kind, key):
    """Against plain loops; the lag that covers all stamps gives the same as no lag."""
    members, length = (4 if kind.startswith("more") else 20), 5
    cases = [Case(members=members, state=8, series=6, missing=(t % 3,), independent=True) for t in range(length)]
    for t, case in enumerate(cases):
        case.y = case.y + t
        case.x = np.roll(case.x, t, axis=0) * (1 + 0.1 * t)
    space = on_a_line(8, 6, 2.0) if kind == "local" else None
    keys = jax.random.split(key, length)
    updates = []
    for t, case in enumerate(cases):
        seen = case.seen(space)
        if kind == "perturbed":
            updates.append(perturbed(seen, keys[t]))
        else:
            found = local_square_root(seen) if kind == "local" else square_root(seen)
            updates.append(found.turned(random_rotation(keys[t], members, jnp.float64)))
    apply = jax.jit(lambda update, x: update(x, space))
    x = [apply(updates[t], jnp.asarray(case.x)) for t, case in enumerate(cases)]
    stacked, stack = jnp.stack(x), jax.tree.map(lambda *leaves: jnp.stack(leaves), *updates)

    def loop(lag):
        found = list(x)
        for t in range(length):
            for s in range(max(0, t - lag), t):
                found[s] = apply(updates[t], found[s])
        return np.stack(found)

    for lag in (1, 3, 9):
        np.testing.assert_allclose(smoothed_members(stacked, stack, space, lag), loop(lag), atol=1e-8)
    if space is None:
        np.testing.assert_allclose(smoothed_members(stacked, stack, None, None), loop(9), atol=1e-8)


def test_a_missing_row_is_a_forecast_and_nothing_else(weather, key):
    """Without noise the members move by the flow alone: no inflation, no rotation."""
    found = ss.filter(chaotic(), weather, MIXED, key=key)
    step = make_steps(1)[0]
    expected = jax.vmap(lambda x: chaotic().drift(x, step))(jnp.asarray(found.members[4]))
    np.testing.assert_allclose(found.members[5], expected, atol=1e-12)
    assert found.log_likelihood_terms[5] == 0.0
    assert np.isnan(found.residuals[5]).all()
    assert np.isfinite(found.observation_mean).all()


# --- gradients and fitting --------------------------------------------------------------------------------------

GRADED = {
    "perturbed": ss.EnsembleKalman(10),
    "square root": ss.EnsembleKalman(10, "square_root", inflation=1.1),
    "local": ss.EnsembleKalman(
        4, "square_root", rotate=True,
        localisation=ss.Localisation.from_coordinates(range(8), [0, 2, 4, 6, 7], 2.0, period=8),
    ),
    "more series than members": ss.EnsembleKalman(4, "square_root"),
}  # fmt: skip
LATER = ("perturbed", "square root", "local")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LATER else n for n in GRADED])
def test_gradients_are_those_of_differences(weather, name, key):
    @jax.jit
    def value(p):
        model = ss.Lorenz96(8, p[0], p[1], p[2], observed=[0, 2, 4, 6, 7])
        return ss.log_likelihood(model, weather[:8], GRADED[name], key=key)

    at = jnp.array([8.0, 0.3, 0.5])
    found = np.asarray(jax.grad(value)(at))
    h = 1e-5
    expected = [(value(at.at[i].add(h)) - value(at.at[i].add(-h))) / (2 * h) for i in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [pytest.param("perturbed", marks=pytest.mark.slow), *list(GRADED)[1:]])
def test_updates_have_two_derivatives(kind, key):
    """In the members and in the noise, with an element missing, where eigenvalues repeat."""
    case = Case(members=4 if kind.startswith("more") else 9, state=3, series=5, missing=(1,))
    space = on_a_line(3, 5, 1.5) if kind == "local" else None
    x, H, R, y, mask = (jnp.asarray(v) for v in (case.x, case.H, case.R, np.nan_to_num(case.y), case.mask))
    weights = jnp.asarray(np.random.default_rng(0).normal(size=case.x.shape))

    def value(t):
        members = x + t * weights**2
        seen = innovation(members @ H.T, (1 + t) * R, y, mask, space)
        if kind == "perturbed":
            update = perturbed(seen, key)
        else:
            update = local_square_root(seen) if kind == "local" else square_root(seen)
        return jnp.sum(weights * update(members, space)) + seen.term

    slope, curve = jax.jit(jax.grad(value)), jax.jit(lambda t: jax.jvp(jax.grad(value), (t,), (1.0,))[1])
    value, h = jax.jit(value), 1e-5
    assert float(slope(0.1)) == pytest.approx(float(value(0.1 + h) - value(0.1 - h)) / (2 * h), rel=1e-6)
    assert float(curve(0.1)) == pytest.approx(float(slope(0.1 + h) - slope(0.1 - h)) / (2 * h), rel=1e-6)


@pytest.mark.slow
def test_fit_climbs_the_ensemble_likelihood(key, tmp_path):
    rng = np.random.default_rng(2)
    x = np.zeros(80)
    for t in range(1, 80):
        x[t] = 0.8 * x[t - 1] + 0.5 * rng.normal()
    y = x + 0.4 * rng.normal(size=80)

    def model():
        known = ss.InitialLaw.gaussian([0.0], [1.0])
        return ss.LocalLevel(initial=known) + ss.Noise()

    exact = ss.fit(model(), y, ss.MaximumLikelihood(num_starts=1), progress=False)
    space = ss.Localisation.from_coordinates([0.0], [0.0], 1.0)
    method = ss.EnsembleKalman(400, "square_root", localisation=space, lag=5)
    found = ss.fit(model(), y, ss.MaximumLikelihood(num_starts=1, filter=method), key=key, progress=False)
    assert found.status.converged
    for path in ("level.scale", "noise.scale"):
        assert float(found.estimates[path]) == pytest.approx(float(exact.estimates[path]), rel=0.1)
        assert float(found.standard_errors[path]) == pytest.approx(float(exact.standard_errors[path]), rel=0.25)
    found.save(tmp_path / "fit.nc")
    again = ss.load(tmp_path / "fit.nc")
    assert isinstance(again.filter_method, ss.EnsembleKalman)
    np.testing.assert_array_equal(again.filter_method.localisation.weights, space.weights)
    assert again.filter_method.num_members == 400
    assert ss.forecast(again, horizon=2, key=key).mean.shape == (2, 1)
    smoothed = ss.smooth(again, key=key)
    wanted = ss.smooth(exact)
    np.testing.assert_allclose(smoothed.components["level"][0], wanted.components["level"][0], atol=0.15)
    assert len(ss.plots.components(smoothed)) == 2
    plt.close("all")


def test_a_method_with_its_localisation_is_stored_as_text():
    names = WRITTEN
    method = GRADED["local"]
    again = rebuild(json.loads(json.dumps(describe(method, names))), names)
    assert jax.tree.structure(again) == jax.tree.structure(method)
    np.testing.assert_array_equal(again.localisation.weights, method.localisation.weights)


def test_fit_asks_for_a_key_and_refuses_what_cannot_be_climbed():
    model = ss.LocalLevel(0.5, initial=ss.InitialLaw.known([0.0])) + ss.Noise()
    with pytest.raises(ValueError, match="pass fit"):
        ss.fit(model, np.zeros(5), ss.MaximumLikelihood(filter=ss.EnsembleKalman(10)))
    with pytest.raises(TypeError, match="estimates it with noise"):
        ss.fit(model, np.zeros(5), ss.MaximumLikelihood(filter=ss.BootstrapFilter(10)), key=0)
