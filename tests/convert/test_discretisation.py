"""Continuous models at stamps and back: the joint law of what is observed, and the transfer function of each rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.signal
from convert.joint_law import joint_of_form, random_cov

import statespace as ss
from statespace.convert.arrows.continuise import to_continuous
from statespace.convert.arrows.discretise import to_discrete
from statespace.core.hippo import hippo

LENGTH, DT = 6, 0.3
RULES = ["zoh", "foh", "tustin", "s4_bilinear", "euler", "backward", "gbt", "impulse"]
BACK = ["zoh", "tustin", "s4_bilinear", "euler", "backward", "gbt"]


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, 3)) - 1.5 * np.eye(3)
    return ss.ContinuousSSM(
        A,
        rng.normal(size=(3, 2)),
        rng.normal(size=(2, 3)),
        rng.normal(size=(2, 2)),
        random_cov(rng, 3, 2),
        random_cov(rng, 2),
        mean=rng.normal(size=3),
        cov=random_cov(rng, 3),
        state_names=["a", "b", "c"],
        input_names=["heat", "light"],
        series_names=["one", "two"],
    )


def continuous_law(model, times, held):
    """Mean and covariance of what is observed, by quadrature of dm = A m + B u, dP = A P + P A' + Q."""
    A, B, C, D, Q, R = (np.asarray(x) for x in model.matrices.values())
    p = len(C)
    m, P = np.asarray(model.mean), np.asarray(model.cov)
    means, cross, covs = [C @ m + D @ held[0]], [P], []

    def slope(t, y, u):
        m, P = y[:3], y[3:].reshape(3, 3)
        return np.concatenate([A @ m + B @ u, (A @ P + P @ A.T + Q).ravel()])

    for k, h in enumerate(np.diff(times), 1):
        y = scipy.integrate.solve_ivp(
            slope, (0, h), np.concatenate([m, P.ravel()]), args=(held[k],), rtol=1e-12, atol=1e-13
        ).y[:, -1]
        m, P = y[:3], y[3:].reshape(3, 3)
        means.append(C @ m + D @ held[k])
        cross.append(P)
    for k, t in enumerate(times):
        row = [
            C @ scipy.linalg.expm(A * (t - s)) @ cross[j] @ C.T if j <= k else np.zeros((p, p))
            for j, s in enumerate(times)
        ]
        covs.append(row)
    whole = np.block(covs)
    whole = np.tril(whole, -1) + np.tril(whole, -1).T + np.diag(np.diag(whole))
    for k in range(len(times)):  # the triangle cuts through the blocks on the diagonal
        block = covs[k][k] + R
        whole[k * p : (k + 1) * p, k * p : (k + 1) * p] = block
    return np.concatenate(means), whole


def test_held_inputs_and_noise_are_exact_at_regular_and_irregular_stamps(model):
    rng = np.random.default_rng(1)
    u = rng.normal(size=(LENGTH, 2))
    for steps in (np.full(LENGTH, DT), rng.uniform(0.05, 0.8, LENGTH)):
        times = np.concatenate([[0.0], np.cumsum(steps[1:])])
        mean, cov = continuous_law(model, times, u)
        dt = DT if np.ptp(steps) == 0 else steps
        found = ss.convert(model, ss.DiscreteSSM, dt=dt, rule="zoh")
        assert found.exact
        assert "constant over each step" in found.notes[0]
        assert found.value.state_names == ("a", "b", "c")
        np.testing.assert_array_equal(found.value.dt, dt)
        ours = joint_of_form(found.value, u, LENGTH)
        np.testing.assert_allclose(ours[0], mean, rtol=0, atol=1e-9)
        np.testing.assert_allclose(ours[1], cov, rtol=0, atol=1e-9 * np.abs(cov).max())
        if np.ptp(steps) == 0:
            for rule in ("foh", "impulse"):
                other = ss.convert(model, ss.DiscreteSSM, dt=dt, rule=rule, timing="previous").value
                np.testing.assert_allclose(joint_of_form(other, None, LENGTH)[1], cov, rtol=0, atol=1e-9)


