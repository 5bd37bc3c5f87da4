"""Deep models in NumPyro programs: a bound as one site, weights as sites, NumPyro's own inference."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from inference.amortised import linear
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal

import statespace as ss
from statespace.models.deep import MLP, DeepStateSpace, Guide, LinearTransition, Prior

LENGTHS = (6, 4, 9)


def panel():
    found = [linear.data(length, seed) for seed, length in enumerate(LENGTHS)]
    found[1][2, 0] = np.nan
    return found


def logs(program, *args, seed=0):
    trace = handlers.trace(handlers.seed(program, seed)).get_trace(*args)
    return {
        name: float(jnp.sum(site["fn"].log_prob(site["value"])))
        for name, site in trace.items()
        if site["type"] == "sample" and site["is_observed"]
    }


def test_one_site_holds_a_panel_and_its_bound_reaches_the_exact_likelihood():
    exact = sum(ss.log_likelihood(linear.exact(), y) for y in panel())

    def program():
        ss.observe("x", linear.model(), panel(), bound=ss.FIVO(20_000))

    found = logs(program)
    assert list(found) == ["x"]
    assert abs(found["x"] - exact) < 0.1
    assert logs(program, seed=1)["x"] != found["x"]
    assert logs(program)["x"] == found["x"]


def test_the_site_equals_evaluate_in_law():
    """The same bound by the verb: means of repeats agree within their Monte Carlo errors."""
    guide = linear.GUIDES["residual"]()

    def program():
        ss.observe("x", linear.model(), panel(), guide=guide, bound=ss.IWAE(8))

    mine = np.array([logs(program, seed=k)["x"] for k in range(40)])
    other = ss.evaluate(linear.model(), panel(), bound="iwae", num_particles=8, guide=guide, repeats=40, key=0,
                        progress=False).bounds.sum(axis=1)  # fmt: skip
    error = np.sqrt((mine.var() + other.var()) / 40)
    assert abs(mine.mean() - other.mean()) < 4 * error


def _bias_model():
    head = ss.GaussianHead(np.zeros((2, 1)), None, [0.5, 1.5], level=[0.0, 0.0], unit=[1.0, 1.0])
    return DeepStateSpace(LinearTransition(1, key=0), MLP([1]), head)


def _readings():
    random = np.random.default_rng(0)
    return [[0.7, -0.4] + np.array([0.5, 1.5]) * random.normal(size=(n, 2)) for n in LENGTHS]


def _program(y):
    model = ss.sample_parameters(_bias_model(), {"head.bias": dist.Normal(0.0, 0.8)})
    ss.observe("x", model, y, guide=Guide(None, Prior()))


def _posterior():
    values, scale = np.concatenate(_readings()), np.array([0.5, 1.5])
    precision = len(values) / scale**2 + 1 / 0.8**2
    return values.sum(axis=0) / scale**2 / precision, precision**-0.5


def test_numpyro_samples_weights():
    """Hamiltonian Monte Carlo over a weight with a prior: the conjugate posterior."""
    mean, sd = _posterior()
    chain = MCMC(NUTS(_program), num_warmup=200, num_samples=400, progress_bar=False)
    chain.run(jax.random.key(0), _readings())
    draws = np.asarray(chain.get_samples()["head.bias"])
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 0.25 * sd)
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=0.2)


def test_numpyro_learns_laws_of_weights_and_the_guide_as_parameters():
    model, guide = ss.deep_markov_model(2, latent=2, transition=4, emission=[4], encoder=4, key=0)
    random = np.random.default_rng(0)
    frames = [(random.random((n, 2)) < [0.2, 0.7]).astype(float) for n in LENGTHS]

    def program(y):
        priors = {"head.bias": dist.Normal(0.0, 1.0)}
        deep = ss.sample_parameters(model, priors)
        deep = ss.learn_parameters(deep, prefix="", besides=priors)
        ss.observe("x", deep, y, guide=ss.learn_parameters(guide, prefix="guide."), bound=ss.ELBO())

    svi = SVI(program, AutoNormal(handlers.block(program, hide=["x"])), numpyro.optim.Adam(0.01), Trace_ELBO())
    state = svi.init(jax.random.key(0), frames)
    step = jax.jit(lambda s: svi.update(s, frames))
    losses = []
    for _ in range(60):
        state, loss = step(state)
        losses.append(float(loss))
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 1
    names = set(svi.get_params(state))
    assert {"head.bias_auto_loc", "guide.proposal.state.weights"} & names
    assert any(name.startswith("dynamics.") for name in names)


def test_sequences_are_drawn_without_data():
    def program():
        ss.observe("x", linear.model(), length=5, bound=ss.ELBO())

    found = Predictive(program, num_samples=2000)(jax.random.key(0))["x"]
    assert found.shape == (2000, 1, 5, 2)
    exact = ss.simulate(linear.exact(), 5, num_samples=2000, key=0).y.to_numpy()
    np.testing.assert_allclose(found[:, 0, 4].std(axis=0), exact[:, 4].std(axis=0), rtol=0.1)


def test_parameters_of_any_model_become_sites():
    def program(y):
        model = ss.LocalLevel() + ss.Noise()
        model = ss.sample_parameters(model, ss.default_priors(model, y), prefix="p.")
        ss.observe("y", model, y)

    trace = handlers.trace(handlers.seed(program, 0)).get_trace(ss.datasets.nile())
    assert {"p.level.scale", "p.noise.scale", "y"} <= set(trace)


def test_bad_calls():
    with pytest.raises(ValueError, match="there is no parameter 'bias'"):
        ss.sample_parameters(_bias_model(), {"bias": dist.Normal()})
    with pytest.raises(ValueError, match="has shape"):
        ss.sample_parameters(_bias_model(), {"head.bias": dist.Normal(jnp.zeros(3), 1.0)})
    with pytest.raises(TypeError, match="numpyro.handlers.seed"):
        ss.observe("x", linear.model(), panel(), bound=ss.ELBO())
    with handlers.seed(rng_seed=0):
        with pytest.raises(TypeError, match="close over them"):
            jax.jit(lambda y: ss.observe("x", linear.model(), y, bound=ss.ELBO()))(panel()[0])
        with pytest.raises(TypeError, match="are for a DeepStateSpace"):
            ss.observe("x", ss.LocalLevel(1.0) + ss.Noise(1.0), panel()[0], bound=ss.ELBO())
        with pytest.raises(ValueError, match="goes without guide="):
            ss.observe("x", linear.model(), panel(), bound=ss.ELBO(), method=ss.BootstrapFilter())
        with pytest.raises(ValueError, match="head.bias"):
            ss.observe("x", _bias_model(), _readings(), guide=Guide(None, Prior()))
