"""Zeros, poles, gain and sections: the same transfer function, also where polynomials lose it."""

import control
import numpy as np
import pytest
import scipy.signal
from convert.joint_law import joint_of_form

import statespace as ss
from statespace.convert.forms import ARMA, VARMA, InnovationsSSM, Matern, SecondOrderSections, ZerosPoles
from statespace.convert.numerics.transmission_zeros import transmission_zeros

CIRCLE = np.exp(1j * np.linspace(0.01, 3.1, 60))
AXIS = 1j * np.logspace(-2, 3, 60)


def response(ssm, points):
    """C (z - A)^-1 B + D by solving."""
    A, B, C, D = (np.asarray(x) for x in (ssm.A, ssm.B, ssm.C, ssm.D))
    return np.array([(C @ np.linalg.solve(z * np.eye(len(A)) - A, B) + D)[0, 0] for z in points])


def off(found, expected):
    return np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()


def legs(n):
    """HiPPO-LegS."""
    i = np.arange(n)
    A = -np.where(i[:, None] > i, np.sqrt((2 * i[:, None] + 1) * (2 * i + 1)), 0) - np.diag(i + 1.0)
    return A, np.sqrt(2 * i + 1.0)[:, None]


@pytest.mark.parametrize("n", [8, 32])
def test_hippo_where_polynomials_fail(n):
    """Also there and back by zeros, poles, gain and by sections, in discrete and in continuous time."""
    A, B = legs(n)
    C = np.random.default_rng(0).normal(size=(1, n))
    D = np.array([[0.3]])
    Ad, Bd, Cd, Dd, _ = scipy.signal.cont2discrete((A, B, C, D), 0.1, "bilinear")
    discrete = ss.DiscreteSSM(Ad, Bd, Cd, Dd, timing="previous", dt=0.1)
    expected = response(discrete, CIRCLE)
    found = ss.convert(discrete, ZerosPoles)
    assert found.exact
    assert off(found.value(CIRCLE), expected) < 1e-13
    numerator, denominator = scipy.signal.ss2tf(Ad, Bd, Cd, Dd)
    polynomials = np.polyval(numerator[0], CIRCLE) / np.polyval(denominator, CIRCLE)
    assert off(polynomials, expected) > 20 * off(found.value(CIRCLE), expected)
    sections = ss.convert(found.value, SecondOrderSections).value
    assert off(sections(CIRCLE), expected) < 1e-12
    for form in (found.value, sections):
        back = ss.convert(form, ss.DiscreteSSM).value
        assert (back.timing, float(back.dt)) == ("previous", 0.1)
        assert off(response(back, CIRCLE), expected) < 1e-12
    continuous = ss.ContinuousSSM(A, B, C)
    assert off(ss.convert(continuous, SecondOrderSections).value(AXIS), response(continuous, AXIS)) < 1e-10
    found = ss.convert(continuous, ZerosPoles)
    assert len(found.value.zeros) == n - 1
    assert off(found.value(AXIS), response(continuous, AXIS)) < 1e-10
    back = ss.convert(found.value, ss.ContinuousSSM).value
    assert off(response(back, AXIS), response(continuous, AXIS)) < 1e-9


def random_roots(rng, count):
    roots = []
    while len(roots) < count:
        if count - len(roots) > 1 and rng.random() < 0.6:
            root = rng.uniform(0.1, 0.95) * np.exp(1j * rng.uniform(0.1, 3))
            roots += [root, root.conjugate()]
        else:
            roots.append(rng.uniform(-0.95, 0.95))
    return roots


def test_any_number_of_zeros_and_poles_there_and_back():
    rng = np.random.default_rng(0)
    for trial in range(25):
        poles = rng.integers(0, 8)
        form = ZerosPoles(random_roots(rng, rng.integers(0, poles + 1)), random_roots(rng, poles), rng.normal())
        expected = np.asarray(form(CIRCLE))
        ssm, sections = ss.convert(form, ss.DiscreteSSM).value, ss.convert(form, SecondOrderSections).value
        forms = (sections, ss.convert(ssm, ZerosPoles).value, ss.convert(sections, ZerosPoles).value)
        assert off(response(ssm, CIRCLE), expected) < 1e-11, trial
        for other in forms:
            assert off(other(CIRCLE), expected) < 1e-11, trial


def test_sections_are_scipys_where_zeros_and_poles_are_equally_many():
    rng = np.random.default_rng(1)
    form = ZerosPoles(random_roots(rng, 6), random_roots(rng, 6), 1.7)
    sections = np.array(ss.convert(form, SecondOrderSections).value.sections)
    signal = rng.normal(size=50)
    z, p, k = np.asarray(form.zeros), np.asarray(form.poles), float(form.gain)
    expected = scipy.signal.sosfilt(scipy.signal.zpk2sos(z, p, k), signal)
    np.testing.assert_allclose(scipy.signal.sosfilt(sections, signal), expected, atol=1e-12)
    # a delay stays one: 1 / (z - 0.5), which scipy's zpk2sos takes for z / (z - 0.5)
    late = ss.convert(ZerosPoles([], [0.5], 1.0), SecondOrderSections).value
    np.testing.assert_array_equal(late.sections, [[0, 1, 0, 1, -0.5, 0]])


