"""Gradients of the log-likelihood: through the diffuse phase, through gaps, and at any scale of the data."""

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from inference.problems import problem_of

from statespace.core.parameters import parameters, unconstrain
from statespace.inference.analysis import filter_arrays
from statespace.models.linear import LinearGaussian
from statespace.models.structural import (
    AutoRegressive,
    Common,
    Cycle,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
)

T = 16


def structural():
    return (
        LocalLinearTrend(0.5, 0.2)
        + Seasonal(4, scale=0.3)
        + Cycle(5.0, 0.8, 0.6)
        + AutoRegressive(2, [0.5, 0.2], 0.7)
        + Regression(["a"])
        + Noise(0.9)
    )


def two_series():
    return (
        LocalLevel(0.5)
        + Common(AutoRegressive(1, [0.7], 0.8), weights=[-0.5])
        + Noise([0.6, 0.8], correlated=True, correlation=[[1, 0.6], [0.6, 1]])
    )


def data(series, gaps):
    y = np.random.default_rng(series).normal(size=(T, series)).cumsum(0) + 2
    if gaps:
        y[[0, 5, 6, 7, 8]] = np.nan
        y[3, 0] = y[12, -1] = np.nan
    return y


def current(problem):
    found = parameters(problem.model)
    return {path: found[path].value for path in problem.free}


@eqx.filter_jit
def value_and_grad(problem, values):
    return eqx.filter_value_and_grad(lambda v: problem.log_likelihood(v))(values)


def central_differences(problem, values, step=1e-5):
    flat, unflatten = jax.flatten_util.ravel_pytree(values)
    moves = step * jnp.eye(len(flat))
    many = eqx.filter_jit(lambda p, points: jax.lax.map(lambda x: p.log_likelihood(unflatten(x)), points))
    up, down = many(problem, flat + moves), many(problem, flat - moves)
    return unflatten((up - down) / (2 * step))


@pytest.mark.parametrize(("make", "series"), [(structural, 1), (two_series, 2)], ids=["structural", "two series"])
def test_gradient_is_that_of_finite_differences(make, series):
    problem = problem_of(make(), data(series, True), inputs=np.sin(np.arange(T)), input_names=["a"])
    assert problem.plan.diffuse_steps > 0
    values = current(problem)
    if "noise.correlation" in values:
        del values["noise.correlation"]  # its entries are not free of one another
    _, gradient = value_and_grad(problem, values)
    numerical = central_differences(problem, values)
    assert set(gradient) == set(values)
    for path, found in gradient.items():
        np.testing.assert_allclose(found, numerical[path], rtol=1e-7, atol=1e-7, err_msg=path)


def test_gradient_of_the_objective_on_the_unconstrained_scale():
    problem = problem_of(structural(), data(1, True), inputs=np.sin(np.arange(T)), input_names=["a"])
    start = unconstrain(current(problem), problem.supports)
    flat, unflatten = jax.flatten_util.ravel_pytree(start)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: problem.objective(unflatten(x))))(flat)
    assert np.isfinite(value)
    direction = np.random.default_rng(0).normal(size=len(flat))
    objective = jax.jit(lambda x: problem.objective(unflatten(x)))
    numerical = (objective(flat + 1e-5 * direction) - objective(flat - 1e-5 * direction)) / 2e-5
    assert float(gradient @ direction) == pytest.approx(float(numerical), rel=1e-7)


