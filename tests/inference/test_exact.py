"""Everything that the linear-Gaussian methods say, against one dense multivariate normal."""

from types import SimpleNamespace

import equinox as eqx
import jax
import numpy as np
import pytest
from inference.problems import problem_of, terms
from oracles import Dense, block, normal_logpdf

from statespace.inference.analysis import filter_arrays, path_arrays, smoother_arrays
from statespace.inference.prediction import predict_moments
from statespace.inference.problem import make_problem, stamps
from statespace.models.initial import InitialLaw
from statespace.models.linear import LinearGaussian
from statespace.models.structural import (
    AutoRegressive,
    Common,
    Cycle,
    Intervention,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
)

T, H = 11, 3
CLOSE = dict(rtol=1e-9, atol=1e-9)
RNG = np.random.default_rng(7)
COMPANION = np.array([[0.9, -0.5, 0.2], [1, 0, 0], [0, 1, 0]])


def autoregression(noise, start):
    """A rank-one Q, observed with noise or exactly, from a proper or known start."""
    return LinearGaussian(COMPANION, [[0.8], [0], [0]], [[1, 0.3, 0]], [noise], [1, -1, 0.5], start * np.eye(3))


def mixed():
    """A diffuse level beside a stationary VAR(1) with a mean; correlated noise."""
    transition = np.array([[1, 0.4, 0.1], [0, 0.5, 0.3], [0, -0.2, 0.4]])
    return LinearGaussian(
        transition, [[0.3, 0, 0], [0, 1, 0], [0, 0.5, 0.7]], [[1, 0, 1], [0.5, 1, 0]], [[0.6, 0], [0.4, 0.5]],
        transition_offset=[0, 0.3, -0.2], emission_offset=[1, -1],
        diffuse=[True, False, False], stationary=[False, True, True],
    )  # fmt: skip


def varying():
    """Every matrix of its own at every stamp; offsets, inputs, full noise; the transition into the first is NaN."""
    rng, n, p, q = np.random.default_rng(5), 3, 2, 2
    fields = dict(
        transition_matrix=0.6 * rng.normal(size=(T + H, n, n)),
        transition_scale=rng.normal(size=(T + H, n, q)),
        transition_offset=rng.normal(size=(T + H, n)),
        transition_input=rng.normal(size=(T + H, n, 2)),
    )
    for field in fields.values():
        field[0] = np.nan
    return LinearGaussian(
        **fields, emission_matrix=rng.normal(size=(T + H, p, n)), emission_scale=rng.normal(size=(T + H, p, 2)),
        emission_offset=rng.normal(size=(T + H, p)), emission_input=rng.normal(size=(p, 2)), diffuse=True,
    )  # fmt: skip


CASES = {
    "local level": (lambda: LocalLevel(0.7) + Noise(1.3), 1),
    "trend and dummy seasonal": (lambda: LocalLinearTrend(0.5, 0.2) + Seasonal(4, scale=0.3) + Noise(0.9), 1),
    "level and trigonometric seasonal": (
        lambda: LocalLevel(0.5) + Seasonal(4, form="trigonometric", scale=0.3) + Noise(0.9), 1,
    ),
    "cycle, autoregression and regression": (
        lambda: Cycle(5.0, 0.8, 0.6) + AutoRegressive(2, [0.5, 0.2], 0.7) + Regression(["b"]) + Noise(0.5), 1,
    ),
    "coefficients that move, and an event": (
        lambda: LocalLevel(0.4) + Regression(["b", "a"], time_varying=True, scale=[0.3, 0.2])
        + Intervention(5, name="event") + Noise(0.6), 1,
    ),
    "rank-one Q": (lambda: autoregression(0.7, 1.5), 1),
    "R = 0": (lambda: autoregression(0.0, 1.5), 1),
    "P0 = 0": (lambda: autoregression(0.7, 0.0), 1),
    "diffuse and stationary elements": (mixed, 2),
    "matrices that vary": (varying, 2),
    "two series": (
        lambda: LocalLevel(0.5) + Common(AutoRegressive(1, [0.7], 0.8), weights=[-0.5])
        + Noise([0.6, 0.8], correlated=True, correlation=[[1, 0.6], [0.6, 1]]), 2,
    ),
    "irregular stamps": (lambda: LocalLinearTrend(0.5, 0.2) + Noise(0.9), 1),
}  # fmt: skip
COMPLETE = ["trend and dummy seasonal", "rank-one Q", "R = 0", "P0 = 0", "matrices that vary"]
GRID = [(name, "gaps") for name in CASES] + [(name, "complete") for name in COMPLETE]


