"""The steady state against the exact filter: values, gradients, gaps, and where there is no steady state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statespace as ss
from statespace.core.step import make_steps
from statespace.inference.kalman import Kalman
from statespace.inference.method import Observed, Plan
from statespace.inference.steady_state import steady, tails

LENGTH = 1500
RNG = np.random.default_rng(5)
FACTOR = np.array([[0.5, 0.0], [0.3, 0.4]])


def arma(scale):
    """ARMA(2, 1) in Harvey's form: observed without noise, so that the filtered covariance vanishes."""
    f, g = [[0.6, 1.0], [-0.2, 0.0]], scale * jnp.array([[1.0], [0.4]])
    return ss.LinearGaussian(f, g, [[1.0, 0.0]], [0.0], stationary=True)


def pair(scale):
    """Two series with correlated noise, more noises than states, and offsets."""
    f, g = [[0.9, 0.1], [0.0, 0.8]], scale * jnp.array([[0.3, 0.1, 0.0], [0.0, 0.2, 0.3]])
    offsets = {"transition_offset": [0.1, -0.2], "emission_offset": [1.0, 2.0]}
    return ss.LinearGaussian(f, g, np.eye(2), FACTOR, initial_scale=[5.0, 5.0], **offsets)


def driven(scale):
    """Inputs into the state and into the observation."""
    inputs = {"transition_input": [[0.5], [-0.3]], "emission_input": [[1.0]]}
    f = [[0.9, 0.1], [0.0, 0.8]]
    return ss.LinearGaussian(f, scale * jnp.array([0.3, 0.2]), [[1.0, 0.0]], [0.5], diffuse=True, **inputs)


MODELS = {
    "trend": lambda scale: ss.LocalLinearTrend(0.5 * scale, 0.2) + ss.Seasonal(4, scale=0.3) + ss.Noise(0.5),
    "arma": arma,
    "pair": pair,
    "driven": driven,
}


def observed(model, missing=()):
    y = jnp.asarray(RNG.normal(size=(LENGTH, model.num_series)).cumsum(axis=0))
    mask = jnp.ones(y.shape, bool).at[jnp.asarray(missing, int)].set(False)
    inputs = jnp.asarray(RNG.normal(size=(LENGTH, 1))) if model.input_names else None
    return Observed(y, mask, make_steps(LENGTH, inputs=inputs), not missing)


def both(model_of, data, method=Kalman()):  # noqa: B008
    """Log-likelihoods as functions of a scale: by the steady state, and exact."""
    plan = method.plan(model_of(1.0), data)
    assert plan.tails
    plans = plan, plan._replace(tails=())
    return [lambda s, p=p: method.log_likelihood(model_of(s), data, p) for p in plans]


@pytest.mark.parametrize("name", MODELS)
def test_value_and_gradient_are_exact(name):
    found, exact = both(MODELS[name], observed(MODELS[name](1.0)))
    run = [jax.jit(jax.value_and_grad(lambda s, f=f: jnp.sum(f(s)))) for f in (found, exact)]
    for scale in (1.0, 0.9):
        (value, slope), (expected, expected_slope) = (f(jnp.asarray(scale)) for f in run)
        assert float(value) == pytest.approx(float(expected), rel=1e-12, abs=1e-8)
        assert float(slope) == pytest.approx(float(expected_slope), rel=1e-9)


@pytest.mark.slow
def test_each_term_and_the_second_derivative():
    found, exact = both(pair, observed(pair(1.0)))
    np.testing.assert_allclose(found(1.0), exact(1.0), atol=1e-5)
    curvature = [jax.jit(jax.jacfwd(jax.grad(lambda s, f=f: jnp.sum(f(s)))))(jnp.asarray(1.0)) for f in (found, exact)]
    assert float(curvature[0]) == pytest.approx(float(curvature[1]), rel=1e-9)


def test_after_a_gap_the_exact_filter_runs_again(monkeypatch):
    monkeypatch.setattr("statespace.inference.steady_state._SHORTEST", 300)
    data = observed(pair(1.0), missing=[400, 401, 900])
    plan = Kalman().plan(pair(1.0), data)
    assert [stop for _, stop in plan.tails] == [400, 900, LENGTH]
    assert all(first >= begin for (first, _), begin in zip(plan.tails, (1, 403, 902), strict=True))
    found, exact = both(pair, data)
    assert float(jnp.sum(found(1.0))) == pytest.approx(float(jnp.sum(exact(1.0))), abs=1e-9)


