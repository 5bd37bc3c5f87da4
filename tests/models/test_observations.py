"""Sums of components seen through laws other than the normal: the door, the numbers, the way back from a file."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy.special import digamma, polygamma

import statespace as ss
from statespace.core.parameters import parameters
from statespace.models.specification import describe, rebuild

T = 40
INDEX = pd.date_range("2020-01-01", periods=T, freq="MS")
RNG = np.random.default_rng(4)
SIGNAL = 1 + np.cumsum(0.1 * RNG.normal(size=T))
COUNTS = pd.Series(RNG.poisson(np.exp(SIGNAL)).astype(float), INDEX, name="calls")
EKF = ss.ExtendedKalman()
TERMS = {
    "poisson": (ss.Poisson, lambda: COUNTS),
    "negative binomial": (lambda: ss.NegativeBinomial(5.0), lambda: COUNTS),
    "binomial": (lambda: ss.Binomial(20), lambda: COUNTS.clip(upper=20)),
    "bernoulli": (ss.Bernoulli, lambda: (COUNTS > 3).astype(float)),
    "student": (lambda: ss.StudentT(5.0, 0.3), lambda: pd.Series(SIGNAL, INDEX)),
    "gamma": (lambda: ss.Gamma(4.0), lambda: np.exp(pd.Series(SIGNAL, INDEX))),
    "volatility": (ss.LogVolatility, lambda: pd.Series(RNG.normal(size=T), INDEX)),
}


@pytest.fixture(params=TERMS)
def case(request):
    make, data = TERMS[request.param]
    y = data().copy()
    y.iloc[[3, 17]] = np.nan
    return ss.LocalLevel(0.2) + make(), y


def test_every_verb_serves_every_term(case, key):
    model, y = case
    filtered = ss.filter(model, y, EKF)
    assert filtered.log_likelihood == pytest.approx(ss.log_likelihood(model, y, EKF), abs=1e-9)
    assert filtered.diffuse_count == 1
    smoothed = ss.smooth(model, y, EKF)
    np.testing.assert_allclose(smoothed.mean[-1], filtered.mean[-1], atol=1e-8)
    more = ss.append(ss.filter(model, y[:25], EKF), y[25:])
    np.testing.assert_allclose(more.mean[1:], filtered.mean[1:], atol=1e-12)
    assert more.log_likelihood == pytest.approx(filtered.log_likelihood, abs=1e-10)
    ahead = ss.forecast(filtered, horizon=2, num_samples=200, key=key)
    inside = np.isin(ahead.quantile([0.1, 0.5]), ahead.draws)
    assert inside.all(), "a quantile is one of the values that were drawn"
    again = rebuild(describe(filtered.model))
    assert ss.log_likelihood(again, y, EKF) == pytest.approx(filtered.log_likelihood, abs=1e-12)


def test_moments_are_those_of_the_laws(case, key):
    model, _ = case
    signal = jnp.array([0.3])
    draws = model.observation.law(signal, None).sample(key, (20000,))
    z, _ = jax.vmap(lambda y: model.observation.statistic(y.astype(float), None))(draws)
    mean, variance = model.observation.moments(signal, None)
    assert abs(float(z.mean() - mean[0])) < 4 * float(jnp.sqrt(variance[0] / 20000))
    assert float(z.var()) == pytest.approx(float(variance[0]), rel=0.1)
    working = model.observation.working(mean if not model.observation.has_statistic else jnp.ones(1), None)
    assert np.isfinite(working).all()


@pytest.mark.parametrize(
    ("term", "bad", "message"),
    [
        (ss.Poisson(), 2.5, "at 2020-03-01 00:00:00 is 2.5, but Poisson expects whole numbers"),
        (ss.NegativeBinomial(1.0), -1, "is -1, but NegativeBinomial expects"),
        (ss.Bernoulli(), 2, "is 2, but Bernoulli expects 0 or 1"),
        (ss.Binomial(3), 4, "is 4, but Binomial expects whole numbers between 0 and trials"),
        (ss.Gamma(1.0), 0, "is 0, but Gamma expects numbers above 0"),
        (ss.LogVolatility(), 0, "is 0, but LogVolatility expects numbers other than the mean"),
    ],
)
def test_what_a_term_cannot_make_is_named_at_the_door(term, bad, message):
    y = pd.Series(1.0, INDEX[:6])
    y.iloc[2] = bad
    with pytest.raises(ValueError, match=message):
        ss.filter(ss.LocalLevel(0.1) + term, y, EKF)


def test_an_exposure_multiplies_the_rate(key):
    inputs = pd.DataFrame({"hours": np.linspace(1, 3, T + 2)}, pd.date_range("2020-01-01", periods=T + 2, freq="MS"))
    plain, scaled = ss.LocalLevel(0.2) + ss.Poisson(exposure=2.0), ss.LocalLevel(0.2) + ss.Poisson(exposure="hours")
    assert scaled.input_names == ("hours",)
    twice = pd.DataFrame({"hours": np.full(T, 2.0)}, INDEX)
    expected = ss.log_likelihood(plain, COUNTS, EKF)
    assert ss.log_likelihood(scaled, COUNTS, EKF, inputs=twice) == pytest.approx(expected, abs=1e-10)
    found = ss.filter(scaled, COUNTS, EKF, inputs=inputs[:T])
    assert ss.forecast(found, horizon=2, inputs=inputs[T:], key=key).mean.shape == (2, 1)
    with pytest.raises(ValueError, match="with a positive exposure"):
        ss.filter(scaled, COUNTS, EKF, inputs=0 * twice)


def test_the_statistic_of_volatility_and_its_likelihood():
    """The quasi-likelihood is the Kalman filter's of log y^2, and the Jacobian takes it to y (Harvey et al. 1994)."""
    assert ss.LogVolatility().moments(jnp.zeros(1), None)[0][0] == pytest.approx(digamma(0.5) + np.log(2), abs=1e-12)
    assert ss.LogVolatility().moments(jnp.zeros(1), None)[1][0] == pytest.approx(polygamma(1, 0.5), abs=1e-12)
    y = np.random.default_rng(0).normal(size=50) * 0.8
    linear = ss.log_likelihood(
        ss.LocalLevel(0.1) + ss.Noise(np.pi / np.sqrt(2)), np.log(y**2) - digamma(0.5) - np.log(2)
    )
    found = ss.log_likelihood(ss.LocalLevel(0.1) + ss.LogVolatility(), y, EKF)
    assert found == pytest.approx(linear - np.log(np.abs(y)).sum(), abs=1e-9)


