"""The fixed-interval smoother, the disturbance smoother, and exact leave-one-out, in one backward pass.

The backward recursions run on r and N (the weighted sum of later innovations, and its variance), element by
element; they divide by innovation variances only, so singular Q, R = 0 and known states need no care. They are
those of the law given the diffuse elements of the first state, whose own law is then added (see `augmented`).

Sources: Durbin and Koopman (2012), sections 4.4, 4.5 and 6.4. The leave-one-out form follows from r and N being
the score and information of the observations: with u = S^-1 (y - mean) and D the diagonal block of S^-1, y_t
given the rest is N(y_t - D^-1 u, D^-1).
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core.gaussian import LOG_2PI, Element
from ..core.linalg import mask_matrix, symmetrise
from ..core.scan import at, scan
from .augmented import Augmented, diffuse_law, innovations
from .kalman_filter import KalmanRecursion, Slot


class Score(NamedTuple):
    """What later observations say about the state: r for each column of data, and the variance N.

    Attributes:
        r: Scores with respect to the state, shape (state, column).
        n: Their variance, shape (state, state).
    """

    r: Float[Array, "state column"]
    n: Float[Array, "state state"]


class Smoothing(eqx.Module):
    """The arrays that a smoother pass leaves; the leading axis is time.

    Attributes:
        mean: Smoothed state means.
        cov: Smoothed state covariances.
        w: Smoothed disturbances of the transition into each stamp, Q r, (time, state).
        w_var: Their variances, the diagonal of Q N Q, (time, state).
        u: Score of the decorrelated observations, (time, series).
        d: Its variance, (time, series, series).
        d_given: The same given the diffuse elements: what d is small against.
    """

    mean: Float[Array, "time state"]
    cov: Float[Array, "time state state"]
    w: Float[Array, "time state"]
    w_var: Float[Array, "time state"]
    u: Float[Array, "time series"]
    d: Float[Array, "time series series"]
    d_given: Float[Array, "time series series"]


def smooth(run: Augmented) -> Smoothing:
    """Run the backward pass over an augmented filter run.

    Args:
        run: The run.

    Returns:
        Smoothed moments, disturbances and the leave-one-out quantities; NaN where the data do not identify the
        diffuse elements.
    """
    recursion, slots = run.recursion, run.slots
    filtered = innovations(run, jnp.concatenate([slots.values[..., None], run.responses], axis=-1))
    location, root = diffuse_law(run, filtered.v)
    location = location[:, 0]
    following = jax.tree.map(lambda leaf: jnp.concatenate([leaf[1:], leaf[-1:]]), slots)
    last = jnp.arange(slots.values.shape[0]) == slots.values.shape[0] - 1

    def body(carry: Score, xs: Any) -> tuple[Score, Any]:
        slot, later, is_last, element, v = xs
        crossed = _cross(recursion, carry, later)
        crossed = jax.tree.map(lambda a, b: jnp.where(is_last, a, b), carry, crossed)
        here, u, d = _elements(recursion, crossed, slot, element, v)
        return here, (crossed, u, d, *_disturbance(recursion, here, slot, location, root))

    size, dtype = run.effects.shape[1], slots.values.dtype
    start = Score(jnp.zeros((size, filtered.v.shape[-1]), dtype), jnp.zeros((size, size), dtype))
    xs = (slots, following, last, run.elements, filtered.v)
    _, (after, u, d, w, w_var) = scan(body, start, xs, reverse=True)
    cov = jax.vmap(lambda p, n: symmetrise(p - p @ n @ p))(run.filtered.cov, after.n)
    mean = filtered.mean + jnp.einsum("tij,tjc->tic", run.filtered.cov, after.r)
    effect = run.effects - mean[..., 1:]  # of the diffuse elements on what is smoothed
    spread = effect @ root
    lost = u[..., 1:] @ root
    return Smoothing(
        mean[..., 0] + effect @ location,
        cov + spread @ jnp.swapaxes(spread, -1, -2),
        w.at[0].set(jnp.nan),
        w_var.at[0].set(jnp.nan),
        u[..., 0] - u[..., 1:] @ location,
        d - lost @ jnp.swapaxes(lost, -1, -2),
        d,
    )


def _cross(recursion: KalmanRecursion, score: Score, slot: Slot) -> Score:
    """The score before a transition, F'r and F'N F."""
    transpose = jax.linear_transpose(lambda x: recursion.model.propagate(x, slot.step), score.n)
    wide = jax.linear_transpose(lambda x: recursion.model.propagate(x, slot.step), score.r)
    return Score(wide(score.r)[0], symmetrise(transpose(transpose(score.n)[0].T)[0]))


def _elements(
    recursion: KalmanRecursion, score: Score, slot: Slot, elements: Element, v: Array
) -> tuple[Score, Array, Array]:
    """The stamp's elements from the last to the first: the score before them, u, and D."""
    rows = recursion.observation(slot).rows
    count = rows.shape[0]
    u, d = [jnp.zeros(())] * count, [[jnp.zeros(())] * count for _ in range(count)]
    cross: dict[int, Array] = {}
    for i in reversed(range(count)):
        e, z = at(elements, i), rows[i]
        present = jnp.ones((), bool) if e.present is None else e.present
        inverse = jnp.where(present, 1.0 / e.variance, 0.0)
        nk = jnp.sum(score.n * e.gain, axis=1)
        u[i] = inverse * v[i] - jnp.sum(e.gain[:, None] * score.r, axis=0)
        d[i][i] = inverse + jnp.sum(e.gain * nk)
        for j, c in cross.items():
            d[i][j] = d[j][i] = -jnp.sum(e.gain * c)
            cross[j] = jnp.where(present, c - z * jnp.sum(e.gain * c), c)
        cross[i] = jnp.where(present, z * d[i][i] - nk, 0.0)
        after = _element(score, e, z, u[i], nk)
        score = jax.tree.map(lambda new, old, p=present: jnp.where(p, new, old), after, score)
    return score, jnp.stack(u), jnp.stack([jnp.stack(row) for row in d])


