"""Each component's matrices, against matrices written by hand, closed forms, recursions and statsmodels."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from statespace.core.step import make_steps
from statespace.data import moment
from statespace.models.initial import InitialLaw
from statespace.models.structural import (
    AutoRegressive,
    Binding,
    Common,
    Cycle,
    Intervention,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
)

INPUTS = np.array([[3.0, -1.0], [5.0, 2.0], [7.0, 4.0], [11.0, 0.0]])
STEPS = make_steps(4, inputs=jnp.asarray(INPUTS))
STEP = STEPS[1]
HALF = np.sqrt(0.5)


def transition(part, step=STEP):
    size = len(part.states) if hasattr(part, "states") else len(part.state_names)
    return np.asarray(part.propagate(jnp.eye(size), step))


def noise_cov(part, step=STEP):
    whole = hasattr(part, "state_names")  # a sum
    factor = np.asarray(part.noise_factor(None, step) if whole else part.noise_factor(step))
    return factor @ factor.T


def turns(*angles):
    """Rotations in the order of a trigonometric seasonal's states: all cosines, then all sines."""
    c, s = np.diag(np.cos(angles)), np.diag(np.sin(angles))
    return np.block([[c, s], [-s, c]])


# component, transition, noise covariance, loading at STEP, diffuse elements
BY_HAND = {
    "level": (LocalLevel(0.5), [[1]], [[0.25]], [1], [True]),
    "fixed level": (LocalLevel(0.0), [[1]], [[0]], [1], [True]),
    "trend": (LocalLinearTrend(0.5, 0.2), [[1, 1], [0, 1]], np.diag([0.25, 0.04]), [1, 0], [True] * 2),
    "random walk with drift": (LocalLinearTrend(0.5, 0), [[1, 1], [0, 1]], np.diag([0.25, 0]), [1, 0], [True] * 2),
    "smooth trend": (LocalLinearTrend(0, 0.2), [[1, 1], [0, 1]], np.diag([0, 0.04]), [1, 0], [True] * 2),
    "straight line": (LocalLinearTrend(0, 0), [[1, 1], [0, 1]], np.zeros((2, 2)), [1, 0], [True] * 2),
    "dummy of period 2": (Seasonal(2, scale=0.3), [[-1]], [[0.09]], [1], [True]),
    "dummy of period 4": (
        Seasonal(4, scale=0.3), [[-1, -1, -1], [1, 0, 0], [0, 1, 0]], np.diag([0.09, 0, 0]), [1, 0, 0], [True] * 3,
    ),
    "trigonometric of period 2": (Seasonal(2, form="trigonometric", scale=0.3), [[-1]], [[0.09]], [1], [True]),
    "trigonometric of period 4": (  # cos1, sin1, cos2
        Seasonal(4, form="trigonometric", scale=0.3),
        [[0, 1, 0], [-1, 0, 0], [0, 0, -1]], 0.09 * np.eye(3), [1, 0, 1], [True] * 3,
    ),
    "trigonometric of period 5": (  # cos1, cos2, sin1, sin2
        Seasonal(5, form="trigonometric", scale=0.3),
        turns(2 * np.pi / 5, 4 * np.pi / 5), 0.09 * np.eye(4), [1, 1, 0, 0], [True] * 4,
    ),
    "harmonics 2 and 6 of period 12": (  # cos2, sin2, cos6
        Seasonal(12, form="trigonometric", harmonics=[6, 2], scale=0.3),
        [[0.5, np.sqrt(0.75), 0], [-np.sqrt(0.75), 0.5, 0], [0, 0, -1]], 0.09 * np.eye(3), [1, 0, 1], [True] * 3,
    ),
    "cycle": (
        Cycle(8.0, 0.9, 0.3), 0.9 * np.array([[HALF, HALF], [-HALF, HALF]]), 0.09 * np.eye(2), [1, 0], [False] * 2,
    ),
    "cycle of period 4 that does not die out": (
        Cycle(4.0, scale=0.3, damped=False), [[0, 1], [-1, 0]], 0.09 * np.eye(2), [1, 0], [True] * 2,
    ),
    "autoregression of order 1": (AutoRegressive(1, [0.6], 0.8), [[0.6]], [[0.64]], [1], [False]),
    "autoregression of order 3": (
        AutoRegressive(3, [0.5, 0.2, -0.1], 0.8),
        [[0.5, 0.2, -0.1], [1, 0, 0], [0, 1, 0]], np.diag([0.64, 0, 0]), [1, 0, 0], [False] * 3,
    ),
    "regression": (Regression(["a", "b"]), np.eye(2), np.zeros((2, 2)), [5, 2], [True] * 2),
    "regression that moves": (
        Regression(["a", "b"], time_varying=True, scale=[0.3, 0.2]), np.eye(2), np.diag([0.09, 0.04]), [5, 2],
        [True] * 2,
    ),
    "intervention": (Intervention(1), [[1]], [[0]], [1], [True]),
    "shared trend": (Common(LocalLinearTrend(0.5, 0.2)), [[1, 1], [0, 1]], np.diag([0.25, 0.04]), [1, 0], [True] * 2),
}  # fmt: skip


