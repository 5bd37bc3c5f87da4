"""Small linear algebra against NumPy, on both sides of the switch by size and at singular matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statespace.core import linalg
from statespace.core.riccati import lyapunov

CLOSE = dict(rtol=1e-12, atol=1e-12)


def matrix(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("size", [1, 3, linalg.SMALL, linalg.SMALL + 1, 30])
def test_products(size):
    a, b, v = matrix(size, size), matrix(size, 4, seed=1), matrix(size, seed=2)
    np.testing.assert_allclose(linalg.matmul(a, b), a @ b, **CLOSE)
    np.testing.assert_allclose(linalg.matmul(a, v), a @ v, **CLOSE)
    np.testing.assert_allclose(linalg.quadratic(b), b @ b.T, **CLOSE)
    np.testing.assert_allclose(linalg.symmetrise(a), (a + a.T) / 2, **CLOSE)


def test_small_products_need_no_dot():
    """A dot inside a loop keeps XLA from compiling the loop into one kernel."""
    small = jax.make_jaxpr(linalg.matmul)(np.eye(linalg.SMALL), np.eye(linalg.SMALL))
    large = jax.make_jaxpr(linalg.matmul)(np.eye(linalg.SMALL + 1), np.eye(linalg.SMALL + 1))
    assert "dot_general" not in str(small)
    assert "dot_general" in str(large)


def test_empty_noise():
    np.testing.assert_array_equal(linalg.quadratic(jnp.zeros((3, 0))), np.zeros((3, 3)))


PSD = {
    "regular": matrix(4, 4) @ matrix(4, 4).T,
    "rank one": np.outer([1.0, -2, 0.5, 3], [1.0, -2, 0.5, 3]),
    "rank two": matrix(4, 2) @ matrix(4, 2).T,
    "a zero row": np.diag([1.0, 0, 2, 0]),
    "zero": np.zeros((4, 4)),
    "tiny": 1e-12 * matrix(4, 4) @ matrix(4, 4).T,
    "huge": 1e12 * matrix(4, 4) @ matrix(4, 4).T,
}


@pytest.mark.parametrize("name", list(PSD))
def test_unit_ldl(name):
    a = PSD[name]
    lower, d = linalg.unit_ldl(jnp.asarray(a))
    size = max(np.abs(a).max(), 1e-300)
    np.testing.assert_allclose(lower @ np.diag(d) @ lower.T / size, a / size, atol=1e-13)
    np.testing.assert_array_equal(np.diag(lower), 1.0)
    np.testing.assert_array_equal(np.triu(lower, 1), 0.0)
    assert (np.asarray(d) >= 0).all()
    assert (np.asarray(d) > 0).sum() == np.linalg.matrix_rank(a)


@pytest.mark.parametrize("name", list(PSD))
def test_gradient_of_unit_ldl_is_finite(name):
    gradient = jax.grad(lambda a: sum(x.sum() for x in linalg.unit_ldl(a)))(jnp.asarray(PSD[name]))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("columns", [(), (3,)])
def test_solve_unit_lower(columns):
    lower = np.tril(matrix(4, 4), -1) + np.eye(4)
    b = matrix(4, *columns, seed=1)
    np.testing.assert_allclose(linalg.solve_unit_lower(jnp.asarray(lower), b), np.linalg.solve(lower, b), **CLOSE)


@pytest.mark.parametrize("name", list(PSD))
def test_psd_factor(name):
    a = PSD[name]
    factor = np.asarray(linalg.psd_factor(jnp.asarray(a)))
    size = max(np.abs(a).max(), 1e-300)
    np.testing.assert_allclose(factor @ factor.T / size, a / size, atol=1e-13)


def test_mask_matrix():
    a, mask = matrix(3, 3), np.array([True, False, True])
    found = np.asarray(linalg.mask_matrix(jnp.asarray(a), mask))
    np.testing.assert_array_equal(found[np.ix_(mask, mask)], a[np.ix_(mask, mask)])
    np.testing.assert_array_equal(found[1], [0, 1, 0])
    np.testing.assert_array_equal(found[:, 1], [0, 1, 0])


@pytest.mark.parametrize("position", [0, 2, 4])
@pytest.mark.parametrize("sign", [-1, 1])
def test_reflect(position, sign):
    v = matrix(5)
    v[position] = sign * abs(v[position])
    u, weight = linalg.reflect(jnp.asarray(v), position)
    turned = v - weight * u * (u @ v)
    expected = np.zeros(5)
    expected[position] = -sign * np.linalg.norm(v)
    np.testing.assert_allclose(turned, expected, atol=1e-14)
    reflection = np.eye(5) - weight * np.outer(u, u)
    np.testing.assert_allclose(reflection @ reflection.T, np.eye(5), atol=1e-14)


def test_reflect_at_zero():
    u, weight = linalg.reflect(jnp.zeros(3), 1)
    np.testing.assert_array_equal(u, 0.0)
    assert float(weight) == 0.0

    def value(v):
        u, weight = linalg.reflect(v, 1)
        return u.sum() + weight

    assert np.isfinite(jax.grad(value)(jnp.zeros(3))).all()


def test_banded_shift():
    x = jnp.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(linalg.banded_shift(x, jnp.array([9.0, 8.0])), [[9, 8], [0, 1], [2, 3]])
    np.testing.assert_array_equal(linalg.banded_shift(x[:, 0], jnp.asarray(7.0)), [7, 0, 2])


@pytest.mark.parametrize("size", [1, 2, 12, 13, 20], ids=lambda n: f"{n} states")
def test_lyapunov(size):
    f = matrix(size, size)
    f *= 0.97 / np.abs(np.linalg.eigvals(f)).max()
    factor = matrix(size, 2, seed=1)
    p = np.asarray(lyapunov(jnp.asarray(f), jnp.asarray(factor @ factor.T)))
    np.testing.assert_allclose(p, f @ p @ f.T + factor @ factor.T, rtol=1e-9, atol=1e-9 * np.abs(p).max())
    np.testing.assert_allclose(p, p.T, rtol=1e-13)


@pytest.mark.parametrize("size", [3, 14])
def test_lyapunov_near_the_unit_root_and_nilpotent(size):
    near = np.asarray(lyapunov(0.9999 * jnp.eye(size), jnp.eye(size)))
    np.testing.assert_allclose(near, np.eye(size) / (1 - 0.9999**2), rtol=1e-9)
    shift = jnp.eye(size, k=-1)
    nilpotent = np.asarray(lyapunov(shift, jnp.eye(size, 1) @ jnp.eye(1, size)))
    np.testing.assert_allclose(nilpotent, np.eye(size), atol=1e-12)
