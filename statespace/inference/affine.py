"""A model made affine along given laws: a linear-Gaussian model, for which everything exact is there already.

Smoothing, leave-one-out densities and draws of paths run on it as they do on any linear-Gaussian model: with
missing elements, a diffuse start and singular covariances, and without a second copy of a smoother.
"""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core.belief import Gaussian
from ..core.linalg import matmul, safe_sqrt, semidefinite_factor
from ..core.linearise import AbstractRule, Affine
from ..core.scan import part
from ..core.step import Step
from ..models.base import (
    AbstractLinearDynamics,
    AbstractLinearEmission,
    AbstractLinearGaussian,
    AbstractSignalEmission,
    EmissionMatrices,
    TransitionMatrices,
)
from ..models.initial import InitialLaw
from .linearisation import emission_about, in_state, signal_lines, transition_about


class Along(eqx.Module):
    """What the steps of an affine model carry.

    Attributes:
        schedule: The original model's own time-varying arrays.
        transition: The affine dynamics into each stamp; None where they are linear anyway.
        emission: The affine emission at each stamp; None where only dynamics are asked for.
    """

    schedule: Any
    transition: Affine | None
    emission: EmissionMatrices | None


class AffineModel(AbstractLinearGaussian):
    """A model whose nonlinear parts are replaced by what its steps carry (`Along`).

    Attributes:
        model: The original model.
    """

    model: Any

    @property
    def state_names(self) -> tuple[str, ...]:
        """Those of the original model."""
        return self.model.state_names

    @property
    def num_series(self) -> int:
        """That of the original model."""
        return self.model.num_series

    def initial_law(self, step: Step) -> InitialLaw:
        """The original first law, or the normal law with its moments."""
        original = _original(step)
        if isinstance(self.model, AbstractLinearDynamics):
            return self.model.initial_law(original)
        law = first_moments(self.model, original)
        return InitialLaw(law.mean, law.cov, (False,) * law.mean.shape[0])

    def propagate(self, x: Float[Array, "state *columns"], step: Step) -> Float[Array, "state *columns"]:
        """Apply the (affine) dynamics' matrix."""
        found = step.schedule.transition
        return self.model.propagate(x, _original(step)) if found is None else matmul(found.matrix, x)

    def transition_matrices(self, step: Step) -> TransitionMatrices:
        """Offset and noise factor of the (affine) dynamics."""
        found = step.schedule.transition
        if found is None:
            return self.model.transition_matrices(_original(step))
        return TransitionMatrices(found.offset, semidefinite_factor(found.cov))

    def emission_matrices(self, step: Step) -> EmissionMatrices:
        """The affine emission; a bare linear signal, with noise of size one, where the steps carry none."""
        if step.schedule.emission is not None:
            return step.schedule.emission
        if isinstance(self.model, AbstractLinearEmission):
            return self.model.emission_matrices(_original(step))
        signal = self.model.signal_matrices(_original(step))
        return EmissionMatrices(signal.matrix, signal.offset, jnp.ones_like(signal.offset))


def _original(step: Step) -> Step:
    return replace(step, schedule=step.schedule.schedule)


def first_moments(model: Any, step: Step) -> Gaussian:
    """Mean and covariance of a model's first law."""
    law: Any = model.initial(step)
    cov = law.covariance_matrix if hasattr(law, "covariance_matrix") else jnp.diag(law.variance)
    return Gaussian(law.mean, cov)


def bare(steps: Step) -> Step:
    """Steps for the dynamics and the signal alone."""
    return _carrying(steps, None, None)


def _carrying(steps: Step, transition: Affine | None, emission: EmissionMatrices | None) -> Step:
    return replace(steps, schedule=Along(steps.schedule, transition, emission))


def along_run(model: Any, rule: AbstractRule, steps: Step, filtered: Gaussian, emission: Affine) -> Step:
    """Steps that carry the linearisations of a filter run.

    Args:
        model: The original model.
        rule: How dynamics are linearised.
        steps: The stamps.
        filtered: The run's filtered laws, stacked.
        emission: Its last linearisation of each stamp's emission.
    """
    seen = None if isinstance(model, AbstractLinearEmission) else as_matrices(emission)
    return _carrying(steps, _transitions(model, rule, steps, filtered), seen)


def along_laws(model: Any, rule: AbstractRule, steps: Step, laws: Gaussian) -> Step:
    """Steps that carry the linearisations about given laws of each stamp's state."""

    def one(law: Gaussian, step: Step) -> Affine:
        if isinstance(model, AbstractSignalEmission):
            signal = model.signal_matrices(step)
            lines = signal_lines(model, rule, signal.matrix, signal.offset, law, step)
            return in_state(lines, signal.matrix, signal.offset)
        return emission_about(model, rule, law, step, elsewhere=True)

    if isinstance(model, AbstractLinearEmission):
        emission = None
    else:
        emission = as_matrices(jax.vmap(one)(laws, steps))
    return _carrying(steps, _transitions(model, rule, steps, laws), emission)


def _transitions(model: Any, rule: AbstractRule, steps: Step, laws: Gaussian) -> Affine | None:
    """The dynamics into each stamp about the law before it; the first stamp's is never used."""
    if isinstance(model, AbstractLinearDynamics):
        return None
    before, later = part(laws, 0, -1), part(steps, 1, None)

    def one(law: Gaussian, step: Step) -> Affine:
        return transition_about(model, rule, law, step, elsewhere=True)

    found = jax.vmap(one)(before, later)
    return jax.tree.map(lambda leaf: jnp.concatenate([jnp.zeros_like(leaf[:1]), leaf]), found)


def as_matrices(found: Affine) -> EmissionMatrices:
    """Stacked affine emissions in the form of linear ones."""
    scale = safe_sqrt(found.cov) if found.cov.ndim == 2 else jax.vmap(semidefinite_factor)(found.cov)
    return EmissionMatrices(found.matrix, found.offset, scale)
