"""What all particle filters share as methods of the verbs: options, runs, smoothing, what they refuse."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..core.belief import Particles, Taught
from ..core.parameters import is_traced
from ..core.resample import RESAMPLERS
from ..core.step import Step
from ..models.base import AbstractGaussianDynamics, AbstractStateSpace
from . import feynman_kac, summaries
from .feynman_kac import FeynmanKac, Moved, Options
from .lineage import WithLineage, families, plain, standard_error
from .method import AbstractMethod, Observed, Plan
from .moves import Row, rows, state_of
from .particle_smoother import KINDS, fixed_lag, sample_backward
from .reports import ParticleArrays, SmootherArrays, moments_of, smoother_arrays
from .summaries import columns
from .summaries import history as history_of

_SMALL = 200  # states up to which the rank of the noise is looked at
_CHECKPOINT = 256  # from this length on the gradient recomputes each stamp


class AbstractParticleFilter(AbstractMethod):
    """Options that all particle filters share.

    Attributes:
        num_particles: Number of particles.
        resampling: "systematic", "stratified", "residual" or "multinomial".
        threshold: Resample where the effective sample size falls to this share of the particles: 1 always, 0 never.
        keep: What to keep of each stamp, computed inside the scan: any of "moments", "quantiles", "genealogy",
            "history". The memory of a run does not grow with the particles unless genealogy or history are asked for.
        score: Whether gradients of the log-likelihood are wanted: they are then the score by Fisher's identity,
            which needs the density of the transition. Without it a gradient is refused.
        smoother: How `smooth` and `sample_states` go back: "mcmc" and "exact" draw paths backwards, which needs the
            density of the transition, "genealogy" traces the filter's own, "lag" gives moments with `lag` later stamps.
        num_moves: Metropolis steps of "mcmc" for each path and stamp.
        lag: Number of later stamps that "lag" takes in.
        error_lag: Stamps after which the filter has forgotten, for the standard error of the log-likelihood in filter
            results; 0 for none, which is quicker.
    """

    num_particles: int = eqx.field(static=True, default=1000)
    resampling: str = eqx.field(static=True, default="systematic")
    threshold: float = eqx.field(static=True, default=0.5)
    keep: tuple[str, ...] = eqx.field(static=True, default=("moments",))
    score: bool = eqx.field(static=True, default=False)
    smoother: str = eqx.field(static=True, default="mcmc")
    num_moves: int = eqx.field(static=True, default=4)
    lag: int = eqx.field(static=True, default=10)
    error_lag: int = eqx.field(static=True, default=20)

    random: ClassVar[bool] = True
    differentiable: ClassVar[bool] = False

    def __check_init__(self):
        if self.num_particles < 1:
            raise ValueError(f"num_particles must be at least 1, got {self.num_particles}")
        if self.resampling not in RESAMPLERS:
            raise ValueError(f"resampling={self.resampling!r} is unknown: choose one of {', '.join(RESAMPLERS)}")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is a share of the particles between 0 and 1, got {self.threshold}")
        if self.smoother not in (*KINDS, "lag"):
            raise ValueError(f"smoother={self.smoother!r} is unknown: choose one of {', '.join(KINDS)}, lag")
        if self.num_moves < 1 or self.lag < 1:
            raise ValueError(f"num_moves and lag must be at least 1, got {self.num_moves} and {self.lag}")
        if self.error_lag < 0:
            raise ValueError(f"error_lag must not be negative, got {self.error_lag}")
        unknown = [name for name in self.keep if name not in summaries.SUMMARIES]
        if isinstance(self.keep, str) or unknown:
            raise ValueError(f"keep={self.keep!r}: choose from {', '.join(map(repr, summaries.SUMMARIES))} in a tuple")

    @abc.abstractmethod
    def kac(self, model: Any) -> FeynmanKac:
        """The three functions that the scan runs."""

    def slots(self, model: Any, observed: Observed) -> Any:
        """What the scan reads of each stamp."""
        return rows(model, observed)

    def lacks(self, model: Any) -> str:
        """A state-space model of any kind."""
        return "" if isinstance(model, AbstractStateSpace) else "is not a state-space model"

    @property
    def options(self) -> Options:
        """How particles are resampled."""
        return Options(self.resampling, self.threshold, self.score)

    def log_likelihood(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> Float[Array, " time"]:
        """Estimates of log p(y_t | y_<t): the product of their exponentials is unbiased for the likelihood."""
        _, terms = self._run(model, observed, key, lambda moved, slot: moved.term)
        return terms if self.score else _without_gradient(terms)

    def filter(
        self, model: Any, observed: Observed, plan: Plan, belief: Particles | None = None, key: Any = None
    ) -> ParticleArrays:
        """Terms, effective sample sizes, what `keep` names, the last particles, and the error of the likelihood."""
        kac, traced = self.kac(model), self.error_lag > 0 and self.num_particles > 1
        if traced:
            kac = WithLineage(kac, self.error_lag)
            belief = None if belief is None else kac.begun(belief)

        def summary(moved: Moved, slot: Row) -> Any:
            found = families(moved, self.resampling) if traced else None
            moved = plain(moved) if traced else moved
            kept = {name: summaries.SUMMARIES[name](moved) for name in self.keep}
            ess = 1.0 / jnp.sum(moved.cloud.weights**2)
            return moved.term, ess, moved.selection.resampled, moved.alive, kept, found

        last, (terms, ess, resampled, alive, kept, found) = self._run(model, observed, key, summary, belief, kac)
        error = jnp.full((), jnp.nan, terms.dtype)
        if traced:
            last = Particles(last.x.x, last.log_weights)
            error = standard_error(found, resampled, self.num_particles)
        return ParticleArrays(terms, ess, resampled, alive, kept, last, error)

    def smooth(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> SmootherArrays:
        """Moments of as many paths as there are particles, or, with a lag, of the particles themselves."""
        if self.smoother == "lag":
            _, history = self._history(model, observed, key)
            mean, variance = fixed_lag(history, self.lag, columns)
            cov = jax.vmap(jnp.diag)(variance) + jnp.where(jnp.eye(mean.shape[1]) > 0, 0.0, jnp.nan)
        else:
            paths = self.sample_paths(model, observed, plan, self.num_particles, key)
            mean, cov = moments_of(paths.reshape(*paths.shape[:2], -1).astype(observed.y.dtype))
        return smoother_arrays(model, observed, mean, cov)

    def sample_paths(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> Float[Array, "sample time *state"]:
        """Paths drawn backwards through the particles, or traced."""
        return self.sample_completed(model, observed, plan, num_samples, key)[0]

    def sample_completed(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> tuple[Float[Array, "sample time *state"], Float[Array, "sample time series"] | None]:
        """The same, with the observations that particles were fed."""
        del plan
        if self.smoother == "lag":
            raise TypeError('smoother="lag" gives moments only: choose "mcmc", "exact" or "genealogy" for paths')
        self.check_paths(model)
        first, second = jax.random.split(key)
        slots, history = self._history(model, observed, first)
        options = {"kind": self.smoother, "num_moves": self.num_moves}
        paths = sample_backward(model, history, slots, num_samples, second, **options)
        paths = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), paths)
        return state_of(paths), paths.seen if isinstance(paths, Taught) else None

    def cannot_weigh(self, model: Any, step: Step) -> str:
        """Why given moves of the model cannot be weighed, in words; empty where they can."""
        del model, step
        return ""

    def check_paths(self, model: Any) -> None:
        """A TypeError where paths cannot be drawn backwards."""
        few = too_few_noises(model) if self.smoother in ("mcmc", "exact") else ""
        if few:
            raise TypeError(
                f"{type(model).__name__} {few}, which drawing paths backwards needs: pass "
                f'{type(self).__name__}(smoother="genealogy") or smoother="lag"'
            )

    def _history(self, model: Any, observed: Observed, key: Any) -> Any:
        slots = self.slots(model, observed)
        _, found = feynman_kac.run(self.kac(model), slots, key, self.options, lambda moved, slot: history_of(moved))
        return slots, found

    def _run(
        self,
        model: Any,
        observed: Observed,
        key: Any,
        summary: Callable[[Moved, Any], Any],
        belief: Any = None,
        kac: FeynmanKac | None = None,
    ) -> Any:
        slots = self.slots(model, observed)
        long = len(observed.y) >= _CHECKPOINT
        return feynman_kac.run(kac or self.kac(model), slots, key, self.options, summary, belief, checkpoint=long)


def too_few_noises(model: Any) -> str:
    """That a transition surely has no density, in words: too few noises, or some of scale zero; else empty."""
    if not isinstance(model, AbstractGaussianDynamics):
        return ""
    size = len(model.state_names)
    inputs = jnp.zeros(len(model.input_names)) if model.input_names else None
    schedule = None if model.schedule is None else jax.tree.map(lambda leaf: leaf[0], model.schedule)
    step = Step(jnp.zeros((), int), jnp.zeros(()), None, inputs, schedule)

    def factor() -> Any:
        return model.noise_factor(jnp.full(size, 0.7), step)

    noises = jax.eval_shape(factor).shape[1]
    if noises >= size and size <= _SMALL and not any(map(is_traced, jax.tree.leaves(model))):
        noises = int(np.linalg.matrix_rank(np.asarray(factor(), float)))
    return f"has {noises} noises for {size} states, so its transition has no density" if noises < size else ""


@jax.custom_jvp
def _without_gradient(terms: Array) -> Array:
    return terms


@_without_gradient.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise TypeError(
        "the estimate of a particle filter has no useful derivative as it stands: resampling hides most of it. Pass "
        "score=True to the filter for gradients by Fisher's identity"
    )
