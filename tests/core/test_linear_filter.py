"""The outputs of a linear system by blocks, against scipy's simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import dlsim, lfilter

from statespace.core.linear_filter import linear_filter

RNG = np.random.default_rng(0)
A = 0.9 * np.linalg.qr(RNG.normal(size=(3, 3)))[0]
B, C = RNG.normal(size=(3, 2)), RNG.normal(size=(2, 3))
DRIFT, X0 = RNG.normal(size=3), RNG.normal(size=3)


def simulated(u, drift):
    wide = np.concatenate([u, np.ones((len(u), 1))], axis=1)
    system = A, np.column_stack([B, drift]), C, np.zeros((2, 3)), 1
    padded = np.concatenate([wide, np.zeros((1, 3))])  # one row more, for the state after the last input
    _, outputs, states = dlsim(system, padded, x0=X0)
    return outputs[:-1], states[-1]


@pytest.mark.parametrize("length", [1, 7, 8, 100])
@pytest.mark.parametrize("drifting", [False, True])
def test_blocks_are_the_simulation(length, drifting):
    u = RNG.normal(size=(length, 2))
    outputs, last = simulated(u, DRIFT if drifting else np.zeros(3))
    drift = jnp.asarray(DRIFT) if drifting else None
    found = linear_filter(*map(jnp.asarray, (A, B, C, u, X0)), drift=drift, block=8)
    np.testing.assert_allclose(found.outputs, outputs, atol=1e-12)
    np.testing.assert_allclose(found.last, last, atol=1e-12)


def test_without_stamps_nothing_happens():
    found = linear_filter(*map(jnp.asarray, (A, B, C, np.zeros((0, 2)), X0)))
    assert found.outputs.shape == (0, 2)
    np.testing.assert_array_equal(found.last, X0)


def test_it_is_a_recursive_filter():
    """An IIR filter in scipy's coefficients, as its companion system."""
    ar, ma = [1.0, -0.6, 0.2], [1.0, 0.4]
    u = RNG.normal(size=50)
    a, b = jnp.array([[0.6, 1.0], [-0.2, 0.0]]), jnp.array([[1.0], [0.4]])
    found = linear_filter(a, b, jnp.array([[1.0, 0.0]]), jnp.asarray(u)[:, None], jnp.zeros(2), block=16)
    np.testing.assert_allclose(found.outputs[1:, 0], lfilter(ma, ar, u)[:-1], atol=1e-12)


def test_gradients_are_those_of_a_loop():
    u = jnp.asarray(RNG.normal(size=(20, 2)))

    def loop(a, b, c, x):
        total = 0.0
        for row in u:
            total, x = total + jnp.sum(jnp.sin(c @ x)), a @ x + b @ row
        return total

    def blocks(a, b, c, x):
        return jnp.sum(jnp.sin(linear_filter(a, b, c, u, x, block=8).outputs))

    args = tuple(map(jnp.asarray, (A, B, C, X0)))
    expected, found = (jax.jit(jax.grad(f, argnums=(0, 1, 2, 3)))(*args) for f in (loop, blocks))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-11)
