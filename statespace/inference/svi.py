"""SVI: for a family of laws of the parameters, or for a guide of the latent states."""

import dataclasses
import difflib
from typing import Any

from ..models.deep import AbstractGuide
from .amortised.svi import AmortisedSVI
from .variational import FamilySVI


def SVI(guide: str | AbstractGuide = "normal", **options: Any) -> FamilySVI | AmortisedSVI:
    """Stochastic variational inference, of the parameters or of the latent states.

    By the name of a family it approximates the posterior of the parameters of any model with a smooth likelihood
    (`FamilySVI`); with a `Guide` it learns a deep model together with that guide of its latent states
    (`AmortisedSVI`).

    Args:
        guide: "normal", "multivariate_normal", "low_rank" or "flow"; or a `Guide`.
        options: Those of `FamilySVI` (num_steps, num_samples, num_chains, num_particles, learning_rate, optimizer,
            filter), or of `AmortisedSVI` (objective, num_steps, batch_size, learning_rate, clip, optimizer,
            hide, weights, num_samples, num_buckets, window, num_seeds, evaluate_every, patience, checkpoint).

    Returns:
        A method for `fit`.

    Raises:
        TypeError: If an option is not one of them.
        ValueError: If an option is out of its range.

    Example:
        >>> SVI(guide="low_rank", num_steps=5000).num_chains
        2
    """
    kind: Any = AmortisedSVI if isinstance(guide, AbstractGuide) else FamilySVI
    known = [field.name for field in dataclasses.fields(kind) if field.name != "guide"]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}=? " if near else ""
            which = "a guide" if kind is AmortisedSVI else "a family of laws"
            raise TypeError(f"SVI with {which} has no option {name}=: {hint}It takes {', '.join(known)}")
    return kind(guide, **options)
