"""Stationary autoregressions: the map from and to the real line, and its Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions import biject_to

from statespace.core.constraints import (
    StationaryTransform,
    autoregressive_coefficients,
    partial_autocorrelations,
    stationary,
)
from statespace.core.riccati import lyapunov

ORDERS = [1, 2, 3, 4]
transform = StationaryTransform()


def points(order, spread=0.8, many=20):
    return jnp.asarray(spread * np.random.default_rng(order).normal(size=(many, order)))


def moduli(coefficients):
    return np.abs(np.roots(np.concatenate([[1.0], -np.asarray(coefficients)])))


def test_it_is_registered():
    assert isinstance(biject_to(stationary), StationaryTransform)
    assert stationary.event_dim == 1


@pytest.mark.parametrize("order", ORDERS)
def test_round_trip(order):
    x = points(order)
    np.testing.assert_allclose(transform.inv(transform(x)), x, rtol=1e-9, atol=1e-10)
    partial = jnp.tanh(x)
    np.testing.assert_allclose(partial_autocorrelations(autoregressive_coefficients(partial)), partial, atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_log_jacobian_is_that_of_autodiff(order):
    x = points(order)
    found = transform.log_abs_det_jacobian(x, transform(x))
    assert found.shape == (len(x),)
    expected = [np.linalg.slogdet(jax.jacobian(transform)(row))[1] for row in x]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("order", ORDERS)
def test_all_values_are_stationary(order):
    for phi in transform(points(order)):
        assert moduli(phi).max() < 1
        assert bool(stationary(phi))


@pytest.mark.parametrize("order", ORDERS)
def test_the_support_is_the_stationary_region(order):
    """Membership agrees with the roots for coefficients of all kinds."""
    rng, seen = np.random.default_rng(order), set()
    for phi in rng.uniform(-1.5, 1.5, size=(60, order)):
        largest = moduli(phi).max()
        if abs(largest - 1) > 1e-6:
            assert bool(stationary(jnp.asarray(phi))) == (largest < 1)
            seen.add(bool(largest < 1))
    assert seen == {True, False}


@pytest.mark.parametrize("order", ORDERS)
def test_partial_autocorrelations_are_those_of_the_process(order):
    """From the stationary covariance of the companion form, by regression (Yule-Walker)."""
    phi = np.asarray(transform(points(order, many=1))[0])
    size = order + 1
    companion = np.zeros((size, size))
    companion[0, :order], companion[1:, :-1] = phi, np.eye(order)
    gamma = np.asarray(lyapunov(jnp.asarray(companion), jnp.eye(size, 1) @ jnp.eye(1, size)))[0]
    for k in range(1, order + 1):
        system = gamma[np.abs(np.subtract.outer(np.arange(k), np.arange(k)))]
        last = np.linalg.solve(system, gamma[1 : k + 1])[-1]
        assert float(partial_autocorrelations(jnp.asarray(phi))[k - 1]) == pytest.approx(last, abs=1e-10)


def test_the_map_reaches_far_without_breaking():
    x = jnp.array([[8.0, -8.0, 8.0], [0.0, 0.0, 0.0]])
    y = transform(x)
    assert np.isfinite(y).all()
    assert np.isfinite(transform.log_abs_det_jacobian(x, y)).all()
    np.testing.assert_array_equal(y[1], 0.0)


def test_a_feasible_value():
    assert bool(stationary(stationary.feasible_like(jnp.ones(3))))
