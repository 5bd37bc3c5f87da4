"""The tail of a Kalman filter whose covariance has converged, by the innovations form.

A constant model with nothing missing has a covariance P of the filtered state that stays, the solution of Riccati's
equation, and a gain K with it. From then on the filter is a linear system driven by the data,

    e[k] = y[k] - d[k] - H (F s[k] + c[k]),      s[k+1] = F s[k] + c[k] + K e[k],      cov(e) = V

with s[k] the filtered mean of the stamp before, which needs no covariance and is run by blocks of stamps.

The law that the tail starts from has a covariance P + D, and what is left of D counts: with E[k] = H F (F - K H F)^k,
G = sum E'V^-1 E and z = sum E'V^-1 e,

    log-likelihood = steady - log det(I + G D) / 2 + z' D (I + G D)^-1 z / 2

whatever D is. So the sum is exact however short the stretch before the tail was; trace(G D), the excess of the
innovations' variance over the whole tail, says what is left, and above a bound the exact filter is run instead.

Reference: Anderson and Moore (1979), "Optimal Filtering", section 4.4; the correction follows de Jong (1991), "The
diffuse Kalman filter", Annals of Statistics 19, with a proper law of the initial effects.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_context
from jaxtyping import Array, Bool, Float

from ..core.belief import Gaussian
from ..core.linalg import quadratic
from ..core.linear_filter import linear_filter
from ..core.parameters import is_traced
from ..core.riccati import kalman_gain, lyapunov, riccati
from ..core.scan import Hoisted, depends
from ..core.step import Step
from ..models.base import AbstractLinearGaussian, noise_matrix

Stretch = tuple[int, int]
_CONVERGED = 1e-6  # share of the initial covariance that is left when the tail begins, at the parameters of the plan
_SPARE = 1.5  # so much longer than that, since other parameters may converge more slowly
_LEFT = 1e-5  # largest trace(G D) with which the tail is taken
_SHORTEST = 1024  # stamps below which the exact filter is as quick
_LONGEST_START = 0.25  # share of a stretch that the exact filter may take before its tail
_MOST = 8  # tails in a series: each is compiled by itself


class Steady(NamedTuple):
    """The filter in the long run.

    Attributes:
        transition: F.
        emission: H F, what an observation sees of the filtered state before.
        gain: K.
        variance: V, covariance of the innovations.
        cov: P, covariance of the filtered state.
        exists: Whether there is such a limit; where not, the rest stands for nothing.
    """

    transition: Float[Array, "state state"]
    emission: Float[Array, "series state"]
    gain: Float[Array, "state series"]
    variance: Float[Array, "series series"]
    cov: Float[Array, "state state"]
    exists: Bool[Array, ""]

    @property
    def closed(self) -> Float[Array, "state state"]:
        """F - K H F, by which errors of the filtered state die out."""
        return self.transition - self.gain @ self.emission


def steady(model: AbstractLinearGaussian, step: Step) -> Steady:
    """The limit of a constant model's filter.

    The model is written for the filtered state, x[k-1] -> y[k], whose measurement noise H w + v is never singular
    where the model's likelihood is defined: observations without noise of their own are served.
    """
    seen, parts = model.emission_matrices(step), model.transition_matrices(step)
    h, q = seen.matrix, quadratic(parts.factor)
    f = model.propagate(jnp.eye(q.shape[0], dtype=q.dtype), step)
    noise = h @ q @ h.T + quadratic(noise_matrix(seen.scale))
    both = q @ h.T
    cov = riccati(f, h @ f, q, noise, both)
    exists = jnp.all(jnp.isfinite(cov))
    cov = jnp.where(exists, cov, 0.0)  # what follows from no limit is not let into derivatives
    variance = h @ f @ cov @ (h @ f).T + noise
    return Steady(f, h @ f, kalman_gain(f, h @ f, cov, noise, both), variance, cov, exists)


def tails(model: AbstractLinearGaussian, mask: Any, steps: Step, diffuse_steps: int) -> tuple[Stretch, ...]:
    """The stretches of a series that the steady state serves, found on the host at some values of the parameters.

    Args:
        model: The model, parameters at generic values.
        mask: Which elements are present.
        steps: The stamps.
        diffuse_steps: Length of the diffuse phase.
    """
    if len(mask) < _SHORTEST or any(map(is_traced, jax.tree.leaves((model, mask, steps)))):
        return ()
    with eval_context():
        if _varies(model, steps):
            return ()
        limit = eqx.filter_jit(steady)(model, steps[0])
    radius = float(np.max(np.abs(np.linalg.eigvals(limit.closed)))) if limit.exists else 1.0
    if not radius < 1:
        return ()
    burn_in = _rounded(_SPARE * math.log(_CONVERGED) / (2 * math.log(max(radius, 1e-3))) + len(limit.cov))
    found = []
    for start, stop in _complete(np.asarray(mask)):
        first = start + burn_in if start else max(burn_in, diffuse_steps)
        if stop - first >= _SHORTEST and first - start <= _LONGEST_START * (stop - start):
            found.append((first, stop))
    return tuple(sorted(sorted(found, key=lambda s: s[0] - s[1])[:_MOST]))


def _rounded(count: float) -> int:
    """Up to one of few lengths, so that few are ever compiled."""
    grain = 2 ** max(int(count).bit_length() - 3, 4)
    return math.ceil(count / grain) * grain


def _varies(model: AbstractLinearGaussian, steps: Step) -> bool:
    """Whether anything but offsets changes from stamp to stamp."""

    def constant(step: Step) -> Any:
        parts, seen = model.transition_matrices(step), model.emission_matrices(step)
        size = parts.factor.shape[0]
        return model.propagate(jnp.eye(size), step), parts.factor, seen.matrix, seen.scale

    return depends(constant, steps[0])


def _complete(mask: np.ndarray) -> list[Stretch]:
    """Stretches of stamps at which nothing is missing."""
    whole = np.concatenate([[False], mask.all(axis=1), [False]])
    edges = np.flatnonzero(whole[1:] != whole[:-1])
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def run_tail(
    model: AbstractLinearGaussian,
    steps: Step,
    y: Float[Array, "time series"],
    belief: Gaussian,
    exact: Callable[[Gaussian], tuple[Gaussian, Float[Array, " time"]]],
    horizon: int,
) -> tuple[Gaussian, Float[Array, " time"]]:
    """The belief after a complete stretch and its terms of the log-likelihood, by the steady state where it is reached.

    Args:
        model: A model constant but for its offsets.
        steps: The stamps of the stretch.
        y: Its observations.
        belief: The belief after the stamp before.
        exact: The exact filter of the stretch, which is run where the covariance is still far from its limit.
        horizon: Stamps over which what is left of the first covariance is corrected for; as many as were enough to
            converge are enough for the rest to vanish.
    """
    near = min(horizon, len(y))
    limit = steady(model, steps[0])
    held, cov = jax.lax.stop_gradient((limit, belief.cov))
    excess = jnp.sum(jnp.abs(_excess(held, cov, len(y))[0]))
    reached = limit.exists & jnp.isfinite(excess) & (excess <= _LEFT)
    return jax.lax.cond(reached, lambda b: _tail(model, limit, steps, y, b, near), exact, belief)


def _excess(limit: Steady, cov: Array, length: int) -> tuple[Array, Array, Array]:
    """Diagonal of G D, G and D, for a tail of some length that starts from a covariance."""
    weight = jnp.linalg.solve(limit.variance, limit.emission)
    endless, power = lyapunov(limit.closed.T, limit.emission.T @ weight), jnp.linalg.matrix_power(limit.closed, length)
    gramian, left = endless - power.T @ endless @ power, cov - limit.cov
    return jnp.sum(gramian * left.T, axis=1), gramian, left


def _tail(
    model: AbstractLinearGaussian, limit: Steady, steps: Step, y: Array, belief: Gaussian, near: int
) -> tuple[Gaussian, Array]:
    """The belief after a stretch and its terms, by the steady state and the correction for what is left."""
    e, last = _innovations(model, limit, steps, y, belief.mean)
    root = jnp.linalg.cholesky(limit.variance)
    white = jax.scipy.linalg.solve_triangular(root, jnp.eye(len(root), dtype=e.dtype), lower=True)
    scaled = e @ white.T
    log_scale = jnp.sum(jnp.log(jnp.diagonal(root))) + 0.5 * len(root) * math.log(2 * math.pi)
    terms = -0.5 * jnp.sum(scaled**2, axis=1) - log_scale
    _, gramian, left = _excess(limit, belief.cov, near)
    (z,) = jax.linear_transpose(lambda x: _response(limit, x, near), belief.mean)(scaled[:near] @ white)
    shrink = jnp.linalg.solve(jnp.eye(len(z)) + left @ gramian, left)  # covariance of what the data say is left
    _, log_shrink = jnp.linalg.slogdet(jnp.eye(len(z)) + gramian @ left)
    power = jnp.linalg.matrix_power(limit.closed, len(y))
    after = Gaussian(last + power @ shrink @ z, limit.cov + power @ shrink @ power.T)
    return after, terms.at[0].add(0.5 * (z @ shrink @ z - log_shrink))


def _innovations(
    model: AbstractLinearGaussian, limit: Steady, steps: Step, y: Array, mean: Array
) -> tuple[Float[Array, "time series"], Float[Array, " state"]]:
    """The innovations of a stretch and the filtered mean after it, from that of the stamp before."""
    moved = Hoisted(lambda step: model.transition_matrices(step).offset, steps)
    seen = Hoisted(lambda step: model.emission_matrices(step).offset, steps)
    offset, each = moved.constant[0], moved.varying[0]  # one of them is None
    moves: Any = offset if each is None else each
    y = y - seen.all(len(y)) - moves @ model.emission_matrices(steps[0]).matrix.T
    gain, u = limit.gain, y
    if each is not None:  # offsets that change are inputs, one for each state
        gain = jnp.concatenate([gain, jnp.eye(len(mean), dtype=mean.dtype)], axis=1)
        u = jnp.concatenate([y, each], axis=1)
    found = linear_filter(limit.closed, gain, limit.emission, u, mean, drift=offset)
    return y - found.outputs, found.last


def _response(limit: Steady, x: Array, length: int) -> Float[Array, "time series"]:
    """What a change of the first filtered mean adds to the predictions of a stretch."""
    none = jnp.zeros((length, 0), x.dtype)
    return linear_filter(limit.closed, jnp.zeros((len(x), 0), x.dtype), limit.emission, none, x).outputs
