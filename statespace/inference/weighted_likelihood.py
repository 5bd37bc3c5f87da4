"""Maximum likelihood from weighted observations, where there is a formula: the emissions' part of an M-step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float

Weights = Float[Array, "time state series"]


def weighted_estimates(
    law: Any, y: Float[Array, "time series"], weights: Weights, values: dict[str, Array], free: frozenset[str]
) -> dict[str, Array]:
    """The arguments of a distribution that maximise sum_t w_t(k) log p(y_t | arguments of k) in each state.

    Args:
        law: The distribution's class.
        y: Observations; anything where the weight is zero.
        weights: w, by state and series.
        values: All arguments, with the state in front.
        free: Names of those that may change.

    Returns:
        New values by name of those that may change.

    Example:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.array([[1.0], [3.0], [8.0]]), jnp.ones((3, 2, 1)).at[2, 0].set(0.0)
        >>> weighted_estimates(dist.Poisson, y, w, {"rate": jnp.ones(2)}, frozenset({"rate"}))["rate"].tolist()
        [2.0, 4.0]
    """
    found = _FORMULAS[law](y, weights, values, free)
    kept = {name: value for name, value in found.items() if name in free}
    return {name: jnp.where(jnp.isfinite(v), v, values[name]) for name, v in kept.items()}  # a state without weight


def has_formula(law: Any, shapes: dict[str, tuple[int, ...]], size: int, series: int) -> bool:
    """Whether `weighted_estimates` serves a law whose arguments have these shapes."""
    rows = (size,) if series == 1 else (size, series)
    plain = all(shape == rows for shape in shapes.values())
    return law in _FORMULAS and (plain or law is dist.CategoricalProbs)


def _mean(x: Array, weights: Weights, like: Array) -> Array:
    """Weighted means of (time, series) or (time, state, series) values, in the shape of an argument."""
    x = x if x.ndim == 3 else x[:, None]
    return jnp.reshape(jnp.sum(weights * x, axis=0) / jnp.sum(weights, axis=0), like.shape)


def _normal(y: Array, w: Weights, values: dict[str, Array], free: frozenset[str]) -> dict[str, Array]:
    loc = _mean(y, w, values["loc"]) if "loc" in free else values["loc"]
    residual = y[:, None] - loc.reshape(1, loc.shape[0], -1)
    return {"loc": loc, "scale": jnp.sqrt(_mean(residual**2, w, values["scale"]))}


def _log_normal(y: Array, w: Weights, values: dict[str, Array], free: frozenset[str]) -> dict[str, Array]:
    return _normal(jnp.log(jnp.where(y > 0, y, 1.0)), w, values, free)


def _categories(y: Array, w: Weights, values: dict[str, Array], free: frozenset[str]) -> dict[str, Array]:
    del free
    probs = values["probs"]
    seen = jax.nn.one_hot(y.astype(int), probs.shape[-1])
    counts = jnp.einsum("tks,tsc->ksc", w, seen)
    return {"probs": jnp.reshape(counts / jnp.sum(counts, axis=-1, keepdims=True), probs.shape)}


def _by_mean(name: str, change: Callable[[Array], Array]) -> Callable:
    """An argument that is a function of the mean."""
    return lambda y, w, values, free: {name: change(_mean(y, w, values[name]))}


_FORMULAS: dict[Any, Callable] = {
    dist.Normal: _normal,
    dist.LogNormal: _log_normal,
    dist.Poisson: _by_mean("rate", lambda mean: mean),
    dist.Exponential: _by_mean("rate", lambda mean: 1 / mean),
    dist.BernoulliProbs: _by_mean("probs", lambda mean: mean),
    dist.GeometricProbs: _by_mean("probs", lambda mean: 1 / (1 + mean)),
    dist.CategoricalProbs: _categories,
}
