"""Discrete states against the sum over all paths: likelihood, filter, smoother, Viterbi, draws, in both forms."""

import itertools
import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import statespace as ss
from statespace.core.parameters import replace

MOVES = np.array([[0.8, 0.15, 0.05], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
FIRST = np.array([0.5, 0.3, 0.2])
SEQUENTIAL, PARALLEL = ss.ForwardBackward(), ss.ForwardBackward(parallel=True)


def normal(**options):
    given = {"initial": FIRST, "transition": MOVES, "loc": [0.0, 1.5, -1.0], "scale": [0.7, 1.1, 0.9]}
    return ss.HiddenMarkov(3, dist.Normal, **{**given, **options})


def two_series():
    loc = [[0.0, 1.0], [1.5, -0.5], [-1.0, 0.3]]
    return ss.HiddenMarkov(3, dist.Normal, initial=FIRST, transition=MOVES, loc=loc, scale=np.full((3, 2), 0.8))


def joint():
    factors = np.linalg.cholesky(np.array([[[1.0, 0.5], [0.5, 1.0]], [[0.6, -0.2], [-0.2, 0.9]], np.eye(2)]))
    loc = [[0.0, 1.0], [1.5, -0.5], [-1.0, 0.3]]
    return ss.HiddenMarkov(3, dist.MultivariateNormal, initial=FIRST, transition=MOVES, loc=loc, scale_tril=factors)


def driven():
    coefficients = np.array([[[0.5, -1.0], [1.2, 0.4], [-0.3, 0.8]]])
    return normal(transition_inputs=["u"], coefficients=coefficients)


def left_to_right():
    return normal(initial=[1.0, 0.0, 0.0], transition=[[0.6, 0.4, 0.0], [0.0, 0.7, 0.3], [0.0, 0.0, 1.0]])


COUNTS = ss.HiddenMarkov(3, dist.Poisson, initial=FIRST, transition=MOVES, rate=[0.5, 3.0, 8.0])
NORMAL_ROW = np.array([0.2, 1.4, -0.8, 2.0, 0.1, -1.3])
PAIR = np.array([[0.2, 0.8], [1.4, -0.9], [-0.8, 0.4], [2.0, np.nan], [np.nan, np.nan], [-1.3, 0.2]])
GAPS = np.where(np.arange(6) % 3 == 1, np.nan, NORMAL_ROW)
INPUT = np.array([[0.3], [-0.7], [1.2], [0.1], [-1.5], [0.9]])
CASES = {
    "normal": (normal, NORMAL_ROW, None),
    "gaps": (normal, GAPS, None),
    "stationary": (lambda: normal(initial="stationary"), NORMAL_ROW, None),
    "counts": (lambda: COUNTS, np.array([0.0, 2.0, 9.0, np.nan, 1.0, 4.0]), None),
    "two series": (two_series, PAIR, None),
    "joint": (joint, PAIR, None),
    "inputs": (driven, GAPS, INPUT),
    "left to right": (left_to_right, NORMAL_ROW, None),
}


def shifted(step, u):
    """The transition probabilities of `driven` at an input, written out."""
    beta = np.array([[0, 0.5, -1.0], [1.2, 0, 0.4], [-0.3, 0.8, 0]])
    weights = MOVES * np.exp(beta * u)
    return weights / weights.sum(axis=1, keepdims=True)


def density(model, y):
    """log p(y_t | state), element by element with scipy, the missing ones left out."""
    v = {name: np.asarray(value) for name, value in model.law.values.items()}
    rows = y.reshape(len(y), -1)
    found = np.zeros((len(y), 3))
    for t, k in itertools.product(range(len(y)), range(3)):
        seen = np.isfinite(rows[t])
        if not seen.any():
            continue
        if "rate" in v:
            found[t, k] = stats.poisson.logpmf(rows[t], v["rate"][k]).sum()
        elif "scale_tril" in v:
            cov = v["scale_tril"][k] @ v["scale_tril"][k].T
            part = stats.multivariate_normal(v["loc"][k][seen], cov[np.ix_(seen, seen)])
            found[t, k] = part.logpdf(rows[t][seen])
        else:
            loc, scale = np.atleast_1d(v["loc"][k]), np.atleast_1d(v["scale"][k])
            found[t, k] = stats.norm.logpdf(rows[t][seen], loc[seen], scale[seen]).sum()
    return found


def enumerate_paths(name):
    """All paths with their joint log densities with the data."""
    make, y, inputs = CASES[name]
    model = make()
    moves = [np.asarray(model.chain.transition)] * len(y)
    if name == "inputs":
        moves = [shifted(t, INPUT[t, 0]) for t in range(len(y))]
    first = np.asarray(model.chain.initial) if not model.chain.stationary else None
    if first is None:
        values, vectors = np.linalg.eig(MOVES.T)
        first = np.real(vectors[:, np.argmax(values.real)])
        first = first / first.sum()
    p = density(model, y)
    paths = np.array(list(itertools.product(range(3), repeat=len(y))))
    with np.errstate(divide="ignore"):
        logs = np.log(first)[paths[:, 0]] + p[0, paths[:, 0]]
        for t in range(1, len(y)):
            logs += np.log(moves[t])[paths[:, t - 1], paths[:, t]] + p[t, paths[:, t]]
    return model, y, inputs, paths, logs


IN_PARALLEL = ("gaps", "inputs", "left to right")  # the forms differ in the recursions, not in the emissions
RUNS = [(name, SEQUENTIAL) for name in CASES] + [(name, PARALLEL) for name in IN_PARALLEL]


@pytest.mark.parametrize(("name", "method"), RUNS, ids=lambda value: str(value))
def test_everything_is_the_sum_over_all_paths(name, method):
    model, y, inputs, paths, logs = enumerate_paths(name)
    total = np.logaddexp.reduce(logs)
    assert ss.log_likelihood(model, y, method, inputs=inputs) == pytest.approx(total, abs=1e-10)
    weights = np.exp(logs - total)
    smoothed = ss.smooth(model, y, method, inputs=inputs)
    expected = np.stack([np.bincount(paths[:, t], weights, 3) for t in range(len(y))])
    np.testing.assert_allclose(smoothed.probabilities, expected, atol=1e-10)
    pairs = [np.bincount(3 * paths[:, t - 1] + paths[:, t], weights, 9) for t in range(1, len(y))]
    np.testing.assert_allclose(smoothed.transitions.reshape(-1, 9), pairs, atol=1e-10)
    best = ss.viterbi(model, y, method, inputs=inputs)
    np.testing.assert_array_equal(best.values, paths[np.argmax(logs)])
    filtered = ss.filter(model, y, method, inputs=inputs)
    np.testing.assert_allclose(filtered.probabilities[-1], expected[-1], atol=1e-10)
    assert filtered.log_likelihood == pytest.approx(total, abs=1e-10)


@pytest.mark.parametrize("name", ["gaps", "inputs", "joint"])
def test_filtered_and_predicted_probabilities_are_those_of_the_first_stamps(name):
    model, y, inputs, _, _ = enumerate_paths(name)
    filtered = ss.filter(model, y, inputs=inputs)
    for stop in range(1, len(y)):
        later = (np.arange(len(y)) >= stop).reshape(-1, *[1] * (y.ndim - 1))
        part = ss.smooth(model, np.where(later, np.nan, y), inputs=inputs)
        np.testing.assert_allclose(filtered.probabilities[stop - 1], part.probabilities[stop - 1], atol=1e-10)
        move = shifted(stop, INPUT[stop, 0]) if name == "inputs" else MOVES
        ahead = part.probabilities[stop - 1] @ move
        np.testing.assert_allclose(filtered.predicted_probabilities[stop], ahead, atol=1e-10)
        np.testing.assert_allclose(part.probabilities[stop], ahead, atol=1e-10)


@pytest.mark.parametrize("method", [SEQUENTIAL, PARALLEL], ids=["sequential", "parallel"])
def test_draws_have_the_frequencies_of_the_paths(method, key):
    model, y, _, paths, logs = enumerate_paths("gaps")
    weights = np.exp(logs - np.logaddexp.reduce(logs))
    draws = ss.sample_states(model, y, method, num_samples=20_000, key=key).values
    codes = draws @ 3 ** np.arange(len(y))[::-1]
    counts = np.bincount(codes, minlength=len(paths))
    common = weights * len(draws) >= 5  # the rare paths count as one
    seen = np.append(counts[common], counts[~common].sum())
    wanted = np.append(weights[common], weights[~common].sum()) * len(draws)
    statistic = ((seen - wanted) ** 2 / wanted).sum()
    assert stats.chi2(len(seen) - 1).sf(statistic) > 0.001


def test_both_forms_draw_the_same_paths(key):
    y = np.asarray(ss.simulate(normal(), 200, key=key).y)[0, :, 0]
    drawn = [ss.sample_states(normal(), y, m, num_samples=5, key=key).values for m in (SEQUENTIAL, PARALLEL)]
    np.testing.assert_array_equal(*drawn)
    np.testing.assert_array_equal(*[ss.viterbi(normal(), y, m).values for m in (SEQUENTIAL, PARALLEL)])
    filtered = [ss.filter(normal(), y, m) for m in (SEQUENTIAL, PARALLEL)]
    for field in ("probabilities", "predicted_probabilities", "log_likelihood_terms", "observation_mean"):
        np.testing.assert_allclose(*[getattr(f, field) for f in filtered], atol=1e-10)


def test_leave_one_out_densities_are_ratios_of_likelihoods():
    y = NORMAL_ROW
    whole = ss.log_likelihood(normal(), y)
    for t, found in enumerate(ss.smooth(normal(), y).loo_terms):
        without = np.where(np.arange(len(y)) == t, np.nan, y)
        assert found == pytest.approx(whole - ss.log_likelihood(normal(), without), abs=1e-10)


@pytest.mark.parametrize("name", ["gaps", "inputs", "two series", "left to right"])
def test_gradients_are_those_of_finite_differences(name):
    make, y, inputs = CASES[name]
    model = make()
    path = "emission.loc"
    value = np.asarray(model.law.values["loc"])

    def objective(loc, method=SEQUENTIAL):
        return ss.log_likelihood(replace(model, {path: loc}), y, method, inputs=inputs)

    slope = jax.jit(jax.grad(objective))(jnp.asarray(value))
    direction = np.random.default_rng(0).normal(size=value.shape)
    ahead, behind = (float(objective(value + s * 1e-6 * direction)) for s in (1, -1))
    assert float((slope * direction).sum()) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)
    parallel = jax.jit(jax.grad(lambda loc: objective(loc, PARALLEL)))(jnp.asarray(value))
    np.testing.assert_allclose(parallel, slope, atol=1e-10)
    everything = eqx.filter_grad(lambda m: ss.log_likelihood(m, y, inputs=inputs))(model)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(everything))


