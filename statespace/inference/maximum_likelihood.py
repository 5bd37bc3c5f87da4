"""Maximum likelihood and posterior modes, with observed-information standard errors."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from ..core.parameters import constrain, parameters, unconstrain
from .kalman import Kalman
from .problem import Problem, inside_priors, start_values


class _Optimiser(eqx.Module):
    num_starts: int = eqx.field(static=True, default=4)
    max_iterations: int = eqx.field(static=True, default=500)
    tolerance: float = eqx.field(static=True, default=1e-5)
    filter: Kalman = eqx.field(static=True, default=Kalman())

    def __check_init__(self):
        """Raise ValueError on options that cannot be."""
        if self.num_starts < 1 or self.max_iterations < 1 or not self.tolerance > 0:
            raise ValueError(f"num_starts and max_iterations must be at least 1, and tolerance above 0: got {self}")


class MaximumLikelihood(_Optimiser):
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


class MAP(_Optimiser):
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
        at_zero: Scales whose maximum is at zero.
        covariance: Inverse observed information on the unconstrained scale, in the order of `order`; None where
            the information is not positive definite.
        standard_errors: By path, NaN where there is none.
        order: Free paths that are not at zero.
        converged: Whether the gradient is zero and the curvature that of a maximum.
        message: What happened, in words.
        details: Iterations, evaluations, gradient, the starts' optima.
    """

    values: dict[str, Any]
    objective: float
    at_zero: tuple[str, ...]
    covariance: Any
    standard_errors: dict[str, np.ndarray]
    order: tuple[str, ...]
    converged: bool
    message: str
    details: dict[str, Any]


@eqx.filter_jit
def _value_and_grad(vector: Any, template: Any, problem: Problem) -> Any:
    _, unravel = ravel_pytree(template)
    return jax.value_and_grad(lambda v: problem.objective(unravel(v)))(vector)


@eqx.filter_jit
def _hessian(vector: Any, template: Any, problem: Problem) -> Any:
    _, unravel = ravel_pytree(template)
    problem = replace(problem, form="covariance")  # a square root has first derivatives only
    gradient = jax.grad(lambda v: problem.objective(unravel(v)))
    return jax.lax.map(lambda e: jax.jvp(gradient, (vector,), (e,))[1], jnp.eye(vector.shape[0], dtype=vector.dtype))


@eqx.filter_jit
def _objective_at(values: Any, problem: Problem) -> Any:
    return -problem.log_likelihood(values) - problem.log_prior(values)


def maximise(
    problem: Problem,
    method: MaximumLikelihood | MAP,
    scale: float,
    report: Callable[[int, float], None] = lambda start, value: None,
    start: dict[str, Any] | None = None,
) -> Optimum:
    """Maximise the likelihood, or the posterior density if the problem has priors.

    Args:
        problem: Model and data.
        method: Options.
        scale: Standard deviation of the data, for default starts.
        report: Called with each start's number and best value.
        start: Natural values to start from, by path (a warm start).

    Returns:
        The optimum with standard errors and status.
    """
    if not problem.free:
        raise ValueError("the model has no parameter to learn: every one is fixed or zero; use filter or smooth")
    runs = []
    for number, template in enumerate(_starts(problem, method.num_starts, scale, start)):
        found = _climb(problem, template, method)
        runs.append(found)
        report(number, float(found[1]))
    finite = [run for run in runs if np.isfinite(run[1])]
    if not finite:
        return _failed(problem, runs)
    best = min(finite, key=lambda run: run[1])
    problem, best, zeros = _settle_zeros(problem, best, method)
    return _finish(problem, best, zeros, method, [float(run[1]) for run in runs])


def _starts(problem: Problem, count: int, scale: float, given: dict[str, Any] | None) -> list[dict[str, Any]]:
    first = {**start_values(problem.model, problem.free, scale), **(given or {})}
    known = parameters(problem.model)
    first = {p: _inside(jnp.asarray(first[p], jnp.result_type(float)), known[p], scale) for p in problem.free}
    starts = [inside_priors(problem, first)]
    for number in range(1, count):
        keys = jax.random.split(jax.random.key(number), len(problem.free))
        laws = {path: problem.priors.get(path, known[path].default_prior(scale)) for path in problem.free}
        draws = {path: laws[path].sample(k) for path, k in zip(problem.free, keys, strict=True)}
        starts.append({path: jnp.broadcast_to(v, known[path].shape) for path, v in draws.items()})
    return [unconstrain(s, problem.supports) for s in starts]


def _inside(value: Any, parameter: Any, scale: float) -> Any:
    """A starting value moved off zero, where the logarithm is not defined."""
    return jnp.where(value == 0, 1e-3 * scale, value) if parameter.declaration.unit == "data" else value


def _climb(problem: Problem, template: dict[str, Any], method: Any) -> tuple[Any, float, Any, Any]:
    """L-BFGS from one start: (point, value, gradient, scipy's result)."""
    vector, _ = ravel_pytree(template)

    def function(x: np.ndarray):
        value, gradient = jax.device_get(_value_and_grad(jnp.asarray(x, vector.dtype), template, problem))
        if not np.isfinite(value) or not np.all(np.isfinite(gradient)):
            return 1e15, np.zeros_like(x)
        return float(value), np.asarray(gradient, float)

    single = vector.dtype == jnp.float32
    options = {
        "maxiter": method.max_iterations,
        "maxcor": 20,
        "ftol": 1e-9 if single else 1e-15,
        "gtol": 1e-4 if single else 1e-8,
    }
    found = minimize(function, np.asarray(vector, float), jac=True, method="L-BFGS-B", options=options)
    value = float(found.fun) if found.fun < 1e15 else np.inf
    return (
        jax.tree.map(np.asarray, ravel_pytree(template)[1](jnp.asarray(found.x, vector.dtype))),
        value,
        found.jac,
        found,
    )


