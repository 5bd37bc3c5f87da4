"""Effects of input columns and of known events."""

import contextlib
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ...core.parameters import Unknown, param, with_fields
from ...core.step import Step
from ..initial import InitialLaw
from .component import AbstractComponent, Binding, check_initial


class Regression(AbstractComponent):
    """A linear effect of input columns, with constant or slowly changing coefficients.

        effect[t] = x[t]' beta[t],    beta[t] = beta[t-1] + scale w[t]      (scale = 0 unless time-varying)

    The coefficients are states: they are estimated exactly along with the others, diffuse at the start.

    Args:
        columns: Names of the input columns.
        time_varying: Whether the coefficients are random walks.
        scale: Standard deviations of their steps, shape (columns,). Left out: unknown. Only if time-varying.
        initial: Law of the first coefficients (a prior); diffuse when left out.
        name: The component's name.
        series: The series it enters; each series gets its own copy when left out.

    Raises:
        ValueError: If no column is named, one is named twice, or scale is given though not time-varying.

    Example:
        >>> Regression(["price"]).full_names()
        ('regression.price',)

    Reference: Durbin and Koopman (2012), section 3.6.
    """

    scale: Float[Array, "*batch columns"] | Unknown = param(
        constraints.independent(constraints.positive, 1),
        unit="data",
        shape=lambda self: (len(self.columns),),
        prior=lambda self, scale: self._scale_prior(scale),
        active=lambda self: self.time_varying,
    )
    _: KW_ONLY  # the fields below have no default, those above have
    start: InitialLaw | None
    columns: tuple[str, ...] = eqx.field(static=True)
    time_varying: bool = eqx.field(static=True)
    positions: tuple[int, ...] | None = eqx.field(static=True)
    input_scale: tuple[float, ...] | None = eqx.field(static=True)
    name: str = eqx.field(static=True)
    series: str | None = eqx.field(static=True)

    def __init__(
        self,
        columns: Sequence[str],
        *,
        time_varying: bool = False,
        scale: Any = None,
        initial: InitialLaw | None = None,
        name: str = "regression",
        series: str | None = None,
    ):
        columns = (columns,) if isinstance(columns, str) else tuple(map(str, columns))
        if not columns:
            raise ValueError("a regression needs at least one input column")
        if len(set(columns)) < len(columns):
            raise ValueError(f"a regression reads each input column once, got {', '.join(map(repr, columns))}")
        if scale is not None and not time_varying:
            raise ValueError("scale belongs to time_varying=True; constant coefficients have none")
        self.scale, self.columns, self.time_varying = scale, columns, bool(time_varying)
        self.positions, self.input_scale = None, None
        self.name, self.series = name, series
        self.start = check_initial(initial, len(columns), name)

    def _scale_prior(self, scale: float) -> dist.Distribution:
        sizes = jnp.asarray(self.input_scale or (1.0,) * len(self.columns))
        return dist.HalfNormal(0.1 * scale / sizes).to_event(1)

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states within the component."""
        return self.columns

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the component reads."""
        return self.columns

    @property
    def reported_states(self) -> tuple[str, ...]:
        """The coefficients, where they are constant."""
        return () if self.time_varying else self.full_names()

    def bind(self, binding: Binding) -> "Regression":
        """The component tied to the positions of its columns; raises ValueError if one is missing."""
        missing = [column for column in self.columns if column not in binding.inputs]
        if missing:
            raise ValueError(
                f"{self.name} needs the input column{'s' if len(missing) > 1 else ''} "
                f"{', '.join(map(repr, missing))}, but inputs= "
                f"{'has ' + ', '.join(map(repr, binding.inputs)) if binding.inputs else 'was not given'}"
            )
        positions = tuple(binding.inputs.index(column) for column in self.columns)
        sizes = tuple(binding.input_scale[i] for i in positions)
        return with_fields(self, positions=positions, input_scale=sizes)

    def initial_law(self, step: Step) -> InitialLaw:
        """The law of the block at the first stamp."""
        del step
        return InitialLaw.diffuse_law(len(self.columns)) if self.start is None else self.start

    def propagate(self, x: Float[Array, "columns *rest"], step: Step) -> Float[Array, "columns *rest"]:
        """Apply the block's transition along the leading axis."""
        del step
        return x

    def noise_factor(self, step: Step) -> Float[Array, "columns noise"]:
        """The factor of the block's noise covariance."""
        if not self.time_varying:
            return jnp.zeros((len(self.columns), 0))
        return jnp.diag(self.scale * jnp.sqrt(step.dt))

    def loading(self, step: Step) -> Float[Array, " columns"]:
        """The inputs at this stamp."""
        if step.inputs is None:
            raise ValueError(f"{self.name} reads {', '.join(map(repr, self.columns))}, but no inputs= were given")
        positions = range(len(self.columns)) if self.positions is None else self.positions
        return jnp.stack([step.inputs[i] for i in positions])


