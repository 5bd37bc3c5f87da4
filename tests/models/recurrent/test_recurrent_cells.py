"""Cells against their equations in NumPy and against torch, and what holds for every cell."""

import jax
import jax.numpy as jnp
import models.recurrent.cells_in_numpy as naive
import numpy as np
import pytest

from statespace.core.parameters import parameters, replace, unknown
from statespace.models.recurrent import (
    CTRNN,
    GRU,
    LSTM,
    Antisymmetric,
    Elman,
    IndRNN,
    Jordan,
    Orthogonal,
    Ravelled,
)
from statespace.models.recursion import AbstractRecursion

INPUTS, UNITS, LENGTH = 2, 5, 7
CELLS = {
    "elman": (naive.elman, lambda key: Elman(INPUTS, UNITS, key=key)),
    "linear": (naive.elman, lambda key: Elman(INPUTS, UNITS, activation="identity", key=key)),
    "jordan": (naive.jordan, lambda key: Jordan(INPUTS, 4, UNITS, activation="relu", key=key)),
    "gru": (naive.gru, lambda key: GRU(INPUTS, UNITS, key=key)),
    "gru_before": (naive.gru, lambda key: GRU(INPUTS, UNITS, reset="before", key=key)),
    "lstm": (naive.lstm, lambda key: LSTM(INPUTS, UNITS, key=key)),
    "peepholes": (naive.lstm, lambda key: LSTM(INPUTS, UNITS, peepholes=True, key=key)),
    "indrnn": (naive.indrnn, lambda key: IndRNN(INPUTS, UNITS, horizon=LENGTH, key=key)),
    "cayley": (naive.orthogonal, lambda key: Orthogonal(INPUTS, UNITS, num_negative=2, key=key)),
    "householder": (
        naive.orthogonal,
        lambda key: Orthogonal(INPUTS, UNITS, parametrisation="householder", num_reflections=3, key=key),
    ),
    "antisymmetric": (naive.antisymmetric, lambda key: Antisymmetric(INPUTS, UNITS, key=key)),
    "gated": (naive.antisymmetric, lambda key: Antisymmetric(INPUTS, UNITS, gate=True, damping=0.1, key=key)),
    "ctrnn": (naive.ctrnn, lambda key: CTRNN(INPUTS, UNITS, key=key)),
    "ctrnn_logistic": (naive.ctrnn, lambda key: CTRNN(INPUTS, UNITS, activation="logistic", key=key)),
}


def random(cell, key):
    """The cell with all weights moved off their initialisation, so that zeros do not hide anything."""
    moved = {}
    for number, (path, found) in enumerate(parameters(cell).items()):
        noise = 0.3 * jax.random.normal(jax.random.fold_in(key, number), found.shape)
        moved[path] = found.value * jnp.exp(noise) if path == "tau" else found.value + noise
        if path == "recurrent_weights" and isinstance(cell, IndRNN):
            moved[path] = jnp.clip(moved[path], -cell.bound, cell.bound)
    return replace(cell, moved)


WITH_THE_LONG_STUDIES = {"linear", "lstm", "antisymmetric", "ctrnn_logistic"}  # the others hold all that is in these


@pytest.fixture(
    params=[pytest.param(n, marks=pytest.mark.slow) if n in WITH_THE_LONG_STUDIES else n for n in CELLS], scope="module"
)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def cell(name):
    return random(CELLS[name][1](jax.random.key(1)), jax.random.key(2))


@pytest.fixture(scope="module")
def data(cell):
    u = jax.random.normal(jax.random.key(3), (LENGTH, INPUTS))
    state = 0.5 * jax.random.normal(jax.random.key(4), (cell.state_size,))
    dt = jnp.array([1.0, 0.3, 2.5, 1.0, 0.01, 1.7, 1.0]) if cell.reads_dt else None
    return u, state, dt


def by_hand(name, cell, u, state, dt):
    """Outputs and last state of the equations in NumPy."""
    weights = {path: np.asarray(found.value, np.float64) for path, found in parameters(cell).items()}
    outputs, state = [], np.asarray(state, np.float64)
    for t, row in enumerate(np.asarray(u, np.float64)):
        state, output = CELLS[name][0](weights, cell, state, row, 1.0 if dt is None else float(dt[t]))
        outputs.append(output)
    return np.stack(outputs), state


