"""Echo state networks with their readout integrated out, against dense normal laws and recursive least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import statespace as ss
from statespace.core.parameters import parameters, replace
from statespace.inference.readout import BayesianReadout
from statespace.inference.readout_root import block_size, log_evidence, predict_all, prior_root
from statespace.models.reservoir import CycleCoupling, EchoState, Frozen, Reservoir, SparseCoupling

LENGTH, RIDGE, NOISE = 60, 0.3, 0.2
PAIR_NOISE = np.array([0.2, 0.5])


def wave(length=LENGTH, seed=0):
    random = np.random.default_rng(seed)
    t = np.arange(length)
    return np.sin(t / 3) + 0.3 * np.cos(t) + 0.05 * random.normal(size=length)


def network(**options):
    cell = Reservoir(1, SparseCoupling(8, 3, key=0), leak=0.6, bias_scale=0.3, key=1)
    return EchoState(cell, RIDGE, NOISE, level=0.1, unit=1.5, **options)


def driven(num_series=1, **options):
    """A network driven by an input column, whose series may miss values."""
    cell = Reservoir(1, SparseCoupling(8, 3, key=0), leak=0.6, bias_scale=0.3, key=1)
    noise = NOISE if num_series == 1 else PAIR_NOISE
    options = {"level": 0.1, "input_names": ["u"], "feedback": False, "num_series": num_series} | options
    return EchoState(cell, RIDGE, noise, **options)


def teacher_forced_rows(model, y):
    """Features by the equations, one stamp after another."""
    before, rows, state = float(model.centre[0]), [], model.recursion.start()
    for value in y:
        drive = jnp.array([(before - 0.1) / 1.5])
        state, output = model.recursion.step(state, drive)
        rows.append(np.concatenate([output, drive, [1.0]]))
        before = value
    return np.array(rows)


def input_rows(model, u):
    outputs, _ = model.recursion.scan(jnp.asarray(u)[:, None])
    return np.column_stack([outputs, u, np.ones(len(u))])


def one_step(rows, z, noise, ridge=RIDGE, seen=None):
    """Means, variances and log densities of each target given those before it, from the joint normal law."""
    cov = noise**2 * (np.eye(len(rows)) + rows @ rows.T / ridge)
    found = []
    for t in range(len(z)):
        past = np.array([s for s in range(t) if seen is None or seen[s]], int)
        gain = np.linalg.solve(cov[np.ix_(past, past)], cov[past, t]) if len(past) else np.zeros(0)
        mean, variance = gain @ z[past], cov[t, t] - gain @ cov[past, t]
        here = seen is None or seen[t]
        term = -0.5 * (np.log(2 * np.pi * variance) + (z[t] - mean) ** 2 / variance) if here else 0.0
        found.append((mean, variance, term))
    return tuple(np.array(column) for column in zip(*found, strict=True))


def test_filter_and_evidence_are_the_joint_normal_law():
    model, y = network(), wave()
    rows = teacher_forced_rows(model, y)
    mean, variance, terms = one_step(rows, y - 0.1, NOISE)
    found = ss.filter(model, y)
    np.testing.assert_allclose(found.log_likelihood_terms, terms, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.observation_mean[:, 0], mean + 0.1, atol=1e-11)
    np.testing.assert_allclose(found.observation_cov[:, 0, 0], variance, rtol=1e-11)
    np.testing.assert_allclose(found.residuals[:, 0], (y - 0.1 - mean) / np.sqrt(variance), atol=1e-10)
    joint = multivariate_normal(np.full(LENGTH, 0.1), NOISE**2 * (np.eye(LENGTH) + rows @ rows.T / RIDGE))
    assert ss.log_likelihood(model, y) == pytest.approx(joint.logpdf(y), abs=1e-9)
    precision = rows.T @ rows + RIDGE * np.eye(10)
    ridge_regression = np.linalg.solve(precision, rows.T @ (y - 0.1))
    np.testing.assert_allclose(found.belief.mean[0], ridge_regression, rtol=1e-9)
    np.testing.assert_allclose(found.belief.cov[0], NOISE**2 * np.linalg.inv(precision), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.mean[-1, 0], rows[-1] @ ridge_regression, rtol=1e-9)
    assert found.cov[-1, 0, 0] == pytest.approx(rows[-1] @ np.asarray(found.belief.cov[0]) @ rows[-1], rel=1e-8)
    assert found.state_names == ("signal",)


@pytest.mark.parametrize("missing", [False, True])
def test_several_series_and_missing_values(missing):
    random = np.random.default_rng(1)
    u, y = random.normal(size=LENGTH), np.column_stack([wave(), wave(seed=1)])
    seen = np.ones((LENGTH, 2), bool)
    if missing:
        seen[[0, 7, 8, 30], 0] = seen[[3, 8, 59], 1] = False
    model = driven(2)
    rows = input_rows(model, u)
    found = ss.filter(model, np.where(seen, y, np.nan), inputs=u[:, None])
    parts = [one_step(rows, y[:, s] - 0.1, PAIR_NOISE[s], seen=seen[:, s]) for s in range(2)]
    np.testing.assert_allclose(found.observation_mean, np.column_stack([p[0] for p in parts]) + 0.1, atol=1e-10)
    variances = np.column_stack([p[1] for p in parts])
    np.testing.assert_allclose(np.diagonal(found.observation_cov, axis1=1, axis2=2), variances, rtol=1e-9)
    np.testing.assert_allclose(found.log_likelihood_terms, sum(p[2] for p in parts), rtol=1e-9, atol=1e-9)
    given = ss.log_likelihood(model, np.where(seen, y, np.nan), inputs=u[:, None])
    assert given == pytest.approx(found.log_likelihood, abs=1e-8)
    assert np.isnan(found.residuals[~seen]).all()


def test_leaving_one_out():
    random = np.random.default_rng(2)
    u, y = random.normal(size=LENGTH), wave()
    gaps = y.copy()
    gaps[[4, 20]] = np.nan
    model = driven()
    rows, smoothed = input_rows(model, u), ss.smooth(model, gaps, inputs=u[:, None])
    seen, cov = np.isfinite(gaps), NOISE**2 * (np.eye(LENGTH) + rows @ rows.T / RIDGE)
    for t in (0, 4, 31, 59):
        others = np.flatnonzero(seen & (np.arange(LENGTH) != t))
        gain = np.linalg.solve(cov[np.ix_(others, others)], cov[others, t])
        mean, variance = 0.1 + gain @ (y[others] - 0.1), cov[t, t] - gain @ cov[others, t]
        assert smoothed.loo_mean[t, 0] == pytest.approx(mean, abs=1e-10)
        assert smoothed.loo_sd[t, 0] ** 2 == pytest.approx(variance, rel=1e-9)
        density = -0.5 * (np.log(2 * np.pi * variance) + (y[t] - mean) ** 2 / variance)
        assert smoothed.loo_terms[t] == pytest.approx(density if seen[t] else 0.0, abs=1e-9)
    everyone = np.flatnonzero(seen)
    gain = np.linalg.solve(cov[np.ix_(everyone, everyone)], (cov - NOISE**2 * np.eye(LENGTH))[everyone])
    np.testing.assert_allclose(smoothed.mean[:, 0], gain.T @ (y[everyone] - 0.1), atol=1e-10)


def test_drift_is_a_kalman_filter():
    y = wave()
    model = network(weight_drift=0.05)
    rows = teacher_forced_rows(model, y)
    size = rows.shape[1]
    kalman = ss.LinearGaussian(
        np.eye(size), 0.05 * NOISE * np.ones(size), rows[:, None, :], [NOISE], np.zeros(size),
        np.full(size, NOISE / np.sqrt(RIDGE)), emission_offset=[0.1],
    )  # fmt: skip
    expected, found = ss.filter(kalman, y), ss.filter(model, y)
    np.testing.assert_allclose(found.log_likelihood_terms, expected.log_likelihood_terms, atol=1e-10)
    np.testing.assert_allclose(found.belief.mean[0], expected.mean[-1], atol=1e-11)
    np.testing.assert_allclose(found.belief.cov[0], expected.cov[-1], atol=1e-12)
    assert ss.log_likelihood(model, y) == pytest.approx(expected.log_likelihood, abs=1e-9)
    still = ss.filter(network(weight_drift=1e-9), y)
    np.testing.assert_allclose(still.log_likelihood_terms, ss.filter(network(), y).log_likelihood_terms, atol=1e-9)
    ahead = ss.forecast(found, horizon=2, num_samples=4000, key=0)
    assert ahead.mean.shape == (2, 1)
    with pytest.raises(TypeError, match="weights that stay"):
        ss.smooth(model, y)


@pytest.mark.parametrize("forgetting", [0.9, 0.5])
def test_forgetting_is_recursive_least_squares(forgetting):
    y = wave()
    model, method = network(), BayesianReadout(forgetting)
    rows = teacher_forced_rows(model, y)
    p, m, terms = np.eye(10) / RIDGE, np.zeros(10), []
    for phi, z in zip(rows, y - 0.1, strict=True):
        p = p / forgetting
        f = 1 + phi @ p @ phi
        error = z - phi @ m
        terms.append(-0.5 * (np.log(2 * np.pi * NOISE**2 * f) + error**2 / (NOISE**2 * f)))
        m = m + p @ phi / f * error
        p = p - np.outer(p @ phi, p @ phi) / f
    found = ss.filter(model, y, method)
    np.testing.assert_allclose(found.log_likelihood_terms, terms, rtol=1e-7)
    np.testing.assert_allclose(found.belief.mean[0], m, rtol=1e-6)
    np.testing.assert_allclose(found.belief.cov[0], NOISE**2 * p, rtol=1e-6, atol=1e-9)
    assert ss.log_likelihood(model, y, method) == pytest.approx(sum(terms), rel=1e-9)
    first = ss.forecast(found, horizon=1, num_samples=20_000, key=0)
    phi = np.asarray(network().run(ss.Step(jnp.arange(1), jnp.zeros(1), previous=y[-1:, None]), found.belief.state)[0])[
        0
    ]
    variance = NOISE**2 * (1 + phi @ p @ phi / forgetting)
    assert first.sd[0, 0] ** 2 == pytest.approx(variance, rel=0.05)


def test_going_on_gives_the_same_numbers():
    y = wave()
    for model, method in (
        (network(washout=3), BayesianReadout()), (network(weight_drift=0.1), BayesianReadout()),
        (network(), BayesianReadout(0.95)),
    ):  # fmt: skip
        whole = ss.filter(model, y, method)
        parts = ss.filter(model, y[:7], method)
        parts = ss.append(parts, y[7:])
        np.testing.assert_allclose(parts.log_likelihood_terms, whole.log_likelihood_terms, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(parts.belief.mean, whole.belief.mean, rtol=1e-7, atol=1e-10)
    gaps = np.column_stack([y, y[::-1]])
    u, model = np.random.default_rng(0).normal(size=(LENGTH, 1)), driven(2)
    first = ss.filter(model, gaps[:30], inputs=u[:30])
    gaps[[35, 50], 1] = np.nan  # the two series part ways after their common beginning
    more, whole = ss.append(first, gaps[30:], inputs=u[30:]), ss.filter(model, gaps, inputs=u)
    np.testing.assert_allclose(more.log_likelihood_terms, whole.log_likelihood_terms, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(more.belief.mean, whole.belief.mean, rtol=1e-8)


def test_washout_drives_but_does_not_teach():
    model, y = network(washout=15), wave()
    rows = teacher_forced_rows(model, y)
    _, _, terms = one_step(rows[15:], y[15:] - 0.1, NOISE)
    found = ss.filter(model, y)
    np.testing.assert_allclose(found.log_likelihood_terms, np.r_[np.zeros(15), terms], rtol=1e-9, atol=1e-10)
    assert ss.log_likelihood(model, y) == pytest.approx(terms.sum(), abs=1e-9)


def test_derivatives_of_the_evidence(key):
    rows, targets = jax.random.normal(key, (20, 5)), jax.random.normal(key, (20, 2))
    arguments = rows, targets, jnp.array(0.1), jnp.array([0.3, 0.7])

    def dense(rows, targets, ridge, noise):
        cov = jnp.eye(20) + rows @ rows.T / ridge
        each = [
            jax.scipy.stats.multivariate_normal.logpdf(targets[:, s], jnp.zeros(20), noise[s] ** 2 * cov)
            for s in (0, 1)
        ]
        return sum(each)

    direction = jax.tree.map(lambda x: jnp.cos(jnp.arange(x.size)).reshape(x.shape), arguments)

    def both(f):  # the value with its gradient, and the derivative of that in a direction of all arguments
        slope = jax.value_and_grad(f, (0, 1, 2, 3))
        return jax.jit(lambda: jax.jvp(lambda *a: slope(*a), arguments, direction))()

    for one, other in zip(jax.tree.leaves(both(log_evidence)), jax.tree.leaves(both(dense)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


def test_gradient_through_the_reservoir():
    model, y = network(), wave(40)
    values = {path: p.value for path, p in parameters(model).items()}

    def value(values):
        return ss.log_likelihood(replace(model, values), jnp.asarray(y))

    run = jax.jit(value)
    assert float(run(values)) == pytest.approx(ss.log_likelihood(model, y), abs=1e-9)
    gradient = jax.jit(jax.grad(value))(values)
    for path, at in values.items():
        h = 1e-5 * float(jnp.max(at))
        slope = (run(values | {path: at + h}) - run(values | {path: at - h})) / (2 * h)
        assert float(jnp.sum(gradient[path])) == pytest.approx(float(slope), rel=1e-6)


def test_a_ridge_of_1e_12_costs_no_digits():
    """Nearly dependent features, against fifty digits: the fit is as good as the data allow, the evidence exact."""
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 50
    t = np.linspace(0, 1, 40)
    rows = np.column_stack([t**k for k in range(9)])  # singular values from 10 down to 1e-5
    z = np.sin(5 * t) + 1e-3 * np.cos(40 * t)
    ridge, noise = 1e-12, 1e-3
    phi, target = mpmath.matrix(rows.tolist()), mpmath.matrix(z.tolist())
    precision = phi.T * phi + mpmath.mpf(ridge) * mpmath.eye(9)
    weights = mpmath.lu_solve(precision, phi.T * target)
    rest = target - phi * weights
    squares = (rest.T * rest)[0] + mpmath.mpf(ridge) * (weights.T * weights)[0]
    exact = -0.5 * (
        40 * mpmath.log(2 * mpmath.pi * noise**2) + mpmath.log(mpmath.det(precision)) - 9 * mpmath.log(ridge)
        + squares / noise**2
    )  # fmt: skip
    found = log_evidence(jnp.asarray(rows), jnp.asarray(z)[:, None], jnp.array(ridge), jnp.array([noise]))
    assert float(found) == pytest.approx(float(exact), rel=1e-9)
    law, steps = jax.jit(predict_all)(prior_root(9, 1, jnp.array(ridge)), jnp.asarray(rows), jnp.asarray(z)[:, None])
    fitted = np.array([float(x) for x in phi * weights])
    np.testing.assert_allclose(rows @ np.asarray(law.mean)[:, 0], fitted, atol=1e-11)
    density = -0.5 * (np.log(2 * np.pi * noise**2 * steps.variance) + (steps.error[:, 0] / noise) ** 2)
    assert float(jnp.sum(density)) == pytest.approx(float(exact), rel=1e-7)


def test_blocks_do_not_show(key):
    """Series longer than a block, with rows missing, equal one block."""
    rows, targets = jax.random.normal(key, (75, 3)), jax.random.normal(key, (75, 1))
    mask = jax.random.uniform(key, (75,)) > 0.3
    assert block_size(3) == 32
    law, found = jax.jit(predict_all)(prior_root(3, 1, jnp.array(0.5)), rows, targets, mask)
    mean, variance, _ = one_step(np.asarray(rows), np.asarray(targets)[:, 0], 1.0, 0.5, np.asarray(mask))
    np.testing.assert_allclose(found.mean[:, 0], mean, atol=1e-12)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-11)
    kept = np.asarray(rows)[np.asarray(mask)]
    np.testing.assert_allclose(law.root.T @ law.root, kept.T @ kept + 0.5 * np.eye(3), atol=1e-11)


def test_forecasts_are_free_runs():
    """One step ahead the law is known; with little noise the paths follow the closed loop."""
    y = wave()
    found = ss.filter(network(), y)
    ahead = ss.forecast(found, horizon=3, num_samples=20_000, key=1)
    rows = teacher_forced_rows(network(), np.r_[y, 0.0])
    mean, variance, _ = one_step(rows, np.r_[y, 0.0] - 0.1, NOISE)
    assert ahead.mean[0, 0] == pytest.approx(mean[-1] + 0.1, abs=5 * np.sqrt(variance[-1] / 20_000))
    assert ahead.sd[0, 0] == pytest.approx(np.sqrt(variance[-1]), rel=0.03)
    assert ahead.sd[2, 0] > ahead.sd[0, 0]
    quiet = replace(network(), {"emission_scale": 1e-9, "ridge": 1e-4})
    last = ss.filter(quiet, y)
    path = ss.forecast(last, horizon=10, num_samples=3, key=2)
    loop = quiet.closed_loop(last.belief.mean)
    free, _ = loop.scan(jnp.zeros((10, 0)), (last.belief.state, y[-1:]))
    np.testing.assert_allclose(path.draws, np.broadcast_to(free, (3, 10, 1)), atol=1e-6)


def test_forecasts_take_inputs_and_several_series():
    u, y = np.random.default_rng(0).normal(size=LENGTH + 4), np.column_stack([wave(), wave(seed=1)])
    model = driven(2)
    found = ss.filter(model, y, inputs=u[:LENGTH, None])
    ahead = ss.forecast(found, horizon=4, inputs=u[LENGTH:, None], num_samples=20_000, key=1)
    rows = input_rows(model, u)
    for s in range(2):
        precision = rows[:LENGTH].T @ rows[:LENGTH] + RIDGE * np.eye(10)
        weights = np.linalg.solve(precision, rows[:LENGTH].T @ (y[:, s] - 0.1))
        sd = PAIR_NOISE[s] * np.sqrt(
            1 + np.einsum("ti,ij,tj->t", rows[LENGTH:], np.linalg.inv(precision), rows[LENGTH:])
        )
        np.testing.assert_allclose(ahead.mean[:, s], 0.1 + rows[LENGTH:] @ weights, atol=6 * sd.max() / np.sqrt(20_000))
        np.testing.assert_allclose(ahead.sd[:, s], sd, rtol=0.03)


def test_draws_of_the_weights_and_of_paths():
    model, y = network(), wave()
    found = ss.filter(model, y)
    draws = np.asarray(found.belief.sample(jax.random.key(0), 40_000))[:, 0]
    cov = np.asarray(found.belief.cov[0])
    scale = np.sqrt(np.diag(cov))
    np.testing.assert_allclose((draws.mean(axis=0) - found.belief.mean[0]) / scale, 0, atol=5 / np.sqrt(40_000))
    np.testing.assert_allclose(np.cov(draws.T) / np.outer(scale, scale), cov / np.outer(scale, scale), atol=0.04)
    paths = ss.sample_states(model, y, num_samples=3, key=0).to_numpy()
    assert paths.shape == (3, LENGTH, len(model.state_names))
    rows = teacher_forced_rows(model, y)
    np.testing.assert_allclose(paths[0, :, 8:16], rows[:, :8], atol=1e-12)
    assert np.ptp(paths[:, :, 16:], axis=1).max() == 0


def test_simulated_series_have_the_law_of_the_model():
    """Series from the three laws, scored by the exact method: squared Mahalanobis lengths are chi squared."""
    model = EchoState(Reservoir(1, CycleCoupling(4), key=0), 2.0, 0.5, level=0.0, unit=1.0)
    y = ss.simulate(model, 12, num_samples=200, key=3).y.to_numpy()[..., 0]
    lengths = []
    for row in y[:60]:
        residuals = ss.filter(model, row).residuals[:, 0]
        lengths.append(np.sum(residuals**2))
    assert abs(np.mean(lengths) - 12) < 4 * np.sqrt(24 / 60)
    drifting = EchoState(Reservoir(1, CycleCoupling(4), key=0), 2.0, 0.5, 0.2, level=0.0, unit=1.0)
    assert ss.simulate(drifting, 5, num_samples=2, key=3).y.shape == (2, 5, 1)


def test_evidence_learns_the_scales(tmp_path):
    """Data made by a network: maximum likelihood comes near what made them, and is saved with its reservoir."""
    cell = Reservoir(1, SparseCoupling(6, 2, key=0), spectral_radius=0.7, key=1)
    u = np.random.default_rng(0).normal(size=(400, 1))
    truth = EchoState(cell, 0.05, 0.3, input_names=["u"], feedback=False, level=0.0)
    y = ss.simulate(truth, inputs=u, length=None, times=np.arange(400), key=2).y.to_numpy()[0, :, 0]
    start = replace(truth, {"emission_scale": 1.0, "recursion.spectral_radius": 0.4, "ridge": 1.0})
    fitted = ss.fit(start, y, inputs=u, progress=False)
    assert fitted.status.converged
    assert fitted.log_likelihood >= ss.log_likelihood(truth, y, inputs=u)
    assert float(fitted.estimates["emission_scale"]) == pytest.approx(0.3, rel=0.1)
    errors = fitted.standard_errors
    radius = fitted.estimates["recursion.spectral_radius"]
    assert abs(radius - 0.7) < 4 * errors["recursion.spectral_radius"]
    fitted.save(tmp_path / "fit.nc")
    again = ss.load(tmp_path / "fit.nc")
    assert ss.log_likelihood(again) == pytest.approx(ss.log_likelihood(fitted), abs=1e-9)


def test_data_give_level_and_unit_where_they_are_left_out():
    y = 100 + 20 * wave()
    cell = Reservoir(1, CycleCoupling(5), key=0)
    bound = ss.filter(EchoState(cell, 0.1, 3.0), y)
    given = ss.filter(EchoState(cell, 0.1, 3.0, level=y.mean(), unit=y.std(ddof=0)), y)
    assert bound.log_likelihood == pytest.approx(given.log_likelihood, rel=1e-3)
    assert float(bound.model.level[0]) == pytest.approx(y.mean())


def test_what_does_not_fit_is_said():
    cell, y = Reservoir(1, CycleCoupling(5), key=0), wave()
    gaps = y.copy()
    gaps[10] = np.nan
    with pytest.raises(ValueError, match="stamp 10 .* is missing, but the network feeds it back"):
        ss.filter(network(), gaps)
    traced = jax.jit(lambda y: ss.log_likelihood(network(), y))
    assert np.isnan(traced(jnp.asarray(gaps)))  # where nothing can be raised the likelihood is no number
    with pytest.raises(ValueError, match="make it with 2"):
        EchoState(cell, input_names=["u"])
    with pytest.raises(ValueError, match="squares is None"):
        EchoState(cell, squares="odd")
    with pytest.raises(TypeError, match="takes a reservoir"):
        EchoState("cell")
    with pytest.raises(ValueError, match="emission_scale has shape"):
        EchoState(Reservoir(2, CycleCoupling(5), key=0), 1.0, [1.0, 2.0, 3.0], num_series=2)
    with pytest.raises(ValueError, match="emission_scale is 0"):
        ss.filter(EchoState(cell, 1.0, 0.0), y)
    with pytest.raises(ValueError, match="forgetting is 1.5"):
        BayesianReadout(1.5)
    with pytest.raises(TypeError, match="is not an EchoState"):
        ss.filter(ss.LocalLevel(1.0) + ss.Noise(1.0), y, BayesianReadout())
    with pytest.raises(ValueError, match="weights have shape"):
        network().closed_loop(jnp.ones((1, 3)))
    with pytest.raises(ValueError, match="not evenly spaced"):
        ss.filter(network(), y[:3], times=[0.0, 1.0, 5.0])


def test_squares_and_frozen_recursions():
    cell, y = Reservoir(1, CycleCoupling(4), key=0), wave()
    outputs, drive = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([5.0])
    even, every = (EchoState(cell, 1.0, 0.1, squares=kind) for kind in ("even", "all"))
    assert even.features(outputs, drive).tolist() == [1, 4, 3, 16, 5, 1]
    assert every.features(outputs, drive).tolist() == [1, 2, 3, 4, 1, 4, 9, 16, 5, 1]
    assert EchoState(cell, 1.0, 0.1, direct=False).features(outputs, drive).tolist() == [1, 2, 3, 4, 1]
    frozen = EchoState(Frozen(cell), 1.0, 0.1)
    assert list(parameters(frozen)) == ["ridge", "emission_scale"]
    assert ss.log_likelihood(frozen, y) == pytest.approx(ss.log_likelihood(EchoState(cell, 1.0, 0.1), y), abs=1e-10)


def test_backtest_of_a_network_that_feeds_back():
    model = EchoState(Reservoir(1, CycleCoupling(6), key=0))
    y = pd.Series(wave(40), name="y")
    table = ss.backtest(model, y, horizon=2, origins=[30, 36], key=jax.random.key(0), num_samples=50, progress=False)
    assert list(table.index) == [1, 2]
    assert (table["rmse"] < table["naive_rmse"]).all()
