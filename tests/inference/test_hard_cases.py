"""Cases in which filters break: singular noise, known and constant states, long gaps, poison, float32."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.problems import log_likelihood, problem_of, terms
from oracles import Dense, block

from statespace import datasets
from statespace.core.parameters import parameters
from statespace.inference import kalman_filter as kalman
from statespace.inference.analysis import filter_arrays, path_arrays, smoother_arrays
from statespace.inference.problem import stamps
from statespace.models.initial import InitialLaw
from statespace.models.linear import LinearGaussian
from statespace.models.structural import (
    AutoRegressive,
    Intervention,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
)

TESTS = Path(__file__).resolve().parents[1]


def walk(length, seed=0):
    rng = np.random.default_rng(seed)
    return 5 + np.cumsum(rng.normal(size=length)) + rng.normal(size=length)


def value_and_grad(problem):
    found = parameters(problem.model)
    values = {path: found[path].value for path in problem.free}
    return eqx.filter_jit(eqx.filter_value_and_grad(lambda v, p: p.log_likelihood(v)))(values, problem)


# --- singular noise, constant and known states --------------------------------------------------------------


def test_thirteen_states_with_noise_of_rank_three():
    """Trend and dummy seasonal: eleven seasonal states share one shock."""
    model = LocalLinearTrend(0.3, 0.0) + Seasonal(12, scale=0.2) + Noise(0.5)
    y = walk(40)
    y[20:26] = np.nan
    problem = problem_of(model, y)
    _, _, expected = Dense.of(problem.model, problem.steps).posterior(y)
    assert log_likelihood(problem) == pytest.approx(expected, abs=1e-9)
    draws = np.asarray(path_arrays(problem, {}, jax.random.split(jax.random.key(0), 1), 3))[0]
    assert np.isfinite(draws).all()
    slope = draws[:, :, 1]
    np.testing.assert_allclose(slope, np.broadcast_to(slope[:, :1], slope.shape), atol=1e-9)  # it has no noise


def test_nothing_but_constants():
    """A straight line and a fixed pattern without any state noise: ordinary least squares."""
    y = walk(30)
    problem = problem_of(LocalLinearTrend(0.0, 0.0) + Seasonal(4, scale=0.0) + Noise(1.0), y)
    t = np.arange(30)
    pattern = np.stack([(t % 4 == k).astype(float) - (t % 4 == 3) for k in range(3)], axis=1)
    x = np.column_stack([np.ones(30), t, pattern])
    fitted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    smoothed = smoother_arrays(problem, {})
    ours = sum(np.asarray(m)[:, 0] for m in smoothed.component_mean.values())
    np.testing.assert_allclose(ours, fitted, atol=1e-9)
    variance = np.diag(x @ np.linalg.inv(x.T @ x) @ x.T)
    np.testing.assert_allclose(smoothed.loo_sd[:, 0], np.sqrt(1 / (1 - variance)), rtol=1e-8)


def test_exactly_observed_states():
    """R = 0: every stamp pins a combination of the states down."""
    model = AutoRegressive(2, [0.5, 0.3], 1.0) + Noise(0.0)
    y = walk(25)
    y[[4, 10, 11]] = np.nan
    problem = problem_of(model, y)
    smoothed = smoother_arrays(problem, {})
    seen = np.isfinite(y)
    np.testing.assert_allclose(smoothed.mean[seen, 0], y[seen], atol=1e-10)
    np.testing.assert_allclose(smoothed.cov[seen, 0, 0], 0.0, atol=1e-12)
    assert np.isfinite(terms(problem)).all()


def test_an_impossible_model_says_so():
    """Two exact observations of one quantity have no joint density: NaN, never a number."""
    model = LinearGaussian([[1.0]], [1.0], [[1.0], [1.0]], [0.0, 0.0], diffuse=True)
    assert not np.isfinite(log_likelihood(problem_of(model, np.ones((5, 2)))))


# --- gaps ---------------------------------------------------------------------------------------------------

GAPS = {
    "a block": slice(20, 60),
    "a leading gap": slice(0, 30),
    "a trailing gap": slice(60, 80),
    "all but a few": slice(6, 78),
}


@pytest.mark.parametrize("name", list(GAPS))
def test_whole_missing_blocks(name):
    y = walk(80)
    y[GAPS[name]] = np.nan
    problem = problem_of(LocalLinearTrend(0.6, 0.1) + Noise(0.8), y)
    mean, cov, expected = Dense.of(problem.model, problem.steps).posterior(y)
    filtered, smoothed = filter_arrays(problem, {}), smoother_arrays(problem, {})
    assert float(filtered.terms.sum()) == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(smoothed.mean, mean, rtol=1e-8, atol=1e-8)
    # 30 stamps before the first observation the diffuse directions are nearly one: some digits are lost
    tolerance = 1e-4 if name == "a leading gap" else 1e-7
    for t in (0, 25, 50, 79):
        np.testing.assert_allclose(smoothed.cov[t], block(cov, t, 2), rtol=tolerance, atol=1e-8)
    value, gradient = value_and_grad(problem)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradient.values())


def test_a_leading_gap_equals_a_later_start():
    """Nothing is learned before the first observation: a diffuse level starts there."""
    y = walk(30)
    late = np.concatenate([np.full(12, np.nan), y])
    model = LocalLevel(0.6) + Noise(0.8)
    assert log_likelihood(problem_of(model, late)) == pytest.approx(log_likelihood(problem_of(model, y)), abs=1e-11)


def test_values_under_the_mask_are_never_used():
    y, mask = walk(30)[:, None], np.ones((30, 1), bool)
    mask[[0, 7, 8, 29]] = False
    model = LocalLevel(0.6) + Noise(0.8)
    problem = problem_of(model, y, mask=mask)
    poisoned = eqx.tree_at(lambda p: p.y, problem, jnp.where(mask, y, jnp.nan))
    value, gradient = value_and_grad(problem)
    other, other_gradient = value_and_grad(poisoned)
    assert float(other) == float(value)
    for path, found in gradient.items():
        assert float(other_gradient[path]) == float(found)


def test_an_unobserved_series_contributes_nothing():
    y = np.column_stack([walk(30), np.full(30, np.nan)])
    both = problem_of(LocalLevel(0.6) + Noise([0.8, 0.5]), y)
    assert log_likelihood(both) == pytest.approx(log_likelihood(problem_of(LocalLevel(0.6) + Noise(0.8), y[:, 0])))


# --- the diffuse phase --------------------------------------------------------------------------------------


def test_a_dummy_that_is_zero_for_169_months():
    data = datasets.seatbelts()
    law = data["law"].to_numpy()
    assert law[:169].sum() == 0
    assert law[169] == 1
    model = LocalLevel(0.03) + Seasonal(12, scale=0.002) + Regression(["law"]) + Noise(0.06)
    y = np.log(data["drivers"].to_numpy())
    problem = problem_of(model, y, inputs=law, input_names=["law"])
    assert 170 <= problem.plan.diffuse_steps <= 192
    filtered, smoothed = filter_arrays(problem, {}), smoother_arrays(problem, {})
    _, _, expected = Dense.of(problem.model, problem.steps).posterior(y)
    assert float(filtered.terms.sum()) == pytest.approx(expected, abs=1e-8)
    assert int(filtered.diffuse_count) == 13
    assert np.isinf(filtered.cov[168, -1, -1])
    assert np.isfinite(filtered.cov[169]).all()
    np.testing.assert_allclose(smoothed.mean[:, -1], smoothed.mean[-1, -1], rtol=1e-10)  # a constant
    as_event = LocalLevel(0.03) + Seasonal(12, scale=0.002) + Intervention(169, name="law") + Noise(0.06)
    assert log_likelihood(problem_of(as_event, y)) == pytest.approx(expected, abs=1e-8)


def test_a_dummy_that_is_never_one():
    """Nothing identifies its coefficient: the others' likelihood is untouched, the forecast is undefined."""
    y = walk(30)
    without = LocalLevel(0.6) + Noise(0.8)
    model = LocalLevel(0.6) + Regression(["never"]) + Noise(0.8)
    problem = problem_of(model, y, inputs=np.zeros(30), input_names=["never"])
    assert log_likelihood(problem) == pytest.approx(log_likelihood(problem_of(without, y)), abs=1e-10)
    last = filter_arrays(problem, {}).last
    assert np.isnan(last.mean).all()


