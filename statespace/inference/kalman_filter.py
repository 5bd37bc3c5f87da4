"""The Kalman filter for linear-Gaussian models, exact with a diffuse start and with missing elements.

Observations are decorrelated once and processed one element at a time; see `core.gaussian` for the atoms
and their sources. The diffuse phase, whose length depends on which elements are observed and not on the
parameters' values, is run for a given number of stamps and the cheaper recursion after it.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import eval_context
from jaxtyping import Array, Bool, Float, Int

from ..core import gaussian
from ..core.belief import DiffuseGaussian, Gaussian
from ..core.covariance import as_root
from ..core.gaussian import Element
from ..core.linalg import mask_matrix, quadratic, solve_unit_lower, unit_ldl
from ..core.scan import Hoisted, forward, length_of, part
from ..core.step import Step
from ..models.base import AbstractLinearGaussian, EmissionMatrices
from .steady_state import Stretch, run_tail


class Observation(NamedTuple):
    """One stamp's observation, decorrelated: y = rows x + noise of variances `variances`.

    Attributes:
        rows: Shape (series, state).
        variances: Noise variances, shape (series,).
        values: Shape (series,), offset taken off.
        lower: The unit lower triangular matrix that decorrelated them, or None.
    """

    rows: Float[Array, "series state"]
    variances: Float[Array, " series"]
    values: Float[Array, " series"]
    lower: Float[Array, "series series"] | None


class Slot(NamedTuple):
    """What the scan carries for one stamp; `values` are the decorrelated observations without their offset."""

    step: Step
    values: Float[Array, " series"]
    mask: Bool[Array, " series"] | None
    transition: list[Any]
    emission: list[Any]


def decorrelated(matrix: Array, cov: Array, mask: Array | None) -> tuple[Array, Array, Array]:
    """Rows, variances and unit lower triangular factor that make the noise of the present elements independent."""
    lower, variances = unit_ldl(cov if mask is None else mask_matrix(cov, mask))
    rows = matrix if mask is None else jnp.where(mask[:, None], matrix, 0.0)
    return solve_unit_lower(lower, rows), variances, lower


class KalmanRecursion:
    """Predict and update of one model on one set of stamps, with all that is constant computed ahead."""

    stable = True  # whether covariances are wanted, and not innovations only

    def __init__(
        self,
        model: AbstractLinearGaussian,
        steps: Step,
        *,
        peeled: bool,
        complete: bool,
        mask: Array,
        form: str = "auto",
        diffuse: bool = False,
    ):
        self.model = model
        skip = 1 if peeled and len(steps) > 1 else 0
        self.transition = Hoisted(self._transition, part(steps, skip, None))
        self.emission = Hoisted(self._emission, (steps, None if complete else mask))
        self.skip, self.mask = skip, None if complete else mask
        rows = self.emission.varying[1]  # None where they are the same at every stamp
        loses_digits = diffuse and rows is not None and rows.dtype == jnp.float32
        self.root = form == "sqrt" or (form == "auto" and loses_digits)

    def _transition(self, step: Step) -> tuple[Array, Array, Array]:
        parts = self.model.transition_matrices(step)
        return parts.offset, parts.factor, quadratic(parts.factor)

    def _emission(self, at: tuple[Step, Array | None]) -> tuple[Array, Array, Array, Array | None]:
        """Offset, decorrelated rows, noise variances, and the decorrelating factor."""
        step, mask = at
        parts: EmissionMatrices = self.model.emission_matrices(step)
        if parts.scale.ndim == 1:
            return parts.offset, parts.matrix, parts.scale**2, None
        return parts.offset, *decorrelated(parts.matrix, quadratic(parts.scale), mask)

    def slots(self, steps: Step, y: Array) -> Slot:
        """Everything that varies, stacked over time; the first stamp's transition is never read."""
        offset, _, _, lower = self.emission.all(len(steps))
        values = y - offset if self.mask is None else jnp.where(self.mask, y - offset, 0.0)
        if lower is not None:
            values = jax.vmap(solve_unit_lower)(lower, values)
        pad = [v if v is None else jnp.concatenate([v[: self.skip], v]) for v in self.transition.varying]
        return Slot(steps, values, self.mask, pad, self.emission.varying)

    def observation(self, slot: Slot) -> Observation:
        """The slot's observation, decorrelated."""
        _, rows, variances, lower = self.emission.merge(slot.emission)
        return Observation(rows, variances, slot.values, lower)

    def carried(self, belief: Any) -> Any:
        """A belief with its covariance in the form that this recursion carries."""
        return eqx.tree_at(lambda b: b.cov, belief, as_root(belief.cov)) if self.root else belief

    def noise_factor(self, slot: Slot) -> Array:
        """Factor of the noise covariance of the transition into the slot."""
        return self.transition.merge(slot.transition)[1]

    def noise(self, slot: Slot) -> tuple[Array, Array]:
        """Offset and noise covariance of the transition into the slot."""
        offset, _, cov = self.transition.merge(slot.transition)
        return offset, cov

    def predict(self, belief: Any, slot: Slot) -> Any:
        """The belief at this stamp before its observation."""
        offset, factor, cov = self.transition.merge(slot.transition)
        noise = factor if self.root else cov
        return gaussian.predict(belief, lambda x: self.model.propagate(x, slot.step), offset, noise)

    def update(self, belief: Any, slot: Slot) -> tuple[Any, Element]:
        """Condition on the slot's elements one after another."""
        return self.condition(belief, self.observation(slot), slot)

    def condition(self, belief: Any, seen: Observation, slot: Slot) -> tuple[Any, Element]:
        """The belief given a decorrelated observation, and what each element did."""
        diffuse = not isinstance(belief, Gaussian)
        step: Callable[..., tuple[Any, Element]] = (
            gaussian.update_element_diffuse if diffuse else gaussian.update_element
        )
        elements = []
        for i in range(seen.values.shape[0]):
            present = None if slot.mask is None else slot.mask[i]
            belief, element = step(belief, seen.rows[i], seen.variances[i], seen.values[i], present, stable=self.stable)
            elements.append(element)
        return belief, jax.tree.map(lambda *leaves: jnp.stack(leaves), *elements)