@pytest.mark.parametrize(("n", "m", "d"), [(6, 2, False), (3, 3, True), (5, 2, True), (6, 3, False), (1, 1, False)])
def test_transmission_zeros_of_several_series(n, m, d):
    rng = np.random.default_rng(n + m)
    A, B, C = rng.normal(size=(n, n)), rng.normal(size=(n, m)), rng.normal(size=(m, n))
    D = rng.normal(size=(m, m)) * d
    found = transmission_zeros(A, B, C, D)
    expected = control.StateSpace(A, B, C, D, remove_useless_states=False).zeros()
    assert len(found) == len(expected)
    for zero in found:
        assert np.abs(expected - zero).min() < 1e-10 * (1 + abs(zero))
        pencil = np.block([[A - zero * np.eye(n), B], [C, D]])
        values = np.linalg.svd(pencil, compute_uv=False)
        assert values[-1] < 1e-10 * values[0]


def test_systems_without_zeros_and_with_chains_at_infinity():
    """A chain of integrators has none: without deflation its six infinite ones would come out at about 1e2."""
    rng = np.random.default_rng(0)
    A = np.eye(6, k=1)
    A[-1] = rng.normal(size=6)
    B, C = np.eye(6)[:, -1:], np.eye(6)[:1]
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert len(transmission_zeros(turn @ A @ turn.T, turn @ B, C @ turn.T, np.zeros((1, 1)))) == 0
    C = C + np.eye(6)[2:3]
    zeros = transmission_zeros(turn @ A @ turn.T, turn @ B, C @ turn.T, np.zeros((1, 1)))
    np.testing.assert_allclose(sorted(zeros.imag), [-1, 1], atol=1e-12)
    assert len(transmission_zeros(A, rng.normal(size=(6, 2)), rng.normal(size=(1, 6)), np.zeros((1, 2)))) == 0


def test_timing_and_what_is_lost():
    """A late relabelling would move the kernel by a stamp; noise and the first state are told to be lost."""
    A, B, C, D = [[0.5, 0.2], [0.0, -0.3]], [[1.0], [0.5]], [[1.0, 1.0]], [[0.2]]
    kernel = [0.2 + 1.5, *((np.array(C) @ np.linalg.matrix_power(A, k) @ B).item() for k in range(1, 40))]
    bare = ss.convert(ss.DiscreteSSM(A, B, C, D), ZerosPoles)
    assert bare.exact
    expected = [sum(h * z**-k for k, h in enumerate(kernel)) for z in CIRCLE]
    np.testing.assert_allclose(bare.value(CIRCLE), expected, atol=1e-11)
    noisy = ss.convert(ss.DiscreteSSM(A, B, C, D, np.eye(2), timing="previous"), ZerosPoles)
    assert (noisy.exact, noisy.norm, float(noisy.error_bound)) == (False, "hinf", 0.0)
    assert "noise" in noisy.notes[0]
    two = ss.DiscreteSSM(A, np.eye(2), np.eye(2), timing="previous", input_names=["a", "b"])
    one = ss.convert(two, ZerosPoles, input="b", series=0, tolerance=1e-10).value
    np.testing.assert_allclose(one(CIRCLE), 0.2 / ((CIRCLE - 0.5) * (CIRCLE + 0.3)), atol=1e-14)
    with pytest.raises(ValueError, match="is one of"):
        ss.convert(two, ZerosPoles, input="c", series=0)


def test_a_model_of_the_noise_keeps_its_variance():
    model = ARMA([1.2, -0.7], [0.4], 1.5)
    for form in (model, ss.convert(model, InnovationsSSM).value):
        found = ss.convert(form, ZerosPoles).value
        assert (found.drives, float(found.variance)) == ("innovation", 2.25)
        back = ss.convert(found, ARMA).value
        np.testing.assert_allclose([*back.ar, *back.ma, back.sigma], [1.2, -0.7, 0.4, 1.5], atol=1e-12)
        _, cov = joint_of_form(ss.convert(found, ss.DiscreteSSM).value)
        _, expected = joint_of_form(ss.convert(model, ss.DiscreteSSM).value)
        np.testing.assert_allclose(cov, expected, atol=1e-12)


def test_no_chain_of_arrows_loses_the_noise_unasked():
    model = ARMA([0.5], [0.4], 2.0)
    for form in (ss.convert(model, VARMA).value, ss.convert(model, ss.LinearGaussian).value):
        found = ss.convert(form, ZerosPoles).value
        assert (found.drives, round(float(found.variance), 9)) == ("innovation", 4.0)
    # a process in continuous time has no ARMA form until it is sampled
    with pytest.raises(TypeError, match="ContinuousSSM"):
        ss.convert(Matern(1.5), ARMA)


def test_bad_roots_are_refused():
    with pytest.raises(ValueError, match="no conjugate"):
        ZerosPoles([], [0.5 + 0.1j], 1.0)
    with pytest.raises(ValueError, match="sees the future"):
        ZerosPoles([0.1, 0.2], [0.5], 1.0)
    with pytest.raises(ValueError, match="continuous time"):
        ss.convert(ZerosPoles([], [-1.0], 1.0, domain="continuous"), ss.DiscreteSSM)
    with pytest.raises(ValueError, match="not a predictor"):
        ss.convert(ZerosPoles([], [0.5], 2.0), InnovationsSSM)
    with pytest.raises(ValueError, match="zero, and with it"):
        ss.convert(SecondOrderSections([[0, 0, 0, 1, 0.5, 0]]), ZerosPoles)
