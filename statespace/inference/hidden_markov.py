"""Recursions on discrete states in logarithms: forward, backward, the most likely path and paths drawn at random.

With predicted probabilities a, filtered ones f, transition probabilities P and emission densities p_t(j) = p(y_t | j):

    a_t(j) = sum_i f_{t-1}(i) P_t(i, j),      c_t = sum_j a_t(j) p_t(j) = p(y_t | y_<t),      f_t = a_t p_t / c_t
    b_t(i) = sum_j P_{t+1}(i, j) p_{t+1}(j) b_{t+1}(j),      P(x_t = i | y) is proportional to f_t(i) b_t(i)

Everything is carried as logarithms: a regime that one stretch of data makes improbable by e^-1000 comes back later.
All of it is associative too (matrix products over sums, over maxima, and compositions of maps), and that is how the
parallel forms go over time.

Reference: Rabiner (1989), Proceedings of the IEEE 77, section III; Viterbi (1967), IEEE Transactions on Information
Theory 13; Chib (1996), Journal of Econometrics 75, for the draws; Hassan, Sarkka and Garcia-Fernandez (2021),
"Temporal parallelization of inference in hidden Markov models", IEEE Transactions on Signal Processing 69, for the
parallel forms.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ..core.missing import masked_log_prob
from ..core.scan import Hoisted, forward, part, scan
from ..core.step import Step
from ..models.discrete import AbstractDiscreteDynamics


class Moves(NamedTuple):
    """Log transition probabilities into all stamps but the first; constant ones are held once."""

    hoisted: Hoisted
    count: int

    def slices(self) -> list[Any]:
        """What a scan over the stamps after the first carries."""
        return self.hoisted.varying

    def merge(self, slices: list[Any]) -> Float[Array, "state state"]:
        """The log transition probabilities at one of them."""
        return self.hoisted.merge(slices)

    def all(self) -> Float[Array, "moves state state"]:
        """All of them."""
        return self.hoisted.all(self.count)[: self.count]


class Chain(NamedTuple):
    """The logarithms on which the recursions run.

    Attributes:
        first: Probabilities at the first stamp before its observation, (state,).
        moves: Probabilities of the transitions into the stamps after it.
        densities: Of the observations by state, (time, state).
    """

    first: Float[Array, " state"]
    moves: Moves
    densities: Float[Array, "time state"]


class ForwardRun(NamedTuple):
    """What the forward recursion leaves: log probabilities (time, state), and log p(y_t | y_<t)."""

    predicted: Float[Array, "time state"]
    filtered: Float[Array, "time state"]
    terms: Float[Array, " time"]


def log_sum(x: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Log sum exp along an axis, -inf for a sum of nothing, with finite gradients there."""
    top = lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    total = jnp.sum(jnp.exp(x - top), axis=axis)
    empty = total == 0  # NaN is not empty and passes through
    return jnp.where(empty, -jnp.inf, jnp.log(jnp.where(empty, 1.0, total))) + jnp.squeeze(top, axis)


def safe_log(p: Float[Array, "..."]) -> Float[Array, "..."]:
    """Logarithms of probabilities; -inf at zero, with a finite gradient."""
    return jnp.where(p == 0, -jnp.inf, jnp.log(jnp.where(p == 0, 1.0, p)))


def log_densities(
    model: AbstractDiscreteDynamics, y: Array, mask: Array | None, steps: Step
) -> Float[Array, "time state"]:
    """Log p(y_t | x_t = j) of all stamps and states; 0 where nothing was observed."""
    states = jnp.arange(model.num_states)

    def row(values, present, step):
        step = _without_unused_nan(step, present)
        return jax.vmap(lambda x: masked_log_prob(model.emission(x, step), values, present))(states)

    return jax.vmap(row, in_axes=(0, None if mask is None else 0, 0))(y, mask, steps)


def _without_unused_nan(step: Step, present: Array | None) -> Step:
    """Where nothing is observed nothing depends on the observation before, whose NaN would still spoil gradients."""
    if step.previous is None or present is None:
        return step
    unused = ~jnp.any(present) & jnp.isnan(step.previous)
    return eqx.tree_at(lambda s: s.previous, step, jnp.where(unused, 0.0, step.previous))


