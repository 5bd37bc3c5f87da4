"""Particle filters: unbiased estimates of likelihoods, agreement with exact filters, missing data, gradients."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import poisson

import statespace as ss
from statespace.core.step import make_steps
from statespace.inference.method import Observed, Plan

REPEATS = 20000
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.05, 0.15, 0.8]])
START = np.array([0.5, 0.3, 0.2])
RATES = np.array([0.3, 2.0, 7.0])
COUNTS = np.array([0.0, 3.0, np.nan, 9.0, 1.0])


def switching():
    """A chain of three states with Poisson counts: its likelihood is a sum over paths."""
    return ss.StateSpace(
        lambda step: dist.Categorical(probs=jnp.asarray(START)),
        lambda x, step: dist.Categorical(probs=jnp.asarray(P)[x]),
        lambda x, step: dist.Poisson(jnp.asarray(RATES)[x]),
    )


def switching_likelihood():
    """By the forward sum."""
    alpha = START
    for t, y in enumerate(COUNTS):
        alpha = alpha if t == 0 else alpha @ P
        alpha = alpha if np.isnan(y) else alpha * poisson.pmf(y, RATES)
    return np.log(alpha.sum())


def skewed():
    """Noise with a long right tail, counts."""
    return ss.StateSpace(
        lambda step: dist.Gumbel(0.0, 0.5),
        lambda x, step: dist.Gumbel(0.6 * x - 0.3, 0.6),
        lambda x, step: dist.Poisson(jnp.exp(x)),
    )


def skewed_likelihood():
    """By integration on a grid."""
    x = np.linspace(-4.0, 14.0, 3000)
    h = x[1] - x[0]

    def gumbel(value, loc, scale):
        z = (value - loc) / scale
        return np.exp(-z - np.exp(-z)) / scale

    move = gumbel(x[None], 0.6 * x[:, None] - 0.3, 0.6)
    alpha = gumbel(x, 0.0, 0.5)
    for t, y in enumerate(COUNTS):
        alpha = alpha if t == 0 else h * alpha @ move
        alpha = alpha if np.isnan(y) else alpha * poisson.pmf(y, np.exp(x))
    return np.log(h * alpha.sum())


MODELS = {"switching": (switching, switching_likelihood), "skewed": (skewed, skewed_likelihood)}


def towards(x, y, step):
    """A proposal that leans to the states that explain the observation; the first law where there is no parent."""
    share = jnp.where(jnp.isnan(y[0]), 1.0, jnp.exp(-0.1 * (y[0] - jnp.asarray(RATES)) ** 2) + 0.2)
    own = jnp.asarray(START) if x is None else jnp.asarray(P)[x]
    return dist.Categorical(probs=share * own / jnp.sum(share * own))


def towards_skewed(x, y, step):
    """A wider law about a mixture of the transition's centre and the logarithm of the count."""
    centre = 0.0 if x is None else 0.6 * x - 0.3
    seen = jnp.where(jnp.isnan(y[0]), centre, jnp.log(y[0] + 0.5))
    return dist.StudentT(4.0, 0.6 * centre + 0.4 * seen, 0.9)


def filters(name, **options):
    """The three filters for a model."""
    if name == "switching":
        promise = lambda x, y, step: dist.Poisson(jnp.asarray(P)[x] @ jnp.asarray(RATES)).log_prob(y[0])  # noqa: E731
        proposal = towards
    else:
        promise = lambda x, y, step: dist.Poisson(jnp.exp(0.6 * x)).log_prob(y[0])  # noqa: E731
        proposal = towards_skewed
    return {
        "bootstrap": ss.BootstrapFilter(**options),
        "guided": ss.GuidedFilter(proposal=proposal, **options),
        "auxiliary": ss.AuxiliaryFilter(look_ahead=promise, **options),
    }


def observed_of(y):
    mask = np.isfinite(y)[:, None]
    return Observed(jnp.where(mask, np.nan_to_num(y)[:, None], 0.0), jnp.asarray(mask), make_steps(len(y)))


