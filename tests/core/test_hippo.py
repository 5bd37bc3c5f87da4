"""Memories: the matrices, their eigenvectors at any size, and what they remember."""

import numpy as np
import pytest

from statespace.core.hippo import hippo, legt_decoder, normal_plus_low_rank


@pytest.mark.parametrize("measure", ["legs", "legt", "fout"])
@pytest.mark.parametrize("size", [2, 16, 64, pytest.param(256, marks=pytest.mark.slow)])
def test_the_low_rank_form_is_exact_at_any_size(measure, size):
    window = 1.0 if measure == "legs" else 0.7
    a, b = hippo(measure, size, window)
    found = normal_plus_low_rank(measure, size, window)
    v, p = found.vectors, found.low_rank
    rebuilt = v @ (np.diag(found.eigenvalues) - p @ p.conj().T) @ v.conj().T
    assert np.max(np.abs(rebuilt - a)) < 1e-13 * np.max(np.abs(a))
    assert np.max(np.abs(v @ found.inputs - b)) < 1e-12 * np.max(np.abs(b))
    assert np.max(np.abs(v.conj().T @ v - np.eye(size))) < 1e-11
    assert np.all(np.diff(found.eigenvalues.imag) >= 0)
    assert np.array_equal(found.eigenvalues[: size // 2], found.eigenvalues[: size // 2 - 1 : -1].conj())
    half = found.halved()
    assert np.max(np.abs(2 * (half.vectors @ half.inputs).real - b)) < 1e-12 * np.max(np.abs(b))


def test_the_eigenvectors_of_the_memory_itself_are_useless():
    """Why the normal part is used: those of A have a condition number that grows exponentially."""
    a, _ = hippo("legs", 24)
    assert np.linalg.cond(np.linalg.eig(a)[1]) > 1e10


def test_published_entries():
    a, b = hippo("legs", 3)
    root = np.sqrt
    np.testing.assert_allclose(a, [[-1, 0, 0], [-root(3), -2, 0], [-root(5), -root(15), -3]], rtol=1e-14)
    np.testing.assert_allclose(b, root([1, 3, 5]), rtol=1e-15)


def test_the_window_is_the_legendre_memory_unit():
    """The form of Voelker, Kajic and Eliasmith, whose states are scaled and signed otherwise."""
    size, window = 6, 2.5
    i = np.arange(size)
    theirs = (2 * i[:, None] + 1) * np.where(i[:, None] < i, -1.0, (-1.0) ** (i[:, None] - i + 1)) / window
    inputs = (2 * i + 1) * (-1.0) ** i / window
    scale = (-1.0) ** i / np.sqrt(2 * i + 1)
    a, b = hippo("legt", size, window)
    np.testing.assert_allclose(a, scale[:, None] * theirs / scale, rtol=1e-13)
    np.testing.assert_allclose(b, scale * inputs, rtol=1e-13)


@pytest.mark.parametrize(("size", "frequency", "error"), [(8, 10, 1.5e-2), (16, 20, 2.1e-4), (32, 40, 1e-6)])
def test_the_window_is_a_delay(size, frequency, error):
    """Decoding the end of the window gives the input one window ago: exp(-i w) at the frequency w."""
    a, b = hippo("legt", size)
    response = legt_decoder(size, np.array([1.0])) @ np.linalg.solve(1j * frequency * np.eye(size) - a, b)
    assert abs(response[0] - np.exp(-1j * frequency)) < error


def test_memories_hold_polynomials():
    """A polynomial of degree below the number of states is held exactly, once the window is full."""
    size, age = 6, np.linspace(0, 1, 5)
    a, b = hippo("legt", size)
    # the state of an input s^3: a polynomial in time itself, x = sum of c_k s^k with c' matched power by power
    degree = 3
    coefficients = np.zeros((degree + 2, size))
    for k in range(degree, -1, -1):
        right = (k + 1) * coefficients[k + 1] - b * (k == degree)
        coefficients[k] = np.linalg.solve(a, right)
    time = 1.7
    state = sum(coefficients[k] * time**k for k in range(degree + 1))
    np.testing.assert_allclose(legt_decoder(size, age) @ state, (time - age) ** degree, atol=1e-12)


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="measure is one of"):
        hippo("lagt", 4)
    with pytest.raises(ValueError, match="positive window"):
        hippo("legt", 4, 0.0)
    with pytest.raises(ValueError, match="leave window= out"):
        hippo("legs", 4, 2.0)
    with pytest.raises(ValueError, match="even number"):
        hippo("fout", 5)
    with pytest.raises(ValueError, match="even number"):
        normal_plus_low_rank("legs", 5).halved()
    with pytest.raises(ValueError, match="between 0"):
        legt_decoder(3, np.array([1.5]))
