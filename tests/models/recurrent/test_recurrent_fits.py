"""Recurrent models fitted: against a posterior in closed form, on the sunspots, and on the copy task."""

import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm

import statespace as ss
from statespace.inference.teacher_forcing import TeacherForcing
from statespace.models.recurrent import GRU, Elman, GaussianHead, Recurrent


def regression(y, scale):
    """Posterior of (weight, bias) with standard normal priors in y[t] = weight y[t-1] + bias + N(0, scale^2)."""
    x = np.column_stack([np.r_[0.0, y[:-1]], np.ones(len(y))])
    precision = x.T @ x / scale**2 + np.eye(2)
    return np.linalg.solve(precision, x.T @ y / scale**2), np.linalg.inv(precision)


@pytest.fixture(scope="module")
def autoregression():
    """A series, a cell that only holds the last value, and all that is known of it."""
    rng, y = np.random.default_rng(0), np.zeros(60)
    for t in range(1, 60):
        y[t] = 0.7 * y[t - 1] + 0.3 + 0.5 * rng.normal()
    model = Recurrent(Elman(1, 1, activation="identity"), GaussianHead(level=0.0, unit=1.0))
    held = {"input_weights": [[1.0]], "recurrent_weights": [[0.0]], "bias": [0.0]}
    return y, model, {f"cell.{name}": jnp.asarray(v) for name, v in held.items()} | {"head.scale": jnp.array([0.5])}


def test_map_is_the_ridge(autoregression):
    y, model, fixed = autoregression
    found = ss.fit(model, y, ss.MAP(num_starts=1), fixed=fixed, progress=False)
    mean, cov = regression(y, 0.5)
    np.testing.assert_allclose(
        [found.estimates["head.weights"][0, 0], found.estimates["head.bias"][0]], mean, rtol=1e-5
    )
    errors = [found.standard_errors["head.weights"][0, 0], found.standard_errors["head.bias"][0]]
    np.testing.assert_allclose(errors, np.sqrt(np.diag(cov)), rtol=1e-4)
    assert found.status.converged


@pytest.mark.slow
def test_nuts_draws_the_posterior(autoregression):
    y, model, fixed = autoregression
    found = ss.fit(
        model, y, ss.NUTS(num_warmup=300, num_samples=1000, num_chains=2), fixed=fixed, key=0, progress=False
    )
    draws = np.column_stack([found.draws["head.weights"].ravel(), found.draws["head.bias"].ravel()])
    mean, cov = regression(y, 0.5)
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 0.15 * np.sqrt(np.diag(cov)))
    np.testing.assert_allclose(np.cov(draws.T), cov, rtol=0.2)


@pytest.mark.slow
def test_nuts_with_gaps(autoregression):
    """Missing values are drawn along paths with the same random numbers at all values of the parameters."""
    y, model, fixed = autoregression
    gaps = y.copy()
    gaps[[10, 30, 31]] = np.nan
    sampler = ss.NUTS(num_warmup=150, num_samples=200, num_chains=2, filter=TeacherForcing(num_particles=100))
    found = ss.fit(model, gaps, sampler, fixed=fixed, key=0, progress=False)
    mean, cov = regression(y, 0.5)
    draws = np.column_stack([found.draws["head.weights"].ravel(), found.draws["head.bias"].ravel()])
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 1.0 * np.sqrt(np.diag(cov)))  # three values fewer
    assert np.all(np.diag(np.cov(draws.T)) > 0.8 * np.diag(cov))


TRAIN, HORIZON = 209, 8


@pytest.fixture(scope="module")
def sunspots():
    """Yearly sunspot numbers 1700 to 2008, by the square root that makes their spread even (Ghaddar and Tong, 1981)."""
    y = sm.datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    return 2 * (np.sqrt(1 + y) - 1)


def coverage(ahead, truth):
    """Shares of later values inside the 80 and 95 % bands of forecasts from many origins, and the mean errors.

    Args:
        ahead: Function of an origin to paths, (path, horizon).
        truth: All values.
    """
    inside, errors = {80: [], 95: []}, []
    for origin in range(TRAIN, len(truth) - HORIZON + 1, HORIZON):
        draws, later = ahead(origin), truth[origin : origin + HORIZON]
        for level, found in inside.items():
            low, high = np.quantile(draws, [0.5 - level / 200, 0.5 + level / 200], axis=0)
            found.append((low <= later) & (later <= high))
        errors.append(np.abs(np.median(draws, axis=0) - later))
    return {level: np.mean(found) for level, found in inside.items()}, np.mean(errors, axis=0)


@pytest.mark.slow
def test_copy_task():
    """A cell with an orthogonal matrix holds ten symbols over a hundred blanks after 200 steps of learning."""
    from benchmarks.copy_task import CELLS, train

    score, _ = train(CELLS["orthogonal (Cayley)"], delay=100, steps=200)
    assert score <= 0.03


@pytest.mark.slow
def test_sunspots_by_nuts(sunspots):
    """A GRU fitted to 1700-1908 forecasts eight years from twelve later origins, weights unknown: bands hold."""
    model = Recurrent(GRU(1, 3), GaussianHead())
    sampler = ss.NUTS(num_chains=2, num_warmup=300, num_samples=300)
    fitted = ss.fit(model, sunspots[:TRAIN], sampler, key=0, progress=False)

    def ahead(origin):
        return ss.forecast(fitted, sunspots[:origin], horizon=HORIZON, num_samples=500, key=origin).draws[:, :, 0]

    shares, errors = coverage(ahead, sunspots)
    assert 0.70 <= shares[80] <= 0.90
    assert 0.88 <= shares[95] <= 1.0
    assert errors[0] < 0.5 * np.std(sunspots)


@pytest.mark.slow
def test_sunspots_with_gaps(sunspots):
    """The same with a tenth of all values missing, which paths draw; weights at their posterior mode."""
    gaps = sunspots.copy()
    gaps[np.random.default_rng(0).random(len(gaps)) < 0.1] = np.nan
    method = TeacherForcing(num_particles=200)
    way = ss.MAP(num_starts=1, max_iterations=100, filter=method)
    fitted = ss.fit(Recurrent(GRU(1, 3), GaussianHead()), gaps[:TRAIN], way, key=1, progress=False)
    runs = [ss.filter(fitted.model, gaps[:TRAIN], method, key=0)]

    def ahead(origin):
        draws = ss.forecast(runs[-1], horizon=HORIZON, num_samples=1000, key=origin).draws[:, :, 0]
        runs.append(ss.append(runs[-1], gaps[origin : origin + HORIZON], key=origin))
        return draws

    shares, _ = coverage(ahead, sunspots)
    assert 0.70 <= shares[80] <= 0.90
    assert 0.88 <= shares[95] <= 1.0
