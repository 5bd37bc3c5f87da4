"""Many sequences of one model: behind the door, and as arrays."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..data import Series, check_observed
from ..inference.amortised.batches import Corpus
from .door import Prepared, as_model, bind, prepare
from .panel import is_panel, members, one_clock, share


def sequences(
    model: Any, data: Any, inputs: Any, times: Any, transform: Any, like: list[Prepared] | None = None
) -> tuple[list[str] | None, list[Prepared]]:
    """The sequences with the model bound to all of them, or to earlier ones; names of a panel's."""
    several = is_panel(data)
    parts = members(data) if several else {"": data}
    if several:
        one_clock(data, times)
    names = list(parts)
    shared = zip(share(inputs, names, "inputs"), share(times, names, "times"), strict=True)
    found: list[Prepared] = []
    for part, (own, stamps) in zip(parts.values(), shared, strict=True):
        change = (like or found)[0].transform if like or found else transform
        found.append(prepare(model, part, inputs=own, times=stamps, transform=change, part=True))
    whole = pooled([p.series for p in like or found])
    check_observed(whole)
    bound = bind(as_model(model), found[0].series, whole)
    return names if several else None, [part._replace(model=bound) for part in found]


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
