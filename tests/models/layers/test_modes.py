"""Every layer gives the same outputs, states and derivatives whichever way it is run."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statespace.models.layers import (
    LRU,
    S4,
    S4D,
    S5,
    AbstractInvariant,
    LinearAttention,
    Mamba,
    SelectiveSSM,
    ShortConvolution,
    Stack,
)

KEY = jax.random.key(3)
WIDE = {"step_bounds": (0.05, 0.5)}

LAYERS = {
    "LRU": lambda: LRU(3, 4, 2, key=KEY),
    "S4D": lambda: S4D(3, 4, **WIDE, key=KEY),
    "S5": lambda: S5(3, 8, 2, blocks=2, **WIDE, key=KEY),
    "S4": lambda: S4(3, 4, **WIDE, key=KEY),
    "selective": lambda: SelectiveSSM(3, 2, **WIDE, key=KEY),
    "Mamba": lambda: Mamba(2, 2, width=3, key=KEY),
    "attention": lambda: LinearAttention(4, 2, key_size=3, key=KEY),
    "gated attention": lambda: LinearAttention(4, 2, decay="gated", key=KEY),
    "stack": lambda: Stack(3, 2, lambda key: LRU(4, 3, key=key), depth=2, key=KEY),
}
MORE = {
    "S4D inverse, bilinear": lambda: S4D(3, 4, initial_modes="inv", rule="s4_bilinear", **WIDE, key=KEY),
    "S4D Legendre": lambda: S4D(3, 6, initial_modes="legs", **WIDE, key=KEY),
    "S5 bilinear": lambda: S5(3, 6, rule="s4_bilinear", **WIDE, key=KEY),
    "S4 window": lambda: S4(3, 6, measure="legt", **WIDE, key=KEY),
    "S4 Fourier": lambda: S4(3, 6, measure="fout", **WIDE, key=KEY),
    "selective, Euler": lambda: SelectiveSSM(3, 2, rule="held_euler", step_rank=2, **WIDE, key=KEY),
    "retention": lambda: LinearAttention(4, 2, decay="fixed", feature_map="identity", key=KEY),
    "fixed decay": lambda: LinearAttention(4, 2, decay="fixed", key=KEY),
    "short convolution": lambda: ShortConvolution(3, 3, key=KEY),
    "mixed stack": lambda: Stack(3, 2, _in_turn(), key=KEY),
}


def _in_turn():
    kinds = iter([lambda key: LRU(4, 3, key=key), lambda key: Mamba(4, 2, key=key)])
    return lambda key: next(kinds)(key)


def cases(*names):
    """These layers in the default suite, the others where slow tests run."""
    marks = {name: () if name in names else pytest.mark.slow for name in [*LAYERS, *MORE]}
    return pytest.mark.parametrize("name", [pytest.param(name, marks=mark) for name, mark in marks.items()])


@functools.cache
def make(name, length=100, dtype=float):
    """A layer, inputs, a state that is not zero, uneven steps and a mask."""
    layer = {**LAYERS, **MORE}[name]()
    keys = iter(jax.random.split(jax.random.key(7), 20))
    u = jax.random.normal(next(keys), (length, layer.input_size), dtype)

    def some(leaf):
        draw = jax.random.normal(next(keys), leaf.shape, leaf.real.dtype)
        draw = (
            draw + 1j * jax.random.normal(next(keys), leaf.shape, leaf.real.dtype) if jnp.iscomplexobj(leaf) else draw
        )
        return (jnp.abs(draw) if "attention" in name or "decay" in name else draw).astype(leaf.dtype)

    state = jax.tree.map(some, layer.start())
    dt = jax.random.uniform(next(keys), (length,), dtype, 0.2, 2.0) if layer.reads_dt else None
    mask = jax.random.bernoulli(next(keys), 0.8, (length,))
    return layer, u, state, dt, mask


def size(tree):
    return float(np.max([np.max(np.abs(x), initial=0.0) for x in jax.tree.leaves(tree)], initial=0.0))


def gap(one, other):
    """The largest difference between two trees, relative to each leaf's size or one."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return float(np.max([size(a - b) / max(size(b), 1.0) for a, b in pairs]))


def by_steps(layer, u, state, dt=None, mask=None):
    """The oracle: a step at a time."""

    def body(state, slot):
        u, dt, present = slot
        after, output = layer.step(state, u, dt)
        if present is None:
            return after, output
        after = jax.tree.map(lambda new, old: jnp.where(present, new, old), after, state)
        return after, jnp.where(present, output, 0.0)

    u = u if mask is None else jnp.where(mask[:, None], u, 0.0)
    last, outputs = jax.lax.scan(body, state, (u, dt, mask))
    return outputs, last


