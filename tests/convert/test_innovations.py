"""The steady-state predictor: nothing of the model is lost on the way there and back."""

import control
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convert.joint_law import joint_of_form, random_cov, random_stable
from scipy.linalg import solve_discrete_lyapunov

import statespace as ss
from statespace.convert.arrows.innovations import discrete_to_innovations
from statespace.convert.forms import ARMA, InnovationsSSM


def random_form(timing, start, lead, correlated=True, noiseless=False, seed=0):
    """A form of three states, two series and an input."""
    rng = np.random.default_rng(seed)
    n, p = 3, 2
    noise = random_cov(rng, n + p)
    return ss.DiscreteSSM(
        random_stable(rng, n),
        rng.normal(size=(n, 1)),
        rng.normal(size=(p, n)),
        rng.normal(size=(p, 1)),
        noise[:n, :n],
        None if noiseless else noise[n:, n:],
        noise[:n, n:] if correlated and not noiseless else None,
        mean=rng.normal(size=n),
        cov=random_cov(rng, n),
        timing=timing,
        start=start,
        lead=lead,
        dt=0.5,
        state_names=["a", "b", "c"],
        input_names=["in"],
        series_names=["first", "second"],
    )


CASES = [
    ("current", "before", 0, True, False),
    ("current", "at", 0, True, False),
    ("current", "at", 0, False, True),
    ("previous", "at", 0, True, False),
    ("previous", "at", 0, False, True),
    ("previous", "at", 1, False, False),
]


@pytest.mark.parametrize(
    "case", CASES, ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}-{'S' if c[3] else ''}{'R0' if c[4] else ''}"
)
def test_there_and_back_the_law_is_the_same(case):
    ssm = random_form(*case)
    found = ss.convert(ssm, InnovationsSSM)
    form = found.value
    assert found.exact
    assert form.radius < 1
    assert (form.input_names, form.series_names, float(form.dt)) == (("in",), ("first", "second"), 0.5)
    u = np.random.default_rng(1).normal(size=(5, 1))
    back = ss.convert(form, ss.DiscreteSSM)
    assert back.exact
    for one, other in zip(joint_of_form(ssm, u), joint_of_form(back.value, u), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11)


def test_the_predictor_is_python_controls():
    ssm = random_form("previous", "at", 0)
    form = discrete_to_innovations(ssm).value
    P, _, K = control.dare(*(np.asarray(x) for x in (ssm.A.T, ssm.C.T, ssm.Q, ssm.R, ssm.S)))
    np.testing.assert_allclose(form.P, P, atol=1e-12)
    np.testing.assert_allclose(form.K, np.asarray(K).T, atol=1e-12)


def test_one_noise_drives_the_same_process():
    """The innovations as the only noise: the same joint law of the series from the stationary start."""
    ssm = random_form("previous", "at", 0)
    ssm = ssm.replaced(mean=jnp.zeros(3), cov=jnp.asarray(solve_discrete_lyapunov(ssm.A, ssm.Q)))
    form = ss.convert(ssm, InnovationsSSM).value
    one = ss.convert(form, ss.DiscreteSSM, noise="innovation").value
    assert np.linalg.matrix_rank(np.asarray(one.Q), tol=1e-9) == 2
    np.testing.assert_allclose(joint_of_form(one)[1], joint_of_form(ssm)[1], atol=1e-11)
    # a first state that is known better than in the long run is no prediction
    known = ss.convert(ssm.replaced(cov=jnp.zeros((3, 3))), InnovationsSSM).value
    with pytest.raises(ValueError, match="known better than in the long run"):
        ss.convert(known, ss.DiscreteSSM, noise="innovation")
    with pytest.raises(ValueError, match='"original" or "innovation"'):
        ss.convert(known, ss.DiscreteSSM, noise="both")


def test_the_exact_filter_comes_to_the_predictor_after_the_burn_in():
    ssm = random_form("previous", "at", 0)
    form = ss.convert(ssm, InnovationsSSM).value
    A, C, Q, R, S = (np.asarray(x) for x in (ssm.A, ssm.C, ssm.Q, ssm.R, ssm.S))
    P = np.asarray(ssm.cov)
    for _ in range(int(form.burn_in(1e-10))):
        gain = (A @ P @ C.T + S) @ np.linalg.inv(C @ P @ C.T + R)
        P = A @ P @ A.T + Q - gain @ (A @ P @ C.T + S).T
    assert np.abs(P - form.P).max() < 1e-9 * np.abs(form.P).max()