def test_gradient_with_respect_to_matrices():
    """Every matrix of a partly diffuse model with full noise and partial rows."""

    def model(m):
        return LinearGaussian(
            m["F"], m["G"], m["H"], m["S"], transition_offset=m["c"], emission_offset=m["d"],
            initial_mean=m["m"], initial_scale=m["P"], diffuse=[True, False],
        )  # fmt: skip

    rng = np.random.default_rng(2)
    matrices = {
        "F": np.array([[1, 0.3], [0, 0.6]]), "G": rng.normal(size=(2, 1)), "H": rng.normal(size=(2, 2)),
        "S": np.array([[0.7, 0], [0.3, 0.5]]), "c": rng.normal(size=2), "d": rng.normal(size=2),
        "m": rng.normal(size=2), "P": np.diag([0, 0.8]),
    }  # fmt: skip
    problem = problem_of(model(matrices), data(2, True))
    flat, unflatten = jax.flatten_util.ravel_pytree(jax.tree.map(jnp.asarray, matrices))

    def value(x):
        return eqx.tree_at(lambda p: p.model, problem, model(unflatten(x))).log_likelihood({})

    gradient = jax.jit(jax.grad(value))(flat)
    points = jax.jit(lambda xs: jax.lax.map(value, xs))
    moves = 1e-5 * jnp.eye(len(flat))
    np.testing.assert_allclose(gradient, (points(flat + moves) - points(flat - moves)) / 2e-5, rtol=1e-6, atol=1e-6)
    assert np.isfinite(gradient).all()


def test_gradient_is_finite_where_scales_are_tiny():
    """The likelihood near the border of the parameters, where NUTS and the optimiser wander."""
    problem = problem_of(LocalLinearTrend(1.0, 1.0) + Seasonal(4, scale=1.0) + Noise(1.0), data(1, False))
    for scale in (1e-12, 1e-4, 1e4):
        for path in problem.free:
            values = {**current(problem), path: jnp.asarray(scale)}
            value, gradient = value_and_grad(problem, values)
            assert np.isfinite(value)
            assert all(np.isfinite(g).all() for g in gradient.values()), (path, scale, gradient)


def test_gradient_is_finite_where_scales_are_zero():
    problem = problem_of(LocalLinearTrend(1.0, 1.0) + Noise(1.0), data(1, True))
    for path in problem.free:
        values = {**current(problem), path: jnp.asarray(0.0)}
        value, gradient = value_and_grad(problem, values)
        assert np.isfinite(value)
        assert float(gradient[path]) == 0.0  # the likelihood is even in a scale
        assert all(np.isfinite(g).all() for g in gradient.values())


@pytest.mark.parametrize("c", [1e-6, 1e6])
def test_scaling_data_and_scales_shifts_the_likelihood(c):
    """By -(n - d) log c: diffuse elements do not shift. The score with respect to log scales stays."""
    y = data(1, True)
    names = ["trend.level_scale", "trend.slope_scale", "seasonal4.scale", "noise.scale"]

    def found(factor):
        scales = factor * np.array([0.5, 0.2, 0.3, 0.9])
        problem = problem_of(
            LocalLinearTrend(scales[0], scales[1]) + Seasonal(4, scale=scales[2]) + Noise(scales[3]), factor * y
        )
        value, gradient = value_and_grad(problem, current(problem))
        score = [float(gradient[name]) * scale for name, scale in zip(names, scales, strict=True)]
        return float(value), np.array(score)

    n, d = np.isfinite(y).sum(), 5
    one, score = found(1.0)
    other, scaled_score = found(c)
    assert other - one == pytest.approx(-(n - d) * np.log(c), rel=1e-11)
    np.testing.assert_allclose(scaled_score, score, rtol=1e-8)
    assert np.isfinite(score).all()


def test_scores_add_up():
    """sum of d ll / d log scale = -(n - d) + sum of squared standardised errors, as ll is homogeneous."""
    y = data(1, True)
    problem = problem_of(LocalLinearTrend(0.5, 0.2) + Seasonal(4, scale=0.3) + Noise(0.9), y)
    values = current(problem)
    _, gradient = value_and_grad(problem, values)
    total = sum(float(gradient[path] * values[path]) for path in values)
    squares = float(np.nansum(np.asarray(filter_arrays(problem, {}).residuals) ** 2))
    assert total == pytest.approx(-(np.isfinite(y).sum() - 5) + squares, rel=1e-10)
