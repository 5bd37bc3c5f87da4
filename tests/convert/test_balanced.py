"""Balanced truncation: bounds that hold, timing and domain read from the model, what noise and first state need."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from convert.joint_law import joint_of_form, random_cov, random_stable

import statespace as ss
from statespace.convert.forms import Balanced
from statespace.convert.numerics.drivers import noise_columns
from statespace.convert.numerics.gramians import balancing, gramian_factor
from statespace.convert.numerics.norms import hinf_distance, hinf_norm


def random_discrete(rng, n=12, timing="current", radius=0.9, noisy=False):
    joint = random_cov(rng, n + 2)
    noise = {"Q": joint[:n, :n], "R": joint[n:, n:], "S": joint[:n, n:]} if noisy else {}
    return ss.DiscreteSSM(
        random_stable(rng, n, radius),
        rng.normal(size=(n, 2)),
        rng.normal(size=(2, n)),
        rng.normal(size=(2, 2)),
        **noise,
        timing=timing,
        dt=0.5,
    )


def random_continuous(rng, n=8):
    A = rng.normal(size=(n, n))
    A = A - (np.linalg.eigvals(A).real.max() + 0.1) * np.eye(n)
    return ss.ContinuousSSM(A, rng.normal(size=(n, 2)), rng.normal(size=(2, n)), rng.normal(size=(2, 2)))


def lower_bound(found):
    words = next(note for note in found.notes if note.startswith("no model")).split("below ")[1]
    return float(words.split(" ")[0])


@pytest.mark.parametrize("timing", ["current", "previous"])
def test_a_discrete_model_of_twelve_states_gets_the_four_that_were_asked_for(timing):
    """A peer passes on that a discrete system were continuous, and hands back twelve states without a word."""
    form = random_discrete(np.random.default_rng(0), timing=timing)
    found = ss.convert(form, ss.DiscreteSSM, order=4)
    assert found.value.A.shape == (4, 4)
    assert found.value.timing == timing
    assert float(found.value.dt) == 0.5
    assert not found.exact
    assert found.norm == "hinf"
    assert lower_bound(found) * (1 - 1e-6) <= hinf_distance(form, found.value) <= float(found.error_bound)


def test_bounds_hold_on_many_systems():
    rng = np.random.default_rng(1)
    for k in range(100):
        form = (
            random_discrete(rng, 6, ("current", "previous")[k % 2], rng.uniform(0.5, 0.99))
            if k % 3
            else random_continuous(rng, 6)
        )
        found = ss.convert(form, type(form), order=2 + 2 * (k % 5 == 0))
        error = hinf_distance(form, found.value)
        assert lower_bound(found) * (1 - 1e-5) <= error <= float(found.error_bound) * (1 + 1e-8)


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_gramians_are_equal_and_diagonal(kind):
    rng = np.random.default_rng(2)
    form = random_discrete(rng, 6) if kind == "discrete" else random_continuous(rng, 6)
    found = ss.convert(form, Balanced)
    assert found.exact
    balanced = found.value.system
    A, B, C = (np.asarray(x) for x in (balanced.A, balanced.B, balanced.C))
    if kind == "discrete":
        reach = scipy.linalg.solve_discrete_lyapunov(A, B @ B.T)
        see = scipy.linalg.solve_discrete_lyapunov(A.T, C.T @ C)
    else:
        reach = scipy.linalg.solve_continuous_lyapunov(A, -B @ B.T)
        see = scipy.linalg.solve_continuous_lyapunov(A.T, -C.T @ C)
    values = np.diag(found.value.singular_values)
    np.testing.assert_allclose(reach, values, atol=1e-10 * values.max())
    np.testing.assert_allclose(see, values, atol=1e-10 * values.max())
    T = np.asarray(found.transform)
    np.testing.assert_allclose(T @ form.A @ np.linalg.inv(T), A, atol=1e-9)
    same = ss.convert(found.value, type(form))
    assert same.value is balanced
    with pytest.raises(TypeError, match="not of a"):
        ss.convert(found.value, ss.ContinuousSSM if kind == "discrete" else ss.DiscreteSSM)


def test_singular_values_and_reduced_models_are_those_of_peers():
    control, slycot = pytest.importorskip("control"), pytest.importorskip("slycot")
    rng = np.random.default_rng(3)
    continuous, discrete = random_continuous(rng, 7), random_discrete(rng, 7, "previous")
    for form, domain in ((continuous, "C"), (discrete, "D")):
        A, B, C, D = (np.array(x) for x in list(form.matrices.values())[:4])
        _, Ar, Br, Cr, values = slycot.ab09ad(domain, "B", "N", 7, 2, 2, A.copy(), B.copy(), C.copy(), nr=3)[:5]
        found = ss.convert(form, Balanced, order=3)
        np.testing.assert_allclose(found.value.singular_values, values, rtol=1e-9)
        theirs = form.replaced(
            A=Ar,
            B=Br,
            C=Cr,
            Q=None,
            mean=None,
            cov=None,
            diffuse=None,
            state_names=None,
            **({"S": None} if domain == "D" else {}),
        )
        assert hinf_distance(found.value.system, theirs) < 1e-9
    A, B, C, D = (np.array(x) for x in list(continuous.matrices.values())[:4])
    peer = control.balred(control.ss(A, B, C, D), 3)
    ours = ss.convert(continuous, ss.ContinuousSSM, order=3).value
    assert hinf_distance(ours, ss.ContinuousSSM(peer.A, peer.B, peer.C, peer.D)) < 1e-9


def test_as_many_states_as_there_are_is_the_model_itself():
    form = random_discrete(np.random.default_rng(4), 5)
    found = ss.convert(form, ss.DiscreteSSM, order=5)
    assert found.value is form
    assert found.exact
    larger = ss.convert(random_continuous(np.random.default_rng(5), 4), ss.ContinuousSSM, order=9)
    assert larger.exact


def test_a_tolerance_keeps_as_few_states_as_it_allows():
    form = random_discrete(np.random.default_rng(6), 10)
    found = ss.convert(form, Balanced, tolerance=0.5)
    assert float(found.error_bound) <= 0.5
    fewer = ss.convert(form, Balanced, order=found.value.system.A.shape[0] - 1)
    assert float(fewer.error_bound) > 0.5
    with pytest.raises(ValueError, match="not both"):
        ss.convert(form, Balanced, order=1, tolerance=0.5)
    with pytest.raises(ValueError, match="tolerance is positive"):
        ss.convert(form, Balanced, tolerance=0.0)


def joint_map(form):
    """The model with unit noises as further inputs."""
    G, F = noise_columns(form.Q, form.R, form.S)
    return form.replaced(
        B=jnp.concatenate([form.B, G], axis=1), D=jnp.concatenate([form.D, F], axis=1), input_names=None
    )


def test_noise_is_reduced_with_the_inputs():
    """The bound is one of the map from inputs and noises; states that only noise reaches stay."""
    rng = np.random.default_rng(7)
    form = random_discrete(rng, 8, noisy=True)
    values = np.asarray(ss.convert(form, Balanced).value.singular_values)
    for order in (2, 4, 6):
        found = ss.convert(form, Balanced, order=order)
        V, W, *_ = balancing(*(np.asarray(x) for x in (form.A, joint_map(form).B, form.C)))
        reduced = found.value.system
        mapped = joint_map(form)
        theirs = mapped.replaced(
            A=W[:, :order].T @ form.A @ V[:, :order],
            B=W[:, :order].T @ mapped.B,
            C=form.C @ V[:, :order],
            Q=None,
            S=None,
            mean=None,
            cov=None,
            diffuse=None,
            state_names=None,
        )
        np.testing.assert_allclose(reduced.A, theirs.A, atol=1e-10)
        np.testing.assert_allclose(reduced.Q, W[:, :order].T @ form.Q @ W[:, :order], atol=1e-9)
        assert hinf_distance(mapped, theirs) <= float(found.error_bound)
        assert float(found.error_bound) == pytest.approx(2 * values[order:].sum(), rel=1e-9)
        assert any("projected" in note for note in found.notes)
    silent = form.replaced(
        A=np.diag([0.9, 0.8]), B=[[1.0], [0.0]], C=[[1.0, 1.0]], D=None, Q=np.diag([0.0, 1.0]), R=None, S=None,
        mean=None, cov=None, diffuse=None, state_names=None, input_names=None, series_names=None,
    )  # fmt: skip
    whole = ss.convert(silent, Balanced)
    assert whole.exact
    assert whole.value.system.A.shape == (2, 2)
    for x, y in zip(joint_of_form(silent, None, 6), joint_of_form(whole.value.system, None, 6), strict=True):
        np.testing.assert_allclose(y, x, atol=1e-11)


def test_a_first_state_is_carried_and_what_nothing_reaches_is_dropped_exactly():
    rng = np.random.default_rng(8)
    A = np.diag([0.9, 0.7, 0.5, 0.3])
    form = ss.DiscreteSSM(
        A, [[1.0], [1], [0], [0]], [[1.0, 1, 1, 1]], R=[[0.1]], mean=[0, 0, 1.0, 0], cov=None, timing="previous"
    )
    found = ss.convert(form, Balanced)
    assert found.exact
    assert found.value.system.A.shape == (3, 3)
    u = rng.normal(size=(6, 1))
    for x, y in zip(joint_of_form(form, u, 6), joint_of_form(found.value.system, u, 6), strict=True):
        np.testing.assert_allclose(y, x, atol=1e-11)


def test_a_part_that_is_not_stable_is_kept():
    """A random walk beside a stable part: no Gramians, the same states."""
    rng = np.random.default_rng(9)
    T = rng.normal(size=(8, 8))
    A = T @ scipy.linalg.block_diag([[1.0, 1.0], [0.0, 1.0]], random_stable(rng, 6, 0.8)) @ np.linalg.inv(T)
    form = ss.DiscreteSSM(A, rng.normal(size=(8, 1)), rng.normal(size=(1, 8)), Q=random_cov(rng, 8))
    whole = ss.convert(form, Balanced)
    assert whole.exact
    assert whole.value.kept_unstable == 2
    for x, y in zip(joint_of_form(form, None, 6), joint_of_form(whole.value.system, None, 6), strict=True):
        np.testing.assert_allclose(y, x, atol=1e-8 * np.abs(x).max())
    less = ss.convert(form, ss.DiscreteSSM, order=5)
    assert less.value.A.shape == (5, 5)
    assert "2 states of a part that is not stable" in less.notes[0]
    kernels = []
    for x in (form, less.value):
        A, B, C = (np.asarray(m) for m in (x.A, x.B, x.C))
        kernels.append([(C @ np.linalg.matrix_power(A, k) @ B).item() for k in range(400)])
    w = np.linspace(0, np.pi, 1000)
    gap = np.abs(np.exp(-1j * np.outer(w, np.arange(400))) @ np.subtract(*kernels)).max()
    assert gap <= float(less.error_bound)
    with pytest.raises(ValueError, match="below the 2 states"):
        ss.convert(form, ss.DiscreteSSM, order=1)
    drifting = ss.ContinuousSSM(np.diag([0.0, -1.0, -2.0]), np.ones((3, 1)), np.ones((1, 3)))
    assert ss.convert(drifting, ss.ContinuousSSM, order=2).value.A.shape == (2, 2)


def test_small_singular_values_keep_their_digits():
    """A Gramian that is formed first loses values below the root of the precision times the largest."""
    A = np.diag([0.9, 0.5]) + np.array([[0, 1e-9], [0, 0]])
    B, C = np.array([[1.0], [1e-9]]), np.array([[1.0, 1e-9]])
    values = balancing(A, B, C).values
    # two modes that are nearly apart: the smaller value is about the product of what enters and leaves by 1 - a^2
    assert values[1] == pytest.approx(1e-18 / (1 - 0.25), rel=0.5)
    L = gramian_factor(A, B)
    np.testing.assert_allclose(L @ L.T, scipy.linalg.solve_discrete_lyapunov(A, B @ B.T), rtol=1e-12)


def test_models_without_gramians_are_refused():
    rng = np.random.default_rng(10)
    form = random_discrete(rng, 4)
    with pytest.raises(ValueError, match="no Gramians"):
        ss.convert(form.replaced(A=jnp.stack([form.A] * 3), dt=None), Balanced)
    with pytest.raises(ValueError, match="have no prior"):
        ss.convert(form.replaced(diffuse=(True, False, False, False)), Balanced)
    with pytest.raises(ValueError, match="does not exist"):
        gramian_factor(np.eye(2), np.ones((2, 1)))
    assert hinf_norm(ss.convert(form, ss.DiscreteSSM, order=2).value) < np.inf