class Intervention(AbstractComponent):
    """The effect of an event at a known date: a constant that applies once, or from then on.

        effect[t] = beta 1(t = date)   (pulse)      or      beta 1(t >= date)   (step)

    Args:
        at: Date of the event (anything the data's index can look up), or the position of its stamp in the first
            data that the model sees; in other data it stays at that date.
        kind: `"step"` or `"pulse"`.
        initial: Law of the effect (a prior); diffuse when left out.
        name: The component's name.
        series: The series it enters; each series gets its own copy when left out.

    Raises:
        ValueError: If kind is unknown, or the date lies outside the first data that the model sees.

    Example:
        >>> Intervention("1983-02", name="law").full_names()
        ('law',)

    Reference: Durbin and Koopman (2012), section 3.6.2.
    """

    start: InitialLaw | None
    time: Float[Array, ""] | None  # of the event, on the clock of the data
    at: Any = eqx.field(static=True)
    found: bool = eqx.field(static=True)
    kind: str = eqx.field(static=True)
    name: str = eqx.field(static=True)
    series: str | None = eqx.field(static=True)

    def __init__(
        self,
        at: Any,
        kind: Literal["step", "pulse"] = "step",
        *,
        initial: InitialLaw | None = None,
        name: str = "intervention",
        series: str | None = None,
    ):
        if kind not in ("step", "pulse"):
            raise ValueError(f"kind is 'step' or 'pulse', got {kind!r}")
        if isinstance(at, (np.integer, np.datetime64)):
            at = int(at) if isinstance(at, np.integer) else str(at)
        self.at, self.kind, self.name, self.series = at, kind, name, series
        self.time = jnp.asarray(float(at)) if isinstance(at, int) else None
        self.found = False
        self.start = check_initial(initial, 1, name)

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states within the component."""
        return ("",)

    @property
    def reported_states(self) -> tuple[str, ...]:
        """The effect."""
        return self.full_names()

    def bind(self, binding: Binding) -> "Intervention":
        """The component tied to the position of its date; raises ValueError if the first data do not have it."""
        index = binding.index
        if index is None:
            return self
        at = self.at  # once found, the date is known, and may lie before or after these data
        if not self.found:
            position = self.at if isinstance(self.at, int) else _locate(self.at, index, self.name)
            if not 0 <= position < len(index):
                raise ValueError(f"{self.name} is at {self.at}, which is outside the {len(index)} stamps of the data")
            at = as_text(index[position])
        with jax.ensure_compile_time_eval():  # a constant, also inside a NumPyro program that is being traced
            return with_fields(self, time=jnp.asarray(binding.moment(index, at)), at=at, found=True)

    def initial_law(self, step: Step) -> InitialLaw:
        """The law of the block at the first stamp."""
        del step
        return InitialLaw.diffuse_law(1) if self.start is None else self.start

    def propagate(self, x: Float[Array, "1 *columns"], step: Step) -> Float[Array, "1 *columns"]:
        """Apply the block's transition along the leading axis."""
        del step
        return x

    def noise_factor(self, step: Step) -> Float[Array, "1 0"]:
        """The factor of the block's noise covariance: none."""
        del step
        return jnp.zeros((1, 0))

    def loading(self, step: Step) -> Float[Array, " 1"]:
        """1 while the effect applies, else 0."""
        if self.time is None:
            raise ValueError(f"{self.name} is at {self.at!r}: a date needs data with dates, or give a position")
        time = self.time.astype(step.time.dtype)
        reached = step.time >= time if self.kind == "step" else step.time == time
        return jnp.where(reached, 1.0, 0.0)[None]


def as_text(stamp: Any) -> Any:
    """A stamp as an index can look it up again: a number, or the text of a date or of a period's first day."""
    stamp = stamp.item() if isinstance(stamp, np.number) else stamp
    return stamp if isinstance(stamp, int | float) else str(stamp).split("/")[0]


def _locate(at: Any, index: Any, name: str) -> int:
    with contextlib.suppress(KeyError):
        found = index.get_loc(at)
        return int(found.start if isinstance(found, slice) else found)
    with contextlib.suppress(KeyError, ValueError, TypeError):  # an index of weeks looks up no text, but can place it
        first, after = (int(index.searchsorted(at, side=side)) for side in ("left", "right"))
        if after > first:
            return first
    first, last = as_text(index[0]), as_text(index[-1])
    raise ValueError(f"{name} is at {at!r}, which is not a stamp of the data: they go from {first} to {last}")
