"""The symmetric root and its derivatives, where eigenvalues repeat too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.linalg import solve_sylvester as by_scipy
from scipy.linalg import sqrtm

from statespace.core.matrix_root import solve_sylvester, symmetric_sqrt


def matrix(size, rank):
    factor = np.random.default_rng(size).normal(size=(size, rank))
    return jnp.asarray(factor @ factor.T)


@pytest.mark.parametrize("rank", [5, 2])
def test_it_is_the_root(rank):
    a = matrix(5, rank)
    root = symmetric_sqrt(a)
    np.testing.assert_allclose(root @ root, a, atol=1e-12)
    np.testing.assert_allclose(root, root.T, atol=1e-12)
    assert np.linalg.eigvalsh(root).min() > -1e-12
    if rank == 5:
        np.testing.assert_allclose(root, sqrtm(np.asarray(a)), atol=1e-10)


def test_sylvester():
    b, x = symmetric_sqrt(matrix(4, 4)), matrix(4, 3)
    np.testing.assert_allclose(solve_sylvester(b, x), by_scipy(np.asarray(b), np.asarray(b), np.asarray(x)), atol=1e-10)


@pytest.mark.parametrize("rank", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_derivatives_exist_where_eigenvalues_repeat(rank):
    """At I + a, which has an eigenvalue 1 as often as a lacks rank, along symmetric directions."""
    a, direction, weights = matrix(4, rank), matrix(4, 4), matrix(4, 2)

    def value(t):
        return jnp.sum(weights * symmetric_sqrt(jnp.eye(4) + a + t * direction))

    check_grads(value, (0.0,), order=3, eps=1e-4, rtol=1e-3)
    assert all(np.isfinite(f(value)(0.0)) for f in (jax.grad, lambda g: jax.grad(jax.grad(g))))
