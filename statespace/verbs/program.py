"""observe: a state-space likelihood inside any NumPyro program."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro

from ..data import Series, as_series, placeholder
from ..inference.distribution import StateSpaceDistribution, diffuse_length
from ..inference.problem import batch_shape, stamps
from ..models.structural import Binding
from .door import as_model, check_method, traced


def observe(
    name: str,
    model: Any,
    y: Any = None,
    *,
    length: int | None = None,
    times: Any = None,
    inputs: Any = None,
    mask: Any = None,
) -> Any:
    """Declare a series as a site of a NumPyro program, its states integrated out.

    Args:
        name: Name of the site.
        model: Model whose parameters are values or samples of the program. Leading batch axes of the
            parameters (from a `plate`) make a batch of series.
        y: The series, (time,) or (time, series); with batch axes in front for a batch (arrays only). NaN is
            missing. None to draw it instead (`Predictive`), which needs a proper first law.
        length: Number of stamps, where y is None.
        times: Stamps of data that carry none.
        inputs: Input columns, if the model reads any.
        mask: Which elements are present, in the shape of y, where that is not told by NaN.

    Returns:
        The value of the site.

    Raises:
        ValueError: If data and model do not fit together, or y is None and no length or times are given.

    Example:
        >>> import jax, numpyro, numpyro.distributions as dist, statespace as ss
        >>> def program(y):
        ...     scale = numpyro.sample("scale", dist.HalfNormal(50.0))
        ...     ss.observe("y", ss.LocalLevel(scale=scale) + ss.Noise(scale=120.0), y)
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     program(ss.datasets.nile())
    """
    model = as_model(model)
    check_method(model, None, "observe")
    batch = batch_shape(model)
    if y is None:
        names = ("y",) if model.num_series == 1 else tuple(f"y{i}" for i in range(model.num_series))
        series = placeholder(length, times=times, inputs=inputs, input_columns=model.input_names, names=names)
        return numpyro.sample(name, _law(model, series, None))
    if length is not None:
        raise ValueError("length= is for drawing (y=None); with y given the series has its own length")
    if batch or traced(y):
        return _observe_arrays(name, model, jnp.asarray(y), len(batch), inputs, mask)
    series = as_series(y, inputs, times, input_columns=model.input_names)
    present = series.mask if mask is None else series.mask & np.reshape(np.asarray(mask, bool), series.mask.shape)
    value = series.values[:, 0] if series.univariate else series.values
    seen = None if present.all() else present.reshape(value.shape)
    return numpyro.sample(name, _law(model, series, seen), obs=jnp.asarray(value))


def _law(model: Any, series: Series, mask: Any) -> StateSpaceDistribution:
    binding = Binding(series.names, series.input_names, series.input_scale(), series.index, series.is_regular)
    bound = model.bind(binding)
    with jax.ensure_compile_time_eval():
        dt = None if series.is_regular else series.dt
        steps = stamps(bound, series.length, inputs=series.inputs, time=series.time, dt=dt)
        full = jnp.ones(series.mask.shape, bool) if mask is None else jnp.asarray(mask).reshape(series.mask.shape)
    diffuse = diffuse_length(bound, full, steps)
    return StateSpaceDistribution(bound, steps, mask=mask, univariate=series.univariate, diffuse_steps=diffuse)


def _observe_arrays(name: str, model: Any, y: Any, rank: int, inputs: Any, mask: Any) -> Any:
    """A batch of series, or a traced one: arrays (*batch, time) or (*batch, time, series)."""
    univariate = y.ndim == rank + 1
    matrix = y[..., None] if univariate else y
    steps = stamps(model, matrix.shape[-2], inputs=None if inputs is None else jnp.asarray(inputs))
    present = jnp.isfinite(y)
    present = present if mask is None else present & jnp.asarray(mask, bool)
    concrete = not traced(present)
    complete = concrete and bool(jnp.all(present))
    full = present[..., None] if univariate else present
    diffuse = diffuse_length(model, full, steps)
    law = StateSpaceDistribution(
        model, steps, mask=None if complete else present, univariate=univariate, diffuse_steps=diffuse
    )
    return numpyro.sample(name, law, obs=jnp.where(present, y, 0.0))
