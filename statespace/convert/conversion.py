"""What a conversion returns, and how two of them make one."""

import dataclasses
import math
from typing import Any

import equinox as eqx
from jaxtyping import Array

NORMS = ("hinf", "kernel_l1", "kernel_l2", "output")


class Conversion(eqx.Module):
    """A model in another form, and what became of it on the way.

    Attributes:
        value: The model in the form asked for.
        exact: Whether it is the same model, up to rounding: the same kernel, noise and initial law.
        error_bound: A bound on the error, in the norm that `norm` names; 0 where exact, infinite where there is none.
        norm: `"hinf"`: largest gain over frequencies of the difference of the transfer functions; `"kernel_l1"`,
            `"kernel_l2"`: sum of absolute values, root of the sum of squares of the difference of the kernels;
            `"output"`: largest difference of outputs for the inputs that a note states; empty where exact.
        condition: Condition number of the numerical step that is worst conditioned: digits lost are its logarithm.
        transform: T of the new state T x where the states are related so, else None.
        notes: What a user should know: what was assumed, what was lost, what is ambiguous.
    """

    value: Any
    exact: bool = True
    error_bound: float | Array = 0.0
    norm: str = eqx.field(static=True, default="")
    condition: float | Array = 1.0
    transform: Array | None = None
    notes: tuple[str, ...] = eqx.field(static=True, default=())

    def __check_init__(self):
        if self.exact == bool(self.norm) or (self.norm and self.norm not in NORMS):
            raise ValueError(f"an inexact conversion names its norm, one of {NORMS}: got {self.exact}, {self.norm!r}")

    def then(self, later: "Conversion") -> "Conversion":
        """This conversion followed by another: bounds in one norm add, conditions multiply, transforms compose."""
        bound, norm, notes = self.error_bound, self.norm, (*self.notes, *later.notes)
        if self.exact:
            bound, norm = later.error_bound, later.norm
        elif not later.exact and later.norm == norm:
            bound = bound + later.error_bound
        elif not later.exact:
            notes = (*notes, f"bounds in {norm} and {later.norm} do not add: there is none of the whole")
            bound = math.inf
        return Conversion(
            value=later.value,
            exact=self.exact and later.exact,
            error_bound=bound,
            norm=norm,
            condition=self.condition * later.condition,
            transform=_composed(self.transform, later.transform),
            notes=notes,
        )

    def losing(self, note: str) -> "Conversion":
        """This conversion, whose value has the same kernel but not all of the law: what it lacks is said in a note."""
        return dataclasses.replace(self, exact=False, norm=self.norm or "kernel_l2", notes=(*self.notes, note))


def _composed(first: Array | None, later: Array | None) -> Array | None:
    """The transform of two in a row, where both are known."""
    return None if first is None or later is None else later @ first
