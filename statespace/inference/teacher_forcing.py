"""Exact inference in innovations form, where the state follows from what was seen, as a method of the verbs.

        h[t] = f(h[t-1], y[t-1], u[t]),      y[t] ~ p(. | h[t]),      log p(y) = sum_t log p(y[t] | h[t])

Without gaps the state is known at every stamp and the likelihood is one scan: exact. An observation that is missing but
fed back is integrated out by paths, each of which draws it from the model's law: a particle filter whose particles
differ in nothing else. It is exact up to the first gap; from there on exp(sum of terms) is an estimate without bias of
the likelihood. Its derivative is the score by Fisher's identity, for which the drawn values count as hidden variables:

        d log p(seen) = E[ d log p(seen, missing) | seen ]
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core.belief import Taught
from ..core.missing import masked_log_prob
from ..models.recurrent import Recurrent
from .method import AbstractMethod, Observed, Plan
from .moves import AbstractMoves, Row, free_move, own_derivative, seen_log_prob, weighed
from .particle import AbstractParticleFilter
from .prediction import emission_moments
from .reports import DrawArrays, FilterArrays, ParticleArrays, SmootherArrays, smoother_arrays


class Point(eqx.Module):
    """A state that is known, with the observation made at it where the model reads it.

    Attributes:
        mean: The state.
        seen: The observation, or None.
    """

    mean: Float[Array, " state"]
    seen: Float[Array, " series"] | None

    def sample(self, key: Any, num_samples: int) -> Any:
        """The same again and again."""
        del key
        x = jnp.broadcast_to(self.mean, (num_samples, *self.mean.shape))
        return x if self.seen is None else Taught(x, jnp.broadcast_to(self.seen, (num_samples, *self.seen.shape)))


class TeacherForcing(AbstractMethod):
    """Exact inference in models whose state follows from what was seen (`Recurrent` without noise): one scan.

    The default method for such models. Where an observation that the model reads is missing it refuses, unless told how
    many paths may draw it: then it is a particle filter over the missing values alone, exact up to the first of them.

    Args:
        num_particles: Number of paths over missing observations; None where nothing is missing.
        resampling: How paths are resampled: "systematic", "stratified", "residual" or "multinomial".
        threshold: They are where the effective sample size falls to this share of the paths.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> TeacherForcing().random, TeacherForcing(num_particles=500).random
        (False, True)

    Reference: Williams and Zipser (1989), Neural Computation 1, section 2; as prediction errors of a model in
    innovations form: Ljung (1999), "System Identification", section 5.7; the gradient under resampling: Scibior and
    Wood (2021), "Differentiable particle filtering without modifying the forward pass".
    """

    num_particles: int | None = eqx.field(static=True, default=None)
    resampling: str = eqx.field(static=True, default="systematic")
    threshold: float = eqx.field(static=True, default=0.5)

    def __check_init__(self):
        if self.num_particles is not None:
            self._filling()  # which checks the options

    @property
    def random(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]  it depends on an option
        """Whether it draws."""
        return self.num_particles is not None

    def lacks(self, model: Any) -> str:
        """A state that follows from what was seen."""
        known = isinstance(model, Recurrent) and not model.noisy
        return "" if known else "has no state that follows from what was seen (innovations form)"

    def check(self, model: Any, observed: Observed) -> None:
        """Raise a ValueError if an observation is missing that the model reads, and no path may draw it."""
        if self.random or observed.complete or not model.reads_previous:
            return
        stamp = int(jnp.argmin(jnp.all(observed.mask, axis=1)))
        raise ValueError(
            f"the observation at stamp {stamp} (of 0 to {len(observed.y) - 1}) is missing, which the model reads at "
            "the next: pass method=TeacherForcing(num_particles=500) and a key, in fit as in "
            "MAP(filter=TeacherForcing(num_particles=500)), to draw what is missing along many paths"
        )

    def log_likelihood(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> Float[Array, " time"]:
        """The terms log p(y_t | y_<t): exact without gaps, else estimates whose derivative is that of the score."""
        if self.random and model.reads_previous and not observed.complete:
            return self._filling().log_likelihood(model.prepared(), observed, plan, key)
        u, dt = model.fed(observed.steps), model.spacing(observed.steps, started=False)
        outputs, _ = model.cell.scan(u, dt=dt)
        return _terms(jax.vmap(model.law)(outputs), model, observed)

    def filter(
        self, model: Any, observed: Observed, plan: Plan, belief: Any = None, key: Any = None
    ) -> FilterArrays | ParticleArrays:
        """States, one-step predictions and terms; of the paths where they may draw."""
        if self.random:
            return self._filling().filter(model.prepared(), observed, plan, belief, key)
        x = _states(model, observed, belief)
        mean, cov = jax.vmap(lambda h, step: emission_moments(model, h, step))(x, observed.steps)
        sd = jnp.sqrt(jnp.diagonal(cov, axis1=1, axis2=2))
        residuals = jnp.where(observed.mask, (observed.y - mean) / sd, jnp.nan)
        terms = _terms(jax.vmap(model.emission)(x, observed.steps), model, observed)
        none = jnp.zeros((*x.shape, x.shape[1]), x.dtype)
        last = Point(x[-1], observed.y[-1] if model.reads_previous else None)
        return FilterArrays(x, none, x, none, mean, cov, residuals, terms, last, jnp.zeros((), int))  # pyright: ignore[reportArgumentType]  a belief

    def smooth(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> SmootherArrays:
        """The states again, since later data say no more about them; or moments of the paths."""
        if self.random:
            return self._filling().smooth(model.prepared(), observed, plan, key)
        x = _states(model, observed)
        return smoother_arrays(model, observed, x, jnp.zeros((*x.shape, x.shape[1]), x.dtype))

    def sample_paths(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> Float[Array, "sample time state"]:
        """The one path of states, or paths traced through what was drawn."""
        if self.random:
            return self._filling().sample_paths(model.prepared(), observed, plan, num_samples, key)
        x = _states(model, observed)
        return jnp.broadcast_to(x, (num_samples, *x.shape))

    def sample_completed(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> tuple[Float[Array, "sample time state"], Float[Array, "sample time series"] | None]:
        """The same, with the observations that were drawn."""
        if self.random:
            return self._filling().sample_completed(model.prepared(), observed, plan, num_samples, key)
        return super().sample_completed(model, observed, plan, num_samples, key)

    def pointwise(self, model: Any, observed: Observed, plan: Plan, reported: tuple[int, ...], key: Any) -> DrawArrays:
        """One-step densities; later data change those of a stamp in ways that have no closed form."""
        terms = self.log_likelihood(model, observed, plan, key)
        return DrawArrays(terms, jnp.full_like(terms, jnp.nan), jnp.zeros(len(reported), terms.dtype))

    def _filling(self) -> "_Filling":
        count = self.num_particles or 0
        return _Filling(count, self.resampling, self.threshold, score=True, smoother="genealogy")


def _states(model: Any, observed: Observed, belief: Point | None = None) -> Float[Array, "time state"]:
    """The states at all stamps, from the start or from the belief at the stamp before."""
    state, seen = (None, None) if belief is None else (belief.mean, belief.seen)
    dt = model.spacing(observed.steps, started=belief is not None)
    return model.cell.states(model.fed(observed.steps, seen), state, dt=dt)[0]


def _terms(laws: Any, model: Any, observed: Observed) -> Float[Array, " time"]:
    """Log densities of the rows; NaN once an observation was missing that the states depend on."""
    if observed.complete:
        return jax.vmap(masked_log_prob)(laws, observed.y)
    terms = jax.vmap(masked_log_prob)(laws, observed.y, observed.mask)
    if not model.reads_previous:
        return terms
    gaps = jnp.cumsum(~jnp.all(observed.mask, axis=1))
    lost = jnp.concatenate([jnp.zeros(1, bool), gaps[:-1] > 0]) & jnp.any(observed.mask, axis=1)
    return jnp.where(lost, jnp.nan, terms)


class _Paths(AbstractMoves):
    """Paths whose states follow from what they have seen, and which draw what is missing."""

    def move(self, parents: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        """The next states, which depend on the parameters; draws of what is missing, whose densities do."""
        state_key, fill_key = jax.random.split(key)
        new = free_move(self.model, parents, slot, state_key, self.num_particles)
        x, log_g = weighed(self.model, new, parents, slot, fill_key)
        if slot.mask is None:
            return x, log_g
        x = Taught(new, jax.lax.stop_gradient(x.seen))
        missing = ~slot.mask
        drawn = jax.vmap(lambda h, y: masked_log_prob(self.model.emission(h, slot.step), y, missing))(new, x.seen)
        return x, log_g + own_derivative(drawn)

    def weigh(self, x: Any, parents: Any, slot: Row) -> Array:
        """The observation's log density."""
        return seen_log_prob(self.model, x, parents, slot)


class _Filling(AbstractParticleFilter):
    """A particle filter over missing observations alone."""

    def kac(self, model: Any) -> _Paths:
        """States that follow, and draws of what is missing."""
        return _Paths(model, self.num_particles, self.score)
