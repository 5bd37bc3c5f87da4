"""The fixed-interval smoother, the disturbance smoother, and exact leave-one-out, in one backward pass.

The backward recursions run on r and N (the weighted sum of later innovations, and its variance), element
by element, with the terms in 1/kappa and 1/kappa^2 through the diffuse phase; they divide by innovation
variances only, so singular Q, R = 0 and known states need no care.

Sources: Durbin and Koopman (2012), sections 4.4, 4.5, 5.3 and 6.4; Koopman and Durbin (2003). The
leave-one-out form follows from r and N being the score and information of the observations: with
u = S^-1 (y - mean) and D the diagonal block of S^-1, y_t given the rest is N(y_t - D^-1 u, D^-1).
"""

from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..core.belief import DiffuseGaussian, Gaussian
from ..core.gaussian import LOG_2PI, Element
from ..core.linalg import mask_matrix, symmetrise
from ..core.scan import at, length_of, part, scan
from .kalman import KalmanRecursion, KalmanRun, Slot


class Score(NamedTuple):
    """What later observations say about the state: r and N, and their 1/kappa terms in the diffuse phase.

    Attributes:
        r: Score with respect to the state, shape (state,).
        n: Its variance, shape (state, state).
        r1: Coefficient of 1/kappa in r, or None after the diffuse phase.
        n1: Coefficient of 1/kappa in N, or None.
        n2: Coefficient of 1/kappa^2 in N, or None.
    """

    r: Float[Array, " state"]
    n: Float[Array, "state state"]
    r1: Float[Array, " state"] | None = None
    n1: Float[Array, "state state"] | None = None
    n2: Float[Array, "state state"] | None = None


class Smoothing(eqx.Module):
    """The arrays that a smoother pass leaves; the leading axis is time.

    Attributes:
        mean: Smoothed state means.
        cov: Smoothed state covariances.
        r: Score r before each stamp's observations; the smoothed state disturbance is Q r.
        n: Its variance N; the smoothed disturbance has variance Q - Q N Q.
        u: Score of the decorrelated observations, (time, series).
        d: Its variance, (time, series, series).
        diffuse: Whether the stamp used up a diffuse direction, (time,).
    """

    mean: Float[Array, "time state"]
    cov: Float[Array, "time state state"]
    r: Float[Array, "time state"]
    n: Float[Array, "time state state"]
    u: Float[Array, "time series"]
    d: Float[Array, "time series series"]
    diffuse: Bool[Array, " time"]


def smooth(recursion: KalmanRecursion, slots: Slot, run: KalmanRun) -> Smoothing:
    """Run the backward pass over a filter run that kept everything.

    Args:
        recursion: The recursion of the filter run.
        slots: Its slots.
        run: What it left.

    Returns:
        Smoothed moments, scores of the disturbances and the leave-one-out quantities.
    """
    size = run.last.mean.shape[0]
    dtype = run.last.mean.dtype
    score = Score(jnp.zeros(size, dtype), jnp.zeros((size, size), dtype))
    total = slots.values.shape[0]
    late, early = None, None
    split = 0 if run.diffuse_part is None else length_of(run.diffuse_part)
    if run.proper_part is not None:
        score, late = _backward(recursion, score, run.proper_part, slots, split, total)
    if run.diffuse_part is not None:
        zero = jnp.zeros_like(score.n)
        score = Score(score.r, score.n, jnp.zeros_like(score.r), zero, zero)
        score, early = _backward(recursion, score, run.diffuse_part, slots, 0, split)
    kept = [piece for piece in (early, late) if piece is not None]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *kept)


def _backward(recursion: KalmanRecursion, score: Score, kept: Any, slots: Slot, start: int, stop: int):
    """The backward scan over stamps start ... stop - 1; `score` belongs to the end of stamp stop - 1."""
    _, filtered, elements = kept
    # the score crosses the transition into the *next* stamp before it meets this stamp's elements
    following = jax.tree.map(
        lambda leaf: jnp.concatenate([leaf[start + 1 : stop + 1], leaf[-1:]])[: stop - start], slots
    )
    last = jnp.arange(start, stop) == slots.values.shape[0] - 1

    def body(carry: Score, xs):
        slot, later, is_last, element = xs
        crossed = _cross(recursion, carry, later)
        crossed = jax.tree.map(lambda a, b: jnp.where(is_last, a, b), carry, crossed)
        here, u, d = _elements(recursion, crossed, slot, element)
        return here, (crossed, here, u, d)

    xs = (part(slots, start, stop), following, last, elements)
    score, (after, before, u, d) = scan(body, score, xs, reverse=True)
    mean, cov = jax.vmap(_moments)(filtered, after)  # outside the loop: only where they are used
    diffuse = jnp.zeros(elements.variance.shape[:1], bool) if elements.diffuse is None else elements.diffuse.any(axis=1)
    return score, Smoothing(mean, cov, before.r, before.n, u, d, diffuse)


