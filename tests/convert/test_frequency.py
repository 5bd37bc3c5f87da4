"""Frequency responses and norms, against peers and dense grids."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from convert.joint_law import random_cov, random_stable

import statespace as ss
from statespace.convert.forms import FrequencyResponse, ImpulseResponse, Modal
from statespace.convert.numerics.norms import h2_norm, hinf_distance, hinf_norm
from statespace.core.hippo import hippo

W = np.linspace(0.05, 3.0, 40)


def random_discrete(rng, timing, n=5, lead=0):
    joint = random_cov(rng, n + 2)
    return ss.DiscreteSSM(
        random_stable(rng, n, 0.9),
        rng.normal(size=(n, 2)),
        rng.normal(size=(2, n)),
        rng.normal(size=(2, 2)),
        joint[:n, :n],
        joint[n:, n:],
        joint[:n, n:],
        timing=timing,
        lead=lead,
        dt=0.5,
    )


def random_continuous(rng, n=5):
    A = rng.normal(size=(n, n))
    A = A - (np.linalg.eigvals(A).real.max() + 0.2) * np.eye(n)
    return ss.ContinuousSSM(
        A, rng.normal(size=(n, 2)), rng.normal(size=(2, n)), rng.normal(size=(2, 2)), random_cov(rng, n), np.eye(2)
    )


@pytest.mark.parametrize(("timing", "lead"), [("current", 0), ("previous", 0), ("previous", 1)])
def test_gains_are_the_transform_of_the_kernel(timing, lead):
    form = random_discrete(np.random.default_rng(0), timing, lead=lead)
    found = ss.convert(form, FrequencyResponse, frequencies=W)
    response = ss.convert(form, ImpulseResponse, length=600).value
    z = np.exp(-1j * np.outer(W * 0.5, np.arange(600)))
    for ours, kernel in ((found.value.gain, response.kernel), (found.value.noise, response.noise)):
        np.testing.assert_allclose(ours, np.einsum("wk,kpm->wpm", z, kernel), rtol=0, atol=1e-11)
    by_modes = ss.convert(ss.convert(form, Modal).value, FrequencyResponse, frequencies=W).value
    np.testing.assert_allclose(by_modes.gain, found.value.gain, rtol=0, atol=1e-11)
    np.testing.assert_allclose(by_modes.spectrum, found.value.spectrum, rtol=0, atol=1e-10)
    if timing == "previous" and not lead:
        theirs = scipy.signal.dfreqresp(
            (form.A, np.asarray(form.B)[:, :1], np.asarray(form.C)[:1], np.asarray(form.D)[:1, :1], 0.5), W * 0.5
        )[1]
        np.testing.assert_allclose(np.asarray(found.value.gain)[:, 0, 0], theirs, rtol=1e-9)


def test_continuous_gains_are_those_of_a_peer_and_of_their_discretisation():
    model = random_continuous(np.random.default_rng(1))
    found = ss.convert(model, FrequencyResponse, frequencies=W).value
    A, B, C, D, Q, _ = (np.asarray(x) for x in model.matrices.values())
    for k, w in enumerate(W):
        inner = np.linalg.inv(1j * w * np.eye(5) - A)
        np.testing.assert_allclose(found.gain[k], D + C @ inner @ B, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.spectrum[k], C @ inner @ Q @ inner.conj().T @ C.T, rtol=0, atol=1e-11)
    assert not found.discrete
    by_modes = ss.convert(ss.convert(model, Modal).value, FrequencyResponse, frequencies=W).value
    np.testing.assert_allclose(by_modes.gain, found.gain, rtol=0, atol=1e-11)
    np.testing.assert_allclose(by_modes.spectrum, found.spectrum, rtol=0, atol=1e-10)
    tustin = ss.convert(model, FrequencyResponse, dt=0.1, rule="tustin", timing="previous", frequencies=W).value
    warped = ss.convert(model, FrequencyResponse, frequencies=2 / 0.1 * np.tan(W * 0.05)).value
    np.testing.assert_allclose(tustin.gain, warped.gain, rtol=0, atol=1e-11)


def test_gains_of_memories_of_many_states_are_exact():
    A, B = hippo("legs", 64)
    C = np.random.default_rng(2).normal(size=(1, 64))
    gains = ss.convert(ss.ContinuousSSM(A, B[:, None], C), FrequencyResponse, frequencies=W).value.gain
    for k, w in enumerate(W):
        expected = C @ np.linalg.solve(1j * w * np.eye(64) - A, B[:, None])
        np.testing.assert_allclose(gains[k], expected, rtol=0, atol=1e-11 * np.abs(expected).max() * 64)


def test_a_pole_on_a_frequency_is_refused():
    with pytest.raises(ValueError, match="pole at one of the frequencies"):
        ss.convert(ss.ContinuousSSM([[0.0]], [[1.0]]), FrequencyResponse, frequencies=[0.0])
    form = random_discrete(np.random.default_rng(3), "current")
    with pytest.raises(ValueError, match="varies with time"):
        ss.convert(form.replaced(A=jnp.stack([form.A] * 2), dt=None), FrequencyResponse, frequencies=W)
    with pytest.raises(ValueError, match="expected \\(frequencies,\\)"):
        FrequencyResponse(jnp.zeros(2), jnp.zeros((3, 1, 1)))


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_norms_are_those_of_a_peer_and_never_below_a_dense_grid(kind):
    slycot = pytest.importorskip("slycot")
    rng = np.random.default_rng(4)
    for k in range(12):
        form = random_discrete(rng, ("current", "previous")[k % 2]) if kind == "discrete" else random_continuous(rng)
        largest, size = hinf_norm(form), h2_norm(form)
        A, B, C, D = (np.array(x) for x in list(form.matrices.values())[:4])
        if kind == "discrete" and k % 2 == 0:
            C, D = C @ A, D + C @ B
        copies = [x.copy() for x in (A, np.eye(5), B, C, D)]
        theirs = slycot.ab13dd("D" if kind == "discrete" else "C", "I", "N", "D", 5, 2, 2, *copies, 1e-10)
        assert largest == pytest.approx(theirs[0], rel=1e-8)
        if kind == "discrete":
            assert size == pytest.approx(slycot.ab13bd("D", "H", 5, 2, 2, A, B, C, D), rel=1e-9)
        else:
            assert np.isinf(size)
            free = form.replaced(D=np.zeros((2, 2)))
            theirs = slycot.ab13bd("C", "H", 5, 2, 2, A.copy(), B.copy(), C.copy(), np.zeros((2, 2)))
            assert h2_norm(free) == pytest.approx(theirs, rel=1e-9)


def test_norms_against_a_dense_grid():
    rng = np.random.default_rng(5)
    for _ in range(20):
        form = random_discrete(rng, "previous", n=4)
        w = np.linspace(0, np.pi, 4001) / 0.5
        grid = np.asarray(ss.convert(form, FrequencyResponse, frequencies=w).value.gain)
        top = np.linalg.svd(grid, compute_uv=False).max()
        assert top * (1 - 1e-12) <= hinf_norm(form) <= top * 1.001


def test_norms_of_special_systems():
    assert np.isinf(hinf_norm(ss.DiscreteSSM([[1.0]], [[1.0]])))
    assert np.isinf(hinf_norm(ss.ContinuousSSM([[0.0]], [[1.0]])))
    assert np.isinf(h2_norm(ss.DiscreteSSM([[1.1]], [[1.0]])))
    assert hinf_norm(ss.DiscreteSSM([[0.5]])) == 0.0
    all_pass = ss.DiscreteSSM([[0.5]], [[0.75]], [[1.0]], [[-0.5]], timing="previous")
    assert hinf_norm(all_pass) == pytest.approx(1.0, abs=1e-9)
    resonance = ss.ContinuousSSM([[0.0, 1.0], [-1.0, -2e-4]], [[0.0], [1.0]], [[1.0, 0.0]])
    assert hinf_norm(resonance) == pytest.approx(1 / (2e-4 * np.sqrt(1 - 1e-8)), rel=1e-8)
    with pytest.raises(ValueError, match="one model is in discrete"):
        hinf_distance(all_pass, resonance)
    with pytest.raises(ValueError, match="no transfer function"):
        hinf_norm(all_pass.replaced(A=np.full((3, 1, 1), 0.5)))