def test_a_phase_that_is_cut_short_is_nan():
    """The length of the phase is the caller's promise; a broken one cannot pass unnoticed."""
    y = walk(12)
    problem = problem_of(LocalLinearTrend(0.6, 0.1) + Noise(0.8), y)
    run = eqx.filter_jit(kalman.log_likelihood)
    arguments = (problem.model, problem.y, problem.mask, problem.steps)
    whole = run(*arguments)
    np.testing.assert_allclose(run(*arguments, diffuse_steps=problem.plan.diffuse_steps), whole, atol=1e-12)
    assert np.isnan(run(*arguments, diffuse_steps=1)).any()


def test_the_unit_of_an_input_is_immaterial():
    """A diffuse coefficient of a column in another unit: exact, with the constant that belongs to it."""
    y, x = walk(30), np.sin(np.arange(30.0))
    model = LocalLevel(0.6) + Regression(["x"]) + Noise(0.8)

    def found(c):
        return log_likelihood(problem_of(model, y, inputs=c * x, input_names=["x"]))

    for c in (1e-8, 1e8):
        assert found(c) == pytest.approx(found(1.0) - np.log(c), abs=1e-8)


def test_harmonics_that_coincide_leave_a_direction_open():
    """Two seasonals share a frequency: that part is not identified, and the likelihood of the rest is finite."""
    model = (
        LocalLevel(0.5)
        + Seasonal(12, form="trigonometric", harmonics=[1, 2], scale=0.1)
        + Seasonal(6, form="trigonometric", harmonics=[1], scale=0.0, name="half")
        + Noise(0.8)
    )
    problem = problem_of(model, walk(40))
    assert problem.plan.diffuse_steps == 40
    assert np.isfinite(log_likelihood(problem))
    _, gradient = value_and_grad(problem)
    assert all(np.isfinite(g).all() for g in gradient.values())