def _cross(recursion: KalmanRecursion, score: Score, slot: Slot) -> Score:
    """The score before a transition, F'r and F'N F."""
    size = score.r.shape[0]
    example = jnp.zeros(size, score.r.dtype)
    transpose = jax.linear_transpose(lambda x: recursion.model.propagate(x, slot.step), example)

    def pull(x: Array) -> Array:
        return transpose(x)[0]

    def both(n: Any) -> Any:
        return None if n is None else symmetrise(jax.vmap(pull)(jax.vmap(pull)(n).T))

    r1 = None if score.r1 is None else pull(score.r1)
    return Score(pull(score.r), both(score.n), r1, both(score.n1), both(score.n2))


def _elements(recursion: KalmanRecursion, score: Score, slot: Slot, elements: Element):
    """The stamp's elements from the last to the first: the score before them, u, and D."""
    seen = recursion.observation(slot)
    count = seen.values.shape[0]
    u, d = [jnp.zeros(())] * count, [[jnp.zeros(())] * count for _ in range(count)]
    cross: dict[int, Array] = {}
    for i in reversed(range(count)):
        e, z = at(elements, i), seen.rows[i]
        present = jnp.ones((), bool) if e.present is None else e.present
        diffuse = jnp.zeros((), bool) if e.diffuse is None else e.diffuse
        inverse = jnp.where(present & ~diffuse, 1.0 / e.variance, 0.0)
        nk = jnp.sum(score.n * e.gain, axis=1)
        u[i] = inverse * e.innovation - jnp.sum(e.gain * score.r)
        d[i][i] = inverse + jnp.sum(e.gain * nk)
        for j, c in cross.items():
            d[i][j] = d[j][i] = -jnp.sum(e.gain * c)
            cross[j] = jnp.where(present, c - z * jnp.sum(e.gain * c), c)
        cross[i] = jnp.where(present, z * d[i][i] - nk, 0.0)
        after = _element(score, e, z, u[i], nk, diffuse)
        score = jax.tree.map(lambda new, old, p=present: jnp.where(p, new, old), after, score)
    return score, jnp.stack(u), jnp.stack([jnp.stack(row) for row in d])


def _element(score: Score, e: Element, z: Array, u: Array, nk: Array, diffuse: Array) -> Score:
    """The score before one present element: r + z u, and L'N L + z z'/F, with their 1/kappa terms."""
    half = _half(score.n, z, nk)
    r, n = score.r + z * u, _whole(half, z, e.gain, jnp.where(diffuse, 0.0, 1.0 / e.variance))
    if score.r1 is None:
        return Score(r, n)
    k = e.gain
    r1, n1, n2, k1 = cast(tuple[Array, ...], (score.r1, score.n1, score.n2, e.second_gain))  # all, or none
    half1, half2 = _half(n1, z, jnp.sum(n1 * k, axis=1)), _half(n2, z, jnp.sum(n2 * k, axis=1))
    weight = jnp.where(diffuse, 1.0 / e.variance, 0.0)
    weight2 = jnp.where(diffuse, -e.finite / e.variance**2, 0.0) + jnp.sum(k1 * jnp.sum(score.n * k1, axis=1))
    return Score(
        r,
        n,
        r1 + z * (weight * e.innovation - jnp.sum(k * r1) - jnp.sum(k1 * score.r)),
        _whole(half1, z, k, weight) - _mixed(half, z, k1),
        _whole(half2, z, k, weight2) - _mixed(half1, z, k1),
    )


def _half(n: Array, z: Array, nk: Array) -> Array:
    """N L with L = I - k z'. Applying L once on each side keeps the digits that a vague start leaves in N."""
    return n - nk[:, None] * z[None]


def _whole(half: Array, z: Array, k: Array, weight: Array) -> Array:
    """L' half + weight z z'."""
    return half - z[:, None] * (jnp.sum(k[:, None] * half, axis=0) - weight * z)[None]


