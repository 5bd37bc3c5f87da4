"""Adding components."""

from typing import Any

from .component import AbstractComponent, AbstractObservation
from .model import AbstractStructural, Structural
from .signal import AbstractSignalObservation, StructuralSignal


def as_sum(*terms: Any) -> AbstractStructural:
    """The sum of components, observing terms and sums.

    Raises:
        TypeError: If something else is added.
        ValueError: If a second term observes.
    """
    components: list[AbstractComponent] = []
    observing: list[Any] = []
    for term in terms:
        if isinstance(term, AbstractStructural):
            components += term.components
            observing += [term.observation] if term.observation is not None else []
        elif isinstance(term, AbstractComponent):
            components.append(term)
        elif isinstance(term, AbstractObservation):
            observing.append(term)
        else:
            raise TypeError(f"a model is a sum of components, got {type(term).__name__}: {term!r}")
    if len(observing) > 1:
        raise ValueError("exactly one term observes, but a second Noise() (or other observing term) was added")
    found = observing[0] if observing else None
    kind = StructuralSignal if isinstance(found, AbstractSignalObservation) else Structural
    return kind(tuple(components), found)  # pyright: ignore[reportArgumentType, reportCallIssue]  by the term's kind
