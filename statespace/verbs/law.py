"""The law of a series as a distribution, for programs and traced calls where no result is labelled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..data import Series, as_series, moment, placeholder
from ..inference.distribution import StateSpaceDistribution, plan_of
from ..inference.method import AbstractMethod
from ..inference.problem import stamps
from ..models import batch_shape
from ..models.structural import Binding
from .door import traced


def law_of(
    model: Any, y: Any, *, inputs: Any, times: Any, mask: Any, method: AbstractMethod
) -> tuple[StateSpaceDistribution, Any]:
    """The law of y under a model, bound to y's columns and stamps, and y as that law takes it.

    Args:
        model: Model whose parameters are values, tracers, or batches of either.
        y: The series: anything labelled or an array; with leading batch axes where the parameters have them.
        inputs: Input columns.
        times: Stamps of data that carry none.
        mask: Which elements are present, beyond what NaN says.
        method: How the states are integrated out.

    Raises:
        ValueError: If data, inputs and model do not fit together.
    """
    rank = _batch_rank(model, np.shape(y))
    if rank or traced(y, inputs):
        return _array_law(model, jnp.asarray(y), rank, inputs, times, mask, method)
    series = as_series(y, inputs, times, input_columns=model.input_names)
    if batch_shape(model) and len(series.names) > 1:
        raise ValueError(
            f"the parameters have the batch shape {batch_shape(model)}, but y is {series.length} stamps of "
            f"{len(series.names)} series: under a plate give an array with the batch in front, such as y.T"
        )
    present = series.mask if mask is None else series.mask & np.reshape(np.asarray(mask, bool), series.mask.shape)
    value = series.values[:, 0] if series.univariate else series.values
    seen = None if present.all() else present.reshape(value.shape)
    return series_law(model, series, seen, method), jnp.asarray(value)


def series_law(model: Any, series: Series, mask: Any, method: AbstractMethod) -> StateSpaceDistribution:
    """The law of a coerced series."""
    bound = _bound(model, series, series.input_names, series.input_scale())
    with jax.ensure_compile_time_eval():
        steps = _steps(bound, series, series.inputs)
        full = jnp.ones(series.mask.shape, bool) if mask is None else jnp.asarray(mask).reshape(series.mask.shape)
    options = {"univariate": series.univariate, "method": method, "plan": plan_of(method, bound, full, steps)}
    return StateSpaceDistribution(bound, steps, mask=mask, **options)


def _batch_rank(model: Any, shape: tuple[int, ...]) -> int:
    """How many leading axes of the data belong to the parameters' batch; none if their sizes do not agree."""
    batch = batch_shape(model)
    agrees = len(shape) > len(batch) and all(b in (1, n) for b, n in zip(batch, shape, strict=False))
    return len(batch) if agrees else 0


def _array_law(
    model: Any, y: Any, rank: int, inputs: Any, times: Any, mask: Any, method: AbstractMethod
) -> tuple[StateSpaceDistribution, Any]:
    """A batch of series, or a traced one: arrays (*batch, time) or (*batch, time, series)."""
    if y.ndim not in (rank + 1, rank + 2):
        raise ValueError(f"expected y with {rank} batch axes, then (time,) or (time, series); got shape {y.shape}")
    univariate = y.ndim == rank + 1
    length, count = y.shape[rank], 1 if univariate else y.shape[rank + 1]
    names = ("y",) if count == 1 else tuple(f"y{i}" for i in range(count))
    given = None if traced(inputs) else inputs
    columns = () if given is None else model.input_names
    size = length if times is None else None
    series = placeholder(size, times=times, inputs=given, input_columns=columns, names=names)
    if series.length != length:
        raise ValueError(f"times= has {series.length} stamps but y has {length}")
    values = series.inputs if given is not None else _traced_inputs(model, inputs, length)
    scale = series.input_scale() if given is not None else (1.0,) * len(model.input_names)
    bound = _bound(model, series, model.input_names, scale)
    with jax.ensure_compile_time_eval():
        steps = None if traced(values) else _steps(bound, series, values)
    steps = _steps(bound, series, values) if steps is None else steps
    present = jnp.isfinite(y)
    present = present if mask is None else present & jnp.asarray(mask, bool)
    complete = not traced(present) and bool(jnp.all(present))
    plan = plan_of(method, bound, present[..., None] if univariate else present, steps)
    options = {"univariate": univariate, "method": method, "plan": plan}
    law = StateSpaceDistribution(bound, steps, mask=None if complete else present, **options)
    return law, jnp.where(present, y, 0.0)


def _traced_inputs(model: Any, inputs: Any, length: int) -> Any:
    """Traced inputs, whose columns must be the model's in its order."""
    expected = (length, len(model.input_names))
    if inputs is None and expected[1] == 0:
        return None
    if inputs is None or jnp.shape(inputs) != expected:
        raise ValueError(
            f"the model reads {', '.join(map(repr, model.input_names)) or 'no inputs'}: expected an array of inputs of "
            f"shape {expected} with the columns in that order, got {None if inputs is None else jnp.shape(inputs)}"
        )
    return jnp.asarray(inputs)


def _bound(model: Any, series: Series, input_names: tuple[str, ...], scale: tuple[float, ...]) -> Any:
    bound = model.bind(Binding(series.names, input_names, scale, series.index, series.is_regular, moment))
    if bound.num_series != len(series.names):
        raise ValueError(f"the model observes {bound.num_series} series but the data have {len(series.names)}")
    return bound


def _steps(bound: Any, series: Series, inputs: Any) -> Any:
    dt = None if series.is_regular else series.dt
    return stamps(bound, series.length, inputs=inputs, time=series.time, dt=dt)