def estimates(model, method, y, key, repeats=REPEATS):
    """Log-likelihood estimates by independent runs."""
    data = observed_of(y)
    run = eqx.filter_jit(jax.vmap(lambda k: jnp.sum(method.log_likelihood(model, data, Plan(), k))))
    return np.asarray(run(jax.random.split(key, repeats)))


def z_score(found, exact):
    ratio = np.exp(found - exact)
    return (ratio.mean() - 1) / (ratio.std() / np.sqrt(len(ratio)))


@pytest.mark.parametrize(
    ("kind", "resampling", "threshold"),
    [
        ("bootstrap", "systematic", 1.0),
        ("bootstrap", "multinomial", 0.6),
        ("guided", "stratified", 0.6),
        ("guided", "residual", 1.0),
        ("auxiliary", "systematic", 0.6),
        ("auxiliary", "stratified", 1.0),
        ("auxiliary", "residual", 0.6),
    ],
)
def test_the_likelihood_is_unbiased_on_a_chain(kind, resampling, threshold, key):
    method = filters("switching", num_particles=3, resampling=resampling, threshold=threshold)[kind]
    assert abs(z_score(estimates(switching(), method, COUNTS, key), switching_likelihood())) < 3.5


@pytest.mark.parametrize("kind", ["bootstrap", "guided", "auxiliary"])
def test_the_likelihood_is_unbiased_with_skewed_noise(kind, key):
    method = filters("skewed", num_particles=6, threshold=0.7)[kind]
    assert abs(z_score(estimates(skewed(), method, COUNTS, key), skewed_likelihood())) < 3.5


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [2, 4, 8])
@pytest.mark.parametrize("kind", ["bootstrap", "guided", "auxiliary"])
@pytest.mark.parametrize("threshold", [1.0, 0.6])
@pytest.mark.parametrize("resampling", ["systematic", "stratified", "residual", "multinomial"])
def test_the_likelihood_is_unbiased_everywhere(name, size, kind, threshold, resampling, key):
    make, exact = MODELS[name]
    method = filters(name, num_particles=size, resampling=resampling, threshold=threshold)[kind]
    assert abs(z_score(estimates(make(), method, COUNTS, key, 50000), exact())) < 4.0


# --- against the Kalman filter ------------------------------------------------------------------------------


def linear(series=2):
    return ss.LinearGaussian(
        [[0.9, 0.1], [0.0, 0.7]],
        [[0.4], [0.2]],  # one source of noise for two states
        np.eye(2)[:series] + 0.1,
        [0.3, 0.5][:series],
        initial_mean=[0.5, -0.2],
        initial_scale=[0.6, 0.4],
    )


def rows(length=30, series=2):
    y = np.random.default_rng(5).normal(size=(length, series)).cumsum(axis=0) * 0.3
    y[4], y[9:11, 0] = np.nan, np.nan
    return y


@pytest.mark.parametrize("method", [ss.BootstrapFilter, ss.GuidedFilter, ss.AuxiliaryFilter])
def test_a_filter_agrees_with_kalman(method, key):
    model, y = linear(), rows()
    exact = ss.filter(model, y)
    found = ss.filter(model, y, method(num_particles=40000), key=key)
    assert found.log_likelihood == pytest.approx(exact.log_likelihood, abs=0.1)
    np.testing.assert_allclose(found.mean, exact.mean, atol=0.03)
    np.testing.assert_allclose(found.sd, exact.sd, rtol=0.06)


def test_a_guided_filter_needs_fewer_particles(key):
    """With linear dynamics the proposal made from the model is the best one: compare the spread of estimates."""
    model, y = linear(), rows()
    exact = ss.log_likelihood(model, y)
    spread = {}
    for method in (ss.BootstrapFilter(50), ss.GuidedFilter(50)):
        found = [ss.log_likelihood(model, y, method, key=k) for k in range(30)]
        spread[type(method)] = np.sqrt(np.mean((np.array(found) - exact) ** 2))
    assert spread[ss.GuidedFilter] < 0.6 * spread[ss.BootstrapFilter]