@pytest.fixture(params=BY_HAND)
def by_hand(request):
    return BY_HAND[request.param]


def test_matrices_written_by_hand(by_hand):
    part, f, q, loading, diffuse = by_hand
    np.testing.assert_allclose(transition(part), f, atol=1e-15)
    np.testing.assert_allclose(noise_cov(part), q, atol=1e-15)
    np.testing.assert_allclose(part.loading(STEP), loading, atol=1e-15)
    law = part.initial_law(STEP)
    assert list(law.diffuse) == diffuse
    assert law.mean.shape == (len(f),)
    assert law.cov.shape == (len(f), len(f))


@pytest.mark.parametrize("columns", [(), (2, 4)], ids=str)
def test_propagating_columns_is_the_matrix_product(by_hand, columns):
    part, f, *_ = by_hand
    x = np.random.default_rng(1).normal(size=(len(f), *columns))
    np.testing.assert_allclose(part.propagate(jnp.asarray(x), STEP), np.tensordot(f, x, axes=1), atol=1e-14)


def test_a_sum_is_block_diagonal():
    parts = [LocalLinearTrend(0.5, 0.2), Intervention(2), Seasonal(3, scale=0.3), AutoRegressive(2, [0.5, 0.1], 0.7)]
    model = sum(parts) + Noise(0.9)
    f = np.zeros((7, 7))
    f[:2, :2], f[2, 2], f[3:5, 3:5], f[5:, 5:] = [[1, 1], [0, 1]], 1, [[-1, -1], [1, 0]], [[0.5, 0.1], [1, 0]]
    np.testing.assert_allclose(transition(model), f)
    np.testing.assert_allclose(noise_cov(model), np.diag([0.25, 0.04, 0, 0.09, 0, 0.49, 0]), atol=1e-15)
    x = np.random.default_rng(2).normal(size=(7, 2, 3))
    np.testing.assert_allclose(model.propagate(jnp.asarray(x), STEP), np.tensordot(f, x, axes=1), atol=1e-14)
    for t, reached in enumerate([0, 0, 1, 1]):
        emission = model.emission_matrices(STEPS[t])
        np.testing.assert_array_equal(emission.matrix, [[1, 0, reached, 1, 0, 1, 0]])
        np.testing.assert_array_equal(emission.scale, [0.9])
        np.testing.assert_array_equal(emission.offset, [0])
        added = model.contributions(jnp.arange(1.0, 8.0), STEPS[t])
        assert {name: float(value[0]) for name, value in added.items()} == {
            "trend": 1, "intervention": 3 * reached, "seasonal3": 4, "ar": 6
        }  # fmt: skip
    np.testing.assert_array_equal(model.transition_matrices(STEP).offset, np.zeros(7))
    assert model.initial_law(STEP).diffuse == (True,) * 5 + (False,) * 2


def test_a_sum_has_the_matrices_of_statsmodels():
    structural = pytest.importorskip("statsmodels.tsa.statespace.structural")
    known = {
        "sigma2.irregular": 0.81, "sigma2.level": 0.25, "sigma2.trend": 0.04, "sigma2.seasonal": 0.09,
        "sigma2.freq_seasonal_5(2)": 0.16, "sigma2.freq_seasonal_12(1)": 0.01, "sigma2.cycle": 0.36,
        "frequency.cycle": 2 * np.pi / 9, "damping.cycle": 0.8, "sigma2.ar": 0.49, "ar.L1": 0.5, "ar.L2": -0.3,
    }  # fmt: skip
    theirs = structural.UnobservedComponents(
        np.zeros(4), level="lltrend", seasonal=4, freq_seasonal=[{"period": 5}, {"period": 12, "harmonics": 1}],
        cycle=True, stochastic_cycle=True, damped_cycle=True, cycle_period_bounds=(2, 40), autoregressive=2,
        exog=INPUTS, mle_regression=False,
    )  # fmt: skip
    theirs.update(np.array([known[name] for name in theirs.param_names]))
    model = (
        LocalLinearTrend(0.5, 0.2) + Seasonal(4, scale=0.3) + Seasonal(5, form="trigonometric", scale=0.4)
        + Seasonal(12, form="trigonometric", harmonics=1, scale=0.1) + Cycle(9.0, 0.8, 0.6)
        + AutoRegressive(2, [0.5, -0.3], 0.7) + Regression(["a", "b"]) + Noise(0.9)
    )  # fmt: skip
    order = [0, 1, 2, 3, 4, 5, 7, 6, 8, *range(9, 17)]  # there each cosine stands beside its sine
    get = {name: np.asarray(theirs.ssm[name]) for name in ("transition", "selection", "state_cov", "design", "obs_cov")}
    np.testing.assert_allclose(transition(model), get["transition"][np.ix_(order, order)], atol=1e-14)
    q = get["selection"] @ get["state_cov"] @ get["selection"].T
    np.testing.assert_allclose(noise_cov(model), q[np.ix_(order, order)], atol=1e-14)
    for t in range(4):
        emission = model.emission_matrices(STEPS[t])
        np.testing.assert_allclose(emission.matrix, get["design"][:, order, t])
        np.testing.assert_allclose(emission.scale**2, get["obs_cov"][0])


