"""How a deep model was learned: the bound's history, and the table of it."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from .status import Status, caution

GROUP = "training"  # of a fit's extra groups
_ACTIVE = 0.01  # nats a stamp that a latent state which is used diverges by at least


def training_group(history: Any, seed: int, **about: Any) -> xr.Dataset:
    """The history of learning, in nats a stamp.

    Args:
        history: Arrays `bound` (step, seed), `divergence` (step, seed, latent), `held_out` (evaluation, seed) and
            `evaluated_at` (evaluation,).
        seed: The one that was kept.
        about: What the numbers are: objective, num_particles, ...
    """
    arrays: dict[str, Any] = {
        "bound": (("step", "seed"), history.bound),
        "divergence": (("step", "seed", "latent"), history.divergence),
        "held_out": (("evaluation", "seed"), history.held_out),
    }
    coords: dict[str, Any] = {
        "step": np.arange(1, len(history.bound) + 1),
        "evaluated_at": ("evaluation", history.evaluated_at),
    }
    return xr.Dataset(arrays, coords, {"unit": "nats a stamp", "kept_seed": seed, **about})


def training_table(history: xr.Dataset, status: Status) -> pd.DataFrame:
    """What to know of how a model was learned, with warnings of what should be mended."""
    details = status.details
    history = kept(history)
    last = history.isel(step=slice(-details["steps_per_epoch"], None))
    divergence = np.asarray(last["divergence"].mean("step"))
    rows: dict[str, tuple[Any, str]] = {
        "bound": (float(last["bound"].mean()), f"{_kind(history)}, mean over the last epoch, nats a stamp")
    }
    if history.sizes["evaluation"]:
        best = int(np.argmax(history["held_out"].to_numpy()))
        at = int(history["evaluated_at"].to_numpy()[best])
        rows["held_out_bound"] = float(history["held_out"][best]), f"{_kind(history)}, best, at step {at}; nats a stamp"
    if not np.isnan(divergence).any():
        rows["divergence"] = float(divergence.sum()), "KL(guide || prior), nats a stamp"
        rows["used_latents"] = used(divergence), f"of {len(divergence)} diverge by more than {_ACTIVE} nats a stamp"
    rows["steps"] = history.sizes["step"], f"{history.sizes['step'] / details['steps_per_epoch']:.1f} epochs"
    rows["sequences"] = details["num_sequences"], f"{details['num_stamps']} stamps"
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "note"])
    table.attrs = {"status": status.message}
    for text in details.get("cautions", []):
        caution(text)
    if not status.converged:
        caution(status.message)
    return table


def kept(history: xr.Dataset) -> xr.Dataset:
    """The history of the seed that was kept."""
    return history.isel(seed=int(history.attrs["kept_seed"]))


def used(divergence: NDArray[np.float64]) -> int:
    """Number of latent states that diverge from their prior."""
    return int(np.sum(divergence > _ACTIVE))


def _kind(history: xr.Dataset) -> str:
    return f"{history.attrs['objective']}-{history.attrs['num_particles']}"
