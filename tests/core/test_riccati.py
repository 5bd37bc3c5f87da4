"""Lyapunov's and Riccati's equations against scipy, their residuals, and derivatives against differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from statespace.core.riccati import kalman_gain, lyapunov, riccati


def stable(n, radius, seed, dtype=float):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if dtype is complex else 0)
    return radius * a / np.abs(np.linalg.eigvals(a)).max()


def noises(n, p, seed):
    """Joint covariance of both noises."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n + p, n + p))
    joint = factor @ factor.T / (n + p)
    return joint[:n, :n], joint[n:, n:], joint[:n, n:]


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize(("n", "radius"), [(1, 0.5), (5, 0.9), (12, 0.9999), (4, 0.0)])
def test_lyapunov_is_that_of_scipy(n, radius, dtype):
    a = stable(n, radius, n, dtype)
    q = noises(n, 1, n)[0].astype(dtype)
    found = lyapunov(a, q)
    np.testing.assert_allclose(found, solve_discrete_lyapunov(a, q), rtol=1e-8)
    np.testing.assert_allclose(a @ found @ a.conj().T + q, found, rtol=1e-11, atol=1e-11 * np.abs(found).max())


def test_an_unstable_matrix_has_no_stationary_law():
    assert np.isnan(lyapunov(jnp.eye(2), jnp.eye(2))).all()
    assert np.isnan(lyapunov(1.01 * jnp.eye(2), jnp.eye(2))).all()


@pytest.mark.parametrize("radius", [0.9, 1.1, 1.0])
@pytest.mark.parametrize(("n", "p"), [(1, 1), (4, 2), (8, 3)])
def test_riccati_is_that_of_scipy(n, p, radius):
    a, c = stable(n, radius, n), np.random.default_rng(n).normal(size=(p, n))
    q, r, s = noises(n, p, 1)
    found = riccati(a, c, q, r, s)
    wanted = solve_discrete_are(a.T, c.T, q, r, s=s)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10 * np.abs(wanted).max())
    gain = kalman_gain(a, c, found, r, s)
    assert np.abs(np.linalg.eigvals(a - gain @ c)).max() < 1


@pytest.mark.parametrize("which", range(5))
def test_derivatives_of_riccati(which):
    n, p = 3, 2
    a, c = stable(n, 0.95, 2), np.random.default_rng(3).normal(size=(p, n))
    arrays = [a, c, *noises(n, p, 4)]
    weights = np.random.default_rng(5).normal(size=(n, n))
    direction = np.random.default_rng(6).normal(size=arrays[which].shape)
    if which in (2, 3):
        direction = direction + direction.T

    def value(x):
        return jnp.sum(weights * riccati(*arrays[:which], x, *arrays[which + 1 :]))

    step = 1e-6
    difference = (value(arrays[which] + step * direction) - value(arrays[which] - step * direction)) / (2 * step)
    x = jnp.asarray(arrays[which])
    forward = jax.jvp(value, (x,), (jnp.asarray(direction),))[1]
    assert float(forward) == pytest.approx(float(difference), rel=1e-6)
    assert float(jnp.sum(jax.grad(value)(x) * direction)) == pytest.approx(float(forward), rel=1e-9)


def test_second_derivatives_and_batches():
    a, q = jnp.asarray(stable(3, 0.8, 1)), jnp.asarray(noises(3, 1, 1)[0])

    def value(scale):
        return jnp.trace(lyapunov(scale * a, q))

    def series(scale):
        term, total = q, q
        for _ in range(400):
            term = scale**2 * a @ term @ a.T
            total = total + term
        return jnp.trace(total)

    assert float(jax.hessian(value)(1.0)) == pytest.approx(float(jax.hessian(series)(1.0)), rel=1e-9)
    scales = jnp.array([0.3, 1.0])
    np.testing.assert_allclose(jax.vmap(jax.grad(value))(scales), [jax.grad(series)(x) for x in scales], rtol=1e-9)


def closed_radius(a, c, q, r, s, p):
    gain = kalman_gain(a, c, p, r, s)
    return np.abs(np.linalg.eigvals(a - gain @ c)).max()


@pytest.mark.parametrize("roots", [[0.5, -0.3], [1.1, 2.0], [1.25, -1.1], [0.5, 3.0], [1.5, -2.0, 4.0]])
def test_a_moving_average_with_roots_outside_gets_the_stabilising_solution_or_none(roots):
    # noise that is a function of the observation: P = 0 solves the equation too, and does not stabilise
    size = len(roots)
    ma = np.poly(roots)[1:]
    a, c = np.eye(size, k=1), np.eye(1, size)
    q, r, s = np.outer(ma, ma), np.eye(1), ma[:, None]
    p = np.asarray(riccati(*map(jnp.asarray, (a, c, q, r, s))))
    assert np.isfinite(p).all() or max(map(abs, roots)) > 1
    if np.isfinite(p).all():
        expected = np.prod([max(1.0, abs(root)) for root in roots]) ** 2
        assert (c @ p @ c.T + r).item() == pytest.approx(expected, rel=1e-9)
        assert closed_radius(*map(jnp.asarray, (a, c, q, r, s, p))) < 1


@pytest.mark.parametrize("seed", range(8))
def test_noise_that_the_innovations_tell(seed):
    random = np.random.default_rng(seed)
    a, k, c = 0.5 * random.normal(size=(3, 3)), random.normal(size=(3, 1)), random.normal(size=(1, 3))
    matrices = [jnp.asarray(x) for x in (a, c, k @ k.T, np.eye(1), k)]
    p = riccati(*matrices)
    if bool(jnp.isfinite(p).all()):
        gain = np.asarray(kalman_gain(matrices[0], matrices[1], p, matrices[3], matrices[4]))
        variance = np.asarray(c @ p @ c.T + 1.0)
        np.testing.assert_allclose(p, a @ p @ a.T + k @ k.T - gain @ variance @ gain.T, atol=1e-9 * float(p.max() + 1))
        assert closed_radius(*matrices, p) < 1
    else:
        assert np.abs(np.linalg.eigvals(a - k @ c)).max() >= 1 - 1e-9  # else P = 0 is the solution
