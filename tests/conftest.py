"""What every test stands on: statespace before any JAX backend, x64, a compilation cache, no windows."""

import gc
import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # functions compile faster; test-slow sets it to 0
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

import statespace  # noqa: F401, I001  first: its runtime sets an XLA option before a backend starts
import jax
import pytest

ROOT = Path(__file__).resolve().parents[1]

jax.config.update("jax_enable_x64", True)


@pytest.fixture
def key():
    """A fixed random key: statistical tests are calibrated for it."""
    return jax.random.key(20260101)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of series beside the project, which not every checkout has."""
    folder = ROOT.parent / "shared" / "data" / "series"
    if not folder.is_dir():
        pytest.skip("the data folder ../shared/data/series is not beside this checkout")
    return folder


_MANY = 25_000  # memory maps, of the 65530 that Linux grants a process: compiled functions take several each


@pytest.fixture(autouse=True, scope="module")
def small_worker():
    """Compiled functions are let go after a module where there are very many; they stay in the cache on disk."""
    yield
    if _maps() > _MANY:
        jax.clear_caches()
        gc.collect()


def _maps() -> int:
    """How many memory maps the process has, 0 where the system does not say."""
    found = Path("/proc/self/maps")
    return found.read_bytes().count(b"\n") if found.exists() else 0
