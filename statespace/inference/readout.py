"""Echo state networks with their readout integrated out, as a method of the verbs."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..core.gaussian import LOG_2PI
from ..core.step import Step
from ..models.reservoir import EchoState
from .method import AbstractMethod, Observed, Plan
from .readout_belief import ReadoutBelief
from .readout_drift import Drifting, predict_rows, prior_law
from .readout_forecast import free_runs
from .readout_root import Predicted, Root, log_evidence, predict_all, prior_root, with_rows
from .reports import DrawArrays, FilterArrays, ForecastArrays, SmootherArrays


class BayesianReadout(AbstractMethod):
    """Exact inference for `EchoState`: the weights of the readout are integrated out.

    Given the scales, the network is a linear regression on features that the data drive, so that filtering is recursive
    least squares, the likelihood is the evidence and forecasts are free runs under draws of weights and noise. A filter
    reports the signals W phi in place of the recursion's state, which has no uncertainty; `belief.mean` and
    `belief.cov` of its result hold the weights.

    Args:
        forgetting: Factor, above 0 and at most 1, by which the precision of the weights shrinks from stamp to stamp:
            recursive least squares with forgetting. A model whose weights move (`EchoState(weight_drift=)`) says it
            better.

    Raises:
        ValueError: If the factor is out of its range.

    Example:
        >>> BayesianReadout(forgetting=0.99).forgetting
        0.99

    Reference: Bishop (2006), section 3.5, for the evidence; West and Harrison (1997), "Bayesian forecasting and dynamic
    models", section 6.3, for discounting.
    """

    forgetting: float = eqx.field(default=1.0, static=True)

    def __check_init__(self):
        if not 0.0 < self.forgetting <= 1.0:
            raise ValueError(f"forgetting is {self.forgetting}, expected a number above 0 and at most 1")

    def lacks(self, model: Any) -> str:
        """A linear readout of a frozen recursion."""
        return "" if isinstance(model, EchoState) else "is not an EchoState"

    def check(self, model: EchoState, observed: Observed) -> None:
        """Raise a ValueError if a missing observation would be fed back, the noise is zero, or all is washout."""
        last = int(observed.steps.index[-1])  # rows that follow on earlier ones are beyond the washout
        if last < model.washout:
            raise ValueError(
                f"the washout of {model.washout} stamps leaves nothing of {last + 1} to learn the readout from"
            )
        if np.any(np.asarray(model.noise) == 0):
            raise ValueError("emission_scale is 0: the weights' law is in its unit, so give a small positive scale")
        if observed.steps.spacing is not None and not model.recursion.reads_dt:
            raise ValueError(
                f"the stamps are not evenly spaced, but {type(model.recursion).__name__} does not read the time "
                "between them: give evenly spaced data, or data without dates if only their order counts"
            )
        gaps = np.argwhere(~np.asarray(observed.mask)) if model.feedback else []
        for stamp, series in gaps[:1]:
            raise ValueError(
                f"the observation at stamp {stamp} (series {series}) is missing, but the network feeds it back: fill "
                "it in, use feedback=False, or filter with a method that draws it, such as BootstrapFilter()"
            )

    def check_paths(self, model: EchoState) -> None:
        """A TypeError where the weights move: what all data say of each stamp's weights is not kept."""
        if model.drifts or self.forgetting < 1.0:
            raise TypeError(
                "smoothing is for weights that stay (weight_drift=0 and forgetting=1): filter and forecast serve these"
            )

    def log_likelihood(self, model: EchoState, observed: Observed, plan: Plan, key: Any = None) -> Array:
        """The evidence.

        Where the weights stay it is found for all stamps at once, and stands at the last of them, with zeros before:
        the sum is what learning needs, and comes many times sooner than its terms, which `filter` gives.
        """
        del plan, key
        if model.drifts or self.forgetting < 1.0:
            return self._terms(model, observed, None)[0]
        rows, _ = _rows(model, observed, None)
        targets, mask = _targets(model, observed)

        def one(targets: Array, mask: Array, noise: Array) -> Array:
            phi, z = (jnp.where(mask[:, None], x, 0.0) for x in (rows, targets))
            absent = jnp.sum(~mask) * jnp.sum(0.5 * LOG_2PI + jnp.log(noise))
            return log_evidence(phi, z, model.ridge, noise) + absent

        total = jnp.sum(jax.vmap(one)(targets, mask, model.noise.reshape(len(mask), -1)))
        return jnp.zeros(len(rows), rows.dtype).at[-1].set(total)

    def filter(
        self, model: EchoState, observed: Observed, plan: Plan, belief: ReadoutBelief | None = None, key: Any = None
    ) -> FilterArrays:
        """Signals, one-step predictions and terms; the weights are in the belief after the last stamp."""
        del plan, key
        terms, found, law, state = self._terms(model, observed, belief)
        mask, noise = _learned(model, observed), model.noise
        signal, shrink = found.variance - 1.0, (found.variance - 1.0) / found.variance
        gain = jnp.where(mask, shrink * found.error * jnp.sqrt(found.variance), 0.0)
        kept = jnp.where(mask, shrink, signal)
        predicted = found.mean - model.centre
        diagonal = jax.vmap(jnp.diag)
        previous = jnp.where(observed.mask[-1], observed.y[-1], jnp.nan) if model.feedback else None
        return FilterArrays(
            predicted + gain,
            diagonal(kept * noise**2),
            predicted,
            diagonal(signal * noise**2),
            found.mean,
            diagonal(found.variance * noise**2),
            jnp.where(mask, found.error / noise, jnp.nan),
            terms,
            ReadoutBelief(state, law, noise, previous),  # pyright: ignore[reportArgumentType]  a law of weights
            jnp.zeros((), int),
        )

    def smooth(self, model: EchoState, observed: Observed, plan: Plan, key: Any = None) -> SmootherArrays:
        """Signals given all data, and exact leave-one-out densities."""
        del plan, key
        self.check_paths(model)
        rows, law, _ = _posterior(model, observed)
        mask, noise = _learned(model, observed), model.noise
        mean = _by_series(jax.vmap(lambda one: rows @ one.mean)(law))
        leverage = _by_series(jax.vmap(lambda one: jnp.sum(one.whiten(rows) ** 2, axis=0)[:, None])(law))
        left = jnp.where(mask, 1.0 - leverage, 1.0)  # the share of an observation that the others leave to it
        error = jnp.where(mask, observed.y - model.centre - mean, 0.0)
        loo_error, loo_sd = error / left, noise * jnp.sqrt(jnp.where(mask, 1.0 / left, 1.0 + leverage))
        loo_mean = jnp.where(mask, observed.y - loo_error, model.centre + mean)
        density = jnp.where(mask, -0.5 * (LOG_2PI + (loo_error / loo_sd) ** 2) - jnp.log(loo_sd), 0.0)
        residuals = jnp.where(mask, error / (noise * jnp.sqrt(left)), jnp.nan)
        cov = jax.vmap(jnp.diag)(leverage * noise**2)
        blank = jnp.full_like(mean, jnp.nan)
        return SmootherArrays(mean, cov, {}, {}, residuals, blank, jnp.sum(density, axis=1), loo_mean, loo_sd)

    def sample_paths(self, model: EchoState, observed: Observed, plan: Plan, num_samples: int, key: Any) -> Array:
        """Paths of the recursion, which all agree, beside draws of the weights, which do not change over a path."""
        del plan
        self.check_paths(model)
        _, law, _ = _posterior(model, observed)
        drive, dt = model.fed(observed.steps), _dt(model, observed.steps)

        def body(state: Any, slot: Any) -> Any:
            state, output = model.recursion.step(state, *slot)
            return state, (state, output)

        _, (states, outputs) = jax.lax.scan(body, model.recursion.start(), (drive, dt))
        belief = ReadoutBelief(None, law, model.noise, None)
        weights = belief.sample(key, num_samples)
        over_time = jax.vmap(model.joined, in_axes=(0, 0, None))
        return jax.vmap(over_time, in_axes=(None, None, 0))(states, outputs, weights)

    def forecast(
        self, model: EchoState, belief: ReadoutBelief, steps: Step, num_paths: int, key: Any
    ) -> ForecastArrays:
        """Free runs, each under its own draw of the weights and of the noise."""
        return free_runs(model, belief, steps, num_paths, key, self.forgetting)

    def pointwise(
        self, model: EchoState, observed: Observed, plan: Plan, reported: tuple[int, ...], key: Any
    ) -> DrawArrays:
        """One-step and exact leave-one-out densities; the latter NaN where the weights move."""
        del key
        terms = self._terms(model, observed, None)[0]
        still = not model.drifts and self.forgetting == 1.0
        loo = self.smooth(model, observed, plan).loo_terms if still else jnp.full_like(terms, jnp.nan)
        return DrawArrays(terms, loo, jnp.zeros(len(reported)))

    def _terms(
        self, model: EchoState, observed: Observed, belief: ReadoutBelief | None
    ) -> tuple[Array, Predicted, Any, PyTree]:
        """Terms of the likelihood, one-step predictions by series, and weights and state at the end."""
        rows, state = _rows(model, observed, belief)
        targets, mask = _targets(model, observed, 0 if belief is None else len(jax.tree.leaves(belief.law)[0]))
        law = _prior(model, len(mask)) if belief is None else _for_groups(belief.law, len(mask))
        if model.drifts:
            moved = jnp.ones(len(rows), bool).at[0].set(belief is not None)

            def each(law: Any, z: Array, seen: Array) -> Any:
                return predict_rows(law, rows, z, seen, model.weight_drift, moved, self.forgetting)
        else:
            whole = observed.complete and model.washout == 0

            def each(law: Any, z: Array, seen: Array) -> Any:
                return predict_all(law, rows, z, None if whole else seen, self.forgetting)

        law, found = jax.vmap(each)(law, targets, mask)
        variance = jnp.broadcast_to(found.variance[..., None], found.mean.shape)
        by_series = Predicted(_by_series(found.mean) + model.centre, _by_series(variance), _by_series(found.error))
        density = -0.5 * (LOG_2PI + jnp.log(by_series.variance) + (by_series.error / model.noise) ** 2)
        kept = jnp.where(_learned(model, observed), density - jnp.log(model.noise), 0.0)
        return jnp.sum(kept, axis=1), by_series, law, state