def test_a_regime_can_come_back_after_any_stretch_of_data():
    """Each state stays for ever, so the terms of one run to e^-5000 before the other's overtake it."""
    model = ss.HiddenMarkov(2, dist.Normal, initial=[0.5, 0.5], transition=np.eye(2), loc=[0.0, 10.0], scale=1.0)
    y = np.repeat([0.0, 10.0], [100, 101])
    each = [stats.norm.logpdf(y, loc).sum() for loc in (0.0, 10.0)]
    expected = np.logaddexp(*each) + np.log(0.5)
    for method in (SEQUENTIAL, PARALLEL):
        assert ss.log_likelihood(model, y, method) == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(ss.smooth(model, y, method).probabilities, [[np.exp(-50), 1.0]] * 201, rtol=1e-6)


def test_impossible_data_have_log_likelihood_minus_infinity():
    model = ss.HiddenMarkov(2, dist.Uniform, transition=MOVES[:2, :2] / MOVES[:2, :2].sum(1, keepdims=True),
                            initial=[1.0, 0.0], low=[0.0, 1.0], high=[1.0, 2.0],
                            supports={"low": dist.constraints.real, "high": dist.constraints.real})  # fmt: skip
    assert ss.log_likelihood(model, [0.5, 5.0, 0.5]) == -np.inf


