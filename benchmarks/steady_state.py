"""The steady state of the Kalman filter against the exact filter, in one process: value and gradient.

float64, T = 65536 (STATESPACE_BENCH_LENGTH), known parameters of a generic model, jitted, compile time apart, minima
over repeats. The peer is our own exact filter, whose loop XLA fuses into one kernel at small states. The difference of
the log-likelihoods is printed too.
"""

import os

import statespace as ss  # before the first JAX computation: it sets the loop option

import jax  # isort: skip

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
from _timing import best

from statespace.core.step import make_steps
from statespace.inference.kalman import Kalman
from statespace.inference.method import Observed

T = int(os.environ.get("STATESPACE_BENCH_LENGTH", "65536"))


def level(scale):
    """One state."""
    return ss.LocalLevel(0.3 * scale) + ss.Noise(1.0)


def seasonal(scale):
    """Thirteen states, applied rather than multiplied."""
    return ss.LocalLinearTrend(0.3 * scale, 0.05) + ss.Seasonal(12, scale=0.1) + ss.Noise(0.5)


def dense(scale):
    """Thirty-two states in dense matrices."""
    rng = np.random.default_rng(0)
    f = 0.9 * np.linalg.qr(rng.normal(size=(32, 32)))[0]
    noise = 0.5 * scale * np.eye(32)
    return ss.LinearGaussian(f, noise, rng.normal(size=(1, 32)), [1.0], initial_scale=np.ones(32))


def row(name, model_of, target, rng):
    """Compare one model's value and gradient."""
    y = jnp.asarray(rng.normal(size=(T, 1)).cumsum(axis=0) * 0.1 + rng.normal(size=(T, 1)))
    data = Observed(y, jnp.ones((T, 1), bool), make_steps(T), True)
    kalman = Kalman()
    plan = kalman.plan(model_of(1.0), data)

    def total(scale, plan):
        return jnp.sum(kalman.log_likelihood(model_of(scale), data, plan))

    at, plans = jnp.asarray(1.0), (plan, plan._replace(tails=()))
    values = [jax.jit(lambda s, p=p: total(s, p)) for p in plans]
    slopes = [jax.jit(jax.value_and_grad(lambda s, p=p: total(s, p))) for p in plans]
    gap = abs(float(values[0](at) - values[1](at)))
    for what, pair in (("value", values), ("gradient", slopes)):
        (_, ours), (_, exact) = best(pair[0], at, repeats=20), best(pair[1], at, repeats=3)
        verdict = "ok" if exact / ours >= target else "MISSED"
        print(
            f"{name:14s} {what:9s} steady {ours:8.2f} ms   exact {exact:9.2f} ms   ratio {exact / ours:6.1f}x  "
            f"target {target:g}x {verdict}   |difference| {gap:.1e}",
            flush=True,
        )


def main():
    """Print the table."""
    rng = np.random.default_rng(1)
    for name, model_of, target in (("1 state", level, 2), ("13 states", seasonal, 8), ("32 states", dense, 40)):
        row(name, model_of, target, rng)


if __name__ == "__main__":
    main()
