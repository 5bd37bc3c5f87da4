"""Where learning starts, and the scale of the data that a parameter refers to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpyro.distributions import biject_to

from ..core.parameters import parameters

if TYPE_CHECKING:
    from .problem import Problem

_ELEMENTS = object()  # stands for the series of a term that observes all of them


def first_values(problem: "Problem", scale: Any, given: Mapping[str, Any] | None) -> dict[str, Array]:
    """Where a search or a chain starts: the given values, or defaults; off zero and inside the priors' support.

    Args:
        problem: Model and data.
        scale: Standard deviation of the data, or one for each series.
        given: Natural values by path.
    """
    known, dtype = parameters(problem.model), jnp.result_type(float)
    first = {**start_values(problem.model, problem.free, scale), **(given or {})}
    values = {}
    for path in problem.free:
        value = jnp.asarray(first[path], dtype)
        if known[path].declaration.unit == "data":  # the logarithm of zero is no place to start from
            value = jnp.where(value == 0, 1e-3 * scale_of(known[path], problem.model, scale), value)
        values[path] = value
    return inside_priors(problem, values)


def start_values(model: Any, free: tuple[str, ...], scale: Any) -> dict[str, Array]:
    """Where learning starts: the given value, or the mean of the default prior where it has one."""
    known = parameters(model)
    return {path: _start(known[path], scale_of(known[path], model, scale)) for path in free}


def inside_priors(problem: "Problem", values: Mapping[str, Array]) -> dict[str, Array]:
    """Starting values, those outside their prior's support, or on its edge, replaced by a draw from it."""
    found = dict(values)
    for number, (path, prior) in enumerate(problem.priors.items()):
        support: Any = prior.support
        open_ = jnp.isfinite(biject_to(support).inv(found[path]))  # the edge lies at infinity
        if not bool(jnp.all(support(found[path])) & jnp.all(open_)):
            found[path] = prior.sample(jax.random.key(number))  # pyright: ignore[reportArgumentType]
    return found


def scale_of(parameter: Any, model: Any, scale: Any) -> Any:
    """The standard deviation of the data that a parameter refers to: its own series' where it has one.

    Args:
        parameter: One of the model's parameters.
        model: The model, bound to the data.
        scale: Standard deviation of the data, or one for each series.
    """
    scale = np.asarray(scale, float)
    if scale.size == 1:
        return float(scale.reshape(()))
    names = getattr(model, "series_names", ())
    series = getattr(parameter.owner, "series", _ELEMENTS)
    if series in names:
        return float(scale[names.index(series)])
    if series == "" or (series is _ELEMENTS and parameter.shape == scale.shape):  # shared, or an element for each
        return scale
    return float(scale[0] if names else np.mean(scale))  # inside a shared component: it has the first one's unit


def _start(parameter: Any, scale: Any) -> Array:
    dtype = jnp.result_type(float)
    if parameter.value is not None:
        return jnp.broadcast_to(jnp.asarray(parameter.value, dtype), parameter.shape)
    if parameter.declaration.start is not None:
        return jnp.asarray(parameter.declaration.start(parameter.owner, scale), dtype)
    transform = biject_to(parameter.constraint)
    try:
        mean = jnp.broadcast_to(parameter.default_prior(scale).mean, parameter.shape)
        return jnp.asarray(0.5 * mean if parameter.declaration.unit == "data" else mean, dtype)
    except (NotImplementedError, AttributeError):  # the law has no mean: the middle of the unconstrained scale
        return transform(jnp.zeros(transform.inverse_shape(parameter.shape), dtype))
