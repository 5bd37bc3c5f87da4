"""Bases, modes and diagonals plus low rank: the same kernel and joint law, and what the condition of a basis says."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from convert.joint_law import joint_of_form, random_cov, random_stable

import statespace as ss
from statespace.convert.arrows.dplr import discretise_dplr
from statespace.convert.arrows.modal import blocks_of, discretise_modes
from statespace.convert.arrows.similarity import in_basis
from statespace.convert.forms import DPLR, Modal
from statespace.core import diagonal
from statespace.core.discretise import RULES
from statespace.core.hippo import hippo

LENGTH = 5


def random_form(rng, n=5, **changes):
    joint = random_cov(rng, n + 2)
    given = {
        "A": random_stable(rng, n),
        "B": rng.normal(size=(n, 2)),
        "C": rng.normal(size=(2, n)),
        "D": rng.normal(size=(2, 2)),
        "Q": joint[:n, :n],
        "R": joint[n:, n:],
        "S": joint[:n, n:],
        "mean": rng.normal(size=n),
        "cov": random_cov(rng, n),
        "dt": 0.5,
        "series_names": ["a", "b"],
    }
    return ss.DiscreteSSM(**{**given, **changes})


def same_law(one, other, tolerance=1e-10):
    u = np.random.default_rng(9).normal(size=(LENGTH, one.B.shape[1]))
    for x, y in zip(joint_of_form(one, u, LENGTH), joint_of_form(other, u, LENGTH), strict=True):
        np.testing.assert_allclose(y, x, rtol=0, atol=tolerance * np.abs(x).max())


def random_continuous(rng, n=4):
    return ss.ContinuousSSM(
        rng.normal(size=(n, n)) - 2 * np.eye(n),
        rng.normal(size=(n, 2)),
        rng.normal(size=(2, n)),
        None,
        random_cov(rng, n),
        random_cov(rng, 2),
        mean=rng.normal(size=n),
        cov=random_cov(rng, n),
    )


def test_another_basis_is_the_same_model():
    rng = np.random.default_rng(0)
    form, T = random_form(rng), rng.normal(size=(5, 5))
    moved = ss.convert(form, ss.DiscreteSSM, transform=T)
    assert moved.exact
    assert float(moved.condition) == pytest.approx(np.linalg.cond(T))
    same_law(form, moved.value)
    back = ss.convert(moved.value, ss.DiscreteSSM, transform=np.linalg.inv(T))
    np.testing.assert_allclose(back.value.A, form.A, atol=1e-12)
    np.testing.assert_allclose(moved.then(back).transform, np.eye(5), atol=1e-12)
    continuous = random_continuous(rng)
    T = rng.normal(size=(4, 4))
    there = ss.convert(continuous, ss.ContinuousSSM, transform=T).value
    same_law(*(ss.convert(x, ss.DiscreteSSM, dt=0.2).value for x in (continuous, there)))


def test_elements_without_a_prior_stay_apart_or_are_refused():
    rng = np.random.default_rng(1)
    form = random_form(rng, 3, diffuse=(True, True, False))
    block = scipy.linalg.block_diag(rng.normal(size=(2, 2)), [[2.0]])
    assert in_basis(form, block).value.diffuse == (True, True, False)
    assert in_basis(form, block[::-1]).value.diffuse == (False, True, True)
    with pytest.raises(ValueError, match="would mix"):
        in_basis(form, rng.normal(size=(3, 3)))
    assert in_basis(form.replaced(diffuse=(True,) * 3), rng.normal(size=(3, 3))).value.diffuse == (True,) * 3


def test_transforms_are_checked():
    form = random_form(np.random.default_rng(2))
    with pytest.raises(ValueError, match="expected \\(5, 5\\)"):
        ss.convert(form, ss.DiscreteSSM, transform=np.eye(4))
    with pytest.raises(ValueError, match="transform is singular"):
        ss.convert(form, ss.DiscreteSSM, transform=np.ones((5, 5)))


@pytest.mark.parametrize("timing", ["current", "previous"])
def test_modes_are_the_same_model_and_come_back(timing):
    rng = np.random.default_rng(3)
    for n in (1, 5):
        form = random_form(rng, n, timing=timing)
        found = ss.convert(form, Modal)
        assert found.exact
        assert found.value.is_diagonal
        eigenvalues = np.sort_complex(np.linalg.eigvals(np.asarray(form.A)))
        np.testing.assert_allclose(np.sort_complex(np.asarray(found.value.eigenvalues)), eigenvalues, atol=1e-12)
        V = np.linalg.eig(np.asarray(form.A))[1]
        assert float(found.condition) == pytest.approx(np.linalg.cond(V), rel=1e-6)
        modes = found.value.modes
        np.testing.assert_allclose(
            np.asarray(modes.outputs) * np.asarray(modes.eigenvalues) ** 3 @ np.asarray(modes.inputs),
            form.C @ np.linalg.matrix_power(form.A, 3) @ form.B,
            atol=1e-10,
        )
        same_law(form, ss.convert(found.value, ss.DiscreteSSM).value)
    assert "Modal(" in repr(found.value)


def test_nearly_parallel_eigenvectors_stay_in_a_block():
    trend = ss.DiscreteSSM([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5]])
    found = ss.convert(trend, Modal)
    assert found.value.sizes == (2, 1)
    assert not found.value.is_diagonal
    assert float(found.condition) < 10
    assert "blocks of [2] rows" in found.notes[0]
    np.testing.assert_allclose(np.sort(np.abs(found.value.eigenvalues)), [0.5, 1.0, 1.0])
    same_law(trend, found.value.system)
    with pytest.raises(ValueError, match="no diagonal view"):
        _ = found.value.modes
    near = np.array([[0.5, 1.0], [0.0, 0.5 + 1e-6]])
    assert blocks_of(near, 1e8)[2] == (1, 1)
    assert blocks_of(near, 1e4)[2] == (2,)


@pytest.mark.parametrize("size", [12, 32, 64])
def test_memories_beyond_twelve_states_are_never_silently_wrong(size):
    """The eigenvectors of LegS have a condition number of 1e17 at 24 states: blocks keep it below the limit."""
    A, _ = hippo("legs", size)
    for limit in (1e4, 1e8):
        basis, blocks, sizes, _ = blocks_of(A, limit)
        assert sum(sizes) == size
        condition = np.linalg.cond(basis)
        assert condition <= limit
        residual = np.abs(basis @ blocks - A @ basis).max() / np.abs(A).max()
        assert residual < 1e-14 * condition


def test_modes_against_the_block_diagonal_form_of_a_peer():
    control = pytest.importorskip("control")
    pytest.importorskip("slycot")
    rng = np.random.default_rng(4)
    A = scipy.linalg.block_diag([[0.5, 1.0], [0.0, 0.5]], 0.3 * np.array([[0.0, 1.0], [-1.0, 0.0]]), [[-0.7]])
    T = rng.normal(size=(5, 5))
    A = T @ A @ np.linalg.inv(T)
    theirs = control.bdschur(A, condmax=1e6)[2]
    assert sorted(blocks_of(A, 1e6)[2]) == sorted(theirs)


@pytest.mark.parametrize(("rule", "timing"), [("zoh", "previous"), ("s4_bilinear", "current")])
def test_modes_are_discretised_one_by_one(rule, timing):
    model = random_continuous(np.random.default_rng(5))
    modes = ss.convert(model, Modal).value
    ours = ss.convert(modes, Modal, dt=0.3, rule=rule, timing=timing)
    dense = ss.convert(model, ss.DiscreteSSM, dt=0.3, rule=rule, timing=timing)
    assert ours.exact == dense.exact == (rule == "zoh")
    same_law(dense.value, ours.value.system)
    with pytest.raises(TypeError, match="DiscreteSSM, not of a ContinuousSSM"):
        discretise_modes(ours.value, dt=0.3)


@pytest.mark.parametrize("rule", sorted({*RULES, *diagonal.RULES} - {"zoh", "s4_bilinear"}))
def test_modes_refuse_every_other_rule(rule):
    modes = ss.convert(random_continuous(np.random.default_rng(5)), Modal).value
    with pytest.raises(ValueError, match=f"modes are discretised by .*, got '{rule}'"):
        ss.convert(modes, Modal, dt=0.3, rule=rule)


@pytest.mark.parametrize(("measure", "rank", "size"), [("legs", 1, 64), ("legt", 2, 6), ("fout", 1, 6)])
def test_memories_are_diagonal_plus_low_rank(measure, rank, size):
    A, B = hippo(measure, size)
    rng = np.random.default_rng(6)
    model = ss.ContinuousSSM(A, B[:, None], rng.normal(size=(1, size)), None, random_cov(rng, size, 3))
    found = ss.convert(model, DPLR)
    form = found.value
    assert found.exact
    assert form.rank == rank
    assert float(found.condition) == 1.0
    scale = np.abs(A).max()
    T = np.asarray(found.transform)
    np.testing.assert_allclose(T @ T.T, np.eye(size), atol=1e-13)
    np.testing.assert_allclose(T.T @ (form.normal - form.left @ form.right.T) @ T, A, atol=1e-13 * scale * size)
    modes = form.modes
    W = np.asarray(modes.unitary)
    low = (W @ form.left) @ (W @ form.right).conj().T
    np.testing.assert_allclose(np.diag(modes.eigenvalues) - low, W @ form.system.A @ W.conj().T, atol=1e-12 * scale)
    stepped = ss.convert(form, DPLR, dt=0.01)
    assert not stepped.exact
    dense = ss.convert(model, ss.DiscreteSSM, dt=0.01, rule="s4_bilinear").value
    for name in "ABCQ":
        moved = {"A": T @ dense.A @ T.T, "B": T @ dense.B, "C": dense.C @ T.T, "Q": T @ dense.Q @ T.T}[name]
        np.testing.assert_allclose(stepped.value.system.matrices[name], moved, atol=1e-12 * size, err_msg=name)
    assert stepped.value.rank == rank
    same = ss.convert(stepped.value, ss.DiscreteSSM).value
    np.testing.assert_array_equal(same.A, stepped.value.system.A)
    rebuilt = stepped.value.normal - stepped.value.left @ stepped.value.right.T
    np.testing.assert_allclose(rebuilt, stepped.value.system.A, atol=1e-13)


def test_dense_matrices_are_no_low_rank():
    rng = np.random.default_rng(7)
    with pytest.raises(ValueError, match="but for rank"):
        ss.convert(random_continuous(rng), DPLR)
    rotation = scipy.stats.special_ortho_group.rvs(5, random_state=8)
    skew = rotation - rotation.T
    factor = rng.normal(size=(5, 1))
    odd = ss.convert(ss.ContinuousSSM(skew - np.eye(5) + factor @ factor.T), DPLR)  # a low rank that is added
    np.testing.assert_allclose(odd.value.left, -odd.value.right)
    np.testing.assert_allclose(
        odd.transform.T @ odd.value.system.A @ odd.transform, skew - np.eye(5) + factor @ factor.T, atol=1e-13
    )
    with pytest.raises(ValueError, match="\"s4_bilinear\", got 'zoh'"):
        discretise_dplr(odd.value, dt=0.1, rule="zoh")


def test_options_of_blocks_are_checked():
    form = random_form(np.random.default_rng(10))
    with pytest.raises(ValueError, match="1 or more, got 0.5"):
        ss.convert(form, Modal, limit=0.5)
    with pytest.raises(ValueError, match="varies with time has no modes"):
        ss.convert(form.replaced(A=jnp.stack([form.A] * 3)), Modal)
    with pytest.raises(ValueError, match="are not those of a matrix"):
        Modal(form, (1, 1), (False, False))