def test_linear_inputs_are_exact_with_foh(model):
    rng = np.random.default_rng(2)
    u = rng.normal(size=(LENGTH, 2))
    u[0] = 0.0  # what the first state is before the first input acts
    A, B, C, D, *_ = (np.asarray(x) for x in model.matrices.values())
    x, expected = np.asarray(model.mean), [C @ np.asarray(model.mean)]
    for k in range(1, LENGTH):
        ends = u[k - 1], u[k]
        x = scipy.integrate.solve_ivp(
            lambda t, x, a, b: A @ x + B @ (a + (b - a) * t / DT), (0, DT), x, args=ends, rtol=1e-12, atol=1e-13
        ).y[:, -1]
        expected.append(C @ x + D @ u[k])
    for timing in ("previous", "current"):
        found = to_discrete(model, dt=DT, rule="foh", timing=timing)
        assert found.exact
        np.testing.assert_allclose(
            joint_of_form(found.value, u, LENGTH)[0], np.concatenate(expected), rtol=0, atol=1e-9
        )


def response(ssm, w):
    """The transfer function of a discrete form, by its definition."""
    A, B, C, D = (np.asarray(x) for x in (ssm.A, ssm.B, ssm.C, ssm.D))
    z = np.exp(1j * w * float(ssm.dt))
    ahead = z if ssm.timing == "current" or ssm.lead else 1.0
    return D + ahead * C @ np.linalg.solve(z * np.eye(len(A)) - A, B)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_its_transfer_function_in_both_timings(model, rule):
    A, B, C, D = (np.asarray(x) for x in (model.A, model.B, model.C, model.D))
    alpha = {"gbt": 0.3}.get(rule)
    for w in (0.1, 2.0, 9.0):
        z = np.exp(1j * w * DT)

        def at(s):
            return D + C @ np.linalg.solve(s * np.eye(3) - A, B)

        weight = {"tustin": 0.5, "backward": 1.0, "gbt": 0.3}.get(rule)
        for timing in ("current", "previous"):
            found = to_discrete(model, dt=DT, rule=rule, alpha=alpha, timing=timing)
            ours = response(found.value, w)
            if weight is not None:
                expected = at((z - 1) / DT / (weight * z + 1 - weight))
            elif rule == "euler":
                expected = D + (at((z - 1) / DT) - D) * (z if timing == "current" else 1)
            elif rule == "s4_bilinear":
                expected = D + (at(2 / DT * (z - 1) / (z + 1)) - D) * 2 / (1 + 1 / z) / (
                    1 if timing == "current" else z
                )
            elif rule == "impulse":
                expected = D + DT * C @ np.linalg.solve(np.eye(3) - scipy.linalg.expm(A * DT) / z, B)
            else:
                theirs = scipy.signal.cont2discrete((A, B, C, D), DT, rule)[:4]
                expected = theirs[3] + theirs[2] @ np.linalg.solve(z * np.eye(3) - theirs[0], theirs[1]) * (
                    z if rule == "zoh" and timing == "current" else 1
                )
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-11)
            assert found.exact == (rule in ("zoh", "foh", "impulse"))
            assert found.norm == ("" if found.exact else "hinf")


def test_stationary_models_stay_stationary(model):
    stable = model.replaced(A=model.A - 2 * jnp.eye(3))
    P = scipy.linalg.solve_continuous_lyapunov(np.asarray(stable.A), -np.asarray(stable.Q))
    for rule in ("zoh", "foh", "impulse", "tustin", "s4_bilinear"):
        found = to_discrete(stable.replaced(cov=P), dt=DT, rule=rule, timing="previous").value
        np.testing.assert_allclose(found.A @ P @ found.A.T + found.Q, P, rtol=0, atol=1e-13)