def data(series, gaps):
    y = np.random.default_rng(series).normal(size=(T, series)).cumsum(0) + 2
    if gaps:
        rows = [2, 3, 8] if series == 1 else [3]
        y[rows] = np.nan
        if series == 2:
            y[0, 1] = y[6, 0] = y[9, 1] = np.nan
    return y


@pytest.fixture(scope="module", params=GRID, ids=lambda p: f"{p[0]} ({p[1]})")
def case(request):
    name, completeness = request.param
    make, series = CASES[name]
    model, y = make(), data(series, completeness == "gaps")
    inputs = np.random.default_rng(9).normal(size=(T + H, 2))
    dt = np.concatenate([[np.nan], np.random.default_rng(8).uniform(0.3, 2, T + H - 1)])
    dt = dt if name == "irregular stamps" else None
    problem = problem_of(model, y, inputs=inputs[:T], input_names=["a", "b"], dt=None if dt is None else dt[:T])
    every = stamps(problem.model, T + H, inputs=inputs, dt=None if dt is None else np.nan_to_num(dt, nan=1.0))
    mask = np.zeros((T + H, series), bool)
    mask[:T] = np.isfinite(y)
    rest = np.concatenate([y, np.full((H, series), np.nan)])
    return SimpleNamespace(
        name=name, problem=problem, y=rest, mask=mask, dense=Dense.of(problem.model, every), steps=every,
        n=len(problem.model.state_names), p=series, inputs=inputs, dt=dt,
        filtered=filter_arrays(problem, {}), smoothed=smoother_arrays(problem, {}),
    )  # fmt: skip


def identified(case, mask):
    """Whether the observations in the mask identify all diffuse elements."""
    d = case.dense.diffuse.shape[1]
    if d == 0:
        return True
    if not mask.any():
        return False
    x = case.dense.z[mask.reshape(-1)] @ case.dense.diffuse
    return np.linalg.matrix_rank(x, tol=1e-9 * np.abs(x).max()) == d


def up_to(case, t):
    """The mask of the observations before position t."""
    return case.mask & (np.arange(T + H) < t)[:, None]


def test_log_likelihood(case):
    _, _, expected = case.dense.posterior(case.y, case.mask)
    ours = terms(case.problem)
    assert float(ours.sum()) == pytest.approx(expected, abs=1e-10)
    np.testing.assert_allclose(case.filtered.terms, ours, atol=1e-12)
    assert int(case.filtered.diffuse_count) == case.dense.diffuse.shape[1]


def test_filtered_moments(case):
    closed = 0
    for t in range(T):
        seen = up_to(case, t + 1)
        if not identified(case, seen):
            assert not np.isfinite(case.filtered.cov[t]).all()
            continue
        mean, cov, _ = case.dense.posterior(case.y, seen)
        np.testing.assert_allclose(case.filtered.mean[t], mean[t], **CLOSE)
        np.testing.assert_allclose(case.filtered.cov[t], block(cov, t, case.n), **CLOSE)
        closed += 1
    assert closed >= 4
    np.testing.assert_allclose(case.filtered.last.mean, case.filtered.mean[-1])
    np.testing.assert_allclose(case.filtered.last.cov, case.filtered.cov[-1])


def test_one_step_predictions(case):
    for t in range(T):
        seen = up_to(case, t)
        if not identified(case, seen):
            continue
        mean, cov, _ = case.dense.posterior(case.y, seen)
        np.testing.assert_allclose(case.filtered.predicted_mean[t], mean[t], **CLOSE)
        np.testing.assert_allclose(case.filtered.predicted_cov[t], block(cov, t, case.n), **CLOSE)
        mean, cov = case.dense.predictive(case.y, seen)
        mean, cov = mean.reshape(-1, case.p)[t], block(cov, t, case.p)
        np.testing.assert_allclose(case.filtered.observation_mean[t], mean, **CLOSE)
        np.testing.assert_allclose(case.filtered.observation_cov[t], cov, **CLOSE)
        here = case.mask[t]
        density = normal_logpdf(case.y[t, here], mean[here], cov[np.ix_(here, here)]) if here.any() else 0.0
        assert float(case.filtered.terms[t]) == pytest.approx(density, abs=1e-10)
        if case.p == 1 and here.any():
            expected = (case.y[t, 0] - mean[0]) / np.sqrt(cov[0, 0])
            assert float(case.filtered.residuals[t, 0]) == pytest.approx(expected, abs=1e-9)
    assert np.isnan(np.asarray(case.filtered.residuals)[~case.mask[:T]]).all()