def _settle_zeros(problem: Problem, best: Any, method: Any) -> tuple[Problem, Any, tuple[str, ...]]:
    """Put scales to exactly zero where that is no worse, and maximise over the others again."""
    zeros: tuple[str, ...] = ()
    if problem.priors:
        return problem, best, zeros
    known = parameters(problem.model)
    while True:
        values = constrain(best[0], problem.supports)
        candidates = [p for p in problem.free if known[p].declaration.unit == "data" and known[p].shape == ()]
        candidates = sorted(candidates, key=lambda p: float(values[p]))
        for path in candidates:
            value = float(_objective_at({**values, path: jnp.zeros_like(values[path])}, problem))
            if np.isfinite(value) and value <= best[1] + 1e-9 * abs(best[1]):
                break
        else:
            return problem, best, zeros
        zeros = (*zeros, path)
        rest = tuple(p for p in problem.free if p != path)
        model = problem.at({path: jnp.zeros_like(values[path])})
        problem = replace(problem, model=model, free=rest)
        if not rest:
            return problem, ({}, value, np.zeros(0), best[3]), zeros
        best = _climb(problem, {p: best[0][p] for p in rest}, method)


def _finish(problem: Problem, best: Any, zeros: tuple[str, ...], method: Any, optima: list[float]) -> Optimum:
    template, value, gradient, result = best
    values, errors, covariance = (
        {path: np.zeros(()) for path in zeros},
        {p: np.asarray(np.nan) for p in zeros},
        None,
    )
    definite = True
    if problem.free:
        template, value, gradient, hessian = _polish(problem, template, value)
        covariance = _inverse(hessian)
        definite = covariance is not None
        natural, spread = _delta(problem, template, covariance)
        values, errors = {**values, **natural}, {**errors, **spread}
    size = float(np.max(np.abs(gradient), initial=0.0))
    flat = size <= method.tolerance * max(int(problem.mask.sum()), 1) * (100 if problem.y.dtype == jnp.float32 else 1)
    details = {
        "gradient": size,
        "iterations": int(result.nit),
        "evaluations": int(result.nfev),
        "optimiser": str(result.message),
        "starts": optima,
    }
    message = _message(flat, definite, zeros, size, method, result)
    return Optimum(values, value, zeros, covariance, errors, problem.free, flat and definite, message, details)


def _polish(problem: Problem, template: dict[str, Any], value: float):
    """Newton's steps while they lower the objective: point, value, gradient, curvature."""
    vector, unravel = ravel_pytree(template)
    gradient = jax.device_get(_value_and_grad(vector, template, problem)[1])
    hessian = np.asarray(jax.device_get(_hessian(vector, template, problem)), float)
    for _ in range(3):
        inverse = _inverse(hessian)
        if inverse is None:
            break
        trial = vector - jnp.asarray(inverse @ np.asarray(gradient, float), vector.dtype)
        after, slope = jax.device_get(_value_and_grad(trial, template, problem))
        if not after <= value + 1e-12 * abs(value) or np.max(np.abs(slope)) >= np.max(np.abs(gradient)):
            break
        vector, value, gradient = trial, float(after), slope
        hessian = np.asarray(jax.device_get(_hessian(vector, template, problem)), float)
    return unravel(vector), float(value), gradient, hessian


def _inverse(hessian: np.ndarray) -> np.ndarray | None:
    hessian = 0.5 * (hessian + hessian.T)
    if not np.all(np.isfinite(hessian)) or np.linalg.eigvalsh(hessian)[0] <= 1e-10 * np.max(np.abs(hessian)):
        return None
    return np.linalg.inv(hessian)


def _delta(problem: Problem, template: dict[str, Any], covariance: np.ndarray | None):
    """Natural values and their standard errors by the delta method."""
    vector, unravel = ravel_pytree(template)
    supports = problem.supports
    natural = {p: np.asarray(v) for p, v in constrain(template, supports).items()}
    if covariance is None:
        return natural, {p: np.full(np.shape(v), np.nan) for p, v in natural.items()}
    jacobian = jax.jacobian(lambda v: constrain(unravel(v), supports))(vector)
    errors = {}
    for path, j in jacobian.items():
        rows = np.asarray(j, float).reshape(-1, vector.shape[0])
        variance = np.einsum("ij,jk,ik->i", rows, covariance, rows)
        errors[path] = np.sqrt(np.maximum(variance, 0.0)).reshape(np.shape(natural[path]))
    return natural, errors


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
        parts.append(f"the maximum has {', '.join(zeros)} at zero (the boundary); standard errors are for the rest")
    return "; ".join(parts)


def _failed(problem: Problem, runs: list[Any]) -> Optimum:
    nan = {p: np.full(parameters(problem.model)[p].shape, np.nan) for p in problem.free}
    message = (
        "not converged: the log-likelihood is not finite at any start; check the model for states that the data "
        "cannot identify, or give starting values"
    )
    return Optimum(nan, np.nan, (), None, nan, problem.free, False, message, {"starts": [run[1] for run in runs]})
