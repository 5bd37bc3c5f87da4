"""Smoothing with a diffuse start: everything given the diffuse elements, and then what the data say about them.

Write the diffuse part of the first state as A (d + s e), e ~ N(0, I), for any s > 0: d is flat, so this is the same
law, and given d it is proper (s is of the size of the noise, so that exact first observations have a variance too).
The effect of d on the path, X d, and on the observations, Z X d, is known, and filtering the columns of Z X with
the gains of the proper law gives the regression of the innovations on d:

    S = sum E'E/F,   S d^ = sum E'v/F,      d | y ~ N(d^, S^-1)

Whatever is smoothed is then the proper smoother's answer plus that of d: means are linear in d and variances add,
so that no digits cancel however late or weakly an element is identified.

Reference: de Jong (1991), "The diffuse Kalman filter", Annals of Statistics 19; de Jong and Chu-Chun-Lin (2003),
"Smoothing with an unknown initial condition", Journal of Time Series Analysis 24.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..core.belief import DiffuseGaussian, Gaussian
from ..core.gaussian import Element
from ..core.scan import at, forward, part, scan
from ..core.step import Step
from ..models.base import AbstractLinearGaussian
from .kalman_filter import Full, KalmanRecursion, Slot, initial_belief


class Augmented(NamedTuple):
    """A filter run given that d is zero, and its effects on the path.

    Attributes:
        recursion: The recursion.
        slots: Its slots.
        predicted: Beliefs before each stamp's observations.
        filtered: Beliefs after them.
        elements: What each element did.
        effects: X, the path for each diffuse element at one and all else at zero, (time, state, diffuse).
    """

    recursion: KalmanRecursion
    slots: Slot
    predicted: Gaussian
    filtered: Gaussian
    elements: Element
    effects: Float[Array, "time state diffuse"]

    @property
    def responses(self) -> Float[Array, "time series diffuse"]:
        """Z X, decorrelated as the observations are."""
        return jax.vmap(lambda slot, x: self.recursion.observation(slot).rows @ x)(self.slots, self.effects)


class Innovations(NamedTuple):
    """Columns of data filtered with one run's gains.

    Attributes:
        mean: Filtered means, (time, state, column).
        v: Innovations, 0 where missing, (time, series, column).
    """

    mean: Float[Array, "time state column"]
    v: Float[Array, "time series column"]


def augmented_filter(
    model: AbstractLinearGaussian,
    y: Float[Array, "time series"],
    mask: Bool[Array, "time series"],
    steps: Step,
    *,
    complete: bool,
    form: str,
) -> Augmented:
    """Filter with d, the flat part of the first state, at zero.

    Args:
        model: Linear-Gaussian model whose parameters are known.
        y: Observations; values where the mask is False are never used.
        mask: Which elements are present.
        steps: The stamps.
        complete: Whether it is known that nothing is missing.
        form: How the covariance is carried; see `Kalman`.
    """
    start, _ = initial_belief(model, steps)
    recursion = Full(model, steps, peeled=True, complete=complete, mask=mask, form=form)
    slots = recursion.slots(steps, y)
    factor = start.factor if isinstance(start, DiffuseGaussian) else jnp.zeros((start.mean.shape[0], 0), y.dtype)
    cov = start.cov + _noise_size(recursion, slots) * factor @ factor.T
    belief = recursion.carried(Gaussian(start.mean, cov))
    _, (predicted, filtered, elements) = forward(recursion, belief, slots, started=False)

    def move(x: Array, slot: Slot) -> tuple[Array, Array]:
        x = model.propagate(x, slot.step)
        return x, x

    _, later = scan(move, factor, part(slots, 1, None))
    return Augmented(recursion, slots, predicted, filtered, elements, jnp.concatenate([factor[None], later]))


def _noise_size(recursion: KalmanRecursion, slots: Slot) -> Array:
    """A typical variance of one step's noise in the observations, above 0."""
    first = at(slots, 0)
    seen = recursion.observation(first)
    moved = seen.rows @ recursion.noise_factor(at(slots, -1))
    size = jnp.mean(seen.variances + jnp.sum(moved**2, axis=1))
    return jnp.where(size > 0, size, 1.0)


def innovations(run: Augmented, values: Float[Array, "time series column"]) -> Innovations:
    """Filter columns of data with the run's gains: the first under the model, the others with all means zero."""
    recursion, only = run.recursion, jnp.zeros(values.shape[-1], values.dtype).at[0].set(1.0)

    def move(x: Array, slot: Slot) -> Array:
        return recursion.model.propagate(x, slot.step) + recursion.noise(slot)[0][:, None] * only

    def condition(x: Array, slot: Slot, element: Element, y: Array) -> tuple[Array, tuple[Array, Array]]:
        rows, found = recursion.observation(slot).rows, []
        for i in range(rows.shape[0]):
            e = at(element, i)
            v = y[i] - rows[i] @ x
            v = v if e.present is None else jnp.where(e.present, v, 0.0)
            x = x + e.gain[:, None] * v[None]
            found.append(v)
        return x, (x, jnp.stack(found))

    def body(x: Array, xs: Any) -> tuple[Array, tuple[Array, Array]]:
        return condition(move(x, xs[0]), *xs)

    xs = (run.slots, run.elements, values)
    x, first = condition(at(run.predicted, 0).mean[:, None] * only, *at(xs, 0))
    _, rest = scan(body, x, part(xs, 1, None))
    mean, v = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
    return Innovations(mean, v)


def diffuse_law(run: Augmented, v: Float[Array, "time series column"]) -> tuple[Array, Array]:
    """The law of the diffuse elements given each column of data but the last ones, which are the responses.

    Returns:
        Means, (diffuse, column), and a root of the covariance S^-1, (diffuse, diffuse); NaN where the data do
        not identify the elements.
    """
    count = run.effects.shape[-1]
    data, e = v[..., : v.shape[-1] - count], v[..., v.shape[-1] - count :]
    if count == 0:
        return jnp.zeros((0, data.shape[-1]), v.dtype), jnp.zeros((0, 0), v.dtype)
    present = True if run.elements.present is None else run.elements.present
    weighted = e * jnp.where(present, 1.0 / run.elements.variance, 0.0)[..., None]
    s = jnp.einsum("tpi,tpj->ij", weighted, e)
    unit = jax.lax.rsqrt(jnp.diag(s))
    values, vectors = jnp.linalg.eigh(s * unit[:, None] * unit)
    identified = values[0] > 8 * count * jnp.finfo(s.dtype).eps
    root = unit[:, None] * vectors / jnp.sqrt(jnp.where(identified, values, jnp.nan))
    return root @ (root.T @ jnp.einsum("tpi,tpc->ic", weighted, data)), root
