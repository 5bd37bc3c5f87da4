"""Samplers of parameters with particles: steps keep the joint law, chains go on exactly, what cannot be is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import statespace as ss
from statespace.core.parameters import replace, unconstrain
from statespace.inference import conditional
from statespace.inference.moves import rows
from statespace.inference.pmmh import Walk
from statespace.inference.prediction import simulate
from statespace.verbs.door import prepare, problem_of

REPEATS, LENGTH = 4000, 6
PRIORS = {"mu": dist.Normal(0.5, 0.5), "sigma": dist.LogNormal(-0.5, 0.4)}


def counts(parameters=PRIORS):
    """A random walk that decays, seen through counts."""
    return ss.StateSpace(
        lambda step, p: dist.Normal(0.0, p.sigma),
        lambda x, step, p: dist.Normal(0.7 * x, p.sigma),
        lambda x, step, p: dist.Poisson(jnp.exp(p.mu + x)),
        parameters=dict(parameters),
    )


def posed(method):
    """The problem of learning both parameters from a series that is replaced later."""
    prepared = prepare(counts(), np.arange(LENGTH, dtype=float))
    return problem_of(prepared.model, prepared.series, priors=PRIORS, method=method)


def joint_draws(problem, key):
    """Parameters, states and data from their joint law, and the problem with those data."""
    first, second, third = jax.random.split(key, 3)
    values = {"mu": PRIORS["mu"].sample(first), "sigma": PRIORS["sigma"].sample(second)}
    path, y = simulate(replace(problem.model, values), problem.steps, third)
    return values, path, eqx.tree_at(lambda p: p.observed.y, problem, y)


def statistics(values, path, y):
    """Functions of everything, whose means are those of the joint law."""
    mu, s = values["mu"], jnp.log(values["sigma"])
    return jnp.stack([mu, mu**2, s, s**2, mu * s, mu * jnp.log1p(y.mean()), s * jnp.log1p(y.std()), path[2] * mu])


def agreement(run, key):
    """z-scores of the mean differences between the two ends of a step from the joint law."""
    before, after = eqx.filter_jit(jax.vmap(run))(jax.random.split(key, REPEATS))
    both = np.asarray(after) - np.asarray(before)
    return both.mean(axis=0) / (both.std(axis=0) / REPEATS**0.5), np.asarray(both)


@pytest.mark.parametrize("kind", ["backward", pytest.param("ancestor", marks=pytest.mark.slow)])
def test_particle_gibbs_keeps_the_joint_law(kind, key):
    sampler = ss.ParticleGibbs(ss.BootstrapFilter(num_particles=3), num_warmup=1, paths=kind, keep_states=True)
    problem = posed(sampler.filter)

    def run(k):
        values, path, posed_here = joint_draws(problem, k)
        z = unconstrain(values, problem.supports)
        state = sampler.first(posed_here, z, k)
        adapted = state.hmc.adapt_state._replace(step_size=jnp.asarray(0.4))
        hmc = state.hmc._replace(z=z, i=jnp.asarray(100), adapt_state=adapted)
        after, kept = sampler.steps(posed_here, state._replace(path=path, hmc=hmc), 2)
        new = {path: v[-1] for path, v in kept.values.items()}
        y = posed_here.observed.y
        return statistics(values, path, y), statistics(new, after.path, y)

    scores, moved = agreement(run, key)
    assert np.abs(scores).max() < 3.5
    assert np.mean(moved[:, 0] != 0) > 0.5


def test_pmmh_keeps_the_joint_law(key):
    run = ss.BootstrapFilter(num_particles=5, resampling="multinomial", threshold=1.0)  # as conditional SMC does
    sampler = ss.PMMH(run, num_warmup=1)
    problem = posed(sampler.filter)

    def step(k):
        values, path, posed_here = joint_draws(problem, k)
        z = unconstrain(values, problem.supports)
        first, second = jax.random.split(jax.random.fold_in(k, 1))
        model = posed_here.at(values)  # an estimate from the law that it has where the chain is at rest
        slots = rows(model, posed_here.observed)
        _, estimate = conditional.sample_path(sampler.filter.kac(model), model, slots, path, first, "genealogy")
        own = sampler.first(posed_here, z, second)
        exact = posed_here.log_prior(values) + sum(
            jnp.sum(t.log_abs_det_jacobian(z[p], values[p])) for p, t in transforms(problem).items()
        )
        state = Walk(z, exact + estimate, estimate, own.factor, jnp.asarray(100), own.key)
        _, kept = sampler.steps(posed_here, state, 4)
        new = {path: v[-1] for path, v in kept.values.items()}
        y = posed_here.observed.y
        return statistics(values, path, y)[:7], statistics(new, path, y)[:7]

    scores, moved = agreement(step, key)
    assert np.abs(scores).max() < 3.5
    assert np.mean(moved[:, 0] != 0) > 0.3


def transforms(problem):
    return {path: dist.biject_to(support) for path, support in problem.supports.items()}


Y = np.array([1.0, 3.0, 0.0, np.nan, 2.0, 5.0, 4.0, 1.0])


@pytest.fixture(scope="module")
def walked():
    sampler = ss.PMMH(ss.BootstrapFilter(num_particles=30), num_warmup=50, num_samples=100, num_chains=2)
    return ss.fit(counts(), Y, sampler, key=3, progress=False)


def test_chains_go_on_where_they_stopped(walked, tmp_path):
    short = ss.PMMH(ss.BootstrapFilter(num_particles=30), num_warmup=50, num_samples=50, num_chains=2)
    first = ss.fit(counts(), Y, short, key=3, progress=False)
    both = ss.resume(first, progress=False)
    for path, draws in walked.draws.items():
        np.testing.assert_array_equal(both.draws[path], draws)
    np.testing.assert_array_equal(both.sample_stats["lp"], walked.sample_stats["lp"])
    first.save(tmp_path / "fit.nc")
    later = ss.resume(ss.load(tmp_path / "fit.nc", model=counts()), 25, priors=PRIORS, progress=False)
    np.testing.assert_array_equal(later.draws["mu"], walked.draws["mu"][:, :75])
    with pytest.raises(ValueError, match="the fit had the priors"):
        ss.resume(ss.load(tmp_path / "fit.nc", model=counts()), priors={"mu": dist.Normal(0, 9)}, progress=False)


def test_what_a_fit_with_particles_says(walked):
    assert walked.method_name == "pmmh"
    assert walked.status.details["log_likelihood_sd"] > 0
    assert set(walked.to_datatree()["sample_stats"].data_vars) >= {"lp", "acceptance_rate", "accepted"}
    assert walked.pointwise is None
    ahead = ss.forecast(walked, horizon=3, key=0, num_samples=50)
    assert ahead.draws.shape == (50, 3, 1)
    assert ss.sample_states(walked, num_samples=10, key=0).shape[-2:] == (8, 1)


def test_states_are_kept(key):
    sampler = ss.ParticleGibbs(
        ss.BootstrapFilter(num_particles=5), num_warmup=25, num_samples=25, num_chains=2, keep_states=True
    )
    fitted = ss.fit(counts(), Y, sampler, key=key, progress=False)
    assert fitted.to_datatree()["posterior"]["states"].shape == (2, 25, 8, 1)
    longer = ss.resume(fitted, 25, progress=False)
    states = longer.to_datatree()["posterior"]["states"]
    np.testing.assert_array_equal(states[:, :25], fitted.to_datatree()["posterior"]["states"])
    assert states.shape == (2, 50, 8, 1)


def test_an_interrupted_run_keeps_its_draws(monkeypatch):
    sampler = ss.PMMH(ss.BootstrapFilter(num_particles=30), num_warmup=50, num_samples=100, num_chains=2)
    count = 0

    def stop(self, stats):
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(ss.PMMH, "describe", stop)
    fitted = ss.fit(counts(), Y, sampler, key=3, progress=False)
    assert not fitted.status.converged
    assert fitted.draws["mu"].shape == (2, 50)
    monkeypatch.undo()
    whole = ss.resume(fitted, progress=False)
    assert whole.draws["mu"].shape == (2, 100)
    assert whole.status.converged


SINGULAR = ss.LinearGaussian(
    np.eye(2), np.array([[1.0], [0.5]]), np.array([[1.0, 0.0]]), np.eye(1), np.zeros(2), np.eye(2)
)


def test_what_cannot_be_is_refused():
    with pytest.raises(TypeError, match="fit by PMMH"):
        ss.fit(counts(), Y, ss.MaximumLikelihood(filter=ss.BootstrapFilter()), progress=False)
    with pytest.raises(TypeError, match="no smooth log-likelihood"):
        ss.fit(counts(), Y, ss.NUTS(filter=ss.BootstrapFilter()), key=0, progress=False)
    with pytest.raises(TypeError, match="is a panel"):
        ss.fit(counts(), [Y, Y[:5]], ss.ParticleGibbs(), key=0, progress=False)
    with pytest.raises(TypeError, match="no density: use PMMH"):
        ss.fit(SINGULAR, Y, ss.ParticleGibbs(), key=0, progress=False)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ss.ParticleGibbs(ss.Kalman()), TypeError, "takes a particle filter"),
        (lambda: ss.ParticleGibbs(ss.BootstrapFilter(1)), ValueError, "at least 2"),
        (lambda: ss.ParticleGibbs(paths="forward"), ValueError, "unknown"),
        (lambda: ss.PMMH(num_chains=0), ValueError, "at least 1"),
        (lambda: ss.PMMH(target_accept=1.5), ValueError, "between 0 and 1"),
        (lambda: ss.resume(3), TypeError, "resume takes"),
    ],
)
def test_bad_options(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_priors_make_data_without_an_exact_method():
    made = ss.prior_predictive(counts(), Y, num_samples=5, key=0)
    assert made.y.shape == (5, 8, 1)
    diffuse = ss.prior_predictive(ss.LocalLevel() + ss.Poisson(), np.arange(8.0), num_samples=3, key=0)
    assert diffuse.y.shape == (3, 8, 1)


def test_rows_added_with_one_key_do_not_repeat_its_numbers(key):
    walk = ss.LocalLevel(1.0, initial=ss.InitialLaw.gaussian([0.0], [1.0])) + ss.Noise(0.5)
    found = ss.filter(walk, np.zeros(1), ss.BootstrapFilter(num_particles=2000), key=key)
    for _ in range(20):
        found = ss.append(found, np.array([np.nan]), key=key)
    assert found.sd[-1, 0] == pytest.approx((found.sd[0, 0] ** 2 + 20) ** 0.5, rel=0.1)


def test_paths_without_a_density_are_refused(key):
    smooth_trend = ss.LocalLinearTrend(0.0, 0.3, initial=ss.InitialLaw.gaussian([0.0, 0.0], [3.0, 1.0])) + ss.Noise(1.0)
    with pytest.raises(TypeError, match="no density"):
        ss.smooth(smooth_trend, Y, ss.BootstrapFilter(num_particles=20), key=key)
    known = ss.LocalLinearTrend(initial=ss.InitialLaw.gaussian([0.0, 0.0], [3.0, 0.0])) + ss.Noise()
    with pytest.raises(TypeError, match="take a BootstrapFilter"):
        ss.fit(known, Y, ss.ParticleGibbs(ss.GuidedFilter(num_particles=5)), key=key, progress=False)
