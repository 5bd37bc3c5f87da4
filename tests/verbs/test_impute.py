"""What is missing is drawn from its law given all that is there: against dense normal conditioning."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import statespace as ss
from statespace.core.missing import draw_missing
from statespace.core.normal import FactorNormal
from statespace.models import with_values

COUNT = 4000


def test_gaps_have_the_moments_of_dense_conditioning():
    level, noise = 1.3, 0.7
    y = np.array([1.0, np.nan, 2.5, 0.3, np.nan, np.nan, 1.1])
    model = ss.LocalLevel(level, initial=ss.InitialLaw.gaussian([0.0], [2.0])) + ss.Noise(noise)
    found = ss.impute(model, y, num_samples=COUNT, key=0)
    index = np.arange(7)
    cov = 4.0 + level**2 * np.minimum(index[:, None], index) + noise**2 * np.eye(7)
    gone = np.isnan(y)
    gain = cov[np.ix_(gone, ~gone)] @ np.linalg.inv(cov[np.ix_(~gone, ~gone)])
    mean, rest = gain @ y[~gone], cov[np.ix_(gone, gone)] - gain @ cov[np.ix_(~gone, gone)]
    drawn = found.to_numpy()[:, :, 0]
    assert np.all(drawn[:, ~gone] == y[~gone])
    se = np.sqrt(np.diag(rest) / COUNT)
    assert np.all(np.abs(drawn[:, gone].mean(axis=0) - mean) < 4.5 * se)
    np.testing.assert_allclose(np.cov(drawn[:, gone].T), rest, atol=4.5 * np.diag(rest).max() * np.sqrt(2 / COUNT))


@pytest.mark.parametrize("kind", ["normal", "factor"])
def test_a_part_of_a_row_is_drawn_given_the_rest(kind):
    root = np.array([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.4, 0.3, 0.7]])
    mean, cov = np.array([1.0, -1.0, 0.5]), root @ root.T
    normal = dist.MultivariateNormal(mean, scale_tril=root)
    law = normal if kind == "normal" else FactorNormal(mean, root)
    y, mask = jnp.array([2.0, jnp.nan, 0.1]), jnp.array([True, False, True])
    rows = jax.vmap(lambda k: draw_missing(law, y, mask, k))(jax.random.split(jax.random.key(1), COUNT))
    seen = [0, 2]
    gain = cov[1, seen] @ np.linalg.inv(cov[np.ix_(seen, seen)])
    centre, variance = -1.0 + gain @ (np.array([2.0, 0.1]) - mean[seen]), cov[1, 1] - gain @ cov[seen, 1]
    assert float(rows[:, 1].mean()) == pytest.approx(centre, abs=4.5 * np.sqrt(variance / COUNT))
    assert float(rows[:, 1].var()) == pytest.approx(variance, rel=4.5 * np.sqrt(2 / COUNT))
    np.testing.assert_array_equal(rows[:, seen], np.broadcast_to([2.0, 0.1], (COUNT, 2)))


def test_draws_are_labelled_and_bad_calls_refused():
    y = ss.datasets.nile().iloc[:30].copy()
    y.iloc[4:8] = np.nan
    found = ss.impute(ss.LocalLevel(0.05) + ss.Noise(0.1), np.log(y), num_samples=5, key=0)
    assert found.dims == ("draw", "time", "series")
    assert found.sizes["draw"] == 5
    with pytest.raises(ValueError, match="num_samples"):
        ss.impute(ss.LocalLevel(0.05) + ss.Noise(0.1), y, num_samples=0, key=0)
    with pytest.raises(ValueError, match="needs data"):
        ss.impute(ss.LocalLevel(0.05) + ss.Noise(0.1), key=0)


def test_what_a_model_was_fed_agrees_with_what_came_after():
    """A network that repeats what it is fed, hardly noisy: an autoregression, whose gap has a known normal law."""
    cell = ss.Elman(1, 1, activation="identity", key=0)
    values = {"input_weights": np.ones((1, 1)), "recurrent_weights": np.zeros((1, 1)), "bias": np.zeros(1)}
    cell = with_values(cell, values)
    head = ss.GaussianHead([[0.95]], [0.0], [1.0], level=0.0, unit=1.0)
    y = np.array([0.0, 1.0, np.nan, 6.0, 5.0, 4.0])
    model = ss.Recurrent(cell, head)
    way = ss.TeacherForcing(num_particles=20_000)
    draws = ss.impute(model, y, way, num_samples=4000, key=0).to_numpy()[:, 2, 0]
    variance = 1 / (1 + 0.95**2)
    mean = variance * 0.95 * (1.0 + 6.0)
    assert draws.mean() == pytest.approx(mean, abs=0.1)
    assert draws.std() == pytest.approx(variance**0.5, rel=0.1)
