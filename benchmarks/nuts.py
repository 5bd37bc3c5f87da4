"""Nile by NUTS, 2 chains of 500 + 500: ours against a hand-written NumPyro scan and pymc-extras.

Wall and CPU seconds, first call (compilation included) and a second call on new data of the same shape. The
hand-written program is what a careful NumPyro user would write: a scalar Kalman recursion in `lax.scan` and
`numpyro.factor`, a large-variance start instead of a diffuse one. pymc-extras is timed if it is installed.
"""

import functools
import importlib.util
import os
import tempfile
import time

import statespace as ss  # before the first JAX computation: it sets the loop option

import jax  # isort: skip

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC
from numpyro.infer import NUTS as NumpyroNUTS

SETTINGS = {"num_warmup": 500, "num_samples": 500, "num_chains": 2}


def program(y):
    """A local level written by hand."""
    level = numpyro.sample("level", dist.HalfNormal(0.5 * 169.0))
    noise = numpyro.sample("noise", dist.HalfNormal(169.0))

    def step(carry, value):
        mean, variance = carry
        variance = variance + level**2
        total = variance + noise**2
        error = value - mean
        gain = variance / total
        term = -0.5 * (jnp.log(2 * jnp.pi * total) + error**2 / total)
        return (mean + gain * error, variance * (1 - gain)), term

    _, terms = jax.lax.scan(step, (y[0], noise**2), y[1:])
    numpyro.factor("likelihood", terms.sum())


def timed(function, *args):
    """(wall, CPU seconds, result)."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(*args)
    return time.perf_counter() - wall, time.process_time() - cpu, result


def ours(y, seed):
    """A fit with its pointwise densities left in: everything that the user gets."""
    model = ss.LocalLevel() + ss.Noise()
    return ss.fit(model, y, ss.NUTS(**SETTINGS), key=jax.random.key(seed), progress=False)


@functools.cache
def driver():
    """NumPyro's own driver, kept so that new data of the same shape compile nothing."""
    return MCMC(NumpyroNUTS(program), **SETTINGS, chain_method="vectorized", progress_bar=False, jit_model_args=True)


def hand_written(y, seed):
    """The same by NumPyro's own driver."""
    driver().run(jax.random.key(seed), jnp.asarray(y))
    return driver().get_samples()


def pymc_extras(y, seed):
    """pymc-extras' structural local level; its compiler starts from an empty folder, as ours starts from no cache."""
    import pymc as pm
    import pytensor.tensor as pt
    from pymc_extras.statespace import structural

    level = structural.LevelTrend(order=1, innovations_order=1)
    built = (level + structural.MeasurementError()).build(verbose=False)
    with pm.Model(coords=built.coords):
        pm.Normal("initial_level_trend", 1000.0, 1000.0, dims=built.param_dims["initial_level_trend"])
        pm.HalfNormal("sigma_level_trend", 84.0, dims=built.param_dims["sigma_level_trend"])
        pm.HalfNormal("sigma_MeasurementError", 169.0)
        pm.Deterministic("P0", pt.as_tensor(1e6 * np.eye(1)), dims=built.param_dims["P0"])
        built.build_statespace_graph(y[:, None])
        return pm.sample(500, tune=500, chains=2, cores=1, random_seed=seed, progressbar=False)


def main():
    """Print the table."""
    y = ss.datasets.nile().to_numpy(float)
    other = y[::-1].copy()
    runs = {"statespace": ours, "hand-written NumPyro": hand_written}
    if importlib.util.find_spec("pymc_extras"):
        os.environ["PYTENSOR_FLAGS"] = f"base_compiledir={tempfile.mkdtemp()}"
        runs["pymc-extras"] = pymc_extras
    table = {}
    for name, run in runs.items():
        cold = timed(run, y, 0)
        warm = min((timed(run, other, seed) for seed in (1, 2, 3)), key=lambda t: t[1])
        table[name] = (cold, warm)
        print(
            f"{name:22s} cold {cold[0]:6.2f} s wall {cold[1]:6.2f} s CPU   "
            f"warm {warm[0]:6.2f} s wall {warm[1]:6.2f} s CPU"
        )
    for name, (cold, warm) in table.items():
        if name != "statespace":
            mine = table["statespace"]
            print(
                f"{name} / statespace: cold {cold[1] / mine[0][1]:.1f}x, warm {warm[1] / mine[1][1]:.1f}x (CPU seconds)"
            )


if __name__ == "__main__":
    main()
