"""sample_parameters and learn_parameters: the parameters of models and guides as sites of a NumPyro program."""

from collections.abc import Collection, Mapping
from typing import Any

import jax.numpy as jnp
import numpyro
from numpyro.distributions import Distribution

from ..inference.priors import checked_prior
from ..inference.starts import start_values
from ..models import parameters, with_values


def sample_parameters(model: Any, priors: Mapping[str, Distribution], *, prefix: str = "") -> Any:
    """Draw parameters of a model from priors, each as a site of a NumPyro program.

    Args:
        model: A model, or anything made of parameters: a cell, a network, a guide.
        priors: Priors by path, of any parameters (`default_priors` gives them all); others stay as they are.
        prefix: What names of sites begin with, before the path.

    Returns:
        The model with the sites' values.

    Raises:
        ValueError: If there is no parameter at a path, or a prior has another shape or support than it.

    Example:
        >>> import numpyro, numpyro.distributions as dist, statespace as ss
        >>> def program(y):
        ...     model = ss.LocalLevel() + ss.Noise(scale=120.0)
        ...     model = ss.sample_parameters(model, {"level.scale": dist.HalfNormal(50.0)})
        ...     ss.observe("y", model, y)
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     program(ss.datasets.nile())
    """
    known = parameters(model)
    for path in priors:
        if path not in known:
            raise ValueError(f"there is no parameter {path!r}: choose from {', '.join(known)}")
    found = {}
    for path, law in priors.items():
        whole = checked_prior(path, law, known[path])
        found[path] = numpyro.sample(f"{prefix}{path}", whole.to_event(len(whole.batch_shape)))
    return with_values(model, found)


def learn_parameters(module: Any, *, prefix: str, besides: Collection[str] = ()) -> Any:
    """Register all parameters of a guide, or of anything made of parameters, as NumPyro's own `param` sites.

    Args:
        module: A guide, a model or a network. Learning starts from its values, or where there are none from what is
            typical.
        prefix: What names of sites begin with, before the path, such as "guide.".
        besides: Paths of parameters that stay as they are, such as those that were sampled.

    Returns:
        The module with the sites' values.

    Example:
        >>> import numpyro, statespace as ss
        >>> model, guide = ss.deep_markov_model(2, latent=2, transition=4, emission=[4], encoder=4, key=0)
        >>> def program(sequences):
        ...     deep, helper = ss.learn_parameters(model, prefix=""), ss.learn_parameters(guide, prefix="guide.")
        ...     ss.observe("x", deep, sequences, guide=helper)
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     program([jnp.ones((3, 2)), jnp.zeros((4, 2))])
    """
    known = {path: p for path, p in parameters(module).items() if path not in besides}
    values = {path: p.value for path, p in known.items() if p.value is not None}
    values |= start_values(module, tuple(path for path in known if path not in values), 1.0)
    sites = {
        p: numpyro.param(f"{prefix}{p}", jnp.asarray(v), constraint=known[p].constraint) for p, v in values.items()
    }
    return with_values(module, sites)
