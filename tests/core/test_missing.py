"""Densities of rows with gaps: what is missing is integrated out, and gradients stay finite."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from statespace.core.missing import masked_log_prob, serves_partial_rows
from statespace.core.normal import FactorNormal

ROW = jnp.array([0.4, jnp.nan, 1.3])
MASK = jnp.array([True, False, True])

ELEMENTWISE = {
    "normal": (lambda a: dist.Normal(a * jnp.arange(3.0), 1.5), ROW),
    "event": (lambda a: dist.Normal(a * jnp.arange(3.0), 1.5).to_event(1), ROW),
    "expanded": (lambda a: dist.Normal(a, 1.5).expand([3]).to_event(1), ROW),
    "gamma": (lambda a: dist.Gamma(2.0 + jnp.arange(3.0), a), ROW),
    "poisson": (lambda a: dist.Poisson(a * jnp.arange(1.0, 4.0)), jnp.array([2.0, jnp.nan, 5.0])),
    "bernoulli": (lambda a: dist.Bernoulli(a * jnp.array([0.2, 0.3, 0.4])), jnp.array([1.0, jnp.nan, 0.0])),
    "categories": (
        lambda a: dist.Categorical(jnp.stack([1 - a / 3, a / 6, a / 6]) * jnp.ones((3, 1))),
        jnp.array([2.0, jnp.nan, 0.0]),
    ),
    "uniform": (lambda a: dist.Uniform(-a, 3.0).expand([3]), ROW),
    "mixture": (
        lambda a: dist.MixtureSameFamily(
            dist.Categorical(jnp.array([0.3, 0.7])), dist.Normal(a * jnp.ones((3, 2)), jnp.array([0.5, 2.0]))
        ),
        ROW,
    ),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_missing_element_is_left_out(name):
    make, row = ELEMENTWISE[name]
    each = make(0.8)
    each = each.base_dist if isinstance(each, dist.Independent) else each
    support = each.support
    full = row.at[1].set(jnp.zeros(()) if support.is_discrete else 1.0)
    full = full.astype(int) if support.is_discrete else full
    expected = each.log_prob(full)[np.array([0, 2])].sum()
    assert float(masked_log_prob(make(0.8), row, MASK)) == pytest.approx(float(expected), abs=1e-12)
    complete = masked_log_prob(make(0.8), full.astype(float))
    assert float(complete) == pytest.approx(float(each.log_prob(full).sum()), abs=1e-12)
    assert serves_partial_rows(make(0.8), 3)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_gradient_passes_by_what_is_missing(name):
    make, row = ELEMENTWISE[name]

    def value(a):
        return masked_log_prob(make(a), row, MASK)

    gradient = jax.jit(jax.grad(value))(0.8)
    finite = (value(0.8 + 1e-6) - value(0.8 - 1e-6)) / 2e-6
    assert float(gradient) == pytest.approx(float(finite), rel=1e-6, abs=1e-8)
    nothing = jax.grad(lambda a: masked_log_prob(make(a), row * jnp.nan, jnp.zeros(3, bool)))(0.8)
    assert float(nothing) == 0.0


def test_a_joint_normal_law_is_marginalised():
    factor = jnp.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [-0.3, 0.4, 0.6]])
    mean = jnp.array([0.1, 0.2, 0.3])
    kept = np.array([0, 2])
    cov = factor @ factor.T
    part = dist.MultivariateNormal(mean[kept], cov[jnp.ix_(kept, kept)])
    expected = float(part.log_prob(ROW[kept]))
    for law in (dist.MultivariateNormal(mean, scale_tril=factor), FactorNormal(mean, factor)):
        assert float(masked_log_prob(law, ROW, MASK)) == pytest.approx(expected, abs=1e-12)
        assert float(masked_log_prob(law, ROW, jnp.zeros(3, bool))) == 0.0
        assert serves_partial_rows(law, 3)
        full = jnp.array([0.4, 0.0, 1.3])
        assert float(masked_log_prob(law, full, jnp.ones(3, bool))) == pytest.approx(float(law.log_prob(full)))
    gradient = jax.grad(lambda m: masked_log_prob(dist.MultivariateNormal(m, cov), ROW, MASK))(mean)
    assert bool(jnp.isfinite(gradient).all())
    assert float(gradient[1]) == 0.0


def test_other_joint_laws_lose_whole_rows_only():
    def law(a):
        return dist.Dirichlet(a * jnp.array([1.0, 2.0, 3.0]))

    row = jnp.array([0.2, 0.3, 0.5])
    assert float(masked_log_prob(law(1.5), row, jnp.ones(3, bool))) == pytest.approx(float(law(1.5).log_prob(row)))
    assert float(masked_log_prob(law(1.5), row * jnp.nan, jnp.zeros(3, bool))) == 0.0
    assert np.isnan(masked_log_prob(law(1.5), row.at[0].set(jnp.nan), MASK))
    assert not serves_partial_rows(law(1.5), 3)
    assert float(jax.grad(lambda a: masked_log_prob(law(a), row * jnp.nan, jnp.zeros(3, bool)))(1.5)) == 0.0


@pytest.mark.parametrize("law", [dist.Normal(0.3, 2.0), dist.Normal(jnp.array([0.3]), 2.0)])
def test_one_series_takes_scalar_laws_and_rows_of_one(law):
    for each in (law, law.to_event(1) if law.batch_shape else law):
        expected = float(jnp.squeeze(dist.Normal(0.3, 2.0).log_prob(1.0)))
        assert float(masked_log_prob(each, jnp.array([1.0]))) == pytest.approx(expected)
        assert float(masked_log_prob(each, jnp.array([jnp.nan]), jnp.array([False]))) == 0.0


def test_a_law_of_other_series_is_refused():
    with pytest.raises(ValueError, match=r"Normal of shape \(2,\), expected \(3,\)"):
        masked_log_prob(dist.Normal(jnp.zeros(2), 1.0), ROW, MASK)


@pytest.mark.parametrize(
    ("law", "value"),
    [
        (dist.Uniform(0.0, 1.0), 2.0),
        (dist.Gamma(2.0, 1.0), -1.0),
        (dist.Poisson(2.0), 1.5),
        (dist.Categorical(jnp.array([0.5, 0.5])), 2.0),
        (dist.Bernoulli(0.3), -1.0),
    ],
)
def test_what_lies_outside_the_support_has_no_density(law, value):
    assert float(masked_log_prob(law, jnp.array([value]))) == -np.inf
    assert float(masked_log_prob(law, jnp.array([value]), jnp.array([True]))) == -np.inf
    slope = jax.grad(lambda a: masked_log_prob(dist.Gamma(a, 1.0), jnp.array([-1.0])))(2.0)
    assert bool(jnp.isfinite(slope))