# --- poison -------------------------------------------------------------------------------------------------


def test_the_first_spacing_is_never_used():
    y = walk(20)
    y[6] = np.nan
    dt = np.random.default_rng(0).uniform(0.5, 2, 20)
    model = LocalLinearTrend(0.6, 0.1) + LocalLevel(0.2, initial=InitialLaw.gaussian([0.0], [1.0])) + Noise(0.8)
    clean = problem_of(model, y, dt=dt)
    poisoned = problem_of(model, y, dt=np.where(np.arange(20) == 0, np.nan, dt))
    assert clean.plan == poisoned.plan
    value, gradient = value_and_grad(clean)
    other, other_gradient = value_and_grad(poisoned)
    assert float(other) == float(value)
    for path, found in gradient.items():
        assert float(other_gradient[path]) == float(found)
    for one, two in zip(
        jax.tree.leaves(smoother_arrays(clean, {})), jax.tree.leaves(smoother_arrays(poisoned, {})), strict=True
    ):
        np.testing.assert_array_equal(one, two)
    draws = [path_arrays(p, {}, jax.random.split(jax.random.key(0), 1), 2) for p in (clean, poisoned)]
    np.testing.assert_array_equal(draws[0], draws[1])


def test_irregular_stamps_equal_skipped_ones():
    """Time gaps that are whole numbers of periods: the same as missing rows."""
    y = walk(20)
    keep = np.array([0, 1, 4, 5, 6, 9, 13, 14, 19])
    rows = np.full(20, np.nan)
    rows[keep] = y[keep]
    model = LocalLevel(0.6) + Noise(0.8)
    gappy = problem_of(model, rows)
    irregular = problem_of(model, y[keep], dt=np.diff(keep, prepend=0).astype(float))
    assert log_likelihood(irregular) == pytest.approx(log_likelihood(gappy), abs=1e-11)
    one, other = smoother_arrays(gappy, {}), smoother_arrays(irregular, {})
    np.testing.assert_allclose(other.mean, one.mean[keep], atol=1e-10)
    np.testing.assert_allclose(other.cov, one.cov[keep], atol=1e-10)