def make_chain(
    model: AbstractDiscreteDynamics, y: Array, mask: Array | None, steps: Step, before: Array | None = None
) -> Chain:
    """Everything that the recursions need.

    Args:
        model: The model.
        y: Observations, (time, series).
        mask: Which are present; None if all are.
        steps: The stamps.
        before: Log probabilities at the stamp before the first, when going on from there.
    """

    def log_moves(step: Step) -> Array:
        return safe_log(model.transition_probabilities(step))

    first_step = steps[0]
    if before is None:
        first = safe_log(model.initial_probabilities(first_step))
    else:
        first = predict(before, log_moves(first_step))
    skip = 1 if len(steps) > 1 else 0  # the transition into the first stamp is never used
    moves = Moves(Hoisted(log_moves, part(steps, skip, None)), len(steps) - 1)
    return Chain(first, moves, log_densities(model, y, mask, steps))


def predict(filtered: Float[Array, " state"], moves: Float[Array, "state state"]) -> Float[Array, " state"]:
    """Log probabilities one stamp ahead."""
    return log_sum(filtered[:, None] + moves, axis=0)


class _Forward:
    """The forward recursion for the scan core; a slot is (density, slices of the moves)."""

    def __init__(self, chain: Chain, keep: bool):
        self.chain, self.keep = chain, keep

    def slots(self) -> Any:
        """Densities and moves; the first stamp's moves are never read."""
        pad = [v if v is None else jnp.concatenate([v[:1], v]) for v in self.chain.moves.slices()]
        if self.chain.moves.count == 0:
            pad = self.chain.moves.slices()
        return self.chain.densities, pad

    def predict(self, belief: Array, slot: Any) -> Array:
        """Log probabilities before the stamp's observation."""
        return predict(belief, self.chain.moves.merge(slot[1]))

    def update(self, belief: Array, slot: Any) -> tuple[Array, Any]:
        """Log probabilities after it."""
        filtered, term = condition(belief, slot[0])
        return filtered, (belief, filtered, term) if self.keep else term


def condition(predicted: Array, density: Array) -> tuple[Array, Array]:
    """Log probabilities given an observation, and its log density; the former unchanged where the latter is -inf."""
    joint = predicted + density
    term = log_sum(joint, axis=-1)
    impossible = jnp.isneginf(term)
    return jnp.where(impossible[..., None], predicted, joint - jnp.where(impossible, 0.0, term)[..., None]), term


def log_likelihood_terms(chain: Chain, *, parallel: bool = False) -> Float[Array, " time"]:
    """Log p(y_t | y_<t)."""
    if parallel:
        return forward_run(chain, parallel=True).terms
    run = _Forward(chain, keep=False)
    return forward(run, chain.first, run.slots(), started=False, checkpoint=True)[1]


def forward_run(chain: Chain, *, parallel: bool = False) -> ForwardRun:
    """Predicted and filtered log probabilities, and the terms of the log-likelihood."""
    if not parallel:
        run = _Forward(chain, keep=True)
        return ForwardRun(*forward(run, chain.first, run.slots(), started=False, checkpoint=True)[1])
    start, _ = condition(chain.first, chain.densities[0])
    size = start.shape[0]
    later = chain.moves.all() + chain.densities[1:, None, :]
    elements = jnp.concatenate([jnp.broadcast_to(start, (1, size, size)), later])
    product = lax.associative_scan(_product, elements)[:, 0]
    filtered = product - log_sum(product, axis=1)[:, None]
    ahead = jax.vmap(predict)(filtered[:-1], chain.moves.all())
    predicted = jnp.concatenate([chain.first[None], ahead])
    return ForwardRun(predicted, *jax.vmap(condition)(predicted, chain.densities))


def _product(a: Array, b: Array) -> Array:
    """The product of matrices of logarithms, up to a factor that normalising removes."""
    made = log_sum(a[..., :, :, None] + b[..., None, :, :], axis=-2)
    return _levelled(made, (-2, -1))


