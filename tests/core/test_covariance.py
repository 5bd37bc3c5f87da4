"""Both forms of a covariance against dense algebra, and the derivative of the triangular root."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statespace.core.covariance import Root, as_root, condition, dense, predicted, project, triangular

RNG = np.random.default_rng(0)
N = 4
HALF = RNG.normal(size=(N, N))
COV, ROOT = jnp.asarray(HALF @ HALF.T), Root(jnp.asarray(HALF))
SINGULAR = Root(jnp.asarray(HALF[:, :2]))
Z, H = jnp.asarray(RNG.normal(size=N)), jnp.asarray(0.7)


@pytest.mark.parametrize("cov", [COV, ROOT, SINGULAR], ids=["matrix", "root", "singular root"])
@pytest.mark.parametrize("h", [0.7, 0.0])
@pytest.mark.parametrize("stable", [True, False])
def test_condition(cov, h, stable):
    p = np.asarray(dense(cov))
    projected = project(cov, Z)
    np.testing.assert_allclose(projected, p @ Z, rtol=1e-13)
    f = Z @ projected + h
    after = condition(cov, projected / f, projected, Z, jnp.asarray(h), f, stable=stable)
    np.testing.assert_allclose(dense(after), p - np.outer(p @ Z, p @ Z) / f, atol=1e-13)
    assert isinstance(after, Root) == isinstance(cov, Root)


@pytest.mark.parametrize("cov", [COV, ROOT], ids=["matrix", "root"])
@pytest.mark.parametrize("stable", [True, False])
@pytest.mark.parametrize("diffuse", [True, False])
def test_condition_on_a_diffuse_direction(cov, stable, diffuse):
    projected = project(cov, Z)
    f = Z @ projected + H
    gain = jnp.asarray(RNG.normal(size=N)) if diffuse else projected / f
    after = condition(cov, gain, projected, Z, H, f, jnp.asarray(diffuse), stable=stable)
    left = np.eye(N) - np.outer(gain, Z)
    np.testing.assert_allclose(dense(after), left @ COV @ left.T + H * np.outer(gain, gain), atol=1e-12)


@pytest.mark.parametrize("cov", [COV, ROOT, SINGULAR], ids=["matrix", "root", "singular root"])
def test_a_missing_element_changes_nothing(cov):
    zero = jnp.zeros(N)
    for h in (0.7, 0.0):  # also where the variance would be zero
        after = condition(cov, zero, project(cov, zero), zero, jnp.asarray(h), jnp.asarray(h), stable=True)
        np.testing.assert_array_equal(dense(after), dense(cov))


def test_predicted():
    f, g = jnp.asarray(RNG.normal(size=(N, N))), jnp.asarray(RNG.normal(size=(N, 2)))
    expected = f @ COV @ f.T + g @ g.T
    np.testing.assert_allclose(predicted(COV, lambda x: f @ x, g @ g.T), expected, rtol=1e-12)
    after = predicted(ROOT, lambda x: f @ x, g)
    assert after.factor.shape == (N, N)
    np.testing.assert_allclose(dense(after), expected, rtol=1e-12)


@pytest.mark.parametrize("columns", [2, 4, 7])
def test_triangular(columns):
    factor = jnp.asarray(RNG.normal(size=(N, columns)))
    lower = triangular(factor)
    assert lower.shape == (N, N)
    np.testing.assert_allclose(np.triu(lower, 1), 0, atol=1e-15)
    np.testing.assert_allclose(lower @ lower.T, factor @ factor.T, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dense(as_root(factor @ factor.T)), factor @ factor.T, atol=1e-13)


@pytest.mark.parametrize("columns", [2, 4, 7])
def test_derivative_of_the_triangular_root(columns):
    """Whatever the rank, any function of S S' has the derivative that S S' gives it."""
    factor, weight = jnp.asarray(RNG.normal(size=(N, columns))), jnp.asarray(RNG.normal(size=(N, N)))

    def through(make):
        return jax.grad(lambda s: jnp.sum(weight * (make(s) @ make(s).T)))(factor)

    np.testing.assert_allclose(through(triangular), through(lambda s: s), rtol=1e-11, atol=1e-12)


def test_second_derivatives_are_refused():
    with pytest.raises(NotImplementedError, match="form='covariance'"):
        jax.hessian(lambda s: jnp.sum(triangular(s) ** 2))(jnp.eye(2))
