"""What the two generations of ArviZ do differently."""

from typing import Any

import pandas as pd
import xarray as xr


def has_inference_data() -> bool:
    """Whether the installed ArviZ is older than 1 and reads InferenceData rather than DataTree."""
    import arviz as az

    return int(az.__version__.split(".")[0]) < 1


def to_arviz(tree: xr.DataTree) -> Any:
    """The tree as the installed ArviZ reads it: InferenceData below ArviZ 1, the DataTree itself from 1 on."""
    if not has_inference_data():
        return tree
    import arviz as az

    return az.InferenceData(**{name: node.to_dataset() for name, node in tree.children.items()})


def summary_table(posterior: xr.Dataset) -> pd.DataFrame:
    """ArviZ's summary of a posterior, numbers unrounded."""
    import arviz as az

    if has_inference_data():
        return az.summary(az.InferenceData(posterior=posterior), round_to="none")
    return az.summary(xr.DataTree.from_dict({"posterior": posterior}), round_to="none")
