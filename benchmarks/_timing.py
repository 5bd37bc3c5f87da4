"""The clock of the benchmarks: first calls, which compile, apart from the fastest of later ones."""

import os
import time

import jax

REPEATS = int(os.environ.get("STATESPACE_BENCH_REPEATS", "60"))


def best(function, *args, repeats=REPEATS):
    """(first call in seconds, fastest later call in milliseconds)."""
    start = time.perf_counter()
    jax.block_until_ready(function(*args))
    first = time.perf_counter() - start
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - start)
    return first, 1e3 * min(times)
