"""Simulation-based calibration of the local level under NUTS.

Parameters are drawn from the priors, data from the model, and the rank of the truth among (thinned)
posterior draws must be uniform. Reference: Talts et al. (2018); band: Saeilynoja, Buerkner and Vehtari (2022),
here by simulation, simultaneous over the ranks.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statespace as ss
from statespace.inference import nuts
from statespace.inference.priors import merge_priors
from statespace.inference.problem import make_problem
from statespace.inference.starts import first_values

LENGTH, DRAWS = 40, 31
START = ss.InitialLaw.gaussian([0.0], [1.0])


def model():
    return ss.LocalLevel(initial=START) + ss.Noise()


def ranks(replicates, warmup, thin, seed=0):
    """Ranks of the true scales among thinned draws, (replicate, parameter)."""
    priors = merge_priors(model(), 1.0, None)
    method = nuts.NUTS(warmup, DRAWS * thin, 1, chain_method="vectorised")
    found = []
    for number in range(replicates):
        key = jax.random.fold_in(jax.random.key(seed), number)
        keys = jax.random.split(key, 4)
        truth = {path: prior.sample(k) for (path, prior), k in zip(priors.items(), keys, strict=False)}
        known = ss.LocalLevel(truth["level.scale"], initial=START) + ss.Noise(truth["noise.scale"])
        y = np.asarray(ss.simulate(known, LENGTH, key=keys[2]).y)[0]
        problem = make_problem(model(), y, np.ones_like(y, bool), priors=priors, scale=1.0)
        draws = method.run(problem, first_values(problem, 1.0, None), keys[3], lambda *progress: None).values
        found.append([int((draws[path][0, ::thin] < truth[path]).sum()) for path in priors])
    return np.array(found)


def band(replicates, level, simulations=20_000):
    """The largest ECDF difference that uniform ranks stay below with the given probability."""
    rng = np.random.default_rng(1)
    grid = np.arange(DRAWS + 1)
    uniform = rng.integers(0, DRAWS + 1, size=(simulations, replicates))
    ecdf = np.stack([(uniform <= g).mean(axis=1) for g in grid], axis=1)
    return np.quantile(np.abs(ecdf - (grid + 1) / (DRAWS + 1)).max(axis=1), level)


def check(replicates, warmup, thin):
    found = ranks(replicates, warmup, thin)
    limit = band(replicates, 0.99)
    grid = np.arange(DRAWS + 1)
    for column in found.T:
        difference = np.abs([(column <= g).mean() - (g + 1) / (DRAWS + 1) for g in grid]).max()
        assert difference < limit


def test_calibrated_small():
    check(replicates=25, warmup=150, thin=4)


@pytest.mark.slow
def test_calibrated():
    check(replicates=200, warmup=500, thin=10)


def test_band_is_sensible():
    # a sharp bias in the ranks leaves the band
    shifted = np.clip(np.random.default_rng(0).integers(0, DRAWS + 1, 200) + 6, 0, DRAWS)
    difference = max(abs((shifted <= g).mean() - (g + 1) / (DRAWS + 1)) for g in range(DRAWS + 1))
    assert difference > band(200, 0.99, simulations=2_000)
    assert jnp.isfinite(band(25, 0.99, simulations=2_000))