MASK = np.array([True, False, True, True, False, False, True])


@jax.jit
def in_many_ways(cell, u, state, dt):
    """One compilation, in which everything that must agree is computed."""
    kept = np.flatnonzero(MASK)
    dirty = jnp.where(MASK[:, None], u, jnp.nan)

    def weighed(outputs, last):
        return jnp.sum(jnp.sin(outputs)) + jnp.sum(jnp.cos(last)), (outputs, last)

    def part(where):
        return None if dt is None else dt[where]

    def resumed(at):
        head, middle = cell.scan(u[:at], state, dt=part(slice(at)))
        tail, last = cell.scan(u[at:], middle, dt=part(slice(at, None)))
        return jnp.concatenate([head, tail]), last

    def by_scan(cell, u, state):
        return weighed(*cell.scan(u, state, dt=dt))

    def by_step(cell, u, state):
        return weighed(*AbstractRecursion.scan(cell, u, state, dt=dt))

    batch = jnp.stack([2 * u, u.at[4:].set(9.0)])
    return {
        "scan": jax.grad(by_scan, argnums=(0, 1, 2), has_aux=True)(cell, u, state),
        "step": jax.grad(by_step, argnums=(0, 1, 2), has_aux=True)(cell, u, state),
        "resumed": resumed(3),
        "masked": jax.grad(lambda c: weighed(*c.scan(dirty, state, dt=dt, mask=MASK)), has_aux=True)(cell),
        "kept": jax.grad(lambda c: weighed(*c.scan(u[kept], state, dt=part(kept))), has_aux=True)(cell),
        "batch": jax.vmap(lambda row: cell.scan(row, state, dt=dt))(batch),
    }


@pytest.fixture(scope="module")
def ways(cell, data):
    return in_many_ways(cell, *data)


def close(found, expected, rtol=1e-10):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def test_equations(name, cell, data, ways):
    close(ways["scan"][1], by_hand(name, cell, *data))


def test_scan_is_step_and_can_be_resumed(ways):
    close(ways["scan"], ways["step"])  # gradients too: by cell, inputs and state
    close(ways["resumed"], ways["scan"][1])


def test_a_step_that_does_not_happen_leaves_the_state(ways):
    gradient, (outputs, last) = ways["masked"]
    expected_gradient, expected = ways["kept"]
    close((outputs[MASK], last), expected)
    assert bool(jnp.all(outputs[~MASK] == 0))
    close(gradient, expected_gradient)  # a missing input is NaN: it spoils nothing


def test_batches_and_causality(name, cell, data, ways):
    u, state, dt = data
    outputs, states = ways["batch"]
    for i, row in enumerate((2 * u, u.at[4:].set(9.0))):
        close((outputs[i], states[i]), by_hand(name, cell, row, state, dt))
    close(outputs[1, :4], ways["scan"][1][0][:4])
    assert not np.allclose(outputs[1, 4:], ways["scan"][1][0][4:])


def test_single_precision(name, cell, data):
    def single(x):
        return x.astype(jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x

    small, (u, state, dt) = jax.tree.map(single, cell), jax.tree.map(single, data)
    outputs, last = jax.jit(lambda c, *a: c.scan(a[0], a[1], dt=a[2]))(small, u, state, dt)
    assert outputs.dtype == last.dtype == small.start().dtype == jnp.float32
    expected = by_hand(name, small, u, state, dt)
    scale = np.abs(expected[0]).max()
    np.testing.assert_allclose(outputs, expected[0], atol=1e-6 * scale)
    np.testing.assert_allclose(last, expected[1], atol=1e-6 * max(scale, np.abs(expected[1]).max()))


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 64, 100, 1024])
def test_lengths(name, cell, length):
    u = np.random.default_rng(length).normal(size=(length, INPUTS))
    dt = None if not cell.reads_dt else np.linspace(0.5, 1.5, length)
    found = jax.jit(lambda c, u, dt: c.scan(u, dt=dt))(cell, jnp.asarray(u), None if dt is None else jnp.asarray(dt))
    close(found, by_hand(name, cell, u, np.zeros(cell.state_size), dt), rtol=1e-9)


