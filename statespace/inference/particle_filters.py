"""The particle filters: bootstrap, guided and auxiliary."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..core.normal import FactorNormal
from ..core.step import Step
from ..models.base import AbstractGaussianDynamics, AbstractMomentEmission, AbstractStateSpace
from .feynman_kac import FeynmanKac
from .moves import Auxiliary, Bootstrap, Guided, log_mean_density
from .particle import AbstractParticleFilter
from .proposals import LinearisedProposal


class BootstrapFilter(AbstractParticleFilter):
    """Particles move by the model's transition and are weighed by its emission: it serves every model.

    Args:
        num_particles: Number of particles.
        resampling: "systematic", "stratified", "residual" or "multinomial".
        threshold: Resample where the effective sample size falls to this share of the particles.
        keep: What to keep of each stamp: any of "moments", "quantiles", "genealogy", "history".
        score: Whether gradients of the log-likelihood are wanted.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> BootstrapFilter(num_particles=500).num_particles
        500

    Reference: Gordon, Salmond and Smith (1993), IEE Proceedings F 140.
    """

    def kac(self, model: Any) -> Bootstrap:
        """Move by the transition, weigh by the emission."""
        return Bootstrap(model, self.num_particles, self.score)


class GuidedFilter(AbstractParticleFilter):
    """Particles move by a proposal that has seen the observation: far fewer are needed where it is informative.

        w[t] = p(y_t | x_t) p(x_t | x_t-1) / q(x_t | x_t-1, y_t)

    Args:
        num_particles: Number of particles.
        resampling: "systematic", "stratified", "residual" or "multinomial".
        threshold: Resample where the effective sample size falls to this share of the particles.
        keep: What to keep of each stamp: any of "moments", "quantiles", "genealogy", "history".
        score: Whether gradients of the log-likelihood are wanted.
        proposal: Function (x, y, step) that returns the law of the state at `step` given the state x at the stamp
            before (None at the first stamp) and the observation y there. Left out: made from the model, whose
            noise is conditioned on the observation through the emission's linearisation at the predicted state.
            It needs Gaussian dynamics and an emission with moments, and serves singular noise.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> GuidedFilter(num_particles=100).resampling
        'systematic'

    Reference: Doucet, Godsill and Andrieu (2000), Statistics and Computing 10.
    """

    proposal: Callable[[Any, Any, Any], Any] | None = eqx.field(static=True, default=None)

    def lacks(self, model: Any) -> str:
        """Gaussian dynamics and moments of the emission, unless a proposal is given."""
        if not isinstance(model, AbstractStateSpace):
            return "is not a state-space model"
        made = isinstance(model, AbstractGaussianDynamics) and isinstance(model, AbstractMomentEmission)
        return "" if self.proposal is not None or made else "has no Gaussian dynamics with an emission of known moments"

    def cannot_weigh(self, model: Any, step: Step) -> str:
        """A proposal made from the model is one of its noises, which are to be told from the states."""
        law = None if self.proposal is not None else model.initial(step)
        factors = [law.factor] if isinstance(law, FactorNormal) else []
        if law is not None:
            factors.append(model.noise_factor(jnp.full(len(model.state_names), 0.7), step))
        for factor in factors:
            rows, columns = factor.shape
            if rows != columns or np.linalg.matrix_rank(np.asarray(factor, float)) < rows:
                return (
                    "has a first law or a transition whose noises cannot be told from its states, so GuidedFilter "
                    "cannot be held on a path: take a BootstrapFilter"
                )
        return ""

    def kac(self, model: Any) -> FeynmanKac:
        """Move by the proposal, weigh by the densities' ratio."""
        if self.proposal is None:
            return LinearisedProposal(model, self.num_particles, self.score)
        return Guided(model, self.num_particles, self.score, self.proposal)


class AuxiliaryFilter(AbstractParticleFilter):
    """A filter that resamples by what each particle promises for the coming observation.

    The promise enters as a mixture with the weights themselves, so that it cannot send all particles to one place:

        chosen by  w[i] (share + (1 - share) e[i] / sum_j w[j] e[j])

    Args:
        num_particles: Number of particles.
        resampling: "systematic", "stratified", "residual" or "multinomial".
        threshold: Resample where the effective sample size, the promise included, falls to this share.
        keep: What to keep of each stamp: any of "moments", "quantiles", "genealogy", "history".
        score: Whether gradients of the log-likelihood are wanted.
        look_ahead: Function (x, y, step) that returns the log of the promise e of a state x at the stamp before
            for the observation y at `step`. Left out: the emission's density at the mean of the transition.
        share: Weight of the particles' own weights in the mixture, above 0: the promise is bounded by its inverse.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> AuxiliaryFilter(num_particles=100).share
        0.1

    Reference: Pitt and Shephard (1999), JASA 94; the mixture: Chopin and Papaspiliopoulos (2020), section 10.3.3.
    """

    look_ahead: Callable[[Any, Any, Any], Any] | None = eqx.field(static=True, default=None)
    share: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        if not 0 < self.share <= 1:
            raise ValueError(f"share lies above 0 and is at most 1, got {self.share}")

    def kac(self, model: Any) -> Auxiliary:
        """Choose by the promise, move by the transition, weigh by the emission."""
        promise = self.look_ahead or (lambda x, y, step: log_mean_density(model, x, y, step))
        return Auxiliary(Bootstrap(model, self.num_particles, self.score), promise, self.share)