class Likelihood(KalmanRecursion):
    """The recursion that keeps innovations and variances only."""

    stable = False

    def update(self, belief: Any, slot: Slot) -> tuple[Any, tuple[Array, Array, Array | None, Array | None]]:
        """Condition on the slot's elements; keep what the log-likelihood needs."""
        belief, e = super().update(belief, slot)
        return belief, (e.innovation, e.variance, e.present, e.diffuse)


class Full(KalmanRecursion):
    """The recursion that keeps the predicted and filtered beliefs as well."""

    def update(self, belief: Any, slot: Slot) -> tuple[Any, tuple[Any, Any, Element]]:
        """Condition on the slot's elements; keep beliefs before and after."""
        after, elements = super().update(belief, slot)
        return after, (belief.as_matrices(), after.as_matrices(), elements)


class KalmanRun(eqx.Module):
    """The arrays that a filter run leaves.

    Attributes:
        diffuse_part: (predicted, filtered, elements) of the stamps of the diffuse phase, or None.
        proper_part: The same for the stamps after it, or None.
        last: The belief after the last stamp.
        log_scale: Constant that restores the likelihood to unit diffuse variances.
    """

    diffuse_part: Any
    proper_part: Any
    last: Gaussian
    log_scale: Float[Array, ""]


def initial_belief(model: AbstractLinearGaussian, steps: Step) -> tuple[Gaussian | DiffuseGaussian, Float[Array, ""]]:
    """The belief before the first observation, and a constant of its likelihood.

    The unit of a diffuse element is immaterial, but not to rounding: each is measured in units that give
    it a loading of size one, and the constant restores the likelihood that belongs to unit variances.
    """
    law = model.initial_law(part(steps, 0, 1)[0])
    if not any(law.diffuse):
        return Gaussian(law.mean, law.cov), jnp.zeros(())
    factor = law.diffuse_factor()
    loading = Hoisted(lambda s: jnp.max(jnp.abs(model.emission_matrices(s).matrix), axis=0), steps)
    largest = jax.lax.stop_gradient(jnp.max(loading.all(len(steps)), axis=0))
    unit = jnp.where(largest > 0, 1.0 / jnp.where(largest > 0, largest, 1.0), 1.0)
    scaled = factor * unit[:, None]
    constant = jnp.sum(jnp.where(jnp.asarray(law.diffuse), jnp.log(unit), 0.0))
    cov = jnp.where(jnp.asarray(law.diffuse)[:, None] | jnp.asarray(law.diffuse)[None], 0.0, law.cov)
    remaining = jnp.asarray(factor.shape[1])
    return DiffuseGaussian(law.mean, cov, scaled, remaining, jnp.sum(scaled**2, axis=1)), constant


def run(
    recursion: KalmanRecursion,
    belief: Gaussian | DiffuseGaussian,
    slots: Slot,
    diffuse_steps: int,
    *,
    started: bool,
    checkpoint: bool,
) -> tuple[Gaussian, Any, Any]:
    """The diffuse phase and the recursion after it: last belief, and the summaries of both."""
    length = length_of(slots)
    first = None
    if isinstance(belief, DiffuseGaussian):
        split = min(diffuse_steps, length)
        belief, first = forward(recursion, belief, part(slots, 0, split), started=started, checkpoint=checkpoint)
        belief, started, slots = belief.proper(), True, part(slots, split, length)
        if split == length:
            return belief, first, None
    belief, rest = forward(recursion, belief, slots, started=started, checkpoint=checkpoint)
    return belief, first, rest


