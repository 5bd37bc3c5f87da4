"""Counts, yes or no, and categories."""

import operator
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from ....core.parameters import Unknown
from .head import AbstractHead, readout_bias, readout_weights, set_readout


class PoissonHead(AbstractHead):
    """Counts.

        y ~ Poisson(max(level, 1/2) e^m)

    Args:
        weights: (series, outputs), of the signal m. Left out: unknown.
        bias: (series,). Left out: unknown.
        level: A typical count; the mean of the first data that the model meets when left out.
        unit: A typical deviation from it, in which a cell is fed the counts; their standard deviation when left out.

    Raises:
        ValueError: If shapes do not agree or the unit is not positive.

    Example:
        >>> float(PoissonHead([[1.0]], [0.0], level=3.0, unit=1.0).law(jnp.zeros(1)).rate[0])
        3.0
    """

    weights: Float[Array, "signals outputs"] | Unknown = readout_weights()
    bias: Float[Array, " signals"] | Unknown = readout_bias()
    _: KW_ONLY  # the fields below have no default, those above have
    level: Float[Array, " series"] | Unknown
    unit: Float[Array, " series"] | Unknown
    outputs: int | None = eqx.field(static=True)
    series: int | None = eqx.field(static=True)

    def __init__(self, weights: Any = None, bias: Any = None, *, level: Any = None, unit: Any = None):
        set_readout(self, weights, bias, level, unit)

    @property
    def signals_per_series(self) -> int:
        """The logarithm of the rate."""
        return 1

    def law(self, output: Float[Array, " outputs"]) -> Distribution:
        """Poisson laws."""
        return dist.Poisson(jnp.maximum(self.level, 0.5) * jnp.exp(self.signals(output)[0]))

    def outside(self, y: np.ndarray) -> tuple[np.ndarray, str]:
        """Whatever is no count."""
        return np.isfinite(y) & ((y < 0) | (y != np.floor(y))), "counts: 0, 1, 2, ..."


class BernoulliHead(AbstractHead):
    """Yes (1) or no (0).

        y ~ Bernoulli(1 / (1 + e^-m))

    Args:
        weights: (series, outputs), of the signal m. Left out: unknown.
        bias: (series,). Left out: unknown.

    A cell is fed 1 for yes and -1 for no; 0 where there is neither.

    Raises:
        ValueError: If shapes do not agree.

    Example:
        >>> float(BernoulliHead([[1.0]], [0.0]).law(jnp.zeros(1)).probs[0])
        0.5
    """

    weights: Float[Array, "signals outputs"] | Unknown = readout_weights()
    bias: Float[Array, " signals"] | Unknown = readout_bias()
    _: KW_ONLY  # the fields below have no default, those above have
    level: Float[Array, " series"] | Unknown
    unit: Float[Array, " series"] | Unknown
    outputs: int | None = eqx.field(static=True)
    series: int | None = eqx.field(static=True)

    def __init__(self, weights: Any = None, bias: Any = None):
        set_readout(self, weights, bias, 0.5, 0.5)

    @property
    def signals_per_series(self) -> int:
        """The log odds."""
        return 1

    def law(self, output: Float[Array, " outputs"]) -> Distribution:
        """Bernoulli laws."""
        return dist.BernoulliLogits(self.signals(output)[0])

    def typical_bias(self, mean: np.ndarray) -> np.ndarray:
        """The log odds of the means, each kept off 0 and 1."""
        share = np.clip(mean, 1e-3, 1 - 1e-3)
        return np.log(share / (1 - share))

    def outside(self, y: np.ndarray) -> tuple[np.ndarray, str]:
        """Whatever is neither 0 nor 1."""
        return np.isfinite(y) & (y != 0) & (y != 1), "0 or 1"


class CategoricalHead(AbstractHead):
    """One of several categories, numbered from 0.

        p(y = k) = e^{m_k} / sum_j e^{m_j},      m_0 = 0

    A cell is fed an indicator of each category; all zero where there is none. Categories have no moments: methods that
    work with moments do not serve.

    Args:
        num_categories: Number of categories, at least 2.
        weights: ((categories - 1) series, outputs): m_1 of all series, then m_2, ... Left out: unknown.
        bias: ((categories - 1) series,). Left out: unknown.

    Raises:
        ValueError: If shapes do not agree or there are fewer than 2 categories.

    Example:
        >>> law = CategoricalHead(3, [[1.0], [1.0]], [0.0, 0.0]).law(jnp.zeros(1))
        >>> law.probs.round(4).tolist()
        [[0.3333, 0.3333, 0.3333]]

    Reference: Graves (2013), "Generating sequences with recurrent neural networks", section 3.
    """

    weights: Float[Array, "signals outputs"] | Unknown = readout_weights()
    bias: Float[Array, " signals"] | Unknown = readout_bias()
    _: KW_ONLY  # the fields below have no default, those above have
    level: Float[Array, " series"] | Unknown
    unit: Float[Array, " series"] | Unknown
    categories: int = eqx.field(static=True)
    outputs: int | None = eqx.field(static=True)
    series: int | None = eqx.field(static=True)

    def __init__(self, num_categories: int, weights: Any = None, bias: Any = None):
        self.categories = operator.index(num_categories)
        if self.categories < 2:
            raise ValueError(f"there are at least 2 categories, got num_categories={num_categories}")
        set_readout(self, weights, bias, 0.0, 1.0)  # they are not read

    @property
    def signals_per_series(self) -> int:
        """The logits of all categories but the first."""
        return self.categories - 1

    @property
    def features(self) -> int:
        """An indicator of each category and series."""
        return self.categories * self.num_series

    def feature(self, y: Float[Array, " series"]) -> Float[Array, " features"]:
        """Indicators of the categories."""
        return jax.nn.one_hot(y.astype(int), self.categories, dtype=y.dtype).ravel()

    def law(self, output: Float[Array, " outputs"]) -> Distribution:
        """Categorical laws."""
        signals = self.signals(output).T
        first = jnp.zeros_like(signals[:, :1])
        return dist.CategoricalLogits(jnp.concatenate([first, signals], axis=1))

    def outside(self, y: np.ndarray) -> tuple[np.ndarray, str]:
        """Whatever is no category's number."""
        bad = (y < 0) | (y >= self.categories) | (y != np.floor(y))
        return np.isfinite(y) & bad, f"numbers of categories, 0 to {self.categories - 1}"
