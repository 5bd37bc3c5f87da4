"""Iterated smoothing: every linearisation is taken again about what all the data say."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from ..core.belief import Gaussian
from ..core.gaussian import LOG_2PI
from ..core.linalg import safe_sqrt
from ..core.step import Step
from ..models.base import AbstractLinearGaussian, AbstractSignalEmission
from . import kalman_filter
from .affine import AffineModel, along_laws
from .gaussian_filters import ExtendedKalman
from .linearisation import signal_law
from .linearised import (
    AbstractLinearised,
    affine_run,
    affine_smooth,
    lacking,
    linear_plan,
)
from .method import AbstractMethod, Observed, Plan
from .reports import FilterArrays, ForecastArrays, SmootherArrays
from .simulation_smoother import sample_paths
from .smoother import smooth
from .statistics import check_statistics, log_jacobian, statistics

_DIFFERENTIATED = 4  # rounds through which derivatives go


class PosteriorLinearisation(AbstractMethod):
    """The iterated posterior-linearisation smoother.

    Starting from the smoother of a linearised filter, dynamics and emissions are linearised about the smoothed laws
    and the exact smoother of the affine model is run, again and again. With Taylor's rule this is the Gauss-Newton
    search for the most probable path (the iterated extended smoother); for emissions of an exponential family in
    their natural parameter it is Newton's, whose end is the posterior mode.

    `filter` is the linearised filter itself, whose predictions look at no later data. The log-likelihood belongs to
    the smoother: the terms log g(y_t | y_<t) of the affine model g, each with

        log E[p(y_t | x_t) / g(y_t | x_t)],

    over the points of the rule under the smoothed law; with Taylor's rule this is Laplace's approximation. Where the
    emission is no function of a linear signal, or works on a statistic, the terms are those of g.

    Args:
        method: The linearised filter whose rule is used.
        iterations: How often the smoother is run.

    Raises:
        ValueError: If iterations is below 1.
        TypeError: If the method is not a linearised filter.

    Example:
        >>> from statespace.inference.gaussian_filters import CubatureKalman
        >>> PosteriorLinearisation(CubatureKalman(), iterations=5).iterations
        5

    Reference: García-Fernández, Tronarp and Särkkä (2017), "Iterated posterior linearization smoother", IEEE
    Transactions on Automatic Control 62; Bell (1994), "The iterated Kalman smoother as a Gauss-Newton method",
    SIAM Journal on Optimization 4; Durbin and Koopman (2012), section 10.6.
    """

    method: AbstractLinearised = ExtendedKalman()
    iterations: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        if not isinstance(self.method, AbstractLinearised):
            raise TypeError(f"method is a linearised filter such as ExtendedKalman(), got {self.method!r}")
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise ValueError(f"iterations is a whole number of at least 1, got {self.iterations!r}")

    def lacks(self, model: Any) -> str:
        """Gaussian dynamics and an emission with moments."""
        return lacking(model)

    def check(self, model: Any, observed: Observed) -> None:
        """Raise a ValueError if the statistic of an observation is not finite."""
        check_statistics(model, observed)

    def plan(self, model: Any, observed: Observed) -> Plan:
        """The length of the diffuse phase."""
        return linear_plan(model, observed)

    def log_likelihood(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> Float[Array, " time"]:
        """Terms that sum to the log-likelihood of the smoother's linearisation, corrected for what it leaves out."""
        del key
        if isinstance(model, AbstractLinearGaussian):
            return self.method.log_likelihood(model, observed, plan)
        laws, steps = self._iterated(model, observed, plan)
        return _affine_terms(model, observed, steps, plan) + self._correction(model, observed, laws)

    def filter(
        self, model: Any, observed: Observed, plan: Plan, belief: Gaussian | None = None, key: Any = None
    ) -> FilterArrays:
        """What the linearised filter says."""
        return self.method.filter(model, observed, plan, belief, key)

    def smooth(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> SmootherArrays:
        """The exact smoother of the model as it was linearised last."""
        del key
        return affine_smooth(model, observed, self._iterated(model, observed, plan)[1])

    def sample_paths(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> Float[Array, "sample time state"]:
        """Joint draws of the path of the model as it was linearised last."""
        return sample_paths(affine_run(model, observed, self._iterated(model, observed, plan)[1]), num_samples, key)

    def forecast(self, model: Any, belief: Gaussian, steps: Step, num_paths: int, key: Any) -> ForecastArrays:
        """What the linearised filter says."""
        return self.method.forecast(model, belief, steps, num_paths, key)

    def forecasts_by_paths(self, model: Any) -> bool:
        """What the linearised filter says."""
        return self.method.forecasts_by_paths(model)

    def _iterated(self, model: Any, observed: Observed, plan: Plan) -> tuple[Gaussian, Step]:
        """The smoothed laws after the last round, and the stamps that carry the linearisation about them.

        Derivatives go through the last rounds only: near its end each round of Newton's search forgets where it
        started from, so the derivative of the end is that of these rounds.
        """
        rule, steps, late = self.method.rule, observed.steps, min(self.iterations, _DIFFERENTIATED)

        def rounds(model: Any, start: tuple[Gaussian, Step], count: int) -> tuple[Gaussian, Step]:
            def body(carry: tuple[Gaussian, Step], _: Any) -> tuple[tuple[Gaussian, Step], None]:
                found = smooth(affine_run(model, observed, carry[1]))
                laws = Gaussian(found.mean, found.cov)
                return (laws, along_laws(model, rule, steps, laws)), None

            return jax.lax.scan(body, start, None, length=count)[0]

        early = self.iterations - late
        held = _without_derivative(model) if early else model
        size, dtype = len(model.state_names), observed.y.dtype
        blank = Gaussian(jnp.zeros((len(steps), size), dtype), jnp.zeros((len(steps), size, size), dtype))
        found = blank, self.method.along(held, observed, plan)
        return rounds(model, rounds(held, found, early) if early else found, late)

    def _correction(self, model: Any, observed: Observed, laws: Gaussian) -> Float[Array, " time"]:
        """Log E[p(y | x) / g(y | x)] of each stamp under its smoothed law."""
        if not isinstance(model, AbstractSignalEmission) or model.has_statistic:
            return jnp.zeros(len(observed.y), observed.y.dtype)
        xi, weights, _ = self.method.rule.points(1)

        def one(law: Gaussian, step: Step, y: Array, mask: Array) -> Array:
            signal = model.signal_matrices(step)
            mean, variance = signal_law(signal.matrix, signal.offset, law)
            lines = self.method.rule.lines(lambda s: model.signal_moments(s, step), mean, variance)

            def ratio(s: Array) -> Array:
                error = y - lines.slope * s - lines.offset
                normal = -0.5 * (LOG_2PI + jnp.log(lines.variance) + error**2 / lines.variance)
                return jnp.asarray(model.signal_law(s, step).log_prob(y)) - normal

            ratios = jax.vmap(ratio)(mean + safe_sqrt(variance) * jnp.asarray(xi, mean.dtype))
            found = logsumexp(ratios, axis=0, b=jnp.asarray(weights, mean.dtype)[:, None])
            return jnp.sum(jnp.where(mask, found, 0.0))

        return jnp.asarray(jax.vmap(one)(laws, observed.steps, observed.y, observed.mask))


def _without_derivative(model: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, model)


def _affine_terms(model: Any, observed: Observed, steps: Step, plan: Plan) -> Float[Array, " time"]:
    """The exact terms of a model made affine."""
    y = statistics(model, observed)
    options = {"diffuse_steps": plan.diffuse_steps, "complete": observed.complete, "form": "covariance"}
    terms = kalman_filter.log_likelihood(AffineModel(model), y, observed.mask, steps, **options)
    return terms + log_jacobian(model, observed)
