"""Reservoirs against loops in NumPy: couplings, leaky units, deep stacks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_matrix

import statespace as ss
from statespace.core.parameters import parameters, replace
from statespace.models.reservoir import (
    CycleCoupling,
    DeepReservoir,
    DenseCoupling,
    Frozen,
    Reservoir,
    SparseCoupling,
)

KINDS = {
    "sparse": lambda: SparseCoupling(30, 4, key=3),
    "cycle": lambda: CycleCoupling(30),
    "random": lambda: DenseCoupling.random(30, key=3),
    "orthogonal": lambda: DenseCoupling.orthogonal(30, key=3),
}


def matrix_of(coupling):
    return np.asarray(jax.vmap(coupling.apply, 1, 1)(jnp.eye(coupling.units)))


def naive(cell, u, leak=1.0):
    """The equation of a leaky reservoir, one step after another."""
    w, h, found = matrix_of(cell.coupling), np.zeros(cell.output_size), []
    act = np.tanh if cell.activation == "tanh" else (lambda x: x)
    for row in np.asarray(u):
        drive = np.asarray(cell.input_weights) @ (np.asarray(cell.input_scale) * row)
        drive = drive + float(cell.bias_scale) * np.asarray(cell.bias)
        h = (1 - leak) * h + leak * act(float(cell.spectral_radius) * w @ h + drive)
        found.append(h)
    return np.array(found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_spectral_radius_is_one(kind):
    matrix = matrix_of(KINDS[kind]())
    assert np.abs(np.linalg.eigvals(matrix)).max() == pytest.approx(1.0, abs=1e-12)
    if kind in ("cycle", "orthogonal"):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(30), atol=1e-13)


def test_a_sparse_coupling_has_its_degree_and_its_key():
    coupling = SparseCoupling(40, 5, key=jax.random.key(1))
    assert all(len(set(row)) == 5 for row in np.asarray(coupling.sources).tolist())
    again, other = SparseCoupling(40, 5, key=jax.random.key(1)), SparseCoupling(40, 5, key=2)
    assert np.array_equal(again.weights, coupling.weights)
    assert not np.array_equal(other.weights, coupling.weights)


def test_arnoldi_finds_the_radius_of_a_large_matrix():
    """Above 100 units the radius comes from Arnoldi's method."""
    coupling = SparseCoupling(150, 10, key=0)
    weights = np.asarray(coupling.weights) * coupling.made_radius
    links = (np.repeat(np.arange(150), 10), np.asarray(coupling.sources).ravel())
    dense = csr_matrix((weights.ravel(), links), (150, 150)).toarray()
    assert coupling.made_radius == pytest.approx(np.abs(np.linalg.eigvals(dense)).max(), rel=1e-12)
    assert DenseCoupling(np.diag([1.0, -3.0])).made_radius == 3.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_equals_the_loop_and_goes_on(kind, activation, key):
    u = np.asarray(jax.random.normal(key, (25, 2)))
    cell = Reservoir(2, KINDS[kind](), leak=0.3, input_scale=[0.5, 2.0], bias_scale=0.4, activation=activation, key=7)
    found, last = cell.scan(jnp.asarray(u))
    np.testing.assert_allclose(found, naive(cell, u, 0.3), rtol=1e-12, atol=1e-13)
    first, middle = cell.scan(jnp.asarray(u[:9]))
    rest, end = cell.scan(jnp.asarray(u[9:]), middle)
    np.testing.assert_allclose(jnp.concatenate([first, rest]), found, rtol=1e-13)
    np.testing.assert_allclose(end, last, rtol=1e-13)


def test_masks_batches_and_gradients(key):
    cell = Reservoir(1, SparseCoupling(20, 3, key=0), leak=0.5, key=1)
    u = jax.random.normal(key, (3, 15, 1))
    together = jax.jit(jax.vmap(lambda x: cell.scan(x)[0]))(u)
    apart = jnp.stack([cell.scan(x)[0] for x in u])
    np.testing.assert_allclose(together, apart, rtol=1e-13, atol=1e-14)
    mask = jnp.ones(15, bool).at[6].set(False)
    held, _ = cell.scan(u[0].at[6].set(jnp.nan), mask=mask)
    without, _ = cell.scan(jnp.delete(u[0], 6, axis=0))
    np.testing.assert_allclose(jnp.delete(held, 6, axis=0), without, rtol=1e-13)

    def last(values):
        return jnp.sum(replace(cell, values).scan(u[0])[1] ** 2)

    values = {path: p.value for path, p in parameters(cell).items()}
    assert set(values) == {"spectral_radius", "leak", "input_scale"}
    gradient = jax.grad(last)(values)
    for path, value in values.items():
        up, down = (last(values | {path: value + s}) for s in (1e-6, -1e-6))
        assert float(jnp.sum(gradient[path])) == pytest.approx(float(up - down) / 2e-6, rel=1e-6)