def test_the_first_transition_is_never_used():
    rng, n = np.random.default_rng(4), 14
    fields = dict(
        transition_matrix=0.7 * rng.normal(size=(n, 2, 2)), transition_scale=rng.normal(size=(n, 2, 2)),
        transition_offset=rng.normal(size=(n, 2)), transition_input=rng.normal(size=(n, 2, 1)),
    )  # fmt: skip
    rest = dict(emission_matrix=rng.normal(size=(n, 1, 2)), emission_scale=[0.5], diffuse=[True, False])
    rest |= dict(initial_mean=[0, 0.4], initial_scale=[0, 0.7])
    y, inputs = walk(n), rng.normal(size=n)
    y[5] = np.nan

    def make(fields):
        return LinearGaussian(**fields, **rest)

    @eqx.filter_jit
    def value_and_grad_of(fields, problem):
        def value(f):
            model = make(f)
            steps = stamps(model, n, inputs=problem.steps.inputs)
            return kalman.log_likelihood(
                model, problem.y, problem.mask, steps, diffuse_steps=problem.plan.diffuse_steps
            ).sum()

        return jax.value_and_grad(value)(fields)

    poisoned = {name: field.copy() for name, field in fields.items()}
    for field in poisoned.values():
        field[0] = np.nan
    clean = problem_of(make(fields), y, inputs=inputs)
    other = problem_of(make(poisoned), y, inputs=inputs)
    assert clean.plan == other.plan
    assert log_likelihood(other) == log_likelihood(clean)
    value, gradient = value_and_grad_of(jax.tree.map(jnp.asarray, fields), clean)
    same, poisoned_gradient = value_and_grad_of(jax.tree.map(jnp.asarray, poisoned), other)
    assert float(same) == float(value)
    for name, found in gradient.items():
        np.testing.assert_array_equal(poisoned_gradient[name], found, err_msg=name)
        np.testing.assert_array_equal(found[0], 0.0, err_msg=name)
        assert np.isfinite(found).all()
    one, two = smoother_arrays(clean, {}), smoother_arrays(other, {})
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.loo_terms, two.loo_terms)


# --- large but proper variances -----------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [1e3, 1e4])
def test_a_vague_but_proper_start(spread):
    """Smoothed variances do not lose digits to a start of variance 1e6 or 1e8."""
    y = walk(40)
    start = InitialLaw.gaussian([0.0], [spread])
    smoothed = smoother_arrays(problem_of(LocalLevel(1.0, initial=start) + Noise(1.0), y), {})
    precision = np.diag(np.r_[spread**-2, np.zeros(39)]) + np.eye(40)
    for t in range(1, 40):
        precision[t - 1 : t + 1, t - 1 : t + 1] += [[1, -1], [-1, 1]]
    exact = np.linalg.inv(precision)
    np.testing.assert_allclose(smoothed.cov[:, 0, 0], np.diag(exact), rtol=1e-8)
    np.testing.assert_allclose(smoothed.mean[:, 0], exact @ y, rtol=1e-8)


# --- float32 ------------------------------------------------------------------------------------------------

FLOAT32 = """
    import json
    import statespace
    import jax
    assert not jax.config.jax_enable_x64
    import numpy as np
    from inference.problems import problem_of, terms
    from statespace import datasets
    from statespace.inference.analysis import filter_arrays, smoother_arrays
    from statespace.models.structural import LocalLevel, LocalLinearTrend, Noise, Regression, Seasonal

    data = datasets.seatbelts()
    y = np.log(data["drivers"].to_numpy())
    columns = {"law": data["law"].to_numpy(), "log_petrol": np.log(data["PetrolPrice"].to_numpy())}

    def seatbelts(names, c=1.0):
        model = (
            LocalLinearTrend(0.02 * c, 0.0005 * c) + Seasonal(12, scale=0.003 * c)
            + Regression(names) + Noise(0.06 * c)
        )
        inputs = np.column_stack([columns[name] for name in names])
        return problem_of(model, c * y, inputs=inputs, input_names=names)

    out = {}
    cases = {"one": (["law"], 1.0), "small": (["law"], 1e-6), "large": (["law"], 1e6),
             "both": (["log_petrol", "law"], 1.0)}
    for name, case in cases.items():
        problem = seatbelts(*case)
        found = terms(problem)
        out[name] = float(np.asarray(found, float).sum())
        out[name + "_length"] = problem.plan.diffuse_steps
        out[name + "_dtype"] = str(found.dtype)
    weak = smoother_arrays(seatbelts(["log_petrol", "law"]), {})
    out["weak_sd"] = np.sqrt(np.asarray(np.diagonal(weak.cov, axis1=1, axis2=2), float)).tolist()
    out["weak_mean"] = np.asarray(weak.mean, float).tolist()
    problem = seatbelts(["law"])
    smoothed = smoother_arrays(problem, {})
    rows = [0, 20, 90, 191]
    out["mean"] = np.asarray(smoothed.mean, float)[rows].tolist()
    out["variance"] = np.asarray(np.diagonal(smoothed.cov, axis1=1, axis2=2), float)[rows].tolist()
    out["loo"] = np.asarray(smoothed.loo_terms, float).tolist()
    leaves = jax.tree.leaves((smoothed, filter_arrays(problem, {})))
    out["dtypes"] = sorted({str(leaf.dtype) for leaf in leaves})
    print(json.dumps(out))
"""
SET_X64 = "import statespace\n    import jax\n    jax.config.update('jax_enable_x64', True)\n"


