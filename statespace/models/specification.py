"""Models as plain data: what is saved beside the draws, and how the model comes back from it.

Only classes of this library are written and read, each field by its name; no code is stored.
"""

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpyro import distributions
from numpyro.distributions import Distribution, constraints

from . import deep, layers, nonlinear, recurrent, reservoir, structural
from .discrete import HiddenMarkov
from .emission_law import EmissionLaw
from .initial import InitialLaw
from .linear import LinearGaussian
from .markov_chain import MarkovChain
from .nonlinear import Lorenz63, Lorenz96
from .structural.regression import as_text

CLASSES = {
    cls.__name__: cls
    for cls in (
        *(getattr(structural, name) for name in structural.__all__ if not name.startswith("Abstract")),
        *(getattr(nonlinear, name) for name in nonlinear.__all__),
        *(getattr(recurrent, name) for name in recurrent.__all__ if not name.startswith("Abstract")),
        *(getattr(reservoir, name) for name in reservoir.__all__ if not name.startswith("Abstract")),
        *(getattr(layers, name) for name in layers.__all__ if not name.startswith("Abstract")),
        *(getattr(deep, name) for name in deep.__all__ if isinstance(getattr(deep, name), type)),
        InitialLaw,
        LinearGaussian,
        Lorenz63,
        Lorenz96,
        HiddenMarkov,
        MarkovChain,
        EmissionLaw,
    )
}


_LISTED = 64  # numbers of an array that are written one by one; larger arrays as the bytes they are


def describe(value: Any, classes: Mapping[str, type] = CLASSES) -> Any:
    """A model, or part of one, as data that JSON can hold.

    Args:
        value: The model, or anything made of the given classes and of plain values.
        classes: Classes by name that can be written.

    Raises:
        TypeError: If a part is not of this library.

    Example:
        >>> describe(structural.LocalLevel())["class"]
        'LocalLevel'
    """
    if isinstance(value, eqx.Module):
        name = type(value).__name__
        if classes.get(name) is not type(value):
            raise TypeError(
                f"{name} is not a model of statespace, so only its draws can be saved: pass model= to load to get "
                "the model back"
            )
        fields = {f.name: describe(getattr(value, f.name, None), classes) for f in dataclasses.fields(value)}
        return {"class": name, "fields": fields}
    if isinstance(value, (jax.Array, np.ndarray)):
        array = np.asarray(value)
        if array.size > _LISTED:
            text = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
            return {"base64": text, "dtype": str(array.dtype), "shape": list(array.shape)}
        return {"array": array.tolist(), "dtype": str(array.dtype), "shape": list(array.shape)}
    if isinstance(value, (tuple, list)):
        return {"tuple": [describe(item, classes) for item in value]}
    if isinstance(value, dict):
        return {"items": {str(key): describe(item, classes) for key, item in value.items()}}
    if isinstance(value, type) and issubclass(value, Distribution):
        if getattr(distributions, value.__name__, None) is not value:
            raise TypeError(
                f"{value.__name__} is not a distribution of NumPyro: pass model= to load to get the model back"
            )
        return {"distribution": value.__name__}
    if callable(value) and not isinstance(value, type):
        name = getattr(value, "__name__", value)
        raise TypeError(f"a function ({name!r}) cannot be saved: pass model= to load to get the model back")
    if isinstance(value, constraints.Constraint):
        return {"support": next(name for name, found in vars(constraints).items() if found is value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    return as_text(value)


def rebuild(data: Any, classes: Mapping[str, type] = CLASSES) -> Any:
    """The model that `describe` described.

    Raises:
        ValueError: If the description names a class that this version does not have.
    """
    if not isinstance(data, dict):
        return data
    if "array" in data:
        return jnp.asarray(np.asarray(data["array"], data["dtype"]).reshape(data["shape"]))
    if "base64" in data:
        array = np.frombuffer(base64.b64decode(data["base64"]), data["dtype"])
        return jnp.asarray(array.reshape(data["shape"]))
    if "tuple" in data:
        return tuple(rebuild(item, classes) for item in data["tuple"])
    if "items" in data:
        return {key: rebuild(item, classes) for key, item in data["items"].items()}
    if "support" in data:
        return getattr(constraints, data["support"])
    if "distribution" in data:
        return getattr(distributions, data["distribution"])
    cls = classes.get(data.get("class", ""))
    if cls is None:
        raise ValueError(f"the file describes a model of class {data.get('class')!r}, which this version does not have")
    made = object.__new__(cls)
    for field in dataclasses.fields(cls):
        object.__setattr__(made, field.name, rebuild(data["fields"].get(field.name), classes))
    return made
