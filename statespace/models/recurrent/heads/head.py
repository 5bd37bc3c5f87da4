"""What heads share: a linear readout of a cell's output, in the unit of the data, and the law that it sets."""

import abc
from typing import Any, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from ....core.linalg import matmul
from ....core.parameters import is_traced, with_fields
from ...weights import biases, normal, weight


class AbstractHead(eqx.Module):
    """The law of an observation given a cell's output o.

        signals = weights o + bias,      y ~ law(signals)

    Weights know nothing of the data's unit: laws have it from `level` and `unit`, the mean and the standard deviation
    of the first data that the model meets, unless they are given. What a cell is fed of an observation has them
    taken out.

    Attributes:
        weights: (signals, outputs).
        bias: (signals,).
        level: A typical value of each series; None until data are met.
        unit: A typical deviation from it, above 0; None until data are met.
        outputs: Number of outputs of the cell; None until the head is put on one.
        series: Number of observed series; None until data are met.
    """

    weights: eqx.AbstractVar[Any]
    bias: eqx.AbstractVar[Any]
    level: eqx.AbstractVar[Any]
    unit: eqx.AbstractVar[Any]
    outputs: eqx.AbstractVar[int | None]
    series: eqx.AbstractVar[int | None]

    @abc.abstractmethod
    def law(self, output: Float[Array, " outputs"]) -> Distribution:
        """The law of the observation, of batch shape (series,)."""

    @property
    @abc.abstractmethod
    def signals_per_series(self) -> int:
        """How many signals set the law of one series."""

    @property
    def features(self) -> int:
        """How many numbers a cell is fed for the observations of one stamp."""
        return self.num_series

    def feature(self, y: Float[Array, " series"]) -> Float[Array, " features"]:
        """What a cell is fed for observations: here their deviations from the level, in units; 0 is neutral."""
        return (y - self.level) / self.unit

    def outside(self, y: np.ndarray) -> tuple[np.ndarray, str]:
        """Which values (time, series), NaN where missing, the law cannot make, and what it can, in words."""
        return np.zeros(y.shape, bool), ""

    @property
    def num_series(self) -> int:
        """Number of observed series, 1 as long as nothing is known."""
        return self.series or 1

    @property
    def rows(self) -> int:
        """Number of signals."""
        return self.num_series * self.signals_per_series

    def typical_bias(self, mean: np.ndarray) -> np.ndarray:
        """The bias, (signals,), at which the law is that of data with given means, where nothing else is known."""
        del mean
        return np.zeros(self.rows)  # level and unit say it all

    def signals(self, output: Float[Array, " outputs"]) -> Float[Array, "kinds series"]:
        """The signals, one row of a kind for all series."""
        flat = matmul(self.weights, output) + self.bias
        return flat.reshape(self.signals_per_series, self.num_series)

    def on(self, outputs: int) -> Self:
        """The head on a cell of so many outputs.

        Raises:
            ValueError: If its weights are for another number.
        """
        known = self.weights
        if known is not None and known.shape[-1] != outputs:
            raise ValueError(f"the head's weights have shape {known.shape}, but the cell has {outputs} outputs")
        return with_fields(self, outputs=outputs)

    def observing(self, count: int) -> Self:
        """The head of so many series, as they are known before any data are.

        Raises:
            ValueError: If its weights are for another number.
        """
        if self.series not in (None, count):
            raise ValueError(f"the head observes {self.series} series, expected {count}")
        return with_fields(self, series=count)

    def bind(self, binding: Any) -> Self:
        """The head tied to the number of series, and to the data's level and unit where it has none yet.

        Raises:
            ValueError: If the data's level is needed but not known.
        """
        count = self.series or len(binding.series)
        found = {"level": self.level, "unit": self.unit}
        for name, value in (("level", binding.level), ("unit", binding.scale)):
            if found[name] is not None:
                continue
            if value is None:
                raise ValueError(
                    f"the head has no {name} and no data to take it from (nothing is observed, or JAX traces it): make "
                    "it with level= and unit=, or pass a model that has met its data (that of a fit or a filter result)"
                )
            found[name] = jnp.asarray(value, jnp.result_type(float))
        if count != len(binding.series):
            return self  # the door refuses
        return with_fields(self, series=count, **found)


def readout_weights() -> Any:
    """Declare the weights of a head."""
    return weight(lambda self: (self.rows, self.outputs), normal)


def readout_bias(**options: Any) -> Any:
    """Declare the bias of a head."""
    return biases(lambda self: self.rows, **options)


def set_readout(head: Any, weights: Any, bias: Any, level: Any, unit: Any) -> None:
    """Give a head that is being made what all heads have.

    Raises:
        ValueError: If shapes do not agree or the unit is not positive.
    """
    dtype = jnp.result_type(float)
    head.level, head.unit = (None if v is None else jnp.atleast_1d(jnp.asarray(v, dtype)) for v in (level, unit))
    if unit is not None and not is_traced(unit) and not np.all(np.asarray(unit) > 0):
        raise ValueError(f"unit is {unit}, expected values above 0")
    head.weights, head.bias = weights, bias
    rows = {name: np.shape(v)[:1] for name, v in (("weights", weights), ("bias", bias)) if v is not None}
    if any(len(shape) == 0 for shape in rows.values()) or (weights is not None and np.ndim(weights) != 2):
        raise ValueError("weights are a matrix (signals, outputs) and bias is a vector (signals,)")
    counts = {shape[0] for shape in rows.values()}
    each = head.signals_per_series
    if len(counts) > 1 or any(count % each for count in counts):
        raise ValueError(f"{rows} signals, expected the same multiple of {each}: {each} for each series")
    head.series = counts.pop() // each if counts else None
    head.outputs = None if weights is None else np.shape(weights)[1]
