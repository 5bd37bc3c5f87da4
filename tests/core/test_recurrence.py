"""The linear recurrence: every algorithm against a loop, in values and derivatives, real and complex."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statespace.core.recurrence import linear_recurrence

METHODS = ["sequential", "chunked", "associative", "fft"]
LENGTHS = [1, 100, *(pytest.param(n, marks=pytest.mark.slow) for n in (7, 64, 1024))]


def loop(a, b, x0, matrix=False):
    """The recurrence as it is written."""
    x, found = np.asarray(x0), []
    for k in range(len(b)):
        here = a[k] if a.ndim == b.ndim + matrix else a
        x = (here @ x if matrix else here * x) + b[k]
        found.append(x)
    return np.array(found)


def case(length, kind, seed=0):
    """Factors inside the unit circle, inputs and a start that is not zero."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        x = rng.normal(size=shape)
        return x + 1j * rng.normal(size=shape) if "complex" in kind else x

    if "matrix" in kind:
        a = draw(*((length, 3, 3) if "varying" in kind else (3, 3)))
        a = 0.95 * a / np.linalg.norm(a, 2, axis=(-2, -1), keepdims=True)
    else:
        a = draw(*((length, 3) if "varying" in kind else (3,)))
        a = np.clip(np.abs(a), 0.1, 0.99) * a / np.abs(a)
    return a, draw(length, 3), draw(3)


def serves(method, kind):
    return method != "fft" or not ("matrix" in kind or "varying" in kind)


KINDS = ["constant", "varying", "complex constant", "complex varying", "matrix constant", "matrix varying"]
GRID = [(m, k) for m in METHODS for k in KINDS if serves(m, k)]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("method", "kind"), GRID)
def test_all_algorithms_are_the_loop(method, kind, length):
    a, b, x0 = case(length, kind)
    found = linear_recurrence(a, b, x0, method, matrix="matrix" in kind)
    np.testing.assert_allclose(found, loop(a, b, x0, "matrix" in kind), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_single_precision(method):
    a, b, x0 = (x.astype(np.float32) for x in case(1024, "constant"))
    found = linear_recurrence(a, b, x0, method)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, loop(a.astype(float), b, x0), atol=2e-5 * 11 * np.abs(b).max())


@pytest.mark.parametrize(("method", "kind"), GRID)
def test_derivatives_are_those_of_a_scan(method, kind):
    a, b, x0 = map(jnp.asarray, case(70, kind, seed=1))
    weights = jnp.asarray(np.random.default_rng(2).normal(size=b.shape))

    def value(method, a, b, x0):
        x = linear_recurrence(a, b, x0, method, matrix="matrix" in kind)
        return jnp.sum(weights * jnp.abs(x) ** 2) + jnp.sum(jnp.sin(x.real))

    def plain(a, b, x0):
        def step(x, pair):
            x = (pair[0] @ x if "matrix" in kind else pair[0] * x) + pair[1]
            return x, x

        factors = a if "varying" in kind else jnp.broadcast_to(a, (len(b), *a.shape))
        x = jax.lax.scan(step, x0, (factors, b))[1]
        return jnp.sum(weights * jnp.abs(x) ** 2) + jnp.sum(jnp.sin(x.real))

    found = jax.grad(lambda *args: value(method, *args), argnums=(0, 1, 2))(a, b, x0)
    for ours, theirs in zip(found, jax.grad(plain, argnums=(0, 1, 2))(a, b, x0), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_second_derivatives_and_batches(method):
    a, b, x0 = map(jnp.asarray, case(9, "constant", seed=3))

    def value(a):
        return jnp.sum(linear_recurrence(a, b, x0, method) ** 3)

    def plain(a):
        x, total = x0, 0.0
        for k in range(9):
            x = a * x + b[k]
            total += jnp.sum(x**3)
        return total

    np.testing.assert_allclose(jax.hessian(value)(a), jax.hessian(plain)(a), rtol=1e-9)
    many = jnp.stack([a, 0.5 * a, -a])
    found = jax.vmap(jax.grad(value))(many)
    np.testing.assert_allclose(found, jnp.stack([jax.grad(plain)(one) for one in many]), rtol=1e-9)


@pytest.mark.parametrize("kind", ["varying", "matrix varying"])
@pytest.mark.parametrize("method", METHODS[:3])
def test_split_anywhere_and_resume(method, kind):
    a, b, x0 = case(100, kind, seed=4)
    whole = linear_recurrence(a, b, x0, method, matrix="matrix" in kind)
    for k in (1, 37, 64, 99):
        first = linear_recurrence(a[:k], b[:k], x0, method, matrix="matrix" in kind)
        rest = linear_recurrence(a[k:], b[k:], first[-1], method, matrix="matrix" in kind)
        np.testing.assert_allclose(jnp.concatenate([first, rest]), whole, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("kind", ["constant", "varying", "matrix constant"])
@pytest.mark.parametrize("method", METHODS[:3])
def test_a_masked_stamp_leaves_the_state(method, kind):
    a, b, x0 = case(80, kind, seed=5)
    mask = np.random.default_rng(6).random(80) < 0.6
    matrix = "matrix" in kind
    found = linear_recurrence(a, b, x0, method, matrix=matrix, mask=mask)
    x = x0
    for k in range(80):
        here = a[k] if "varying" in kind else a
        x = (here @ x if matrix else here * x) + b[k] if mask[k] else x
        np.testing.assert_allclose(found[k], x, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_the_future_does_not_matter(method):
    a, b, x0 = case(64, "constant")
    later = b.copy()
    later[40:] += 1e3
    tolerance = 1e-9 if method == "fft" else 0.0
    early = linear_recurrence(a, b, x0, method)[:40]
    np.testing.assert_allclose(linear_recurrence(a, later, x0, method)[:40], early, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"a": np.ones(4)}, r"a has shape \(4,\), expected \(3,\)"),
        ({"x0": np.ones(2)}, r"x0 has shape \(2,\)"),
        ({"method": "parallel"}, "got 'parallel'"),
        ({"method": "fft", "a": np.ones((7, 3))}, "constant factors"),
        ({"matrix": True}, r"expected \(3, 3\)"),
        ({"matrix": True, "b": np.ones(7), "x0": None}, r"b is \(time, state\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, text):
    a, b, x0 = case(7, "constant")
    with pytest.raises(ValueError, match=text):
        linear_recurrence(**{"a": a, "b": b, "x0": x0} | change)


def test_an_empty_series_has_no_states():
    assert linear_recurrence(np.ones(3), np.zeros((0, 3))).shape == (0, 3)
