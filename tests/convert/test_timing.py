"""Moves between the conventions of timing: one joint law, one kernel."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from convert.joint_law import joint_of_form, random_cov, random_stable

import statespace as ss
from statespace.convert.arrows.timing import retime

LENGTH = 6


def random_form(rng, timing, start=None, *, lead=0, correlated=True, varying=False, singular=False):
    n, m, p, T = 3, 2, 2, (LENGTH,) if varying else ()
    joint = np.array([random_cov(rng, n + p) for _ in range(LENGTH)]) if varying else random_cov(rng, n + p)
    A = np.array([random_stable(rng, n) for _ in range(LENGTH)]) if varying else random_stable(rng, n)
    if singular:
        A = np.diag(np.ones(n - 1), -1)  # a shift register
    return ss.DiscreteSSM(
        A,
        rng.normal(size=(*T, n, m)),
        rng.normal(size=(*T, p, n)),
        rng.normal(size=(*T, p, m)),
        joint[..., :n, :n],
        joint[..., n:, n:],
        joint[..., :n, n:] if correlated else None,
        mean=rng.normal(size=n),
        cov=random_cov(rng, n),
        timing=timing,
        start=start,
        lead=lead,
        dt=np.arange(1.0, LENGTH + 1) if varying else 0.5,
        series_names=["a", "b"],
        input_names=["heat", "light"],
    )


def same_law(one, other, u):
    mean, cov = joint_of_form(one, u, LENGTH)
    mean2, cov2 = joint_of_form(other, u, LENGTH)
    scale = np.abs(cov).max()
    np.testing.assert_allclose(mean2, mean, rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(cov2, cov, rtol=0, atol=1e-10 * scale)


KINDS = [("current", "before", 0), ("current", "at", 0), ("previous", None, 0), ("previous", None, 1)]


@pytest.mark.parametrize(("timing", "start", "lead"), KINDS)
@pytest.mark.parametrize(("correlated", "varying"), list(itertools.product([False, True], repeat=2)))
def test_every_move_keeps_the_joint_law_and_comes_back(timing, start, lead, correlated, varying):
    rng = np.random.default_rng(0)
    form = random_form(rng, timing, start, lead=lead, correlated=correlated, varying=varying)
    u = rng.normal(size=(LENGTH, 2))
    other = "previous" if timing == "current" else "current"
    moved = ss.convert(form, ss.DiscreteSSM, timing=other)
    assert moved.exact
    assert moved.value.timing == other
    same_law(form, moved.value, u)
    back = ss.convert(moved.value, ss.DiscreteSSM, timing=timing)
    assert back.exact
    same_law(form, back.value, u)
    assert moved.value.series_names == ("a", "b")
    assert moved.value.input_names == ("heat", "light")
    assert back.value.state_names[:3] == form.state_names
    np.testing.assert_array_equal(ss.convert(form, ss.DiscreteSSM, timing=timing).value.A, form.A)


@pytest.mark.parametrize("correlated", [False, True])
def test_a_singular_transition_needs_more_states(correlated):
    rng = np.random.default_rng(1)
    form = random_form(rng, "previous", correlated=correlated, singular=True)
    moved = ss.convert(form, ss.DiscreteSSM, timing="current")
    assert moved.value.A.shape == (5, 5)
    assert "singular" in moved.notes[0]
    assert moved.condition == 1.0
    same_law(form, moved.value, rng.normal(size=(LENGTH, 2)))
    with pytest.raises(ValueError, match="singular and cannot be inverted"):
        retime(form, timing="current", augment=False)


def test_digits_that_an_inverse_loses_are_said():
    A = np.diag([1.0, 1e-7])
    moved = ss.convert(ss.DiscreteSSM(A, timing="previous"), ss.DiscreteSSM, timing="current")
    assert float(moved.condition) == pytest.approx(1e7)
    both = moved.then(retime(moved.value, timing="previous"))
    assert float(both.condition) == pytest.approx(1e7)
    np.testing.assert_array_equal(both.transform, np.eye(2))


def test_a_relabelled_matrix_is_another_model():
    """The kernel of a HiPPO memory after a zero-order hold, moved rightly and merely relabelled."""
    from statespace.core.hippo import hippo

    A, B = hippo("legs", 4)
    form = ss.convert(ss.ContinuousSSM(A, B[:, None], np.ones((1, 4))), ss.DiscreteSSM, dt=0.1, start="before").value
    moved = ss.convert(form, ss.DiscreteSSM, timing="previous").value
    kernel = np.array([np.asarray(form.C @ np.linalg.matrix_power(form.A, k) @ form.B)[0, 0] for k in range(50)])

    def theirs(x):
        system = (*(np.asarray(m) for m in (x.A, x.B, x.C, x.D)), 1.0)
        return scipy.signal.dimpulse(system, n=50)[1][0][:, 0]

    np.testing.assert_allclose(theirs(moved), kernel, rtol=0, atol=1e-14)
    assert np.abs(theirs(form) - kernel).max() > 0.05


def test_the_law_of_the_first_state_is_moved_where_it_can_be():
    rng = np.random.default_rng(2)
    form = random_form(rng, "current", "before", correlated=False)
    free = form.replaced(B=None, D=None, input_names=None)
    at = ss.convert(free, ss.DiscreteSSM, timing="current", start="at").value
    assert at.start == "at"
    same_law(free, at, np.zeros((LENGTH, 0)))
    with pytest.raises(ValueError, match="depends on the inputs"):
        ss.convert(form, ss.DiscreteSSM, timing="current", start="at")
    with pytest.raises(ValueError, match="cannot be had"):
        ss.convert(at, ss.DiscreteSSM, timing="current", start="before")
    with pytest.raises(ValueError, match="without a prior mix"):
        retime(free.replaced(diffuse=(True, False, False)), timing="current", start="at")
    all_flat = retime(free.replaced(diffuse=(True,) * 3), timing="current", start="at")
    assert all_flat.value.diffuse == (True,) * 3


def test_noise_free_observations_get_a_noise_of_their_own():
    """R = 0 in `current` timing becomes R' = C Q C' > 0: Riccati's equation then has an R to invert."""
    form = ss.DiscreteSSM([[0.5]], None, [[2.0]], Q=[[3.0]])
    moved = retime(form, timing="previous").value
    np.testing.assert_allclose(moved.R, [[12.0]])
    np.testing.assert_allclose(moved.S, [[6.0]])


def test_options_that_do_not_go_together_are_refused():
    form = ss.DiscreteSSM([[0.5]], [[1.0]], [[2.0]])
    with pytest.raises(ValueError, match='timing is "current" or "previous"'):
        retime(form, timing="late")
    with pytest.raises(ValueError, match="start="):
        retime(form, timing="previous", start="at")
    with pytest.raises(ValueError, match="augment="):
        retime(form, timing="previous", augment=True)
    previous = retime(form, timing="previous").value
    with pytest.raises(ValueError, match="say augment="):
        jax.jit(lambda a: retime(previous.replaced(A=a), timing="current").value.C)(previous.A)
    inside = jax.jit(lambda a: retime(previous.replaced(A=a), timing="current", augment=False).value.C)
    np.testing.assert_allclose(inside(previous.A), form.C)


def test_a_move_has_a_gradient():
    form = ss.DiscreteSSM([[0.5]], [[1.0]], [[2.0]], Q=[[3.0]])
    slope = jax.grad(lambda a: retime(form.replaced(A=a), timing="previous").value.C[0, 0])(jnp.array([[0.5]]))
    np.testing.assert_allclose(slope, [[2.0]])
