"""The log-likelihood of data under a model or a fit."""

from typing import Any

import equinox as eqx
import numpy as np

from ..inference import analysis
from ..inference.method import AbstractMethod
from ..models import batch_shape
from ..results import AbstractFiltered, Fitted, PanelFit, labelled_draws
from .door import (
    Prepared,
    as_model,
    check_method,
    flat_draws,
    held_values,
    key_of,
    known_problem,
    log_jacobian,
    prepare,
    problem_of,
    require_known,
    traced,
)
from .filtering import as_jax, prepared_for
from .law import law_of
from .panel import for_each_member, is_panel, one_clock


def log_likelihood(
    model: Any,
    data: Any = None,
    method: AbstractMethod | None = None,
    *,
    inputs: Any = None,
    times: Any = None,
    key: Any = None,
) -> Any:
    """The log-likelihood of the data under a model whose parameters are known.

        log p(y) = sum_t log p(y_t | y_<t)

    All constants are included, also -0.5 log 2 pi for each diffuse element; add `0.9189385332 * d` for the
    convention of KFAS and of R, which leaves those out.

    Args:
        model: Model with known parameters. Under `jit`, `grad` or `vmap` its parameters may be traced.
        data: Series, (time,) or (time, series): pandas, xarray, NumPy or JAX. NaN is missing.
        method: Filtering method; the exact one when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        key: PRNG key, or a whole number that makes one, for a method that draws (particles, ensembles).

    Returns:
        The log-likelihood; a traced scalar when called with tracers, else a float.

    Raises:
        ValueError: If a parameter is unknown or data and model do not fit together.
        TypeError: If the method does not fit the model.

    Example:
        >>> import statespace as ss
        >>> model = ss.LocalLevel(1469.1**0.5) + ss.Noise(15099**0.5)
        >>> round(ss.log_likelihood(model, ss.datasets.nile()), 4)
        -633.4646

    Reference: Durbin and Koopman (2012), sections 7.2.1 and 7.2.2.
    """
    if is_panel(data) or isinstance(model, PanelFit):  # independent given the parameters
        if data is not None and not isinstance(model, PanelFit | Fitted | AbstractFiltered):
            one_clock(data, times)
        each = for_each_member(log_likelihood)(model, data, method, inputs=inputs, times=times, key=key)
        return sum(each.values())
    if isinstance(model, Fitted | AbstractFiltered):
        prepared, method = prepared_for(model, data, method, inputs, times, "log_likelihood")
        return _fit_log_likelihood(model, prepared, method, key_of(method, key, "log_likelihood"))
    model = as_model(model)
    method = check_method(model, method, "log_likelihood")
    key = key_of(method, key, "log_likelihood")
    require_known(model, "log_likelihood")
    if traced(model, data, inputs) or batch_shape(model):
        law, value = law_of(model, data, inputs=inputs, times=times, mask=None, method=method)
        return law.log_prob(value) if key is None else law.estimate(value, key)
    if data is None:
        raise ValueError("log_likelihood needs data (only a fit carries its own)")
    bound, series, _ = prepare(model, data, inputs=inputs, times=times)
    problem = known_problem(bound, series, method)
    return float(compiled_log_likelihood(problem, {}, key))


def _fit_log_likelihood(fitted: Fitted | AbstractFiltered, prepared: Prepared, method: AbstractMethod, key: Any) -> Any:
    """At the estimates, or at every draw; on the data's original scale."""
    jacobian = log_jacobian(prepared.series, prepared.transform).sum()
    if isinstance(fitted, AbstractFiltered) or fitted.draws is None:
        problem = known_problem(prepared.model, prepared.series, method)
        return float(compiled_log_likelihood(problem, {}, key)) + jacobian
    problem = problem_of(prepared.model, prepared.series, fixed=held_values(fitted), method=method)
    found = np.asarray(analysis.log_likelihood_arrays(problem, as_jax(flat_draws(fitted)), key))
    shape = next(iter(fitted.draws.values())).shape[:2]
    return labelled_draws(found.reshape(shape) + jacobian, "log_likelihood")


@eqx.filter_jit
def compiled_log_likelihood(problem: Any, values: dict[str, Any], key: Any = None) -> Any:
    """The log-likelihood at natural values of the free parameters, compiled once for each shape."""
    return problem.log_likelihood(values, key)
