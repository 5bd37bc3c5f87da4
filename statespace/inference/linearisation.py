"""The forward pass of every linearised filter: linearise about the law at hand, then do what the Kalman filter does.

The filters differ only in their rule (`core.linearise`). Dynamics that are linear are never linearised. A nonlinear
emission is linearised about the predicted law, or, iterated, again about the updated law; it always updates the
predicted law, so an observation counts once. An emission that is a function of a linear signal is linearised in the
signal, one dimension for each series whatever the size of the state.

While a diffuse direction is open the predicted signal has no law to linearise about: there each observation is
replaced by its expansion at the signal that it suggests by itself (for counts the logarithm of the count), the
working observation of a generalised linear model, and the exact diffuse update follows.

Sources: Bell and Cathey (1993), "The iterated Kalman filter update as a Gauss-Newton method", IEEE Transactions on
Automatic Control 38; García-Fernández, Svensson, Morelande and Särkkä (2015), "Posterior linearization filter",
IEEE Transactions on Signal Processing 63; McCullagh and Nelder (1989), "Generalized Linear Models", section 2.5.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import gaussian
from ..core.belief import DiffuseGaussian
from ..core.linalg import matmul, quadratic, solve_unit_lower
from ..core.linearise import AbstractRule, Affine, Lines, Taylor
from ..core.scan import Hoisted, at, depends, part
from ..core.step import Step
from ..models.base import AbstractLinearDynamics, AbstractLinearEmission, AbstractSignalEmission, EmissionMatrices
from . import prediction
from .kalman_filter import KalmanRecursion, Observation, decorrelated


class Slot(NamedTuple):
    """What the scan carries for one stamp.

    Attributes:
        step: The stamp.
        values: The statistics that are filtered.
        working: The signals that they suggest by themselves; None where the emission has no signal.
        mask: Which are present; None if all are.
        transition: What varies of the linear dynamics; empty for others.
        emission: What varies of a linear emission or signal; empty for others.
    """

    step: Step
    values: Float[Array, " series"]
    working: Any
    mask: Any
    transition: list[Any]
    emission: list[Any]


class Linearisation(KalmanRecursion):
    """Predict and update of one model on one set of stamps, keeping what the log-likelihood needs."""

    stable = False
    elsewhere = False  # whether a smoother will use the linearisations under other laws

    def __init__(self, model: Any, rule: AbstractRule, steps: Step, *, iterations: int, peeled: bool, mask: Any):
        self.model, self.rule, self.iterations, self.mask, self.root = model, rule, iterations, mask, False
        self.skip = 1 if peeled and len(steps) > 1 else 0
        self.linear = isinstance(model, AbstractLinearDynamics)
        transition = self._transition if self.linear else _transition_noise(model, steps)
        self.transition = Hoisted(transition, part(steps, self.skip, None))
        self.emission = Hoisted(_fixed_emission(model, steps), steps)

    def slots(self, steps: Step, y: Array) -> Slot:
        """Everything that varies, stacked over time; the first stamp's transition is never read."""
        values, working = y, None
        if isinstance(self.model, AbstractSignalEmission):
            values, _ = jax.vmap(self.model.statistic)(y, steps)
            working = jax.vmap(self.model.working_signal)(y, steps)
        if self.mask is not None:  # nothing that a missing value stands for may reach a derivative
            values = jnp.where(self.mask, values, 0.0)
            working = None if working is None else jnp.where(self.mask, working, 0.0)
        pad = [v if v is None else jnp.concatenate([v[: self.skip], v]) for v in self.transition.varying]
        return Slot(steps, values, working, self.mask, pad, self.emission.varying)

    def predict(self, belief: Any, slot: Slot) -> Any:
        """The belief at this stamp before its observation."""
        if self.linear:
            return super().predict(belief, slot)  # pyright: ignore[reportArgumentType]  it reads what both slots have
        noise = self.transition.merge(slot.transition)
        found = transition_about(self.model, self.rule, belief, slot.step, elsewhere=False, noise=noise)
        return gaussian.predict(belief, lambda x: matmul(found.matrix, x), found.offset, found.cov)

    def linearised(self, about: Any, slot: Slot) -> Affine:
        """The emission at a stamp, made affine about a law of the state there."""
        if isinstance(self.model, AbstractLinearEmission):
            return Affine(*self.emission.merge(slot.emission))
        if not isinstance(self.model, AbstractSignalEmission):
            noise, elsewhere = self.emission.merge(slot.emission), self.elsewhere or self.iterations > 1
            return emission_about(self.model, self.rule, about, slot.step, elsewhere=elsewhere, noise=noise)
        matrix, offset = self.emission.merge(slot.emission)
        lines = signal_lines(self.model, self.rule, matrix, offset, about, slot.step)
        if isinstance(about, DiffuseGaussian):
            working = Taylor().lines(_signal_moments(self.model, slot.step), slot.working, jnp.zeros_like(offset))
            lines = jax.tree.map(lambda a, b: jnp.where(about.remaining > 0, a, b), working, lines)
        return in_state(lines, matrix, offset)

    def passes(self, belief: Any, slot: Slot) -> tuple[Any, Any, Affine, Affine]:
        """The updated belief, the elements of the first pass, and the first and last linearisation."""
        first = last = self.linearised(belief, slot)
        after, elements = self.condition(belief, observation(first, slot), slot)  # pyright: ignore[reportArgumentType]
        final = 1 if isinstance(self.model, AbstractLinearEmission) else self.iterations
        for _ in range(final - 1):
            last = self.linearised(after, slot)
            after, _ = self.condition(belief, observation(last, slot), slot)  # pyright: ignore[reportArgumentType]
        return after, elements, first, last

    def update(self, belief: Any, slot: Slot) -> tuple[Any, Any]:
        """Condition on the slot's elements; keep what the log-likelihood needs."""
        after, e, _, _ = self.passes(belief, slot)
        return after, (e.innovation, e.variance, e.present, e.diffuse)


