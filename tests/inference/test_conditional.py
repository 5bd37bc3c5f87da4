"""Conditional SMC: paths from the exact law stay in it, and the inverse of the estimate is unbiased for the inverse."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from inference.problems import problem_of
from inference.test_particle import COUNTS, RATES, START, P, filters, observed_of, switching, switching_likelihood
from scipy.stats import chi2, norm, poisson

import statespace as ss
from statespace.core.belief import Taught
from statespace.inference import conditional
from statespace.inference.method import teacher_forced
from statespace.inference.moves import rows

REPEATS = 20000


def slow(*values):
    """A case of the long run."""
    return pytest.param(*values, marks=pytest.mark.slow)


def taught():
    """The chain, whose counts also depend on the count before."""
    return ss.StateSpace(
        lambda step: dist.Categorical(probs=jnp.asarray(START)),
        lambda x, step: dist.Categorical(probs=jnp.asarray(P)[x]),
        lambda x, step: dist.Poisson(
            jnp.asarray(RATES)[x] * (1 + 0.2 * jnp.where(jnp.isnan(step.previous[0]), 0.0, step.previous[0]))
        ),
        reads_previous=True,
    )


def every_path(reads=False):
    """All paths of the chain, with the count that is missing where it is read, and their joint probabilities."""
    missing = range(60) if reads else [0]
    paths, chances = [], []
    for states, count in itertools.product(itertools.product(range(3), repeat=5), missing):
        y, p = np.where(np.isnan(COUNTS), count, COUNTS), START[states[0]]
        for t, x in enumerate(states):
            p = p * (P[states[t - 1], x] if t else 1.0)
            if reads:
                p = p * poisson.pmf(y[t], RATES[x] * (1 + 0.2 * (y[t - 1] if t else 0.0)))
            elif not np.isnan(COUNTS[t]):
                p = p * poisson.pmf(y[t], RATES[x])
        paths.append((states, y))
        chances.append(p)
    return paths, np.array(chances)


def misfit(found, exact, total):
    """The p-value of frequencies against probabilities, rare ones together."""
    expected = exact * total
    rare = expected < 10
    observed = np.append(found[~rare], found[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    kept = expected > 0
    statistic = np.sum((observed[kept] - expected[kept]) ** 2 / expected[kept])
    return chi2.sf(statistic, kept.sum() - 1)


def apply_once(model, method, observed, references, key, kind):
    """One kernel on each of many paths."""
    slots, kac = rows(model, observed), method.kac(model)
    run = eqx.filter_jit(jax.vmap(lambda path, k: conditional.sample_path(kac, model, slots, path, k, kind)))
    return run(references, jax.random.split(key, jax.tree.leaves(references)[0].shape[0]))


@pytest.mark.parametrize(
    ("method", "size", "kind"),
    [
        ("bootstrap", 2, "genealogy"),
        ("bootstrap", 3, "backward"),
        slow("bootstrap", 2, "ancestor"),
        slow("guided", 3, "genealogy"),
        slow("guided", 2, "backward"),
        slow("guided", 5, "ancestor"),
        slow("auxiliary", 2, "backward"),
        slow("auxiliary", 5, "genealogy"),
        slow("auxiliary", 3, "ancestor"),
    ],
)
def test_paths_of_a_chain_keep_their_law(method, size, kind, key):
    paths, chances = every_path()
    exact = chances / chances.sum()
    chosen = np.random.default_rng(1).choice(len(paths), REPEATS, p=exact)
    references = jnp.asarray(np.array([states for states, _ in paths])[chosen], jnp.int32)
    run = filters("switching", num_particles=size)[method]
    found, estimate = apply_once(switching(), run, observed_of(COUNTS), references, key, kind)
    numbers = np.asarray(found) @ (3 ** np.arange(4, -1, -1))
    assert misfit(np.bincount(numbers, minlength=243), exact, REPEATS) > 1e-3
    changed = np.mean(np.any(np.asarray(found) != np.asarray(references), axis=1))
    assert changed > 0.05
    inverse = np.exp(switching_likelihood() - np.asarray(estimate))
    assert abs(inverse.mean() - 1) < 3.5 * inverse.std() / REPEATS**0.5


@pytest.mark.parametrize("kind", [slow("genealogy"), "backward", slow("ancestor")])
def test_what_was_missing_and_is_read_is_a_part_of_the_path(kind, key):
    paths, chances = every_path(reads=True)
    exact = chances / chances.sum()
    chosen = np.random.default_rng(2).choice(len(paths), REPEATS, p=exact)
    states, y = (np.array([pair[i] for pair in paths])[chosen] for i in (0, 1))
    references = Taught(jnp.asarray(states, jnp.int32), jnp.asarray(y)[:, :, None])
    run, observed = ss.BootstrapFilter(num_particles=3), teacher_forced(taught(), observed_of(COUNTS))
    found, _ = apply_once(taught(), run, observed, references, key, kind)
    numbers = np.asarray(found.x) @ (3 ** np.arange(4, -1, -1))
    by_states = np.bincount(np.repeat(np.arange(243), 60), weights=exact)
    assert misfit(np.bincount(numbers, minlength=243), by_states, REPEATS) > 1e-3
    counts = np.asarray(found.seen)[:, 2, 0].astype(int)
    by_count = exact.reshape(243, 60).sum(axis=0)
    assert misfit(np.bincount(counts, minlength=60), by_count, REPEATS) > 1e-3


A = np.array([[0.8, 0.3], [-0.2, 0.5]])
G = np.array([[0.7, 0.0], [0.2, 0.5]])
H = np.array([[1.0, 0.4], [0.0, 1.0]])
PAIR = ss.LinearGaussian(A, G, H, 0.6 * np.eye(2), [0.5, -1.0], np.diag([1.0, 0.5]))
ROWS = np.array([[1.2, -0.3], [np.nan, np.nan], [0.2, 1.1], [2.5, np.nan], [-1.0, 0.4]])


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        slow(ss.BootstrapFilter(num_particles=3), "genealogy"),
        slow(ss.BootstrapFilter(num_particles=3), "ancestor"),
        slow(ss.GuidedFilter(num_particles=2), "backward"),
        slow(ss.GuidedFilter(num_particles=5), "ancestor"),
        slow(ss.AuxiliaryFilter(num_particles=5), "backward"),
    ],
    ids=str,
)
def test_gaussian_paths_keep_their_moments(method, kind, key):
    problem = problem_of(PAIR, ROWS)
    model, observed = problem.model, problem.observed
    first, second = jax.random.split(key)
    exact = ss.Kalman()
    references = eqx.filter_jit(exact.sample_paths)(model, observed, problem.plan, REPEATS, first)
    found, _ = apply_once(model, method, observed, references, second, kind)
    smoothed = exact.smooth(model, observed, problem.plan)
    mean, cov = np.asarray(smoothed.mean), np.asarray(smoothed.cov)
    spread = np.asarray(found) - mean
    error = np.sqrt(np.diagonal(cov, axis1=1, axis2=2) / REPEATS)
    assert np.abs(spread.mean(axis=0) / error).max() < 4
    squares = np.einsum("sti,stj->stij", spread, spread)
    assert np.abs((squares.mean(axis=0) - cov) / (squares.std(axis=0) / REPEATS**0.5)).max() < 4
    lagged, before = (np.einsum("sti,stj->stij", x[:, 1:], x[:, :-1]) for x in (spread, np.asarray(references) - mean))
    error = np.sqrt((lagged.var(axis=0) + before.var(axis=0)) / REPEATS)
    assert np.abs((lagged.mean(axis=0) - before.mean(axis=0)) / error).max() < 4


def test_the_joint_density_is_that_of_all_normals(key):
    problem = problem_of(PAIR, ROWS)
    path = np.random.default_rng(0).normal(size=(5, 2))
    z = np.linalg.solve(G, (path[1:] - path[:-1] @ A.T).T)
    moves = norm.logpdf(z).sum() - 4 * np.log(np.linalg.det(G))
    seen = np.nansum(norm.logpdf(ROWS, path @ H.T, 0.6))
    start = norm.logpdf(path[0], [0.5, -1.0], [1.0, 0.5]).sum()
    slots = rows(problem.model, problem.observed)
    found = [float(conditional.log_joint(problem.model, jnp.asarray(path), slots, initial=i)) for i in (True, False)]
    np.testing.assert_allclose(found, [start + moves + seen, moves + seen], rtol=1e-12)
