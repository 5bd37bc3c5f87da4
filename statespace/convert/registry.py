"""The arrows between forms: functions of one form and of options, registered by what they take and give."""

import inspect
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from .conversion import Conversion


class Arrow(NamedTuple):
    """One step between two forms.

    Attributes:
        source: The class that it takes.
        target: The class that it gives.
        run: Function of a source and options by keyword that returns a `Conversion`.
        cost: What a path that takes it pays: 1 for a well-conditioned exact step, more where digits or exactness go.
        chained: Whether a path may take it unasked; False for steps that change the model unless told how.
    """

    source: type
    target: type
    run: Callable[..., Conversion]
    cost: float
    chained: bool

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """What may be told to it, by name."""
        return dict(list(inspect.signature(self.run).parameters.items())[1:])

    @property
    def required(self) -> list[str]:
        """What has to be told to it."""
        return [name for name, option in self.options.items() if option.default is inspect.Parameter.empty]


ARROWS: list[Arrow] = []


def arrow(
    source: type, target: type, *, cost: float = 1.0, chained: bool = True
) -> Callable[[Callable[..., Conversion]], Callable[..., Conversion]]:
    """Register a function as the way from one form to another.

    Args:
        source: The class that it takes.
        target: The class that it gives.
        cost: What a path that takes it pays.
        chained: Whether a path of several arrows may take it.
    """

    def register(run: Callable[..., Conversion]) -> Callable[..., Conversion]:
        ARROWS.append(Arrow(source, target, run, cost, chained))
        return run

    return register


def path(source: type, target: type, options: set[str]) -> list[Arrow]:
    """The cheapest arrows from one class to another that between them take all options and lack none; empty if none.

    An arrow from a class to itself (another timing, a smaller order) is taken where it alone is asked for. No class is
    passed twice, and none beyond the one that is wanted. From continuous to discrete time and back leads only an arrow
    that says how, and no form that serves both.
    """
    order = count()
    heap: list[Any] = [(0.0, next(order), source, [], domain_of(source))]
    done: set[Any] = set()
    while heap:
        paid, _, place, taken, domain = heappop(heap)
        taken_options = frozenset(options & {name for step in taken for name in step.options})
        if taken and issubclass(place, target) and taken_options == options:
            return taken
        if (place, taken_options, domain) in done or (taken and issubclass(place, target)):
            continue
        done.add((place, taken_options, domain))
        for step in ARROWS:
            alone = issubclass(source, step.source) and step.target is target
            fits = issubclass(place, step.source) and not set(step.required) - options
            new = step.target not in {source, *(before.target for before in taken)}
            kept = bool(domain_of(step.source)) or not domain or domain_of(step.target) in ("", domain)
            if fits and kept and ((step.chained and new) or (alone and not taken)):
                now = domain_of(step.target) or domain
                heappush(heap, (paid + step.cost, next(order), step.target, [*taken, step], now))
    return []


def domain_of(form: type) -> str:
    """The time of a form that has one kind of it, discrete or continuous; else nothing."""
    return getattr(form, "domain_of_time", "")
