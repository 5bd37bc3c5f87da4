"""Fits by optimisation."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from ..inference import analysis
from ..inference.em import EM, maximise_em
from ..inference.maximum_likelihood import MAP, Optimum, maximise
from ..inference.problem import Problem
from ..results import Fitted, Status
from .accounts import common, identified, reported
from .door import Prepared, log_jacobian
from .likelihood import compiled_log_likelihood


def optimised(problem: Problem, method: Any, scale: Any, progress: bool, warm: Any, key: Any) -> Optimum:
    """The maximum, found with a progress bar."""
    with tqdm(total=method.num_starts, desc="maximising", disable=not progress, leave=False) as bar:

        def report(number: int, value: float) -> None:
            bar.update(1)
            bar.set_postfix_str(f"best of start {number + 1}: {-value:.4f}")

        if isinstance(method, EM):
            return maximise_em(problem, method, scale, report, warm, key)
        return maximise(problem, method, scale, report, warm, key)


def maximised(prepared: Prepared, problem: Problem, found: Optimum, method: Any) -> Fitted:
    """The fit of one series at the maximum."""
    values = {path: jnp.asarray(v) for path, v in found.values.items()}
    model = problem.at(values)
    mle = not isinstance(method, MAP)
    coefficients = _coefficients(problem, values, found)
    return Fitted(
        **common(prepared, problem, model),
        method_name="maximum_likelihood" if mle else "map",
        draws=None,
        estimates={path: np.asarray(found.values[path]) for path in problem.free},
        standard_errors={path: np.asarray(found.standard_errors[path]) for path in problem.free},
        intervals=found.intervals,
        unconstrained_covariance=found.covariance,
        sample_stats={},
        log_likelihood=_log_likelihood(prepared, problem, values),
        status=identified(_status(found), coefficients, problem),
        coefficients=coefficients,
        pointwise=None,
        extra_groups={},
    )


def _status(found: Optimum) -> Status:
    return Status(found.converged, found.message, {**found.details, "at_zero": list(found.at_zero)})


def _log_likelihood(prepared: Prepared, problem: Problem, values: dict[str, Any]) -> float:
    """The log-likelihood on the data's original scale."""
    jacobian = log_jacobian(prepared.series, prepared.transform)
    return float(compiled_log_likelihood(problem, values)) + float(jacobian.sum())


def _coefficients(problem: Problem, values: dict[str, Any], found: Optimum) -> dict[str, tuple[float, float]]:
    """Constant coefficients and their standard deviations, given the estimates; none by a filter that draws."""
    names, positions = reported(problem.model)
    if problem.method.random or not names or not np.all([np.all(np.isfinite(v)) for v in found.values.values()]):
        return {}
    last = analysis.filter_arrays(problem, values).last
    mean, cov = np.asarray(last.mean), np.asarray(last.cov)
    return {n: (float(mean[i]), float(np.sqrt(max(cov[i, i], 0.0)))) for n, i in zip(names, positions, strict=True)}
