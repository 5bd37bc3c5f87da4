"""The two ladders on which models stand: what their dynamics are, and what their emission is.

    dynamics:  any  >  Gaussian            >  linear-Gaussian
    emission:  any  >  with moments        >  linear-Gaussian
                                           >  a function of a linear signal

A method asks for a rung of each; a model may stand high on one and low on the other.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from numpyro.distributions import Distribution

from ..core.linalg import semidefinite_factor
from ..core.normal import FactorNormal
from ..core.step import Step
from .initial import InitialLaw


class TransitionMatrices(eqx.Module):
    """The part of a linear-Gaussian transition that is not its matrix: x' = F x + offset + factor z.

    Attributes:
        offset: Shape (state,).
        factor: Noise factor, shape (state, noise); the noise covariance is factor factor'.
    """

    offset: Float[Array, " state"]
    factor: Float[Array, "state noise"]


class EmissionMatrices(eqx.Module):
    """A linear-Gaussian emission: y = matrix x + offset + noise.

    Attributes:
        matrix: Shape (series, state).
        offset: Shape (series,).
        scale: Standard deviations, shape (series,), or a noise factor, shape (series, noise).
    """

    matrix: Float[Array, "series state"]
    offset: Float[Array, " series"]
    scale: Float[Array, " series"] | Float[Array, "series noise"]


class AbstractStateSpace(eqx.Module):
    """A law for the first state, for the next state, and for what is observed.

    Subclasses write `initial`, `transition` and `emission`, each of which returns a NumPyro distribution,
    and the three properties. Fields must not be named like these methods.
    """

    @abc.abstractmethod
    def initial(self, step: Step) -> Distribution:
        """The law of the state at the first stamp, given that stamp's inputs."""

    @abc.abstractmethod
    def transition(self, x: Float[Array, " state"], step: Step) -> Distribution:
        """The law of the state at `step`, given the state at the stamp before."""

    @abc.abstractmethod
    def emission(self, x: Float[Array, " state"], step: Step) -> Distribution:
        """The law of the observation at `step`, given the state there."""

    @property
    @abc.abstractmethod
    def state_names(self) -> tuple[str, ...]:
        """A name for each element of the state."""

    @property
    def num_series(self) -> int:
        """The number of observed series."""
        return 1

    @property
    def filtered_names(self) -> tuple[str, ...]:
        """What filters and smoothers report: the states, unless the model has something better."""
        return self.state_names

    @property
    def schedule(self) -> PyTree:
        """Time-varying arrays (leading axis: stamps); each step carries its slice. None if there are none."""
        return None

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the model reads, in the order in which it reads them."""
        return ()

    @property
    def reads_previous(self) -> bool:
        """Whether a law reads `step.previous`, the observation at the stamp before; whoever runs the model fills it."""
        return False

    @property
    def first_previous(self) -> Float[Array, " series"]:
        """The observation before the first stamp, for a model that reads it; NaN where there is none."""
        return jnp.full((self.num_series,), jnp.nan)

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Which values (time, series), NaN where missing, the emission cannot make, and what it can, in words."""
        del inputs
        return np.zeros(y.shape, bool), ""

    def in_signal_unit(self, y: np.ndarray, inputs: np.ndarray | None) -> np.ndarray:
        """The values (time, series), NaN where missing, in the unit in which scales are measured."""
        del inputs
        return y

    def bind(self, binding: Any) -> "AbstractStateSpace":
        """The model tied to the data's columns and dates; by default there is nothing to tie."""
        del binding
        return self


class AbstractGaussianDynamics(AbstractStateSpace):
    """Dynamics x' = drift(x) + factor z with standard normal z."""

    @abc.abstractmethod
    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The conditional mean of the state at `step`."""

    @abc.abstractmethod
    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """The factor of the conditional covariance, given the state at the stamp before."""

    def transition(self, x: Float[Array, " state"], step: Step) -> FactorNormal:
        """The law of the state at `step`, given the state at the stamp before."""
        return FactorNormal(self.drift(x, step), self.noise_factor(x, step))


class AbstractLinearDynamics(AbstractGaussianDynamics):
    """Dynamics x' = F x + offset + factor z, where `propagate` applies F."""

    @abc.abstractmethod
    def initial_law(self, step: Step) -> InitialLaw:
        """The normal, possibly diffuse, law of the first state."""

    @abc.abstractmethod
    def propagate(self, x: Float[Array, "state *columns"], step: Step) -> Float[Array, "state *columns"]:
        """Apply the transition matrix along the leading axis."""

    @abc.abstractmethod
    def transition_matrices(self, step: Step) -> TransitionMatrices:
        """Offset and noise factor of the transition into `step`."""

    def initial(self, step: Step) -> FactorNormal:
        """The law of the state at the first stamp, given that stamp's inputs."""
        law = self.initial_law(step)
        return FactorNormal(law.mean, law.scale, diffuse=any(law.diffuse))

    def drift(self, x: Float[Array, " state"], step: Step) -> Float[Array, " state"]:
        """The conditional mean of the state at `step`."""
        return self.propagate(x, step) + self.transition_matrices(step).offset

    def noise_factor(self, x: Float[Array, " state"], step: Step) -> Float[Array, "state noise"]:
        """The factor of the conditional covariance, the same at every state."""
        del x
        return self.transition_matrices(step).factor


