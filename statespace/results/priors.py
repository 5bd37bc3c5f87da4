"""Priors as people read them."""

from typing import Any

import numpy as np


class Priors(dict):
    """Priors by parameter path, a dictionary that prints as one line for each.

    Example:
        >>> import numpyro.distributions as dist
        >>> Priors({"level.scale": dist.HalfNormal(2.0)})
        level.scale ~ HalfNormal(scale=2.0)
    """

    def __repr__(self) -> str:
        """One line for each parameter."""
        return "\n".join(f"{path} ~ {in_words(prior)}" for path, prior in self.items())


def in_words(prior: Any) -> str:
    """A distribution as its name and arguments, such as `HalfNormal(scale=2.0)`; other things as they print."""
    if isinstance(prior, str):
        return prior
    given, base = _arguments(prior), getattr(prior, "base_dist", None)
    parts = [f"{key}={value}" for key, value in given.items()]
    if base is not None and not given.keys() & _arguments(base).keys():
        parts.insert(0, in_words(base))
    return f"{type(prior).__name__}({', '.join(parts)})" if parts else repr(prior)


def _arguments(prior: Any) -> dict[str, Any]:
    given = {key: getattr(prior, key, None) for key in getattr(prior, "arg_constraints", {})}
    return {key: np.asarray(value).tolist() for key, value in given.items() if value is not None}
