"""Layers learn: by gradients, within a model by its likelihood, and on sequential digits."""

import importlib.util
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import statespace as ss
from statespace.models.layers import LRU, S4D, Stack
from statespace.models.recurrent import GaussianHead, Recurrent

KEY = jax.random.key(2)


def test_optax_trains_every_leaf():
    """A few steps lower the loss, move all weights, and leave finite numbers."""
    stack = Stack(1, 1, lambda key: S4D(4, 4, key=key), depth=2, key=KEY)
    u = jax.random.normal(KEY, (4, 20, 1))
    target = jnp.cumsum(u, axis=1)
    rule = optax.adam(3e-2)

    def loss(stack):
        return jnp.mean((jax.vmap(lambda u: stack.scan(u)[0])(u) - target) ** 2)

    @eqx.filter_jit
    def train(stack):
        arrays, kind = eqx.partition(stack, eqx.is_inexact_array)

        def body(carry, _):
            arrays, state = carry
            value, slopes = jax.value_and_grad(lambda a: loss(eqx.combine(a, kind)))(arrays)
            moves, state = rule.update(slopes, state)
            return (optax.apply_updates(arrays, moves), state), value

        (arrays, _), values = jax.lax.scan(body, (arrays, rule.init(arrays)), None, length=40)
        return arrays, values

    arrays, values = train(stack)
    assert values[-1] < 0.5 * values[0]
    for before, after in zip(
        jax.tree.leaves(eqx.filter(stack, eqx.is_inexact_array)), jax.tree.leaves(arrays), strict=True
    ):
        assert np.all(np.isfinite(after))
        assert np.any(before != after)


def test_a_step_compiles_once():
    stack = Stack(1, 1, lambda key: LRU(3, 4, key=key), depth=2, key=KEY)
    traces = []

    @eqx.filter_jit
    def run(stack, u):
        traces.append(1)
        return stack.scan(u)[0]

    other = jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_inexact_array(leaf) else leaf, stack)
    for model, u in ((stack, np.ones((5, 1))), (stack, np.zeros((5, 1))), (other, np.ones((5, 1)))):
        run(model, u)
    assert len(traces) == 1


@pytest.fixture(scope="module")
def oscillation():
    rng = np.random.default_rng(0)
    y = np.zeros(400)
    for t in range(2, 400):
        y[t] = 1.6 * y[t - 1] - 0.9 * y[t - 2] + rng.normal()
    return y


@pytest.mark.slow
def test_a_layer_within_a_model_is_learned_by_its_likelihood(oscillation):
    """An LRU fed the observation before predicts an AR(2) nearly as well as the law that made it."""
    fitted = ss.fit(Recurrent(LRU(1, 2, key=KEY), GaussianHead()), oscillation, ss.MaximumLikelihood(num_starts=3))
    innovations = oscillation[2:] - 1.6 * oscillation[1:-1] + 0.9 * oscillation[:-2]
    best = -0.5 * np.sum(innovations**2 + np.log(2 * np.pi))
    found = float(ss.log_likelihood(fitted, oscillation))
    naive = -0.5 * 400 * (np.log(2 * np.pi * oscillation.var()) + 1)
    assert found > best - 20
    assert found > naive + 300


@pytest.mark.slow
def test_a_layer_within_a_model_is_sampled(oscillation):
    model = Recurrent(LRU(1, 1, key=KEY), GaussianHead())
    fitted = ss.fit(model, oscillation[:100], ss.NUTS(num_warmup=100, num_samples=100, num_chains=1), key=KEY)
    draws = fitted.draws["cell.recursion.log_decay"]
    assert np.all(np.isfinite(draws))
    assert np.std(draws) > 0


@pytest.mark.slow
def test_sequential_digits():
    pytest.importorskip("sklearn")
    folder = Path(__file__).resolve().parents[3] / "benchmarks"
    specification = importlib.util.spec_from_file_location("digits", folder / "digits.py")
    digits = importlib.util.module_from_spec(specification)
    sys.modules["digits"] = digits
    specification.loader.exec_module(digits)
    with jax.enable_x64(False):
        accuracy, _, _ = digits.train("LRU", 0)
    assert accuracy >= 0.95