def _mixed(half: Array, z: Array, k1: Array) -> Array:
    """-(M'N L + L'N M) with M = -k1 z' and half = N L."""
    outer = z[:, None] * jnp.sum(k1[:, None] * half, axis=0)[None]
    return outer + outer.T


def _moments(belief: Gaussian | DiffuseGaussian, score: Score) -> tuple[Array, Array]:
    """The smoothed moments from the filtered belief and the score after the stamp's observations."""
    p = belief.cov
    mean = belief.mean + p @ score.r
    cov = p - p @ score.n @ p
    if isinstance(belief, DiffuseGaussian):
        a = belief.factor
        inf = a @ a.T
        r1, n1, n2 = cast(tuple[Array, ...], (score.r1, score.n1, score.n2))
        mean = mean + inf @ r1
        mixed = inf @ n1 @ p
        cov = cov - mixed - mixed.T - inf @ n2 @ inf
    return mean, symmetrise(cov)


def leave_one_out(
    recursion: KalmanRecursion, slots: Slot, smoothing: Smoothing, y: Float[Array, "time series"]
) -> tuple[Float[Array, " time"], Float[Array, "time series"], Float[Array, "time series"]]:
    """The exact law of each stamp's observations given all other stamps.

    Args:
        recursion: The recursion of the filter run.
        slots: Its slots.
        smoothing: The smoother pass over it.
        y: The observations.

    Returns:
        log p(y_t | y_-t), NaN where a stamp alone identifies a diffuse element and 0 where nothing was
        observed; and mean and standard deviation of each element given everything but its stamp.
    """
    mask = jnp.ones(y.shape, bool) if slots.mask is None else slots.mask
    spread = jnp.diagonal(smoothing.d, axis1=1, axis2=2)
    unit = jax.lax.rsqrt(jnp.maximum(jnp.max(spread, axis=0), jnp.finfo(y.dtype).tiny))
    floor = jnp.finfo(y.dtype).eps ** 0.75

    def one(slot, u, d, diffuse, row, present):
        scaled = mask_matrix(d * unit[:, None] * unit, present)
        identified = ~diffuse | (jnp.linalg.eigvalsh(scaled)[0] > floor)
        lower = recursion.observation(slot).lower
        if lower is not None:  # u = L^-T u*, D = L^-T D* L^-1 undo the decorrelation
            inverse = jnp.linalg.inv(lower)
            u, d = inverse.T @ u, inverse.T @ d @ inverse
        u = jnp.where(present, u, 0.0)
        d = mask_matrix(d, present)
        cov = jnp.linalg.inv(d)
        shift = cov @ u
        log_det = jnp.linalg.slogdet(d)[1]
        count = jnp.sum(present)
        term = 0.5 * (log_det - count * LOG_2PI - jnp.sum(u * shift))
        sd = jnp.sqrt(jnp.diag(cov))
        nan = jnp.where(identified & jnp.all(jnp.isfinite(cov)), 0.0, jnp.nan)
        seen = jnp.where(present, 0.0, jnp.nan)
        return jnp.where(count > 0, term + nan, 0.0), row - shift + nan + seen, sd + nan + seen

    return jax.vmap(one)(slots, smoothing.u, smoothing.d, smoothing.diffuse, y, mask)


def auxiliary_residuals(
    smoothing: Smoothing, slots: Slot
) -> tuple[Float[Array, "time series"], Float[Array, "time state"]]:
    """Smoothed disturbances divided by their standard deviations, for outliers and breaks.

    Returns:
        u / sd(u) of the (decorrelated) observations, NaN where missing; r / sd(r) of the states, element by
        element, for the transition into each stamp: NaN at the first and where nothing is said.
    """
    variance = jnp.diagonal(smoothing.d, axis1=1, axis2=2)
    observation = jnp.where(variance > 0, smoothing.u / jnp.sqrt(jnp.where(variance > 0, variance, 1.0)), jnp.nan)
    if slots.mask is not None:
        observation = jnp.where(slots.mask, observation, jnp.nan)
    spread = jnp.diagonal(smoothing.n, axis1=1, axis2=2)
    floor = jnp.finfo(spread.dtype).eps * jnp.max(spread)
    state = jnp.where(spread > floor, smoothing.r / jnp.sqrt(jnp.where(spread > floor, spread, 1.0)), jnp.nan)
    return observation, state.at[0].set(jnp.nan)