class AbstractMomentEmission(AbstractStateSpace):
    """Emissions whose conditional mean and covariance are known functions of the state.

    Their law is the normal one with these moments unless a subclass gives its own `emission`.
    """

    @abc.abstractmethod
    def conditional_moments(
        self, x: Float[Array, " state"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
        """Mean and covariance of the observation, given the state."""

    def emission(self, x: Float[Array, " state"], step: Step) -> Distribution:
        """The law of the observation at `step`, given the state there."""
        mean, cov = self.conditional_moments(x, step)
        return FactorNormal(mean, semidefinite_factor(cov))


class SignalMatrices(eqx.Module):
    """A linear signal of the state: signal = matrix x + offset.

    Attributes:
        matrix: Shape (series, state).
        offset: Shape (series,).
    """

    matrix: Float[Array, "series state"]
    offset: Float[Array, " series"]


class HasStatistic(eqx.Module):
    """Looks at a statistic z(y) of each observation where moments are worked with; here the observation itself."""

    @property
    def has_statistic(self) -> bool:
        """Whether the statistic is another than the observation itself."""
        return False

    def statistic(
        self, y: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """The statistic z of each observation, and log |dz/dy|."""
        del step
        return y, jnp.zeros_like(y)


class AbstractSignalEmission(AbstractMomentEmission, HasStatistic):
    """Emissions in which each element has a law of its own, given its own element of a linear signal.

        signal = H x + d,      y_i ~ p(. | signal_i), independent given the signal

    A method that works with moments does so for the statistic z(y): y itself unless a subclass says otherwise.
    """

    @abc.abstractmethod
    def signal_matrices(self, step: Step) -> SignalMatrices:
        """Matrix and offset of the signal at `step`."""

    @abc.abstractmethod
    def signal_law(self, signal: Float[Array, " series"], step: Step) -> Distribution:
        """The laws of the elements given theirs of the signal, as a batch of shape (series,)."""

    @abc.abstractmethod
    def working_signal(self, y: Float[Array, " series"], step: Step) -> Float[Array, " series"]:
        """The signal that each observation suggests by itself (the link at a value inside its support)."""

    def signal_moments(
        self, signal: Float[Array, " series"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
        """Mean and variance of each statistic given the signal."""
        law: Any = self.signal_law(signal, step)
        return law.mean, law.variance

    def conditional_moments(
        self, x: Float[Array, " state"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
        """Mean and covariance of the observation, given the state."""
        law: Any = self.emission(x, step)
        return law.mean, jnp.diag(law.variance)

    def emission(self, x: Float[Array, " state"], step: Step) -> Distribution:
        """The law of the observation at `step`, given the state there."""
        parts = self.signal_matrices(step)
        return self.signal_law(parts.matrix @ x + parts.offset, step).to_event(1)


class AbstractLinearEmission(AbstractMomentEmission):
    """Emissions y = H x + offset + normal noise."""

    @abc.abstractmethod
    def emission_matrices(self, step: Step) -> EmissionMatrices:
        """Matrix, offset and noise scale at `step`."""

    def conditional_moments(
        self, x: Float[Array, " state"], step: Step
    ) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
        """Mean and covariance of the observation, given the state."""
        parts = self.emission_matrices(step)
        factor = noise_matrix(parts.scale)
        return parts.matrix @ x + parts.offset, factor @ factor.T

    def emission(self, x: Float[Array, " state"], step: Step) -> FactorNormal:
        """The law of the observation at `step`, given the state there."""
        parts = self.emission_matrices(step)
        return FactorNormal(parts.matrix @ x + parts.offset, noise_matrix(parts.scale))


class AbstractLinearGaussian(AbstractLinearDynamics, AbstractLinearEmission):
    """Both ladders' highest rungs: what the Kalman filter needs."""


def noise_matrix(scale: Array) -> Float[Array, "series noise"]:
    """A noise factor from standard deviations or from a factor."""
    return jnp.diag(scale) if scale.ndim == 1 else scale
