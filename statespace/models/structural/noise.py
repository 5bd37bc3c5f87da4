"""The Gaussian observation term."""

from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.parameters import Unknown, param, with_fields
from .component import AbstractObservation, Binding


class Noise(AbstractObservation):
    """Normal observation noise: the term that observes in a linear-Gaussian sum.

        y[t] = sum of components + scale e[t],     e[t] ~ N(0, 1)         (or N(0, correlation))

    Args:
        scale: Standard deviation in the data's unit; one for each series, shape (series,), if there are
            several. Left out: unknown. Zero: the components are observed exactly.
        correlated: Whether the noises of several series are correlated.
        correlation: The correlation matrix, shape (series, series), positive definite. Left out: unknown.
        name: The term's name.

    Raises:
        ValueError: If a correlation is given though not correlated, or (once data are seen) the number of
            scales is not the number of series.

    Example:
        >>> float(Noise(0.5).scale)
        0.5
    """

    scale: Float[Array, "..."] | Unknown = param(
        lambda self: constraints.positive if self.count == 1 else constraints.independent(constraints.positive, 1),
        unit="data",
        shape=lambda self: () if self.count == 1 else (self.count,),
        prior=lambda self, scale: self._scale_prior(scale),
    )
    correlation: Float[Array, "*batch series series"] | Unknown = param(
        constraints.corr_matrix,
        shape=lambda self: (self.count, self.count),
        prior=lambda self, scale: dist.LKJ(self.count, 2.0),
        active=lambda self: self.correlated and self.count > 1,
    )
    _: KW_ONLY  # the fields below have no default, those above have
    correlated: bool = eqx.field(static=True)
    count: int = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(self, scale: Any = None, *, correlated: bool = False, correlation: Any = None, name: str = "noise"):
        if correlation is not None and not correlated:
            raise ValueError("a correlation belongs to correlated=True")
        self.scale, self.correlated, self.correlation, self.name = scale, correlated, correlation, name
        self.count = 1 if correlation is None else int(np.shape(correlation)[-1])

    def _scale_prior(self, scale: Any) -> dist.Distribution:
        if self.count == 1:
            return dist.HalfNormal(scale)
        return dist.HalfNormal(jnp.broadcast_to(jnp.asarray(scale), (self.count,))).to_event(1)

    def bind(self, binding: Binding) -> "Noise":
        """The term with one scale for each series; a single given scale serves them all."""
        count, scale = len(binding.series), self.scale
        if self.correlation is not None and self.correlation.shape[-1] != count:
            size = self.correlation.shape[-1]
            raise ValueError(f"{self.name} has the correlations of {size} series but there are {count}")
        if scale is not None and count > 1:
            if scale.ndim and scale.shape[-1] not in (1, count):
                raise ValueError(f"{self.name} has {scale.shape[-1]} scales but there are {count} series")
            scale = jnp.broadcast_to(scale, (count,)) if scale.ndim < 2 else scale
        elif scale is not None and count == 1 and self.count == 1 and scale.shape == (1,):
            scale = scale[0]
        return with_fields(self, count=count, scale=scale)

    def emission_scale(self) -> Float[Array, " series"] | Float[Array, "series series"]:
        """Standard deviations, or a factor where the noises are correlated."""
        if self.count == 1:
            return jnp.reshape(self.scale, (1,))
        return self.scale[:, None] * jnp.linalg.cholesky(self.correlation) if self.correlated else self.scale
