"""One contract for every model: shapes, jit, vmap, gradients, missing rows, dtype and tree round trips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statespace as ss
from statespace.core.parameters import parameters, replace
from statespace.models.specification import describe, rebuild

LENGTH = 24
INPUTS = np.sin(np.arange(LENGTH + 3))[:, None]

MODELS = {
    "level": lambda: ss.LocalLevel(0.5) + ss.Noise(0.7),
    "trend": lambda: ss.LocalLinearTrend(0.5, 0.1) + ss.Noise(0.7),
    "dummy": lambda: ss.LocalLevel(0.3) + ss.Seasonal(4, scale=0.2) + ss.Noise(0.5),
    "trigonometric": lambda: (
        ss.LocalLevel(0.3) + ss.Seasonal(6, form="trigonometric", harmonics=[1, 3], scale=0.2) + ss.Noise(0.5)
    ),
    "cycle": lambda: ss.LocalLevel(0.1) + ss.Cycle(8.0, 0.9, 0.3) + ss.Noise(0.5),
    "undamped": lambda: ss.LocalLevel(0.1) + ss.Cycle(8.0, scale=0.3, damped=False) + ss.Noise(0.5),
    "autoregression": lambda: ss.LocalLevel(0.0) + ss.AutoRegressive(2, [0.5, 0.2], 0.5) + ss.Noise(0.3),
    "regression": lambda: ss.LocalLevel(0.3) + ss.Regression(["u"]) + ss.Noise(0.5),
    "varying": lambda: ss.LocalLevel(0.3) + ss.Regression(["u"], time_varying=True, scale=[0.1]) + ss.Noise(0.5),
    "intervention": lambda: (
        ss.LocalLevel(0.3) + ss.Intervention(10) + ss.Intervention(5, "pulse", name="p") + ss.Noise(0.5)
    ),
    "matrices": lambda: ss.LinearGaussian(
        [[0.5, 0.2], [0.0, 1.0]], [[0.3], [0.0]], [[1.0, 1.0]], [0.4], diffuse=[False, True], stationary=[True, False]
    ),
    "pair": lambda: ss.LinearGaussian(
        [[0.9, 0.1], [0.0, 0.8]], [0.3, 0.2], np.eye(2), [[0.5, 0.0], [0.3, 0.4]], initial_scale=[1.0, 1.0]
    ),
}  # fmt: skip


def case(name):
    model = MODELS[name]()
    y = np.random.default_rng(3).normal(size=(LENGTH, model.num_series)).cumsum(axis=0)
    inputs = INPUTS[:LENGTH] if model.input_names else None
    return model, (y[:, 0] if model.num_series == 1 else y), inputs


EVERY_DAY = {"dummy", "regression", "matrices", "pair"}  # the others run with the long studies


@pytest.fixture(params=[n if n in EVERY_DAY else pytest.param(n, marks=pytest.mark.slow) for n in MODELS])
def name(request):
    return request.param


def test_verbs_agree_on_shapes_and_numbers(name):
    model, y, inputs = case(name)
    gaps = y.copy()
    gaps[[3, 11, 12]] = np.nan
    states, series = len(model.state_names), model.num_series
    filtered = ss.filter(model, gaps, inputs=inputs)
    assert filtered.mean.shape == (LENGTH, states)
    assert filtered.log_likelihood == pytest.approx(ss.log_likelihood(model, gaps, inputs=inputs), abs=1e-9)
    smoothed = ss.smooth(model, gaps, inputs=inputs)
    np.testing.assert_allclose(smoothed.mean[-1], filtered.mean[-1], atol=1e-8)
    np.testing.assert_allclose(smoothed.cov, np.swapaxes(smoothed.cov, 1, 2), atol=1e-10)
    assert np.linalg.eigvalsh(smoothed.cov).min() > -1e-8
    coming = INPUTS[LENGTH:] if model.input_names else None
    ahead = ss.forecast(model, gaps, horizon=3, inputs=coming, past_inputs=inputs, num_samples=5, key=jax.random.key(0))
    assert ahead.mean.shape == (3, series)
    assert ahead.draws.shape == (5, 3, series)
    missing = np.concatenate([gaps, np.full((3, *gaps.shape[1:]), np.nan)])
    longer = ss.filter(model, missing, inputs=INPUTS if model.input_names else None)
    np.testing.assert_allclose(ahead.mean, longer.observation_mean[-3:], atol=1e-9)
    np.testing.assert_allclose(ahead.cov_t, longer.observation_cov[-3:], atol=1e-9)


def test_jit_grad_and_vmap(name):
    model, y, inputs = case(name)
    y = jnp.asarray(y).at[5].set(jnp.nan)

    def value(model):
        return ss.log_likelihood(model, y, inputs=inputs)

    expected = value(model)
    found, gradient = jax.jit(jax.value_and_grad(value, allow_int=True))(model)
    assert float(found) == pytest.approx(expected, abs=1e-9)
    floating = [g for g in jax.tree.leaves(gradient) if jnp.issubdtype(g.dtype, jnp.floating)]
    assert all(bool(jnp.isfinite(g).all()) for g in floating)
    stacked = jax.tree.map(lambda x: jnp.stack([x, x]), model)
    np.testing.assert_allclose(jax.jit(jax.vmap(value))(stacked), [expected] * 2, atol=1e-9)


def test_trees_and_specifications_round_trip(name):
    model, y, inputs = case(name)
    leaves, tree = jax.tree.flatten(model)
    again = jax.tree.unflatten(tree, leaves)
    stored = rebuild(describe(model))
    expected = ss.log_likelihood(model, y, inputs=inputs)
    for copy in (again, stored):
        assert ss.log_likelihood(copy, y, inputs=inputs) == pytest.approx(expected, abs=1e-12)
        assert copy.state_names == model.state_names


def test_parameters_can_be_replaced(name):
    model, _, _ = case(name)
    found = parameters(model)
    changed = replace(model, {path: p.value * 0.5 for path, p in found.items()})
    for path, p in parameters(changed).items():
        np.testing.assert_allclose(p.value, 0.5 * found[path].value)
