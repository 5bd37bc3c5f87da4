"""Forms that keep a whole system in coordinates of their own, as that system."""

from collections.abc import Callable
from typing import TypeVar

import jax.numpy as jnp

from ..conversion import Conversion
from ..forms.balanced import Balanced
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM
from ..forms.dplr import DPLR
from ..forms.modal import Modal
from ..registry import arrow

System = TypeVar("System", bound=DiscreteSSM | ContinuousSSM)
_ADVICE = {DiscreteSSM: "discretise it first, with dt=", ContinuousSSM: "it is in discrete time"}


def system_of(form: Modal | DPLR | Balanced, kind: type[System]) -> System:
    """The system of a form, which is to be of one kind of time.

    Args:
        form: The form.
        kind: `DiscreteSSM` or `ContinuousSSM`.

    Raises:
        TypeError: If the form is in the other time.
    """
    if not isinstance(form.system, kind):
        raise TypeError(
            f"the {type(form).__name__} form is that of a {type(form.system).__name__}, not of a {kind.__name__}: "
            f"{_ADVICE[kind]}"
        )
    return form.system


def _to(kind: type[DiscreteSSM] | type[ContinuousSSM]) -> Callable[[Modal | DPLR | Balanced], Conversion]:
    def run(form: Modal | DPLR | Balanced) -> Conversion:
        return Conversion(system_of(form, kind), transform=jnp.eye(len(form.system.A)))

    return run


for _form in (Modal, DPLR, Balanced):
    for _kind in (DiscreteSSM, ContinuousSSM):
        arrow(_form, _kind)(_to(_kind))