def test_measurements_are_samples_or_averages(model):
    sampled = to_discrete(model, dt=0.25).value
    np.testing.assert_array_equal(sampled.R, model.R)
    averaged = to_discrete(model.replaced(measured="averaged"), dt=np.array([0.5, 0.25])).value
    np.testing.assert_allclose(averaged.R, np.asarray(model.R) / np.array([0.5, 0.25])[:, None, None])
    back = to_continuous(to_discrete(model.replaced(measured="averaged"), dt=0.25).value, measured="averaged")
    np.testing.assert_allclose(back.value.R, model.R, rtol=1e-14)


def test_a_length_for_each_step_is_the_one_length(model):
    for rule in RULES:
        alpha = 0.3 if rule == "gbt" else None
        one = to_discrete(model, dt=DT, rule=rule, alpha=alpha, timing="previous").value
        each = to_discrete(model, dt=np.full(LENGTH, DT), rule=rule, alpha=alpha, timing="previous").value
        assert each.A.shape == (LENGTH, 3, 3)
        u = np.random.default_rng(3).normal(size=(LENGTH, 2))
        for x, y in zip(joint_of_form(one, u, LENGTH), joint_of_form(each, u, LENGTH), strict=True):
            np.testing.assert_allclose(y, x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", BACK)
@pytest.mark.parametrize("timing", ["current", "previous"])
def test_there_and_back_is_the_same_model(model, rule, timing):
    alpha = 0.3 if rule == "gbt" else None
    there = to_discrete(model, dt=DT, rule=rule, alpha=alpha, timing=timing)
    back = ss.convert(there.value, ss.ContinuousSSM, rule=rule, **({"alpha": alpha} if alpha else {}))
    assert back.exact
    for name, matrix in model.matrices.items():
        found = back.value.matrices[name]
        np.testing.assert_allclose(found, matrix, rtol=0, atol=1e-9 * max(1, np.abs(matrix).max()), err_msg=name)
    np.testing.assert_allclose(back.value.mean, model.mean, rtol=0, atol=1e-10)
    assert back.value.state_names == model.state_names
    again = to_discrete(back.value, dt=DT, rule=rule, alpha=alpha, timing=timing)
    u = np.random.default_rng(4).normal(size=(LENGTH, 2))
    for x, y in zip(joint_of_form(there.value, u, LENGTH), joint_of_form(again.value, u, LENGTH), strict=True):
        np.testing.assert_allclose(y, x, rtol=0, atol=1e-9 * np.abs(x).max())


def test_the_denominator_that_a_peer_loses():
    """1/(s^2 + 0.9 s + 1), held and back, has its own numerator again, and a unit root its integral."""
    A, B, C, D = scipy.signal.tf2ss([1.0], [1.0, 0.9, 1.0])
    back = to_continuous(to_discrete(ss.ContinuousSSM(A, B, C, D), dt=0.4).value)
    numerator, denominator = scipy.signal.ss2tf(*(np.asarray(x) for x in list(back.value.matrices.values())[:4]))
    np.testing.assert_allclose(numerator[0], [0, 0, 1.0], atol=1e-12)
    np.testing.assert_allclose(denominator, [1.0, 0.9, 1.0], atol=1e-12)
    assert "2 pi/dt" in back.notes[0]
    walk = ss.ContinuousSSM([[0.0, 1.0], [0.0, 0.0]], [[0.0], [1.0]], Q=np.diag([0.0, 2.0]))
    again = to_continuous(to_discrete(walk, dt=0.5).value)
    np.testing.assert_allclose(again.value.A, walk.A, atol=1e-14)
    np.testing.assert_allclose(again.value.Q, walk.Q, atol=1e-13)


def test_noise_near_the_highest_frequency_comes_back():
    """Rotations by almost half a turn a stamp: sums of frequencies beyond pi/dt are no obstacle."""
    spin = ss.ContinuousSSM([[-0.1, 3.0], [-3.0, -0.1]], Q=[[1.0, 0.3], [0.3, 0.5]])
    back = to_continuous(to_discrete(spin, dt=1.0).value)
    np.testing.assert_allclose(back.value.A, spin.A, atol=1e-13)
    np.testing.assert_allclose(back.value.Q, spin.Q, atol=1e-12)


def test_models_without_a_continuous_form_are_refused():
    with pytest.raises(ValueError, match="eigenvalue -0.5"):
        to_continuous(ss.DiscreteSSM([[-0.5]], dt=1.0))
    with pytest.raises(ValueError, match="eigenvalue 0"):
        to_continuous(ss.DiscreteSSM([[0.0]], dt=1.0))
    with pytest.raises(ValueError, match="give dt="):
        to_continuous(ss.DiscreteSSM([[0.5]]))
    with pytest.raises(ValueError, match="leave it out"):
        to_continuous(ss.DiscreteSSM([[0.5]], dt=1.0), dt=2.0)
    with pytest.raises(ValueError, match="correlated"):
        to_continuous(ss.DiscreteSSM([[0.5]], Q=[[1.0]], R=[[1.0]], S=[[0.5]], dt=1.0))
    with pytest.raises(ValueError, match="no way back"):
        to_continuous(ss.DiscreteSSM([[0.5]], dt=1.0), rule="foh")
    rotation = np.array([[0.0, 1.0], [-1.0, 0.0]])
    with pytest.raises(ValueError, match="no continuous noise"):
        to_continuous(ss.DiscreteSSM(0.1 * rotation, Q=np.diag([1.0, 0.0]), dt=1.0))
    tustin = to_continuous(ss.DiscreteSSM([[-0.5]], dt=1.0, timing="previous"), rule="tustin")
    assert float(tustin.value.A[0, 0]) == pytest.approx(-6.0)
    with pytest.raises(ValueError, match="which no continuous model has by this rule"):
        to_continuous(ss.DiscreteSSM([[-1.0]], dt=1.0), rule="s4_bilinear")


def test_options_that_do_not_go_together_are_refused(model):
    for bad in (0.0, -1.0, [[0.1]]):
        with pytest.raises(ValueError, match="dt is"):
            to_discrete(model, dt=bad)
    with pytest.raises(ValueError, match="start= has no meaning"):
        to_discrete(model, dt=DT, rule="tustin", start="at")
    with pytest.raises(ValueError, match="inputs at both ends"):
        to_discrete(model, dt=np.full(3, DT), rule="tustin")
    with pytest.raises(ValueError, match="rule is one of"):
        to_discrete(model, dt=DT, rule="bilinear")
    with pytest.raises(TypeError, match="there is no method="):
        ss.convert(model, ss.DiscreteSSM, dt=DT, method="zoh")


@pytest.mark.parametrize("size", [8, 64])
def test_memories_beyond_twelve_states_are_discretised_exactly(size):
    """No eigenvectors: the kernel of a HiPPO memory held at stamps, against a reference of many small steps."""
    A, B = hippo("legs", size)
    read = np.ones((1, size)) / size
    found = to_discrete(ss.ContinuousSSM(A, B[:, None], read), dt=0.02).value
    fine = scipy.linalg.expm(A * 0.02 / 64)
    gain = np.linalg.solve(A, (fine - np.eye(size)) @ B[:, None])
    step, drive = np.eye(size), np.zeros((size, 1))
    for _ in range(64):
        step, drive = fine @ step, fine @ drive + gain
    np.testing.assert_allclose(found.A, step, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.B, drive, rtol=0, atol=1e-11)


def test_steps_in_single_precision_stay_single(model):
    small = ss.ContinuousSSM(*(np.asarray(x, np.float32) for x in model.matrices.values()))
    found = to_discrete(small, dt=np.float32(1e-6)).value
    assert {x.dtype for x in found.matrices.values()} == {jnp.dtype("float32")}
    np.testing.assert_allclose(found.B, 1e-6 * np.asarray(model.B), rtol=1e-5)
    np.testing.assert_allclose(found.Q, 1e-6 * np.asarray(model.Q), rtol=2e-5, atol=1e-12)


def test_gradients_go_through(model):
    def reached(dt):
        return jnp.sum(to_discrete(model, dt=dt).value.A)

    expected = np.sum(np.asarray(model.A) @ scipy.linalg.expm(np.asarray(model.A) * DT))
    np.testing.assert_allclose(jax.grad(reached)(DT), expected, rtol=1e-10)
