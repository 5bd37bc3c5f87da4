"""The search for a maximum on the unconstrained scale: points, climbs, curvature and what follows from it."""

from statistics import NormalDist
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpyro.distributions import constraints
from scipy.special import expit, logit

from ..core.parameters import parameters, unconstrain
from .problem import Problem
from .starts import first_values, scale_of

_NOTHING = 1e-5  # a probability below which it may be zero at the maximum
_FLAT = 1e-4  # a curvature on the unconstrained scale below which the data do not speak
NORMAL_95 = NormalDist().inv_cdf(0.975)


class Point(eqx.Module):
    """A point of the search: all unconstrained values, and which elements are held at zero.

    Attributes:
        values: Unconstrained values by path.
        zero: Path and place of each element that is held at zero; elements of scales only.
        edge: Positions of the flat vector that are no longer searched: they run to infinity, where a probability is 0.
    """

    values: dict[str, Any]
    zero: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True, default=())
    edge: tuple[int, ...] = eqx.field(static=True, default=())

    def held(self, path: str) -> np.ndarray:
        """Which elements of a parameter are held at zero."""
        mask = np.zeros(np.shape(self.values[path]), bool)
        for name, place in self.zero:
            if name == path:
                mask[place] = True
        return mask

    @property
    def free(self) -> np.ndarray:
        """Positions of the flat vector that are searched."""
        open_ = ~np.concatenate([self.held(path).ravel() for path in sorted(self.values)])
        open_[list(self.edge)] = False
        return np.flatnonzero(open_)

    @property
    def vector(self) -> Any:
        """The values that are searched."""
        return ravel_pytree(self.values)[0][self.free]

    def moved(self, vector: Any) -> "Point":
        """The same point with other searched values."""
        flat, unravel = ravel_pytree(self.values)
        return Point(unravel(flat.at[self.free].set(vector)), self.zero, self.edge)

    def natural(self, problem: Problem) -> dict[str, Any]:
        """Natural values, exactly zero where held."""
        found = problem.natural(self.values)
        zero = {path for path, _ in self.zero}
        return {p: jnp.where(self.held(p), 0.0, v) if p in zero else v for p, v in found.items()}


class Run(NamedTuple):
    """Where a climb ended."""

    point: Point
    value: float
    result: Any


def _objective(vector: Any, point: Point, problem: Problem) -> Any:
    values = point.moved(vector).natural(problem)
    return -problem.log_likelihood(values) - problem.log_prior(values)


@eqx.filter_jit
def _value_and_grad(vector: Any, point: Point, problem: Problem) -> Any:
    return jax.value_and_grad(_objective)(vector, point, problem)


@eqx.filter_jit
def _hessian(vector: Any, point: Point, problem: Problem) -> Any:
    problem = problem.with_method(problem.method.twice_differentiable())

    def column(unit: Any) -> Any:
        return jax.jvp(lambda v: jax.grad(_objective)(v, point, problem), (vector,), (unit,))[1]

    return jax.lax.map(column, jnp.eye(vector.shape[0], dtype=vector.dtype))


@eqx.filter_jit
def value_at(values: Any, problem: Problem) -> Any:
    """The objective at natural values."""
    return -problem.log_likelihood(values) - problem.log_prior(values)


def starting_points(problem: Problem, count: int, scale: Any, given: dict[str, Any] | None, key: Any) -> list[Point]:
    """The given values (or defaults), then draws from the priors (or default priors)."""
    known = parameters(problem.model)
    sizes = {p: scale_of(known[p], problem.model, scale) for p in problem.free}
    starts = [first_values(problem, scale, given)]
    for number in range(1, count):
        keys = jax.random.split(jax.random.fold_in(key, number), len(problem.free))
        laws = {path: problem.priors.get(path, known[path].default_prior(sizes[path])) for path in problem.free}
        draws = {path: laws[path].sample(k) for path, k in zip(problem.free, keys, strict=True)}
        starts.append({path: jnp.broadcast_to(v, known[path].shape) for path, v in draws.items()})
    return [Point(unconstrain(s, problem.supports)) for s in starts]


def is_scale(parameter: Any) -> bool:
    """Whether it is transformed element by element, and may be zero."""
    return parameter.declaration.unit == "data"


def climb(problem: Problem, point: Point, method: Any) -> Run:
    """L-BFGS from one point."""
    from scipy.optimize import minimize  # slow to import

    vector = point.vector

    def function(x: np.ndarray):
        value, gradient = jax.device_get(_value_and_grad(jnp.asarray(x, vector.dtype), point, problem))
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
    return Run(point.moved(jnp.asarray(found.x, vector.dtype)), value, found)


def polish(problem: Problem, point: Point, value: float):
    """Newton's steps while they lower the objective: point, value, gradient, curvature."""
    vector = point.vector
    gradient = jax.device_get(_value_and_grad(vector, point, problem)[1])
    hessian = np.asarray(jax.device_get(_hessian(vector, point, problem)), float)
    for _ in range(3):
        inverse = inverse_information(hessian)
        if inverse is None:
            break
        trial = vector - jnp.asarray(inverse @ np.asarray(gradient, float), vector.dtype)
        after, slope = jax.device_get(_value_and_grad(trial, point, problem))
        if not after <= value + 1e-12 * abs(value) or np.max(np.abs(slope)) >= np.max(np.abs(gradient)):
            break
        vector, value, gradient = trial, float(after), slope
        hessian = np.asarray(jax.device_get(_hessian(vector, point, problem)), float)
    return point.moved(vector), float(value), gradient, hessian