def test_no_leak_and_no_bias_are_no_parameters():
    assert list(parameters(Reservoir(1, CycleCoupling(3), key=0))) == ["spectral_radius", "input_scale"]
    full = Reservoir(1, CycleCoupling(3), leak=0.5, bias_scale=0.1, key=0)
    assert list(parameters(full)) == ["spectral_radius", "leak", "input_scale", "bias_scale"]
    assert list(parameters(Frozen(full))) == []
    np.testing.assert_array_equal(Frozen(full).scan(jnp.ones((4, 1)))[0], full.scan(jnp.ones((4, 1)))[0])


def test_a_deep_reservoir_is_its_layers_in_a_row(key):
    layers = [
        Reservoir(2, SparseCoupling(12, 3, key=0), leak=0.5, key=1),
        Reservoir(12, CycleCoupling(8), leak=0.2, input_scale=0.3, key=2),
    ]
    u = jax.random.normal(key, (10, 2))
    below, _ = layers[0].scan(u)
    above, _ = layers[1].scan(below)
    deep = DeepReservoir(layers)
    found, (first, second) = deep.scan(u)
    np.testing.assert_allclose(found, jnp.concatenate([below, above], axis=1), rtol=1e-13, atol=1e-15)
    assert (deep.input_size, deep.output_size, first.shape, second.shape) == (2, 20, (12,), (8,))
    assert "layers1.leak" in parameters(deep)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SparseCoupling(10, 11, key=0), "degree is 11, expected 1 to 10"),
        (lambda: SparseCoupling(100, 80, key=0), "DenseCoupling serves more"),
        (lambda: CycleCoupling(0), "at least 1 unit"),
        (lambda: DenseCoupling(np.ones((2, 3))), r"square matrix of finite numbers, got shape \(2, 3\)"),
        (lambda: DenseCoupling(np.triu(np.ones((3, 3)), 1)), "nilpotent"),
        (lambda: Reservoir(1, CycleCoupling(3)), "pass key="),
        (lambda: Reservoir(1, CycleCoupling(3), activation="relu", key=0), '"tanh" or "identity"'),
        (lambda: Reservoir(1, CycleCoupling(3), leak=1.5, key=0), "leak is 1.5"),
        (lambda: Reservoir(1, CycleCoupling(3), spectral_radius=-1.0, key=0), "spectral_radius is -1"),
        (lambda: Reservoir(2, CycleCoupling(3), input_scale=[1.0] * 3, key=0), "input_scale has shape"),
        (lambda: Reservoir(1, CycleCoupling(3), input_weights=np.ones((2, 1))), "input_weights has shape"),
        (lambda: DeepReservoir([]), "at least one layer"),
        (
            lambda: DeepReservoir([Reservoir(1, CycleCoupling(3), key=0), Reservoir(2, CycleCoupling(3), key=0)]),
            "layer 1 has 2 inputs, but layer 0 has 3 units",
        ),
        (lambda: Frozen(Reservoir(1, CycleCoupling(3), spectral_radius=None, key=0)), "spectral_radius"),
    ],
)
def test_what_does_not_fit_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_coupling_by_name_is_refused():
    with pytest.raises(TypeError, match="SparseCoupling"):
        Reservoir(1, "sparse", key=0)


@pytest.mark.parametrize(
    ("name", "value"), [("ridge", -1.0), ("ridge", 0.0), ("ridge", "small"), ("emission_scale", -0.1)]
)
def test_scales_that_are_none_are_refused(name, value):
    scales = {"ridge": 1.0, "emission_scale": 0.1} | {name: value}
    with pytest.raises(ValueError, match=f"{name} is {value}, expected"):
        ss.EchoState(ss.Reservoir(1, ss.CycleCoupling(4), key=0), **scales)


def test_a_washout_of_all_stamps_is_refused():
    model = ss.EchoState(ss.Reservoir(1, ss.CycleCoupling(4), key=0), 1.0, 0.1, washout=50)
    with pytest.raises(ValueError, match="washout of 50 stamps leaves nothing of 40"):
        ss.filter(model, np.arange(40.0))


def test_rows_after_the_washout_may_be_few():
    model = ss.EchoState(ss.Reservoir(1, ss.CycleCoupling(4), key=0), 1.0, 0.1, washout=20, level=0.0, unit=1.0)
    y = np.sin(np.arange(40.0))
    whole = ss.filter(model, y).log_likelihood
    parts = ss.append(ss.filter(model, y[:35]), y[35:])
    assert parts.log_likelihood == pytest.approx(whole, rel=1e-9)
