"""The Lorenz models: their flows, parameters and laws, and the methods that they are for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import statespace as ss
from statespace.core.parameters import parameters, unknown
from statespace.core.step import make_steps
from statespace.models.nonlinear.lorenz import runge_kutta
from statespace.models.specification import describe, rebuild


def atmosphere(t, x, sigma=10.0, rho=28.0, beta=8 / 3):
    return [sigma * (x[1] - x[0]), x[0] * (rho - x[2]) - x[1], x[0] * x[1] - beta * x[2]]


def ring(t, x, forcing=8.0):
    n = len(x)
    return [(x[(i + 1) % n] - x[i - 2]) * x[i - 1] - x[i] + forcing for i in range(n)]


def test_the_flows_solve_their_equations():
    step = make_steps(1)[0]
    for model, velocity in (
        (ss.Lorenz63(drift_scale=0.0, observation_scale=1.0, dt=0.002, substeps=125), atmosphere),
        (ss.Lorenz96(7, 8.0, 0.0, 1.0, dt=0.002, substeps=125), ring),
    ):
        start = np.random.default_rng(1).normal(size=len(model.state_names)) * 3 + 3
        exact = solve_ivp(velocity, (0, 0.25), start, rtol=1e-11, atol=1e-11).y[:, -1]
        np.testing.assert_allclose(model.drift(jnp.asarray(start), step), exact, rtol=1e-6)


def test_the_scheme_is_of_fourth_order():
    """Halving the step divides the error by sixteen."""
    x, exact = jnp.array([1.0, 0.0]), np.array([np.cos(2.0), -np.sin(2.0)])
    turn = lambda x: jnp.array([x[1], -x[0]])  # noqa: E731
    errors = [np.abs(runge_kutta(turn, x, 2.0 / n, n) - exact).max() for n in (20, 40)]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.05)


def test_the_laws_say_what_is_written():
    model = ss.Lorenz96(6, 8.0, 0.3, 0.5, observed=[1, 4], initial_mean=2.0, initial_scale=0.1)
    step, x = make_steps(1)[0], jnp.arange(6.0)
    np.testing.assert_allclose(model.transition(x, step).mean, model.drift(x, step))
    np.testing.assert_allclose(model.transition(x, step).variance, 0.09)
    np.testing.assert_allclose(model.noise_factor(x, step), 0.3 * np.eye(6))
    mean, cov = model.conditional_moments(x, step)
    parts = model.emission_matrices(step)
    np.testing.assert_allclose(mean, [1.0, 4.0])
    np.testing.assert_allclose(parts.matrix @ x + parts.offset, mean)
    np.testing.assert_allclose(cov, 0.25 * np.eye(2))
    np.testing.assert_allclose(model.emission(x, step).variance, [0.25, 0.25])
    np.testing.assert_allclose(model.initial(step).mean, 2.0)
    assert model.num_series == 2


def test_a_longer_spacing_is_a_longer_flow():
    model, x = ss.Lorenz63(drift_scale=0.1, observation_scale=1.0, dt=1e-3), jnp.array([1.0, 2.0, 20.0])
    steps = make_steps(2, dt=np.array([1.0, 4.0]))
    fourfold = runge_kutta(model.velocity, x, 1e-3, 4)
    np.testing.assert_allclose(model.drift(x, steps[1]), fourfold, rtol=1e-7)
    np.testing.assert_allclose(model.transition(x, steps[1]).variance, 0.04)


def test_parameters_are_declared():
    model = ss.Lorenz63(None, 28.0, None)
    assert list(parameters(model)) == ["sigma", "rho", "beta", "drift_scale", "observation_scale"]
    assert unknown(model) == ["sigma", "beta", "drift_scale", "observation_scale"]
    priors = ss.default_priors(ss.Lorenz96(5, None, observed=[0, 2]), np.zeros((4, 2)) + np.arange(4.0)[:, None])
    assert list(priors) == ["forcing", "drift_scale", "observation_scale"]
    again = rebuild(describe(ss.Lorenz96(5, 8.0, 0.1, 0.5)))
    assert again.observed == (0, 1, 2, 3, 4)
    np.testing.assert_allclose(again.velocity(jnp.arange(5.0)), ss.Lorenz96(5).velocity(jnp.arange(5.0)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ss.Lorenz96(3), "at least 4"),
        (lambda: ss.Lorenz96(5, observed=[5]), "from 0 to 4"),
        (lambda: ss.Lorenz63(observed=[]), "at least one"),
        (lambda: ss.Lorenz63(dt=0.0), "dt must be positive"),
        (lambda: ss.Lorenz63(substeps=0), "substeps"),
    ],
)
def test_models_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.fixture(scope="module")
def truth():
    model = ss.Lorenz63(drift_scale=0.3, observation_scale=1.0, substeps=5, initial_scale=[2.0, 2.0, 2.0])
    return model, ss.simulate(model, 40, key=4)


def test_methods_agree_where_the_law_is_nearly_normal(truth, key):
    """Seen often, the law stays near a normal one; the particle filter is the reference."""
    model, simulated = truth
    y = simulated.y.values[0]
    exact = ss.log_likelihood(model, y, ss.BootstrapFilter(20000), key=key)
    for method in (ss.ExtendedKalman(), ss.EnsembleKalman(1000, "square_root")):
        found = ss.filter(model, y, method, key=key)
        assert np.sqrt(((found.mean - simulated.states.values[0]) ** 2).mean()) < 0.7
        assert found.log_likelihood == pytest.approx(exact, abs=2.0)


@pytest.mark.slow
def test_the_rayleigh_number_is_learned(truth):
    _, simulated = truth
    free = ss.Lorenz63(10.0, 25.0, 8 / 3, 0.3, 1.0, substeps=5, initial_scale=[2.0, 2.0, 2.0])
    held = {"sigma": 10.0, "beta": 8 / 3, "drift_scale": 0.3, "observation_scale": 1.0}
    method = ss.MaximumLikelihood(num_starts=1, filter=ss.ExtendedKalman())
    found = ss.fit(free, simulated.y.values[0], method, fixed=held, progress=False)
    assert abs(float(found.estimates["rho"]) - 28.0) < 3 * float(found.standard_errors["rho"])


def test_a_large_ring_is_simulated_without_a_matrix():
    model = ss.Lorenz96(20000, 8.0, 0.1, 1.0, observed=[0, 10000])
    found = ss.simulate(model, 3, key=jax.random.key(0))
    assert found.states.shape == (1, 3, 20000)
