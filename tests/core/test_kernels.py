"""Kernels against a loop over powers, scipy's impulse responses, and one another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from core.systems import half_of_pairs, looped

from statespace.core.kernels import (
    convolve,
    initial_response,
    krylov,
    last_state,
    matrix_power,
    powers,
    vandermonde,
)


def stable(rng, n, radius=0.95):
    a = rng.normal(size=(n, n))
    return radius * a / np.max(np.abs(np.linalg.eigvals(a)))


@pytest.fixture(scope="module")
def system():
    rng = np.random.default_rng(0)
    return stable(rng, 5), rng.normal(size=(5, 2)), rng.normal(size=(3, 5))


@pytest.fixture(scope="module")
def modes():
    return half_of_pairs()


@pytest.mark.parametrize("length", [0, 1, 7, 64])
def test_krylov_is_the_sequence_of_powers(system, length):
    kernel = krylov(*system, length)
    assert kernel.shape == (length, 3, 2)
    np.testing.assert_allclose(kernel, looped(*system, length), rtol=0, atol=1e-13)


def test_krylov_agrees_with_scipy(system):
    a, b, c = system
    _, parts = scipy.signal.dimpulse((a, b, c, np.zeros((3, 2)), 1.0), n=51)
    theirs = np.stack(parts, axis=-1)[1:]  # theirs begins with D
    np.testing.assert_allclose(krylov(a, b, c, 50), theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("length", [0, 1, 7, 100])
def test_vandermonde_is_the_sum_of_powers(modes, length):
    eigenvalues, _, b, c = modes
    discrete = np.exp(0.1 * eigenvalues)
    weights = np.einsum("pi,im->ipm", c, b)
    naive = np.einsum("ki,ipm->kpm", discrete[None] ** np.arange(length)[:, None], weights)
    np.testing.assert_allclose(vandermonde(discrete, weights, length), naive, rtol=0, atol=1e-11)
    halves = vandermonde(discrete, weights, length, conjugate=True)
    np.testing.assert_allclose(halves, 2 * naive.real, rtol=0, atol=1e-11)
    logs = vandermonde(0.1 * eigenvalues, weights, length, log=True, conjugate=True)
    np.testing.assert_allclose(logs, 2 * naive.real, rtol=0, atol=1e-11)


def test_a_mode_at_zero_has_a_kernel_and_a_derivative():
    kernel = vandermonde(jnp.zeros(1), jnp.ones(1), 4)
    np.testing.assert_array_equal(kernel, [1.0, 0.0, 0.0, 0.0])
    slope = jax.jacobian(lambda x: vandermonde(x, jnp.ones(1), 4))(jnp.zeros(1))
    np.testing.assert_array_equal(slope[:, 0], [0.0, 1.0, 0.0, 0.0])


def test_memory_of_a_vandermonde_sum_is_far_below_modes_times_length():
    length, n = 1 << 14, 64
    shapes = jax.ShapeDtypeStruct((n,), complex), jax.ShapeDtypeStruct((n,), complex)
    run = jax.jit(lambda a, w: vandermonde(a, w, length, conjugate=True)).lower(*shapes).compile()
    assert run.memory_analysis().temp_size_in_bytes < 16 * n * length / 4  # pyright: ignore


def test_convolution_and_first_state_are_the_recursion(system):
    a, b, c = system
    rng = np.random.default_rng(3)
    x0, u = rng.normal(size=5), rng.normal(size=(37, 2))
    x, naive = x0, []
    for value in u:
        x = a @ x + b @ value
        naive.append(c @ x)
    for taps in (37, 64):  # a kernel longer than the input has no effect beyond it
        ours = convolve(krylov(a, b, c, taps), jnp.asarray(u)) + initial_response(a, c, x0, 37)
        np.testing.assert_allclose(ours, naive, rtol=0, atol=1e-12)
    short = convolve(krylov(a, b, c, 5), jnp.asarray(u))
    truncated = [sum(looped(a, b, c, 5)[j] @ u[k - j] for j in range(min(5, k + 1))) for k in range(37)]
    np.testing.assert_allclose(short, truncated, rtol=0, atol=1e-12)


def test_the_last_state_of_modes_is_that_of_the_recursion(modes):
    discrete = np.exp(0.1 * modes[0])
    rng = np.random.default_rng(4)
    driven, x0 = rng.normal(size=(23, 6)) + 0j, rng.normal(size=6) + 0j
    x = x0
    for value in driven:
        x = discrete * x + value
    np.testing.assert_allclose(last_state(discrete, driven, x0), x, rtol=0, atol=1e-12)
    without = last_state(discrete, driven) + discrete**23 * x0
    np.testing.assert_allclose(without, x, rtol=0, atol=1e-12)


def test_powers_and_matrix_power(system):
    np.testing.assert_allclose(powers(jnp.array([0.9, -0.5]), 9), np.array([0.9, -0.5]) ** np.arange(9)[:, None])
    for k in (0, 1, 6, 13):
        expected = np.linalg.matrix_power(system[0], k)
        np.testing.assert_allclose(matrix_power(jnp.asarray(system[0]), k), expected, rtol=0, atol=1e-13)


def test_a_negative_length_is_refused(system):
    with pytest.raises(ValueError, match="a length of 0 or more, got -1"):
        krylov(*system, -1)
