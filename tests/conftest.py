"""What every test stands on: statespace before any JAX backend, x64, a compilation cache, no windows."""

import gc
import os
from fnmatch import fnmatchcase
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


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is marked
def pytest_collection_modifyitems(items):
    """Mark what `long_cases.txt` lists as slow."""
    patterns = [f"tests/{pattern}" for pattern in long_cases()]
    for item in items:
        if any(fnmatchcase(item.nodeid, pattern) for pattern in patterns):
            item.add_marker(pytest.mark.slow)


def long_cases():
    """The patterns of `long_cases.txt`."""
    lines = (ROOT / "tests" / "long_cases.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


_MANY = 25_000  # memory maps, of the 65530 that Linux grants a process: compiled functions take several each


@pytest.fixture(autouse=True)
def small_worker():
    """Compiled functions are let go after a test where there are very many; they stay in the cache on disk."""
    yield
    if _maps() > _MANY:
        jax.clear_caches()
        gc.collect()


def _maps() -> int:
    """How many memory maps the process has, 0 where the system does not say."""
    found = Path("/proc/self/maps")
    return found.read_bytes().count(b"\n") if found.exists() else 0
