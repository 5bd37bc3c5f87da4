"""Many sequences of one model: behind the door, and as arrays."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..data import Series, check_observed
from ..inference.amortised import ELBO, FIVO, IWAE, AbstractObjective
from ..inference.amortised.batches import Corpus
from ..models.deep import AbstractGuide, Guide, Prior
from .door import Prepared, as_model, bind, prepare
from .panel import is_panel, parts_of

_OBJECTIVES = {"elbo": ELBO, "iwae": IWAE, "fivo": FIVO}


def sequences(
    model: Any, data: Any, inputs: Any, times: Any, transform: Any, like: list[Prepared] | None = None
) -> tuple[list[str] | None, list[Prepared]]:
    """The sequences with the model bound to all of them, or to earlier ones; names of a panel's."""
    parts = parts_of(data, inputs, times)
    found: list[Prepared] = []
    for part, own, stamps in parts.values():
        first = (like or found)[0].series if like or found else None
        change = (like or found)[0].transform if like or found else transform
        found.append(prepare(model, part, inputs=own, times=stamps, transform=change, like=first, part=True))
    whole = pooled([p.series for p in like or found])
    check_observed(whole)
    bound = bind(as_model(model), found[0].series, whole)
    return list(parts) if is_panel(data) else None, [part._replace(model=bound) for part in found]


def as_objective(bound: Any, num_particles: int | None, default: int) -> AbstractObjective:
    """An objective by its name, or as it is.

    Raises:
        TypeError: If it is none.
        ValueError: If the name is unknown, or a number of particles comes with an objective that has its own.
    """
    if isinstance(bound, str):
        if bound.lower() not in _OBJECTIVES:
            raise ValueError(f"bound={bound!r} is unknown: choose one of {', '.join(map(repr, _OBJECTIVES))}")
        return _OBJECTIVES[bound.lower()](default if num_particles is None else num_particles)
    if not isinstance(bound, AbstractObjective):
        raise TypeError(f"bound= takes a name such as 'elbo', or ELBO(), IWAE() or FIVO(), got {bound!r}")
    if num_particles is not None:
        raise ValueError(f"num_particles= goes with a bound's name: {bound!r} has its own")
    return bound


def as_guide(guide: Any) -> AbstractGuide:
    """The guide itself; the model's own transition, a bootstrap filter, in place of None.

    Raises:
        TypeError: If it is none.
    """
    if guide is not None and not isinstance(guide, AbstractGuide):
        raise TypeError(f"guide= takes a Guide, got {type(guide).__name__}")
    return Guide(None, Prior()) if guide is None else guide


def check_guide(model: Any, guide: AbstractGuide) -> None:
    """Raise a ValueError that says what does not fit where a guide is for another model."""
    encoder: Any = getattr(guide, "encoder", None)
    if encoder is not None:
        parts = {"series": model.head.features, "inputs": len(model.columns)}
        parts |= {"the path": model.dynamics.path * encoder.path, "masks": model.num_series * encoder.masks}
        takes, meets = encoder.network.input_size, sum(parts.values())
        if takes != meets:
            said = ", ".join(f"{count} of {what}" for what, count in parts.items() if count)
            raise ValueError(f"the encoder's network takes {takes} numbers of a stamp but meets {meets}: {said}")
    y = jnp.zeros((1, model.num_series))
    one = np.zeros((1, len(model.columns))) if model.columns else None
    batch = Corpus(
        [np.asarray(y)], [np.ones(y.shape, bool)], None if one is None else [one], None, model.reads_previous
    )
    sequence = jax.tree.map(lambda leaf: leaf[0], batch.batch([0], 1, 1))
    try:
        jax.eval_shape(lambda: ELBO().bound(model, guide, sequence, jax.random.key(0)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the guide does not fit the model (messages, path, latent states?): {error}") from None


def pooled(parts: list[Series]) -> Series:
    """All rows of all sequences: whose level and scale the model is bound to."""
    values, mask = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "mask"))
    inputs = [part.inputs for part in parts if part.inputs is not None]
    return replace(parts[0], values=values, mask=mask, inputs=np.concatenate(inputs) if inputs else None)


def corpus_of(prepared: list[Prepared]) -> Corpus:
    """The sequences as arrays."""
    series, model = [part.series for part in prepared], prepared[0].model
    spacing = [np.nan_to_num(part.dt, nan=1.0) for part in series]
    inputs = [part.inputs for part in series if part.inputs is not None]
    y, mask = [part.values for part in series], [np.asarray(part.mask) for part in series]
    return Corpus(y, mask, inputs or None, None if series[0].is_regular else spacing, model.reads_previous)
