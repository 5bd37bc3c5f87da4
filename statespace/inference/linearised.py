"""Gaussian approximations as methods of the verbs: one recursion, whose rule of linearisation is the method's.

A filter's terms are those of the normal law with the predicted moments of the observation (of its statistic, where
the emission names one, with the Jacobian).
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import gaussian
from ..core.belief import DiffuseGaussian, Gaussian
from ..core.linearise import AbstractRule
from ..core.scan import join
from ..core.step import Step
from ..models.base import (
    AbstractGaussianDynamics,
    AbstractLinearDynamics,
    AbstractLinearEmission,
    AbstractLinearGaussian,
    AbstractMomentEmission,
    AbstractSignalEmission,
)
from . import kalman_filter
from .affine import AffineModel, along_run, bare, first_moments
from .augmented import augmented_filter
from .kalman import Kalman, report
from .linearisation import FullLinearisation, Linearisation
from .method import AbstractMethod, Observed, Plan
from .reports import FilterArrays, ForecastArrays, SmootherArrays, component_moments
from .simulation_smoother import sample_paths
from .smoother import auxiliary_residuals, leave_one_out, smooth
from .statistics import check_statistics, log_jacobian, statistics


class AbstractLinearised(AbstractMethod):
    """A filter that linearises; subclasses say how.

    Attributes:
        iterations: How often each emission is linearised: once about the predicted law, then about the updated one.
    """

    iterations: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def rule(self) -> AbstractRule:
        """How a function is made affine about a normal law."""

    def __check_init__(self):
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise ValueError(f"iterations is a whole number of at least 1, got {self.iterations!r}")

    def lacks(self, model: Any) -> str:
        """Gaussian dynamics and an emission with moments."""
        return lacking(model)

    def check(self, model: Any, observed: Observed) -> None:
        """Raise a ValueError if the statistic of an observation is not finite."""
        check_statistics(model, observed)

    def plan(self, model: Any, observed: Observed) -> Plan:
        """The length of the diffuse phase, which depends on the linear parts only."""
        return linear_plan(model, observed)

    def log_likelihood(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> Float[Array, " time"]:
        """The terms log N(y_t; predicted moments)."""
        del key
        belief, constant = first_belief(model, observed.steps)
        run = self._run(Linearisation, model, observed, plan, belief, started=False)
        kept = [part for part in run[1:] if part is not None]
        terms = jnp.concatenate([jnp.sum(gaussian.log_density(*part), axis=1) for part in kept])
        return (terms + log_jacobian(model, observed)).at[0].add(constant)

    def filter(
        self, model: Any, observed: Observed, plan: Plan, belief: Gaussian | None = None, key: Any = None
    ) -> FilterArrays:
        """Filtered and predicted moments, residuals and terms, the diffuse phase included."""
        del key
        start, constant = first_belief(model, observed.steps) if belief is None else (belief, jnp.zeros(()))
        run = self._run(FullLinearisation, model, observed, plan, start, started=belief is not None)
        parts = [part for part in run[1:] if part is not None]
        mean, cov, predicted_mean, predicted_cov, residuals, terms, diffuse = join(*[report(p[0]) for p in parts])
        seen = join(*[p[2] for p in parts])
        terms = (terms + log_jacobian(model, observed)).at[0].add(constant)
        return FilterArrays(
            mean, cov, predicted_mean, predicted_cov, seen[0], seen[1], residuals, terms, run[0], jnp.sum(diffuse)
        )

    def smooth(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> SmootherArrays:
        """The exact smoother of the model as the filter linearised it."""
        del key
        return affine_smooth(model, observed, self.along(model, observed, plan))

    def sample_paths(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> Float[Array, "sample time state"]:
        """Joint draws of the path of the model as the filter linearised it."""
        return sample_paths(affine_run(model, observed, self.along(model, observed, plan)), num_samples, key)

    def forecast(self, model: Any, belief: Gaussian, steps: Step, num_paths: int, key: Any) -> ForecastArrays:
        """Exact for a linear-Gaussian model, else through paths."""
        if isinstance(model, AbstractLinearGaussian):
            return Kalman().forecast(model, belief, steps, num_paths, key)
        return super().forecast(model, belief, steps, num_paths, key)

    def forecasts_by_paths(self, model: Any) -> bool:
        """Unless the model is linear-Gaussian."""
        return not isinstance(model, AbstractLinearGaussian)

    def along(self, model: Any, observed: Observed, plan: Plan) -> Step:
        """The stamps, carrying the linearisations of the filter."""
        belief, _ = first_belief(model, observed.steps)
        run = self._run(FullLinearisation, model, observed, plan, belief, started=False)
        parts = [part for part in run[1:] if part is not None]
        filtered = join(*[_gaussian(p[0][1]) for p in parts])
        return along_run(model, self.rule, observed.steps, filtered, join(*[p[1] for p in parts]))

    def _run(
        self, kind: type[Linearisation], model: Any, observed: Observed, plan: Plan, belief: Any, *, started: bool
    ) -> tuple[Any, Any, Any]:
        mask = None if observed.complete else observed.mask
        options = {"iterations": self.iterations, "peeled": not started, "mask": mask}
        recursion = kind(model, self.rule, observed.steps, **options)
        slots: Any = recursion.slots(observed.steps, observed.y)
        length = len(observed.steps) if plan.diffuse_steps is None else plan.diffuse_steps
        checkpoint = kind is Linearisation
        return kalman_filter.run(recursion, belief, slots, length, started=started, checkpoint=checkpoint)


def lacking(model: Any) -> str:
    """What a model lacks for a Gaussian approximation, in words; empty if nothing."""
    if not isinstance(model, AbstractGaussianDynamics):
        return "has no Gaussian dynamics (drift and noise_factor)"
    if model.reads_previous:
        return "has no laws that do without the observation before"
    return "" if isinstance(model, AbstractMomentEmission) else "has no conditional moments of its emission"


def linear_plan(model: Any, observed: Observed) -> Plan:
    """The plan of the diffuse phase."""
    if not isinstance(model, AbstractLinearDynamics) or not _has_rows(model):
        return Plan()
    return Plan(*kalman_filter.diffuse_phase(AffineModel(model), observed.mask, bare(observed.steps)))


def first_belief(model: Any, steps: Step) -> tuple[Gaussian | DiffuseGaussian, Float[Array, ""]]:
    """The belief before the first observation, and the constant of its likelihood.

    Raises:
        TypeError: If the first law is diffuse and the emission is not a function of a linear signal.
    """
    if not isinstance(model, AbstractLinearDynamics):
        return first_moments(model, steps[0]), jnp.zeros(())
    law = model.initial_law(steps[0])
    if not any(law.diffuse):
        return Gaussian(law.mean, law.cov), jnp.zeros(())
    if not _has_rows(model):
        raise TypeError(
            f"{type(model).__name__} starts from a diffuse law, which needs an emission that is linear or a function "
            "of a linear signal (AbstractSignalEmission): give the first state a proper law"
        )
    return kalman_filter.initial_belief(AffineModel(model), bare(steps))


def _has_rows(model: Any) -> bool:
    return isinstance(model, AbstractLinearEmission | AbstractSignalEmission)


def affine_run(model: Any, observed: Observed, steps: Step) -> Any:
    """The exact filter run of a model made affine, given its diffuse elements."""
    y = statistics(model, observed)
    return augmented_filter(AffineModel(model), y, observed.mask, steps, complete=observed.complete, form="auto")


def affine_smooth(model: Any, observed: Observed, steps: Step) -> SmootherArrays:
    """Everything that the exact smoother says of a model made affine."""
    run, y = affine_run(model, observed, steps), statistics(model, observed)
    smoothed = smooth(run)
    components = component_moments(model, smoothed.mean, smoothed.cov, observed.steps)
    residuals, (terms, mean, sd) = auxiliary_residuals(run, smoothed), leave_one_out(run, smoothed, y)
    if isinstance(model, AbstractSignalEmission) and model.has_statistic:
        mean, sd = jnp.full_like(mean, jnp.nan), jnp.full_like(sd, jnp.nan)  # they are not those of y
    terms = terms + log_jacobian(model, observed)
    return SmootherArrays(smoothed.mean, smoothed.cov, *components, *residuals, terms, mean, sd)


def _gaussian(belief: Any) -> Gaussian:
    return Gaussian(belief.mean, belief.cov)
