"""Models and arrays put together the way the verbs do it, without the door: for tests of the numbers."""

import equinox as eqx
import numpy as np

from statespace.inference.problem import Problem, make_problem
from statespace.models.structural import Binding


def problem_of(
    model, y, *, inputs=None, input_names=(), series=None, index=None, mask=None, dt=None, method=None
) -> Problem:
    """A problem in which every parameter has the model's value; NaN marks what is missing."""
    y = np.asarray(y, float)
    y = y[:, None] if y.ndim == 1 else y
    if series is None:
        series = ("y",) if y.shape[1] == 1 else [f"y{i}" for i in range(y.shape[1])]
    bound = model.bind(Binding(tuple(series), tuple(input_names), (1.0,) * len(input_names), index, dt is None))
    inputs = None if inputs is None else np.asarray(inputs, float).reshape(len(y), -1)
    mask = np.isfinite(y) if mask is None else np.asarray(mask, bool)
    return make_problem(bound, np.where(mask, y, 0.0), mask, inputs=inputs, dt=dt, method=method)


@eqx.filter_jit
def terms(problem, values=None):
    """log p(y_t | y_<t), compiled once for each structure."""
    return problem.terms({} if values is None else values)


def log_likelihood(problem, values=None) -> float:
    """The log-likelihood, all constants included."""
    return float(terms(problem, values).sum())
