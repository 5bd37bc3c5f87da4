"""Kernels and Hankel matrices: the law that they carry, their tails, and the models that have them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from convert.joint_law import joint_of_form, random_cov, random_stable

import statespace as ss
from statespace.convert.arrows.kernel import discrete_to_kernel
from statespace.convert.arrows.realisation import kernel_to_discrete
from statespace.convert.forms import DPLR, Hankel, ImpulseResponse, Modal
from statespace.convert.numerics.hankel_products import leading_singular
from statespace.convert.numerics.truncation import kernel_tail
from statespace.core.hippo import hippo

LENGTH = 7
KINDS = [("current", "before", 0), ("current", "at", 0), ("previous", None, 0), ("previous", None, 1)]


def random_form(seed, timing="current", start=None, lead=0, n=4, **changes):
    rng = np.random.default_rng(seed)
    joint = random_cov(rng, n + 2)
    given = {
        "A": random_stable(rng, n, 0.8),
        "B": rng.normal(size=(n, 2)),
        "C": rng.normal(size=(2, n)),
        "D": rng.normal(size=(2, 2)),
        "Q": joint[:n, :n],
        "R": joint[n:, n:],
        "S": joint[:n, n:],
        "mean": rng.normal(size=n),
        "cov": random_cov(rng, n),
    }
    return ss.DiscreteSSM(**{**given, **changes}, timing=timing, start=start, lead=lead, dt=0.5, input_names=["h", "l"])


def same_law(response, form, tolerance=1e-11):
    u = np.random.default_rng(9).normal(size=(LENGTH, form.B.shape[1]))
    mean, cov = joint_of_form(form, u, LENGTH)
    scale = np.abs(cov).max()
    np.testing.assert_allclose(np.ravel(response.outputs(jnp.asarray(u))), mean, rtol=0, atol=tolerance * scale)
    ours = np.asarray(response.covariance(LENGTH)).reshape(cov.shape)
    np.testing.assert_allclose(ours, cov, rtol=0, atol=tolerance * scale)


def markov(ssm, length):
    """The kernel by its definition, for either timing."""
    A, B, C, D = (np.asarray(x) for x in (ssm.A, ssm.B, ssm.C, ssm.D))
    late = ssm.timing == "previous" and not ssm.lead
    out = [C @ np.linalg.matrix_power(A, max(k - late, 0)) @ B * (k >= late) for k in range(length)]
    return np.array([out[0] + D, *out[1:]])


@pytest.mark.parametrize(("timing", "start", "lead"), KINDS)
def test_a_kernel_has_the_joint_law_of_its_model(timing, start, lead):
    form = random_form(0, timing, start, lead)
    found = ss.convert(form, ImpulseResponse, length=LENGTH)
    np.testing.assert_allclose(found.value.kernel, markov(form, LENGTH), rtol=0, atol=1e-13)
    same_law(found.value, form)
    assert not found.exact
    assert found.norm == "kernel_l2"
    assert found.value.input_names == ("h", "l")
    other = ss.convert(form, ImpulseResponse, length=LENGTH, method="vandermonde")
    np.testing.assert_allclose(other.value.kernel, found.value.kernel, rtol=0, atol=1e-12)
    same_law(other.value, form)
    assert float(other.condition) > 1


@pytest.mark.parametrize(("timing", "lead"), [("current", 0), ("previous", 0), ("previous", 1)])
def test_what_is_beyond_the_taps_is_told_exactly(timing, lead):
    form = random_form(1, timing, None, lead)
    found = ss.convert(form, ImpulseResponse, length=10)
    long = ss.convert(form, ImpulseResponse, length=400).value
    beyond = np.concatenate([long.kernel[10:].reshape(390, 2, -1), long.noise[10:]], axis=2)
    assert float(found.error_bound) == pytest.approx(np.sqrt(np.sum(beyond**2)), rel=1e-11)
    inputs = np.linalg.norm(long.kernel[10:], axis=(1, 2))
    assert f"{np.sqrt(np.sum(inputs**2)):.3g}" in found.notes[0]
    stated = float(found.notes[0].rsplit(" ", 1)[1])
    assert np.sum(inputs) <= stated <= 3 * np.sum(inputs)


def test_bounds_of_sums_hold_on_many_systems():
    rng = np.random.default_rng(2)
    count, n = 100, 5
    A = np.array([random_stable(rng, n, r) for r in rng.uniform(0.3, 0.99, count)])
    B, C = rng.normal(size=(count, n, 1)), rng.normal(size=(count, 1, n))
    tails = np.array([kernel_tail(*x) for x in zip(A, B, C, strict=True)])
    kernels, x = [], B
    for _ in range(4000):
        kernels.append((C @ x)[:, 0, 0])
        x = A @ x
    kernels = np.array(kernels)
    np.testing.assert_allclose(tails[:, 0], np.sqrt(np.sum(kernels**2, axis=0)), rtol=1e-9)
    sums = np.sum(np.abs(kernels), axis=0)
    assert np.all(tails[:, 1] >= sums * (1 - 1e-12))
    assert np.all(tails[:, 1] <= 4 * sums)
    assert np.isinf(kernel_tail(2 * np.eye(1), np.ones((1, 1)), np.ones((1, 1))).l2)


def test_a_tolerance_gives_the_shortest_kernel():
    form = random_form(3)
    found = ss.convert(form, ImpulseResponse, tolerance=1e-3)
    assert float(found.error_bound) <= 1e-3
    shorter = ss.convert(form, ImpulseResponse, length=found.value.taps - 1)
    assert float(shorter.error_bound) > 1e-3
    with pytest.raises(ValueError, match="give length="):
        ss.convert(form.replaced(A=jnp.eye(4)), ImpulseResponse, tolerance=1e-3)


def test_a_model_that_forgets_is_its_kernel():
    shift = random_form(4, "previous", A=np.diag(np.ones(3), -1))
    found = ss.convert(shift, ImpulseResponse, length=8)
    assert found.exact
    assert not ss.convert(shift, ImpulseResponse, length=4).exact


def test_a_path_discretises_and_takes_the_kernel():
    model = ss.ContinuousSSM([[-1.0, 2.0], [-2.0, -1.0]], [[1.0], [0.0]], [[1.0, 1.0]], Q=np.eye(2))
    whole = ss.convert(model, ImpulseResponse, dt=0.1, rule="zoh", length=64, method="vandermonde")
    step = ss.convert(model, ss.DiscreteSSM, dt=0.1).value
    np.testing.assert_allclose(whole.value.kernel, markov(step, 64), rtol=0, atol=1e-14)
    assert any("constant over each step" in note for note in whole.notes)
    tustin = ss.convert(model, ImpulseResponse, dt=0.1, rule="tustin", timing="previous", length=64)
    theirs = scipy.signal.cont2discrete([np.asarray(x) for x in list(model.matrices.values())[:4]], 0.1, "bilinear")
    np.testing.assert_allclose(
        tustin.value.kernel[:, 0, 0], scipy.signal.dimpulse(theirs, n=64)[1][0][:, 0], atol=1e-14
    )
    assert tustin.norm == "hinf"
    assert np.isinf(tustin.error_bound)


@pytest.mark.parametrize("size", [64])
def test_kernels_of_memories_by_three_algorithms(size):
    """LegS with 64 states over 128 taps: doubling, Cauchy sums; powers of eigenvalues are refused."""
    A, B = hippo("legs", size)
    read = np.random.default_rng(5).normal(size=(1, size)) / size
    model = ss.ContinuousSSM(A, B[:, None], read)
    dense = ss.convert(model, ss.DiscreteSSM, dt=1e-2, rule="s4_bilinear").value
    stepped = ss.convert(ss.convert(model, DPLR).value, DPLR, dt=1e-2).value
    kernel = ss.convert(dense, ImpulseResponse, length=128).value.kernel
    np.testing.assert_allclose(kernel, markov(dense, 128), rtol=0, atol=1e-14)
    cauchy = ss.convert(stepped, ImpulseResponse, length=128)
    np.testing.assert_allclose(cauchy.value.kernel, kernel, rtol=0, atol=1e-13)
    with pytest.raises(ValueError, match="nearly parallel"):
        ss.convert(dense, ImpulseResponse, length=128, method="vandermonde")
    with pytest.raises(ValueError, match="but for rank"):
        ss.convert(dense, ImpulseResponse, length=128, method="cauchy")


def test_kernels_refuse_what_has_none():
    form = random_form(6)
    with pytest.raises(ValueError, match="give length="):
        discrete_to_kernel(form)
    with pytest.raises(ValueError, match="1 or more, got 0"):
        discrete_to_kernel(form, length=0)
    with pytest.raises(ValueError, match='"krylov", "vandermonde" or "cauchy"'):
        discrete_to_kernel(form, length=4, method="fft")
    with pytest.raises(ValueError, match="varies with time has no kernel"):
        discrete_to_kernel(form.replaced(A=jnp.stack([form.A] * 3), dt=None), length=4)
    with pytest.raises(TypeError, match="discretise it"):
        ss.convert(ss.convert(ss.ContinuousSSM([[-1.0]], [[1.0]]), Modal).value, ImpulseResponse, length=4)
    with pytest.raises(ValueError, match="needs as many taps"):
        ss.convert(form, ImpulseResponse, length=4).value.covariance(5)


def test_kernels_have_gradients():
    form = random_form(7)

    def last(a):
        return jnp.sum(ss.convert(form.replaced(A=a), ImpulseResponse, length=3).value.kernel[2])

    found, h = jax.grad(last)(form.A), 1e-6
    moved = [(last(form.A.at[0, 1].add(s * h)) - last(form.A)) / (s * h) for s in (1, -1)]
    assert float(found[0, 1]) == pytest.approx(float(np.mean(moved)), rel=1e-5)


# --- back to a model


@pytest.mark.parametrize(("timing", "start", "lead"), KINDS)
def test_a_kernel_of_enough_taps_is_its_model(timing, start, lead):
    form = random_form(8, timing, start, lead)
    response = ss.convert(form, ImpulseResponse, length=24).value
    back = ss.convert(response, ss.DiscreteSSM)
    assert back.exact
    assert back.value.A.shape == (4, 4)
    assert float(back.condition) < 1e6
    u = np.random.default_rng(9).normal(size=(LENGTH, 2))
    for x, y in zip(joint_of_form(form, u, LENGTH), joint_of_form(back.value, u, LENGTH), strict=True):
        np.testing.assert_allclose(y, x, rtol=0, atol=1e-10 * np.abs(x).max())
    np.testing.assert_allclose(markov(back.value, 60), markov(form, 60), rtol=0, atol=1e-11)
    hankel = ss.convert(response, Hankel)
    assert np.linalg.matrix_rank(hankel.value.matrix, tol=1e-9) == 4
    assert ss.convert(hankel.value, ImpulseResponse).value is response
    same = ss.convert(hankel.value, ss.DiscreteSSM).value
    np.testing.assert_allclose(same.A, back.value.A, atol=1e-12)


def test_states_that_only_the_first_state_or_the_noise_reaches_are_not_lost():
    form = random_form(10, "previous", n=3, A=np.diag([0.9, 0.5, 0.2]), S=None).replaced(
        B=np.array([[1.0], [0], [0]]), D=None, input_names=None, Q=np.diag([0, 1.0, 0]), mean=[0, 0, 1.0], cov=None
    )
    back = ss.convert(ss.convert(form, ImpulseResponse, length=20).value, ss.DiscreteSSM)
    assert back.value.A.shape == (3, 3)
    still = form.replaced(mean=None)
    assert ss.convert(ss.convert(still, ImpulseResponse, length=20).value, ss.DiscreteSSM).value.A.shape == (2, 2)


def _fib(k):
    a, b = 0, 1
    for _ in range(k):
        a, b = b, a + b
    return float(a)


def test_the_fibonacci_numbers_are_a_model_of_two_states():
    """Katayama (2005), "Subspace Methods for System Identification", example 6.1: D = 0, then 1, 1, 2, 3, 5, ..."""
    taps = np.array([_fib(k) for k in range(11)]).reshape(-1, 1, 1)
    back = ss.convert(ImpulseResponse(taps), ss.DiscreteSSM)
    assert back.exact
    np.testing.assert_allclose(
        np.sort(np.linalg.eigvals(back.value.A)), [(1 - 5**0.5) / 2, (1 + 5**0.5) / 2], rtol=1e-10
    )
    np.testing.assert_allclose(markov(back.value, 15)[:, 0, 0], [_fib(k) for k in range(15)], rtol=1e-9)


def test_a_peer_realises_the_same_system():
    control = pytest.importorskip("control")
    form = random_form(11, "previous", Q=None, R=None, S=None, mean=None, cov=None)
    response = ss.convert(form, ImpulseResponse, length=21).value
    back = ss.convert(response, ss.DiscreteSSM, order=3)
    theirs, values = control.eigensys_realization(np.moveaxis(np.asarray(response.kernel), 0, 2), 3, m=10, n=10)
    matrix = ss.convert(response, Hankel, rows=10).value.matrix[:, :-2]  # theirs has a block column less
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False)[:4], np.asarray(values)[:4], rtol=1e-9)
    ours = np.linalg.norm(markov(back.value, 21) - np.asarray(response.kernel))
    beyond = np.linalg.norm(markov(back.value, 400) - markov(form, 400))
    assert ours <= beyond <= float(back.error_bound) <= np.hypot(ours, 2.01 * float(response.tail) + beyond)
    assert f"the error at the 21 given taps is {ours:.3g}" in back.notes[0]
    A, B, C, D = (np.asarray(x) for x in (theirs.A, theirs.B, theirs.C, theirs.D))
    other = np.array([D, *(C @ np.linalg.matrix_power(A, k) @ B for k in range(20))])
    assert ours <= 3 * np.linalg.norm(other - np.asarray(response.kernel))


def test_errors_are_measured_and_their_floor_is_stated():
    form = random_form(12, n=8)
    response = ss.convert(form, ImpulseResponse, length=40).value
    values = np.linalg.svd(ss.convert(response, Hankel).value.matrix, compute_uv=False)
    for order in (2, 5, 8, 12):
        back = ss.convert(response, ss.DiscreteSSM, order=order)
        if order >= 8:
            assert back.exact
            continue
        assert back.norm == "kernel_l2"
        assert f"{values[order]:.6g}" in back.notes[-1]
        inputs = np.linalg.norm(markov(back.value, 40) - np.asarray(response.kernel))
        assert inputs <= float(back.error_bound) * (1 + 1e-9)


def test_a_finite_kernel_is_a_shift_register_or_less():
    rng = np.random.default_rng(13)
    response = ImpulseResponse(
        rng.normal(size=(6, 2, 2)),
        rng.normal(size=(6, 2, 1)),
        rng.normal(size=(6, 2, 2)),
        mean=[1.0, 2.0],
        cov=random_cov(rng, 2),
    )
    register = ss.convert(response, ss.DiscreteSSM, method="shift")
    assert register.exact
    whole = ss.convert(response, ss.DiscreteSSM, method="kung")
    assert whole.exact
    u = np.random.default_rng(14).normal(size=(6, 2))
    for found in (register.value, whole.value):
        mean, cov = joint_of_form(found, u, 6)
        np.testing.assert_allclose(mean, np.ravel(response.outputs(jnp.asarray(u))), atol=1e-11)
        np.testing.assert_allclose(cov, np.asarray(response.covariance(6)).reshape(12, 12), atol=1e-10)
        np.testing.assert_allclose(markov(found, 12)[6:], 0, atol=1e-11)


def test_bounds_of_finite_kernels_hold():
    rng = np.random.default_rng(15)
    kernel = (rng.normal(size=40) * 0.9 ** np.arange(40)).reshape(-1, 1, 1)
    w = np.linspace(0, np.pi, 2000)
    true = np.exp(-1j * np.outer(w, np.arange(40))) @ kernel[:, 0, 0]
    for order in (1, 5, 12, 25):
        found = ss.convert(ImpulseResponse(kernel), ss.DiscreteSSM, method="kung", order=order)
        A, B, C, D = (np.asarray(x) for x in (found.value.A, found.value.B, found.value.C, found.value.D))
        assert np.abs(np.linalg.eigvals(A)).max() < 1
        gain = np.array([(D + C @ np.linalg.solve(np.exp(1j * x) * np.eye(order) - A, B))[0, 0] for x in w])
        error = np.abs(gain - true).max()
        floor = float(found.notes[-1].split("nearer than ")[1].split(" ")[0])
        assert floor * (1 - 1e-6) <= error <= float(found.error_bound)


def test_long_kernels_are_looked_at_in_random_directions():
    rng = np.random.default_rng(16)
    blocks = np.array([0.99**k * np.cos(0.3 * k) + 0.9**k for k in range(399)]).reshape(-1, 1, 1)
    blocks = blocks * rng.normal(size=(1, 2, 2))
    whole = leading_singular(blocks, 200, None, dense=10_000, seed=0)
    some = leading_singular(blocks, 200, 3, dense=10, seed=0)
    np.testing.assert_allclose(some.values[:3], whole.values[:3], rtol=1e-10)
    assert some.rest == pytest.approx(np.sqrt(np.sum(whole.values[23:] ** 2)), abs=1e-5)
    with pytest.raises(ValueError, match="say how many states"):
        leading_singular(blocks, 200, None, dense=10, seed=0)
    long = np.array([0.999**k * np.sin(0.01 * k) for k in range(3201)]).reshape(-1, 1, 1)
    found = ss.convert(ImpulseResponse(long), ss.DiscreteSSM, order=2)
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(found.value.A)), 0.999, rtol=1e-9)
    assert float(found.error_bound) < 1e-8


def test_realisations_check_their_options():
    response = ss.convert(random_form(17), ImpulseResponse, length=12).value
    with pytest.raises(ValueError, match="not both"):
        kernel_to_discrete(response, order=2, tolerance=0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        kernel_to_discrete(response, tolerance=2.0)
    with pytest.raises(ValueError, match='"era", "kung" or "shift"'):
        kernel_to_discrete(response, method="okid")
    with pytest.raises(ValueError, match='rows= is of "era"'):
        kernel_to_discrete(response, method="kung", rows=3)
    with pytest.raises(ValueError, match="tells at most"):
        kernel_to_discrete(response, order=99)
    with pytest.raises(ValueError, match="block rows"):
        Hankel(response, 12)
    at = ss.convert(random_form(18, "current", "at"), ImpulseResponse, length=12).value
    with pytest.raises(ValueError, match="no place for"):
        kernel_to_discrete(at, method="shift")


def test_a_reduced_model_that_is_not_stable_has_no_bound():
    form = ss.DiscreteSSM(np.diag([0.95, 0.6, -0.8]), [[1.0], [1.0], [1.0]], [[1.0, -0.8, 0.5]])
    found = ss.convert(ss.convert(form, ss.Modal).value, ss.DiscreteSSM, length=8, order=2)
    assert np.abs(np.linalg.eigvals(found.value.A)).max() > 1
    assert np.isinf(found.error_bound)


@pytest.mark.parametrize("seed", range(6))
def test_a_kernel_that_never_ends_has_an_infinite_tail(seed):
    basis = np.random.default_rng(seed).normal(size=(3, 3))
    form = ss.DiscreteSSM(basis @ np.diag([1.0, 0.5, 0.3]) @ np.linalg.inv(basis), np.ones((3, 1)), np.ones((1, 3)))
    found = ss.convert(form, ImpulseResponse, length=20)
    assert np.isinf(found.error_bound)
    np.testing.assert_allclose(found.value.kernel, markov(form, 20), atol=1e-10)


@pytest.mark.parametrize("lead", [0, 1])
def test_a_tolerance_is_kept_for_inputs_and_noises(lead):
    for seed in range(5):
        found = ss.convert(random_form(seed, "previous", lead=lead), ImpulseResponse, tolerance=1e-3)
        assert float(found.error_bound) <= 1e-3
