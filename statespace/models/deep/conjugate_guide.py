"""Guides that put an encoder's normal potentials in the place of likelihoods, and are exact from there on."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from numpyro.distributions import MultivariateNormal

from ...core.belief import Gaussian
from ...core.linalg import matmul, semidefinite_factor
from ...core.step import Step
from .dynamics import LinearTransition
from .encoder import Encoder
from .guide import AbstractGuide, encoded, fed_along
from .information import Information, information_after
from .kalman_dynamics import KalmanDynamics, Mixed
from .laws import Law, parts, times
from .model import DeepStateSpace
from .networks import NormalNetwork, positive


class Potentials(NamedTuple):
    """Functions proportional to N(z[t]; mean, spread^2) at each stamp, 1 where nothing is known.

    Attributes:
        mean: Means.
        spread: Standard deviations.
        there: Whether anything is known, (time,); None where it is at all stamps.
    """

    mean: Float[Array, "time latent"]
    spread: Float[Array, "time latent"]
    there: Bool[Array, " time"] | None

    def information(self, added: Any = 0.0) -> tuple[Float[Array, "time latent"], Float[Array, "time latent"]]:
        """Diagonal of the precision, and vector, with so much variance added."""
        weight = 1.0 / (self.spread**2 + added)
        weight = weight if self.there is None else jnp.where(self.there[:, None], weight, 0.0)
        return weight, weight * self.mean


class AbstractConjugateGuide(AbstractGuide):
    """A guide that is the model's own law of latent states times a normal potential at each stamp.

        q(z | x) proportional to p(z) product over t of N(z[t]; m[t], diag(s[t])^2),      m[t], s[t] by the encoder

    Attributes:
        encoder: On each stamp, or on the sequence.
        potential: From its messages to means and standard deviations of the potentials.
    """

    encoder: eqx.AbstractVar[Encoder]
    potential: eqx.AbstractVar[NormalNetwork]

    @property
    def direction(self) -> str:
        """Later stamps' potentials reach a stamp through the model: "backward", or "both" with an encoder's past."""
        return "both" if self.encoder.direction in ("forward", "both") else "backward"

    @abc.abstractmethod
    def messages(
        self, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any = None
    ) -> tuple[Float[Array, "time *message"], ...]:
        """What all potentials from a stamp on say of it; arguments as of `AbstractGuide`."""

    def potentials(self, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any) -> Potentials:
        """The potential of each stamp: 1 where nothing is observed, and beyond the end."""
        found = encoded(self.encoder, model, y, present, steps, inside)
        law = self.potential(jnp.concatenate(found, axis=-1))
        there = None if present is None else jnp.any(present, axis=-1)
        if inside is not None:
            there = inside if there is None else inside & there
        return Potentials(*parts(law), there)


def check_potential(encoder: Encoder, potential: NormalNetwork) -> None:
    """Raise a ValueError if a network does not read what an encoder says."""
    got, expected = potential.body.input_size, sum(encoder.sizes)
    if got != expected:
        raise ValueError(f"the network of the potentials has {got} inputs, but the encoder's messages have {expected}")


class ConjugateGuide(AbstractConjugateGuide):
    """The guide of the structured variational autoencoder, for a model with a `LinearTransition`.

        q(z[t] | z[t-1], x) proportional to p(z[t] | z[t-1]) potential[t](z[t]) beta[t](z[t])

    with beta what later potentials say of z[t], by a backward information filter. So q is exactly the model's law times
    all potentials, a joint normal law of the whole path. It is the posterior where potentials are likelihoods.

    Args:
        encoder: On each stamp, or on the sequence.
        potential: From its messages to means and standard deviations of the potentials.

    Raises:
        ValueError: If sizes do not follow on each other.

    Example:
        >>> from statespace.models.deep import MLP
        >>> guide = ConjugateGuide(Encoder(MLP([3, 8], key=0)), NormalNetwork(MLP([8]), 2, key=1))
        >>> guide.direction
        'backward'

    Reference: Johnson et al. (2016), "Composing graphical models with neural networks for structured representations
    and fast inference", NeurIPS, section 4; Zhao and Linderman (2023), "Revisiting structured variational
    autoencoders", ICML, section 3.
    """

    encoder: Encoder
    potential: NormalNetwork

    skips: ClassVar[bool] = False

    def __check_init__(self):
        check_potential(self.encoder, self.potential)

    def messages(
        self, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any = None
    ) -> tuple[Float[Array, "time *message"], ...]:
        """Precision and vector of all potentials from each stamp on; arguments as of `AbstractGuide`.

        Raises:
            TypeError: If the model's dynamics are of another kind.
        """
        dynamics = model.dynamics
        if not isinstance(dynamics, LinearTransition):
            raise TypeError(f"ConjugateGuide is for a LinearTransition, got {type(dynamics).__name__}")
        weight, vector = self.potentials(model, y, present, steps, inside).information()
        fed = fed_along(model, steps, present)
        drift = dynamics.linear(jnp.zeros_like(vector))
        drift = drift if dynamics.inputs is None else drift + dynamics.inputs(fed)
        matrices = jnp.broadcast_to(dynamics.linear.weights, (*vector.shape, vector.shape[1]))
        own = Information(jax.vmap(jnp.diag)(weight), vector)
        found = own * information_after(matrices, drift, positive(dynamics.raw_spread), own)
        return found.precision, found.vector

    def propose(
        self, model: DeepStateSpace, messages: Any, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law
    ) -> MultivariateNormal:
        """The model's law times what all potentials from the stamp on say; arguments as of `AbstractGuide`."""
        del model, h, z
        return times(prior, *messages)


