"""Priors of a model's parameters: the default ones, scaled to the data, and those given in their place."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from numpyro.distributions import Distribution

from ..core.parameters import check_paths, is_traced, parameters
from .starts import scale_of


def default_priors(model: Any, scale: Any) -> dict[str, Distribution]:
    """The default prior of every parameter that may be learned, scaled to the data.

    Args:
        model: The model, bound to the data.
        scale: Standard deviation of the data, or one for each series.
    """
    known = parameters(model).items()
    return {path: p.default_prior(scale_of(p, model, scale)) for path, p in known if not p.is_off}


def merge_priors(model: Any, scale: Any, given: Mapping[str, Distribution] | None) -> dict[str, Distribution]:
    """The default priors with some replaced by name.

    Raises:
        ValueError: If a path is unknown, or a prior's shape or support is not the parameter's.
    """
    known = parameters(model)
    states = [path for path in given or {} if path not in known and path in model.state_names]
    if states:
        raise ValueError(
            f"priors name {', '.join(map(repr, states))}, which are states, not parameters (coefficients are states): "
            "give their law to the component, initial=ss.InitialLaw.gaussian(mean, sd)"
        )
    check_paths(given or {}, known, "priors")
    wanted = {path: checked_prior(path, prior, known[path]) for path, prior in (given or {}).items()}
    return {**default_priors(model, scale), **wanted}


def checked_prior(path: str, prior: Any, parameter: Any) -> Distribution:
    """A prior in the shape of its parameter: one of a number serves all elements.

    Raises:
        TypeError: If it is no distribution.
        ValueError: If its shape or support is not the parameter's.
    """
    if not isinstance(prior, Distribution):
        raise TypeError(f"the prior of {path!r} is {prior!r}; expected a NumPyro distribution")
    shape = prior.batch_shape + prior.event_shape
    if shape == () and parameter.shape:
        prior, shape = prior.expand(parameter.shape), parameter.shape
    if shape != parameter.shape:
        raise ValueError(
            f"the prior of {path!r} has shape {shape}, but the parameter has shape {parameter.shape}: expand the "
            "distribution, or give one value each"
        )
    draws = prior.sample(jax.random.key(0), (256,))
    inside = parameter.constraint(draws)
    if not is_traced(inside) and not bool(jnp.all(inside)):
        raise ValueError(
            f"the prior of {path!r} ({type(prior).__name__}) puts mass outside the parameter's support "
            f"({parameter.constraint}): choose one with that support"
        )
    return prior