def test_an_invertible_arma_model_tells_its_state_exactly():
    """Structured doubling without measurement noise: P = 0, K the moving average's gain, V = sigma^2."""
    model = ARMA([0.6, -0.2], [0.5, 0.1], 1.3)
    form = ss.convert(ss.convert(model, ss.DiscreteSSM).value, InnovationsSSM).value
    gain = np.array([0.6 + 0.5, -0.2 + 0.1, 0.0])
    np.testing.assert_allclose(form.V, [[1.69]], atol=1e-14)
    np.testing.assert_allclose(form.K[:, 0], gain, atol=1e-14)
    cov_of_prediction = form.P - np.outer([1, 0.5, 0.1], [1, 0.5, 0.1]) * 1.69  # x[k] given the past: G e[k] is ahead
    np.testing.assert_allclose(cov_of_prediction, 0, atol=1e-14)
    ahead = ss.convert(model, ss.DiscreteSSM, representation="innovations").value
    assert np.all(np.asarray(discrete_to_innovations(ahead).value.P) == 0)


def test_noise_that_enters_late_is_served_by_the_pencil():
    """R = 0 and C Q C' = 0: the series is known one stamp ahead, and neither equation can be inverted."""
    model = ss.LocalLinearTrend(0.0, 2.0) + ss.Noise(0.0)
    form = ss.convert(model, InnovationsSSM).value
    np.testing.assert_allclose(form.P, 4 * np.array([[1.0, 1.0], [1.0, 2.0]]), atol=1e-10)
    arma = ss.convert(form, ARMA)
    np.testing.assert_allclose(arma.value.ar, [2.0, -1.0], atol=1e-7)
    assert len(arma.value.ma) == 0
    assert not arma.exact
    assert "no prior" in " ".join(arma.notes)


def test_a_predictor_that_never_forgets_says_so():
    fixed = ss.LocalLevel(1.0) + ss.Seasonal(4, scale=0.0) + ss.Noise(1.0)
    assert any("hardly forgets" in note for note in ss.convert(fixed, InnovationsSSM).notes)
    with pytest.raises(ValueError, match="no stabilising solution"):
        ss.convert(ss.DiscreteSSM([[1.5]], None, [[0.0]], Q=[[1.0]], R=[[1.0]]), InnovationsSSM)
    with pytest.raises(ValueError, match="vary with time"):
        ss.convert(ss.DiscreteSSM(0.5 * np.ones((4, 1, 1)), None, [[1.0]], R=[[1.0]]), InnovationsSSM)


def test_the_gain_has_a_gradient():
    def gain(q):
        ssm = ss.DiscreteSSM([[0.9]], None, [[1.0]], None, q[None, None], [[1.0]], timing="previous")
        return discrete_to_innovations(ssm).value.K[0, 0]

    q, step = jnp.array(0.7), 1e-6
    assert abs(jax.grad(gain)(q) - (gain(q + step) - gain(q - step)) / (2 * step)) < 1e-8


@pytest.mark.parametrize("ma", [[-3.1, 2.2], [-2.35, 1.375], [0.15, -1.375], [-0.9528, -6.0678]])
def test_moving_averages_that_are_not_invertible_get_the_invertible_innovations(ma):
    found = ss.convert(ss.ARMA([0.5], ma), ss.InnovationsSSM).value
    roots = np.abs(np.roots([1.0, *ma]))
    assert float(found.V.squeeze()) == pytest.approx(np.prod(np.maximum(roots, 1.0)) ** 2, rel=1e-9)
    assert found.radius == pytest.approx(np.where(roots > 1, 1 / roots, roots).max(), abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_one_noise_for_state_and_series(seed):
    random = np.random.default_rng(seed)
    a, k, c = random_stable(random, 4), random.normal(size=(4, 1)), random.normal(size=(1, 4))
    form = ss.DiscreteSSM(a, None, c, None, k @ k.T, [[1.0]], k, timing="previous", cov=np.eye(4))
    _, cov = joint_of_form(form, length=8)
    found = ss.convert(form, ss.InnovationsSSM).value
    np.testing.assert_allclose(
        joint_of_form(ss.convert(found, ss.DiscreteSSM).value, length=8)[1], cov, rtol=1e-7, atol=1e-9
    )
    assert found.radius < 1 + 1e-6
