"""One block of random numbers for all particles gives each particle its own law, independently."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from statespace.core import draws
from statespace.core.draws import sample_each
from statespace.core.normal import FactorNormal

SIZE = 20000
LAWS = {
    "normal": lambda x: dist.Normal(x, 0.5),
    "vector": lambda x: dist.Normal(jnp.stack([x, 2 * x]), 0.5),
    "independent": lambda x: dist.Normal(jnp.stack([x, 2 * x]), jnp.array([0.5, 1.0])).to_event(1),
    "log-normal": lambda x: dist.LogNormal(0.2 * x, 0.3),
    "gamma": lambda x: dist.Gamma(2.0 + x, 3.0),
    "poisson": lambda x: dist.Poisson(1.0 + x),
    "negative binomial": lambda x: dist.NegativeBinomial2(1.0 + x, 3.0),
    "binomial": lambda x: dist.Binomial(10, 0.1 + 0.3 * x),
    "categorical": lambda x: dist.Categorical(probs=jnp.stack([0.2 + 0.3 * x, 0.8 - 0.3 * x])),
    "joint": lambda x: dist.MultivariateNormal(jnp.stack([x, -x]), scale_tril=jnp.array([[1.0, 0.0], [0.5, 0.2]])),
    "factor": lambda x: FactorNormal(jnp.stack([x, -x]), jnp.array([[1.0], [0.5]])),
    "transformed": lambda x: dist.TransformedDistribution(dist.Normal(x, 0.5), dist.transforms.ExpTransform()),
    "mixture": lambda x: dist.MixtureSameFamily(
        dist.Categorical(probs=jnp.array([0.3, 0.7])), dist.Normal(jnp.stack([x, -x]), 0.1)
    ),
}  # fmt: skip
SLOW = {"transformed", "mixture"}  # families that are drawn with a key for each particle


@pytest.mark.parametrize("name", LAWS)
def test_each_particle_has_its_own_law(name, key):
    law = LAWS[name]
    xs = jnp.tile(jnp.array([0.0, 1.0]), SIZE // 2)
    found = np.asarray(sample_each(law, xs, key), float).reshape(SIZE, -1)
    for value in (0.0, 1.0):
        mine = found[np.asarray(xs) == value]
        other = np.asarray(law(value).sample(jax.random.key(1), (SIZE // 2,)), float).reshape(SIZE // 2, -1)
        error = np.sqrt((mine.var(axis=0) + other.var(axis=0)) / (SIZE / 2))
        assert (np.abs(mine.mean(axis=0) - other.mean(axis=0)) < 4.5 * error).all()
        np.testing.assert_allclose(np.cov(mine.T), np.cov(other.T), atol=0.1 * np.abs(np.cov(other.T)).max())
        neighbours = np.corrcoef(mine[:-1, 0], mine[1:, 0])[0, 1]  # draws are independent over particles
        assert abs(neighbours) < 4.5 / np.sqrt(SIZE / 2)


@pytest.mark.parametrize("name", LAWS)
def test_known_families_take_one_block(name):
    law = LAWS[name]
    one = jax.eval_shape(law, 0.0)
    batched = draws._batched(jax.vmap(law)(jnp.arange(3.0)), one, 3)
    assert (batched is None) == (name in SLOW)
