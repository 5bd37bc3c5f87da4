"""Transforms of y: inverse of forward, derivative against finite differences, what they refuse."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from statespace.data import BoxCox, Identity, Log, as_transform, transform_from_spec

TRANSFORMS = [Identity(), Log(), BoxCox(0.0), BoxCox(0.3), BoxCox(-0.7), BoxCox(2.0), BoxCox(1e-10)]
VALUES = np.array([0.2, 1.0, 3.7, 150.0])


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
def test_inverse_and_jacobian(transform):
    z = transform.forward(VALUES)
    np.testing.assert_allclose(transform.inverse(z), VALUES, rtol=1e-9)
    inverse = transform.inverse(jnp.asarray(z))
    assert isinstance(inverse, jax.Array)
    np.testing.assert_allclose(inverse, VALUES, rtol=1e-9)
    step = 1e-6 * VALUES
    slope = (transform.forward(VALUES + step) - transform.forward(VALUES - step)) / (2 * step)
    np.testing.assert_allclose(transform.log_jacobian(VALUES), np.log(slope), atol=1e-7)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
def test_missing_values_stay_missing(transform):
    values = np.array([[1.0, np.nan], [2.0, 3.0]])
    z = transform.forward(values)
    assert np.isnan(z).tolist() == np.isnan(values).tolist()
    assert np.isnan(transform.log_jacobian(values)).tolist() == np.isnan(values).tolist()
    np.testing.assert_allclose(transform.inverse(z), values)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
def test_specifications(transform):
    spec = json.loads(json.dumps(transform.to_spec()))
    assert transform_from_spec(spec) == transform
    assert spec["name"] == transform.name


def test_box_cox_is_that_of_scipy():
    for lam in (-1.0, 0.0, 0.5):
        np.testing.assert_allclose(BoxCox(lam).forward(VALUES), stats.boxcox(VALUES, lam))


def test_box_cox_beyond_what_y_can_reach():
    assert BoxCox(0.5).inverse(np.array(-3.0)) == 0.0
    assert BoxCox(-0.5).inverse(np.array(3.0)) == np.inf
    assert BoxCox(0.5).inverse(-3.0) == 0.0
    assert BoxCox(0.5).inverse(jnp.asarray(-3.0)) == 0.0
    assert jax.jit(BoxCox(0.5).inverse)(2.0) == pytest.approx(4.0)


@pytest.mark.parametrize("factor", [1e-100, 1.0, 1e100])
def test_the_exponent_is_estimated(factor):
    values = np.append(np.random.default_rng(0).gamma(3.0, size=300), np.nan)
    fitted = as_transform("boxcox").fit(factor * values)
    assert fitted.lam == pytest.approx(stats.boxcox_normmax(values[:-1], method="mle"), abs=1e-5)
    grid = [stats.boxcox_llf(lam, values[:-1]) for lam in (fitted.lam - 0.01, fitted.lam, fitted.lam + 0.01)]
    assert np.argmax(grid) == 1


def test_fit_keeps_what_is_given():
    assert BoxCox(0.3).fit(VALUES) == BoxCox(0.3)
    assert Log().fit(VALUES) == Log()


def test_as_transform():
    assert as_transform(None) == Identity()
    assert as_transform("log") == Log()
    assert as_transform("boxcox") == BoxCox()
    assert as_transform(BoxCox(0.2)) == BoxCox(0.2)
    with pytest.raises(TypeError, match=re.escape("got transform=0.3") + ".*" + re.escape("pass BoxCox(0.3)")):
        as_transform(0.3)
    with pytest.raises(ValueError, match="got transform='logit', expected None, 'log' or 'boxcox'"):
        as_transform("logit")
    with pytest.raises(TypeError, match="got transform="):
        as_transform(np.log)


@pytest.mark.parametrize("transform", [Log(), BoxCox(0.5), BoxCox(0.0)], ids=str)
def test_values_outside_the_support(transform):
    message = f"transform='{transform.name}' got 0 at stamp position 1, expected values above 0"
    for method in (transform.forward, transform.log_jacobian):
        with pytest.raises(ValueError, match=message):
            method([1.0, 0.0, -1.0])
        with pytest.raises(ValueError, match=message):
            method([[1.0, 2.0], [2.0, 0.0]])


def test_the_exponent_must_be_known():
    with pytest.raises(ValueError, match="BoxCox without its exponent"):
        BoxCox().forward(VALUES)
    with pytest.raises(ValueError, match=r"pass BoxCox\(lam\)"):
        BoxCox().fit([2.0, 2.0, 2.0])
    with pytest.raises(ValueError, match="got 0 at stamp position 1"):
        BoxCox().fit([2.0, 0.0, 2.0])
    with pytest.raises(ValueError, match="finite exponent"):
        BoxCox(np.nan)
