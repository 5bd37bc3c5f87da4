"""Discretised diagonal systems against high precision, matrix exponentials and quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from statespace.core.diagonal import diffused, held_euler, part_of_step, phi1, s4_bilinear, zoh

REAL = [0.0, 1e-12, -1e-9, 1e-3, -0.1, 0.2499, 0.2501, -0.3, 1.0, -4.0, 20.0, -500.0]
COMPLEX = [0j, 1e-8j, 1e-3 + 1e-3j, -0.1 + 0.2j, 0.25j, -0.2 + 0.2j, 3j, -3 + 10j, -40 + 300j, 1e-12 - 2j]


def taylor(z, derivative=0):
    """phi1 and its derivative by 60 terms or by the quotient, in extended precision where it does not cancel."""
    z = np.clongdouble(z)
    if abs(z) > 1:
        quotient = (np.exp(z) - 1) / z
        return (np.exp(z) - quotient) / z if derivative else quotient
    total, term = np.clongdouble(0), np.clongdouble(1)  # term = z^n / (n + 1)!
    powers = [term := term if n == 0 else term * z / (n + 1) for n in range(60)]
    if not derivative:
        return sum(powers, total)
    term, slopes = np.clongdouble(0.5), []  # n z^(n-1) / (n + 1)!
    for n in range(1, 60):
        slopes.append(n * term)
        term = term * z / (n + 2)
    return sum(slopes, total)


@pytest.mark.parametrize("z", [np.array(REAL), np.array(COMPLEX)], ids=["real", "complex"])
def test_phi1_keeps_its_digits(z):
    expected = np.array([taylor(x) for x in z])
    evaluate = jax.jit(phi1)
    found = np.asarray(evaluate(z))
    assert np.max(np.abs(found - expected) / np.abs(expected)) < 1e-15
    single = np.asarray(evaluate(z.astype(np.complex64 if np.iscomplexobj(z) else np.float32)))
    assert single.dtype == (np.complex64 if np.iscomplexobj(z) else np.float32)
    rounded = z.astype(single.dtype).astype(z.dtype)
    expected = np.array([taylor(x) for x in rounded])
    assert np.max(np.abs(single - expected) / np.abs(expected)) < 3e-7


@pytest.mark.parametrize("z", [np.array(REAL), np.array(COMPLEX)], ids=["real", "complex"])
def test_the_derivative_of_phi1_keeps_its_digits(z):
    found = jax.jit(jax.vmap(jax.grad(phi1, holomorphic=np.iscomplexobj(z))))(jnp.asarray(z))
    expected = np.array([taylor(x, 1) for x in z])
    assert np.max(np.abs(np.asarray(found) - expected) / np.abs(expected)) < 1e-14


def test_zero_order_hold_is_the_matrix_exponential():
    eigenvalues = np.array([-0.5 + 3j, -2.0 + 0j, 0j, 1e-9j])
    for dt in (0.01, 0.7, 3.0):
        factor, gain = zoh(eigenvalues, dt)
        for i, value in enumerate(eigenvalues):
            whole = scipy.linalg.expm(dt * np.array([[value, 1], [0, 0]]))
            np.testing.assert_allclose([factor[i], gain[i]], whole[0], rtol=1e-13)


def test_zero_order_hold_composes():
    eigenvalues = np.array([-0.5 + 3j, -1e-6 + 0j])
    whole, half = zoh(eigenvalues, 0.8), zoh(eigenvalues, 0.4)
    np.testing.assert_allclose(half[0] ** 2, whole[0], rtol=1e-14)
    np.testing.assert_allclose(half[0] * half[1] + half[1], whole[1], rtol=1e-14)
    for rule in (zoh, s4_bilinear, held_euler):
        factor, gain = rule(eigenvalues, 0.0)
        assert np.all(factor == 1)
        assert np.all(gain == 0)


def test_bilinear_rule_is_a_solve():
    m, dt = np.array([[-1.0, 2.0], [-2.0, -1.0]]), 0.3
    left, right = np.eye(2) - dt / 2 * m, np.eye(2) + dt / 2 * m
    factor, gain = s4_bilinear(-1.0 + 2.0j, dt)
    step, into = np.linalg.solve(left, right), dt * np.linalg.inv(left)
    np.testing.assert_allclose([step[0, 0], step[0, 1]], [factor.real, factor.imag], rtol=1e-14)
    np.testing.assert_allclose([into[0, 0], into[0, 1]], [gain.real, gain.imag], rtol=1e-14)


def test_a_part_of_a_step():
    z = np.array([-0.3 + 2.5j, -1e-7 + 0j])
    for dt in (0.25, 1.0, 2.5):
        factor, gain = part_of_step(z, dt)
        rule = zoh(z, dt)
        np.testing.assert_allclose(factor, rule[0], rtol=1e-14)
        np.testing.assert_allclose(gain, rule[1] / zoh(z, 1.0)[1], rtol=1e-13)


def test_diffused_noise_is_van_loan():
    rng = np.random.default_rng(0)
    eigenvalues = np.array([-0.5 + 3j, -0.2 - 1j, -1e-10 + 0j])
    root = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
    q, dt, n = root @ root.conj().T, 0.6, 3
    block = np.block([[-np.diag(eigenvalues), q], [np.zeros((n, n)), np.diag(eigenvalues.conj())]])
    whole = scipy.linalg.expm(block * dt)
    expected = whole[n:, n:].conj().T @ whole[:n, n:]
    np.testing.assert_allclose(diffused(jnp.asarray(eigenvalues), jnp.asarray(q), dt), expected, rtol=1e-12)
