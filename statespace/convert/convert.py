"""The verb: an object in another form."""

from typing import Any

from . import arrows  # noqa: F401  its modules register the arrows
from .conversion import Conversion
from .registry import ARROWS, Arrow, path


def convert(obj: Any, target: type, **how: Any) -> Conversion:
    """A model in another form, with its noise, its initial law, its timing, and a bound on the error.

    Where no single arrow leads from the one form to the other the cheapest chain of exact, well-conditioned arrows
    is taken.

    Args:
        obj: A form, a linear-Gaussian model, a layer or a cell.
        target: The class of the form to be had.
        **how: Options of the arrows, by name.

    Returns:
        A `Conversion`: `value`, and what became of the model on the way.

    Raises:
        TypeError: If no arrow leads there, or none takes an option.

    Example:
        >>> import statespace as ss
        >>> spring = ss.ContinuousSSM([[0.0, 1.0], [-1.0, -0.1]], [[0.0], [1.0]], [[1.0, 0.0]])
        >>> ss.convert(spring, ss.DiscreteSSM, dt=0.1, rule="zoh").exact
        True
    """
    if not how and isinstance(target, type) and isinstance(obj, target):
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
    name, wanted = source.__name__, getattr(target, "__name__", repr(target))
    direct = [step for step in ARROWS if issubclass(source, step.source) and step.target is target]
    missing = sorted({option for step in ARROWS for option in step.required} - set(how))
    longer = next((found for option in missing if (found := path(source, target, {*how, option}))), [])
    if direct or longer:
        known = "; ".join(_signature(step) for step in direct or longer)
        return f"convert({name}, {wanted}) got the options {sorted(how)}, expected those of: {known}"
    ends = sorted({step.target.__name__ for step in ARROWS if issubclass(source, step.source)})
    return f"no conversion leads from {name} to {wanted}; from {name} one goes to {', '.join(ends) or 'nowhere'}"


def _signature(step: Arrow) -> str:
    options = ", ".join(str(option) for option in step.options.values())
    return f"{step.source.__name__} -> {step.target.__name__}({options})"
