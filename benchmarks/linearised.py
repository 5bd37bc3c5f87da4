"""The extended Kalman filter of a nonlinear model of four states against our own Kalman filter of the same size.

float64, T = 1000, jitted log-likelihoods of arrays, compile time apart, minima over repeats. The model is two coupled
pendulums in broadcast form; what linearising costs is the ratio, which is to stay below 3 for value and gradient.
"""

import os

import statespace as ss  # before the first JAX computation: it sets the loop option

import jax  # isort: skip

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
from _timing import best

from statespace.core.step import make_steps
from statespace.inference.method import Observed, Plan

T = int(os.environ.get("STATESPACE_BENCH_LENGTH", "1000"))
DT = 0.05


class Pendulums(ss.AbstractGaussianDynamics, ss.AbstractMomentEmission):
    """Two coupled pendulums, of which the horizontal positions are seen."""

    gravity: jax.Array
    scale: jax.Array
    noise: jax.Array

    @property
    def state_names(self):
        return ("angle1", "speed1", "angle2", "speed2")

    @property
    def num_series(self):
        return 2

    def initial(self, step):
        return ss.LinearGaussian(np.eye(4), np.eye(4), np.eye(4), np.eye(4), initial_scale=0.3 * np.ones(4)).initial(
            step
        )

    def drift(self, x, step):
        pull = 0.3 * (x[2] - x[0])
        first = x[1] + DT * (pull - self.gravity * jnp.sin(x[0]))
        second = x[3] + DT * (-pull - self.gravity * jnp.sin(x[2]))
        return jnp.stack([x[0] + DT * x[1], first, x[2] + DT * x[3], second])

    def noise_factor(self, x, step):
        return self.scale * jnp.eye(4)

    def conditional_moments(self, x, step):
        return jnp.stack([jnp.sin(x[0]), jnp.sin(x[2])]), self.noise**2 * jnp.eye(2)


def linear(gravity, scale, noise):
    """A linear model of the same size."""
    pull = 0.3 * DT
    f = jnp.array([[1, DT, 0, 0], [0, 1, 0, 0], [0, 0, 1, DT], [0, 0, 0, 1]])
    f = f.at[1, 0].set(-pull - DT * gravity).at[1, 2].set(pull).at[3, 0].set(pull).at[3, 2].set(-pull - DT * gravity)
    h = jnp.array([[1.0, 0, 0, 0], [0, 0, 1, 0]])
    return ss.LinearGaussian(f, scale * jnp.ones(4), h, noise * jnp.ones(2), initial_scale=0.3 * np.ones(4))


def functions(make, method):
    """Value, and value and gradient, of a method's log-likelihood as functions of parameters and data."""
    steps = make_steps(T)

    def value(parameters, y):
        observed = Observed(y, jnp.ones(y.shape, bool), steps, True)
        return jnp.sum(method.log_likelihood(make(*parameters), observed, Plan(0)))

    return jax.jit(value), jax.jit(jax.value_and_grad(value))


def main():
    parameters = (jnp.asarray(9.8), jnp.asarray(0.05), jnp.asarray(0.1))
    y = jnp.asarray(np.random.default_rng(0).normal(size=(T, 2)) * 0.3)
    kalman = [best(f, parameters, y) for f in functions(linear, ss.Kalman())]
    print(f"{'Kalman (linear, 4 states)':42s} value {kalman[0][1]:8.3f} ms   gradient {kalman[1][1]:8.3f} ms")
    methods = {
        "ExtendedKalman()": (ss.ExtendedKalman(), 3.0),
        "ExtendedKalman(iterations=2)": (ss.ExtendedKalman(iterations=2), None),
        "CubatureKalman()": (ss.CubatureKalman(), None),
        "UnscentedKalman()": (ss.UnscentedKalman(), None),
    }
    for name, (method, target) in methods.items():
        found = [best(f, parameters, y) for f in functions(Pendulums, method)]
        ratios = [ours[1] / theirs[1] for ours, theirs in zip(found, kalman, strict=True)]
        verdict = "" if target is None else f"  target {target:g}x {'ok' if max(ratios) <= target else 'MISSED'}"
        print(
            f"{name:42s} value {found[0][1]:8.3f} ms   gradient {found[1][1]:8.3f} ms   "
            f"ratios {ratios[0]:5.2f}x {ratios[1]:5.2f}x   compile {found[0][0]:.1f} s {found[1][0]:.1f} s{verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main()
