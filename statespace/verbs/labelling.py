"""Arrays of a run to labelled results: one kind of result for each kind of arrays that methods return."""

from functools import singledispatch
from typing import Any

import jax
import numpy as np

from ..inference.discrete import DiscreteFilterArrays, DiscreteSmootherArrays
from ..inference.method import AbstractMethod
from ..inference.moves import state_of
from ..inference.reports import EnsembleArrays, EnsembleSmootherArrays, FilterArrays, ParticleArrays, SmootherArrays
from ..models.discrete import AbstractDiscreteDynamics
from ..results import (
    DiscreteFiltered,
    DiscreteSmoothed,
    EnsembleFiltered,
    EnsembleSmoothed,
    Filtered,
    ParticleFiltered,
    Smoothed,
    labelled_numbers,
    labelled_paths,
)
from .door import Prepared


@singledispatch
def label_filtered(found: Any, prepared: Prepared, method: AbstractMethod) -> Any:
    """The labelled result of a filter run."""
    raise TypeError(f"nothing labels {type(found).__name__}")


@singledispatch
def label_smoothed(found: Any, prepared: Prepared) -> Any:
    """The labelled result of a smoother run."""
    raise TypeError(f"nothing labels {type(found).__name__}")


def common(found: Any, prepared: Prepared, method: AbstractMethod) -> dict[str, Any]:
    """What every kind of filter result holds."""
    return {
        "series": prepared.series,
        "state_names": prepared.model.filtered_names,
        "log_likelihood_terms": np.asarray(found.terms),
        "model": prepared.model,
        "transform": prepared.transform,
        "filter_method": method,
        "belief": found.last,
        "steps_done": prepared.series.length,
    }


def same(arrays: Any, *names: str) -> dict[str, Any]:
    """Fields of the arrays, on the host, that the result holds under the same names."""
    return {name: np.asarray(getattr(arrays, name)) for name in names}


def smoothed_components(arrays: Any, prepared: Prepared) -> dict[str, Any]:
    """What the smoothed components say, and the labels of the run."""
    sd = {k: np.sqrt(np.maximum(v, 0.0)) for k, v in arrays.component_var.items()}
    return {
        "series": prepared.series,
        "state_names": prepared.model.filtered_names,
        "components": {k: (arrays.component_mean[k], sd[k]) for k in names_of(prepared.model, sd)},
    }


@label_filtered.register
def _(found: FilterArrays, prepared: Prepared, method: AbstractMethod) -> Filtered:
    arrays = jax.device_get(found)
    return Filtered(
        **common(found, prepared, method),
        **same(arrays, "mean", "cov", "predicted_mean", "predicted_cov"),
        **same(arrays, "observation_mean", "observation_cov", "residuals"),
        diffuse_count=int(arrays.diffuse_count),
    )


@label_filtered.register
def _(found: ParticleArrays, prepared: Prepared, method: AbstractMethod) -> ParticleFiltered:
    arrays = jax.tree.map(np.asarray, jax.device_get((found.ess, found.resampled, found.alive, found.kept)))
    ess, resampled, alive, kept = arrays
    moments, history = kept.get("moments"), kept.get("history")
    family = kept.get("genealogy", history)
    size = jax.tree.leaves(found.last.x)[0].shape[0]
    result = ParticleFiltered(
        **common(found, prepared, method),
        num_particles=size,
        log_likelihood_se=float(found.error),
        ess=ess,
        resampled=resampled,
        alive=alive,
        mean=None if moments is None else moments.mean,
        sd=None if moments is None else np.sqrt(np.maximum(moments.variance, 0.0)),
        quantiles=kept.get("quantiles"),
        ancestors=None if family is None else family.ancestors,
        particles=None if history is None else np.reshape(state_of(history.x), (*history.log_weights.shape, -1)),
        log_weights=None if history is None else history.log_weights,
    )
    result.warn()
    return result


@label_filtered.register
def _(found: EnsembleArrays, prepared: Prepared, method: AbstractMethod) -> EnsembleFiltered:
    arrays = jax.tree.map(np.asarray, jax.device_get(found))
    mean, variance = arrays.kept.get("moments", (None, None))
    return EnsembleFiltered(
        **common(found, prepared, method),
        num_members=found.last.x.shape[0],
        **same(arrays, "spread", "observation_mean", "observation_sd", "residuals"),
        mean=mean,
        sd=None if variance is None else np.sqrt(variance),
        members=arrays.kept.get("members"),
    )


@label_smoothed.register
def _(found: EnsembleSmootherArrays, prepared: Prepared) -> EnsembleSmoothed:
    arrays = jax.tree.map(np.asarray, jax.device_get(found))
    return EnsembleSmoothed(
        **smoothed_components(arrays, prepared),
        mean=arrays.mean,
        sd=np.sqrt(np.maximum(arrays.variance, 0.0)),
        members=arrays.members,
    )


@label_smoothed.register
def _(found: SmootherArrays, prepared: Prepared) -> Smoothed:
    arrays = jax.tree.map(np.asarray, jax.device_get(found))
    return Smoothed(
        **smoothed_components(arrays, prepared),
        **same(arrays, "mean", "cov", "observation_residuals", "state_residuals"),
        **same(arrays, "loo_terms", "loo_mean", "loo_sd"),
    )


@label_filtered.register
def _(found: DiscreteFilterArrays, prepared: Prepared, method: AbstractMethod) -> DiscreteFiltered:
    arrays = jax.device_get(found)
    return DiscreteFiltered(
        **common(found, prepared, method),
        **same(arrays, "probabilities", "predicted_probabilities", "observation_mean", "observation_cov"),
    )


@label_smoothed.register
def _(found: DiscreteSmootherArrays, prepared: Prepared) -> DiscreteSmoothed:
    arrays = jax.tree.map(np.asarray, jax.device_get(found))
    return DiscreteSmoothed(
        series=prepared.series,
        state_names=prepared.model.state_names,
        **same(arrays, "probabilities", "transitions", "loo_terms"),
    )


def label_paths(paths: Any, prepared: Prepared) -> Any:
    """Paths of states, (..., time, state), or (..., time) of their numbers where they are discrete."""
    paths, names = np.asarray(paths), prepared.model.state_names
    if isinstance(prepared.model, AbstractDiscreteDynamics):
        return labelled_numbers(paths[..., 0] if paths.ndim > 1 else paths, prepared.series, names)
    return labelled_paths(paths, prepared.series, names)


def names_of(model: Any, found: dict[str, Any]) -> list[str]:
    """Component names in the model's order (trees sort their keys)."""
    return [component.name for component in model.components] if found else []