def _levelled(x: Array, axis: Any) -> Array:
    """Logarithms moved so that the largest is zero."""
    top = lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True))
    return x - jnp.where(jnp.isfinite(top), top, 0.0)


def backward_run(chain: Chain, *, parallel: bool = False) -> Float[Array, "time state"]:
    """Log p(y_{t+1}, ... | x_t) up to a constant at each stamp; 0 at the last."""
    last = jnp.zeros_like(chain.densities[-1:])
    if chain.moves.count == 0:
        return last
    if parallel:
        elements = chain.moves.all() + chain.densities[1:, None, :]
        product = lax.associative_scan(lambda late, early: _product(early, late), elements, reverse=True)
        return jnp.concatenate([_levelled(log_sum(product, axis=-1), -1), last])

    def body(later, slot):
        density, slices = slot
        now = _levelled(log_sum(chain.moves.merge(slices) + (density + later), axis=1), 0)
        return now, now

    found = scan(body, last[0], (chain.densities[1:], chain.moves.slices()), reverse=True)[1]
    return jnp.concatenate([found, last])


def most_likely_path(chain: Chain, *, parallel: bool = False) -> Int[Array, " time"]:
    """The path with the largest joint probability given all data; of equal ones that of the lowest numbers."""
    scores, back = (_best_in_parallel if parallel else _best)(chain)
    return trace_back(back, jnp.argmax(scores), parallel=parallel)


def _best(chain: Chain) -> tuple[Array, Array]:
    """The largest log probability of a path to each last state, and each state's best predecessor."""

    def body(score, slot):
        density, slices = slot
        through = score[:, None] + chain.moves.merge(slices)
        return _levelled(jnp.max(through, axis=0) + density, 0), jnp.argmax(through, axis=0)

    start = chain.first + chain.densities[0]
    if chain.moves.count == 0:
        return start, jnp.zeros((0, start.shape[0]), int)
    return scan(body, start, (chain.densities[1:], chain.moves.slices()))


def _best_in_parallel(chain: Chain) -> tuple[Array, Array]:
    start = chain.first + chain.densities[0]
    later = chain.moves.all() + chain.densities[1:, None, :]
    elements = jnp.concatenate([jnp.broadcast_to(start, (1, *later.shape[1:])), later])

    def best(a, b):
        return _levelled(jnp.max(a[..., :, :, None] + b[..., None, :, :], axis=-2), (-2, -1))

    scores = lax.associative_scan(best, elements)[:, 0]
    return scores[-1], jnp.argmax(scores[:-1, :, None] + chain.moves.all(), axis=1)


def sample_path(chain: Chain, filtered: Float[Array, "time state"], key: Any, *, parallel: bool = False) -> Array:
    """One path given all data: the last state from its filtered law, each earlier one given the one that follows."""
    noise = jax.random.gumbel(key, filtered.shape, filtered.dtype)  # the largest of log p + Gumbel has law p
    logits = filtered + noise
    last = jnp.argmax(logits[-1])
    if parallel:
        return trace_back(jnp.argmax(logits[:-1, :, None] + chain.moves.all(), axis=1), last, parallel=True)

    def body(after, slot):
        now, slices = slot
        state = jnp.argmax(now + chain.moves.merge(slices)[:, after])
        return state, state

    if chain.moves.count == 0:
        return last[None]
    return jnp.append(scan(body, last, (logits[:-1], chain.moves.slices()), reverse=True)[1], last)


def trace_back(back: Int[Array, "moves state"], last: Int[Array, ""], *, parallel: bool = False) -> Int[Array, " time"]:
    """The path that ends in a state, where `back[t, j]` is the state at t of one that is in j at t + 1."""
    if parallel and len(back):
        compose: Callable = lambda late, early: jnp.take_along_axis(early, late, axis=-1)  # noqa: E731
        return jnp.append(lax.associative_scan(compose, back, reverse=True)[:, last], last)

    def body(after, row):
        return row[after], row[after]

    return jnp.append(scan(body, last, back, reverse=True)[1], last)
