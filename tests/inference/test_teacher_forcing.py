"""Exact inference in innovations form: against ARMA likelihoods, naive loops, and the Kalman filter where gaps are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm

import statespace as ss
from statespace.core.parameters import replace
from statespace.inference.teacher_forcing import TeacherForcing
from statespace.models.recurrent import (
    CTRNN,
    GRU,
    Elman,
    GaussianHead,
    Recurrent,
)

PHI, THETA, SCALE = 0.8, 0.4, 0.7


def arma(phi, theta, scale):
    """The ARMA(1, 1) with mean zero as a linear cell: m[t] = (phi + theta) y[t-1] - theta m[t-1]."""
    values = {"input_weights": [[phi + theta]], "recurrent_weights": [[-theta]], "bias": [0.0]}
    cell = replace(Elman(1, 1, activation="identity"), values)
    return Recurrent(cell, GaussianHead([[1.0]], [0.0], jnp.asarray([scale]), level=0.0, unit=1.0))


def peer(y, phi, theta, scale):
    """statsmodels' filter of the same, whose state before the first stamp is known to be zero."""
    model = sm.tsa.SARIMAX(y, order=(1, 0, 1))
    root = np.array([1.0, theta]) * scale
    model.ssm.initialize_known(np.zeros(2), np.outer(root, root))
    return model.loglike([phi, theta, scale**2])


@pytest.fixture(scope="module")
def series():
    rng = np.random.default_rng(0)
    e = rng.normal(size=120) * SCALE
    y = np.zeros(120)
    for t in range(120):
        y[t] = (PHI * y[t - 1] + THETA * e[t - 1] if t else 0.0) + e[t]
    return y


@pytest.fixture(scope="module")
def gaps(series):
    y = series.copy()
    y[np.random.default_rng(1).random(120) < 0.1] = np.nan
    y[40:46] = np.nan
    return y


def test_arma_is_a_linear_cell(series):
    found = ss.log_likelihood(arma(PHI, THETA, SCALE), series)
    assert found == pytest.approx(peer(series, PHI, THETA, SCALE), abs=1e-10)


def test_autoregression_is_a_linear_cell(series):
    lags, start = 3, np.array([0.5, -0.2, 0.1])
    peer = sm.tsa.AutoReg(series, lags, trend="c").fit()
    constant, phi = peer.params[0], peer.params[1:]
    shift = np.eye(lags, k=-1)  # the state holds the last values: h[t] = (y[t-1], y[t-2], y[t-3])
    weights = {"input_weights": np.eye(lags, 1), "recurrent_weights": shift, "bias": np.zeros(lags)}
    cell = replace(Elman(1, lags, activation="identity"), weights)
    scale = np.sqrt(peer.sigma2)
    head = GaussianHead(phi[None], [constant], [scale], level=0.0, unit=1.0)
    terms = ss.filter(Recurrent(cell, head, previous=[start[0]]), series).log_likelihood_terms
    assert terms[lags:].sum() == pytest.approx(peer.llf, abs=1e-9)


GRU_MODEL = Recurrent(
    GRU(3, 4, key=jax.random.key(1)),
    GaussianHead(
        0.3 * jax.random.normal(jax.random.key(2), (2, 4)), [0.1, -0.2], [0.5, 2.0], level=[1.0, -3.0], unit=[2.0, 4.0]
    ),
    input_names=["u"],
    previous=[0.3, -1.0],
)


def naive(model, y, u):
    """Terms, predictions and states by a loop."""
    from scipy.stats import norm

    head, unit, step = model.head, np.std(u), jax.jit(lambda h, v: model.cell.step(h, v))
    h, previous, rows = model.cell.start(), np.array([0.3, -1.0]), []
    level, size = np.asarray(head.level), np.asarray(head.unit)
    for t in range(len(y)):
        h, output = step(h, jnp.asarray([*(previous - level) / size, u[t] / unit]))
        mean = level + size * (np.asarray(head.weights) @ np.asarray(output) + np.asarray(head.bias))
        rows.append((norm.logpdf(y[t], mean, np.asarray(head.scale)).sum(), mean, np.asarray(h)))
        previous = y[t]
    return [np.stack(part) for part in zip(*rows, strict=True)]


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(2)
    return rng.normal(size=(30, 2)) * [2.0, 4.0] + [1.0, -3.0], rng.normal(size=30) * 3


@pytest.fixture(scope="module")
def filtered(pair):
    return ss.filter(GRU_MODEL, pair[0], inputs=pair[1])