# --- seasonals and cycles -----------------------------------------------------------------------------------


def path(part, start, length):
    """What the component adds at each stamp without noise."""
    f, row = transition(part), np.asarray(part.loading(STEP))
    return np.array([row @ np.linalg.matrix_power(f, t) @ start for t in range(length)])


@pytest.mark.parametrize("period", [2, 3, 7, 12])
def test_dummy_effects_of_a_full_period_sum_to_zero(period):
    start = np.random.default_rng(period).normal(size=period - 1)
    effects = list(start[::-1])  # lag ... lag1, effect
    for _ in range(2 * period):
        effects.append(-sum(effects[-(period - 1) :]))
    found = path(Seasonal(period, scale=0.0), start, 2 * period + 1)
    np.testing.assert_allclose(found, effects[period - 2 :], atol=1e-12)
    np.testing.assert_allclose(found[period:], found[:-period], atol=1e-12)
    np.testing.assert_allclose(np.convolve(found, np.ones(period), "valid"), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("period", "chosen", "expected"),
    [(3, None, [1]), (4, None, [1, 2]), (7, None, [1, 2, 3]), (12, None, [1, 2, 3, 4, 5, 6]), (12, 2, [1, 2]),
     (12, [5, 1, 5], [1, 5]), (12, range(4, 7), [4, 5, 6]), (365.25, 3, [1, 2, 3]), (2.5, None, [1]),
     (8766, [1, 4383], [1, 4383])],
)  # fmt: skip
def test_harmonics_turn_by_their_angle(period, chosen, expected):
    """The pattern is a sum of a_j cos + b_j sin at 2 pi j t / period, without sine at half the period."""
    part = Seasonal(period, form="trigonometric", harmonics=chosen, scale=0.0)
    assert part.harmonics == tuple(expected)
    paired = [j for j in expected if 2 * j != period]
    last = [f"cos{j}" for j in expected if 2 * j == period]
    assert part.states == (*(f"cos{j}" for j in paired), *(f"sin{j}" for j in paired), *last)
    start = np.random.default_rng(3).normal(size=len(part.states))
    by_name, t = dict(zip(part.states, start, strict=True)), np.arange(40)
    curves = [
        by_name[f"cos{j}"] * np.cos(2 * np.pi * j * t / period)
        + by_name.get(f"sin{j}", 0.0) * np.sin(2 * np.pi * j * t / period)
        for j in expected
    ]
    np.testing.assert_allclose(path(part, start, 40), sum(curves), atol=1e-12)


@pytest.mark.parametrize("period", [2, 4, 5])
def test_both_forms_make_the_same_patterns(period):
    """All harmonics span what the dummies span: the patterns of one period that sum to zero."""
    forms = [Seasonal(period, scale=0.0), Seasonal(period, form="trigonometric", scale=0.0)]
    patterns = [path(part, np.eye(period - 1), period) for part in forms]
    assert [np.linalg.matrix_rank(p) for p in (*patterns, np.hstack(patterns))] == [period - 1] * 3
    np.testing.assert_allclose(np.hstack(patterns).sum(0), 0, atol=1e-12)


def test_a_cycle_turns_and_dies_out():
    start, t = np.array([2.0, -1.0]), np.arange(30)
    wave = start[0] * np.cos(2 * np.pi * t / 7.3) + start[1] * np.sin(2 * np.pi * t / 7.3)
    np.testing.assert_allclose(path(Cycle(7.3, 0.9, 0.0), start, 30), 0.9**t * wave, atol=1e-12)
    np.testing.assert_allclose(path(Cycle(7.3, scale=0.0, damped=False), start, 30), wave, atol=1e-12)


