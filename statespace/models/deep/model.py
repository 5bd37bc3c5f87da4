"""Deep state-space models: latent dynamics, a network and a head."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Distribution

from ...core.normal import FactorNormal
from ...core.parameters import with_fields
from ...core.step import Step
from ..base import AbstractGaussianDynamics, AbstractMomentEmission
from ..recurrent.heads import AbstractHead
from .dynamics import AbstractLatentDynamics
from .laws import Law, parts, triangle
from .networks import MLP


class DeepStateSpace(AbstractGaussianDynamics, AbstractMomentEmission):
    """A state-space model of networks, whose state is a deterministic path h and latent states z.

        h[t], z[t] by the dynamics,      y[t] ~ head(network(read(h[t], z[t])))

    It is a state-space model like any other: simulated, filtered by particles or linearisation, forecast. `SVI` with a
    `Guide` learns it. What the dynamics are fed is the features of the observation before (feedback=True), then the
    input columns, divided by their standard deviations in the first data that the model meets.

    Args:
        dynamics: How path and latent states move.
        network: Between what the emission sees and the head.
        head: The law of the observation given the network's output.
        feedback: Whether the dynamics are fed the observation before.
        input_names: The input columns (actions) that the dynamics are fed.

    Raises:
        TypeError: If a part is something else.
        ValueError: If sizes do not follow on each other.

    Example:
        >>> from statespace.models.deep import MLP, GatedTransition
        >>> from statespace.models.recurrent.heads import BernoulliHead
        >>> model = DeepStateSpace(GatedTransition(2, 8, key=0), MLP([2, 16], key=1), BernoulliHead())
        >>> model.state_names
        ('z0', 'z1')

    Reference: Girin et al. (2021), "Dynamical variational autoencoders: a comprehensive review", section 4.
    """

    dynamics: AbstractLatentDynamics
    network: MLP
    head: AbstractHead
    _: KW_ONLY
    input_unit: Float[Array, " columns"] | None
    feedback: bool = eqx.field(static=True)
    columns: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        dynamics: AbstractLatentDynamics,
        network: MLP,
        head: AbstractHead,
        *,
        feedback: bool = False,
        input_names: Sequence[str] = (),
    ):
        parts = ((dynamics, AbstractLatentDynamics), (network, MLP), (head, AbstractHead))
        for part, kind in parts:
            if not isinstance(part, kind):
                raise TypeError(f"DeepStateSpace takes an {kind.__name__} here, got {type(part).__name__}")
        if network.input_size != dynamics.readout:
            raise ValueError(f"the network has {network.input_size} inputs, but the emission sees {dynamics.readout}")
        self.dynamics, self.network, self.head = dynamics, network, head.on(network.output_size)
        self.feedback, self.input_unit = feedback, None
        self.columns = (input_names,) if isinstance(input_names, str) else tuple(input_names)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Those of the path, then z0, z1, ..."""
        return (*self.dynamics.path_names, *(f"z{i}" for i in range(self.dynamics.latent)))

    @property
    def num_series(self) -> int:
        """The number of observed series."""
        return self.head.num_series

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the dynamics are fed."""
        return self.columns

    @property
    def reads_previous(self) -> bool:
        """Whether the dynamics are fed the observation before."""
        return self.feedback

    def bind(self, binding: Any) -> "DeepStateSpace":
        """The model tied to the data's series, to their level and unit, and to the inputs' where it has none yet.

        Raises:
            ValueError: If the dynamics take another number of inputs, or count steps and the stamps are irregular.
        """
        head = self.head.bind(binding)
        size = head.features * self.feedback + len(self.columns)
        if self.dynamics.fed != size:
            fed = f"{head.features} of the observation before and " if self.feedback else ""
            raise ValueError(
                f"the dynamics take {self.dynamics.fed} inputs, but they are fed {size}: {fed}{len(self.columns)} "
                f"input columns; make them with fed={size}"
            )
        if not binding.regular and not self.dynamics.reads_dt:
            raise ValueError(
                f"{type(self.dynamics).__name__} counts steps, but the stamps are not evenly spaced: put the data on a "
                "regular frequency (asfreq, with NaN for missing stamps), or use dynamics in continuous time "
                "(MLPTransition(residual=True), a CTRNN)"
            )
        unit = self.input_unit
        if self.columns and unit is None:
            unit = jnp.asarray(binding.input_scale, jnp.result_type(float))
        return with_fields(self, head=head, input_unit=unit)

    def outside(self, y: Any, inputs: Any) -> tuple[Any, str]:
        """Which values the head's law cannot make."""
        del inputs
        return self.head.outside(y)

    def fed(self, step: Step) -> Float[Array, " fed"]:
        """What the dynamics are fed at a step: zeros where no observation came before, at the first stamp of all."""
        parts = []
        if self.feedback:
            started = step.index > 0
            before = jnp.zeros(self.num_series) if step.previous is None else jnp.asarray(step.previous)
            seen = self.head.feature(jnp.where(started, before, 0.0))
            parts.append(jnp.where(started, seen, 0.0))
        if self.columns:
            u = jnp.asarray(step.inputs)
            parts.append(u if self.input_unit is None else u / self.input_unit)
        return jnp.concatenate(parts, axis=-1) if parts else jnp.zeros(0)

    def split(self, x: Float[Array, "*batch state"]) -> tuple[Array, Array]:
        """Path and latent states of a state."""
        return x[..., : self.dynamics.path], x[..., self.dynamics.path :]

    @property
    def start(self) -> Float[Array, " state"]:
        """The state before the first stamp, from which the first move is made."""
        return jnp.concatenate(self.dynamics.start())

    def ahead(self, x: Float[Array, " state"], step: Step) -> tuple[Array, Law]:
        """The path at a step, and the law of the latent states there.

        Args:
            x: The state at the stamp before; `start` at the first stamp.
            step: The step.
        """
        step, fed = with_length(step), self.fed(step)
        h, z = self.split(x)
        h = self.dynamics.advance(h, z, fed, step)
        return h, self.dynamics.law(h, z, fed, step)

    def law(self, h: Float[Array, " path"], z: Float[Array, " latent"], step: Step) -> Law:
        """The law of the latent states at a step, given the path there and the latent states before."""
        return self.dynamics.law(h, z, self.fed(step), with_length(step))

    def initial(self, step: Step) -> FactorNormal:
        """The law of the state at the first stamp: that of a move from the start."""
        return self._moved(self.start, step)

    def transition(self, x: Float[Array, " state"], step: Step) -> FactorNormal:
        """The law of the state at `step`, given the state at the stamp before."""
        return self._moved(x, step)

    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The path, and the means of the latent states."""
        return self._moved(x, step).loc

    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """Zero for the path, the factor of the law of the latent states."""
        return self._moved(x, step).factor

    def emission(self, x: Float[Array, " state"], step: Step) -> Distribution:
        """The law of the observation, given the state."""
        del step
        return self.head.law(self.network(self.dynamics.read(*self.split(x)))).to_event(1)

    def conditional_moments(
        self, x: Float[Array, " state"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
        """Mean and covariance of the observation, given the state; NaN where its law has none."""
        law: Any = self.emission(x, step)
        return law.mean, jnp.diag(law.variance)

    def _moved(self, x: Array, step: Step) -> FactorNormal:
        h, law = self.ahead(x, step)
        spread = triangle(law)
        still = jnp.zeros((self.dynamics.path, len(spread)), spread.dtype)
        return FactorNormal(jnp.concatenate([h, parts(law)[0]]), jnp.concatenate([still, spread]))


def with_length(step: Step) -> Step:
    """The step, whose length before the first stamp of all is one."""
    if step.spacing is None:
        return step
    return with_fields(step, spacing=jnp.where(step.index > 0, step.spacing, 1.0))