def log_likelihood(
    model: AbstractLinearGaussian,
    y: Float[Array, "time series"],
    mask: Bool[Array, "time series"],
    steps: Step,
    *,
    diffuse_steps: int | None = None,
    complete: bool = False,
    form: str = "auto",
    tails: tuple[Stretch, ...] = (),
) -> Float[Array, " time"]:
    """The terms log p(y_t | y_<t) of the log-likelihood; their sum is the log-likelihood.

    All constants are included, also -0.5 log 2 pi for each diffuse element (KFAS leaves those out).

    Args:
        model: Linear-Gaussian model whose parameters are known.
        y: Observations; values where the mask is False are never used.
        mask: Which elements are present.
        steps: The stamps.
        diffuse_steps: Stamps of the diffuse phase (`diffuse_phase`); the whole series when left out. If it
            is too short the result is NaN, never a wrong number.
        complete: Whether it is known that nothing is missing.
        form: How the covariance is carried; see `Kalman`.
        tails: Stretches after the diffuse phase that may be run by the steady state (`steady_state.tails`).

    Returns:
        One term a stamp; NaN where an innovation variance is not positive.
    """
    belief, constant = initial_belief(model, steps)
    diffuse = isinstance(belief, DiffuseGaussian)
    recursion = Likelihood(model, steps, peeled=True, complete=complete, mask=mask, form=form, diffuse=diffuse)
    belief, slots = recursion.carried(belief), recursion.slots(steps, y)
    length = len(steps) if diffuse_steps is None else diffuse_steps
    begins = [*(first for first, _ in tails), len(steps)]
    last, *kept = run(recursion, belief, part(slots, 0, begins[0]), length, started=False, checkpoint=True)
    terms = [_terms(found) for found in kept if found is not None]

    def exact(belief: Gaussian, first: int, stop: int) -> tuple[Gaussian, Array]:
        belief, found = forward(recursion, belief, part(slots, first, stop), started=True, checkpoint=True)
        return belief, _terms(found)

    for (first, stop), begin in zip(tails, begins[1:], strict=True):
        whole = functools.partial(exact, first=first, stop=stop)
        last, found = run_tail(model, part(steps, first, stop), y[first:stop], last, whole, horizon=first)
        terms.append(found)
        if begin > stop:
            last, found = exact(last, stop, begin)
            terms.append(found)
    return jnp.concatenate(terms).at[0].add(constant)


def _terms(kept: Any) -> Float[Array, " time"]:
    return jnp.sum(gaussian.log_density(*kept), axis=1)


def kalman_filter(
    model: AbstractLinearGaussian,
    y: Float[Array, "time series"],
    mask: Bool[Array, "time series"],
    steps: Step,
    *,
    diffuse_steps: int | None = None,
    complete: bool = False,
    belief: Gaussian | None = None,
    form: str = "auto",
) -> tuple[KalmanRecursion, Slot, KalmanRun]:
    """Run the filter and keep everything: the recursion, its slots, and what it left.

    Args:
        model: Linear-Gaussian model whose parameters are known.
        y: Observations; values where the mask is False are never used.
        mask: Which elements are present.
        steps: The stamps.
        diffuse_steps: Stamps of the diffuse phase; the whole series when left out.
        complete: Whether it is known that nothing is missing.
        belief: The belief at the stamp before the first, when continuing; the model's initial law if None.
        form: How the covariance is carried; see `Kalman`.
    """
    started = belief is not None
    start, constant = (belief, jnp.zeros(())) if started else initial_belief(model, steps)
    diffuse = isinstance(start, DiffuseGaussian)
    recursion = Full(model, steps, peeled=not started, complete=complete, mask=mask, form=form, diffuse=diffuse)
    slots = recursion.slots(steps, y)
    length = len(steps) if diffuse_steps is None else diffuse_steps
    last, first, rest = run(recursion, recursion.carried(start), slots, length, started=started, checkpoint=False)
    return recursion, slots, KalmanRun(first, rest, last.as_matrices(), constant)


def diffuse_phase(model: AbstractLinearGaussian, mask: Any, steps: Step) -> tuple[int, int]:
    """How many stamps the diffuse phase needs, and how many diffuse directions the data leave open.

    The first is rounded up, so that few lengths are ever compiled.

    Args:
        model: A model whose parameters have (any generic) values.
        mask: Which elements are present, concrete.
        steps: The stamps, concrete.
    """
    with eval_context():  # also while an outer function is being traced
        if not any(model.initial_law(steps[0]).diffuse):
            return 0, 0
        remaining = jax.device_get(_remaining(model, mask, steps))
    needed = int((remaining > 0).sum()) + 1
    grain = 2 ** max(needed.bit_length() - 3, 0)
    return min(-(-needed // grain) * grain, len(steps)), int(remaining[-1])


class _Remaining(KalmanRecursion):
    """The recursion that keeps the number of open diffuse directions only."""

    def update(self, belief: Any, slot: Slot) -> tuple[Any, Array]:
        after, _ = super().update(belief, slot)
        return after, after.remaining


@eqx.filter_jit
def _remaining(model: AbstractLinearGaussian, mask: Array, steps: Step) -> Int[Array, " time"]:
    """How many diffuse directions remain after each stamp."""
    belief, _ = initial_belief(model, steps)
    recursion = _Remaining(model, steps, peeled=True, complete=False, mask=mask)
    slots = recursion.slots(steps, jnp.zeros(mask.shape, belief.mean.dtype))
    _, remaining = forward(recursion, belief, slots, started=False)
    return remaining