def test_priors_are_in_the_unit_of_the_signal():
    priors = ss.default_priors(ss.LocalLevel() + ss.Poisson(), COUNTS)
    assert float(priors["level.scale"].scale) == pytest.approx(0.5 * np.log(COUNTS + 0.5).std(ddof=0))


def test_a_seasonal_sum_of_counts_learns_and_returns_from_a_file(tmp_path, key):
    model = ss.LocalLevel() + ss.Seasonal(4, scale=0.0) + ss.NegativeBinomial(20.0)
    fixed = {"negative_binomial.concentration": 20.0}
    fitted = ss.fit(model, COUNTS, ss.MaximumLikelihood(filter=EKF, num_starts=1), fixed=fixed, progress=False)
    fitted.save(tmp_path / "fit.nc")
    again = ss.load(tmp_path / "fit.nc")
    assert again.filter_method == EKF
    assert list(parameters(again.model)) == list(parameters(fitted.model))
    first, second = (ss.forecast(f, horizon=3, num_samples=50, key=key) for f in (fitted, again))
    np.testing.assert_array_equal(first.draws, second.draws)
    assert isinstance(first, ss.PathForecast)


def test_maximum_likelihood_recovers_a_simulated_level(key):
    truth = ss.LocalLevel(0.15, initial=ss.InitialLaw.gaussian([2.0], [0.3])) + ss.Poisson()
    made = ss.simulate(truth, 300, num_samples=1, key=key).y.values[0, :, 0].astype(float)
    method = ss.MaximumLikelihood(filter=ss.GaussHermiteKalman(5), num_starts=1)
    fitted = ss.fit(ss.LocalLevel() + ss.Poisson(), made, method, progress=False)
    z = np.log(fitted.estimates["level.scale"] / 0.15) / (fitted.standard_errors["level.scale"] / 0.15)
    assert abs(float(z)) < 3


def test_nuts_and_observe_take_the_methods(key):
    model = ss.LocalLevel() + ss.Poisson()
    fitted = ss.fit(
        model, COUNTS, ss.NUTS(num_warmup=20, num_samples=10, num_chains=1, filter=EKF), key=key, progress=False
    )
    assert np.isfinite(fitted.draws["level.scale"]).all()

    def program(y):
        scale = numpyro.sample("scale", dist.HalfNormal(0.3))
        ss.observe("y", ss.LocalLevel(scale) + ss.Poisson(), y, method=EKF)

    with numpyro.handlers.seed(rng_seed=0), numpyro.handlers.substitute(data={"scale": 0.2}):
        trace = numpyro.handlers.trace(program).get_trace(COUNTS)
    value = trace["y"]["fn"].log_prob(trace["y"]["value"])
    assert float(value) == pytest.approx(ss.log_likelihood(ss.LocalLevel(0.2) + ss.Poisson(), COUNTS, EKF), abs=1e-9)


def test_two_series_share_a_term():
    y = pd.DataFrame({"a": COUNTS, "b": COUNTS[::-1].to_numpy()}, INDEX)
    y.iloc[5, 0] = np.nan
    both = ss.log_likelihood(ss.LocalLevel(0.2) + ss.Poisson(), y, EKF)
    each = sum(ss.log_likelihood(ss.LocalLevel(0.2) + ss.Poisson(), y[name], EKF) for name in y)
    assert both == pytest.approx(each, abs=1e-9)