def test_rows_that_follow_go_on_from_the_particles(key):
    model, y = linear(), rows()
    head = ss.filter(model, y[:20], ss.BootstrapFilter(20000), key=key)
    whole = ss.append(head, y[20:], key=1)
    exact = ss.filter(model, y)
    assert whole.mean.shape == exact.mean.shape
    assert whole.log_likelihood == pytest.approx(exact.log_likelihood, abs=0.15)
    np.testing.assert_allclose(whole.mean[-1], exact.mean[-1], atol=0.04)


def test_the_score_is_that_of_fisher(key):
    """Its mean over runs against the exact score, with a bound from the spread."""
    y = rows(series=1)

    def model_of(scale):
        return ss.LinearGaussian([[0.9]], scale[:1], [[1.0]], scale[1:], initial_scale=[1.0])

    def exact(scale):
        return ss.log_likelihood(model_of(scale), y)

    def estimate(scale, key, score=True):
        return ss.log_likelihood(model_of(scale), y, ss.BootstrapFilter(200, score=score), key=key)

    at = jnp.array([0.5, 0.6])
    wanted = jax.grad(exact)(at)
    found = np.asarray(jax.jit(jax.vmap(jax.grad(estimate), in_axes=(None, 0)))(at, jax.random.split(key, 400)))
    error = found.std(axis=0) / np.sqrt(len(found))
    # with 200 particles the bias of the score is below a twentieth of its spread
    assert (np.abs(found.mean(axis=0) - wanted) < 4 * error + 0.05 * found.std(axis=0)).all()
    with pytest.raises(TypeError, match="score=True"):
        jax.grad(lambda s: estimate(s, key, score=False))(at)


# --- what is kept, and what is said -------------------------------------------------------------------------


def test_what_is_kept(key):
    model, y = linear(), rows()
    method = ss.BootstrapFilter(50, keep=("moments", "quantiles", "history"))
    found = ss.filter(model, y, method, key=key)
    assert found.particles.shape == (30, 50, 2)
    weights = np.exp(found.log_weights)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-10)
    np.testing.assert_allclose(np.einsum("tp,tpi->ti", weights, found.particles), found.mean, atol=1e-10)
    np.testing.assert_allclose(found.ess, 1 / (weights**2).sum(axis=1), rtol=1e-8)
    order = np.sort(found.particles[3, :, 0])
    assert found.quantiles[3, 2, 0] in order
    assert (np.diff(found.quantiles, axis=1) >= 0).all()
    tree = found.to_xarray()
    assert tree.particles.dims == ("time", "particle", "state")
    nothing = ss.filter(model, y, ss.BootstrapFilter(50, keep=()), key=key)
    assert nothing.mean is None
    assert nothing.log_likelihood == pytest.approx(found.log_likelihood, abs=1e-10)
    with pytest.raises(ValueError, match="moments"):
        nothing.to_pandas()


def test_degeneracy_is_said(key):
    model, y = linear(1), rows(series=1)
    y[15] = 40.0
    with pytest.warns(ss.DegeneracyWarning, match="15 with an effective sample size"):
        ss.filter(model, y, ss.BootstrapFilter(200), key=key)


def test_an_impossible_observation_has_likelihood_zero(key):
    model = ss.StateSpace(
        lambda step: dist.Normal(0.0, 1.0),
        lambda x, step: dist.Normal(x, 1.0),
        lambda x, step: dist.Uniform(x - 1.0, x + 1.0),
    )
    y = np.array([0.1, 0.5, 50.0, 0.3])
    with pytest.warns(ss.DegeneracyWarning, match="no particle could have made the observation at 2"):
        found = ss.filter(model, y, ss.BootstrapFilter(50), key=key)
    assert found.log_likelihood == -np.inf
    assert np.isfinite(found.mean).all()
    assert list(found.alive) == [True, True, False, True]