@pytest.mark.parametrize("kind", ["peepholes", "ctrnn"])
def test_ravelled_is_the_cell(kind):
    cell = random(CELLS[kind][1](jax.random.key(1)), jax.random.key(2))
    u, state = jax.random.normal(jax.random.key(3), (LENGTH, INPUTS)), jnp.full(cell.state_size, 0.3)
    dt = jnp.linspace(0.5, 2.0, LENGTH) if cell.reads_dt else None
    wrapped = Ravelled(cell)
    before = jnp.concatenate([state, jnp.zeros(cell.output_size)])
    found = jax.jit(lambda w, u, s, dt: (w.scan(u, s, dt=dt), w.states(u, s, dt=dt)[0]))(wrapped, u, before, dt)
    outputs, last = jax.jit(lambda c, u, s, dt: c.scan(u, s, dt=dt))(cell, u, state, dt)
    close(found[0], (outputs, jnp.concatenate([last, outputs[-1]])))
    close(found[1][:, cell.state_size :], outputs)
    assert len(wrapped.state_names) == wrapped.state_size


def test_a_recursion_of_complex_outputs_is_no_cell():
    class Turning(AbstractRecursion):
        input_size = output_size = 1

        def start(self):
            return jnp.zeros(1, complex)

        def step(self, state, u, dt=None):
            return 1j * state + u, state

    cell = Ravelled(Turning())
    with pytest.raises(TypeError, match="those of Turning are complex128"):
        cell.step(cell.start(), jnp.ones(1))


def test_a_cell_without_key_is_unknown_and_starts_at_its_initialisation(name):
    blank, made = CELLS[name][1](None), CELLS[name][1](jax.random.key(0))
    assert unknown(blank) == list(parameters(made))
    for path, found in parameters(blank).items():
        start = found.declaration.start(blank, 1.0)
        np.testing.assert_array_equal(start, parameters(made)[path].value)
        assert found.default_prior(1.0).batch_shape == found.shape
        assert bool(jnp.all(found.constraint(start)))
    with pytest.raises(ValueError, match="the cell has no value for .* make it with key="):
        blank.scan(jnp.zeros((3, INPUTS)))


def test_cells_without_inputs_run_by_themselves():
    for cell in (Elman(0, 3, key=jax.random.key(0)), GRU(0, 3, key=jax.random.key(0))):
        assert "input_weights" not in parameters(cell)
        outputs, _ = cell.scan(jnp.zeros((4, 0)), jnp.ones(3))
        assert outputs.shape == (4, 3)
        assert float(jnp.abs(outputs).max()) > 0


