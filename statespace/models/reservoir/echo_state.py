"""Echo state networks as state-space models: a frozen recursion, and a linear readout with a normal prior."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, PyTree
from numpyro.distributions import constraints

from ...core.normal import FactorNormal
from ...core.parameters import Unknown, as_value, is_traced, param, with_fields
from ...core.step import Step
from ..base import AbstractStateSpace
from ..recurrent.ravelled import Ravelled
from ..recursion import AbstractRecursion
from .closed_loop import ClosedLoop
from .values import as_value_of, check_not_negative

SQUARES = (None, "even", "all")


class EchoState(AbstractStateSpace):
    """A frozen recursion driven by the last observation and by inputs, and a linear readout of it.

        r[t]   = ((y[t-1] - level) / unit, u[t])
        h[t], o[t] = recursion(h[t-1], r[t])
        phi[t] = (o[t], r[t], 1)
        y[t]   = level + W phi[t] + emission_scale e[t]
        W[s, i] ~ N(0, emission_scale[s]^2 / ridge)

    The mode of W given data and scales is ridge regression. `BayesianReadout` integrates W out, so that maximum
    likelihood or NUTS learn the spectral radius, leak and input scale of a reservoir, the ridge and the noise by their
    evidence. Data are fed back as they were observed (teacher forcing); forecasts feed back what they draw.

    Args:
        recursion: Reservoir, cell or layer; it takes the fed-back series (if `feedback`), then the inputs.
        ridge: Prior precision of a weight over that of the noise; None if unknown.
        emission_scale: Standard deviation of the noise of each series, in the data's unit; None if unknown.
        weight_drift: Standard deviation of each weight's step from stamp to stamp, over that of the noise; exactly 0
            (weights are constant) is not learned.
        input_names: Names of the input columns. They enter as they are: give them a size of about one.
        num_series: Number of series.
        feedback: Whether the last observation is an input; a series that feeds back must be complete.
        squares: None, "even" (every second output is replaced by its square) or "all" (squares are added).
        direct: Whether the readout sees r[t] too.
        washout: Stamps at the start that drive the recursion but teach the readout nothing.
        level: What the weights explain the deviations from; the data's mean when left out.
        unit: The unit in which observations are fed back; the data's standard deviation when left out.
        previous: The observation before the first stamp; the level when left out.

    Raises:
        ValueError: If a size or an option does not fit.
        TypeError: If the recursion is not one.

    Example:
        >>> from statespace.models.reservoir import CycleCoupling, Reservoir
        >>> model = EchoState(Reservoir(1, CycleCoupling(20), key=0), ridge=1e-6, emission_scale=0.1)
        >>> model.num_features
        22

    Reference: Jaeger (2001), GMD report 148; Chatzis and Demiris (2011), "Echo state Gaussian process", IEEE
    Transactions on Neural Networks 22; Bishop (2006), "Pattern recognition and machine learning", sections 3.3 and 3.5.
    """

    ridge: Float[Array, ""] | Unknown = param(
        constraints.positive,
        prior=lambda self, scale: dist.LogNormal(jnp.log(1e-4), 4.0),
        start=lambda self, scale: jnp.asarray(1e-4),
    )
    emission_scale: Float[Array, "*series"] | Unknown = param(
        constraints.positive,
        unit="data",
        prior=lambda self, scale: dist.HalfNormal(jnp.broadcast_to(jnp.asarray(scale), self.noise_shape)),
        shape=lambda self: self.noise_shape,
        start=lambda self, scale: jnp.broadcast_to(0.1 * jnp.asarray(scale), self.noise_shape),
    )
    weight_drift: Float[Array, ""] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.HalfNormal(0.1), active=lambda self: self.drifts
    )
    _: KW_ONLY
    recursion: AbstractRecursion
    level: Float[Array, " series"] | None
    unit: Float[Array, " series"] | None
    previous: Float[Array, " series"] | None
    columns: tuple[str, ...] = eqx.field(static=True)
    count: int = eqx.field(static=True)
    feedback: bool = eqx.field(static=True)
    squares: str | None = eqx.field(static=True)
    direct: bool = eqx.field(static=True)
    washout: int = eqx.field(static=True)
    drifts: bool = eqx.field(static=True)

    def __init__(
        self,
        recursion: AbstractRecursion,
        ridge: Any = None,
        emission_scale: Any = None,
        weight_drift: Any = 0.0,
        *,
        input_names: Sequence[str] = (),
        num_series: int = 1,
        feedback: bool = True,
        squares: str | None = None,
        direct: bool = True,
        washout: int = 0,
        level: Any = None,
        unit: Any = None,
        previous: Any = None,
    ):
        self.recursion, self.count, self.washout = recursion, num_series, washout
        self.columns = (input_names,) if isinstance(input_names, str) else tuple(input_names)
        self.feedback, self.squares, self.direct = feedback, squares, direct
        self.ridge, self.weight_drift = as_value(ridge), as_value(weight_drift)
        self.drifts = not (isinstance(weight_drift, (int, float)) and weight_drift == 0)
        self.emission_scale = as_value_of(emission_scale, self.noise_shape, "emission_scale")
        self.level, self.unit = (as_value_of(v, (num_series,), n) for v, n in ((level, "level"), (unit, "unit")))
        self.previous = as_value_of(previous, (num_series,), "previous")
        self._check()

    def _check(self) -> None:
        if not isinstance(self.recursion, AbstractRecursion):
            raise TypeError(f"recursion= takes a reservoir, a cell or a layer, got {type(self.recursion).__name__}")
        if self.count < 1 or self.washout < 0:
            raise ValueError(f"num_series is {self.count} and washout {self.washout}: expected at least 1 and 0")
        for name in ("ridge", "emission_scale", "weight_drift"):
            check_not_negative(name, getattr(self, name), zero=name != "ridge")
        if self.squares not in SQUARES:
            raise ValueError(f'squares is None, "even" or "all", got {self.squares!r}')
        expected = self.count * self.feedback + len(self.columns)
        if self.recursion.input_size != expected:
            raise ValueError(
                f"the recursion has {self.recursion.input_size} inputs, but {self.count * self.feedback} fed-back "
                f"series and {len(self.columns)} input columns drive it: make it with {expected}"
            )
        if not self.feedback and self.previous is not None:
            raise ValueError("previous= goes with feedback=True: without it no observation is read")
        if self.unit is not None and not is_traced(self.unit) and not np.all(np.asarray(self.unit) > 0):
            raise ValueError(f"unit is {np.asarray(self.unit)}, expected positive numbers")

    @property
    def _cell(self) -> Ravelled:
        """The recursion with real vectors as states, each with the output at its end."""
        return Ravelled(self.recursion)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """The shape of the noise scale: one number for one series."""
        return () if self.count == 1 else (self.count,)

    @property
    def num_series(self) -> int:
        """Number of series."""
        return self.count

    @property
    def num_features(self) -> int:
        """Length of phi."""
        outputs = self.recursion.output_size * (2 if self.squares == "all" else 1)
        return outputs + self.recursion.input_size * self.direct + 1

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns."""
        return self.columns

    @property
    def reads_previous(self) -> bool:
        """Whether the last observation is fed back."""
        return self.feedback

    @property
    def first_previous(self) -> Float[Array, " series"]:
        """The observation before the first stamp."""
        return self.centre if self.previous is None else self.previous

    @property
    def filtered_names(self) -> tuple[str, ...]:
        """What filters and smoothers report in place of the states: the signals W phi."""
        return ("signal",) if self.count == 1 else tuple(f"signal{i}" for i in range(self.count))

    @property
    def state_names(self) -> tuple[str, ...]:
        """The recursion's state, its output, and the weights."""
        weights = [f"weight{s}_{i}" for s in range(self.count) for i in range(self.num_features)]
        return (*self._cell.state_names, *weights)

    @property
    def centre(self) -> Float[Array, " series"]:
        """What the weights explain the deviations from: the level, 0 while no data have told it."""
        return jnp.zeros(self.count) if self.level is None else self.level

    @property
    def feedback_unit(self) -> Float[Array, " series"]:
        """The unit of what is fed back, 1 while no data have told it."""
        return jnp.ones(self.count) if self.unit is None else self.unit

    @property
    def noise(self) -> Float[Array, " series"]:
        """The noise scale of each series."""
        return jnp.broadcast_to(self.emission_scale, (self.count,))

    def bind(self, binding: Any) -> "EchoState":
        """The model with level and unit of the data, where it has none of its own."""
        found = {"level": binding.level, "unit": binding.scale}
        open_ = {n: jnp.asarray(v, float) for n, v in found.items() if getattr(self, n) is None and v is not None}
        sized = {name: value for name, value in open_.items() if value.shape == (self.count,)}
        return with_fields(self, **sized) if sized else self

    def fed(self, steps: Step) -> Float[Array, "*time inputs"]:
        """What enters the recursion at one step or at many: r."""
        parts = []
        if self.feedback:
            parts.append((jnp.asarray(steps.previous) - self.centre) / self.feedback_unit)
        if self.columns:
            parts.append(jnp.asarray(steps.inputs))
        return jnp.concatenate(parts, axis=-1) if parts else jnp.zeros((*steps.index.shape, 0))

    def features(
        self, outputs: Float[Array, "*time outputs"], drive: Float[Array, "*time inputs"]
    ) -> Float[Array, "*time features"]:
        """What the weights multiply: phi; a TypeError if outputs are complex."""
        if jnp.iscomplexobj(outputs):
            raise TypeError(f"the readout weighs real outputs, but those of the recursion are {outputs.dtype}")
        if self.squares == "even":
            odd = jnp.arange(outputs.shape[-1]) % 2 == 1
            outputs = jnp.where(odd, outputs**2, outputs)
        parts = [outputs, outputs**2] if self.squares == "all" else [outputs]
        one = jnp.ones((*outputs.shape[:-1], 1), outputs.dtype)
        return jnp.concatenate([*parts, drive, one] if self.direct else [*parts, one], axis=-1)

    def run(self, steps: Step, state: PyTree = None) -> tuple[Float[Array, "time features"], PyTree]:
        """All features of teacher-forced steps, and the recursion's last state.

        Args:
            steps: The stamps, with the observations before them.
            state: The recursion's state before the first of them; at rest when left out.
        """
        drive, dt = self.fed(steps), None
        if self.recursion.reads_dt:
            dt = steps.dt if state is not None else steps.dt.at[0].set(1.0)  # before the first stamp there is no time
        outputs, last = self.recursion.scan(drive, state, dt=dt)
        return self.features(outputs, drive), last

    def closed_loop(self, weights: Float[Array, "series features"]) -> ClosedLoop:
        """The noise-free system that feeds its own outputs back, under given weights."""
        weights = jnp.asarray(weights)
        if weights.shape != (self.count, self.num_features):
            raise ValueError(f"weights have shape {weights.shape}, expected {(self.count, self.num_features)}")
        return ClosedLoop(self, weights)

    def initial(self, step: Step) -> FactorNormal:
        """The law of state, output and weights at the first stamp."""
        size = self.count * self.num_features
        mean = self._moved(jnp.concatenate([self._cell.start(), jnp.zeros(size)]), step, 1.0)
        return FactorNormal(mean, self._of_weights(mean, self.noise / jnp.sqrt(self.ridge)))

    def transition(self, x: Float[Array, " state"], step: Step) -> FactorNormal:
        """The recursion's next step; the weights stay, or drift."""
        mean = self._moved(x, step, step.dt)
        if not self.drifts:
            return FactorNormal(mean, jnp.zeros((mean.shape[0], 0), mean.dtype))
        return FactorNormal(mean, self._of_weights(mean, self.noise * self.weight_drift))

    def emission(self, x: Float[Array, " state"], step: Step) -> FactorNormal:
        """The law of the observation."""
        end = self._cell.state_size
        weights = x[end:].reshape(self.count, self.num_features)
        phi = self.features(x[end - self.recursion.output_size : end], self.fed(step))
        return FactorNormal(self.centre + weights @ phi, jnp.diag(self.noise))

    def joined(self, state: PyTree, output: Float[Array, " outputs"], weights: Float[Array, "..."]) -> Array:
        """A state vector of the recursion's state, its output and the weights."""
        return jnp.concatenate([self._cell.joined(state, output), weights.reshape(-1)])

    def _moved(self, x: Float[Array, " state"], step: Step, dt: Any) -> Float[Array, " state"]:
        """The recursion moved by a step, the weights as they are."""
        end = self._cell.state_size
        after = self._cell.advance(x[:end], self.fed(step), dt if self.recursion.reads_dt else None)
        return jnp.concatenate([after, x[end:]])

    def _of_weights(self, mean: Array, scale: Float[Array, " series"]) -> Float[Array, "state weights"]:
        """The factor of independent noise on the weights alone, of one scale for each series."""
        factor = jnp.diag(jnp.repeat(scale, self.num_features))
        return jnp.pad(factor, ((mean.shape[0] - factor.shape[0], 0), (0, 0)))
