"""Systems for the tests of kernels, and their kernels by a loop."""

import numpy as np


def looped(a, b, c, length):
    """C A^k B, one power after another."""
    out, x = [], b
    for _ in range(length):
        out.append(c @ x)
        x = a @ x
    return np.array(out).reshape(length, c.shape[0], b.shape[1])


def half_of_pairs():
    """Half of the conjugate pairs of a stable matrix with a low rank taken off, continuous in time."""
    rng = np.random.default_rng(1)
    n = 6
    eigenvalues = -rng.uniform(0.1, 1.0, n) + 1j * rng.uniform(0.3, 9.0, n)
    p, b = (rng.normal(size=(n, k)) + 1j * rng.normal(size=(n, k)) for k in (2, 2))
    c = rng.normal(size=(3, n)) + 1j * rng.normal(size=(3, n))
    return eigenvalues, 0.3 * p, b, c