def ways(layer, uneven):
    """All ways of running a layer, by name."""
    methods = ["sequential", "chunked", "associative"]
    invariant = isinstance(layer, AbstractInvariant) and not uneven
    of_invariant = isinstance(layer, Stack) and all(isinstance(b.layer, AbstractInvariant) for b in layer.blocks)
    methods += ["fft"] if invariant or (of_invariant and not uneven) else []

    def scan(method):
        def run(layer, u, state, dt=None, mask=None):
            return layer.scan(u, state, dt=dt, mask=mask, method=method)

        return run

    found = {method: scan(method) for method in methods if not (isinstance(layer, Stack) and method == "chunked")}
    return {**found, "convolve": lambda layer, u, state, *rest: layer.convolve(u, state)} if invariant else found


def with_derivatives(run):
    """Outputs and last state, and the derivatives of a fixed functional of both in weights, inputs, state and dt."""

    def functional(differentiable, mask):
        outputs, last = run(*differentiable, mask)
        weights = jnp.cos(jnp.arange(outputs.size, dtype=outputs.dtype)).reshape(outputs.shape)
        ends = sum(jnp.sum(jnp.sin(x.real) + jnp.cos(x.imag)) for x in jax.tree.leaves(last))
        return jnp.sum(weights * outputs) + ends, (outputs, last)

    return eqx.filter_value_and_grad(functional, has_aux=True)


@eqx.filter_jit
def everything(layer, u, state, dt, mask):
    oracle = with_derivatives(by_steps)((layer, u, state, dt), mask)
    uneven = dt is not None or mask is not None
    return oracle, {
        name: with_derivatives(run)((layer, u, state, dt), mask) for name, run in ways(layer, uneven).items()
    }


def check(layer, u, state, dt, mask, tolerance):
    """All ways agree with the oracle, and so do their derivatives."""
    ((_, (outputs, last)), derivatives), found = everything(layer, u, state, dt, mask)
    for name, ((_, (got, end)), slopes) in found.items():
        assert got.dtype == u.dtype, name
        assert gap((got, end), (outputs, last)) < tolerance, name
        assert gap(slopes, derivatives) < tolerance * 10, name
    return outputs, last


@eqx.filter_jit
def values(layer, u, state, dt=None, mask=None):
    uneven = dt is not None or mask is not None
    found = {name: run(layer, u, state, dt, mask) for name, run in ways(layer, uneven).items()}
    return by_steps(layer, u, state, dt, mask), found


def check_values(layer, u, state, tolerance):
    oracle, found = values(layer, u, state)
    for name, got in found.items():
        assert got[0].dtype == u.dtype, name
        assert gap(got, oracle) < tolerance, name


@cases("LRU", "S4")
def test_all_ways_agree(name):
    layer, u, state, _, _ = make(name)
    check(layer, u, state, None, None, 1e-10)


@cases("LRU", "attention")
def test_all_ways_agree_on_uneven_steps_some_of_which_do_not_happen(name):
    layer, u, state, dt, mask = make(name)
    outputs, _ = check(layer, jnp.where(mask[:, None], u, jnp.nan), state, dt, mask, 1e-10)
    assert np.all(np.asarray(outputs)[~np.asarray(mask)] == 0)


@cases("S4D", "stack")
@pytest.mark.parametrize("length", [1, pytest.param(7, marks=pytest.mark.slow)])
def test_all_ways_agree_on_short_sequences(name, length):
    layer, u, state, _, _ = make(name, length)
    check_values(layer, u, state, 1e-10)


@pytest.mark.slow
@cases()
@pytest.mark.parametrize("length", [64, 1024])
def test_all_ways_agree_on_long_sequences(name, length):
    layer, u, state, dt, mask = make(name, length)
    check(layer, u, state, None, None, 1e-10)
    check(layer, u, state, dt, mask, 1e-10)


@cases("LRU")
def test_single_precision(name):
    with jax.enable_x64(False):
        layer, u, state, _, _ = make(name, 100, jnp.float32)
        check_values(layer, u, state, 2e-5 * (1 + np.log2(100)))


@pytest.mark.slow
@cases()
def test_single_precision_derivatives_and_long_sequences(name):
    with jax.enable_x64(False):
        layer, u, state, dt, mask = make(name, 100, jnp.float32)
        check(layer, u, state, None, None, 2e-5 * (1 + np.log2(100)))
        check(layer, u, state, dt, mask, 2e-5 * (1 + np.log2(100)))
        check_values(*make(name, 1024, jnp.float32)[:3], 2e-5 * (1 + 10))


@cases("Mamba", "attention")
def test_a_scan_resumes_anywhere(name):
    layer, u, state, dt, mask = make(name, 8)

    @eqx.filter_jit
    def parts(layer, u, state, dt, mask):
        whole = layer.scan(u, state, dt=dt, mask=mask)
        split = []
        for k in (0, 3, 8):
            first, middle = layer.scan(u[:k], state, dt=None if dt is None else dt[:k], mask=mask[:k])
            second, last = layer.scan(u[k:], middle, dt=None if dt is None else dt[k:], mask=mask[k:])
            split.append((jnp.concatenate([first, second]), last))
        return whole, split

    whole, split = parts(layer, u, state, dt, mask)
    for found in split:
        assert gap(found, whole) < 1e-12


