"""Rules of linearisation against integrals that are known, and against dense quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statespace.core.linalg import semidefinite_factor, solve_lower_right
from statespace.core.linearise import Cubature, GaussHermite, Taylor, Unscented

MEAN = jnp.array([0.3, -0.7])
COV = jnp.array([[0.5, 0.2], [0.2, 0.4]])
POINTS = [Cubature(), Unscented(), Unscented(1.0, 2.0, 0.5), GaussHermite(3), GaussHermite(5)]
RULES = [Taylor(), *POINTS]


def linear(x):
    a = jnp.array([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]])
    return a @ x + jnp.array([1.0, 2.0, 3.0]), jnp.diag(jnp.array([0.1, 0.0, 0.2]))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("cov", [COV, jnp.array([[1.0, 2.0], [2.0, 4.0]]), jnp.zeros((2, 2))], ids=["", "rank 1", "0"])
def test_linear_functions_are_exact(rule, cov):
    found = rule.affine(linear, MEAN, cov, elsewhere=True)
    a = jax.jacfwd(lambda x: linear(x)[0])(MEAN)
    np.testing.assert_allclose(found.matrix, a, atol=1e-12)
    np.testing.assert_allclose(found.offset, [1, 2, 3], atol=1e-12)
    np.testing.assert_allclose(found.cov, linear(MEAN)[1], atol=1e-12)


@pytest.mark.parametrize("rule", POINTS, ids=str)
def test_where_the_state_does_not_vary_a_law_of_its_own_needs_no_slope(rule):
    cov = jnp.array([[1.0, 2.0], [2.0, 4.0]])
    found = rule.affine(linear, MEAN, cov, elsewhere=False)
    a = jax.jacfwd(lambda x: linear(x)[0])(MEAN)
    np.testing.assert_allclose(found.matrix @ cov, a @ cov, atol=1e-12)


def test_quadratics_by_sigma_points():
    """E x1 x2 and its regression are known; Gauss-Hermite of order 3 has the covariance too."""

    def product(x):
        return (x[0] * x[1])[None], jnp.zeros((1, 1))

    slope = jnp.array([[MEAN[1], MEAN[0]]])
    expected = MEAN[0] * MEAN[1] + COV[0, 1]
    for rule in POINTS:
        found = rule.affine(product, MEAN, COV, elsewhere=False)
        np.testing.assert_allclose(found.matrix @ MEAN + found.offset, [expected], atol=1e-12)
        np.testing.assert_allclose(found.matrix, slope, atol=1e-12)
    rest = COV[0, 0] * COV[1, 1] + COV[0, 1] ** 2
    np.testing.assert_allclose(GaussHermite(3).affine(product, MEAN, COV, elsewhere=False).cov, [[rest]], atol=1e-12)


@pytest.mark.parametrize("order", [7, 11])
def test_counts_with_a_lognormal_rate(order):
    """Poisson given exp(s): E = e^(m + v/2), Cov(s, y) = v E, Var = E + E^2 (e^v - 1)."""
    m, v = jnp.array([0.8]), jnp.array([0.3])
    lines = GaussHermite(order).lines(lambda s: (jnp.exp(s), jnp.exp(s)), m, v)
    expected = np.exp(0.8 + 0.15)
    tolerance = {7: 1e-5, 11: 1e-9}[order]
    np.testing.assert_allclose(lines.slope * m + lines.offset, expected, rtol=tolerance)
    np.testing.assert_allclose(lines.slope, expected, rtol=tolerance)
    total = expected + expected**2 * np.expm1(0.3)
    np.testing.assert_allclose(lines.slope**2 * v + lines.variance, total, rtol=10 * tolerance)


def test_noise_that_depends_on_the_state_is_averaged():
    def noisy(x):
        return x, (1 + x[0] ** 2) * jnp.eye(2)

    found = GaussHermite(3).affine(noisy, MEAN, COV, elsewhere=False)
    np.testing.assert_allclose(found.cov, (1 + MEAN[0] ** 2 + COV[0, 0]) * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(Taylor().affine(noisy, MEAN, COV, elsewhere=False).cov, (1 + MEAN[0] ** 2) * np.eye(2))


def test_elements_are_lines_of_their_own_as_one_by_one():
    m, v = jnp.array([0.8, -0.2]), jnp.array([0.3, 0.0])
    for rule in RULES:
        both = rule.lines(lambda s: (jnp.exp(s), 1 + s**2), m, v)
        for i in range(2):
            one = rule.affine(
                lambda x: (jnp.exp(x), 1 + x[:, None] ** 2), m[i : i + 1], v[i : i + 1, None], elsewhere=True
            )
            np.testing.assert_allclose(both.slope[i], one.matrix[0, 0], atol=1e-12)
            np.testing.assert_allclose(both.offset[i], one.offset[0], atol=1e-12)
            np.testing.assert_allclose(both.variance[i], one.cov[0, 0], atol=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_semidefinite_factors_and_their_derivatives(rank):
    root = jnp.asarray(np.random.default_rng(1).normal(size=(3, rank)) * np.array([[1e-3], [1.0], [1e3]]))
    cov = root @ root.T
    lower = semidefinite_factor(cov)
    np.testing.assert_allclose(lower @ lower.T, cov, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(lower, np.tril(lower))
    gradient = jax.grad(lambda a: jnp.sum(semidefinite_factor(a) ** 2))(cov)
    assert np.isfinite(gradient).all()
    b = jnp.ones((2, 3)) @ lower
    np.testing.assert_allclose(solve_lower_right(b, lower) @ lower, b, rtol=1e-9, atol=1e-12)


def test_too_many_points_are_refused():
    with pytest.raises(ValueError, match="expected at most 20000"):
        GaussHermite(10).points(5)