def _prior(model: EchoState, groups: int) -> Any:
    """The prior law of the weights, for each group of series that share their stamps."""
    make = prior_law if model.drifts else prior_root
    law = make(model.num_features, model.count // groups, model.ridge)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (groups, *leaf.shape)), law)


def _for_groups(law: Any, groups: int) -> Any:
    """A law shared by all series as one for each of them, where their stamps begin to differ."""
    if jax.tree.leaves(law)[0].shape[0] == groups:
        return law
    means = law.target if isinstance(law, Root) else law.mean
    apart = jnp.transpose(means[0])[:, :, None]
    if isinstance(law, Root):
        return Root(jnp.broadcast_to(law.root[0], (groups, *law.root.shape[1:])), apart)
    return Drifting(apart, jnp.broadcast_to(law.cov[0], (groups, *law.cov.shape[1:])))


def _posterior(model: EchoState, observed: Observed) -> tuple[Array, Root, Array]:
    """Features, the weights' law given all data, and which stamps taught it."""
    rows, _ = _rows(model, observed, None)
    targets, mask = _targets(model, observed)

    def one(law: Root, z: Array, seen: Array) -> Root:
        return with_rows(law, *(jnp.where(seen[:, None], x, 0.0) for x in (rows, z)))

    return rows, jax.vmap(one)(_prior(model, len(mask)), targets, mask), mask


def _rows(model: EchoState, observed: Observed, belief: ReadoutBelief | None) -> tuple[Array, PyTree]:
    """Features of all stamps, going on from a belief if there is one, and the recursion's last state."""
    steps = observed.steps
    if belief is None:
        return model.run(steps)
    if model.feedback:
        before = jnp.asarray(steps.previous).at[0].set(belief.previous)
        steps = eqx.tree_at(lambda s: s.previous, steps, before)
    return model.run(steps, belief.state)


def _targets(model: EchoState, observed: Observed, groups: int = 0) -> tuple[Array, Array]:
    """Targets (group, time, series of the group) and which stamps teach each group (group, time).

    Series that are complete, or alone, are one group with one law of the weights; else each is its own.
    """
    mask, targets = _learned(model, observed), observed.y - model.centre
    if model.count == 1 or (observed.complete and groups <= 1):
        return targets[None], mask[None, :, 0]
    return targets.T[:, :, None], mask.T


def _learned(model: EchoState, observed: Observed) -> Array:
    """Which observations teach the readout: those present after the washout."""
    return observed.mask & (observed.steps.index >= model.washout)[:, None]


def _by_series(x: Float[Array, "group time each"]) -> Float[Array, "time series"]:
    """Results of groups of series, side by side."""
    return jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1)


def _dt(model: EchoState, steps: Step) -> Array | None:
    """Time between stamps, for a recursion that reads it; that before the first is not used."""
    return steps.dt.at[0].set(1.0) if model.recursion.reads_dt else None
