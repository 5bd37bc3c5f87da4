"""What every fit says of itself, whatever learned the parameters."""

import json
from typing import Any

import numpy as np

from ..inference.problem import Problem
from ..models import parameters
from ..models.base import AbstractLinearDynamics
from ..models.specification import CLASSES, describe
from ..results import Status
from .door import WRITTEN, Prepared

_OPEN = (
    "{} direction(s) of the diffuse first state open, so smoothed states and forecasts are not defined: there are too "
    "few data, or components share a direction (two seasonals with a common frequency do: choose harmonics=), or give "
    "initial= to one of them"
)


def common(prepared: Prepared, problem: Problem, model: Any) -> dict[str, Any]:
    """The fields of a `Fitted` that do not depend on how it was learned; the model is at its estimates."""
    law = model.initial_law(problem.steps[0]) if isinstance(model, AbstractLinearDynamics) else None
    known = parameters(model)
    return {
        "model": model,
        "series": prepared.series,
        "transform": prepared.transform,
        "diffuse_count": (0 if law is None else sum(law.diffuse)) - problem.plan.unidentified,
        "num_observations": int(prepared.series.mask.sum()),
        "num_parameters": sum(known[p].dimension for p in problem.free) + prepared.transform.num_estimated,
        "priors": dict(problem.priors),
        "supports": {path: str(p.constraint) for path, p in known.items()},
        "specification": specification(model),
        "filter_method": problem.method,
        "filter_specification": specification(problem.method, WRITTEN),
    }


def specification(value: Any, classes: Any = CLASSES) -> str:
    """A value as JSON; empty where it is not of this library."""
    try:
        return json.dumps(describe(value, classes))
    except TypeError:
        return ""


def identified(status: Status, coefficients: dict[str, Any], problem: Problem) -> Status:
    """The status, or one that says which coefficients or how many states the data cannot tell from the others."""
    lost = [name for name, value in coefficients.items() if np.all(np.isnan(np.asarray(value)))]
    if not lost and not problem.plan.unidentified:
        return status
    text = f"the data leave {_OPEN.format(problem.plan.unidentified)}"
    if lost:
        text = f"the data do not identify {', '.join(lost)}: leave the input out, or give its law with initial="
    return Status(False, f"{status.message}; {text}", status.details)


def reported(model: Any) -> tuple[list[str], tuple[int, ...]]:
    """The constant states that a fit lists with its parameters, and their positions."""
    names: list[str] = list(getattr(model, "reported_states", ()))
    return names, tuple(model.state_names.index(name) for name in names)
