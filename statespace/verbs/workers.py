"""Work over many draws, split over the cores."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

_CHUNK = 100


def over_draws(
    function: Callable[[dict, Any], Any],
    draws: dict[str, np.ndarray],
    key: Any,
    progress: bool,
    what: str,
    count: int | None = None,
) -> Any:
    """Apply a compiled function of (draws, keys) to chunks of draws, on as many threads as there are cores.

    Args:
        function: Maps draws (leading axis: draw) and as many keys to a tree with that leading axis.
        draws: Parameter draws by path, with one leading axis.
        key: PRNG key.
        progress: Whether to show a progress bar.
        what: Its label.
        count: Number of draws, where there may be no parameter to tell.

    Returns:
        The joined results, as NumPy arrays.
    """
    count = len(next(iter(draws.values()))) if count is None else count
    chunk = min(_CHUNK, count)
    starts = list(range(0, count, chunk))
    keys = jax.random.split(key, count)
    padded = np.arange(len(starts) * chunk) % count  # the last chunk is filled up, so that one size is compiled

    def one(start: int) -> Any:
        rows = padded[start : start + chunk]
        part = {path: jnp.asarray(v[rows]) for path, v in draws.items()}
        return jax.device_get(function(part, keys[rows]))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        done = tqdm(pool.map(one, starts), total=len(starts), desc=what, disable=not progress, leave=False)
        found = list(done)
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *found)
