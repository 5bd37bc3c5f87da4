"""Normal and Student's t observations."""

from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ....core.parameters import Unknown, param
from .head import AbstractHead, readout_bias, readout_weights, set_readout


def _scale() -> Any:
    """Declare a scale for each series, where it does not depend on the output."""
    return param(
        constraints.positive,
        shape=lambda self: (self.num_series,),
        unit="data",
        prior=lambda self, scale: dist.HalfNormal(jnp.broadcast_to(jnp.asarray(scale), (self.num_series,))),
        active=lambda self: not self.varying_scale,
    )


def _location_and_scale(head: Any, output: Array) -> tuple[Array, Array]:
    """Location and scale of each series."""
    signals = head.signals(output)
    location = head.level + head.unit * signals[0]
    return location, head.unit * jax.nn.softplus(signals[1]) if head.varying_scale else head.scale


class GaussianHead(AbstractHead):
    """Normal observations.

        y ~ N(level + unit m, scale^2)                     scale a parameter, or
        y ~ N(level + unit m, (unit log(1 + e^v))^2)       with varying_scale=True

    with signals m, v of the cell's output.

    Args:
        weights: (signals, outputs): first the m of all series, then their v. Left out: unknown.
        bias: (signals,). Left out: unknown.
        scale: Standard deviations, (series,), in the data's unit. Left out: unknown.
        varying_scale: Whether the standard deviations depend on the output.
        level: A typical value of each series; the mean of the first data that the model meets when left out.
        unit: A typical deviation from it; the standard deviation of those data when left out.

    Raises:
        ValueError: If shapes do not agree, the unit is not positive, or scale= comes with varying_scale=True.

    Example:
        >>> head = GaussianHead([[2.0]], [0.0], [0.5], level=10.0, unit=1.0)
        >>> head.law(jnp.array([3.0])).loc.tolist()
        [16.0]
    """

    weights: Float[Array, "signals outputs"] | Unknown = readout_weights()
    bias: Float[Array, " signals"] | Unknown = readout_bias()
    scale: Float[Array, " series"] | Unknown = _scale()
    _: KW_ONLY  # the fields below have no default, those above have
    level: Float[Array, " series"] | Unknown
    unit: Float[Array, " series"] | Unknown
    varying_scale: bool = eqx.field(static=True)
    outputs: int | None = eqx.field(static=True)
    series: int | None = eqx.field(static=True)

    def __init__(
        self,
        weights: Any = None,
        bias: Any = None,
        scale: Any = None,
        *,
        varying_scale: bool = False,
        level: Any = None,
        unit: Any = None,
    ):
        self.varying_scale = _varying(varying_scale, scale)
        self.scale = None if scale is None else jnp.atleast_1d(jnp.asarray(scale, jnp.result_type(float)))
        set_readout(self, weights, bias, level, unit)

    @property
    def signals_per_series(self) -> int:
        """The mean, and the scale where it varies."""
        return 2 if self.varying_scale else 1

    def law(self, output: Float[Array, " outputs"]) -> Distribution:
        """Normal laws."""
        return dist.Normal(*_location_and_scale(self, output))


class StudentTHead(AbstractHead):
    """Student's t observations: outliers pull less.

        y = level + unit m + s e,      e ~ Student's t with df degrees of freedom

    with s a parameter, or unit log(1 + e^v) with varying_scale=True, and signals m, v of the cell's output.

    Args:
        weights: (signals, outputs): first the m of all series, then their v. Left out: unknown.
        bias: (signals,). Left out: unknown.
        scale: s, (series,), in the data's unit. Left out: unknown.
        df: Degrees of freedom, above 2. Left out: unknown.
        varying_scale: Whether the scales depend on the output.
        level: A typical value of each series; the mean of the first data that the model meets when left out.
        unit: A typical deviation from it; the standard deviation of those data when left out.

    Raises:
        ValueError: If shapes do not agree, the unit is not positive, or scale= comes with varying_scale=True.

    Example:
        >>> head = StudentTHead([[1.0]], [0.0], [1.0], 4.0, level=0.0, unit=1.0)
        >>> float(head.law(jnp.zeros(1)).variance[0])
        2.0
    """

    weights: Float[Array, "signals outputs"] | Unknown = readout_weights()
    bias: Float[Array, " signals"] | Unknown = readout_bias()
    scale: Float[Array, " series"] | Unknown = _scale()
    df: Float[Array, ""] | Unknown = param(
        constraints.greater_than(2.0),
        # Juarez and Steel (2010), JBES 28, moved to where a variance exists
        prior=lambda self, scale: dist.TransformedDistribution(
            dist.Gamma(2.0, 0.1), dist.transforms.AffineTransform(2.0, 1.0, domain=constraints.positive)
        ),
        start=lambda self, scale: jnp.asarray(8.0),
    )
    _: KW_ONLY  # the fields below have no default, those above have
    level: Float[Array, " series"] | Unknown
    unit: Float[Array, " series"] | Unknown
    varying_scale: bool = eqx.field(static=True)
    outputs: int | None = eqx.field(static=True)
    series: int | None = eqx.field(static=True)

    def __init__(
        self,
        weights: Any = None,
        bias: Any = None,
        scale: Any = None,
        df: Any = None,
        *,
        varying_scale: bool = False,
        level: Any = None,
        unit: Any = None,
    ):
        self.varying_scale, self.df = _varying(varying_scale, scale), df
        self.scale = None if scale is None else jnp.atleast_1d(jnp.asarray(scale, jnp.result_type(float)))
        set_readout(self, weights, bias, level, unit)

    @property
    def signals_per_series(self) -> int:
        """The location, and the scale where it varies."""
        return 2 if self.varying_scale else 1

    def law(self, output: Float[Array, " outputs"]) -> Distribution:
        """Student's t laws."""
        return dist.StudentT(self.df, *_location_and_scale(self, output))


def _varying(varying: bool, scale: Any) -> bool:
    if varying and scale is not None:
        raise ValueError("scale= is a constant, and varying_scale=True makes it depend on the output: give one of them")
    return bool(varying)
