"""The law of sequences under a deep model and a guide, for programs."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
from jax.core import eval_context

from ..data import Series, as_series, placeholder
from ..inference.amortised import ELBO, AbstractObjective, BoundDistribution
from ..inference.amortised.batches import Corpus
from ..models.deep import AbstractGuide, DeepStateSpace
from .corpus import as_guide, as_objective, corpus_of, pooled
from .door import Prepared, bind, check_support, in_order, names_of_series, traced
from .panel import parts_of


def bound_law(
    model: Any,
    y: Any,
    guide: AbstractGuide | None,
    bound: AbstractObjective | None,
    *,
    inputs: Any,
    times: Any,
    mask: Any,
    length: int | None,
    names: Sequence[str] | None,
) -> tuple[BoundDistribution, Any]:
    """The law of sequences, and their values as it takes them; None where they are to be drawn.

    Args:
        model: Deep model whose parameters are values, or tracers.
        y: A sequence or a panel; None to draw one.
        guide: What proposes; the model's own transition when left out.
        bound: The bound; the ELBO when left out.
        inputs: Input columns.
        times: Stamps of data that carry none.
        mask: Must be None: NaN says what is missing.
        length: Number of stamps, where y is None.
        names: Of the series, where y is None and the model does not tell them.

    Raises:
        TypeError: If the model is no deep model, the program has no seed, or the data are traced.
        ValueError: If data, inputs and model do not fit together.
    """
    if not isinstance(model, DeepStateSpace):
        raise TypeError(f"guide= and bound= are for a DeepStateSpace, got {type(model).__name__}")
    if mask is not None:
        raise ValueError("mask= goes without guide= and bound=: NaN says what is missing")
    if traced(y, inputs, times):
        raise TypeError(
            "the sequences of a bound are numbers, which JAX traces here: close over them, "
            "jit(lambda state: svi.update(state, y)), or pass them to SVI.run or MCMC.run"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is none
        key = numpyro.prng_key()
    if key is None:
        raise TypeError("a bound is drawn: run the program under numpyro.handlers.seed (SVI and MCMC do so)")
    if y is not None and length is not None:
        raise ValueError("length= is for drawing (y=None); with y given the series has its own length")
    guide, objective = as_guide(guide), as_objective(ELBO() if bound is None else bound, None, 1)
    if y is None:
        own = names_of_series(model, names)
        parts = [placeholder(length, times=times, inputs=inputs, input_columns=model.input_names, names=own)]
    else:
        parts = _parts(model, y, inputs, times)
    bound_model: Any = bind(model, parts[0], pooled(parts))
    with eval_context():  # the data are numbers, also where the parameters are traced
        corpus: Corpus = corpus_of([Prepared(bound_model, part, None) for part in parts])  # pyright: ignore[reportArgumentType]
        batch = corpus.batch(np.arange(len(parts)), int(corpus.lengths.max()), len(parts))
    if y is not None:
        for part in parts:
            check_support(bound_model, part)
    law = BoundDistribution(bound_model, guide, objective, batch, key)
    return law, None if y is None else jnp.asarray(batch.y)


def _parts(model: DeepStateSpace, y: Any, inputs: Any, times: Any) -> list[Series]:
    """The sequences."""
    names = model.input_names
    given = parts_of(y, inputs, times).values()
    found = [as_series(part, own, at, input_columns=names, may_be_missing=len(given) > 1) for part, own, at in given]
    return [in_order(series, found[0].names) for series in found]