def test_append_goes_on_as_if_there_had_been_one_run(key):
    u = np.random.default_rng(1).normal(size=(60, 1))
    y = np.asarray(ss.simulate(driven(), 60, inputs=u, key=key).y)[0, :, 0]
    whole = ss.filter(driven(), y, inputs=u)
    part = ss.append(ss.filter(driven(), y[:37], inputs=u[:37]), y[37:], inputs=u[37:])
    np.testing.assert_allclose(part.probabilities, whole.probabilities, atol=1e-12)
    assert part.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-10)
    one = ss.append(ss.filter(driven(), y[:59], inputs=u[:59]), y[59:], inputs=u[59:])
    np.testing.assert_allclose(one.probabilities, whole.probabilities, atol=1e-12)


def test_the_first_spacing_and_transition_are_never_used():
    days = np.array([0.0, 1.0, 3.0, 4.5])

    class Switching(ss.AbstractDiscreteDynamics):
        rate: float = 0.3

        @property
        def num_states(self):
            return 2

        @property
        def state_names(self):
            return ("off", "on")

        def initial_probabilities(self, step):
            return jnp.array([0.5, 0.5])

        def transition_probabilities(self, step):
            leave = 0.5 * (1 - jnp.exp(-2 * self.rate * step.dt))  # a chain in continuous time
            return jnp.array([[1 - leave, leave], [leave, 1 - leave]])

        def emission(self, x, step):
            return dist.Normal(3.0 * x, 1.0)

    y = np.array([0.1, 2.5, 3.1, -0.4])
    joint = np.array([0.5, 0.5]) * stats.norm.pdf(y[0], [0, 3])
    for t in range(1, 4):
        leave = 0.5 * (1 - np.exp(-0.6 * (days[t] - days[t - 1])))
        joint = joint @ np.array([[1 - leave, leave], [leave, 1 - leave]]) * stats.norm.pdf(y[t], [0, 3])
    assert ss.log_likelihood(Switching(), y, times=days) == pytest.approx(np.log(joint.sum()), abs=1e-12)


SINGLE = """
import statespace as ss, jax, numpy as np, numpyro.distributions as dist
y = np.random.default_rng(0).normal(size=2000) + np.repeat([0.0, 3.0, 0.0, 3.0], 500)
model = ss.HiddenMarkov(
    2, dist.Normal, initial=[0.5, 0.5], transition=[[0.99, 0.01], [0.01, 0.99]], loc=[0.0, 3.0], scale=1.0)
found = ss.filter(model, y)
parallel = ss.log_likelihood(model, y, ss.ForwardBackward(parallel=True))
print(found.belief.log_probabilities.dtype, repr(found.log_likelihood), repr(float(parallel)))
"""


def test_single_precision_agrees():
    double = {}
    exec(SINGLE.split("found")[0], double)  # the model and the data, in this process
    expected = ss.log_likelihood(double["model"], double["y"])
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    done = subprocess.run([sys.executable, "-c", SINGLE], capture_output=True, text=True, check=True, env=environment)
    dtype, *values = done.stdout.split()
    assert dtype == "float32"
    for value in values:
        number = float(value.removeprefix("np.float64(").rstrip(")"))
        assert number == pytest.approx(expected, rel=2e-6)
