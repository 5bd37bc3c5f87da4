"""Expectation and maximisation in turn, for models with discrete states (the Baum-Welch algorithm).

The E-step takes the probabilities of states and transitions given all data, g_t(k) and x_t(i, j); the M-step maximises

    Q = sum_k g_1(k) log p(x_1 = k) + sum_t sum_ij x_t(i, j) log P_t(i, j) + sum_t sum_k g_t(k) log p(y_t | x_t = k)

by formulas where there are any and numerically elsewhere. The likelihood never falls.

Reference: Baum, Petrie, Soules and Weiss (1970), Annals of Mathematical Statistics 41; Dempster, Laird and Rubin
(1977), JRSS B 39; Neal and Hinton (1998) for M-steps that rise without reaching the top.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array
from numpyro.distributions import constraints

from ..core.parameters import parameters, unconstrain
from ..models.discrete import HiddenMarkov
from .discrete import ForwardBackward
from .hidden_markov import make_chain
from .maximum_likelihood import Optimum
from .method import AbstractMethod
from .problem import Problem
from .search import Point, at_boundary, at_edge, check_options, curvature, spread, starting_points
from .weighted_likelihood import has_formula, weighted_estimates

_MOVES = "chain.transition"
_INNER = 20  # iterations of a numerical M-step, which need not reach the top


class EM(eqx.Module):
    """Maximise the likelihood of a model with discrete states by expectation and maximisation in turn.

    Probabilities that start at zero stay there. The result is that of `MaximumLikelihood`, reached more steadily and,
    near the maximum, more slowly.

    Args:
        max_iterations: Most iterations from each start.
        tolerance: Rise of the log-likelihood in an iteration, relative to its size, at which to stop.
        num_starts: Number of starting points: the given values (or defaults), then draws from the default priors.
        filter: How the E-step runs.

    Raises:
        ValueError: If a count is below 1 or the tolerance is not positive.

    Example:
        >>> EM(max_iterations=50).max_iterations
        50

    Reference: Baum, Petrie, Soules and Weiss (1970), Annals of Mathematical Statistics 41.
    """

    max_iterations: int = eqx.field(static=True, default=1000)
    tolerance: float = eqx.field(static=True, default=1e-10)
    num_starts: int = eqx.field(static=True, default=4)
    filter: AbstractMethod | None = None

    def __check_init__(self):
        """Raise ValueError on options that cannot be."""
        check_options(self)


class Expected(NamedTuple):
    """What the E-step says of one series: probabilities of states and of transitions given all data."""

    states: Array
    transitions: Array


class Climb(NamedTuple):
    """Where one start ended, and the log-likelihood at each iteration."""

    values: dict[str, Array]
    path: list[float]
    converged: bool


def maximise_em(
    problem: Problem,
    method: EM,
    scale: Any,
    report: Callable[[int, float], None] = lambda start, value: None,
    start: dict[str, Any] | None = None,
    key: Any = None,
) -> Optimum:
    """Run EM from each start and describe the best end; arguments as in `maximum_likelihood.maximise`."""
    if not problem.free:
        raise ValueError("the model has no parameter to learn: every one is fixed or zero; use filter or smooth")
    if not isinstance(problem.method, ForwardBackward):
        raise TypeError(
            f"EM() serves models with discrete states, and {type(problem.model).__name__} has none: use "
            "MaximumLikelihood()"
        )
    key = jax.random.key(0) if key is None else key
    climbs: list[Climb] = []
    for number, point in enumerate(starting_points(problem, method.num_starts, scale, start, key)):
        climbs.append(_climb(problem, problem.natural(point.values), method))
        report(number, -climbs[-1].path[-1])
    ends = np.array([climb.path[-1] for climb in climbs])
    if not np.isfinite(ends).any():
        raise ValueError("the log-likelihood is not finite at the end of any start: give starting values, or use MAP()")
    near = np.nanmax(np.where(np.isfinite(ends), ends, -np.inf)) - 1e-6
    best = climbs[int(np.argmax(np.where(np.isfinite(ends), ends, -np.inf) >= near))]  # the first of equal ones
    return _described(problem, best, [-float(end) for end in ends], method)


def _climb(problem: Problem, values: dict[str, Array], method: EM) -> Climb:
    path: list[float] = []
    for _ in range(method.max_iterations + 1):
        expected, value = _e_step(problem, values)
        path.append(float(value))
        if not np.isfinite(path[-1]):
            return Climb(values, path, False)
        if len(path) > 1 and path[-1] - path[-2] <= method.tolerance * max(abs(path[-1]), 1.0):
            return Climb(values, path, True)
        if len(path) <= method.max_iterations:
            values = _m_step(problem, values, expected)
    return Climb(values, path, False)


def _members(problem: Problem, function: Callable[[Problem, Any], Any], extra: Any = None) -> Any:
    """A function of every series of a panel, stacked; of the one series with a leading axis."""
    if problem.panel is None:
        return jax.tree.map(lambda leaf: leaf[None], function(problem, jax.tree.map(lambda leaf: leaf[0], extra)))
    return jax.lax.map(lambda pair: function(*pair), (problem.panel, extra))


@eqx.filter_jit
def _e_step(problem: Problem, values: dict[str, Array]) -> tuple[Expected, Array]:
    """Expected states and transitions of every series, and the log-likelihood."""

    def one(member: Problem, _: Any) -> Any:
        model = member.at(values)
        found = problem.method.smooth(model, member.observed, member.plan)
        terms = problem.method.log_likelihood(model, member.observed, member.plan)
        return Expected(found.probabilities, found.transitions), jnp.sum(terms)

    expected, value = _members(problem, one)
    return expected, jnp.sum(value)


def _m_step(problem: Problem, values: dict[str, Array], expected: Expected) -> dict[str, Array]:
    formulas = _paths_with_formulas(problem)
    values = {**values, **_by_formula(problem, values, expected, formulas)} if formulas else values
    rest = tuple(path for path in problem.free if path not in formulas)
    return {**values, **_numerically(problem, values, expected, rest)} if rest else values


def _paths_with_formulas(problem: Problem) -> tuple[str, ...]:
    """The free parameters whose M-step has a formula."""
    model, free = problem.model, problem.free
    if not isinstance(model, HiddenMarkov):
        return ()
    chain, law, found = model.chain, model.law, []
    if not chain.stationary:
        found += ["chain.initial"] if chain.columns else ["chain.initial", _MOVES]
    shapes = {path.removeprefix("emission."): p.shape for path, p in parameters(model).items() if p.owner is law}
    if has_formula(law.law, shapes, law.size, law.series):
        found += [f"emission.{name}" for name in shapes]
    return tuple(path for path in found if path in free)


@eqx.filter_jit
def _by_formula(
    problem: Problem, values: dict[str, Array], expected: Expected, paths: tuple[str, ...]
) -> dict[str, Array]:
    found: dict[str, Array] = {}
    if "chain.initial" in paths:
        found["chain.initial"] = jnp.mean(expected.states[:, 0], axis=0)
    if _MOVES in paths:
        moved = jnp.sum(expected.transitions, axis=(0, 1))
        total = jnp.sum(moved, axis=1, keepdims=True)
        found[_MOVES] = jnp.where(total > 0, moved / jnp.where(total > 0, total, 1.0), values[_MOVES])
    names = frozenset(path.removeprefix("emission.") for path in paths if path.startswith("emission."))
    if names:
        data = (problem if problem.panel is None else problem.panel).observed
        y, mask = (x.reshape(-1, x.shape[-1]) for x in (data.y, data.mask))
        weights = expected.states.reshape(-1, expected.states.shape[-1])[:, :, None] * mask[:, None, :]
        law = problem.at(values).law
        made = weighted_estimates(law.law, y, weights, law.values, names)
        found |= {f"emission.{name}": value for name, value in made.items()}
    return found


def _expected_log_density(problem: Problem, values: dict[str, Array], expected: Expected) -> Array:
    """Q."""

    def one(member: Problem, weights: Expected) -> Array:
        mask = None if member.observed.complete else member.observed.mask
        chain = make_chain(member.at(values), member.observed.y, mask, member.observed.steps)
        states, moves = weights
        pairs = ((states[0], chain.first), (moves, chain.moves.all()), (states, chain.densities))
        return sum((jnp.sum(jnp.where(w > 0, w * jnp.where(w > 0, p, 0.0), 0.0)) for w, p in pairs), jnp.zeros(()))

    return jnp.sum(_members(problem, one, expected))


@eqx.filter_jit
def _slope(
    vector: Array, unravel: Callable, problem: Problem, values: dict[str, Array], expected: Expected
) -> tuple[Array, Array]:
    def lowered(x: Array) -> Array:
        return -_expected_log_density(problem, {**values, **problem.natural(unravel(x))}, expected)

    return jax.value_and_grad(lowered)(vector)


def _numerically(
    problem: Problem, values: dict[str, Array], expected: Expected, rest: tuple[str, ...]
) -> dict[str, Array]:
    """A few steps of L-BFGS up Q from where the parameters are; the values unchanged where it does not rise."""
    from scipy.optimize import minimize  # slow to import

    vector, unravel = ravel_pytree(unconstrain({path: values[path] for path in rest}, problem.supports))

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = jax.device_get(_slope(jnp.asarray(x, vector.dtype), unravel, problem, values, expected))
        finite = np.isfinite(value) and np.all(np.isfinite(slope))
        return (float(value), np.asarray(slope, float)) if finite else (1e15, np.zeros_like(x))

    before = function(np.asarray(vector, float))[0]
    found = minimize(function, np.asarray(vector, float), jac=True, method="L-BFGS-B", options={"maxiter": _INNER})
    return problem.natural(unravel(jnp.asarray(found.x, vector.dtype))) if found.fun <= before else {}


def _described(problem: Problem, best: Climb, optima: list[float], method: EM) -> Optimum:
    values = {path: np.asarray(v) for path, v in best.values.items()}
    inside = {path: _inside(problem, path, v) for path, v in best.values.items()}
    point, edges = at_edge(problem, Point(unconstrain(inside, problem.supports)))
    gradient, covariance = curvature(problem, point)
    errors, intervals = spread(problem, point, values, covariance)
    details = {
        "gradient": float(np.max(np.abs(gradient), initial=0.0)),
        "iterations": len(best.path) - 1,
        "log_likelihoods": best.path,
        "starts": optima,
    }
    done, text = best.converged and covariance is not None, _message(best, edges, covariance, method)
    return Optimum(values, -best.path[-1], edges, covariance, errors, intervals, done, text, details)


def _inside(problem: Problem, path: str, value: Array) -> Array:
    """Probabilities that are exactly zero moved off the edge, where the unconstrained scale ends."""
    if problem.supports[path] is not constraints.simplex:
        return value
    moved = jnp.maximum(value, 1e-12)
    return moved / jnp.sum(moved, axis=-1, keepdims=True)


def _message(best: Climb, edges: tuple[str, ...], covariance: Any, method: EM) -> str:
    count, rise = len(best.path) - 1, best.path[-1] - best.path[-2] if len(best.path) > 1 else np.nan
    if best.converged:
        parts = [f"converged: EM stopped rising after {count} iterations"]
    else:
        parts = [
            f"not converged: EM still rose by {rise:.2g} in the last of {count} iterations; raise max_iterations (now "
            f"{method.max_iterations}), or go on with fit(..., MaximumLikelihood(), start=fit)"
        ]
    if covariance is None:
        parts.append("the curvature is not that of a maximum, so there are no standard errors")
    if edges:
        parts.append(at_boundary(edges))
    return "; ".join(parts)
