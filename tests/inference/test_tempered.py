"""Tempered SMC: evidence and posteriors in closed form, several modes, programs, going on."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.stats import multivariate_normal, norm

import statespace as ss
from statespace.inference import tempered
from statespace.inference.tempered import pooled_evidence

Y = np.random.default_rng(0).normal(1.0, 1.0, 20)
MANY = ss.TemperedSMC(num_samples=400, chain_length=10, num_chains=40)


def conjugate(y, sd=2.0):
    """A normal mean, told twice."""
    mean = numpyro.sample("mean", dist.Normal(0.0, sd))
    numpyro.deterministic("double", 2 * mean)
    numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)


def test_evidence_and_posterior_of_a_normal_mean():
    found = ss.sample_program(conjugate, Y, sampler=MANY, key=0, sd=2.0, progress=False)
    exact = multivariate_normal.logpdf(Y, np.zeros(20), np.eye(20) + 4)
    assert abs(found.log_evidence - exact) < 3.5 * found.log_evidence_se + 1 / 400
    assert found.log_evidence_se < 0.03
    precision = 20 + 1 / 4
    by_run = found.draws["mean"].mean(axis=1)
    assert abs(by_run.mean() - Y.sum() / precision) < 3.5 * by_run.std() / 40**0.5
    spread = found.draws["mean"].var(axis=1)
    assert abs(spread.mean() - 1 / precision) < 3.5 * spread.std() / 40**0.5 + 0.01 / precision
    np.testing.assert_allclose(found.draws["double"], 2 * found.draws["mean"])
    assert found.to_datatree()["sample_stats"].attrs["log_evidence"] == found.log_evidence
    assert found.summary().loc["mean", "mean"] == pytest.approx(Y.sum() / precision, abs=0.01)


def two_humps():
    """A law with two far modes of unequal mass, through a factor, and a positive site."""
    x = numpyro.sample("x", dist.Normal(0.0, 5.0))
    scale = numpyro.sample("scale", dist.HalfNormal(1.0))
    numpyro.factor("bump", jnp.logaddexp(jnp.log(0.7) + _bump(x, -4.0), jnp.log(0.3) + _bump(x, 4.0)) - 0.0 * scale)


def _bump(x, centre):
    return -0.5 * ((x - centre) / 0.3) ** 2 - jnp.log(0.3 * jnp.sqrt(2 * jnp.pi))


@pytest.mark.slow
def test_two_modes_are_found_in_their_shares():
    found = ss.sample_program(two_humps, sampler=MANY, key=1, progress=False)
    mass = np.array([0.7, 0.3]) * norm.pdf(4.0, 0.0, np.hypot(5.0, 0.3))
    assert abs(found.log_evidence - np.log(mass.sum())) < 3.5 * found.log_evidence_se + 0.005
    left = (found.draws["x"] < 0).mean(axis=1)
    assert abs(left.mean() - 0.7) < 3.5 * left.std() / 40**0.5 + 0.005
    assert found.draws["scale"].min() > 0
    scale = found.draws["scale"].mean(axis=1)
    assert abs(scale.mean() - (2 / np.pi) ** 0.5) < 3.5 * scale.std() / 40**0.5


LEVEL = ss.LocalLevel(initial=ss.InitialLaw.gaussian([1000.0], [300.0])) + ss.Noise()
SMALL = ss.TemperedSMC(num_samples=200, chain_length=10, num_chains=2)


@pytest.fixture(scope="module")
def nile_fit():
    return ss.fit(LEVEL, ss.datasets.nile(), SMALL, key=0, progress=False)


def test_a_fit_by_tempering(nile_fit, tmp_path):
    assert nile_fit.method_name == "tempered_smc"
    assert 30 < nile_fit.estimates["level.scale"] < 60
    assert nile_fit.pointwise["loo"].shape == (2, 200, 100)
    nile_fit.save(tmp_path / "fit.nc")
    more = ss.resume(ss.load(tmp_path / "fit.nc"), progress=False)
    assert more.draws["level.scale"].shape == (2, 400)
    np.testing.assert_array_equal(more.draws["level.scale"][:, :200], nile_fit.draws["level.scale"])


def test_the_evidence_is_that_of_the_original_scale(nile_fit):
    y = np.exp(ss.datasets.nile() / 1000.0)
    model = ss.LocalLevel(initial=ss.InitialLaw.gaussian([1.0], [0.3])) + ss.Noise()
    logged = ss.fit(model, y, SMALL, transform="log", key=0, progress=False)
    plain = ss.fit(model, np.log(y), SMALL, key=0, progress=False)
    difference = logged.status.details["log_evidence"] - plain.status.details["log_evidence"]
    assert difference == pytest.approx(-np.log(y).sum(), rel=1e-9)


@pytest.fixture
def stopping(monkeypatch):
    """Runs are interrupted after their first stage, until `undo`."""
    advance, count = tempered._advance, 0

    def stop(*args):
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return advance(*args)

    monkeypatch.setattr(tempered, "_advance", stop)
    return monkeypatch


def test_an_interruption_keeps_the_particles(stopping, nile_fit):
    part = ss.fit(LEVEL, ss.datasets.nile(), SMALL, key=0, progress=False)
    assert not part.status.converged
    assert "interrupted at the exponent" in part.status.message
    stopping.undo()
    whole = ss.resume(part, progress=False)
    assert whole.status.converged
    for path, draws in nile_fit.draws.items():
        np.testing.assert_array_equal(whole.draws[path], draws)


def impossible():
    numpyro.sample("x", dist.Normal(0.0, 1.0))
    numpyro.factor("never", -jnp.inf)


def discrete():
    numpyro.sample("k", dist.Bernoulli(0.5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ss.TemperedSMC(num_samples=100, chain_length=30), ValueError, "multiple of chain_length"),
        (lambda: ss.TemperedSMC(share=1.0), ValueError, "between 0 and 1"),
        (lambda: ss.sample_program(impossible, sampler=SMALL, key=0), ValueError, "positive likelihood"),
        (lambda: ss.sample_program(discrete, sampler=SMALL, key=0), ValueError, "discrete"),
        (lambda: ss.sample_program(conjugate, Y, sampler=ss.NUTS(), key=0), TypeError, "takes TemperedSMC"),
        (
            lambda: ss.fit(LEVEL, Y, ss.TemperedSMC(filter=ss.BootstrapFilter()), key=0),
            TypeError,
            "only estimated",
        ),
        (lambda: ss.fit(LEVEL, Y, SMALL, start={"noise.scale": 1.0}, key=0), ValueError, "starts from the priors"),
    ],
)
def test_what_cannot_be_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_evidence_is_pooled_on_its_own_scale():
    logs = np.log([1.0, 2.0, 4.0])
    pooled, error = pooled_evidence(logs)
    assert pooled == pytest.approx(np.log(7 / 3))
    leave = np.log([3.0, 2.5, 1.5])
    assert error == pytest.approx(2 / 3**0.5 * leave.std(ddof=1))


def test_a_panel_has_one_evidence_on_the_original_scale():
    y = {"north": np.exp(Y[:8] / 5), "south": np.exp(Y[8:16] / 5)}
    model = ss.LocalLevel(initial=ss.InitialLaw.gaussian([0.0], [1.0])) + ss.Noise()
    small = ss.TemperedSMC(num_samples=100, chain_length=10, num_chains=2)
    logged = ss.fit(model, y, small, transform="log", key=0, progress=False)
    found = {member.status.details["log_evidence"] for member in logged.values()}
    plain = ss.fit(model, {k: np.log(v) for k, v in y.items()}, small, key=0, progress=False)
    expected = plain["north"].status.details["log_evidence"] - sum(np.log(v).sum() for v in y.values())
    assert len(found) == 1
    assert found.pop() == pytest.approx(expected, rel=1e-4)


def test_a_population_keeps_its_size(nile_fit):
    once = ss.resume(nile_fit, progress=False)
    twice = ss.resume(once, progress=False)
    assert twice.draws["level.scale"].shape == (2, 600)
    assert twice.sampler.num_samples == 200
    with pytest.raises(ValueError, match="moves all its particles"):
        ss.resume(nile_fit, 100, progress=False)


def test_draws_at_the_edge_do_not_freeze_the_others():
    def program():
        rate = numpyro.sample("rate", dist.Gamma(0.001, 1.0))
        numpyro.sample("y", dist.Normal(rate, 1.0), obs=0.5)

    found = ss.sample_program(program, sampler=SMALL, key=0, progress=False)
    assert found.sample_stats["acceptance_rate"].min() > 0


def test_a_run_of_a_program_goes_on_from_a_file(tmp_path, stopping):
    part = ss.sample_program(conjugate, Y, sampler=SMALL, key=0, progress=False)
    stopping.undo()
    assert not part.status.converged
    part.save(tmp_path / "part.nc")
    read = ss.load(tmp_path / "part.nc")
    assert read.status.message == part.status.message
    assert read.status.details["exponent"] == part.status.details["exponent"]
    assert read.to_datatree().identical(part.to_datatree())
    found = ss.sample_program(conjugate, Y, sampler=SMALL, key=1, start=read, progress=False)
    whole = ss.sample_program(conjugate, Y, sampler=SMALL, key=0, progress=False)
    np.testing.assert_array_equal(found.draws["mean"], whole.draws["mean"])
    assert found.log_evidence == whole.log_evidence
    with pytest.raises(ValueError, match="the sampler makes"):
        ss.sample_program(conjugate, Y, sampler=MANY, key=1, start=read, progress=False)
