"""What the two generations of ArviZ do differently."""

import warnings
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

_FEWEST = 25  # draws, of which a fifth makes the tail


def load_arviz() -> Any:
    """The module, without the notice that ArviZ 0.23 gives about ArviZ 1: both are supported here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, message=r"\s*ArviZ is undergoing")
        import arviz
    return arviz


def has_inference_data() -> bool:
    """Whether the installed ArviZ is older than 1 and reads InferenceData rather than DataTree."""
    return int(load_arviz().__version__.split(".")[0]) < 1


def to_arviz(tree: xr.DataTree) -> Any:
    """The tree as the installed ArviZ reads it: InferenceData below ArviZ 1, the DataTree itself from 1 on."""
    if not has_inference_data():
        return tree
    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    return load_arviz().InferenceData(**groups, warn_on_custom_groups=False)


def summary_table(posterior: xr.Dataset) -> pd.DataFrame:
    """ArviZ's summary of a posterior, numbers unrounded."""
    given = to_arviz(xr.DataTree.from_dict({"posterior": posterior}))
    with np.errstate(invalid="ignore", divide="ignore"):  # r_hat of chains that do not move
        return cast(pd.DataFrame, load_arviz().summary(given, round_to="none"))


def pareto_k(log_weights: np.ndarray) -> float:
    """The tail index of importance weights exp(log_weights), (chain, draw): the largest over the chains.

    Below 0.7 the weights have a mean that can be estimated, so that the law they were drawn from covers the target.
    Infinite with fewer than 25 draws, whose tail tells nothing.

    Reference: Vehtari et al. (2024), "Pareto smoothed importance sampling", JMLR 25.
    """
    if log_weights.shape[1] < _FEWEST:
        return float("inf")
    if has_inference_data():
        return max(float(load_arviz().psislw(row)[1]) for row in log_weights)
    from arviz_stats.base import array_stats  # pyright: ignore[reportMissingImports]  it comes with ArviZ 1

    return max(float(array_stats.psislw(-row)[1]) for row in log_weights)  # of log-likelihoods, which divide
