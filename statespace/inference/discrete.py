"""Exact inference on discrete states, as a method of the verbs."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpyro.distributions import ExpandedDistribution

from ..core.belief import Discrete
from ..core.missing import by_series, serves_partial_rows
from ..core.step import Step
from ..models.discrete import AbstractDiscreteDynamics
from . import prediction
from .hidden_markov import (
    Chain,
    backward_run,
    forward_run,
    log_likelihood_terms,
    log_sum,
    make_chain,
    most_likely_path,
    predict,
    safe_log,
    sample_path,
)
from .method import AbstractMethod, Observed, Plan
from .reports import DrawArrays, ForecastArrays, moments_of


class DiscreteFilterArrays(eqx.Module):
    """What a filter run on discrete states says; the leading axis is time.

    Attributes:
        probabilities: P(x_t | y_1, ..., y_t).
        predicted_probabilities: P(x_t | y_1, ..., y_{t-1}).
        observation_mean: One-step predictions of the observations; NaN where the emission has no mean.
        observation_cov: Their covariances.
        terms: log p(y_t | y_<t).
        last: The belief after the last stamp.
    """

    probabilities: Float[Array, "time state"]
    predicted_probabilities: Float[Array, "time state"]
    observation_mean: Float[Array, "time series"]
    observation_cov: Float[Array, "time series series"]
    terms: Float[Array, " time"]
    last: Discrete


class DiscreteSmootherArrays(eqx.Module):
    """What a smoother run on discrete states says; the leading axis is time.

    Attributes:
        probabilities: P(x_t | y).
        transitions: P(x_{t-1} = i, x_t = j | y) for all stamps but the first, (time - 1, state, state).
        loo_terms: log p(y_t | y_-t); NaN where the emission reads the observation before.
    """

    probabilities: Float[Array, "time state"]
    transitions: Float[Array, "moves state state"]
    loo_terms: Float[Array, " time"]


class ForwardBackward(AbstractMethod):
    """Exact filtering, smoothing, most likely and random paths of models with discrete states.

    The default method for such models. Missing elements are integrated out.

    Args:
        parallel: Whether the recursions run as associative scans, with the same numbers: for accelerators. They hold
            states^3 numbers a stamp, and are slower on a CPU.

    Example:
        >>> ForwardBackward().parallel
        False

    Reference: Rabiner (1989), Proceedings of the IEEE 77; Hassan, Sarkka and Garcia-Fernandez (2021), IEEE
    Transactions on Signal Processing 69, for the parallel form.
    """

    parallel: bool = eqx.field(default=False, static=True)

    def lacks(self, model: Any) -> str:
        """Discrete states."""
        return "" if isinstance(model, AbstractDiscreteDynamics) else "has no discrete states"

    def check(self, model: Any, observed: Observed) -> None:
        """Raise a ValueError if an observation is outside the support or cannot be integrated out."""
        _check_previous(model, observed)
        law = by_series(model.emission(jnp.zeros((), int), observed.steps[0]), model.num_series)
        _check_rows(law, model, np.asarray(observed.mask))
        _check_support(law, np.asarray(observed.y), np.asarray(observed.mask))

    def log_likelihood(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> Float[Array, " time"]:
        """The terms log p(y_t | y_<t), exact."""
        del plan, key
        return log_likelihood_terms(_chain(model, observed), parallel=self.parallel)

    def filter(
        self, model: Any, observed: Observed, plan: Plan, belief: Discrete | None = None, key: Any = None
    ) -> DiscreteFilterArrays:
        """Filtered and predicted probabilities, and one-step predictions."""
        del plan, key
        if belief is not None:
            observed = _continued(observed, belief)
        run = forward_run(_chain(model, observed, belief), parallel=self.parallel)
        predicted = jnp.exp(run.predicted)
        moments = jax.vmap(lambda p, step: mixture_moments(model, p, step))(predicted, observed.steps)
        last = Discrete(run.filtered[-1], _last_row(model, observed))
        return DiscreteFilterArrays(jnp.exp(run.filtered), predicted, *moments, run.terms, last)

    def smooth(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> DiscreteSmootherArrays:
        """Probabilities of states and of transitions given all data, and leave-one-out densities."""
        del plan, key
        chain = _chain(model, observed)
        run = forward_run(chain, parallel=self.parallel)
        ahead = backward_run(chain, parallel=self.parallel)
        both = (ahead + chain.densities)[1:, None, :] + run.filtered[:-1, :, None] + chain.moves.all()
        others = _normalised(run.predicted + ahead)
        loo = log_sum(others + chain.densities, axis=1)
        return DiscreteSmootherArrays(
            jnp.exp(_normalised(run.filtered + ahead)),
            jnp.exp(both - log_sum(log_sum(both, axis=2), axis=1)[:, None, None]),
            jnp.full_like(loo, jnp.nan) if model.reads_previous else loo,
        )

    def sample_paths(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> Int[Array, "sample time"]:
        """Joint draws of the path: filtering forward, drawing backward."""
        del plan
        chain = _chain(model, observed)
        filtered = forward_run(chain, parallel=self.parallel).filtered
        draw = jax.vmap(lambda k: sample_path(chain, filtered, k, parallel=self.parallel))
        return draw(jax.random.split(key, num_samples))

    def most_likely_path(self, model: Any, observed: Observed) -> Int[Array, " time"]:
        """The path with the largest probability given all data (Viterbi)."""
        return most_likely_path(_chain(model, observed), parallel=self.parallel)

    def forecast(self, model: Any, belief: Discrete, steps: Step, num_paths: int, key: Any) -> ForecastArrays:
        """Exact probabilities and moments, and joint paths; those of the paths where the emission reads the last."""
        states, paths = prediction.sample_future(model, belief, steps, num_paths, key)
        if model.reads_previous:
            if not num_paths:
                raise ValueError(
                    "the emission reads the observation before, so its forecast is made of paths: pass num_samples= "
                    "and key="
                )
            shown = jax.nn.one_hot(states, model.num_states)
            return ForecastArrays(prediction.Prediction(*moments_of(shown), *moments_of(paths)), {}, {}, paths)

        def body(filtered, step):
            ahead = predict(filtered, safe_log(model.transition_probabilities(step)))
            return ahead, jnp.exp(ahead)

        _, p = jax.lax.scan(body, belief.log_probabilities, steps)
        spread = jax.vmap(lambda row: jnp.diag(row) - jnp.outer(row, row))(p)
        moments = jax.vmap(lambda row, step: mixture_moments(model, row, step))(p, steps)
        return ForecastArrays(prediction.Prediction(p, spread, *moments), {}, {}, paths)

    def pointwise(self, model: Any, observed: Observed, plan: Plan, reported: tuple[int, ...], key: Any) -> DrawArrays:
        """One-step and exact leave-one-out densities."""
        found = self.smooth(model, observed, plan)
        return DrawArrays(self.log_likelihood(model, observed, plan), found.loo_terms, jnp.zeros(len(reported)))


def mixture_moments(
    model: Any, probabilities: Float[Array, " state"], step: Step
) -> tuple[Float[Array, " series"], Float[Array, "series series"]]:
    """Mean and covariance of the observation where the state has given probabilities; NaN where a law has none."""
    mean, cov = jax.vmap(lambda x: prediction.emission_moments(model, x, step))(jnp.arange(model.num_states))
    centre = jnp.sum(probabilities[:, None] * mean, axis=0)
    apart = mean - centre
    spread = cov + apart[:, :, None] * apart[:, None, :]
    return centre, jnp.sum(probabilities[:, None, None] * spread, axis=0)


def _chain(model: Any, observed: Observed, belief: Discrete | None = None) -> Chain:
    mask = None if observed.complete else observed.mask
    before = None if belief is None else belief.log_probabilities
    return make_chain(model, observed.y, mask, observed.steps, before)


def _normalised(x: Array) -> Array:
    return x - log_sum(x, axis=1)[:, None]


def _last_row(model: Any, observed: Observed) -> Array | None:
    """The last observation, for a model that reads it at the next stamp."""
    return jnp.where(observed.mask[-1], observed.y[-1], jnp.nan) if model.reads_previous else None


def _continued(observed: Observed, belief: Discrete) -> Observed:
    """The data with the observation before them from the belief."""
    if belief.previous is None:
        return observed
    previous = jnp.asarray(observed.steps.previous).at[0].set(belief.previous)
    return eqx.tree_at(lambda o: o.steps.previous, observed, previous)


def _check_previous(model: Any, observed: Observed) -> None:
    if not model.reads_previous:
        return
    unknown, mask = np.isnan(np.asarray(observed.steps.previous)), np.asarray(observed.mask)
    lost = np.logical_and(np.any(unknown, axis=1), np.any(mask, axis=1)).reshape(-1)
    for stamp in np.flatnonzero(lost[1:])[:1] + 1:
        raise ValueError(
            f"the emission at stamp {stamp} (of 0 to {len(lost) - 1}) reads the observation before it, which is "
            "missing: fill it in, or start the data after it; exact methods cannot integrate it out"
        )


def _check_rows(law: Any, model: Any, mask: np.ndarray) -> None:
    partial = mask.any(axis=1) & ~mask.all(axis=1)
    if partial.any() and not serves_partial_rows(law, model.num_series):
        stamp = int(np.flatnonzero(partial)[0])
        raise ValueError(
            f"at stamp {stamp} some series are missing and some are not, which a joint {type(law).__name__} cannot "
            "integrate out: make the whole row missing, or use a law that is independent over the series"
        )


def _check_support(law: Any, y: np.ndarray, mask: np.ndarray) -> None:
    law = getattr(law, "base_dist", law) if isinstance(law, ExpandedDistribution) else law
    support = law.support
    fixed = support.is_discrete or type(law).support is support  # other supports depend on parameters
    if not fixed or support.event_dim:
        return
    outside = mask & ~np.asarray(support(jnp.where(mask, y, support.feasible_like(jnp.asarray(y)))))
    for stamp, column in np.argwhere(outside)[:1]:
        raise ValueError(
            f"the observation at stamp {stamp} is {y[stamp, column]:g}, which {type(law).__name__} does not give: "
            f"expected values in {support}; transform the data or choose another emission"
        )