def test_a_law_may_read_the_previous_observation(key):
    """A vector autoregression seen through noise-free teacher forcing, with a gap that each particle fills itself."""
    model = ss.StateSpace(
        lambda step: dist.Normal(0.0, 1.0),
        lambda x, step: dist.Normal(0.8 * x, 0.5),
        lambda x, step: dist.Normal(x + 0.5 * jnp.where(jnp.isnan(step.previous[0]), 0.0, step.previous[0]), 0.4),
        reads_previous=True,
    )
    y = np.array([0.3, 0.9, np.nan, 1.4, 0.2, -0.5])
    # the same as a linear model of the state (x, y)
    F = np.array([[0.8, 0.0], [0.8, 0.5]])
    G = np.array([[0.5, 0.0], [0.5, 0.4]])
    both = ss.LinearGaussian(F, G, [[0.0, 1.0]], [0.0], initial_scale=[[1.0, 0.0], [1.0, 0.4]])
    exact = ss.log_likelihood(both, y)
    found = ss.log_likelihood(model, y, ss.BootstrapFilter(200000), key=key)
    assert found == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_particles": 0}, "num_particles must be at least 1"),
        ({"resampling": "best"}, "choose one of systematic"),
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"keep": ("everything",)}, "choose from 'moments'"),
        ({"keep": "moments"}, "in a tuple"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        ss.BootstrapFilter(**options)


def test_a_key_is_needed():
    with pytest.raises(ValueError, match="pass filter"):
        ss.filter(linear(), rows(), ss.BootstrapFilter(10))


def test_the_door_says_what_would_do():
    with pytest.raises(TypeError, match=r"no exact method serves StateSpace.*BootstrapFilter\(\)"):
        ss.filter(skewed(), COUNTS)
    with pytest.raises(TypeError, match=r"which GuidedFilter\(\) needs.*BootstrapFilter"):
        ss.filter(skewed(), COUNTS, ss.GuidedFilter(10), key=0)


def moving_spread():
    """A stochastic volatility model whose particles differ much in what they promise."""
    return ss.StateSpace(
        lambda step: dist.Normal(0.0, 0.8),
        lambda x, step: dist.Normal(0.95 * x, 0.25),
        lambda x, step: dist.Normal(0.0, jnp.exp(x / 2)),
    )


@pytest.mark.parametrize(
    ("resampling", "threshold", "size"),
    [
        ("systematic", 0.5, 250),
        pytest.param("systematic", 0.5, 1000, marks=pytest.mark.slow),
        pytest.param("multinomial", 1.0, 1000, marks=pytest.mark.slow),
        pytest.param("systematic", 1.0, 1000, marks=pytest.mark.slow),
        pytest.param("stratified", 1.0, 1000, marks=pytest.mark.slow),
        pytest.param("residual", 0.5, 1000, marks=pytest.mark.slow),
    ],
)
def test_one_run_tells_the_error_of_its_likelihood(resampling, threshold, size, key):
    y = 1.5 * np.random.default_rng(3).standard_t(4, size=60)
    data = observed_of(y)
    method = ss.BootstrapFilter(num_particles=size, resampling=resampling, threshold=threshold)

    def one(k):
        found = method.filter(moving_spread(), data, Plan(), key=k)
        return jnp.sum(found.terms), found.error

    totals, errors = eqx.filter_jit(jax.vmap(one))(jax.random.split(key, 400))
    spread = np.std(np.asarray(totals))  # itself known to 4 %
    assert abs(np.sqrt(np.mean(np.asarray(errors) ** 2)) / spread - 1) < 0.15
    assert np.std(np.asarray(errors)) < 0.35 * spread


def test_a_result_has_the_error_of_its_likelihood(key):
    y = np.random.default_rng(3).normal(size=40)
    whole = ss.filter(moving_spread(), y, ss.BootstrapFilter(num_particles=100), key=key)
    assert 0 < whole.log_likelihood_se < 1
    assert whole.to_xarray().attrs["log_likelihood_se"] == whole.log_likelihood_se
    first = ss.filter(moving_spread(), y[:20], ss.BootstrapFilter(num_particles=100), key=key)
    joined = ss.append(first, y[20:], key=key)
    assert np.isnan(joined.log_likelihood_se)
    none = ss.filter(moving_spread(), y, ss.BootstrapFilter(num_particles=100, error_lag=0), key=key)
    assert np.isnan(none.log_likelihood_se)
    np.testing.assert_allclose(none.log_likelihood_terms, whole.log_likelihood_terms, rtol=1e-12)