def _element(score: Score, e: Element, z: Array, u: Array, nk: Array) -> Score:
    """The score before one present element: r + z u, and L'N L + z z'/F with L = I - k z'.

    Applying L once on each side keeps the digits that a vague start leaves in N.
    """
    half = score.n - nk[:, None] * z[None]
    pull = jnp.sum(e.gain[:, None] * half, axis=0) - z / e.variance
    return Score(score.r + z[:, None] * u[None], half - z[:, None] * pull[None])


def _disturbance(recursion: KalmanRecursion, score: Score, slot: Slot, location: Array, root: Array) -> Any:
    """The smoothed disturbance Q r and the diagonal of Q N Q, the diffuse elements' share taken off."""
    g = recursion.noise_factor(slot)
    pulled = g.T @ score.r
    lost = pulled[:, 1:] @ root
    inner = g.T @ score.n @ g - lost @ lost.T
    return g @ (pulled[:, 0] - pulled[:, 1:] @ location), jnp.sum((g @ inner) * g, axis=1)


def leave_one_out(
    run: Augmented, smoothing: Smoothing, y: Float[Array, "time series"]
) -> tuple[Float[Array, " time"], Float[Array, "time series"], Float[Array, "time series"]]:
    """The exact law of each stamp's observations given all other stamps.

    Args:
        run: The filter run.
        smoothing: The smoother pass over it.
        y: The observations.

    Returns:
        log p(y_t | y_-t), NaN where a stamp alone identifies a diffuse element and 0 where nothing was
        observed; and mean and standard deviation of each element given everything but its stamp.
    """
    mask = jnp.ones(y.shape, bool) if run.slots.mask is None else run.slots.mask
    floor = jnp.finfo(y.dtype).eps ** 0.6

    def one(slot, u, d, given, row, present):
        unit = jax.lax.rsqrt(jnp.diag(mask_matrix(given, present)))
        identified = jnp.linalg.eigvalsh(mask_matrix(d * unit[:, None] * unit, present))[0] > floor
        lower = run.recursion.observation(slot).lower
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

    return jax.vmap(one)(run.slots, smoothing.u, smoothing.d, smoothing.d_given, y, mask)


def auxiliary_residuals(
    run: Augmented, smoothing: Smoothing
) -> tuple[Float[Array, "time series"], Float[Array, "time state"]]:
    """Smoothed disturbances divided by their standard deviations, for outliers and breaks.

    Returns:
        u / sd(u) of the (decorrelated) observations, NaN where missing; Q r / sd(Q r) of the transition into
        each stamp, NaN at the first, for states without noise, and where nothing is said.
    """
    variance = jnp.diagonal(smoothing.d, axis1=1, axis2=2)
    observation = _standardised(smoothing.u, variance, jnp.diagonal(smoothing.d_given, axis1=1, axis2=2))
    if run.slots.mask is not None:
        observation = jnp.where(run.slots.mask, observation, jnp.nan)
    largest = jnp.nanmax(smoothing.w_var, axis=0)
    return observation, _standardised(smoothing.w, smoothing.w_var, jnp.broadcast_to(largest, smoothing.w.shape))


def _standardised(value: Array, variance: Array, scale: Array) -> Array:
    """Value over standard deviation; NaN where the variance is nothing but rounding."""
    said = variance > jnp.finfo(value.dtype).eps ** 0.75 * scale
    return jnp.where(said, value / jnp.sqrt(jnp.where(said, variance, 1.0)), jnp.nan)
