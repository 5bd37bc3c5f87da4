"""observe: a state-space likelihood inside any NumPyro program."""

from collections.abc import Sequence
from typing import Any

import numpyro

from ..data import placeholder
from ..inference.method import AbstractMethod
from .door import as_model, check_method, names_of_series
from .law import law_of, series_law


def observe(
    name: str,
    model: Any,
    y: Any = None,
    *,
    length: int | None = None,
    times: Any = None,
    inputs: Any = None,
    mask: Any = None,
    series: Sequence[str] | None = None,
    method: AbstractMethod | None = None,
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
        series: Names of the series, where y is None and the model does not tell how many there are.
        method: Filtering method; the exact one when left out.

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
    method = check_method(model, method, "observe")
    if y is not None:
        if length is not None:
            raise ValueError("length= is for drawing (y=None); with y given the series has its own length")
        law, value = law_of(model, y, inputs=inputs, times=times, mask=mask, method=method)
        return numpyro.sample(name, law, obs=value)
    if mask is not None:
        raise ValueError("mask= goes with y: without y every element is drawn")
    names = names_of_series(model, series)
    blank = placeholder(length, times=times, inputs=inputs, input_columns=model.input_names, names=names)
    return numpyro.sample(name, series_law(model, blank, None, method))
