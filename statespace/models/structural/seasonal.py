"""Seasonal patterns of any period."""

import math
import operator
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.linalg import banded_shift
from ...core.parameters import Unknown, param
from ...core.step import Step
from ..initial import InitialLaw
from .component import AbstractComponent, Binding, check_initial, check_regular
from .trend import scale_prior


class Seasonal(AbstractComponent):
    """A pattern that repeats with a period and may change slowly.

    In dummy form the effects of a full period sum to noise,

        effect[t] = -(effect[t-1] + ... + effect[t-period+1]) + scale w[t];

    in trigonometric form each harmonic j turns by 2 pi j / period a stamp,

        a_j[t] =  cos a_j[t-1] + sin b_j[t-1] + scale w[t],   b_j[t] = -sin a_j[t-1] + cos b_j[t-1] + scale w*[t],

    and the pattern is the sum of the a_j. The last harmonic of an even period has one state only.

    Args:
        period: Stamps in a full cycle; an integer for the dummy form.
        form: `"dummy"` or `"trigonometric"`.
        harmonics: Which harmonics: a number (the first so many) or a list of them; all when left out.
            Trigonometric only.
        scale: Standard deviation of the pattern's change, in the data's unit. Left out: unknown. Zero: fixed.
        initial: Law of the first states; diffuse when left out.
        name: The component's name; `seasonal` and the period when left out.
        series: The series it enters; each series gets its own copy when left out.

    Raises:
        ValueError: If the period is below 2, or a harmonic lies outside 1 ... period / 2, or harmonics are
            chosen for the dummy form.

    Example:
        >>> len(Seasonal(12).states), len(Seasonal(12, form="trigonometric", harmonics=2).states)
        (11, 4)

    Reference: Durbin and Koopman (2012), eqs. 3.3 and 3.7.
    """

    scale: Float[Array, "*batch"] | Unknown = param(constraints.positive, unit="data", prior=scale_prior(0.1))
    _: KW_ONLY  # the fields below have no default, those above have
    start: InitialLaw | None
    period: float = eqx.field(static=True)
    form: str = eqx.field(static=True)
    harmonics: tuple[int, ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    series: str | None = eqx.field(static=True)

    def __init__(
        self,
        period: float,
        *,
        form: Literal["dummy", "trigonometric"] = "dummy",
        harmonics: int | Sequence[int] | None = None,
        scale: Any = None,
        initial: InitialLaw | None = None,
        name: str | None = None,
        series: str | None = None,
    ):
        if form not in ("dummy", "trigonometric"):
            raise ValueError(f"form is 'dummy' or 'trigonometric', got {form!r}")
        if not period >= 2 or (form == "dummy" and period != int(period)):
            raise ValueError(
                f"the period must be at least 2, and a whole number in the dummy form; got {period} "
                "(use form='trigonometric' for other periods)"
            )
        if form == "dummy" and harmonics is not None:
            raise ValueError("harmonics belong to form='trigonometric'; the dummy form has none to choose")
        self.scale, self.form, self.period, self.series = scale, form, float(period), series
        self.harmonics = _harmonics(period, harmonics) if form == "trigonometric" else ()
        self.name = f"seasonal{period:g}" if name is None else name
        self.start = check_initial(initial, len(self.states), self.name)

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states within the component."""
        if self.form == "dummy":
            return tuple("effect" if lag == 0 else f"lag{lag}" for lag in range(int(self.period) - 1))
        paired = [j for j in self.harmonics if 2 * j != self.period]
        names = [f"cos{j}" for j in paired] + [f"sin{j}" for j in paired]
        return tuple(names + [f"cos{j}" for j in self.harmonics if 2 * j == self.period])

    @property
    def _angles(self) -> np.ndarray:
        return 2 * math.pi * np.array([j for j in self.harmonics if 2 * j != self.period]) / self.period

    def bind(self, binding: Binding) -> "Seasonal":
        """The component itself; raises ValueError on irregular stamps, or a series below one period."""
        check_regular(binding, self.name)
        if binding.index is not None and len(binding.index) < self.period:
            raise ValueError(
                f"{self.name} has period {self.period:g} but the series has only {len(binding.index)} stamps: "
                "give at least one full period, or choose a shorter one"
            )
        return self

    def initial_law(self, step: Step) -> InitialLaw:
        """The law of the block at the first stamp."""
        del step
        return InitialLaw.diffuse_law(len(self.states)) if self.start is None else self.start

    def propagate(self, x: Float[Array, "block *columns"], step: Step) -> Float[Array, "block *columns"]:
        """Apply the block's transition along the leading axis: a shift, or rotations."""
        del step
        if self.form == "dummy":
            return banded_shift(x, -jnp.sum(x, axis=0))
        angles = self._angles
        shape = (len(angles),) + (1,) * (x.ndim - 1)
        cos = jnp.asarray(np.cos(angles), x.dtype).reshape(shape)
        sin = jnp.asarray(np.sin(angles), x.dtype).reshape(shape)
        a, b, last = x[: len(angles)], x[len(angles) : 2 * len(angles)], x[2 * len(angles) :]
        return jnp.concatenate([cos * a + sin * b, cos * b - sin * a, -last])

    def noise_factor(self, step: Step) -> Float[Array, "block noise"]:
        """The factor of the block's noise covariance."""
        del step
        size = len(self.states)
        shape = np.eye(size, 1) if self.form == "dummy" else np.eye(size)
        return self.scale * jnp.asarray(shape, jnp.result_type(self.scale))

    def loading(self, step: Step) -> Float[Array, " block"]:
        """The row with which the block enters its series."""
        del step
        if self.form == "dummy":
            return jnp.asarray(np.eye(1, len(self.states))[0])
        return jnp.asarray([float(name.startswith("cos")) for name in self.states])


def _harmonics(period: float, chosen: int | Sequence[int] | None) -> tuple[int, ...]:
    most = math.floor(period / 2)
    if chosen is None:
        chosen = most
    some = range(1, chosen + 1) if isinstance(chosen, int | np.integer) else set(map(operator.index, chosen))
    found = tuple(sorted(some))
    if not found or found[0] < 1 or found[-1] > most:
        raise ValueError(f"harmonics of period {period:g} are 1 to {most}, got {chosen}")
    return found