@pytest.mark.slow
@cases()
def test_a_scan_resumes_at_every_step(name):
    layer, u, state, _, _ = make(name, 9)
    whole = layer.scan(u, state)
    for k in range(10):
        first, middle = layer.scan(u[:k], state)
        second, last = layer.scan(u[k:], middle)
        assert gap((jnp.concatenate([first, second]), last), whole) < 1e-12


@cases("S4D", "Mamba")
def test_the_future_does_not_matter(name):
    layer, u, state, _, _ = make(name, 12)

    @eqx.filter_jit
    def twice(layer, u, state):
        other = u.at[6:].add(10.0)
        return [(run(layer, u, state)[0][:6], run(layer, other, state)[0][:6]) for run in ways(layer, False).values()]

    for way, (one, other) in zip(ways(layer, False), twice(layer, u, state), strict=True):
        # a transform rounds relative to all of its inputs
        assert gap(one, other) < (1e-12 if way in ("fft", "convolve") else 1e-300), way


@cases("LRU", "S4D", "selective", "attention")
def test_time_between_steps(name):
    layer, u, state, _, _ = make(name, 8)
    if not layer.reads_dt:
        with pytest.raises(ValueError, match="leave dt= out"):
            layer.scan(u, state, dt=jnp.ones(len(u)))
        return
    step = eqx.filter_jit(lambda state, u, dt: layer.step(state, u, dt))
    one, output = step(state, u[0], 1.0)
    assert gap((one, output), layer.step(state, u[0])) < 1e-12
    if name in ("stack", "Mamba", "mixed stack"):  # they have states that count steps, or inputs that are not held
        return
    assert gap(step(state, u[0], 0.0)[0], state) < 1e-15
    if "bilinear" in name or "Euler" in name or name.split()[0] == "S4":
        return
    half, _ = step(state, u[0], 0.5)
    assert gap(step(half, u[0], 0.5)[0], one) < 1e-12


@pytest.mark.slow
@cases()
def test_a_batch_is_a_loop(name):
    layer, u, state, dt, mask = make(name)
    batch = jnp.stack([u, 2 * u, -u])
    found, _ = eqx.filter_jit(jax.vmap(lambda u: layer.scan(u, state, dt=dt, mask=mask)))(batch)
    for one, expected in zip(found, batch, strict=True):
        assert gap(one, layer.scan(expected, state, dt=dt, mask=mask)[0]) < 1e-12


@cases("LRU", "S4")
def test_the_kernel_is_the_response_to_an_impulse(name):
    layer, _, _, _, _ = make(name)
    if not isinstance(layer, AbstractInvariant):
        return
    impulse = jnp.zeros((9, layer.input_size)).at[0, 0].set(1.0)
    run = eqx.filter_jit(lambda layer, u: (layer.scan(u)[0], layer.scan(0 * u)[0], layer.kernel(9)))
    response, silence, kernel = run(layer, impulse)
    expected = kernel[:, :, 0] if kernel.ndim == 3 else kernel[:, :1]
    assert gap((response - silence)[:, : expected.shape[1]], expected) < 1e-12


@cases("LRU", "S4", "selective", "stack")
def test_wrong_arguments_raise(name):
    layer, u, _, _, mask = make(name)
    with pytest.raises(ValueError, match="method is one of"):
        layer.scan(u, method="parallel")
    with pytest.raises(ValueError, match="expected"):
        layer.scan(u[:, :-1])
    with pytest.raises(ValueError, match="mask has shape"):
        layer.scan(u, mask=mask[:-1])
    if isinstance(layer, AbstractInvariant):
        with pytest.raises(ValueError, match="without a mask"):
            layer.scan(u, mask=mask, method="fft")


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"u": [[1.0]]}, TypeError, r"inputs are an array \(time, 1\), got list"),
        ({"dt": -jnp.ones(5)}, ValueError, "dt is the time since the step before, which is not negative"),
        ({"dt": 0.5}, ValueError, r"dt has shape \(\), expected \(5,\)"),
        ({"mask": jnp.ones(5)}, ValueError, "mask tells which steps happen"),
    ],
)
def test_what_is_no_sequence_is_refused(how, error, message):
    with pytest.raises(error, match=message):
        LRU(1, 4, key=0).scan(**{"u": jnp.ones((5, 1))} | how)


def test_unknown_weights_are_named():
    with pytest.raises(ValueError, match="the LRU has no value for log_decay"):
        LRU(1, 4).scan(jnp.ones((5, 1)))
