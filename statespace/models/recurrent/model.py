"""A recurrent cell with a head: a state-space model."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.normal import FactorNormal
from ...core.parameters import Unknown, is_traced, param, with_fields
from ...core.step import Step
from ..base import AbstractGaussianDynamics, AbstractMomentEmission
from ..recursion import AbstractRecursion
from .cell import AbstractCell
from .heads import AbstractHead
from .ravelled import as_cell


class Recurrent(AbstractGaussianDynamics, AbstractMomentEmission):
    """A recurrent cell, or any recursion, as a state-space model.

        h[t] = cell(h[t-1], [feature of y[t-1], u[t]])                     (innovations form, the default)
        h[t] = cell(h[t-1], [u[t]]) + Q w[t],      w[t] ~ N(0, I)          (noise=)
        y[t] ~ head(output[t])

    In innovations form the state follows from what was seen, and the likelihood is exact: `TeacherForcing`, the
    default method. With noise the state is hidden: linearised filters, ensembles and particles serve. The state is that
    of the cell; of another recursion (a layer, a stack) it is followed by the output, which noise enters one stamp
    later. Inputs are divided by their standard deviations in the first data that the model meets.

    Parameters are called `cell.`, `head.` and a weight's name, `noise_scale` and `before`.

    Args:
        cell: The cell. Its inputs are the head's features of the observation before, if fed back (the number of
            series; of categories, their number for each series), then the input columns.
        head: The law of the observation given the cell's output.
        noise: Standard deviations of the state's noise over a step of length 1, one or (state,); True: unknown. A
            `CTRNN` takes them as those of an SDE.
        feedback: Whether the cell is fed the observation before; when left out: if there is no noise.
        input_names: The input columns that the cell reads, in its order.
        previous: The observation before the first stamp, (series,); "learn": a parameter, `before`; left out: none, for
            which the cell is fed zeros: the level of the data.

    Raises:
        TypeError: If cell or head is something else.
        ValueError: If the cell has another number of inputs, or an option does not fit.

    Example:
        >>> from .gru import GRU
        >>> from .heads import GaussianHead
        >>> model = Recurrent(GRU(1, 4), GaussianHead())
        >>> model.reads_previous, model.state_names
        (True, ('h0', 'h1', 'h2', 'h3'))

    Reference: innovations form: Ljung (1999), "System Identification", section 5.7; Graves (2013), "Generating
    sequences with recurrent neural networks".
    """

    cell: AbstractCell
    head: AbstractHead
    noise_scale: Float[Array, " noises"] | Unknown = param(
        constraints.positive,
        shape=lambda self: (self.cell.num_noises,),
        prior=lambda self, scale: dist.HalfNormal(jnp.full(self.cell.num_noises, 0.5)),
        active=lambda self: self.noisy,
    )
    before: Float[Array, " series"] | Unknown = param(
        constraints.real,
        shape=lambda self: (self.num_series,),
        prior=lambda self, scale: dist.Normal(*jnp.broadcast_arrays(self.head.level, self.head.unit)),
        active=lambda self: self.learns_before,
    )
    _: KW_ONLY  # the fields below have no default, those above have
    given_before: Float[Array, " series"] | None
    input_unit: Float[Array, " columns"] | None
    noisy: bool = eqx.field(static=True)
    feedback: bool = eqx.field(static=True)
    learns_before: bool = eqx.field(static=True)
    columns: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        cell: AbstractRecursion,
        head: AbstractHead,
        *,
        noise: Any = None,
        feedback: bool | None = None,
        input_names: Sequence[str] = (),
        previous: Any = None,
    ):
        if not isinstance(cell, AbstractRecursion) or not isinstance(head, AbstractHead):
            raise TypeError(
                f"Recurrent takes a cell and a head, such as GRU(1, 8) and GaussianHead(), got {type(cell).__name__} "
                f"and {type(head).__name__}"
            )
        self.cell, self.head = as_cell(cell), head.on(cell.output_size)
        self.columns = (input_names,) if isinstance(input_names, str) else tuple(input_names)
        self.noisy = noise is not None and noise is not False
        self.feedback = not self.noisy if feedback is None else bool(feedback)
        self.noise_scale = _noise(noise, self.cell.num_noises) if self.noisy and noise is not True else None
        self.learns_before = isinstance(previous, str) and _is_learn(previous)
        if previous is not None and not self.feedback:
            raise ValueError("previous= is what the cell is fed at the first stamp: it belongs to feedback=True")
        given = None if previous is None or self.learns_before else jnp.asarray(previous, jnp.result_type(float))
        self.given_before = None if given is None else jnp.atleast_1d(given)
        self.input_unit, self.before = None, None

    @property
    def state_names(self) -> tuple[str, ...]:
        """The cell's."""
        return self.cell.state_names

    @property
    def num_series(self) -> int:
        """The number of observed series."""
        return self.head.num_series

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the cell reads."""
        return self.columns

    @property
    def reads_previous(self) -> bool:
        """Whether the cell is fed the observation before."""
        return self.feedback

    def bind(self, binding: Any) -> "Recurrent":
        """The model tied to the data's series, to their level and unit, and to the inputs' where it has none yet.

        Raises:
            ValueError: If the cell does not take as many inputs, or it counts steps and the stamps are irregular.
        """
        head = self.head.bind(binding)
        size = (head.features if self.feedback else 0) + len(self.columns)
        if self.cell.input_size != size:
            fed = f"{head.features} of the observation before and " if self.feedback else ""
            raise ValueError(
                f"the cell takes {self.cell.input_size} inputs, but it is fed {size}: {fed}{len(self.columns)} input "
                f"columns; make it with input_size={size}"
            )
        if not binding.regular and not self.cell.reads_dt:
            raise ValueError(
                f"{type(self.cell).__name__} counts steps, but the stamps are not evenly spaced: put the data on a "
                "regular frequency (asfreq, with NaN for missing stamps), or use a cell in continuous time (CTRNN, "
                "Antisymmetric)"
            )
        unit = self.input_unit
        if unit is None and self.columns:
            unit = jnp.asarray(binding.input_scale, jnp.result_type(float))
        return with_fields(self, head=head, input_unit=unit)

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Which values the head cannot make, and what it can, in words."""
        del inputs
        return self.head.outside(y)

    def prepared(self) -> "Recurrent":
        """The model with what does not depend on the step computed once, for a loop over steps."""
        return with_fields(self, cell=self.cell.prepared())

    def initial(self, step: Step) -> FactorNormal:
        """The law of the state at the first stamp: the cell's start, moved once."""
        u = self._fed(self._first_feature(), step.inputs)
        return FactorNormal(self.cell.step(self.cell.start(), u)[0], self._factor(None))

    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The cell's next state."""
        feature = self.head.feature(step.previous) if self.feedback else None  # pyright: ignore[reportArgumentType]
        return self.cell.step(x, self._fed(feature, step.inputs), self._dt(step))[0]

    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """The diagonal of the noise's standard deviations; no columns without noise."""
        del x
        return self._factor(self._dt(step))

    def conditional_moments(
        self, x: Float[Array, " state"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
        """Mean and covariance of the observation, given the state; NaN where its law has none."""
        law: Any = self.emission(x, step)
        return law.mean, jnp.diag(law.variance)

    def emission(self, x: Float[Array, " state"], step: Step) -> Distribution:
        """The law of the observation, given the state."""
        del step
        return self.law(self.cell.output(x))

    def law(self, output: Float[Array, " outputs"]) -> Distribution:
        """The law of the observation, given the cell's output."""
        return self.head.law(output).to_event(1)

    def fed(self, steps: Step, seen: Float[Array, " series"] | None = None) -> Float[Array, "time inputs"]:
        """What the cell is fed at all stamps, whose `previous` is the observation before.

        Args:
            steps: The stamps.
            seen: The observation before the first of them; None where it is the model's first.
        """
        if not self.feedback:
            return self._fed(None, steps.inputs, len(steps))
        previous = jnp.asarray(steps.previous)
        features = jax.vmap(self.head.feature)(jnp.where(jnp.isnan(previous), 0.0, previous))
        first = self._first_feature() if seen is None else self.head.feature(seen)
        return self._fed(features.at[0].set(first), steps.inputs)

    def spacing(self, steps: Step, *, started: bool) -> Float[Array, " time"] | None:
        """The lengths of the cell's steps, None where all are 1; the first step of all has length 1."""
        dt = self._dt(steps)
        return dt if dt is None or started else dt.at[0].set(1.0)

    def _first_feature(self) -> Array:
        """What the cell is fed of the observation before the first stamp."""
        if not self.feedback:
            return jnp.zeros(0)
        value = self.before if self.learns_before else self.given_before
        if value is None:
            return jnp.zeros(self.head.features, jnp.result_type(float))
        return self.head.feature(jnp.broadcast_to(value, (self.num_series,)))

    def _fed(self, feature: Array | None, inputs: Any, length: int | None = None) -> Array:
        """Features of what was seen, then the inputs in their units."""
        parts = [] if feature is None or not self.feedback else [feature]
        if self.columns:
            parts.append(inputs if self.input_unit is None else inputs / self.input_unit)
        if not parts:
            return jnp.zeros((0,) if length is None else (length, 0))
        return jnp.concatenate(parts, axis=-1)

    def _dt(self, step: Step) -> Any:
        """The length of the cell's step where it reads it; None on a regular series, where it is 1."""
        return step.spacing if self.cell.reads_dt else None

    def _factor(self, dt: Any) -> Float[Array, "state noise"]:
        if not self.noisy:
            return jnp.zeros((self.cell.state_size, 0), jnp.result_type(float))
        places = jnp.eye(self.cell.state_size, self.cell.num_noises, dtype=self.noise_scale.dtype)
        return places * self.cell.disturbance(self.noise_scale, dt)


def _is_learn(previous: str) -> bool:
    if previous != "learn":
        raise ValueError(f'previous is "learn", values, or left out, got {previous!r}')
    return True


def _noise(noise: Any, size: int) -> Array:
    value = jnp.asarray(noise, jnp.result_type(float))
    if value.shape not in ((), (size,)) or (not is_traced(noise) and not np.all(np.asarray(noise) > 0)):
        raise ValueError(
            f"noise is {noise!r}, expected True (unknown), or standard deviations above 0: one, or one for each of the "
            f"{size} elements of the state"
        )
    return jnp.broadcast_to(value, (size,))