def curvature(problem: Problem, point: Point) -> tuple[np.ndarray, np.ndarray | None]:
    """Gradient and inverse observed information at a point, None where the curvature is not that of a maximum."""
    if not len(point.free):
        return np.zeros(0), None
    gradient = jax.device_get(_value_and_grad(point.vector, point, problem)[1])
    return np.asarray(gradient), inverse_information(np.asarray(jax.device_get(_hessian(point.vector, point, problem))))


def at_edge(problem: Problem, point: Point) -> tuple[Point, tuple[str, ...]]:
    """The point with what runs to infinity no longer searched, and the names of the probabilities that are zero there.

    The maximum often has probabilities at zero, that of a first state above all: there the unconstrained scale has no
    curvature, and the information of everything else is that of the interior.
    """
    natural, names, edge, before = point.natural(problem), [], [], 0
    hessian = None
    for path in sorted(point.values):
        count = int(np.size(point.values[path]))
        small = np.asarray(natural[path]) < _NOTHING
        if problem.supports[path] is constraints.simplex and small.any():
            hessian = np.diag(np.asarray(_hessian(point.vector, point, problem))) if hessian is None else hessian
            curvature = dict(zip(point.free.tolist(), hessian.tolist(), strict=True))
            edge += [i for i in range(before, before + count) if abs(curvature.get(i, 1.0)) < _FLAT]
            names += [f"{path}[{', '.join(map(str, place))}]" for place in np.argwhere(small).tolist()]
        before += count
    return Point(point.values, point.zero, tuple(edge)), tuple(names)


def inverse_information(hessian: np.ndarray) -> np.ndarray | None:
    """The inverse, or None where the matrix is not positive definite."""
    hessian = 0.5 * (hessian + hessian.T)
    if not np.all(np.isfinite(hessian)) or np.linalg.eigvalsh(hessian)[0] <= 1e-10 * np.max(np.abs(hessian)):
        return None
    return np.linalg.inv(hessian)


def spread(problem: Problem, point: Point, values: dict[str, Any], covariance: np.ndarray | None) -> tuple[dict, dict]:
    """Standard errors by the delta method, and 95 % intervals, on the natural scale."""
    errors = {p: np.full(np.shape(v), np.nan) for p, v in values.items()}
    intervals = {p: np.full((2, *np.shape(v)), np.nan) for p, v in values.items()}
    if covariance is None:
        return errors, intervals
    vector = point.vector
    jacobian = jax.jacobian(lambda v: point.moved(v).natural(problem))(vector)
    half = NORMAL_95 * np.sqrt(np.diag(covariance))
    ends = [point.moved(vector + jnp.asarray(sign * half, vector.dtype)).natural(problem) for sign in (-1, 1)]
    for path, j in jacobian.items():
        rows = np.asarray(j, float).reshape(-1, vector.shape[0])
        variance = np.einsum("ij,jk,ik->i", rows, covariance, rows)
        held = point.held(path) if any(p == path for p, _ in point.zero) else False
        used = rows != 0
        held = held | ~used.any(axis=1).reshape(np.shape(values[path])) if point.edge else held
        errors[path] = np.where(held, np.nan, np.sqrt(np.maximum(variance, 0.0)).reshape(np.shape(values[path])))
        one_by_one = np.all(used.sum(axis=0) <= 1) and np.all(used.sum(axis=1) <= 1)
        if problem.supports[path] is constraints.corr_matrix:
            low, high = _of_correlations(values[path], errors[path])
        elif problem.supports[path] is constraints.simplex:
            low, high = _of_probabilities(values[path], errors[path])
        elif one_by_one:
            low, high = [np.asarray(e[path], float) for e in ends]
        else:
            low, high = values[path] - NORMAL_95 * errors[path], values[path] + NORMAL_95 * errors[path]
        intervals[path] = np.where(held, np.nan, np.stack([low, high]))
    return errors, intervals


def _of_correlations(values: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals symmetric on Fisher's scale z = arctanh r, where dz = dr / (1 - r^2)."""
    between = ~np.eye(len(values), dtype=bool)
    r = np.where(between, values, 0.0)
    half = NORMAL_95 * errors / (1 - r**2)
    low, high = (np.where(between, np.tanh(np.arctanh(r) + sign * half), np.nan) for sign in (-1, 1))
    return low, high


def _of_probabilities(values: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals symmetric on the scale of log odds z = log(p / (1 - p)), where dz = dp / (p (1 - p))."""
    inside = (values > 0) & (values < 1)
    p = np.where(inside, values, 0.5)
    centre, half = logit(p), NORMAL_95 * errors / (p * (1 - p))
    low, high = (np.where(inside, expit(centre + sign * half), np.nan) for sign in (-1, 1))
    return low, high


def check_options(method: Any) -> None:
    """Raise a ValueError on options of a search that cannot be."""
    if method.num_starts < 1 or method.max_iterations < 1 or not method.tolerance > 0:
        raise ValueError(f"num_starts and max_iterations must be at least 1, and tolerance above 0: got {method}")


def at_boundary(names: tuple[str, ...]) -> str:
    """What is said of parameters whose maximum is at zero."""
    return f"the maximum has {', '.join(names)} at zero (the boundary); standard errors are for the rest"
