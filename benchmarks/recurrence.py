"""The algorithms of `linear_recurrence` against length: time of value and of gradient, and time to compile.

x[k] = a[k] x[k-1] + b[k] for 64 complex elements in single precision, factors constant or one for each stamp; jitted,
compile time apart (a first call), minima over repeats. On a CPU the sequential scan is the one that "auto" takes.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
from _timing import best

from statespace.core.recurrence import linear_recurrence

LENGTHS = [int(n) for n in os.environ.get("STATESPACE_BENCH_LENGTHS", "64,1024,16384").split(",")]
STATES = 64


def problem(length, varying):
    rng = np.random.default_rng(0)
    shape = (length, STATES) if varying else (STATES,)
    a = np.exp(-rng.uniform(0.001, 0.1, shape) + 1j * rng.uniform(0, 3, shape))
    b = rng.normal(size=(length, STATES)) + 1j * rng.normal(size=(length, STATES))
    return jnp.asarray(a, jnp.complex64), jnp.asarray(b, jnp.complex64)


def functions(method):
    def value(a, b):
        return linear_recurrence(a, b, method=method)

    def loss(a, b):
        return jnp.sum(jnp.abs(value(a, b)) ** 2)

    return jax.jit(value), jax.jit(jax.grad(loss, argnums=(0, 1)))


def main():
    for varying in (False, True):
        for length in LENGTHS:
            a, b = problem(length, varying)
            reference = None
            for method in ("sequential", "chunked", "associative", "fft"):
                if varying and method == "fft":
                    continue
                value, gradient = functions(method)
                repeats = 60 if length < 5000 else 15
                found = [best(f, a, b, repeats=repeats) for f in (value, gradient)]
                x = np.asarray(value(a, b))
                reference = x if reference is None else reference
                error = np.max(np.abs(x - reference)) / np.max(np.abs(reference))
                print(
                    f"{'varying ' if varying else 'constant'} T={length:6d} {method:12s} value {found[0][1]:9.3f} ms   "
                    f"gradient {found[1][1]:9.3f} ms   first calls {found[0][0]:5.2f} s {found[1][0]:5.2f} s   "
                    f"difference {error:.0e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
