"""Learning a deep model and its guide: steps along noisy gradients of a bound, over batches of sequences."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...core.parameters import constrain, parameters, replace, require_known, unconstrain
from ...models.deep import DeepStateSpace, Guide
from .batches import Corpus, buckets, epoch
from .moves import Sequence
from .objectives import AbstractObjective, Bound

_REPORT = 20  # steps between looks at the device
_LOST = 50  # gradients in a row that are not finite, after which there is no going on


class Trainee(eqx.Module):
    """What is learned: a model, and the guide that helps.

    Attributes:
        model: The model, bound to the data.
        guide: The guide.
    """

    model: DeepStateSpace
    guide: Guide


@dataclasses.dataclass(frozen=True)
class Options:
    """How a model is learned.

    Attributes:
        objective: The bound.
        optimizer: An `optax` transformation.
        num_steps: Number of steps.
        batch_size: About how many sequences there are in a batch.
        num_buckets: Largest number of lengths to which sequences are padded.
        evaluate_every: Steps between evaluations of the held-out bound.
        patience: Evaluations without a better bound after which learning ends; None: never.
    """

    objective: AbstractObjective
    optimizer: optax.GradientTransformation
    num_steps: int
    batch_size: int
    num_buckets: int
    evaluate_every: int
    patience: int | None


class State(NamedTuple):
    """Where learning stands: going on from it is the same as never having stopped.

    Attributes:
        step: Steps taken.
        values: Unconstrained values of what is learned, by path.
        optimizer: The optimiser's state.
        best: The values with the best held-out bound; the last ones where nothing is held out.
        best_bound: That bound, in nats a stamp; minus infinity before the first evaluation.
        best_step: When it was reached.
    """

    step: int
    values: dict[str, Array]
    optimizer: Any
    best: dict[str, Array]
    best_bound: float
    best_step: int


class Progress(NamedTuple):
    """What learning leaves behind.

    Attributes:
        state: Where it stands.
        bounds: The bound at each step, in nats a stamp.
        divergences: KL of each latent state at each step, in nats a stamp, (step, latent).
        held_out: Step and bound of each evaluation.
        interrupted: Whether it was stopped from outside.
    """

    state: State
    bounds: Float[np.ndarray, " step"]
    divergences: Float[np.ndarray, "step latent"]
    held_out: list[tuple[int, float]]
    interrupted: bool


class Trainer:
    """A model, a guide and sequences, ready to be learned.

    Args:
        trainee: Model and guide, all of whose parameters have values.
        free: Paths of the parameters that are learned, `"model..."` and `"guide..."`.
        corpus: The sequences.
        held_out: Sequences that are not learned from; None for none.
        priors: Prior densities by path, of any free parameters.
        options: How it is learned.
        key: PRNG key.
    """

    def __init__(
        self,
        trainee: Trainee,
        free: tuple[str, ...],
        corpus: Corpus,
        held_out: Corpus | None,
        priors: dict[str, Any],
        options: Options,
        key: Any,
    ):
        require_known(trainee, "what is learned")
        known = parameters(trainee)
        self.trainee, self.corpus, self.held_out, self.options, self.key = trainee, corpus, held_out, options, key
        self.priors = priors
        self.supports = {p: priors[p].support if p in priors else known[p].constraint for p in free}
        self.start = unconstrain({p: jnp.asarray(known[p].value) for p in free}, self.supports)
        self.groups = buckets(corpus.lengths, options.batch_size, options.num_buckets)
        self.per_epoch = sum(group.count for group in self.groups)
        self.frames = int(corpus.lengths.sum()) / self.per_epoch  # of a batch, on average
        self.optimizer = optax.apply_if_finite(options.optimizer, _LOST)
        self.advance = jax.jit(self._advance)
        self.bounds = jax.jit(self._bounds)

    def begin(self) -> State:
        """The state before the first step."""
        return State(0, self.start, self.optimizer.init(self.start), self.start, -np.inf, 0)

    def learned(self, values: dict[str, Array]) -> Trainee:
        """Model and guide at unconstrained values."""
        return replace(self.trainee, constrain(values, self.supports))

    def run(
        self, state: State, num_steps: int, report: Callable[[int, int, str], None], save: Callable[[State], None]
    ) -> Progress:
        """So many more steps.

        Args:
            state: Where learning stands.
            num_steps: How many.
            report: Told of steps taken, of all, and how it goes.
            save: Called with the state after each evaluation.
        """
        bounds, divergences, held, pending = [], [], [], []
        end, interrupted, waited = state.step + num_steps, False, 0
        order = self._order(state.step)
        try:
            while state.step < end:
                which, group = next(order)
                batch = self.corpus.batch(which, group.length, group.size)
                key = jax.random.fold_in(self.key, state.step)
                values, optimizer, found = self.advance(
                    state.values, state.optimizer, batch, key, jnp.asarray(state.step)
                )
                state = state._replace(step=state.step + 1, values=values, optimizer=optimizer)
                pending.append(found)
                if len(pending) == _REPORT or state.step == end:
                    self._collect(pending, bounds, divergences)
                    report(state.step, end, f"bound {np.mean(bounds[-_REPORT:]):.4f} a stamp")
                if state.step % self.per_epoch == 0:
                    order = self._order(state.step)
                if state.step % self.options.evaluate_every == 0 or state.step == end:
                    state = self._evaluated(state, held)
                    save(state)
                    waited = state.step - state.best_step
                    if self.options.patience and waited >= self.options.patience * self.options.evaluate_every:
                        break
        except KeyboardInterrupt:
            interrupted = True
        self._collect(pending, bounds, divergences)
        return Progress(state, np.array(bounds), np.array(divergences), held, interrupted)

    def bound(self, values: dict[str, Array], corpus: Corpus, key: Any) -> float:
        """The bound for other sequences, in nats a stamp."""
        groups = buckets(corpus.lengths, self.options.batch_size, self.options.num_buckets)
        total = 0.0
        for number, (which, group) in enumerate(epoch(groups, 0)):
            batch = corpus.batch(which, group.length, group.size)
            found = self.bounds(values, batch, jax.random.fold_in(key, number))
            total += float(jnp.sum(found[: len(which)]))
        return total / int(corpus.lengths.sum())

    def _bounds(self, values: dict[str, Array], batch: Sequence, key: Any) -> Float[Array, " sequence"]:
        """The bound for each sequence of a batch."""
        trainee = self.learned(values)
        keys = jax.random.split(key, batch.y.shape[0])
        bound = self.options.objective.bound
        return jax.vmap(lambda one, k: bound(trainee.model, trainee.guide, one, k).value)(batch, keys)

    def _order(self, step: int) -> Any:
        """What is left of the epoch in which a step lies."""
        number, position = divmod(step, self.per_epoch)
        seed = [int(x) for x in np.asarray(jax.random.key_data(self.key)).ravel()]
        batches = epoch(self.groups, [*seed, number])
        for _ in range(position):
            next(batches)
        return batches

    def _loss(self, values: dict[str, Array], batch: Sequence, key: Any, step: Any) -> tuple[Array, Bound]:
        """Minus the objective for a batch and its share of the log prior, in nats a stamp."""
        natural = constrain(values, self.supports)
        trainee, objective = replace(self.trainee, natural), self.options.objective
        keys = jax.random.split(key, batch.y.shape[0])
        total, found = objective.loss(trainee.model, trainee.guide, batch, keys, objective.kl_weight(step))
        share = 1.0 / self.per_epoch
        prior = sum((jnp.sum(law.log_prob(natural[path])) for path, law in self.priors.items()), jnp.zeros(()))
        return (total - share * prior) / self.frames, found

    def _advance(self, values: dict[str, Array], optimizer: Any, batch: Sequence, key: Any, step: Any) -> Any:
        """One step, which is not taken where the gradient is not finite."""
        gradient, found = jax.grad(self._loss, has_aux=True)(values, batch, key, step)
        moves, optimizer = self.optimizer.update(gradient, optimizer, values)
        stamps = batch.y.shape[0] * batch.y.shape[1] if batch.inside is None else jnp.sum(batch.inside)
        met = jnp.sum(found.value) / stamps, jnp.sum(found.divergence, axis=0) / stamps, optimizer.notfinite_count
        return optax.apply_updates(values, moves), optimizer, met

    def _evaluated(self, state: State, held: list[tuple[int, float]]) -> State:
        """The state with the best values so far."""
        if self.held_out is None:
            return state._replace(best=state.values, best_step=state.step)
        found = self.bound(state.values, self.held_out, jax.random.fold_in(self.key, 2**31 - 1))
        held.append((state.step, found))
        if not found > state.best_bound:
            return state
        return state._replace(best=state.values, best_bound=found, best_step=state.step)

    def _collect(self, pending: list, bounds: list, divergences: list) -> None:
        """Fetch what the device has found, and look whether it makes sense."""
        for bound, kl, lost in jax.device_get(pending):
            bounds.append(float(bound))
            divergences.append(np.asarray(kl))
            if int(lost) >= _LOST:
                pending.clear()
                raise FloatingPointError(
                    f"the gradient was not finite at {_LOST} steps in a row: take a smaller learning rate, or look for "
                    "values in the data that the model cannot make"
                )
        pending.clear()
