"""Mixtures of normal laws."""

import operator
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from ....core.parameters import Unknown
from .head import AbstractHead, readout_bias, readout_weights, set_readout


def _apart(head: "MixtureHead", key: Any, shape: tuple[int, ...]) -> Array:
    """Zeros, but for the means, which are spread out from -1 to 1."""
    del key, shape
    kinds = jnp.zeros((3, head.components, head.num_series))
    return kinds.at[1].set(jnp.linspace(-1.0, 1.0, head.components)[:, None]).ravel()


class MixtureHead(AbstractHead):
    """Mixtures of normal laws, all of whose numbers depend on the cell's output: skewed, wide or with several modes.

        y ~ sum_k p_k N(level + unit m_k, (unit log(1 + e^{v_k}))^2),      p = softmax(w)

    Args:
        num_components: Number of components, at least 2.
        weights: (3 components series, outputs), of the signals w_1, w_2, ..., then m, then v, each of all series. Left
            out: unknown.
        bias: (3 components series,). Left out: unknown.
        level: A typical value of each series; the mean of the first data that the model meets when left out.
        unit: A typical deviation from it; the standard deviation of those data when left out.

    Raises:
        ValueError: If shapes do not agree, the unit is not positive, or there are fewer than 2 components.

    Example:
        >>> head = MixtureHead(2, jnp.zeros((6, 1)), [0.0, 0.0, -1.0, 1.0, 0.0, 0.0], level=5.0, unit=1.0)
        >>> float(head.law(jnp.zeros(1)).mean[0])
        5.0

    Reference: Bishop (1994), "Mixture density networks"; Graves (2013), section 4.
    """

    weights: Float[Array, "signals outputs"] | Unknown = readout_weights()
    bias: Float[Array, " signals"] | Unknown = readout_bias(init=_apart)
    _: KW_ONLY  # the fields below have no default, those above have
    level: Float[Array, " series"] | Unknown
    unit: Float[Array, " series"] | Unknown
    components: int = eqx.field(static=True)
    outputs: int | None = eqx.field(static=True)
    series: int | None = eqx.field(static=True)

    def __init__(
        self, num_components: int, weights: Any = None, bias: Any = None, *, level: Any = None, unit: Any = None
    ):
        self.components = operator.index(num_components)
        if self.components < 2:
            raise ValueError(f"a mixture has at least 2 components, got num_components={num_components}")
        set_readout(self, weights, bias, level, unit)

    @property
    def signals_per_series(self) -> int:
        """Weights, means and scales of the components."""
        return 3 * self.components

    def law(self, output: Float[Array, " outputs"]) -> Distribution:
        """Mixtures of normal laws."""
        w, m, v = jnp.split(self.signals(output), 3)
        location = self.level[:, None] + self.unit[:, None] * m.T
        parts = dist.Normal(location, self.unit[:, None] * jax.nn.softplus(v.T))
        return dist.MixtureSameFamily(dist.CategoricalLogits(w.T), parts)