def run_alone(code):
    """What a fresh process prints, as JSON."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    environment.pop("JAX_ENABLE_X64", None)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def single():
    return run_alone(FLOAT32)


@pytest.fixture(scope="module")
def double():
    return run_alone(FLOAT32.replace("assert not", "assert").replace("import statespace\n", SET_X64, 1))


@pytest.mark.parametrize("name", ["one", "both"], ids=["law", "log_petrol and law"])
def test_float32_likelihood_of_the_seatbelts_model(single, double, name):
    assert single[f"{name}_dtype"] == "float32"
    assert double[f"{name}_dtype"] == "float64"
    assert single[f"{name}_length"] == double[f"{name}_length"]
    assert single[name] == pytest.approx(double[name], abs=1e-3)


@pytest.mark.parametrize(("name", "c"), [("small", 1e-6), ("large", 1e6)])
def test_float32_at_other_scales(single, double, name, c):
    n, d = 192, 14
    assert double[name] == pytest.approx(double["one"] - (n - d) * np.log(c), abs=1e-6)
    assert single[name] == pytest.approx(double[name], abs=1e-3)
    assert single[f"{name}_length"] == double["one_length"]


def test_float32_smoother_of_the_seatbelts_model(single, double):
    """Means within a hundredth of a standard deviation, and variances within a hundredth."""
    variance = np.array(double["variance"])
    np.testing.assert_allclose(single["variance"], variance, rtol=0.01)
    error = np.abs(np.array(single["mean"]) - np.array(double["mean"]))
    assert (error <= 0.01 * np.sqrt(variance)).all()


def test_smoothing_a_weakly_identified_start(double):
    """Log petrol hardly moves at first: its direction is met at a loading of 1e-4. Against a dense normal."""
    data = datasets.seatbelts()
    model = LocalLinearTrend(0.02, 0.0005) + Seasonal(12, scale=0.003) + Regression(["log_petrol", "law"]) + Noise(0.06)
    inputs = np.column_stack([np.log(data["PetrolPrice"]), data["law"]])
    y = np.log(data["drivers"].to_numpy())
    problem = problem_of(model, y, inputs=inputs, input_names=["log_petrol", "law"])
    mean, cov, _ = Dense.of(problem.model, problem.steps).posterior(y[:, None], np.ones((len(y), 1), bool))
    sd = np.sqrt(np.diag(cov)).reshape(len(y), -1)
    found = smoother_arrays(problem, {})
    np.testing.assert_allclose(np.sqrt(np.diagonal(found.cov, axis1=1, axis2=2)), sd, rtol=1e-6)
    np.testing.assert_allclose(found.mean, mean, atol=1e-6 * sd.max())
    np.testing.assert_allclose(double["weak_sd"], sd, rtol=1e-6)


def test_float32_smoothing_of_a_weakly_identified_start(single, double):
    expected = np.array(double["weak_sd"])
    np.testing.assert_allclose(single["weak_sd"], expected, rtol=0.01)
    assert (np.abs(np.array(single["weak_mean"]) - double["weak_mean"]) <= 0.02 * expected).all()


def test_float32_leave_one_out(single, double):
    found, expected = np.array(single["loo"], float), np.array(double["loo"], float)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_float32_keeps_its_type(single):
    assert all(kind in ("float32", "int32", "bool") for kind in single["dtypes"])
