"""A diagonal plus a low rank against dense matrices."""

import jax.numpy as jnp
import numpy as np
import pytest
from core.systems import half_of_pairs, looped

from statespace.core.dplr import dplr_dense, dplr_kernel, dplr_step


@pytest.fixture(scope="module")
def modes():
    return half_of_pairs()


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