def torch_cell(kind, **options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch, getattr(torch.nn, kind)(3, 4, **options)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-10)])
@pytest.mark.parametrize("kind", ["RNN", "RNN_relu", "GRU", "LSTM"])
def test_torch(kind, dtype, tolerance):
    options = {"nonlinearity": "relu"} if kind == "RNN_relu" else {}
    torch, theirs = torch_cell(kind[:3] if kind.startswith("RNN") else kind, **options)
    theirs = theirs.to(getattr(torch, dtype))
    weights = {k: jnp.asarray(v.detach().numpy()) for k, v in theirs.named_parameters()}
    made = {"GRU": GRU, "LSTM": LSTM}.get(kind, Elman)
    cell = made(3, 4, **({"activation": "relu"} if kind == "RNN_relu" else {}), key=jax.random.key(0))
    bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
    values = {"input_weights": weights["weight_ih_l0"], "recurrent_weights": weights["weight_hh_l0"], "bias": bias}
    if kind == "GRU":  # the candidate's recurrent bias stands inside the reset gate
        inner = weights["bias_hh_l0"][8:]
        values |= {"recurrent_bias": inner, "bias": weights["bias_ih_l0"] + weights["bias_hh_l0"].at[8:].set(0.0)}
    cell = replace(cell, values)
    u = np.random.default_rng(0).normal(size=(20, 3)).astype(dtype)
    outputs, last = jax.jit(lambda c, u: c.scan(u))(cell, jnp.asarray(u))
    with torch.no_grad():
        expected, final = theirs(torch.from_numpy(u))
    final = torch.cat(final, dim=-1) if kind == "LSTM" else final
    assert outputs.dtype == dtype
    np.testing.assert_allclose(outputs, expected.numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(last, final.numpy()[0], rtol=tolerance, atol=tolerance)


def test_equinox_gru():
    import equinox as eqx

    theirs = eqx.nn.GRUCell(3, 4, key=jax.random.key(0))
    ours = replace(
        GRU(3, 4, key=jax.random.key(0)),
        {
            "input_weights": theirs.weight_ih,
            "recurrent_weights": theirs.weight_hh,
            "bias": theirs.bias,
            "recurrent_bias": theirs.bias_n,
        },
    )
    u, h = jax.random.normal(jax.random.key(1), (3,)), jax.random.normal(jax.random.key(2), (4,))
    expected = theirs(u, h)  # (1 - z) n + z h with the same blocks
    np.testing.assert_allclose(ours.step(h, u)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("options", [{"num_negative": 3}, {"parametrisation": "householder"}])
def test_orthogonal_matrices(options):
    made = jax.jit(lambda key: random(Orthogonal(1, 6, **options, key=key), key))
    q = np.asarray(jax.jit(lambda cell: cell.recurrent_matrix())(made(jax.random.key(0))))
    np.testing.assert_allclose(q.T @ q, np.eye(6), atol=1e-12)
    assert round(np.linalg.det(q)) == (-1 if "num_negative" in options else 1)


def test_initialisations():
    key = jax.random.key(0)
    lstm = LSTM(2, 5, key=key)
    np.testing.assert_array_equal(lstm.bias, np.repeat([0.0, 1.0, 0.0, 0.0], 5))
    block = np.asarray(GRU(2, 5, key=key).recurrent_weights)[5:10]
    np.testing.assert_allclose(block @ block.T, np.eye(5), atol=1e-12)
    cayley = Orthogonal(1, 6, key=key).recurrent_matrix()
    angles = np.abs(np.angle(np.linalg.eigvals(np.asarray(cayley))))
    assert angles.max() <= np.pi / 2
    assert GRU(2, 5, key=key).bias.dtype == jnp.float64


def test_exponential_euler_is_exact_for_the_leak():
    cell = CTRNN(1, 2, key=jax.random.key(0))
    cell = replace(cell, {"recurrent_weights": jnp.zeros((2, 2))})
    u, state = jnp.ones((4, 1)), jnp.array([2.0, -1.0])
    fine = cell.states(u, state, dt=jnp.full(4, 0.5))[1]
    once = cell.states(u[:1], state, dt=jnp.array([2.0]))[1]
    np.testing.assert_allclose(fine, once, rtol=1e-12)
    # so is its noise: variances of an Ornstein-Uhlenbeck process add up over parts of a step
    half, whole, a = cell.disturbance(jnp.ones(2), 1.0), cell.disturbance(jnp.ones(2), 2.0), jnp.exp(-1.0 / cell.tau)
    np.testing.assert_allclose(whole**2, half**2 * (1 + a**2), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Elman(1, 0), "hidden_size is 0"),
        (lambda: Elman(-1, 2), "input_size is -1"),
        (lambda: Elman(1, 2, activation="sin"), "choose one of 'tanh'"),
        (lambda: GRU(1, 2, reset="never"), "reset='never' is unknown"),
        (lambda: LSTM(1, 2.5), "hidden_size is 2.5"),
        (lambda: IndRNN(1, 2, horizon=0), "horizon is 0"),
        (lambda: IndRNN(1, 2, horizon=5, growth=0.5), "growth is 0.5"),
        (lambda: Orthogonal(1, 2, parametrisation="givens"), "parametrisation='givens' is unknown"),
        (lambda: Orthogonal(1, 2, num_negative=3), "num_negative is 3"),
        (lambda: Orthogonal(1, 2, num_reflections=1), 'belongs to parametrisation="householder"'),
        (
            lambda: Orthogonal(1, 2, parametrisation="householder", num_negative=1),
            'belongs to parametrisation="cayley"',
        ),
        (lambda: Orthogonal(1, 2, parametrisation="householder", num_reflections=3), "num_reflections is 3"),
        (lambda: Antisymmetric(1, 2, step_size=0.0), "step_size is above 0"),
        (lambda: CTRNN(1, 2, activation="relu"), "activation='relu' is unknown"),
        (lambda: Elman(1, 2, key=jax.random.key(0)).scan(jnp.zeros((3, 2))), "expected \\(time, 1\\)"),
        (lambda: Elman(1, 2, key=jax.random.key(0)).scan(jnp.zeros((3, 1)), dt=jnp.ones(3)), "leave dt= out"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(ValueError, match=words):
        make()
