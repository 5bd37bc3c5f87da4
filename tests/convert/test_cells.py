"""Recurrent cells: linear ones by another name, contractive ones with a finite memory, others along a path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convert.joint_law import joint_of_form, joint_of_model

import statespace as ss
from statespace.convert.arrows.cells import recursion_to_discrete
from statespace.convert.forms import UnrolledWindow
from statespace.convert.forms.discrete import CONSTANT
from statespace.core.parameters import with_fields
from statespace.models.recurrent import GRU, Elman
from statespace.models.recursion import AbstractRecursion

U = np.random.default_rng(0).normal(size=(8, 2))


class Modes(AbstractRecursion):
    """Complex modes, seen before they are moved on."""

    input_size, output_size = 2, 1

    def start(self):
        return jnp.array([0.5 + 0.1j, -0.2j])

    def step(self, state, u, dt=None):
        factor = jnp.array([0.9 * jnp.exp(0.4j), 0.5j])
        weights = jnp.array([[1.0 + 1j, 0.3], [0.2j, -0.4]])
        return factor * state + weights @ u, jnp.real(state @ jnp.array([1.0 - 2j, 0.5]))[None] + u[:1]


def elman(activation, shrink, units=3, seed=0):
    cell = Elman(2, units, activation=activation, key=jax.random.key(seed))
    weights = shrink * cell.recurrent_weights
    return with_fields(cell, recurrent_weights=weights, bias=jnp.linspace(-0.3, 0.4, units))


@pytest.fixture(scope="module")
def tanh_cell():
    return elman("tanh", 0.6)


def test_a_linear_cell_is_a_state_space_model():
    cell = elman("identity", 0.8)
    outputs = np.asarray(cell.scan(jnp.asarray(U))[0])
    inputs = np.column_stack([U, np.ones(len(U))])
    found = ss.convert(cell, ss.DiscreteSSM)
    assert found.exact
    assert found.value.input_names == ("u0", "u1", CONSTANT)
    for form in (found.value, recursion_to_discrete(cell).value):
        np.testing.assert_allclose(joint_of_form(form, inputs, 8)[0], outputs.ravel(), atol=1e-14)
    back = ss.convert(found.value, Elman)
    assert back.exact
    np.testing.assert_allclose(back.value.scan(jnp.asarray(U))[0], outputs, atol=1e-15)
    noisy = ss.convert(found.value.replaced(Q=np.eye(3)), Elman)
    assert (noisy.exact, "no noise" in noisy.notes[0]) == (False, True)
    with pytest.raises(ValueError, match="C = I and D = 0"):
        ss.convert(found.value.replaced(C=2 * np.eye(3)), Elman)


def test_a_complex_layer_is_one_of_real_pairs():
    layer = Modes()
    found = recursion_to_discrete(layer).value
    assert (found.A.shape, found.timing) == ((4, 4), "previous")
    expected = np.asarray(layer.scan(jnp.asarray(U))[0]).ravel()
    np.testing.assert_allclose(joint_of_form(found, U, 8)[0], expected, atol=1e-13)


def test_what_is_not_linear_is_refused(tanh_cell):
    with pytest.raises(ValueError, match="only with the identity"):
        ss.convert(tanh_cell, ss.DiscreteSSM)
    with pytest.raises(ValueError, match="GRU is not linear"):
        ss.convert(GRU(2, 3, key=jax.random.key(0)), ss.DiscreteSSM)
    with pytest.raises(ValueError, match="the cell has no value for .*: give values"):
        ss.convert(Elman(2, 3, activation="identity"), ss.DiscreteSSM)


def test_a_window_is_never_further_off_than_its_bound():
    """Inputs on the sphere for which the bound is stated, cells that contract more and less, windows of all sizes."""
    rng = np.random.default_rng(1)
    u = rng.normal(size=(120, 2))
    u = jnp.asarray(1.5 * u / np.linalg.norm(u, axis=1, keepdims=True))
    ratios = []
    for seed, shrink in enumerate([0.3, 0.85]):
        for activation in ("tanh", "identity"):
            cell = elman(activation, shrink, seed=seed)
            exact = cell.scan(u)[0]
            for window in (1, 6):
                found = ss.convert(cell, UnrolledWindow, window=window, bound=1.5)
                assert not found.exact
                outputs = found.value.scan(u)[0]
                np.testing.assert_allclose(outputs[:window], exact[:window], atol=1e-15)
                ratios.append(float(jnp.linalg.norm(outputs - exact, axis=1).max() / found.error_bound))
    assert 0.05 < max(ratios) <= 1


def test_a_window_is_a_recursion_too(tanh_cell):
    window = UnrolledWindow(tanh_cell, 4)
    whole, last = window.scan(jnp.asarray(U))
    first, state = window.scan(jnp.asarray(U[:3]))
    rest, end = window.scan(jnp.asarray(U[3:]), state)
    np.testing.assert_allclose(jnp.concatenate([first, rest]), whole, atol=1e-15)
    np.testing.assert_allclose(end["inputs"], last["inputs"])
    with pytest.raises(ValueError, match="magnify differences of states by 1.2"):
        ss.convert(elman("tanh", 1.2), UnrolledWindow, window=4, bound=1.0)
    with pytest.raises(ValueError, match="not known how fast it forgets"):
        ss.convert(GRU(2, 3, key=jax.random.key(0)), UnrolledWindow, window=4, bound=1.0)
    told = ss.convert(
        GRU(2, 3, key=jax.random.key(0)), UnrolledWindow, window=4, bound=1.0, contraction=0.9, input_gain=1
    )
    assert told.error_bound > 0


def scales(state, series):
    return {"state_scale": np.full(state, 0.05), "series_scale": np.full(series, 0.1)}


def test_along_a_path_the_mean_is_the_path(tanh_cell):
    for recursion, states in (
        (tanh_cell, 3),
        (GRU(2, 3, key=jax.random.key(0)), 3),
        (Modes(), 4),
    ):
        outputs = np.asarray(recursion.scan(jnp.asarray(U))[0])
        found = ss.convert(recursion, ss.LinearGaussian, inputs=U, **scales(states, outputs.shape[1]))
        assert (found.exact, found.norm) == (False, "output")
        mean, _ = joint_of_model(found.value, None, 8)
        np.testing.assert_allclose(mean.reshape(outputs.shape), outputs, atol=1e-14)
    assert "off by up to" in found.notes[0]
    assert float(found.notes[0].split("up to ")[1].split()[0]) < 1e-14  # the last one is linear


def test_derivatives_along_a_given_path(tanh_cell):
    """Matrices are those of finite differences, and offsets make the model right at the path itself."""
    path = np.random.default_rng(2).normal(size=(8, 3)) * 0.3
    found = ss.convert(tanh_cell, ss.LinearGaussian, inputs=U, path=path, initial_scale=np.full(3, 0.2), **scales(3, 3))
    model = found.value
    before = np.concatenate([np.zeros((1, 3)), path[:-1]])
    step = 1e-6
    for t in range(8):
        here = np.asarray(tanh_cell.step(before[t], jnp.asarray(U[t]))[0])
        for j in range(3):
            beside = np.asarray(tanh_cell.step(before[t] + step * np.eye(3)[j], jnp.asarray(U[t]))[0])
            np.testing.assert_allclose(model.transition_matrix[t][:, j], (beside - here) / step, atol=1e-5)
        np.testing.assert_allclose(
            model.transition_matrix[t] @ before[t] + model.transition_offset[t], here, atol=1e-14
        )
    F = np.asarray(model.transition_matrix[0])
    law = model.initial_scale @ model.initial_scale.T
    np.testing.assert_allclose(law, 0.04 * F @ F.T + 0.0025 * np.eye(3), atol=1e-15)
    with pytest.raises(ValueError, match="the path has shape"):
        ss.convert(tanh_cell, ss.LinearGaussian, inputs=U, path=path[:3], **scales(3, 3))


def test_at_a_fixed_point_the_model_answers_to_inputs(tanh_cell):
    u = np.array([0.3, -0.2])
    found = ss.convert(tanh_cell, ss.LinearGaussian, inputs=u, about="fixed_point", **scales(3, 3))
    model = found.value
    point = np.asarray(model.initial_mean)
    np.testing.assert_allclose(tanh_cell.step(jnp.asarray(point), jnp.asarray(u))[0], point, atol=1e-13)
    mean, cov = joint_of_model(model, np.tile(u, (5, 1)), 5)
    np.testing.assert_allclose(mean.reshape(5, 3), np.tile(point, (5, 1)), atol=1e-13)
    np.testing.assert_allclose(cov[:3, :3], cov[-3:, -3:], atol=1e-13)  # stationary
    nudge = np.tile(u, (5, 1))
    nudge[1] += 1e-5
    moved = joint_of_model(model, nudge, 5)[0].reshape(5, 3)[1]
    exact = np.asarray(tanh_cell.step(jnp.asarray(point), jnp.asarray(nudge[1]))[0])
    np.testing.assert_allclose(moved, exact, atol=1e-9)
    with pytest.raises(ValueError, match="leave path= out"):
        ss.convert(tanh_cell, ss.LinearGaussian, inputs=u, about="fixed_point", path=U, **scales(3, 3))
    with pytest.raises(ValueError, match="is not stable"):
        ss.convert(elman("identity", 1.1), ss.LinearGaussian, inputs=u, about="fixed_point", **scales(3, 3))
