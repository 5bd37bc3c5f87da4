"""The verb: an object in another form."""

import inspect
from typing import Any

from ..models.base import AbstractStateSpace
from . import arrows  # noqa: F401  its modules register the arrows
from .conversion import Conversion
from .registry import ARROWS, Arrow, path


def convert(obj: Any, target: type, **how: Any) -> Conversion:
    """A model in another form, with its noise, its initial law, its timing, and a bound on the error.

    Where no single arrow leads from the one form to the other the cheapest chain of exact, well-conditioned arrows
    is taken.

    Args:
        obj: A form, a linear-Gaussian model or a fit of one, a layer or a cell.
        target: The class of the form to be had.
        **how: Options of the arrows, by name.

    Returns:
        A `Conversion`: `value`, and what became of the model on the way.

    Raises:
        TypeError: If no arrow leads there, or an option is missing, or unknown.

    Example:
        >>> import statespace as ss
        >>> spring = ss.ContinuousSSM([[0.0, 1.0], [-1.0, -0.1]], [[0.0], [1.0]], [[1.0, 0.0]])
        >>> ss.convert(spring, ss.DiscreteSSM, dt=0.1, rule="zoh").exact
        True
    """
    if not isinstance(target, type):
        raise TypeError(f"target is the class of a form, such as ss.ARMA or ss.Modal, got {target!r}")
    inner = getattr(obj, "model", None)
    if isinstance(inner, AbstractStateSpace):  # a fit, or the result of a filter
        obj = inner
    if not how and isinstance(obj, target):
        return Conversion(obj)
    found = path(type(obj), target, set(how))
    if not found:
        raise TypeError(_no_path(type(obj), target, how))
    whole: Conversion | None = None
    for step in found:
        value = obj if whole is None else whole.value
        part = step.run(value, **{name: v for name, v in how.items() if name in step.options})
        whole = part if whole is None else whole.then(part)
    assert whole is not None
    return whole


def _no_path(source: type, target: type, how: dict[str, Any]) -> str:
    """Why there is no path, in words: what leads there, and which options it takes."""
    name, wanted = source.__name__, target.__name__
    needed = sorted({option for step in ARROWS for option in step.required})
    kept = set(how) & {option for step in ARROWS for option in step.options}
    tried = [chosen | extra for chosen in (kept, set()) for extra in (set(), *({option} for option in needed))]
    way = next((found for options in tried if (found := path(source, target, options))), [])
    direct = [step for step in ARROWS if issubclass(source, step.source) and step.target is target]
    steps = way or direct
    if steps:
        lacks = sorted({option for step in steps for option in step.required} - set(how))
        excess = sorted(set(how) - {option for step in steps for option in step.options})
        parts = [f"give {', '.join(f'{option}=' for option in lacks)}"] if lacks else []
        parts += [f"there is no {', '.join(f'{option}=' for option in excess)}"] if excess else []
        parts = parts or [f"these do not go together: {', '.join(f'{option}=' for option in how)}"]
        known = "; ".join(_signature(step) for step in steps)
        return f"convert({name}, {wanted}): {'; '.join(parts)}. The options are those of {known}"
    ends = sorted({step.target.__name__ for step in ARROWS if issubclass(source, step.source)})
    return f"no conversion leads from {name} to {wanted}; from {name} one goes to {', '.join(ends) or 'nowhere'}"


def _signature(step: Arrow) -> str:
    options = ", ".join(f"{option.name}={_default(option)}" for option in step.options.values())
    return f"{step.source.__name__} -> {step.target.__name__}({options})"


def _default(option: inspect.Parameter) -> str:
    return "..." if option.default is inspect.Parameter.empty else repr(option.default)
