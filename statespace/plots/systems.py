"""What the pictures of linear models share: one model or several by name, each in the form that is drawn."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..convert import ContinuousSSM, convert
from . import style

COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.INK)
STROKES = ("-", "--", "-.", ":")


def by_name(models: Any) -> dict[str, Any]:
    """Models by name; a single one has none.

    Raises:
        ValueError: If there are none, or more than can be told apart.
    """
    found = dict(models) if isinstance(models, Mapping) else {"": models}
    if not 1 <= len(found) <= len(COLOURS):
        raise ValueError(f"a picture compares one to {len(COLOURS)} models, got {len(found)}")
    return found


def strokes(models: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Name, model, and how its lines are drawn."""
    for (name, model), colour, stroke in zip(models.items(), COLOURS, STROKES, strict=False):
        yield name, model, {"color": colour, "linestyle": stroke, "label": name or None}


def in_form(model: Any, target: type, **how: Any) -> Any:
    """A model in a form, or itself if it is in it."""
    return model if isinstance(model, target) else convert(model, target, **how).value


def unit(form: Any) -> str:
    """The unit of frequencies of a form, in words."""
    stamps = not isinstance(form, ContinuousSSM) and form.dt is None
    return "radians per stamp" if stamps else "radians per unit of time"
