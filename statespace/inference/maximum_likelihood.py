"""Maximum likelihood and posterior modes, with observed-information standard errors."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..core.parameters import parameters
from .method import AbstractMethod
from .problem import Problem
from .search import (
    Point,
    Run,
    at_boundary,
    at_edge,
    check_options,
    climb,
    inverse_information,
    is_scale,
    polish,
    spread,
    starting_points,
    value_at,
)


class AbstractOptimiser(eqx.Module):
    """Options of a climb from several starts."""

    num_starts: int = eqx.field(static=True, default=4)
    max_iterations: int = eqx.field(static=True, default=500)
    tolerance: float = eqx.field(static=True, default=1e-5)
    filter: AbstractMethod | None = None

    def __check_init__(self):
        """Raise ValueError on options that cannot be."""
        check_options(self)


class MaximumLikelihood(AbstractOptimiser):
    """Maximise the likelihood by L-BFGS from several starts on the unconstrained scale.

    Args:
        num_starts: Number of starting points: the given values (or defaults), then draws from the default priors.
        max_iterations: Most iterations from each start.
        tolerance: Largest gradient component, per observation, at which a point counts as a maximum.
        filter: How the likelihood is computed.

    Raises:
        ValueError: If a count is below 1 or the tolerance is not positive.

    Example:
        >>> MaximumLikelihood(num_starts=2).num_starts
        2
    """


class MAP(AbstractOptimiser):
    """Maximise the posterior density of the natural parameters; options as in `MaximumLikelihood`.

    Example:
        >>> MAP().num_starts
        4
    """


class Optimum(eqx.Module):
    """What an optimisation found.

    Attributes:
        values: Natural parameter values; exactly zero where the maximum is on that boundary.
        objective: Minus log-likelihood (minus log prior) there.
        at_zero: Scales, or elements of scales such as `noise.scale[1]`, whose maximum is at zero.
        covariance: Inverse observed information on the unconstrained scale of what is not at zero, in the order
            of the sorted paths; None where the information is not positive definite.
        standard_errors: By path, by the delta method; NaN where there is none.
        intervals: By path, the 95 % interval (2, ...): symmetric on the unconstrained scale where a parameter's
            elements are transformed one by one, else on the natural scale.
        converged: Whether the gradient is zero and the curvature that of a maximum.
        message: What happened, in words.
        details: Iterations, evaluations, gradient, the starts' optima.
    """

    values: dict[str, Any]
    objective: float
    at_zero: tuple[str, ...]
    covariance: Any
    standard_errors: dict[str, np.ndarray]
    intervals: dict[str, np.ndarray]
    converged: bool
    message: str
    details: dict[str, Any]


def maximise(
    problem: Problem,
    method: MaximumLikelihood | MAP,
    scale: Any,
    report: Callable[[int, float], None] = lambda start, value: None,
    start: dict[str, Any] | None = None,
    key: Any = None,
) -> Optimum:
    """Maximise the likelihood, or the posterior density if the problem has priors.

    Args:
        problem: Model and data.
        method: Options.
        scale: Standard deviation of the data, or one for each series, for default starts.
        report: Called with each start's number and best value.
        start: Natural values to start from, by path (a warm start).
        key: PRNG key of the further starts; always the same when left out.

    Returns:
        The optimum with standard errors and status.
    """
    if not problem.free:
        raise ValueError("the model has no parameter to learn: every one is fixed or zero; use filter or smooth")
    key = jax.random.key(0) if key is None else key
    runs: list[Run] = []
    for number, point in enumerate(starting_points(problem, method.num_starts, scale, start, key)):
        runs.append(climb(problem, point, method))
        report(number, runs[-1].value)
    optima = [run.value for run in runs]
    finite = [run for run in runs if np.isfinite(run.value)]
    if not finite:
        return _failed(problem, optima)
    least = min(run.value for run in finite)
    best = next(run for run in finite if run.value <= least + 1e-6)  # of equal ones the first: states keep their order
    return _finish(problem, best if problem.priors else _settle_zeros(problem, best, method), method, optima)


def _settle_zeros(problem: Problem, best: Run, method: Any) -> Run:
    """Put elements of scales to exactly zero where that is no worse, and maximise over the others again."""
    known = parameters(problem.model)
    scales = [p for p in problem.free if is_scale(known[p])]
    while True:
        values = {p: np.asarray(v) for p, v in best.point.natural(problem).items()}
        places = [(p, i) for p in scales for i in np.ndindex(known[p].shape) if (p, i) not in best.point.zero]
        for path, i in sorted(places, key=lambda place: float(values[place[0]][place[1]])):
            trial = {**values, path: values[path].copy()}
            trial[path][i] = 0.0
            value = float(value_at(trial, problem))
            if np.isfinite(value) and value <= best.value + 1e-9 * abs(best.value):
                break
        else:
            return best
        point = Point(best.point.values, (*best.point.zero, (path, i)))
        if not len(point.free):
            return Run(point, value, best.result)
        best = climb(problem, point, method)


def _finish(problem: Problem, best: Run, method: Any, optima: list[float]) -> Optimum:
    (point, edges), value = at_edge(problem, best.point), best.value
    gradient, covariance = np.zeros(0), None
    if len(point.free):
        point, value, gradient, hessian = polish(problem, point, value)
        covariance = inverse_information(hessian)
    definite = covariance is not None or not len(point.free)
    values = {p: np.asarray(v) for p, v in point.natural(problem).items()}
    errors, intervals = spread(problem, point, values, covariance)
    zeros = (*(label(path, place) for path, place in point.zero), *edges)
    size = float(np.max(np.abs(gradient), initial=0.0))
    flat = size <= method.tolerance * max(problem.num_observations, 1) * (100 if problem.y.dtype == jnp.float32 else 1)
    details = {
        "gradient": size,
        "iterations": int(best.result.nit),
        "evaluations": int(best.result.nfev),
        "optimiser": str(best.result.message),
        "starts": optima,
    }
    message = _message(flat, definite, zeros, size, method, best.result)
    return Optimum(values, value, zeros, covariance, errors, intervals, flat and definite, message, details)


def label(path: str, place: tuple[int, ...]) -> str:
    """The name of one element of a parameter."""
    return f"{path}[{', '.join(map(str, place))}]" if place else path


def _message(flat: bool, definite: bool, zeros: tuple[str, ...], size: float, method: Any, result: Any) -> str:
    parts = []
    if flat and definite:
        parts.append("converged: the gradient is zero and the curvature is that of a maximum")
    if not flat:
        parts.append(
            f"not converged: the largest gradient component is {size:.2g} after {result.nit} iterations "
            f"({result.message}); raise max_iterations (now {method.max_iterations}), give better starting values, "
            "or simplify the model"
        )
    if not definite:
        parts.append(
            "the likelihood is flat in some direction, so there are no standard errors: the data do not tell the "
            "parameters apart; fix one of them or give priors and use MAP or NUTS"
        )
    if zeros:
        parts.append(at_boundary(zeros))
    return "; ".join(parts)


def _failed(problem: Problem, optima: list[float]) -> Optimum:
    nan = {p: np.full(parameters(problem.model)[p].shape, np.nan) for p in problem.free}
    pairs = {p: np.stack([v, v]) for p, v in nan.items()}
    message = (
        "not converged: the log-likelihood is not finite at any start; check the model for states that the data "
        "cannot identify, or give starting values"
    )
    return Optimum(nan, np.nan, (), None, nan, pairs, False, message, {"starts": optima})
