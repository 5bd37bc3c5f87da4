"""The Kalman filter and smoother as a method of the verbs: exact for linear-Gaussian models."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import gaussian
from ..core.belief import DiffuseGaussian, Gaussian
from ..core.linalg import psd_factor
from ..core.scan import join
from ..core.step import Step
from ..models.base import AbstractLinearGaussian
from . import kalman_filter, prediction
from .augmented import Augmented, augmented_filter
from .method import AbstractMethod, Observed, Plan
from .reports import DrawArrays, FilterArrays, ForecastArrays, SmootherArrays, component_moments
from .simulation_smoother import sample_paths
from .smoother import auxiliary_residuals, leave_one_out, smooth
from .steady_state import tails

FORMS = ("auto", "covariance", "sqrt")


class Kalman(AbstractMethod):
    """Exact filtering of linear-Gaussian models: the default method of the verbs.

    Args:
        form: How the covariance is carried. "covariance" is the matrix, and fast; "sqrt" is a square root of it,
            which holds twice the digits but has first derivatives only. "auto" takes the square root in single
            precision where a diffuse start meets an observation matrix that changes with time (regressors), and
            the matrix elsewhere.
        steady_state: Whether the log-likelihood of a long series (1000 stamps and more) of a constant model is
            computed by the innovations form where the covariance has converged: "auto" where that is so, "never".
            After a gap the exact filter runs until it has converged again. The sum is exact, each term to 1e-5.

    Raises:
        ValueError: If an option is unknown.

    Example:
        >>> Kalman(form="sqrt").form
        'sqrt'

    Reference: Durbin and Koopman (2012), "Time Series Analysis by State Space Methods", chapters 4 to 6.
    """

    form: str = eqx.field(default="auto", static=True)
    steady_state: str = eqx.field(default="auto", static=True)

    def __check_init__(self):
        if self.steady_state not in ("auto", "never"):
            raise ValueError(f"steady_state={self.steady_state!r} is unknown: choose 'auto' or 'never'")
        if self.form not in FORMS:
            raise ValueError(f"form={self.form!r} is unknown: choose one of {', '.join(map(repr, FORMS))}")

    def lacks(self, model: Any) -> str:
        """Linear-Gaussian dynamics and a linear-Gaussian emission."""
        return "" if isinstance(model, AbstractLinearGaussian) else "is not linear-Gaussian in dynamics and emission"

    def plan(self, model: Any, observed: Observed) -> Plan:
        """The length of the diffuse phase, and where the covariance will have converged."""
        length, unidentified = kalman_filter.diffuse_phase(model, observed.mask, observed.steps)
        if self.steady_state == "never" or self.form == "sqrt":
            return Plan(length, unidentified)
        return Plan(length, unidentified, tails(model, observed.mask, observed.steps, length))

    def log_likelihood(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> Float[Array, " time"]:
        """The terms log p(y_t | y_<t), exact."""
        del key
        y, mask, steps = observed.y, observed.mask, observed.steps
        options = {"diffuse_steps": plan.diffuse_steps, "complete": observed.complete, "form": self.form}
        options |= {"tails": plan.tails}
        return kalman_filter.log_likelihood(model, y, mask, steps, **options)

    def filter(
        self, model: Any, observed: Observed, plan: Plan, belief: Gaussian | None = None, key: Any = None
    ) -> FilterArrays:
        """Filtered and predicted moments, residuals and terms, the diffuse phase included."""
        del key
        _, _, run = self._run(model, observed, plan, belief)
        parts = [part for part in (run.diffuse_part, run.proper_part) if part is not None]
        mean, cov, predicted_mean, predicted_cov, residuals, terms, diffuse = join(*map(report, parts))
        before = len(parts[0][0].mean)
        spans = [observed.steps[:before], observed.steps[before:]]
        observe = jax.vmap(lambda belief, step: prediction.observation_moments(model, belief, step))
        expected, spread = join(*[observe(part[0], span) for part, span in zip(parts, spans, strict=False)])
        terms = terms.at[0].add(run.log_scale)
        return FilterArrays(
            mean,
            cov,
            predicted_mean,
            predicted_cov,
            expected,
            spread,
            residuals,
            terms,
            run.last,
            jnp.sum(diffuse),
        )

    def twice_differentiable(self) -> "Kalman":
        """The covariance as a matrix: a square root has first derivatives only."""
        return Kalman("covariance", self.steady_state)

    def smooth(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> SmootherArrays:
        """Smoothed moments, components, auxiliary residuals and leave-one-out densities."""
        del plan, key
        run = self._augmented(model, observed)
        smoothed = smooth(run)
        components = component_moments(model, smoothed.mean, smoothed.cov, observed.steps)
        residuals, left_out = auxiliary_residuals(run, smoothed), leave_one_out(run, smoothed, observed.y)
        return SmootherArrays(smoothed.mean, smoothed.cov, *components, *residuals, *left_out)

    def sample_paths(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> Float[Array, "sample time state"]:
        """Joint draws of the path by the simulation smoother."""
        del plan
        return sample_paths(self._augmented(model, observed), num_samples, key)

    def forecast(self, model: Any, belief: Gaussian, steps: Step, num_paths: int, key: Any) -> ForecastArrays:
        """Exact moments by prediction alone, and joint paths."""
        moments = prediction.predict_moments(model, belief, steps)
        components = component_moments(model, moments.state_mean, moments.state_cov, steps)
        _, paths = prediction.sample_future(model, belief, steps, num_paths, key)
        return ForecastArrays(moments, *components, paths)

    def forecasts_by_paths(self, model: Any) -> bool:
        """Never: they are normal."""
        del model
        return False

    def pointwise(self, model: Any, observed: Observed, plan: Plan, reported: tuple[int, ...], key: Any) -> DrawArrays:
        """One-step and exact leave-one-out densities, and a draw of the constant states."""
        _, _, run = self._run(model, observed, plan)
        augmented = self._augmented(model, observed)
        left_out, _, _ = leave_one_out(augmented, smooth(augmented), observed.y)
        chosen = jnp.asarray(reported, int)
        spread = psd_factor(run.last.cov[jnp.ix_(chosen, chosen)])
        noise = jax.random.normal(key, (len(reported),), spread.dtype)
        parts = [part for part in (run.diffuse_part, run.proper_part) if part is not None]
        terms = jnp.concatenate([_terms(part[2]) for part in parts]).at[0].add(run.log_scale)
        return DrawArrays(terms, left_out, run.last.mean[chosen] + spread @ noise)

    def _run(self, model: Any, observed: Observed, plan: Plan, belief: Gaussian | None = None) -> Any:
        options = {"diffuse_steps": plan.diffuse_steps, "complete": observed.complete, "form": self.form}
        return kalman_filter.kalman_filter(model, observed.y, observed.mask, observed.steps, belief=belief, **options)

    def _augmented(self, model: Any, observed: Observed) -> Augmented:
        y, mask, steps = observed.y, observed.mask, observed.steps
        return augmented_filter(model, y, mask, steps, complete=observed.complete, form=self.form)


def report(part: Any) -> tuple[Array, ...]:
    """Filtered and predicted moments, residuals, terms and flags of a stretch of (predicted, filtered, elements)."""
    predicted, filtered, e = part
    present = jnp.ones(e.variance.shape, bool) if e.present is None else e.present
    diffuse = jnp.zeros(e.variance.shape, bool) if e.diffuse is None else e.diffuse
    residuals = jnp.where(present & ~diffuse, e.innovation / jnp.sqrt(e.variance), jnp.nan)
    covs = [
        jax.vmap(DiffuseGaussian.display_cov)(b) if isinstance(b, DiffuseGaussian) else b.cov
        for b in (filtered, predicted)
    ]
    return filtered.mean, covs[0], predicted.mean, covs[1], residuals, _terms(e), diffuse


def _terms(e: Any) -> Array:
    return jnp.sum(gaussian.log_density(e.innovation, e.variance, e.present, e.diffuse), axis=1)