def test_filter_is_the_loop(pair, filtered):
    terms, mean, states = naive(GRU_MODEL, *pair)
    np.testing.assert_allclose(filtered.log_likelihood_terms, terms, rtol=1e-10)
    np.testing.assert_allclose(filtered.observation_mean, mean, rtol=1e-10)
    np.testing.assert_allclose(filtered.mean, states, rtol=1e-10)
    np.testing.assert_allclose(filtered.residuals, (pair[0] - mean) / [0.5, 2.0], rtol=1e-8)
    assert not filtered.cov.any()
    smoothed = ss.smooth(GRU_MODEL, pair[0], inputs=pair[1])
    np.testing.assert_allclose(smoothed.mean, states, rtol=1e-10)
    paths = ss.sample_states(GRU_MODEL, pair[0], inputs=pair[1], num_samples=2, key=0)
    np.testing.assert_allclose(paths[1], states, rtol=1e-10)


def test_append_goes_on(pair, filtered):
    y, u = pair
    bound = filtered.model  # has the inputs' unit of the whole series
    for at in (2, 17):
        head = ss.filter(bound, y[:at], inputs=u[:at])
        both = ss.append(head, y[at:], inputs=u[at:])
        np.testing.assert_allclose(both.log_likelihood_terms, filtered.log_likelihood_terms, rtol=1e-10)
        np.testing.assert_allclose(both.mean, filtered.mean, rtol=1e-10)


def test_particles_agree_where_nothing_is_missing(pair, filtered):
    y, u = pair
    found = ss.filter(filtered.model, y, TeacherForcing(num_particles=3), inputs=u, key=0)
    np.testing.assert_allclose(found.log_likelihood_terms, filtered.log_likelihood_terms, rtol=1e-10)
    np.testing.assert_allclose(found.mean, filtered.mean, rtol=1e-10)
    other = ss.filter(filtered.model, y, ss.BootstrapFilter(num_particles=3), inputs=u, key=0)
    np.testing.assert_allclose(other.log_likelihood_terms, filtered.log_likelihood_terms, rtol=1e-10)


def test_forecasts_run_freely(series):
    """Forecast draws feed back: moments are those of the ARMA process."""
    model = arma(PHI, THETA, SCALE)
    ahead = ss.forecast(model, series, horizon=6, num_samples=20000, key=0)
    peer_model = sm.tsa.SARIMAX(series, order=(1, 0, 1))
    root = np.array([1.0, THETA]) * SCALE
    peer_model.ssm.initialize_known(np.zeros(2), np.outer(root, root))
    expected = peer_model.smooth([PHI, THETA, SCALE**2]).get_forecast(6)
    error = expected.se_mean / np.sqrt(20000)
    assert np.all(np.abs(ahead.mean[:, 0] - expected.predicted_mean) < 4 * error)
    np.testing.assert_allclose(ahead.draws[:, :, 0].std(axis=0), expected.se_mean, rtol=0.03)
    later = ss.forecast(ss.filter(model, series), horizon=6, num_samples=20000, key=0)
    np.testing.assert_allclose(later.mean, ahead.mean, rtol=0.05)


def test_simulations_have_the_law():
    drawn = ss.simulate(arma(PHI, THETA, SCALE), 40, num_samples=4000, key=1).y.to_numpy()[..., 0]
    variance = np.cumsum((SCALE * np.r_[1.0, (PHI + THETA) * PHI ** np.arange(39)]) ** 2)  # of the MA(t) from zero
    assert np.all(np.abs(drawn.var(axis=0) / variance - 1) < 4 * np.sqrt(2 / 4000))


def test_gaps_are_drawn(gaps):
    """Exact up to the first gap, then without bias, with the right score."""
    model = arma(PHI, THETA, SCALE)
    exact = peer(gaps, PHI, THETA, SCALE)

    def value(values, key):
        return ss.log_likelihood(arma(*values), jnp.asarray(gaps), TeacherForcing(num_particles=500), key=key)

    many = jax.jit(jax.vmap(jax.value_and_grad(value), in_axes=(None, 0)))
    at = np.array([PHI, THETA, SCALE])
    found, score = many(jnp.asarray(at), jax.random.split(jax.random.key(0), 30))
    ratio = np.exp(np.asarray(found) - exact)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(30)
    assert np.std(found) < 0.2
    step = 1e-5 * np.eye(3)
    slope, score = [(peer(gaps, *(at + h)) - peer(gaps, *(at - h))) / 2e-5 for h in step], np.asarray(score)
    assert np.all(np.abs(score.mean(axis=0) - slope) < 4 * score.std(axis=0) / np.sqrt(30))
    run = ss.filter(model, gaps, TeacherForcing(num_particles=200), key=3)
    first = int(np.flatnonzero(np.isnan(gaps))[0])
    cut = ss.filter(model, gaps[:first])
    np.testing.assert_allclose(run.log_likelihood_terms[:first], cut.log_likelihood_terms, rtol=1e-10)
    assert np.isfinite(run.log_likelihood_se)
    assert run.log_likelihood_terms[first] == 0


