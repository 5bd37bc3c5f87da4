"""How much the parts of a published model read."""

from typing import Any

from ..recurrent.heads import AbstractHead


def names_of(names: Any) -> tuple[str, ...]:
    """Names of inputs, one of which may be given as it is."""
    return (names,) if isinstance(names, str) else tuple(names)


def fed_size(head: AbstractHead, input_names: Any) -> int:
    """Length of what a model that feeds observations back is fed."""
    return head.features + len(names_of(input_names))


def frame_size(head: AbstractHead, input_names: Any, masks: bool) -> int:
    """Length of what an encoder sees of a stamp."""
    return fed_size(head, input_names) + head.num_series * masks


def layers(sizes: Any) -> tuple[int, ...]:
    """Sizes of layers, one of which may be given as a number."""
    return (sizes,) if isinstance(sizes, int) else tuple(sizes)
