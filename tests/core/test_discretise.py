"""Steps of continuous systems against scipy's cont2discrete, Van Loan's matrix and quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal

from statespace.core.diagonal import diffused, zoh
from statespace.core.discretise import RULES, discretise, transition_and_noise, undo_weighted, weight_of

RNG = np.random.default_rng(0)
M = RNG.normal(size=(4, 4)) - 2 * np.eye(4)
B, C, D = RNG.normal(size=(4, 2)), RNG.normal(size=(3, 4)), RNG.normal(size=(3, 2))
Q = (lambda x: x @ x.T)(RNG.normal(size=(4, 3)))
RUN = jax.jit(discretise, static_argnames=("rule", "alpha"))
THEIRS = {"zoh": "zoh", "foh": "foh", "tustin": "bilinear", "euler": "euler", "backward": "backward_diff", "gbt": "gbt"}


def step(rule, dt=0.3, m=M, b=B, q=Q):
    return RUN(m, b, q, dt, rule=rule, alpha=0.3 if rule == "gbt" else None)


def previous(found, dtype=float):
    """The matrices of the state x[k] - late u[k], which the input at a stamp drives into the next."""
    A, late = np.asarray(found.A), np.asarray(found.late)
    if found.early is None:
        return A, late, C, D
    return A, np.asarray(found.early) + A @ late, C, D + C @ late


def markov(A, B, C, D, length=12):
    return [D] + [C @ np.linalg.matrix_power(A, k) @ B for k in range(length)]


@pytest.mark.parametrize("rule", list(THEIRS))
def test_rules_are_those_of_scipy(rule):
    theirs = scipy.signal.cont2discrete((M, B, C, D), 0.3, THEIRS[rule], alpha=0.3 if rule == "gbt" else None)
    found = previous(step(rule))
    np.testing.assert_allclose(found[0], theirs[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(markov(*found), markov(*theirs[:4]), rtol=0, atol=1e-13)


def test_impulses_act_at_their_stamp():
    theirs = scipy.signal.cont2discrete((M, B, C, np.zeros((3, 2))), 0.3, "impulse")
    found = step("impulse")
    A, late = np.asarray(found.A), np.asarray(found.late)
    ours = [C @ np.linalg.matrix_power(A, k) @ late for k in range(12)]
    np.testing.assert_allclose(ours, markov(*theirs[:4], length=11), rtol=0, atol=1e-14)


def test_tustin_is_the_mean_of_two_neighbours_of_s4_bilinear():
    tustin, held = markov(*previous(step("tustin"))), step("s4_bilinear")
    A, late = np.asarray(held.A), np.asarray(held.late)
    kernel = np.array([C @ np.linalg.matrix_power(A, k) @ late for k in range(13)])
    mean = (kernel + np.concatenate([np.zeros_like(kernel[:1]), kernel[:-1]])) / 2
    mean[0] += D
    np.testing.assert_allclose(tustin, mean, rtol=0, atol=1e-15)
    assert np.abs(np.array(tustin)[1:] - kernel[1:]).max() > 0.1


@pytest.mark.parametrize("dt", [0.0, 1e-6, 0.3, 5.0])
def test_the_noise_of_a_step_is_its_integral(dt):
    """Mode by mode Q[i, j] expm1((a_i + a_j) dt) / (a_i + a_j), and Van Loan's matrix where it does not overflow."""
    values, V = np.linalg.eig(M)
    sums = values[:, None] + values[None].conj()
    back = np.linalg.inv(V)
    expected = np.real(V @ (back @ Q @ back.conj().T * np.expm1(sums * dt) / sums) @ V.conj().T)
    A, noise = jax.jit(transition_and_noise)(M, Q, dt)
    np.testing.assert_allclose(A, scipy.linalg.expm(M * dt), rtol=0, atol=1e-14)
    np.testing.assert_allclose(noise, expected, rtol=0, atol=1e-13 * np.abs(expected).max())
    if dt < 1:
        block = scipy.linalg.expm(np.block([[-M, Q], [np.zeros((4, 4)), M.T]]) * dt)
        van_loan = block[4:, 4:].T @ block[:4, 4:]
        np.testing.assert_allclose(noise, van_loan, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_stiff_noise_does_not_overflow():
    """Van Loan's matrix holds exp(1e4); the sum of semidefinite parts does not."""
    stiff = np.diag([-1e4, -1.0])
    a, noise = jax.jit(transition_and_noise)(stiff, np.eye(2), 1.0)
    np.testing.assert_allclose(np.diagonal(noise), [1 / 2e4, (1 - np.exp(-2)) / 2], rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(a), [0.0, np.exp(-1)], atol=1e-14)


def test_modes_have_the_same_step():
    values = np.array([-1.0, -0.1])
    factor, gain = zoh(values, 0.3)
    found = step("zoh", m=np.diag(values), b=np.ones((2, 1)), q=Q[:2, :2])
    np.testing.assert_allclose(np.diagonal(found.A), factor, rtol=1e-14)
    np.testing.assert_allclose(found.late[:, 0], gain, rtol=1e-14)
    np.testing.assert_allclose(found.Q, diffused(jnp.asarray(values), jnp.asarray(Q[:2, :2]), 0.3), rtol=1e-13)


@pytest.mark.parametrize("rule", ["zoh", "foh", "impulse", "tustin", "s4_bilinear"])
def test_the_stationary_covariance_is_kept(rule):
    stable = M - (np.linalg.eigvals(M).real.max() + 0.2) * np.eye(4)
    P = scipy.linalg.solve_continuous_lyapunov(stable, -Q)
    found = step(rule, m=stable)
    np.testing.assert_allclose(found.A @ P @ found.A.T + found.Q, P, rtol=0, atol=1e-12 * np.abs(P).max())


@pytest.mark.parametrize("rule", RULES)
def test_short_steps_of_all_rules_agree(rule):
    h = 1e-5
    exact = step("zoh", dt=h)
    found = step(rule, dt=h)
    total = found.late + (0 if found.early is None else found.early)
    for ours, theirs in ((found.A, exact.A), (total, exact.late), (found.Q, exact.Q)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=100 * h**2)


def test_two_half_steps_are_one_and_no_step_stays():
    whole, half, none = step("zoh"), step("zoh", dt=0.15), step("zoh", dt=0.0)
    np.testing.assert_allclose(half.A @ half.A, whole.A, rtol=0, atol=1e-15)
    np.testing.assert_allclose(half.A @ half.late + half.late, whole.late, rtol=0, atol=1e-15)
    np.testing.assert_allclose(half.A @ half.Q @ half.A.T + half.Q, whole.Q, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(none.A, np.eye(4))
    assert not np.any(none.late)
    assert not np.any(none.Q)


def test_short_steps_in_single_precision_keep_their_digits():
    """The gain of a slow state over a short step, (exp(z) - 1) / z, loses all its digits where it is subtracted."""
    m, one = jnp.array([[-1e-6]], jnp.float32), jnp.ones((1, 1), jnp.float32)
    for rule in ("zoh", "foh", "tustin", "s4_bilinear"):
        found = RUN(m, one, one, jnp.float32(1.0), rule=rule)
        total = found.late + (0 if found.early is None else found.early)
        assert total.dtype == found.Q.dtype == jnp.float32
        np.testing.assert_allclose(total, [[1 - 5e-7]], rtol=3e-7)
        np.testing.assert_allclose(found.Q, [[1 - 1e-6]], rtol=3e-6)


def test_steps_have_derivatives_in_time_and_drift():
    def reached(dt, m):
        found = discretise(m, jnp.asarray(B), jnp.asarray(Q), dt, "zoh")
        return jnp.stack([jnp.sum(found.A), jnp.sum(found.late), jnp.sum(found.Q)])

    run = jax.jit(jax.jacrev(reached))
    A = scipy.linalg.expm(M * 0.3)
    expected = [np.sum(M @ A), np.sum(A @ B), np.sum(A @ Q @ A.T)]
    np.testing.assert_allclose(run(0.3, jnp.asarray(M)), expected, rtol=1e-12)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_a_weighted_step_is_undone(weight):
    found = RUN(M, B, Q, 0.3, rule="gbt", alpha=weight)
    back, solver = undo_weighted(found.A, 0.3, weight)
    np.testing.assert_allclose(back, M, rtol=0, atol=1e-12)
    np.testing.assert_allclose(solver, np.eye(4) - weight * 0.3 * M, rtol=0, atol=1e-12)


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="rule is one of 'zoh'"):
        weight_of("bilinear")
    with pytest.raises(ValueError, match='alpha= is the weight of rule="gbt"'):
        weight_of("zoh", 0.5)
    with pytest.raises(ValueError, match='alpha= is the weight of rule="gbt"'):
        weight_of("gbt")
    with pytest.raises(ValueError, match="between 0 and 1"):
        weight_of("gbt", 1.5)