def test_gaps_in_all_verbs(gaps):
    model, method = arma(PHI, THETA, SCALE), TeacherForcing(num_particles=4000)
    filtered = ss.filter(model, gaps[:50], method, key=0)
    root = np.array([1.0, THETA]) * SCALE
    peer_model = sm.tsa.SARIMAX(gaps[:50], order=(1, 0, 1))
    peer_model.ssm.initialize_known(np.zeros(2), np.outer(root, root))
    expected = peer_model.smooth([PHI, THETA, SCALE**2])
    lost = np.isnan(gaps[:50])  # there the state, which is the mean of the observation, is still the predicted one
    np.testing.assert_allclose(filtered.mean[lost, 0], expected.predicted_state[0, :-1][lost], atol=0.1)
    both = ss.append(ss.filter(model, gaps[:30], method, key=0), gaps[30:50], key=1)
    assert both.log_likelihood == pytest.approx(expected.llf, abs=0.3)
    ahead = ss.forecast(filtered, horizon=3, num_samples=4000, key=0)
    np.testing.assert_allclose(ahead.mean[:, 0], expected.get_forecast(3).predicted_mean, atol=0.1)
    paths = ss.sample_states(model, gaps[:50], method, num_samples=5, key=0)
    assert paths.shape == (5, 50, 1)
    assert ss.smooth(model, gaps[:50], method, key=0).mean.shape == (50, 1)


def test_exact_method_refuses_gaps(series, gaps):
    model = arma(PHI, THETA, SCALE)
    for call in (ss.filter, ss.smooth, ss.log_likelihood, ss.fit):
        with pytest.raises(
            ValueError, match="is missing, which the model reads at the next: pass method=TeacherForcing"
        ):
            call(model, gaps)
    assert np.isnan(jax.jit(lambda y: ss.log_likelihood(model, y))(jnp.asarray(gaps)))  # under a trace it says so
    tail = series.copy()
    tail[110:] = np.nan  # nothing that was seen depends on these
    found = float(jax.jit(lambda y: ss.log_likelihood(model, y))(jnp.asarray(tail)))
    assert found == pytest.approx(ss.log_likelihood(model, series[:110]), abs=1e-9)


def test_without_feedback_gaps_do_no_harm(gaps):
    cell = replace(Elman(1, 1, activation="identity", key=jax.random.key(0)), {"recurrent_weights": [[0.5]]})
    model = Recurrent(cell, GaussianHead([[1.0]], [0.0], [1.0], level=0.0, unit=1.0), feedback=False, input_names=["u"])
    u = np.sin(np.arange(120.0))
    run = ss.filter(model, gaps, inputs=u)
    full = ss.filter(model, np.nan_to_num(gaps), inputs=u)
    seen = ~np.isnan(gaps)
    np.testing.assert_allclose(run.log_likelihood_terms[seen], full.log_likelihood_terms[seen], rtol=1e-12)
    assert not run.log_likelihood_terms[~seen].any()


def test_irregular_stamps():
    cell = CTRNN(1, 3, key=jax.random.key(0))
    model = Recurrent(cell, GaussianHead(jnp.ones((1, 3)), [0.0], [1.0], level=0.0, unit=1.0))
    times, y = np.array([0.0, 0.5, 3.0, 3.2, 7.0]), np.array([0.3, -1.0, 0.5, 2.0, 0.1])
    found = ss.filter(model, y, times=times)
    h, previous = cell.start(), 0.0
    for t, dt in enumerate([1.0, 0.5, 2.5, 0.2, 3.8]):
        h, _ = cell.step(h, jnp.array([previous]), dt)
        np.testing.assert_allclose(found.mean[t], h, rtol=1e-10)
        previous = y[t]
    counted = Recurrent(GRU(1, 3, key=jax.random.key(0)), GaussianHead(jnp.ones((1, 3)), [0.0], [1.0]))
    with pytest.raises(ValueError, match="GRU counts steps"):
        ss.filter(counted, y, times=times)


def test_panel_shares_parameters(series):
    model = Recurrent(GRU(1, 2), GaussianHead())
    method = ss.MaximumLikelihood(num_starts=1, max_iterations=3)
    fits = ss.fit(model, [series[:50], series[50:90]], method, progress=False)
    each = [ss.log_likelihood(one) for one in fits.values()]
    assert np.all(np.isfinite(each))


def test_options():
    with pytest.raises(ValueError, match="num_particles must be at least 1"):
        TeacherForcing(num_particles=0)
    with pytest.raises(ValueError, match="resampling='never' is unknown"):
        TeacherForcing(num_particles=5, resampling="never")
    noisy = Recurrent(GRU(1, 2, key=jax.random.key(0)), GaussianHead(jnp.ones((1, 2)), [0.0], [1.0]), noise=0.1,
                      feedback=True)  # fmt: skip
    with pytest.raises(TypeError, match="innovations form"):
        ss.filter(noisy, np.zeros(5), TeacherForcing())
    with pytest.raises(TypeError, match="without the observation before|do without the observation"):
        ss.filter(noisy, np.zeros(5), ss.ExtendedKalman())