def test_far_from_the_limit_the_exact_filter_is_taken():
    """Planned where the covariance converges quickly, used where it converges slowly or has no limit."""

    def level(size):
        return ss.LinearGaussian([[1.0]], size * jnp.ones(1), [[1.0]], [1.0], initial_scale=[10.0])

    found, exact = both(level, observed(level(1.0)))
    run = [jax.jit(jax.value_and_grad(lambda s, f=f: jnp.sum(f(s)))) for f in (found, exact)]
    for scale in (1e-2, 1e-4, 0.0):
        (value, slope), (expected, expected_slope) = (f(jnp.asarray(scale)) for f in run)
        assert float(value) == pytest.approx(float(expected), rel=1e-11)
        assert float(slope) == pytest.approx(float(expected_slope), rel=1e-8, abs=1e-8)


def test_a_start_that_has_not_converged_is_corrected_for(monkeypatch):
    """The sum is exact from any covariance: here the tail starts at the second stamp, far from the limit."""
    monkeypatch.setattr("statespace.inference.steady_state._LEFT", jnp.inf)
    model, data = pair(1.0), observed(pair(1.0))
    found = Kalman().log_likelihood(model, data, Plan(0, tails=((1, 700),)))
    exact = Kalman().log_likelihood(model, data, Plan(0))
    wide = Kalman().log_likelihood(model, data, Plan(0, tails=((300, 700),)))
    assert float(jnp.sum(wide)) == pytest.approx(float(jnp.sum(exact)), abs=1e-9)
    assert float(jnp.sum(found)) != pytest.approx(float(jnp.sum(exact)), abs=1e-6)  # one stamp's horizon is too short


def test_chains_side_by_side_agree():
    found, exact = both(pair, observed(pair(1.0)))
    scales = jnp.array([1.0, 0.8, 1e-3])
    values = [jax.jit(jax.vmap(lambda s, f=f: jnp.sum(f(s))))(scales) for f in (found, exact)]
    np.testing.assert_allclose(*values, rtol=1e-12, atol=1e-8)


def test_the_limit_solves_its_equations():
    model = pair(1.0)
    limit = steady(model, make_steps(2)[0])
    filtered = ss.filter(model, np.zeros((400, 2)))
    np.testing.assert_allclose(filtered.cov[-1], limit.cov, atol=1e-13)
    np.testing.assert_allclose(filtered.observation_cov[-1], limit.variance, atol=1e-13)


def test_where_no_tail_is_planned():
    model = pair(1.0)
    data = observed(model)
    assert tails(model, data.mask[:1000], data.steps[:1000], 0) == ()  # short
    assert Kalman(steady_state="never").plan(model, data).tails == ()
    assert Kalman(form="sqrt").plan(model, data).tails == ()
    varying = ss.LinearGaussian(np.full((LENGTH, 1, 1), 0.5), [1.0], [[1.0]], [1.0], initial_scale=[1.0])
    assert tails(varying, jnp.ones((LENGTH, 1), bool), make_steps(LENGTH, schedule=varying.schedule), 0) == ()
    fixed = ss.LocalLevel(0.0) + ss.Noise(1.0)
    assert tails(fixed, jnp.ones((LENGTH, 1), bool), make_steps(LENGTH), 1) == ()
    with pytest.raises(ValueError, match="steady_state='off' is unknown"):
        Kalman(steady_state="off")


def test_through_the_verbs():
    model = ss.LocalLevel(0.5) + ss.Noise(1.0)
    y = RNG.normal(size=LENGTH).cumsum()
    y[700] = np.nan
    exact = ss.log_likelihood(model, y, Kalman(steady_state="never"))
    assert ss.log_likelihood(model, y) == pytest.approx(exact, abs=1e-8)
    assert ss.filter(model, y).log_likelihood == pytest.approx(exact, abs=1e-8)


@pytest.mark.slow
def test_fits_agree():
    model, y = ss.LocalLevel() + ss.Noise(), RNG.normal(size=LENGTH).cumsum()
    ways = [ss.MaximumLikelihood(1, filter=Kalman(steady_state=how)) for how in ("auto", "never")]
    found, exact = (ss.fit(model, y, way, progress=False) for way in ways)
    for path, value in exact.estimates.items():
        np.testing.assert_allclose(found.estimates[path], value, rtol=1e-5)
    assert found.log_likelihood == pytest.approx(exact.log_likelihood, abs=1e-7)


def test_noise_that_the_observations_tell_is_filtered_exactly():
    # not invertible: Riccati's equation has a solution that the filter does not converge to
    model = ss.convert(ss.ARMA([0.7545, -0.0095, -0.0128], [-0.9528, -6.0678]), ss.LinearGaussian).value
    y = np.random.default_rng(0).normal(size=3000) * 50 + 100
    exact = ss.log_likelihood(model, y, method=ss.Kalman(steady_state="never"))
    assert ss.log_likelihood(model, y) == pytest.approx(exact, rel=1e-10)
