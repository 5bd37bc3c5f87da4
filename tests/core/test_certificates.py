"""Certificates of stability against roots and eigenvalues."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import statsmodels.tsa.statespace.tools as tools

from statespace.core.certificates import (
    lyapunov_certificate,
    radius_on_host,
    schur_cohn,
    spectral_abscissa,
    spectral_radius,
)


def test_the_margin_is_positive_exactly_where_all_roots_are_inside():
    rng = np.random.default_rng(0)
    margins = jax.jit(jax.vmap(lambda c: schur_cohn(c).margin))
    roots = np.concatenate(
        [rng.uniform(-1.3, 1.3, (400, 2)), rng.uniform(0.2, 1.2, (400, 1)) * np.exp(1j * rng.uniform(0, 3, (400, 1)))],
        axis=1,
    )
    roots = np.concatenate([roots, roots[:, 2:].conj()], axis=1)
    polynomials = np.array([np.real(np.poly(x)) for x in roots])
    inside = np.abs(roots).max(axis=1) < 1
    assert 50 < inside.sum() < 350
    np.testing.assert_array_equal(np.asarray(margins(3.0 * polynomials)) > 0, inside)


def test_reflections_are_partial_autocorrelations():
    """Those of a peer's transformation of stationary autoregressions, up to its sign."""
    partial = np.array([0.5, -0.3, 0.8, 0.1])
    coefficients = tools.constrain_stationary_univariate(partial / np.sqrt(1 - partial**2))
    found = jax.jit(schur_cohn)(np.concatenate([np.ones(1), -coefficients]))
    np.testing.assert_allclose(np.abs(found.reflections), np.abs(partial), rtol=1e-12)
    assert float(found.margin) == pytest.approx(0.2)


def test_the_margin_has_a_derivative_where_roots_meet():
    double = jnp.array([1.0, -1.0, 0.25])  # (z - 1/2)^2
    margin = jax.jit(lambda c: schur_cohn(c).margin)
    slope = jax.jit(jax.grad(margin))(double)
    assert np.all(np.isfinite(slope))
    h = 1e-6
    for i in range(1, 3):
        moved = [float(margin(double.at[i].add(s * h))) for s in (1, -1)]
        assert float(slope[i]) == pytest.approx((moved[0] - moved[1]) / (2 * h), rel=1e-5)
    assert float(schur_cohn(jnp.ones(1)).margin) == 1.0
    assert float(schur_cohn(jnp.array([1.0, 1.0, 1.0])).margin) <= 0
    with pytest.raises(ValueError, match="vector of coefficients"):
        schur_cohn(jnp.ones((2, 2)))


def test_spectral_radius_and_abscissa():
    A = np.random.default_rng(1).normal(size=(5, 5))
    values = np.linalg.eigvals(A)
    assert float(spectral_radius(jnp.asarray(A))) == pytest.approx(np.abs(values).max())
    assert radius_on_host(A) == np.abs(values).max()
    assert radius_on_host(np.zeros((0, 0))) == 0
    assert float(spectral_abscissa(jnp.asarray(A))) == pytest.approx(values.real.max())


def test_a_lyapunov_function_decreases():
    rng = np.random.default_rng(2)
    A = rng.normal(size=(4, 4))
    A = 0.9 * A / np.abs(np.linalg.eigvals(A)).max()
    found = lyapunov_certificate(jnp.asarray(A))
    np.testing.assert_allclose(found.P, scipy.linalg.solve_discrete_lyapunov(A.T, np.eye(4)), rtol=1e-10)
    x = rng.normal(size=(4, 1000))
    before, after = (np.einsum("in,ij,jn->n", y, found.P, y) for y in (x, A @ x))
    assert np.all(after <= before * float(found.rate) * (1 + 1e-12))
    assert float(found.rate) < 1
    assert np.isinf(lyapunov_certificate(jnp.eye(2) * 1.1).rate)