def test_smoothed_moments(case):
    mean, cov, _ = case.dense.posterior(case.y, case.mask)
    np.testing.assert_allclose(case.smoothed.mean, mean[:T], **CLOSE)
    for t in range(T):
        np.testing.assert_allclose(case.smoothed.cov[t], block(cov, t, case.n), **CLOSE)


def test_components(case):
    if not case.smoothed.component_mean:
        pytest.skip("a model in matrices has no components")
    mean, cov, _ = case.dense.posterior(case.y, case.mask)
    for name, where in case.problem.model.slices.items():
        rows = np.zeros((T, case.p, case.n))
        z = case.dense.z.reshape(T + H, case.p, T + H, case.n)
        for t in range(T):
            rows[t, :, where] = z[t, :, t, where]
        expected = np.einsum("tpn,tn->tp", rows, mean[:T])
        np.testing.assert_allclose(case.smoothed.component_mean[name], expected, **CLOSE)
        spread = [np.diag(rows[t] @ block(cov, t, case.n) @ rows[t].T) for t in range(T)]
        np.testing.assert_allclose(case.smoothed.component_var[name], spread, **CLOSE)


def test_leave_one_out(case):
    for t in range(T):
        rest, here = case.mask.copy(), case.mask[t]
        rest[t] = False
        if not here.any():
            assert float(case.smoothed.loo_terms[t]) == 0
            assert np.isnan(case.smoothed.loo_mean[t]).all()
            continue
        if not identified(case, rest):
            assert np.isnan(case.smoothed.loo_terms[t])
            continue
        mean, cov = case.dense.predictive(case.y, rest)
        mean, cov = mean.reshape(-1, case.p)[t], block(cov, t, case.p)
        expected = normal_logpdf(case.y[t, here], mean[here], cov[np.ix_(here, here)])
        assert float(case.smoothed.loo_terms[t]) == pytest.approx(expected, abs=1e-8)
        np.testing.assert_allclose(case.smoothed.loo_mean[t][here], mean[here], rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(case.smoothed.loo_sd[t][here], np.sqrt(np.diag(cov))[here], rtol=1e-8)


def test_auxiliary_residuals(case):
    """Scores of the observations, u = S^-1 (y - mean), and smoothed disturbances, Q times the score of the states."""
    seen = np.flatnonzero(case.mask.reshape(-1))
    z, d = case.dense.z[seen], case.dense
    inverse = np.linalg.inv(z @ d.state_cov @ z.T + d.noise_cov[np.ix_(seen, seen)])
    x = z @ d.diffuse
    if x.shape[1]:
        inverse = inverse - inverse @ x @ np.linalg.inv(x.T @ inverse @ x) @ x.T @ inverse
    u = inverse @ (case.y.reshape(-1)[seen] - d.offset[seen] - z @ d.state_mean.reshape(-1))
    identity = np.eye(case.n)
    loads = np.zeros((T, case.n, len(seen)))  # how a unit of noise into stamp t enters the observations
    for t in range(1, T):
        path, state = np.zeros((T + H, case.n, case.n)), identity
        path[t] = state
        for s in range(t + 1, T):
            state = np.asarray(case.problem.model.propagate(state, case.problem.steps[s]))
            path[s] = state
        loads[t] = (z @ path.reshape(-1, case.n)).T
    for t in range(1, T):
        factor = np.asarray(case.problem.model.transition_matrices(case.problem.steps[t]).factor)
        loads[t] = factor @ factor.T @ loads[t]
    variance = np.einsum("tni,ij,tnj->tn", loads, inverse, loads)
    said = variance > 1e-9
    ours = np.asarray(case.smoothed.state_residuals)
    expected = (loads @ u)[said] / np.sqrt(variance[said])
    np.testing.assert_allclose(ours[said], expected, rtol=1e-6, atol=1e-7)
    assert np.isnan(ours[~said & (variance < 1e-12)]).all()
    if np.asarray(case.problem.model.emission_matrices(case.problem.steps[0]).scale).ndim == 1:
        spread = np.diag(inverse)
        clear = spread > 1e-9
        ours = np.asarray(case.smoothed.observation_residuals).reshape(-1)[seen]
        np.testing.assert_allclose(ours[clear], u[clear] / np.sqrt(spread[clear]), rtol=1e-6, atol=1e-7)


def test_forecasts(case):
    mean, cov = case.dense.predictive(case.y, case.mask)
    state_mean, state_cov, _ = case.dense.posterior(case.y, case.mask)
    future = stamps(case.problem.model, H, start=T, inputs=case.inputs[T:], dt=None if case.dt is None else case.dt[T:])
    found = eqx.filter_jit(predict_moments)(case.problem.model, case.filtered.last, future)
    np.testing.assert_allclose(found.mean, mean.reshape(-1, case.p)[T:], **CLOSE)
    np.testing.assert_allclose(found.state_mean, state_mean[T:], **CLOSE)
    for h in range(H):
        np.testing.assert_allclose(found.cov[h], block(cov, T + h, case.p), **CLOSE)
        np.testing.assert_allclose(found.state_cov[h], block(state_cov, T + h, case.n), **CLOSE)


DRAWS, Z_BOUND = 8000, 5.0


def test_path_draws(case, key):
    """Means and all covariances of joint draws; 5 standard errors, for a fixed key."""
    if case.mask[:T].all() and case.name != "R = 0":
        pytest.skip("draws are compared where something is missing")
    draws = np.asarray(path_arrays(case.problem, {}, jax.random.split(key, 1), DRAWS))[0]
    mean, cov, _ = case.dense.posterior(case.y, case.mask)
    size = T * case.n
    mean, cov, draws = mean.reshape(-1)[:size], cov[:size, :size], draws.reshape(DRAWS, size)
    variance = np.maximum(np.diag(cov), 0)
    error = np.sqrt(variance / DRAWS)
    loose = variance > 1e-12
    np.testing.assert_allclose(draws[:, ~loose], np.broadcast_to(mean[~loose], (DRAWS, (~loose).sum())), atol=1e-5)
    assert (np.abs(draws.mean(0) - mean)[loose] <= Z_BOUND * error[loose]).all()
    centred = draws - mean
    found = centred.T @ centred / DRAWS
    error = np.sqrt((np.outer(variance, variance) + cov**2) / DRAWS)
    both = np.outer(loose, loose)
    assert (np.abs(found - cov)[both] <= Z_BOUND * error[both]).all()


@pytest.mark.parametrize("name", ["trend and dummy seasonal", "matrices that vary"])
def test_a_filter_that_continues_gives_the_same_numbers(name):
    make, series = CASES[name]
    y, cut = data(series, True), 8
    inputs = np.random.default_rng(9).normal(size=(T, 2))
    whole = problem_of(make(), y, inputs=inputs, input_names=["a", "b"])
    head = problem_of(make(), y[:cut], inputs=inputs[:cut], input_names=["a", "b"])
    mask = np.isfinite(y[cut:])
    tail = make_problem(whole.model, np.where(mask, y[cut:], 0), mask, inputs=inputs[cut:], start=cut)
    before, full = filter_arrays(head, {}), filter_arrays(whole, {})
    after = filter_arrays(tail, {}, before.last)
    np.testing.assert_allclose(np.concatenate([before.terms, after.terms]), full.terms, atol=1e-12)
    np.testing.assert_allclose(after.mean, full.mean[cut:], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(after.last.cov, full.last.cov, rtol=1e-12, atol=1e-12)


def test_a_known_element_stays_known():
    """A constant that is known from the start, beside a level: singular covariances everywhere."""
    start = InitialLaw.known([3.0])
    model = LocalLevel(0.5) + LocalLevel(0.0, initial=start, name="constant") + Noise(0.8)
    smoothed = smoother_arrays(problem_of(model, data(1, True)), {})
    np.testing.assert_array_equal(smoothed.mean[:, 1], 3.0)
    np.testing.assert_array_equal(smoothed.cov[:, 1], 0.0)
