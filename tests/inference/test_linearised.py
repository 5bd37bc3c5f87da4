"""Gaussian approximations: exact where the model is linear, and against naive loops, grids and searches elsewhere."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.problems import problem_of
from scipy.optimize import minimize
from scipy.stats import norm, poisson

import statespace as ss
from statespace.core.normal import FactorNormal
from statespace.inference.analysis import filter_arrays, path_arrays, smoother_arrays

METHODS = [
    ss.ExtendedKalman(),
    ss.ExtendedKalman(iterations=3),
    ss.UnscentedKalman(beta=2.0),
    ss.CubatureKalman(iterations=2),
    ss.GaussHermiteKalman(),
    ss.PosteriorLinearisation(ss.CubatureKalman(), iterations=2),
]
T = 9


class Hidden(ss.AbstractGaussianDynamics, ss.AbstractMomentEmission):
    """A linear-Gaussian model that shows nothing but moments."""

    inner: ss.LinearGaussian

    @property
    def state_names(self):
        return self.inner.state_names

    @property
    def num_series(self):
        return self.inner.num_series

    @property
    def schedule(self):
        return self.inner.schedule

    @property
    def input_names(self):
        return self.inner.input_names

    def bind(self, binding):
        return Hidden(self.inner.bind(binding))

    def initial(self, step):
        return self.inner.initial(step)

    def drift(self, x, step):
        return self.inner.drift(x, step)

    def noise_factor(self, x, step):
        return self.inner.noise_factor(x, step)

    def conditional_moments(self, x, step):
        return self.inner.conditional_moments(x, step)


COMPANION = np.array([[0.9, -0.5, 0.2], [1, 0, 0], [0, 1, 0]])


def varying():
    rng, n, p = np.random.default_rng(5), 3, 2
    return ss.LinearGaussian(
        0.6 * rng.normal(size=(T, n, n)), rng.normal(size=(T, n, 2)), rng.normal(size=(T, p, n)),
        rng.normal(size=(T, p, 2)), initial_mean=[1.0, 0, 0], initial_scale=np.eye(3),
        transition_offset=rng.normal(size=(T, n)), emission_offset=rng.normal(size=(T, p)),
    )  # fmt: skip


def autoregression(noise):
    return ss.LinearGaussian(COMPANION, [[0.8], [0], [0]], [[1, 0.3, 0]], [noise], [1, -1, 0.5], np.eye(3))


LINEAR = {
    "rank-one Q": lambda: autoregression(0.7),
    "R = 0": lambda: autoregression(0.0),
    "varying, two series": varying,
}  # fmt: skip


def close(a, b, tolerance=1e-9):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def grid():
    """Every method on exact observations, two on two series; the others run with the long studies."""
    for name in LINEAR:
        for i, method in enumerate(METHODS):
            often = name == "R = 0" or (name == "varying, two series" and i in (0, 3))
            yield pytest.param(name, method, marks=() if often else pytest.mark.slow, id=f"{name}, {method}")


@pytest.mark.parametrize(("name", "method"), list(grid()))
def test_a_linear_model_is_treated_exactly(name, method):
    model = LINEAR[name]()
    y = np.random.default_rng(2).normal(size=(T, model.num_series)).cumsum(axis=0)
    y[3] = np.nan
    y[6, 0] = np.nan
    exact = problem_of(model, y)
    ours = problem_of(Hidden(model), y, method=method)
    found, expected = filter_arrays(ours, {}), filter_arrays(exact, {})
    for field in ("mean", "cov", "predicted_mean", "predicted_cov", "observation_mean", "observation_cov", "terms"):
        close(getattr(found, field), getattr(expected, field))
    found, expected = smoother_arrays(ours, {}), smoother_arrays(exact, {})
    for field in ("mean", "cov", "loo_terms", "loo_mean"):
        close(getattr(found, field), getattr(expected, field), 1e-8)


@pytest.mark.slow
def test_diffuse_inputs_and_irregular_stamps_as_kalman():
    model = ss.LocalLinearTrend(0.5, 0.2) + ss.Regression(["u"]) + ss.Noise(0.9)
    y = np.random.default_rng(2).normal(size=(T, 1)).cumsum(axis=0)
    y[[0, 4]] = np.nan
    options = {"inputs": np.sin(np.arange(T)), "input_names": ["u"], "dt": np.r_[np.nan, np.linspace(0.5, 2, T - 1)]}
    exact = problem_of(model, y, **options)
    for method in (ss.ExtendedKalman(), ss.PosteriorLinearisation(iterations=1)):
        ours = problem_of(model, y, method=method, **options)
        assert ours.plan == exact.plan
        close(ours.terms({}), exact.terms({}))
        close(smoother_arrays(ours, {}).cov, smoother_arrays(exact, {}).cov)


class Pendulum(ss.AbstractGaussianDynamics, ss.AbstractMomentEmission):
    """Its sine is seen; the noise grows with the angle."""

    gravity: jax.Array = eqx.field(converter=jnp.asarray, default=9.8)

    @property
    def state_names(self):
        return ("angle", "speed")

    def initial(self, step):
        return FactorNormal(jnp.array([0.5, 0.0]), jnp.diag(jnp.array([0.3, 0.2])))

    def drift(self, x, step):
        return jnp.stack([x[0] + 0.1 * x[1], x[1] - 0.1 * self.gravity * jnp.sin(x[0])])

    def noise_factor(self, x, step):
        return jnp.stack([jnp.zeros(2), jnp.stack([0.1 * (1 + x[0] ** 2), jnp.zeros(())])])

    def conditional_moments(self, x, step):
        return jnp.sin(x[:1]), jnp.full((1, 1), 0.04)


Y = np.array([0.5, 0.3, np.nan, -0.4, -0.6, -0.2, 0.4])


def naive(y):
    m, p, total = np.array([0.5, 0.0]), np.diag([0.09, 0.04]), 0.0
    for t, value in enumerate(y):
        if t:
            f = np.array([[1, 0.1], [-0.98 * np.cos(m[0]), 1]])
            q = np.diag([0, (0.1 * (1 + m[0] ** 2)) ** 2])
            m, p = np.array([m[0] + 0.1 * m[1], m[1] - 0.98 * np.sin(m[0])]), f @ p @ f.T + q
        if np.isfinite(value):
            h = np.array([[np.cos(m[0]), 0]])
            s = (h @ p @ h.T).item() + 0.04
            total += norm.logpdf(value, np.sin(m[0]), np.sqrt(s))
            k = (p @ h.T / s)[:, 0]
            m, p = m + k * (value - np.sin(m[0])), p - np.outer(k, k) * s
    return m, p, total


def test_the_extended_filter_against_a_naive_loop():
    problem = problem_of(Pendulum(), Y, method=ss.ExtendedKalman())
    found, (m, p, total) = filter_arrays(problem, {}), naive(Y)
    close(found.last.mean, m, 1e-12)
    close(found.last.cov, p, 1e-12)
    close(found.terms.sum(), total, 1e-12)


def test_the_iterated_update_is_the_mode_and_counts_the_observation_once():
    problem = problem_of(Pendulum(), [0.9], method=ss.ExtendedKalman(iterations=30))
    prior, sd = np.array([0.5, 0.0]), np.array([0.3, 0.2])

    def minus(x):
        return 0.5 * np.sum(((x - prior) / sd) ** 2) + 0.5 * (0.9 - np.sin(x[0])) ** 2 / 0.04

    mode = minimize(minus, prior, tol=1e-14).x
    found = filter_arrays(problem, {}).last
    np.testing.assert_allclose(found.mean, mode, atol=1e-6)
    h = np.array([np.cos(mode[0]), 0])
    np.testing.assert_allclose(found.cov, np.linalg.inv(np.diag(sd**-2) + np.outer(h, h) / 0.04), atol=1e-6)


@pytest.mark.parametrize(
    "method",
    [
        METHODS[0],
        pytest.param(METHODS[3], marks=pytest.mark.slow),
        pytest.param(ss.PosteriorLinearisation(iterations=8), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_gradients_are_those_of_finite_differences(method):
    problem = problem_of(Pendulum(), Y, method=method)

    @jax.jit
    def value(gravity):
        return jnp.sum(method.log_likelihood(Pendulum(gravity), problem.observed, problem.plan))

    gradient = jax.jit(jax.grad(value))(9.8)
    np.testing.assert_allclose(gradient, (value(9.8 + 1e-4) - value(9.8 - 1e-4)) / 2e-4, rtol=2e-4)


def counts():
    rng = np.random.default_rng(3)
    y = rng.poisson(np.exp(0.5 + np.cumsum(0.3 * rng.normal(size=12)))).astype(float)
    y[4] = np.nan
    return y


def grid_posterior(y, scale, size=401):
    """Smoothed means and log-likelihood of a Poisson level from N(0.5, 1), by sums over a grid."""
    x = np.linspace(-4, 5, size)
    step = x[1] - x[0]
    move = norm.pdf(x[:, None], x[None], scale) * step
    emit = [np.ones(size) if np.isnan(v) else poisson.pmf(v, np.exp(x)) for v in y]
    forward, total = [], 0.0
    law = norm.pdf(x, 0.5, 1.0) * step
    for t, e in enumerate(emit):
        law = (move @ law if t else law) * e
        total += np.log(law.sum())
        law = law / law.sum()
        forward.append(law)
    later, means = np.ones(size), []
    for t in reversed(range(len(y))):
        both = forward[t] * later
        means.append((x @ both) / both.sum())
        later = move.T @ (later * emit[t])
        later = later / later.max()
    return np.array(means[::-1]), total


def poisson_level(scale=0.3):
    return ss.LocalLevel(scale, initial=ss.InitialLaw.gaussian([0.5], [1.0])) + ss.Poisson()


@pytest.mark.slow
def test_the_iterated_smoother_of_counts_against_a_grid_and_a_search():
    y = counts()
    means, total = grid_posterior(y, 0.3)
    laplace, quadrature = ss.PosteriorLinearisation(iterations=20), ss.PosteriorLinearisation(ss.GaussHermiteKalman(9))
    found = smoother_arrays(problem_of(poisson_level(), y, method=quadrature), {})
    np.testing.assert_allclose(found.mean[:, 0], means, atol=0.02)
    for method, tolerance in ((laplace, 0.1), (quadrature, 0.1)):
        problem = problem_of(poisson_level(), y, method=method)
        assert abs(float(problem.log_likelihood({})) - total) < tolerance
    seen = np.isfinite(y)

    def minus(x):
        prior = norm.logpdf(x[0], 0.5, 1.0) + norm.logpdf(np.diff(x), 0, 0.3).sum()
        return -prior - poisson.logpmf(y[seen], np.exp(x[seen])).sum()

    mode = minimize(minus, means, tol=1e-12, options={"gtol": 1e-9}).x
    found = smoother_arrays(problem_of(poisson_level(), y, method=laplace), {})
    np.testing.assert_allclose(found.mean[:, 0], mode, atol=1e-5)


def test_drawn_paths_have_the_smoothed_moments(key):
    problem = problem_of(ss.LocalLevel(0.3) + ss.Poisson(), counts(), method=ss.CubatureKalman())
    paths = path_arrays(problem, {}, jax.random.split(key, 1), 4000)[0, :, :, 0]
    found = smoother_arrays(problem, {})
    z = (paths.mean(axis=0) - found.mean[:, 0]) / np.sqrt(found.cov[:, 0, 0] / 4000)
    assert np.abs(z).max() < 3.5


def test_single_precision_agrees():
    y = counts()
    expected = [float(problem_of(poisson_level(), y, method=m).log_likelihood({})) for m in METHODS[:3]]
    with jax.enable_x64(False):
        for method, value in zip(METHODS[:3], expected, strict=True):
            problem = problem_of(poisson_level(), y, method=method)
            assert problem.y.dtype == jnp.float32
            np.testing.assert_allclose(problem.log_likelihood({}), value, rtol=2e-5)


def test_the_wrong_rung_and_wrong_options_are_refused():
    with pytest.raises(ValueError, match="iterations is a whole number of at least 1"):
        ss.ExtendedKalman(iterations=0)
    with pytest.raises(ValueError, match="order is a whole number of at least 2"):
        ss.GaussHermiteKalman(1)
    with pytest.raises(TypeError, match="method is a linearised filter"):
        ss.PosteriorLinearisation(ss.Kalman())  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="pass one of ExtendedKalman"):
        ss.filter(Pendulum(), Y)
