"""The linear recurrent unit with noise: exact laws, the deterministic limit, and what a fit finds."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from statsmodels.datasets import sunspots as yearly_sunspots
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.statespace.structural import UnobservedComponents

import statespace as ss
from statespace.core.step import make_steps
from statespace.models.layers import LRU, S4, S4D, S5, StochasticLRU

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).normal(size=(30, 2))


@pytest.mark.parametrize("kind", ["LRU", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("S5", "S4D"))])
def test_without_noise_it_is_the_layer(kind, inputs):
    """The filter's predictions are the layer's outputs, whatever is observed."""
    layer = (
        S4D(2, 4, step_bounds=(0.1, 0.5), key=KEY) if kind == "S4D" else {"LRU": LRU, "S5": S5}[kind](2, 4, 3, key=KEY)
    )
    model = StochasticLRU.from_layer(layer, noise_scale=0.0, emission_scale=np.ones(layer.output_size))
    y = np.random.default_rng(1).normal(size=(30, layer.output_size))
    found = ss.filter(model, y, inputs=inputs)
    expected, _ = eqx.filter_jit(lambda layer, u: layer.scan(u))(layer, inputs)
    scores = scipy.stats.norm.logpdf(y, np.asarray(expected)).sum()
    np.testing.assert_allclose(float(found.log_likelihood), scores, rtol=1e-11)


def test_one_output_keeps_its_phase(inputs):
    """A single series has positive amplitudes; the phases of C move into B."""
    layer = LRU(2, 3, 1, key=KEY)
    model = StochasticLRU.from_layer(layer, noise_scale=0.0, emission_scale=[1.0])
    y = np.zeros((30, 1))
    expected, _ = eqx.filter_jit(lambda layer, u: layer.scan(u))(layer, inputs)
    found = ss.log_likelihood(model, y, inputs=inputs)
    np.testing.assert_allclose(float(found), scipy.stats.norm.logpdf(np.asarray(expected)).sum(), rtol=1e-11)


def test_it_is_the_layer_between_uneven_steps(inputs):
    layer = LRU(2, 3, 2, key=KEY)
    model = StochasticLRU.from_layer(layer, noise_scale=0.0, emission_scale=[1.0, 1.0])
    dt = np.random.default_rng(2).uniform(0.3, 2.0, 30)
    dt[0] = 1.0  # that of the first stamp is not read

    @jax.jit
    def run(u, dt):
        steps = make_steps(30, dt=dt, inputs=u)
        first = model.initial_law(steps[0]).mean

        def body(x, step):
            x = model.propagate(x, step) + model.transition_matrices(step).offset
            return x, x

        _, rest = jax.lax.scan(body, first, steps[1:])
        states = jnp.concatenate([first[None], rest])
        seen = jax.vmap(model.emission_matrices)(steps)
        return jnp.einsum("tpn,tn->tp", seen.matrix, states) + seen.offset, layer.scan(u, dt=dt)[0]

    found, expected = run(jnp.asarray(inputs), jnp.asarray(dt))
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_it_starts_from_its_stationary_law_for_any_spacing():
    model = StochasticLRU(2, [0.99, 0.3], [0.2, 2.5], [1.0, 2.0], emission_scale=[0.1])
    steps = make_steps(3, time=np.array([0.0, 0.4, 7.0]), dt=np.array([np.nan, 0.4, 6.6]))
    for i in (1, 2):
        f = np.asarray(model.propagate(jnp.eye(4), steps[i]))
        g = np.asarray(model.transition_matrices(steps[i]).factor)
        np.testing.assert_allclose(f @ f.T + g @ g.T, np.eye(4), atol=1e-15)
    np.testing.assert_allclose(model.initial_law(steps[0]).cov, np.eye(4))


def test_the_likelihood_is_that_of_the_joint_law():
    """Uneven stamps: autocovariance sum of amplitude^2 modulus^|lag| cos(frequency lag), and noise."""
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.2, 3.0, 25))
    modulus, frequency, amplitude = np.array([0.95, 0.5]), np.array([0.4, 2.0]), np.array([1.5, 0.7])
    lag = np.abs(times[:, None] - times)[..., None]
    cov = np.sum(amplitude**2 * modulus**lag * np.cos(frequency * lag), -1) + 0.09 * np.eye(25)
    y = rng.multivariate_normal(np.zeros(25), cov)
    model = StochasticLRU(2, modulus, frequency, amplitude, emission_scale=[0.3])
    found = ss.log_likelihood(model, y, times=times)
    np.testing.assert_allclose(float(found), scipy.stats.multivariate_normal.logpdf(y, cov=cov), rtol=1e-11)


def test_one_mode_is_a_stochastic_cycle():
    y = np.random.default_rng(4).normal(size=40)
    model = StochasticLRU(1, [0.9], [0.6], [1.3], emission_scale=[0.4])
    scale = 1.3 * math.sqrt(1 - 0.9**2)
    cycle = ss.Cycle(2 * math.pi / 0.6, 0.9, scale) + ss.Noise(0.4)
    np.testing.assert_allclose(float(ss.log_likelihood(model, y)), float(ss.log_likelihood(cycle, y)), rtol=1e-12)


def test_wrong_arguments_raise():
    with pytest.raises(TypeError, match="an LRU, an S5 or an S4D"):
        StochasticLRU.from_layer(S4(2, 4, key=KEY))
    with pytest.raises(ValueError, match='rule="zoh"'):
        StochasticLRU.from_layer(S4D(2, 4, rule="s4_bilinear", key=KEY))
    with pytest.raises(ValueError, match="have a loading"):
        StochasticLRU(2, amplitude=[1.0, 1.0], num_series=2)
    with pytest.raises(ValueError, match="name the input_names"):
        StochasticLRU(2, feedthrough=[[1.0]])


@pytest.fixture(scope="module")
def sunspots():
    y = np.asarray(yearly_sunspots.load_pandas().data["SUNACTIVITY"])
    return y - y.mean()


def damped_cycle(y):
    """Modulus and frequency of the same model, fitted by statsmodels."""
    model = UnobservedComponents(
        y, cycle=True, stochastic_cycle=True, damped_cycle=True, irregular=True, cycle_period_bounds=(2.1, 50)
    )
    found = model.fit(disp=False, maxiter=500)
    values = dict(zip(model.param_names, found.params, strict=True))
    return values["damping.cycle"], values["frequency.cycle"]


@pytest.mark.slow
def test_sunspots_have_the_cycle_that_statsmodels_finds(sunspots):
    """And poles near those of an AR(2), whose disturbance enters both states and which has no observation noise."""
    found = ss.fit(StochasticLRU(1), sunspots, ss.MaximumLikelihood()).model
    modulus, frequency = damped_cycle(sunspots)
    assert abs(float(found.modulus[0]) - modulus) < 2e-3
    assert abs(float(found.frequency[0]) - frequency) < 2e-3
    pole = np.roots([1, *-np.asarray(AutoReg(sunspots, 2, trend="n").fit().params)])[0]
    assert abs(float(found.modulus[0]) - abs(pole)) < 0.1
    assert abs(float(found.frequency[0]) - abs(np.angle(pole))) < 0.08


@pytest.mark.slow
def test_the_posterior_of_sunspots_holds_that_cycle(sunspots):
    method = ss.NUTS(num_warmup=300, num_samples=300, num_chains=2)
    fitted = ss.fit(StochasticLRU(1), sunspots, method, key=KEY)
    modulus, frequency = damped_cycle(sunspots)
    for name, value in (("modulus", modulus), ("frequency", frequency)):
        draws = np.asarray(fitted.draws[name]).ravel()
        assert abs(draws.mean() - value) < 2 * draws.std(), name
        assert draws.std() < 0.1


@pytest.mark.slow
def test_poles_of_an_autoregression_near_the_circle_are_found():
    """There its spectrum is that of a mode; within three standard errors, sqrt((1 - modulus^2) / length)."""
    rng = np.random.default_rng(7)
    modulus, frequency = 0.995, 0.8
    y = np.zeros(3000)
    for t in range(2, 3000):
        y[t] = 2 * modulus * np.cos(frequency) * y[t - 1] - modulus**2 * y[t - 2] + rng.normal()
    found = ss.fit(StochasticLRU(1), y[1500:], ss.MaximumLikelihood()).model
    error = np.sqrt((1 - modulus**2) / 1500)
    np.testing.assert_allclose([found.modulus[0], found.frequency[0]], [modulus, frequency], atol=3 * error)


@pytest.mark.slow
def test_a_fit_finds_the_modes_that_made_the_data():
    """Two modes and an input, learned by maximum likelihood from 800 stamps."""
    u = np.random.default_rng(6).normal(size=(800, 1))
    truth = StochasticLRU(
        2,
        [0.97, 0.8],
        [0.3, 1.8],
        [1.0, 1.0],
        input_matrix=np.array([[[1.0, 0.0]], [[0.0, 1.0]]]),
        feedthrough=[[0.5]],
        noise_scale=1.0,
        emission_scale=[0.3],
        input_names=["u"],
    )
    y = ss.simulate(truth, 800, inputs=u, key=KEY)["y"].values[0, :, 0]
    fitted = ss.fit(StochasticLRU(2, input_names=["u"]), y, ss.MaximumLikelihood(), inputs=u)
    order = np.argsort(fitted.model.frequency)
    np.testing.assert_allclose(np.asarray(fitted.model.modulus)[order], [0.97, 0.8], atol=0.06)
    np.testing.assert_allclose(np.asarray(fitted.model.frequency)[order], [0.3, 1.8], atol=0.06)
