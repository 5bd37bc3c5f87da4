"""The statistic of an observation that methods with moments look at, where the emission names one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..models.base import AbstractSignalEmission
from .method import Observed


def check_statistics(model: Any, observed: Observed) -> None:
    """Raise a ValueError if the statistic that stands for an observation is not finite."""
    bad = np.argwhere(~np.isfinite(np.asarray(statistics(model, observed))) & np.asarray(observed.mask))
    if len(bad):
        row, column = bad[0]
        value = float(observed.y[row, column])
        raise ValueError(
            f"the observation at stamp {row} (counted from 0) is {value:g}; methods that work with moments look at a "
            f"statistic of it, which is not finite: pass offset= to {type(model).__name__} if it takes one, or use a "
            "particle filter"
        )


def log_jacobian(model: Any, observed: Observed) -> Float[Array, " time"]:
    """What takes the density of the statistics to that of the observations, by stamp."""
    if not isinstance(model, AbstractSignalEmission):
        return jnp.zeros(len(observed.steps), observed.y.dtype)
    _, change = jax.vmap(model.statistic)(observed.y, observed.steps)
    return jnp.sum(jnp.where(observed.mask, change, 0.0), axis=1)


def statistics(model: Any, observed: Observed) -> Float[Array, "time series"]:
    """What is filtered: the observations, or their statistic where the emission names one."""
    if not isinstance(model, AbstractSignalEmission):
        return observed.y
    return jnp.where(observed.mask, jax.vmap(model.statistic)(observed.y, observed.steps)[0], 0.0)
