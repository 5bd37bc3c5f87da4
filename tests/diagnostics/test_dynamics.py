"""Chaos, memory, gradients and fixed points of systems for which they are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statespace.diagnostics import (
    contraction_rate,
    fixed_points,
    gradient_norms,
    kaplan_yorke,
    lyapunov_spectrum,
    memory_capacity,
    valid_prediction_time,
)
from statespace.models.reservoir import CycleCoupling, DenseCoupling, Reservoir, SparseCoupling

DT = 0.005


def lorenz_step(v):
    """A Runge-Kutta step of the Lorenz equations."""

    def slope(v):
        x, y, z = v
        return jnp.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])

    k1 = slope(v)
    k2 = slope(v + DT / 2 * k1)
    k3 = slope(v + DT / 2 * k2)
    return v + DT / 6 * (k1 + 2 * k2 + 2 * k3 + slope(v + DT * k3))


@pytest.fixture(scope="module")
def lorenz():
    start = jnp.array([1.0, 2.0, 20.0])
    return lyapunov_spectrum(lorenz_step, start, length=60_000, dt=DT, burn_in=2000)


def test_lorenz_exponents(lorenz):
    """0.906, 0 and -14.57 (Sprott 2003, appendix A); their sum is the divergence -(10 + 1 + 8/3) everywhere."""
    np.testing.assert_allclose(lorenz.exponents, [0.906, 0.0, -14.572], atol=0.03)
    assert lorenz.exponents.sum() == pytest.approx(-41 / 3, abs=1e-5)  # the rest is the error of the integrator
    assert lorenz.dimension == pytest.approx(2.062, abs=0.003)
    assert lorenz.running.shape == (58_000, 3)
    np.testing.assert_allclose(lorenz.running[-1], lorenz.exponents)
    assert abs(lorenz.exponents[0] - 0.906) < 4 * lorenz.standard_errors[0]


@pytest.mark.parametrize("coupling", [SparseCoupling(12, 3, key=0), DenseCoupling.random(8, key=1)])
def test_linear_exponents_are_logarithms_of_eigenvalues(coupling):
    cell = Reservoir(1, coupling, spectral_radius=0.8, leak=0.6, activation="identity", key=2)
    matrix = 0.4 * np.eye(coupling.units) + 0.6 * 0.8 * np.asarray(
        jax.vmap(coupling.apply, 1, 1)(jnp.eye(coupling.units))
    )
    expected = np.sort(np.log(np.abs(np.linalg.eigvals(matrix))))[::-1]
    drive = jax.random.normal(jax.random.key(0), (4000, 1))
    found = lyapunov_spectrum(cell, inputs=drive, burn_in=1000)
    np.testing.assert_allclose(found.exponents, expected, atol=2e-3)
    assert found.exponents[0] < 0


def test_conditional_exponents_tell_echoes_from_chaos():
    drive = 0.1 * jax.random.normal(jax.random.key(0), (1500, 1))
    calm, wild = (Reservoir(1, DenseCoupling.random(60, key=1), spectral_radius=radius, key=2) for radius in (0.8, 3.0))
    assert lyapunov_spectrum(calm, inputs=drive, num_exponents=1).exponents[0] < -0.1
    assert lyapunov_spectrum(wild, inputs=drive, num_exponents=1).exponents[0] > 0.1


def test_part_of_a_spectrum_and_complex_states():
    factors = jnp.array([0.9 * jnp.exp(1j), 0.5 * jnp.exp(-2j)])
    found = lyapunov_spectrum(lambda x: factors * x, factors, length=400, num_exponents=3)
    np.testing.assert_allclose(found.exponents, np.log([0.9, 0.9, 0.5]), atol=1e-6)


@pytest.mark.parametrize(
    ("exponents", "dimension"),
    [([-1.0, -2.0], 0.0), ([0.5, -1.0], 1.5), ([0.0, -1.0], 1.0), ([0.3, 0.1, -0.1, -1.0], 3.3), ([1.0, 2.0], 2.0)],
)
def test_kaplan_yorke_by_hand(exponents, dimension):
    assert kaplan_yorke(exponents[::-1]) == pytest.approx(dimension)


def test_gradients_by_lag():
    turn = Reservoir(1, CycleCoupling(5), spectral_radius=1.0, activation="identity", key=0)
    drive = jnp.ones((30, 1))
    np.testing.assert_allclose(gradient_norms(turn, inputs=drive, lags=10), np.ones(11), atol=1e-12)
    cell = Reservoir(1, SparseCoupling(6, 2, key=0), leak=0.5, key=1)
    found = gradient_norms(cell, inputs=drive, lags=4)
    _, before = cell.scan(drive[:26])
    product = jax.jacrev(lambda h: cell.scan(drive[26:], h)[1])(before)
    assert found[4] == pytest.approx(np.linalg.norm(product, 2), rel=1e-10)
    one = jax.jacrev(lambda h: cell.step(h, drive[0])[0])
    states = [cell.start(), *cell.scan(drive)[0][:-1]]
    largest = max(np.linalg.norm(one(h), 2) for h in states)
    assert contraction_rate(cell, inputs=drive) == pytest.approx(largest, rel=1e-12)


def test_valid_time_by_hand():
    truth = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    wrong = truth + np.array([0.0, 0.1, 0.3, 0.0])[:, None]
    assert valid_prediction_time(truth, wrong, dt=0.5, exponent=2.0) == pytest.approx(2.0)  # 0.6 of the sd at step 2
    assert valid_prediction_time(truth, wrong, threshold=0.7) == 4.0
    runs = np.stack([truth, np.full_like(truth, np.nan)])
    np.testing.assert_array_equal(valid_prediction_time(np.stack([truth, truth]), runs), [4.0, 0.0])


def test_memory_of_a_linear_cycle_is_nearly_its_size():
    """Its bound is the number of units (Jaeger 2002); a cycle of 30 forgets nothing until the ring closes."""
    cell = Reservoir(1, CycleCoupling(30), spectral_radius=0.8, activation="identity", key=0)
    found = memory_capacity(cell, delays=60, length=1500, key=1)
    assert 29.0 < found.total < 30.2
    assert found.by_delay[:28].min() > 0.95
    assert found.by_delay[32:].max() < 0.05
    tanh = Reservoir(1, SparseCoupling(30, 5, key=0), spectral_radius=0.8, key=0)
    assert memory_capacity(tanh, delays=60, length=1500, key=1).total < 20


def test_fixed_points_of_known_systems():
    starts = jnp.array([[-8.0, -8.0, 25.0], [9.0, 8.0, 26.0], [0.1, 0.1, 0.1], [8.5, 8.5, 27.0]])
    found = fixed_points(lorenz_step, starts)
    root = np.sqrt(8 / 3 * 27)
    np.testing.assert_allclose(found.points, [[-root, -root, 27], [0, 0, 0], [root, root, 27]], atol=1e-8)
    matrix = np.array([[-10, 10, 0], [28, -1, 0], [0, 0, -8 / 3]])  # at the origin, a saddle
    expected = np.sort(np.exp(np.linalg.eigvals(matrix) * DT))[::-1]
    np.testing.assert_allclose(found.eigenvalues[1], expected, rtol=1e-4)
    assert np.abs(found.eigenvalues[0][0]) > 1
    none = fixed_points(lambda x: x + 1.0 + x**2, jnp.zeros((2, 1)))
    assert none.points.shape == (0, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: lyapunov_spectrum(c), "inputs= for a driven system, or length="),
        (lambda c: lyapunov_spectrum(c, inputs=jnp.ones((200, 2))), r"expected \(time, 1\)"),
        (lambda c: lyapunov_spectrum(c, inputs=jnp.ones((200, 1)), num_exponents=9), "expected 1 to 4"),
        (lambda c: lyapunov_spectrum(c, inputs=jnp.ones((50, 1))), "burn_in is 100"),
        (lambda c: lyapunov_spectrum(lambda x: x, length=10), "pass state="),
        (lambda c: gradient_norms(c, inputs=jnp.ones((5, 1)), lags=6), "expected 1 to the 5 steps"),
        (lambda c: fixed_points(c, jnp.ones((2, 3))), r"expected \(start, 4\)"),
        (lambda c: valid_prediction_time(np.ones((3, 2)), np.ones((3, 1))), "expected the same"),
        (lambda c: memory_capacity(c, delays=600, key=0), "a washout no shorter"),
        (lambda c: memory_capacity(Reservoir(2, CycleCoupling(3), key=0), key=0), "this one has 2"),
    ],
)
def test_what_does_not_fit_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call(Reservoir(1, CycleCoupling(4), key=0))


def test_a_system_that_is_none():
    with pytest.raises(TypeError, match="recursion with step"):
        lyapunov_spectrum(3.0, jnp.ones(2), length=200)