class FullLinearisation(Linearisation):
    """The recursion that keeps beliefs, elements, the last linearisation and the predicted observation."""

    stable = elsewhere = True

    def update(self, belief: Any, slot: Slot) -> tuple[Any, Any]:
        """Condition on the slot's elements; keep everything."""
        after, elements, first, last = self.passes(belief, slot)
        cov = first.cov if first.cov.ndim == 2 else jnp.diag(first.cov)
        seen = prediction.affine_moments(first.matrix, first.offset, cov, belief)
        return after, ((belief, after, elements), last, seen)


def observation(found: Affine, slot: Slot) -> Observation:
    """A stamp's observation with independent noise elements."""
    values = slot.values - found.offset
    values = values if slot.mask is None else jnp.where(slot.mask, values, 0.0)
    if found.cov.ndim == 1:
        return Observation(found.matrix, found.cov, values, None)
    if found.cov.shape[0] == 1:
        return Observation(found.matrix, found.cov[0], values, None)
    rows, variances, lower = decorrelated(found.matrix, found.cov, slot.mask)
    return Observation(rows, variances, solve_unit_lower(lower, values), lower)


def transition_about(
    model: Any, rule: AbstractRule, law: Any, step: Step, *, elsewhere: bool, noise: Array | None = None
) -> Affine:
    """Nonlinear dynamics into a stamp, made affine about a law of the state at the stamp before.

    `noise` is their covariance where it is the same at every state.
    """

    def moments(x: Array) -> tuple[Array, Array]:
        return model.drift(x, step), quadratic(model.noise_factor(x, step)) if noise is None else noise

    return rule.affine(moments, law.mean, law.cov, elsewhere=elsewhere)


def emission_about(
    model: Any, rule: AbstractRule, law: Any, step: Step, *, elsewhere: bool, noise: Array | None = None
) -> Affine:
    """An emission with moments, made affine about a law of the state; `noise` as for the dynamics."""

    def moments(x: Array) -> tuple[Array, Array]:
        mean, cov = model.conditional_moments(x, step)
        return mean, cov if noise is None else noise

    return rule.affine(moments, law.mean, law.cov, elsewhere=elsewhere)


def signal_lines(model: Any, rule: AbstractRule, matrix: Array, offset: Array, law: Any, step: Step) -> Lines:
    """A function of a linear signal, made affine in it about a law of the state."""
    return rule.lines(_signal_moments(model, step), *signal_law(matrix, offset, law))


def signal_law(matrix: Array, offset: Array, law: Any) -> tuple[Float[Array, " series"], Float[Array, " series"]]:
    """Mean and variance of each element of a linear signal."""
    variance = jnp.stack([jnp.sum(row * jnp.sum(law.cov * row, axis=1)) for row in matrix])
    positive = variance > 0  # of a signal that is known, rounding may fall below zero
    return matmul(matrix, law.mean) + offset, jnp.where(positive, variance, 0.0)


def in_state(lines: Lines, matrix: Array, offset: Array) -> Affine:
    """Lines in the signal as an affine map of the state."""
    return Affine(lines.slope[:, None] * matrix, lines.offset + lines.slope * offset, lines.variance)


def _signal_moments(model: Any, step: Step) -> Any:
    return lambda signal: model.signal_moments(signal, step)


def _transition_noise(model: Any, steps: Step) -> Any:
    """The function of the step that gives the noise covariance of nonlinear dynamics; None where it needs the state."""
    return _unless_of_state(lambda x, step: quadratic(model.noise_factor(x, step)), model, steps)


def _fixed_emission(model: Any, steps: Step) -> Any:
    """The function of the step that gives what of the emission depends on no law: all of it where it is linear.

    Else the matrices of the signal, or the noise covariance; None where that needs the state.
    """
    if isinstance(model, AbstractLinearEmission):
        return lambda step: _linear(model.emission_matrices(step))
    if isinstance(model, AbstractSignalEmission):
        return lambda step: (lambda signal: (signal.matrix, signal.offset))(model.signal_matrices(step))
    return _unless_of_state(lambda x, step: model.conditional_moments(x, step)[1], model, steps)


def _unless_of_state(function: Any, model: Any, steps: Step) -> Any:
    x = jnp.zeros(len(model.state_names))
    return (lambda step: None) if depends(function, x, at(steps, 0)) else lambda step: function(x, step)


def _linear(parts: EmissionMatrices) -> tuple[Array, Array, Array]:
    return parts.matrix, parts.offset, parts.scale**2 if parts.scale.ndim == 1 else quadratic(parts.scale)
