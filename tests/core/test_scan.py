"""The scan: what is hoisted, checkpointing, and the first stamp that is only updated."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statespace.core.scan import CHECKPOINT_FROM, Hoisted, at, forward, join, length_of, part, scan
from statespace.core.step import make_steps


def test_parts():
    tree = {"a": jnp.arange(6.0), "b": jnp.ones((6, 2))}
    assert length_of(tree) == 6
    assert float(at(tree, 2)["a"]) == 2.0
    np.testing.assert_array_equal(part(tree, 1, 3)["a"], [1, 2])
    np.testing.assert_array_equal(join(part(tree, 0, 2), part(tree, 2, None))["a"], tree["a"])


# --- hoisting -----------------------------------------------------------------------------------------------


def test_what_does_not_depend_on_the_slot_is_computed_once():
    matrix = jnp.eye(2)

    def function(step):
        return {"constant": 2 * matrix, "varying": matrix * step.time, "flag": None}

    steps = make_steps(5)
    hoisted = Hoisted(function, steps)
    constant, varying = hoisted.constant, hoisted.varying
    assert [c is None for c in constant] == [False, True]
    assert [v is None for v in varying] == [True, False]
    assert varying[1].shape == (5, 2, 2)
    here = hoisted.merge([None, varying[1][3]])
    np.testing.assert_array_equal(here["varying"], 3 * matrix)
    np.testing.assert_array_equal(here["constant"], 2 * matrix)
    every = hoisted.all(5)
    np.testing.assert_array_equal(every["constant"], np.broadcast_to(2 * np.eye(2), (5, 2, 2)))
    np.testing.assert_array_equal(every["varying"], np.arange(5)[:, None, None] * np.eye(2))


def test_nothing_varies():
    hoisted = Hoisted(lambda step: (jnp.ones(2), jnp.asarray(3.0)), make_steps(4))
    assert all(v is None for v in hoisted.varying)
    np.testing.assert_array_equal(hoisted.all(4)[0], np.ones((4, 2)))


def test_dependence_goes_through_inner_functions():
    """A dependence that enters through a branch, a loop or an inner jit is still one."""

    def function(step):
        inner = jax.jit(lambda t: t + 1)(step.time)
        looped = jax.lax.fori_loop(0, 2, lambda i, x: x + step.time, jnp.zeros(()))
        return inner, looped, jax.lax.cond(step.index > 1, lambda: 1.0, lambda: 0.0), jnp.zeros(3)

    hoisted = Hoisted(function, make_steps(4))
    assert [c is None for c in hoisted.constant] == [True, True, True, False]
    np.testing.assert_array_equal(hoisted.all(4)[2], [0, 0, 1, 1])


def test_an_output_that_is_an_input():
    hoisted = Hoisted(lambda step: (step.index, step.dt), make_steps(3))
    np.testing.assert_array_equal(hoisted.all(3)[0], [0, 1, 2])
    assert hoisted.varying[1] is None  # regular stamps are all 1 apart


def test_hoisting_passes_gradients():
    def value(scale):
        hoisted = Hoisted(lambda step: (scale**2, scale * step.time), make_steps(4))
        constant, varying = hoisted.all(4)
        return constant.sum() + varying.sum()

    assert float(jax.grad(value)(3.0)) == pytest.approx(4 * 2 * 3 + 6)


# --- the scan -----------------------------------------------------------------------------------------------


def body(carry, x):
    carry = 0.99 * carry + jnp.sin(x)
    return carry, carry**2


@pytest.mark.parametrize("length", [CHECKPOINT_FROM - 1, CHECKPOINT_FROM, CHECKPOINT_FROM + 300])
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_checkpointed_scan_equals_the_plain_one(length, reverse):
    xs = jnp.linspace(0, 7, length)

    def value(start, xs, checkpoint):
        last, kept = scan(body, start, xs, reverse=reverse, checkpoint=checkpoint)
        return last + (kept * jnp.cos(xs)).sum(), (last, kept)

    run = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True), static_argnums=2)
    (_, (last, kept)), gradient = run(0.3, xs, True)
    (_, (plain_last, plain_kept)), plain_gradient = run(0.3, xs, False)
    assert kept.shape == (length,)
    np.testing.assert_allclose(last, plain_last, rtol=1e-12)
    np.testing.assert_allclose(kept, plain_kept, rtol=1e-12)
    np.testing.assert_allclose(gradient[0], plain_gradient[0], rtol=1e-10)
    np.testing.assert_allclose(gradient[1], plain_gradient[1], rtol=1e-10, atol=1e-12)


def test_an_exact_number_of_chunks():
    xs = jnp.arange(float(CHECKPOINT_FROM))
    last, kept = scan(lambda c, x: (c + x, c), jnp.zeros(()), xs, checkpoint=True)
    assert float(last) == xs.sum()
    assert kept.shape == xs.shape


class Slot(NamedTuple):
    drift: jnp.ndarray
    value: jnp.ndarray


class Adding:
    def predict(self, belief, slot):
        return 2 * belief + slot.drift

    def update(self, belief, slot):
        return belief + slot.value, {"before": belief}


@pytest.mark.parametrize("length", [1, 2, 5])
def test_the_first_stamp_is_only_updated(length):
    drift = jnp.full(length, 10.0).at[0].set(jnp.nan)
    slots = Slot(drift, jnp.arange(1.0, length + 1))
    last, kept = forward(Adding(), jnp.asarray(1.0), slots, started=False)
    belief, before = 1.0, []
    for t in range(length):
        belief = belief if t == 0 else 2 * belief + 10
        before.append(belief)
        belief += t + 1
    assert float(last) == belief
    np.testing.assert_array_equal(kept["before"], before)


def test_a_run_that_continues_predicts_at_once():
    slots = Slot(jnp.array([10.0, 20.0]), jnp.array([1.0, 2.0]))
    last, kept = forward(Adding(), jnp.asarray(1.0), slots, started=True)
    np.testing.assert_array_equal(kept["before"], [12, 46])
    assert float(last) == 48.0


def test_steps():
    steps = make_steps(4, start=2, schedule={"a": jnp.arange(6.0)})
    np.testing.assert_array_equal(steps.index, [2, 3, 4, 5])
    np.testing.assert_array_equal(steps.schedule["a"], [2, 3, 4, 5])
    np.testing.assert_array_equal(steps.dt, 1.0)
    assert len(steps[1:3]) == 2
    with pytest.raises(ValueError, match="hold 6 stamps but stamps 3 to 7"):
        make_steps(5, start=3, schedule={"a": jnp.arange(6.0)})
