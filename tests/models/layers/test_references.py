"""Layers against loops written from the papers' equations, and against dense systems."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.stats

import statespace as ss
from statespace.core.hippo import hippo
from statespace.core.parameters import parameters
from statespace.models.layers import LRU, S4, S4D, S5, Bidirectional, LinearAttention, Mamba, SelectiveSSM, Stack
from statespace.models.recurrent import GRU

KEY = jax.random.key(11)


def as_numpy(pairs):
    pairs = np.asarray(pairs)
    return pairs[..., 0] + 1j * pairs[..., 1]


def scanned(layer, u, **options):
    return np.asarray(eqx.filter_jit(lambda layer, u: layer.scan(u, **options)[0])(layer, u))


def test_lru_is_the_paper_s_loop():
    layer = LRU(3, 5, 2, key=KEY)
    u = np.random.default_rng(0).normal(size=(20, 3))
    lam = np.exp(-np.exp(np.asarray(layer.log_decay)) + 1j * np.exp(np.asarray(layer.log_frequency)))
    b, c = as_numpy(layer.B) * np.sqrt(1 - np.abs(lam) ** 2)[:, None], as_numpy(layer.C)
    z, outputs = np.zeros(5, complex), []
    for row in u:
        z = lam * z + b @ row
        outputs.append((c @ z).real + np.asarray(layer.D) @ row)
    np.testing.assert_allclose(scanned(layer, u), outputs, rtol=1e-11, atol=1e-13)


def test_lru_starts_on_its_ring():
    layer = LRU(1, 4000, ring=(0.4, 0.9), max_phase=1.0, key=KEY)
    square = np.exp(-2 * np.exp(np.asarray(layer.log_decay)))
    angle = np.exp(np.asarray(layer.log_frequency))
    assert square.min() >= 0.16
    assert square.max() <= 0.81
    assert angle.max() <= 1.0
    for values, low, high in ((square, 0.16, 0.81), (angle, 0.0, 1.0)):
        assert scipy.stats.kstest(values, "uniform", (low, high - low)).pvalue > 0.01


def dense(layer, channel):
    """A channel of S4D as a real system in continuous time, one block for each mode."""
    lam = -np.exp(np.asarray(layer.log_decay[channel])) + 1j * np.asarray(layer.frequency[channel])
    a = scipy.linalg.block_diag(*([[z.real, -z.imag], [z.imag, z.real]] for z in lam))
    c = as_numpy(layer.C[channel])
    return a, np.tile([1.0, 0.0], len(lam))[:, None], 2 * np.stack([c.real, -c.imag], 1).reshape(1, -1)


@pytest.mark.parametrize(("rule", "start"), [("zoh", "lin"), ("s4_bilinear", "inv"), ("zoh", "legs")])
def test_s4d_is_a_discretised_system(rule, start):
    layer = S4D(2, 8, initial_modes=start, rule=rule, step_bounds=(0.05, 0.2), key=KEY)
    kernel = np.asarray(eqx.filter_jit(lambda layer: layer.kernel(30))(layer))
    for channel in range(2):
        a, b, c = dense(layer, channel)
        dt = float(np.exp(layer.log_dt[channel]))
        left = np.eye(8) - dt / 2 * a
        ad = scipy.linalg.expm(a * dt) if rule == "zoh" else np.linalg.solve(left, np.eye(8) + dt / 2 * a)
        bd = np.linalg.solve(a, (ad - np.eye(8)) @ b) if rule == "zoh" else dt * np.linalg.solve(left, b)
        expected = [(c @ np.linalg.matrix_power(ad, k) @ bd).item() for k in range(30)]
        expected[0] += float(layer.D[channel])
        np.testing.assert_allclose(kernel[:, channel], expected, rtol=1e-10, atol=1e-12)


def test_published_starts():
    lin, inv = S4D(1, 8, key=KEY), S4D(1, 8, initial_modes="inv", key=KEY)
    np.testing.assert_allclose(lin.frequency[0], np.pi * np.arange(4), rtol=1e-15)
    np.testing.assert_allclose(inv.frequency[0], [8 / np.pi * (8 / (2 * n + 1) - 1) for n in range(4)], rtol=1e-14)
    for layer in (lin, inv, S4D(1, 8, initial_modes="legs", key=KEY), S5(1, 8, blocks=2, key=KEY)):
        np.testing.assert_allclose(np.exp(layer.log_decay), 0.5, rtol=1e-13)
    slow = SelectiveSSM(2, 4, step_bounds=(1e-3, 1e-3), key=KEY)
    np.testing.assert_allclose(np.exp(slow.log_rates), [[1, 2, 3, 4]] * 2)
    factor, _, _ = slow.chosen(jnp.zeros(2))  # without an input the step is the one that is stored
    np.testing.assert_allclose(factor, np.exp(-1e-3 * np.arange(1.0, 5))[None].repeat(2, 0), rtol=1e-12)


@pytest.mark.parametrize("measure", ["legs", "legt", "fout"])
def test_s4_starts_as_the_memory(measure):
    """Its kernel is that of the dense matrix, discretised by the bilinear rule: nothing of it is approximate."""
    size, length = 16, 50
    layer = S4(1, size, measure=measure, step_bounds=(0.01, 0.01), key=KEY)
    a, b = hippo(measure, size)
    if measure != "legs":  # the normal part is given a decay of 1e-4, which is a multiple of the identity
        a = a - 1e-4 * np.eye(size)
    vectors = layer.memory().vectors
    c = 2 * (as_numpy(layer.C[0]) @ vectors.conj().T).real
    left = np.eye(size) - 0.005 * a
    ad, bd = np.linalg.solve(left, np.eye(size) + 0.005 * a), 0.01 * np.linalg.solve(left, b)
    expected = [c @ np.linalg.matrix_power(ad, k) @ bd for k in range(length)]
    expected[0] += float(layer.D[0])
    kernel = np.asarray(eqx.filter_jit(lambda layer: layer.kernel(length))(layer))[:, 0]
    np.testing.assert_allclose(kernel, expected, rtol=1e-9, atol=1e-11)


def softplus(x):
    return np.log1p(np.exp(x))


def selective_loop(layer, u):
    """Mamba's selective scan, one step, channel and state after another; the gain of Euler's rule."""
    w, v, a = (np.asarray(x) for x in (layer.into, layer.step_weights, -np.exp(np.asarray(layer.log_rates))))
    step = np.exp(np.asarray(layer.log_step))
    bias, n = np.log(np.expm1(step)), layer.states
    x, outputs = np.zeros(a.shape), []
    for row in u:
        low, b, c = np.split(w @ row, [layer.rank, layer.rank + n])
        delta = softplus(v @ low + bias)
        for i in range(layer.channels):
            for j in range(n):
                x[i, j] = np.exp(delta[i] * a[i, j]) * x[i, j] + delta[i] * b[j] * row[i]
        outputs.append(x @ c + np.asarray(layer.D) * row)
    return np.array(outputs)


def test_selective_scan_is_the_paper_s_loop():
    layer = SelectiveSSM(3, 4, step_rank=2, rule="held_euler", key=KEY)
    u = np.random.default_rng(1).normal(size=(25, 3))
    np.testing.assert_allclose(scanned(layer, u), selective_loop(layer, u), rtol=1e-11, atol=1e-13)


def test_mamba_is_its_parts():
    layer = Mamba(2, 3, width=3, rule="held_euler", key=KEY)
    u = np.random.default_rng(2).normal(size=(15, 2))

    def silu(x):
        return x / (1 + np.exp(-x))

    wide = u @ np.asarray(layer.into.weights).T + np.asarray(layer.into.bias)
    x, gate = wide[:, :4], silu(wide[:, 4:])
    taps = np.asarray(layer.convolution.taps)
    x = np.stack([np.convolve(x[:, i], taps[:, i])[:15] for i in range(4)], 1) + np.asarray(layer.convolution.bias)
    y = selective_loop(layer.selective, silu(x)) * gate
    expected = y @ np.asarray(layer.out.weights).T + np.asarray(layer.out.bias)
    np.testing.assert_allclose(scanned(layer, u), expected, rtol=1e-10, atol=1e-12)


def heads(layer, u):
    """Queries, keys and values by head, and the logarithms of the decays, (time, heads, keys)."""
    shape = (len(u), layer.heads, -1)
    q, k, v = (np.reshape(u @ np.asarray(w).T, shape) for w in (layer.queries, layer.keyed, layer.values))
    if layer.feature_map == "elu":
        q, k = (np.where(x > 0, x + 1, np.exp(np.minimum(x, 0))) for x in (q, k))
    else:
        q = q / np.sqrt(layer.keys)
    if layer.decay == "gated":
        decay = np.reshape(-softplus(-(u @ np.asarray(layer.gates).T)) / 16, shape)
    else:
        fixed = np.log(1 - 2.0 ** (-5 - np.arange(layer.heads))) if layer.decay else np.zeros(layer.heads)
        decay = np.broadcast_to(fixed[None, :, None], k.shape)
    return q, k, v, decay


@pytest.mark.parametrize(
    "options",
    [{}, {"decay": "fixed", "feature_map": "identity"}, {"decay": "gated"}, {"decay": "fixed", "key_size": 5}],
    ids=["plain", "retention", "gated", "decayed"],
)
def test_linear_attention_is_attention(options):
    """Each output as a weighted mean over the past, all pairs of steps one after another."""
    layer = LinearAttention(4, 2, key=KEY, **options)
    u = np.random.default_rng(3).normal(size=(70, 4))
    q, k, v, decay = heads(layer, u)
    outputs = np.zeros((70, 2, 2))
    for t in range(70):
        for h in range(2):
            weights = [np.sum(q[t, h] * np.exp(decay[s + 1 : t + 1, h].sum(0)) * k[s, h]) for s in range(t + 1)]
            total = sum(w * v[s, h] for s, w in enumerate(weights))
            outputs[t, h] = total / sum(weights) if layer.normalised else total
    expected = outputs.reshape(70, 4) @ np.asarray(layer.out).T
    np.testing.assert_allclose(scanned(layer, u), expected, rtol=1e-10, atol=1e-12)


def test_attention_survives_a_long_gap():
    """In single precision too: the decays of a chunk are summed, never divided."""
    with jax.enable_x64(False):
        layer = LinearAttention(4, 2, decay="fixed", key=KEY)
        u = jax.random.normal(KEY, (64, 4))
        dt = jnp.ones(64).at[40].set(1e6)
        after = scanned(layer, u, dt=dt, method="chunked")
        slow = scanned(layer, u, dt=dt, method="sequential")
        np.testing.assert_allclose(after, slow, rtol=2e-5, atol=2e-6)


def test_both_directions_see_the_whole_sequence():
    keys = jax.random.split(KEY)
    both = Bidirectional(LRU(2, 3, key=keys[0]), LRU(2, 4, 1, key=keys[1]))
    u, dt = jax.random.normal(KEY, (9, 2)), jnp.linspace(0.5, 2.0, 9)

    @eqx.filter_jit
    def run(both, u, dt):
        back, _ = both.backward.scan(u[::-1], dt=jnp.concatenate([dt[:1], dt[:0:-1]]))
        return both.encode(u, dt=dt), jnp.concatenate([both.forward.scan(u, dt=dt)[0], back[::-1]], 1)

    np.testing.assert_allclose(*run(both, u, dt), rtol=1e-12)
    assert both.output_size == 3
    with pytest.raises(ValueError, match="same inputs"):
        Bidirectional(LRU(2, 3, key=KEY), LRU(3, 3, key=KEY))
    with pytest.raises(ValueError, match="leave dt= out"):
        Bidirectional(GRU(2, 3, key=KEY), GRU(2, 3, key=KEY)).encode(u, dt=dt)


def test_a_stack_takes_cells_and_compiles_blocks_once():
    stack = Stack(2, 3, lambda key: GRU(4, 4, key=key), depth=3, key=KEY)
    u = jax.random.normal(KEY, (6, 2))

    @eqx.filter_jit
    def run(stack, u):
        return stack.scan(u)[0], jax.lax.scan(lambda state, u: stack.step(state, u), stack.start(), u)[1]

    np.testing.assert_allclose(*run(stack, u), rtol=1e-11, atol=1e-13)
    with pytest.raises(ValueError, match="has one algorithm"):
        stack.scan(u, method="associative")
    counts = [str(jax.make_jaxpr(lambda u, s=s: s.scan(u)[0])(u)).count("tanh") for s in (stack, _deeper())]
    assert counts[0] == counts[1]


def _deeper():
    return Stack(2, 3, lambda key: GRU(4, 4, key=key), depth=6, key=KEY)


UNKNOWN = [
    lambda: LRU(2, 3),
    lambda: S4(2, 4),
    lambda: Mamba(2, 2),
    lambda: LinearAttention(4, 2, decay="gated"),
    lambda: Stack(2, 1, lambda key: S5(2, 4)),
    lambda: S4D(2, 4),
]


@pytest.mark.parametrize(
    "make", [pytest.param(m, marks=() if i < 1 else pytest.mark.slow) for i, m in enumerate(UNKNOWN)]
)
def test_unknown_weights_have_priors(make):
    """A layer made without a key can be learned: all its weights have a default prior of their shape, and a start."""
    for path, found in parameters(make()).items():
        prior = found.default_prior(1.0)
        assert found.value is None, path
        assert prior.batch_shape + prior.event_shape == found.shape, path
        draw = prior.sample(KEY)
        assert np.all(np.isfinite(draw)), path
        assert np.all(np.isfinite(prior.log_prob(draw))), path
        assert found.declaration.start(found.owner, 1.0).shape == found.shape, path


def test_wrong_options_raise():
    for make, message in [
        (lambda: LRU(0, 3), "input_size is 0"),
        (lambda: LRU(1, 3, ring=(0.5, 1.0)), "lower < upper < 1"),
        (lambda: S4D(2, 5), "an even number"),
        (lambda: S4D(2, 4, initial_modes="line"), "initial_modes='line' is unknown"),
        (lambda: S4D(2, 4, step_bounds=(0.1, 0.01)), "in order"),
        (lambda: S5(2, 6, blocks=2), "blocks of pairs"),
        (lambda: S4(2, 4, measure="lmu"), "measure='lmu' is unknown"),
        (lambda: SelectiveSSM(2, 4, rule="euler"), "rule='euler' is unknown"),
        (lambda: LinearAttention(5, 2), "do not divide"),
        (lambda: LinearAttention(4, 2, feature_map="identity", normalised=True), "needs positive features"),
        (lambda: Stack(1, 1, lambda key: LRU(2, 2), depth=0), "depth is 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize("kind", ["LRU", "S4", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("S5", "S4D"))])
def test_a_layer_is_a_discrete_system(kind):
    make = {"LRU": LRU, "S5": S5}.get(kind)
    layer = make(2, 6, 3, key=KEY) if make else {"S4D": S4D, "S4": S4}[kind](2, 6, step_bounds=(0.05, 0.3), key=KEY)
    found = eqx.filter_jit(lambda layer: ss.convert(layer, ss.DiscreteSSM))(layer)
    form = found.value
    assert found.exact
    assert (form.timing, form.start) == ("current", "before")
    u = np.random.default_rng(4).normal(size=(12, 2))
    x, outputs = np.zeros(form.A.shape[0]), []
    for row in u:
        x = np.asarray(form.A) @ x + np.asarray(form.B) @ row
        outputs.append(np.asarray(form.C) @ x + np.asarray(form.D) @ row)
    np.testing.assert_allclose(scanned(layer, u), outputs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", ["S5", "S4D", "S4"])
def test_a_layer_is_a_continuous_system(kind):
    layer = {"S5": S5, "S4D": S4D, "S4": S4}[kind](2, 6, step_bounds=(0.05, 0.3), key=KEY)
    form = ss.convert(layer, ss.ContinuousSSM).value
    if kind == "S4":
        left = np.eye(12) - 0.5 * np.asarray(form.A)
        a, b = np.linalg.solve(left, np.eye(12) + 0.5 * np.asarray(form.A)), np.linalg.solve(left, form.B)
    else:
        a, b, *_ = scipy.signal.cont2discrete((form.A, form.B, form.C, form.D), 1.0)
    discrete = ss.convert(layer, ss.DiscreteSSM).value
    np.testing.assert_allclose(a, discrete.A, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(b, discrete.B, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(form.C, discrete.C, rtol=1e-13)


def test_an_unknown_layer_has_no_form():
    with pytest.raises(ValueError, match="the layer has no value for"):
        ss.convert(LRU(2, 3), ss.DiscreteSSM)