class KalmanGuide(AbstractConjugateGuide):
    """The smoothing guide of the Kalman variational autoencoder, for a model with `KalmanDynamics`.

        q(z[t] | z[1:t-1], x) proportional to potential[t](z[t]) integral p(z[t], s[t] | z[1:t-1]) beta[t](s[t]) ds[t]

    with beta what later potentials say of the state s behind z, by a backward information filter with matrices that a
    pass forward mixes: its cell sees the means of the potentials, and where nothing is observed the predicted mean.
    With one matrix to mix, q is exactly the model's law times all potentials.

    Args:
        encoder: On each stamp, or on the sequence.
        potential: From its messages to means and standard deviations of the potentials.

    Raises:
        ValueError: If sizes do not follow on each other.

    Example:
        >>> from statespace.models.deep import MLP
        >>> KalmanGuide(Encoder(MLP([3, 8], key=0)), NormalNetwork(MLP([8]), 2, key=1)).direction
        'both'

    Reference: Fraccaro et al. (2017), "A disentangled recognition and nonlinear dynamics model for unsupervised
    learning", NeurIPS, sections 3.3 and 3.4.
    """

    encoder: Encoder
    potential: NormalNetwork

    skips: ClassVar[bool] = False

    def __check_init__(self):
        check_potential(self.encoder, self.potential)

    @property
    def direction(self) -> str:
        """The pass forward reads earlier stamps, the filter backward later ones."""
        return "both"

    def messages(
        self, model: DeepStateSpace, y: Array, present: Any, steps: Step, inside: Any = None
    ) -> tuple[Float[Array, "time *message"], ...]:
        """What later potentials say of s, then what the stamp's own says of z; arguments as of `AbstractGuide`.

        Raises:
            TypeError: If the model's dynamics are of another kind.
        """
        dynamics = _kalman(model)
        own = self.potentials(model, y, present, steps, inside)
        mixed = dynamics.along(own.mean, own.spread, own.there, fed_along(model, steps, present), steps)
        later = _later(dynamics, mixed, *own.information(dynamics.spreads[1] ** 2))
        return (later.precision, later.vector, *own.information())

    def propose(
        self, model: DeepStateSpace, messages: Any, h: Float[Array, " path"], z: Float[Array, " latent"], prior: Law
    ) -> MultivariateNormal:
        """The law of z from that of s times what all later potentials say, times the stamp's own potential."""
        del z, prior
        precision, vector, weight, drawn = messages
        dynamics = _kalman(model)
        state = _informed(dynamics.split(h)[1], precision, vector)
        return times(dynamics.seen(state, h), weight, drawn)


def smoothed_moments(
    model: DeepStateSpace, z: Float[Array, "time latent"], steps: Step, present: Any = None
) -> tuple[Float[Array, "time states"], Float[Array, "time states states"]]:
    """Means and covariances of the states behind the latent states of `KalmanDynamics`, given the whole path of these.

    Args:
        model: The model.
        z: The latent states.
        steps: The stamps, with the observations before them where the model reads those.
        present: Which of those are there, (time, series); None where all are.

    Raises:
        TypeError: If the model's dynamics are of another kind.
    """
    dynamics = _kalman(model)
    exact = Potentials(z, jnp.zeros_like(z), None)
    mixed = dynamics.along(*exact, fed_along(model, steps, present), steps)
    own = exact.information(dynamics.spreads[1] ** 2)
    said = _seen(mixed, *own) * _later(dynamics, mixed, *own)
    found = jax.vmap(_informed)(mixed.belief, *said)
    return found.mean, found.cov


def _kalman(model: DeepStateSpace) -> KalmanDynamics:
    if not isinstance(model.dynamics, KalmanDynamics):
        raise TypeError(f"this is for KalmanDynamics, got {type(model.dynamics).__name__}")
    return model.dynamics


def _informed(belief: Gaussian, precision: Array, vector: Array) -> Gaussian:
    """A normal law times exp(-s'P s / 2 + v's)."""
    law = MultivariateNormal(belief.mean, scale_tril=semidefinite_factor(belief.cov))
    mean, factor = parts(times(law, precision, vector))
    return Gaussian(mean, matmul(factor, factor.T))


def _seen(mixed: Mixed, weight: Array, vector: Array) -> Information:
    """What each stamp says of s, from precision and vector of C s."""
    each = mixed.emission
    return Information(jnp.einsum("tai,ta,taj->tij", each, weight, each), jnp.einsum("tai,ta->ti", each, vector))


def _later(dynamics: KalmanDynamics, mixed: Mixed, weight: Array, vector: Array) -> Information:
    """What all later stamps say of s."""
    own = _seen(mixed, weight, vector)
    return information_after(mixed.transition, mixed.offset, dynamics.spreads[0], own)
