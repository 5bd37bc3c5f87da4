"""Kernels against a loop over powers, scipy's impulse responses, and one another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal

from statespace.core.kernels import (
    convolve,
    dplr_dense,
    dplr_kernel,
    dplr_step,
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


def looped(a, b, c, length):
    """C A^k B, one power after another."""
    out, x = [], b
    for _ in range(length):
        out.append(c @ x)
        x = a @ x
    return np.array(out).reshape(length, c.shape[0], b.shape[1])


@pytest.fixture(scope="module")
def system():
    rng = np.random.default_rng(0)
    return stable(rng, 5), rng.normal(size=(5, 2)), rng.normal(size=(3, 5))


@pytest.fixture(scope="module")
def modes():
    """Half of the conjugate pairs of a stable matrix with a low rank taken off, continuous in time."""
    rng = np.random.default_rng(1)
    n = 6
    eigenvalues = -rng.uniform(0.1, 1.0, n) + 1j * rng.uniform(0.3, 9.0, n)
    p, b = (rng.normal(size=(n, k)) + 1j * rng.normal(size=(n, k)) for k in (2, 2))
    c = rng.normal(size=(3, n)) + 1j * rng.normal(size=(3, n))
    return eigenvalues, 0.3 * p, b, c


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


@pytest.mark.parametrize("length", [1, 2, 7, 64])
@pytest.mark.parametrize("dt", [None, 0.1])
def test_cauchy_sums_give_the_dense_kernel(modes, length, dt):
    eigenvalues, p, b, c = modes
    if dt is None:
        eigenvalues, p = np.exp(0.3 * eigenvalues), 0.3 * p
    full = [np.concatenate([x, x.conj()]) for x in (eigenvalues, p, b)]
    outer = np.concatenate([c, c.conj()], axis=1)
    m, drive = np.diag(full[0]) - full[1] @ full[1].conj().T, full[2]
    if dt is not None:
        eye = np.eye(len(m))
        m, drive = np.linalg.solve(eye - dt / 2 * m, eye + dt / 2 * m), np.linalg.solve(eye - dt / 2 * m, dt * drive)
    assert np.max(np.abs(np.linalg.eigvals(m))) < 1.2
    naive = looped(m, drive, outer, length)
    scale = np.max(np.abs(naive))
    halves = dplr_kernel(eigenvalues, p, p, b, c, length, dt=dt, conjugate=True)
    assert not jnp.iscomplexobj(halves)
    np.testing.assert_allclose(halves, naive.real, rtol=0, atol=1e-12 * scale)
    whole = dplr_kernel(*(jnp.asarray(x) for x in (full[0], full[1], full[1], full[2])), outer, length, dt=dt)
    np.testing.assert_allclose(whole, naive, rtol=0, atol=1e-12 * scale)


def test_a_step_by_woodbury_is_the_dense_step(modes):
    eigenvalues, p, b, _ = modes
    rng = np.random.default_rng(2)
    q = rng.normal(size=p.shape) + 1j * rng.normal(size=p.shape)
    m, eye = np.diag(eigenvalues) - p @ q.conj().T, np.eye(6)
    x, u = rng.normal(size=6) + 1j * rng.normal(size=6), rng.normal(size=2)
    naive = np.linalg.solve(eye - 0.1 * m, (eye + 0.1 * m) @ x + 0.2 * b @ u)
    np.testing.assert_allclose(dplr_step(eigenvalues, p, q, 0.2, x, b @ u), naive, rtol=0, atol=1e-13)
    dense = dplr_dense(eigenvalues, p, q, 0.2)
    np.testing.assert_allclose(dense @ x + np.linalg.solve(eye - 0.1 * m, 0.2 * b @ u), naive, rtol=0, atol=1e-13)
    np.testing.assert_allclose(dplr_dense(eigenvalues, p, q), m, rtol=0, atol=1e-15)


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
