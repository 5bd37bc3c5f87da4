"""Hidden Markov models: parameters, priors, learning by every method, autoregressive emissions, files and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.distributions import constraints
from scipy import stats

import statespace as ss
from statespace.core.parameters import parameters, replace, unknown
from statespace.inference.weighted_likelihood import weighted_estimates
from statespace.models.markov_chain import stationary_probabilities

MOVES = [[0.95, 0.05], [0.1, 0.9]]
TRUTH = ss.HiddenMarkov(
    2,
    dist.Normal,
    initial="stationary",
    transition=MOVES,
    loc=[0.0, 3.0],
    scale=[1.0, 1.5],
    state_names=["calm", "wild"],
)
FREE = ss.HiddenMarkov(2, dist.Normal, initial="stationary", state_names=["calm", "wild"])
Y = pd.Series(np.asarray(ss.simulate(TRUTH, 250, key=7).y)[0, :, 0], pd.date_range("2020-01-01", periods=250, freq="D"))


def autoregression(k, step, level, slope, scale):
    before = jnp.where(jnp.isnan(step.previous[0]), 0.0, step.previous[0])
    return dist.Normal(level[k] + slope[k] * before, scale)


SWITCHING = ss.HiddenMarkov(
    2,
    autoregression,
    autoregressive=True,
    initial=[0.5, 0.5],
    transition=MOVES,
    level=[0.0, 2.0],
    slope=[0.9, -0.5],
    scale=0.5,
    supports={"scale": constraints.positive},
)


@pytest.fixture(scope="module")
def fitted():
    return ss.fit(FREE, Y, ss.MaximumLikelihood(num_starts=1), progress=False)


LAWS = {
    "normal": (dist.Normal, {}),
    "poisson": (dist.Poisson, {}),
    "student": (dist.StudentT, {}),
    "gamma": (dist.Gamma, {}),
    "beta": (dist.Beta, {}),
    "von Mises": (dist.VonMises, {}),
    "bernoulli": (dist.Bernoulli, {"logits": None}),
    "binomial": (dist.Binomial, {"total_count": 10}),
    "categories": (dist.Categorical, {"probs": None, "shapes": {"probs": (2, 4)}}),
    "negative binomial": (dist.NegativeBinomial2, {}),
    "joint": (dist.MultivariateNormal, {"scale_tril": None, "series": ["a", "b"]}),
    "log-normal": (dist.LogNormal, {}),
}


@pytest.mark.parametrize("name", LAWS)
def test_every_argument_has_a_path_a_prior_and_a_start_of_its_own(name):
    law, options = LAWS[name]
    model = ss.HiddenMarkov(2, law, **options)
    for path, found in parameters(model).items():
        assert path.split(".")[0] in ("chain", "emission")
        prior = found.default_prior(2.0)
        assert prior.batch_shape + prior.event_shape == found.shape
        draws = prior.sample(jax.random.key(0), (50,))
        assert bool(jnp.all(found.constraint(draws)))
        if path.startswith("emission"):
            start = found.declaration.start(found.owner, 2.0)
            assert start.shape == found.shape
            assert bool(jnp.all(found.constraint(start)))
            assert not np.allclose(start[0], start[1]), "states that start alike stay alike"


def test_priors_and_starts_follow_the_data():
    priors = ss.default_priors(FREE, 1000 + 10 * Y)
    assert list(priors) == ["chain.transition", "emission.loc", "emission.scale"]
    np.testing.assert_allclose(priors["emission.loc"].mean, 1000 + 10 * Y.mean())
    np.testing.assert_allclose(priors["emission.loc"].variance, (20 * Y.std(ddof=0)) ** 2, rtol=1e-6)


def test_maximum_likelihood_finds_the_truth(fitted):
    assert fitted.status.converged
    assert fitted.num_parameters == 2 + 2 + 2
    for path, truth in (("emission.loc", [0, 3]), ("emission.scale", [1, 1.5]), ("chain.transition", MOVES)):
        assert np.all(np.abs(fitted.estimates[path] - truth) < 4 * fitted.standard_errors[path])
    assert fitted.log_likelihood > ss.log_likelihood(TRUTH, Y)


def test_intervals_of_probabilities_are_symmetric_in_log_odds(fitted):
    p, error, ends = (part["chain.transition"] for part in (fitted.estimates, fitted.standard_errors, fitted.intervals))
    assert np.all((ends > 0) & (ends < 1))
    half = 1.959963984540054 * error / (p * (1 - p))
    np.testing.assert_allclose(np.log(ends / (1 - ends)), np.log(p / (1 - p)) + np.array([-half, half]), rtol=1e-9)


def test_em_rises_to_the_same_maximum():
    free = ss.HiddenMarkov(2, dist.Normal, state_names=["calm", "wild"])
    start = {"emission.loc": [0.0, 2.0], "emission.scale": [1.0, 1.0]}
    found = ss.fit(free, Y, ss.EM(num_starts=1), start=start, progress=False)
    path = np.array(found.status.details["log_likelihoods"])
    assert np.diff(path).min() > -1e-9
    direct = ss.fit(free, Y, ss.MaximumLikelihood(num_starts=1), start=start, progress=False)
    assert found.log_likelihood == pytest.approx(direct.log_likelihood, abs=1e-5)
    assert found.status.converged
    assert "EM stopped rising" in found.status.message
    for name, value in direct.estimates.items():
        np.testing.assert_allclose(found.estimates[name], value, atol=2e-3)
    np.testing.assert_allclose(found.standard_errors["emission.loc"], direct.standard_errors["emission.loc"], rtol=0.01)
    assert any("chain.initial" in name for name in found.status.details["at_zero"])
    assert np.isnan(direct.standard_errors["chain.initial"]).all()


@pytest.mark.slow
def test_em_rises_where_there_is_no_formula():
    u = np.sin(np.arange(len(Y)))
    model = ss.HiddenMarkov(2, dist.StudentT, transition_inputs=["u"])
    method = ss.EM(max_iterations=6, num_starts=1)
    gaps = Y.where(np.arange(len(Y)) % 9 != 4)
    inputs = pd.DataFrame({"u": u}, Y.index)
    found = ss.fit(model, gaps, method, inputs=inputs, fixed={"emission.df": [5.0, 5.0]}, progress=False)
    path = np.array(found.status.details["log_likelihoods"])
    assert np.diff(path).min() > -1e-9
    assert path[-1] - path[0] > 5
    assert "not converged" in found.status.message


@pytest.mark.parametrize("law", [dist.Poisson, dist.Exponential, dist.BernoulliProbs, dist.GeometricProbs, dist.Normal])
def test_formulas_are_where_the_weighted_likelihood_is_flat(law):
    generator = np.random.default_rng(0)
    y = jnp.asarray(
        generator.integers(0, 2, (40, 1)) + (0.0 if law is not dist.Normal else generator.normal(size=(40, 1)))
    )
    weights = jnp.asarray(generator.uniform(size=(40, 2, 1)))
    y = y + 0.5 if law is dist.Exponential else y  # zero lies outside its support
    names = list(law.arg_constraints)
    first = {name: jnp.full(2, 0.5) for name in names}
    found = weighted_estimates(law, y, weights, first, frozenset(names))

    def objective(values):
        made = jax.vmap(lambda row: law(**values).log_prob(row))(y)
        return jnp.sum(weights[:, :, 0] * made)

    for slope in jax.grad(objective)(found).values():
        np.testing.assert_allclose(slope, 0.0, atol=1e-8)


@pytest.mark.slow
def test_em_rises_on_a_panel():
    parts = [Y.to_numpy()[:40], Y.to_numpy()[100:160]]
    method = ss.EM(num_starts=1, max_iterations=5)
    found = ss.fit(ss.HiddenMarkov(2, dist.Normal), parts, method, progress=False)
    path = np.array(found.status.details["log_likelihoods"])
    assert np.diff(path).min() > -1e-9
    again = ss.fit(ss.HiddenMarkov(2, dist.Normal), parts, ss.EM(num_starts=1), start=found, progress=False)
    assert again.log_likelihood >= found.log_likelihood


def test_em_needs_discrete_states():
    with pytest.raises(TypeError, match="EM\\(\\) serves models with discrete states"):
        ss.fit(ss.LocalLevel() + ss.Noise(), Y, ss.EM(), progress=False)


def test_nuts_recovers_the_parameters():
    method = ss.NUTS(num_warmup=150, num_samples=150, num_chains=2)
    found = ss.fit(FREE, Y, method, key=0, progress=False)
    for path, truth in (("emission.loc", [0, 3]), ("emission.scale", [1, 1.5])):
        draws = found.draws[path].reshape(-1, 2)
        assert np.all(np.abs(draws.mean(axis=0) - truth) < 4 * draws.std(axis=0))
    smoothed = ss.smooth(found)
    np.testing.assert_allclose(smoothed.probabilities.sum(axis=1), 1.0)
    ahead = ss.forecast(found, horizon=4, key=1)
    assert ahead.draws.shape == (1000, 4, 1)
    np.testing.assert_allclose(ahead.state_mean.sum(axis=1), 1.0)
    assert found.to_datatree()["posterior"]["emission.loc"].shape == (2, 150, 2)


def test_files_bring_the_model_back(fitted, tmp_path):
    fitted.save(tmp_path / "fit.nc")
    again = ss.load(tmp_path / "fit.nc")
    assert again.model.state_names == ("calm", "wild")
    assert isinstance(again.filter_method, ss.ForwardBackward)
    np.testing.assert_allclose(ss.smooth(again).probabilities, ss.smooth(fitted).probabilities, atol=1e-12)


def test_results_carry_dates_and_names(fitted):
    table = ss.smooth(fitted).to_pandas()
    assert list(table.columns) == ["calm", "wild"]
    assert table.index.equals(Y.index)
    assert ss.filter(fitted).to_datatree()["filtered"]["state_probability"].dims == ("time", "state")
    tree = fitted.with_groups(smoothed=ss.smooth(fitted), filtered=ss.filter(fitted)).to_datatree()
    assert set(tree["smoothed"].data_vars) == {"state_probability", "transition_probability", "loo"}
    path = ss.viterbi(fitted)
    assert path.dims == ("time",)
    assert path.attrs["flag_meanings"] == "calm wild"
    assert ss.sample_states(fitted, num_samples=3, key=0).dims == ("draw", "time")
    assert ss.posterior_predictive(fitted, num_samples=2, key=0).shape == (2, 250, 1)
    expected = ss.smooth(fitted).expected_transitions()
    assert expected.to_numpy().sum() == pytest.approx(249)


def test_forecasts_are_those_of_the_chain(key):
    ahead = ss.forecast(TRUTH, Y, horizon=3, num_samples=4000, key=key)
    last = ss.filter(TRUTH, Y).probabilities[-1]
    for h in range(3):
        last = last @ np.array(MOVES)
        np.testing.assert_allclose(ahead.state_mean[h], last, atol=1e-12)
        assert ahead.mean[h, 0] == pytest.approx(last @ [0, 3])
        variance = last @ [1, 1.5**2] + last @ [0, 9] - (last @ [0, 3]) ** 2
        assert ahead.sd[h, 0] == pytest.approx(variance**0.5)
        assert abs(ahead.draws[:, h, 0].mean() - ahead.mean[h, 0]) < 4 * ahead.sd[h, 0] / 4000**0.5
        exact = last @ stats.norm.cdf(ahead.quantile(0.9)[h, 0], [0, 3], [1, 1.5])
        assert abs(exact - 0.9) < 4 * (0.09 / 4000) ** 0.5
    with pytest.raises(ValueError, match="pass key"):
        ss.forecast(TRUTH, Y, horizon=3)


def test_simulated_series_have_the_chain_s_moments(key):
    found = ss.simulate(TRUTH, 20, num_samples=4000, key=key)
    states, y = found.states.values, found.y.values[:, :, 0]
    assert found.states.dims == ("draw", "time")
    share = stationary_probabilities(jnp.asarray(MOVES))[1]
    assert abs(states[:, [0, 19]].mean() - share) < 4 * (share * (1 - share) / 8000) ** 0.5
    stay = (states[:, 1:] == states[:, :-1])[states[:, :-1] == 0]
    assert abs(stay.mean() - 0.95) < 4 * (0.05 * 0.95 / stay.size) ** 0.5
    wild = y[states == 1]
    assert abs(wild.mean() - 3.0) < 4 * 1.5 / wild.size**0.5


def dense_autoregression(y, before=0.0):
    """The forward recursion of SWITCHING, written out."""
    joint, total = np.array([0.5, 0.5]), 0.0
    for t, value in enumerate(y):
        joint = joint if t == 0 else joint @ np.array(MOVES)
        joint = joint * stats.norm.pdf(value, np.array([0.0, 2.0]) + np.array([0.9, -0.5]) * before, 0.5)
        total, joint, before = total + np.log(joint.sum()), joint / joint.sum(), value
    return total


def test_an_autoregressive_emission_reads_the_observation_before(key):
    y = np.asarray(ss.simulate(SWITCHING, 60, key=key).y)[0, :, 0]
    expected = dense_autoregression(y)
    assert ss.log_likelihood(SWITCHING, y) == pytest.approx(expected, abs=1e-10)
    traced = jax.jit(lambda m: ss.log_likelihood(m, y))(SWITCHING)
    assert float(traced) == pytest.approx(expected, abs=1e-10)
    gone_on = ss.append(ss.filter(SWITCHING, y[:40]), y[40:])
    assert gone_on.log_likelihood == pytest.approx(expected, abs=1e-10)
    assert np.isnan(ss.smooth(SWITCHING, y).loo_terms).all()


def test_an_autoregressive_series_is_simulated_from_its_own_values(key):
    stay = replace(SWITCHING, {"chain.initial": [1.0, 0.0], "chain.transition": np.eye(2)})
    y = ss.simulate(stay, 2000, key=key).y.values[0, :, 0]
    assert np.corrcoef(y[1:], y[:-1])[0, 1] == pytest.approx(0.9, abs=0.04)
    ahead = ss.forecast(stay, np.append(y[:50], 10.0), horizon=2, num_samples=2000, key=key)
    assert abs(ahead.mean[0, 0] - 9.0) < 4 * 0.5 / 2000**0.5
    assert abs(ahead.mean[1, 0] - 8.1) < 4 * 0.5 * 1.35 / 2000**0.5


def test_a_missing_observation_that_is_read_is_refused_by_its_stamp():
    y = Y.to_numpy()[:12].copy()
    y[5] = np.nan
    with pytest.raises(ValueError, match="emission at stamp 6 .* reads the observation before it"):
        ss.filter(SWITCHING, y)
    y[6:] = np.nan  # nothing observed reads it
    value = ss.log_likelihood(SWITCHING, y)
    assert value == pytest.approx(dense_autoregression(y[:5]), abs=1e-10)
    slope = jax.grad(lambda s: ss.log_likelihood(replace(SWITCHING, {"emission.slope": s}), y))(jnp.array([0.9, -0.5]))
    assert bool(jnp.isfinite(slope).all())


def test_the_observation_before_the_first_can_be_given():
    model = ss.HiddenMarkov(
        2,
        autoregression,
        autoregressive=True,
        previous=1.5,
        initial=[0.5, 0.5],
        transition=MOVES,
        level=[0.0, 2.0],
        slope=[0.9, -0.5],
        scale=0.5,
    )
    y = np.array([1.0, 0.7, 2.0])
    assert ss.log_likelihood(model, y) == pytest.approx(dense_autoregression(y, 1.5), abs=1e-10)


ERRORS = [
    (lambda: ss.HiddenMarkov(1, dist.Normal), ValueError, "at least 2 states"),
    (lambda: ss.HiddenMarkov(2, dist.Normal(0.0, 1.0)), TypeError, "expected a NumPyro distribution's class"),
    (lambda: ss.HiddenMarkov(2, dist.Normal, mu=0.0), ValueError, "Normal has no argument 'mu'"),
    (lambda: ss.HiddenMarkov(2, dist.Normal, loc=[0.0, 1.0, 2.0]), ValueError, "leading axis is the state"),
    (lambda: ss.HiddenMarkov(2, dist.Normal, initial="flat"), ValueError, "stationary"),
    (lambda: ss.HiddenMarkov(2, dist.Normal, transition=[0.5, 0.5]), ValueError, "expected \\(2, 2\\)"),
    (lambda: ss.HiddenMarkov(2, dist.Normal, state_names=["a", "a"]), ValueError, "2 different ones"),
    (lambda: ss.HiddenMarkov(2, dist.Normal, autoregressive=True), ValueError, "belongs to a function"),
    (lambda: ss.HiddenMarkov(2, dist.Uniform), ValueError, "says nothing of the support of 'low'"),
    (lambda: ss.HiddenMarkov(2, dist.MultivariateNormal), ValueError, "name one, scale_tril=None"),
    (lambda: ss.HiddenMarkov(2, dist.Categorical, probs=None), ValueError, "unknown length: pass shapes="),
    (lambda: ss.filter(FREE, Y), ValueError, "chain.transition, emission.loc, emission.scale are unknown"),
    (lambda: ss.filter(TRUTH, Y, ss.Kalman()), TypeError, "pass one of ForwardBackward\\(\\)"),
    (lambda: ss.viterbi(ss.LocalLevel(1.0) + ss.Noise(1.0), Y), TypeError, "has no discrete states"),
    (lambda: ss.filter(replace(TRUTH, {"chain.transition": [[0.5, 0.6], [0.5, 0.5]]}), Y), ValueError, "Simplex"),
    (
        lambda: ss.filter(ss.HiddenMarkov(2, dist.Poisson, initial=[1, 0], transition=MOVES, rate=[1, 2]), [1, -2]),
        ValueError,
        "observation at stamp 1 is -2, which Poisson does not give",
    ),
    (
        lambda: ss.fit(ss.HiddenMarkov(2, dist.Normal, transition_inputs=["u"]), Y, progress=False),
        ValueError,
        "expected the columns 'u' that the model reads",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("act", "kind", "text"), ERRORS)
def test_errors_say_what_was_expected(act, kind, text):
    with pytest.raises(kind, match=text):
        act()


def test_a_row_of_a_joint_law_cannot_lose_a_part():
    model = ss.HiddenMarkov(
        2, dist.Dirichlet, initial="stationary", transition=MOVES, concentration=[[1.0, 2.0, 3.0], [4.0, 1.0, 1.0]]
    )
    y = np.array([[0.2, 0.3, 0.5], [np.nan] * 3, [0.6, 0.3, 0.1]])
    assert np.isfinite(ss.log_likelihood(model, y))
    y[0, 1] = np.nan
    with pytest.raises(ValueError, match="at stamp 0 some series are missing"):
        ss.log_likelihood(model, y)


def test_unknown_parameters_are_those_left_out():
    model = ss.HiddenMarkov(2, dist.Normal, scale=1.0)
    assert unknown(model) == ["chain.initial", "chain.transition", "emission.loc"]
    np.testing.assert_array_equal(parameters(model)["emission.scale"].value, [1.0, 1.0])