def test_an_autoregression_follows_its_recursion():
    phi, values = [0.5, 0.3, -0.4], [0.7, -1.2, 2.0]  # x[-2], x[-1], x[0]
    for _ in range(20):
        values.append(sum(c * values[-lag] for lag, c in enumerate(phi, 1)))
    np.testing.assert_allclose(path(AutoRegressive(3, phi, 1.0), [2.0, -1.2, 0.7], 21), values[2:], atol=1e-12)


# --- first laws ---------------------------------------------------------------------------------------------


def test_stationary_laws_in_closed_form():
    np.testing.assert_allclose(Cycle(8.0, 0.9, 0.3).initial_law(STEP).cov, 0.09 / (1 - 0.81) * np.eye(2), rtol=1e-12)
    np.testing.assert_allclose(AutoRegressive(1, [0.6], 0.8).initial_law(STEP).cov, [[1.0]], rtol=1e-12)
    a, b = 0.5, 0.2
    variance = (1 - b) * 0.49 / ((1 + b) * ((1 - b) ** 2 - a**2))
    law = AutoRegressive(2, [a, b], 0.7).initial_law(STEP)
    np.testing.assert_allclose(law.cov, variance * np.array([[1, a / (1 - b)], [a / (1 - b), 1]]), rtol=1e-12)
    np.testing.assert_array_equal(law.mean, [0, 0])


@pytest.mark.parametrize(
    "build",
    [
        lambda law: LocalLinearTrend(1.0, 1.0, initial=law), lambda law: Seasonal(3, scale=1.0, initial=law),
        lambda law: Cycle(8.0, 0.9, 1.0, initial=law), lambda law: AutoRegressive(2, [0.5, 0.1], 1.0, initial=law),
        lambda law: Regression(["a", "b"], initial=law), lambda law: Common(LocalLinearTrend(1.0, 1.0, initial=law)),
    ],
)  # fmt: skip
def test_a_given_first_law_takes_its_place_in_the_sum(build):
    model = LocalLevel(1.0) + build(InitialLaw.gaussian([2.0, 3.0], [0.5, 0.1])) + Intervention(1)
    law = model.initial_law(STEP)
    assert law.diffuse == (True, False, False, True)
    np.testing.assert_allclose(law.mean, [0, 2, 3, 0])
    np.testing.assert_allclose(law.cov, np.diag([0, 0.25, 0.01, 0]))


# --- time, inputs and events --------------------------------------------------------------------------------


def test_noise_grows_with_the_time_between_irregular_stamps():
    dt, a, b = 2.5, 0.5, 0.2
    step = make_steps(2, dt=np.array([np.nan, dt]))[1]
    np.testing.assert_allclose(transition(LocalLinearTrend(a, b), step), [[1, dt], [0, 1]])
    expected = [[a**2 * dt + b**2 * dt**3 / 3, b**2 * dt**2 / 2], [b**2 * dt**2 / 2, b**2 * dt]]
    np.testing.assert_allclose(noise_cov(LocalLinearTrend(a, b), step), expected, rtol=1e-12)
    np.testing.assert_allclose(noise_cov(LocalLevel(a), step), [[a**2 * dt]])
    moving = Regression(["a", "b"], time_varying=True, scale=[a, b])
    np.testing.assert_allclose(noise_cov(moving, step), np.diag([a**2, b**2]) * dt)


def test_a_regression_loads_its_own_columns_at_every_stamp():
    part = Regression(["b", "a"]).bind(Binding(("y",), ("a", "b"), (1.0, 1.0), None))
    np.testing.assert_array_equal([part.loading(STEPS[t]) for t in range(4)], INPUTS[:, ::-1])
    assert part.noise_factor(STEP).shape == (2, 0)


@pytest.mark.parametrize(
    ("position", "kind", "expected"),
    [(0, "step", [1, 1, 1, 1, 1]), (0, "pulse", [1, 0, 0, 0, 0]), (2, "step", [0, 0, 1, 1, 1]),
     (2, "pulse", [0, 0, 1, 0, 0]), (3, "step", [0, 0, 0, 1, 1]), (3, "pulse", [0, 0, 0, 1, 0])],
)  # fmt: skip
def test_events_by_position_and_by_date(position, kind, expected):
    """The fifth stamp lies after the data, in the forecast."""
    dates = pd.date_range("2020-01-01", periods=4, freq="MS")
    for at in (position, dates[position], dates[position].strftime("%Y-%m"), str(dates[position].date())):
        part = Intervention(at, kind).bind(Binding(("y",), (), (), dates, True, moment))
        steps = make_steps(5)
        np.testing.assert_array_equal([part.loading(steps[t])[0] for t in range(5)], expected)
