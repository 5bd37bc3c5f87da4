"""Learning a deep model and its guide: steps along noisy gradients of a bound, over batches of sequences."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...core.parameters import with_fields
from ...models.weights import redrawn
from . import streams
from .batches import Bucket, Corpus, buckets, epoch
from .moves import Sequence
from .objectives import Bound
from .state import History, State, nothing
from .svi import AmortisedSVI
from .weights import Trainee, Weights

_REPORT = 20  # steps between looks at the device
_LOST = 50  # gradients in a row that are not finite, after which there is no going on
_CUT_GROUPS = 20  # groups of like lengths where sequences are cut: they cost no compilation
_HELD_OUT_SHAPES = 2  # lengths to which held-out sequences are padded


class Progress(NamedTuple):
    """What a stretch of learning leaves behind.

    Attributes:
        state: Where it stands.
        history: What it has seen.
        ended: Why it ended: "finished", "interrupted", or "patience" where the held-out bound did not rise any more.
    """

    state: State
    history: History
    ended: str


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
        options: AmortisedSVI,
        key: Any,
    ):
        self.weights = Weights(trainee, free, priors, options.weights == "normal")
        self.trainee, self.corpus, self.held_out, self.options, self.key = trainee, corpus, held_out, options, key
        self._whole: Any = None  # the batch that is being cut into windows
        self.groups = self._groups()
        self.per_epoch = sum(group.count * self._parts(group) for group in self.groups)
        self.frames = int(corpus.lengths.sum()) / self.per_epoch  # of a batch, on average
        self.every = self.per_epoch if options.evaluate_every is None else options.evaluate_every
        self.optimizer = optax.apply_if_finite(options.transformation(), _LOST)
        several = options.num_seeds > 1
        axes = (0, 0, 0, None, 0, None, None)
        self.advance = jax.jit(jax.vmap(self._advance, in_axes=axes) if several else self._advance)
        self.bounds = jax.jit(jax.vmap(self._bounds, in_axes=(0, None, None)) if several else self._bounds)

    @property
    def nothing(self) -> History:
        """The history before the first step."""
        return nothing(self.options.num_seeds, self.trainee.model.dynamics.latent)

    def begin(self) -> State:
        """The state before the first step."""
        seeds = self.options.num_seeds
        start = self.weights.begin
        made = [start(self.trainee)]
        for key in jax.random.split(jax.random.fold_in(self.key, streams.SEEDS), seeds - 1):
            made.append(start(redrawn(self.trainee, self.weights.free, key)))
        values = made[0] if seeds == 1 else jax.tree.map(lambda *leaves: jnp.stack(leaves), *made)
        optimizer = self.optimizer.init(values) if seeds == 1 else jax.vmap(self.optimizer.init)(values)
        memory = None
        if self.options.window is not None:
            which, group, part = next(self._order(0))
            memory = self._memory(self.trainee, self._batch(which, group, part))
            if seeds > 1:
                memory = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (seeds, *leaf.shape)), memory)
        return State(0, values, optimizer, values, np.full(seeds, -np.inf), np.zeros(seeds, int), memory)

    def best(self, state: State, history: History) -> tuple[dict[str, Array], int]:
        """The best seed's values, and its number: by the held-out bound, else by that of the last epoch."""
        scores = state.best_bound
        if self.held_out is None and len(history.bound):
            scores = history.bound[-self.per_epoch :].mean(axis=0)
        seed = int(np.argmax(scores))
        several = self.options.num_seeds > 1
        return {path: v[seed] if several else v for path, v in state.best.items()}, seed

    def run(
        self,
        state: State,
        num_steps: int,
        report: Callable[[int, int, str], None],
        save: Callable[[State, History], None],
    ) -> Progress:
        """So many more steps.

        Args:
            state: Where learning stands.
            num_steps: How many.
            report: Told of steps taken, of all, and how it goes.
            save: Called after each evaluation with the state, and what this stretch has seen.
        """
        seen = _Seen(self.nothing)
        end, ended = state.step + num_steps, "finished"
        order = self._order(state.step)
        try:
            while state.step < end:
                state = self._stepped(state, *next(order), seen)
                if state.step % _REPORT == 0 or state.step == end:
                    report(state.step, end, seen.collected())
                if state.step % self.per_epoch == 0:
                    order = self._order(state.step)
                if state.step % self.every == 0 or state.step == end:
                    state = self._evaluated(state, seen)
                    seen.collected()
                    save(state, seen.history())
                    waited = state.step - int(state.best_step.max())
                    if self.options.patience and waited >= self.options.patience * self.every:
                        ended = "patience"
                        break
        except KeyboardInterrupt:
            ended = "interrupted"
        seen.collected()
        if self.held_out is None:
            state = _taken(state)
        return Progress(state, seen.history(), ended)

    def bound(self, values: dict[str, Array], corpus: Corpus, key: Any) -> Float[np.ndarray, " seed"]:
        """The bound for other sequences, in nats a stamp."""
        groups = buckets(corpus.lengths, self.options.batch_size, _HELD_OUT_SHAPES)
        total = np.zeros(self.options.num_seeds)
        for number, (which, group) in enumerate(epoch(groups, 0)):
            batch = corpus.batch(which, group.length, group.size)
            found = np.atleast_2d(self.bounds(values, batch, jax.random.fold_in(key, number)))
            total += found[:, : len(which)].sum(axis=1)
        return total / corpus.stamps

    def _groups(self) -> list[Bucket]:
        """Sequences of like lengths; where they are cut all batches have one shape, so that there can be many."""
        options, lengths = self.options, self.corpus.lengths
        window = options.window
        if window is None:
            return buckets(lengths, options.batch_size, options.num_buckets)
        size = min(options.batch_size, len(lengths))
        found = buckets(lengths, size, _CUT_GROUPS)
        return [group._replace(size=size, length=-(-group.length // window) * window) for group in found]

    def _parts(self, group: Bucket) -> int:
        """Windows of the sequences of a group."""
        return 1 if self.options.window is None else group.length // self.options.window

    def _batch(self, which: np.ndarray, group: Bucket, part: int) -> Sequence:
        """A batch, or a window of it."""
        window = self.options.window
        if window is None:
            return self.corpus.batch(which, group.length, group.size)
        if self._whole is None or self._whole[0] is not which:
            self._whole = which, self.corpus.batch(which, group.length, group.size)
        whole = self._whole[1]
        if whole.inside is None:
            whole = with_fields(whole, inside=jnp.ones(whole.y.shape[:2], bool))
        return jax.tree.map(lambda leaf: leaf[:, part * window : (part + 1) * window], whole)

    def _memory(self, trainee: Trainee, batch: Sequence) -> Any:
        """What is carried to the first window of a batch."""
        memory = self.options.objective.memory
        return jax.vmap(lambda one: memory(trainee.model, trainee.guide, one))(batch)

    def _order(self, step: int) -> Any:
        """What is left of the epoch in which a step lies: batches, with their group and window."""
        number, position = divmod(step, self.per_epoch)
        seed = [int(x) for x in np.asarray(jax.random.key_data(self.key)).ravel()]
        batches = epoch(self.groups, [*seed, number])
        parts = ((which, group, part) for which, group in batches for part in range(self._parts(group)))
        return itertools.islice(parts, position, None)

    def _stepped(self, state: State, which: np.ndarray, group: Bucket, part: int, seen: "_Seen") -> State:
        """The state after one step."""
        batch = self._batch(which, group, part)
        key, seeds = jax.random.fold_in(self.key, state.step), self.options.num_seeds
        keys = key if seeds == 1 else jax.random.split(key, seeds)
        values, optimizer, memory, met = self.advance(
            state.values, state.optimizer, state.memory, batch, keys, jnp.asarray(state.step), jnp.asarray(part == 0)
        )
        seen.pending.append(met)
        return state._replace(step=state.step + 1, values=values, optimizer=optimizer, memory=memory)

    def _loss(
        self, values: dict[str, Array], batch: Sequence, key: Any, step: Any, memory: Any, fresh: Any
    ) -> tuple[Array, tuple[Bound, Any, Array]]:
        """Minus the objective for a batch and its share of the log prior, in nats a stamp."""
        trainee, gain = self.weights.draw(values, jax.random.fold_in(key, streams.WEIGHTS))
        objective, keys = self.options.objective, jax.random.split(key, batch.y.shape[0])
        batch = self._hidden(batch, jax.random.fold_in(key, streams.HIDING))
        if memory is not None:
            anew = self._memory(trainee, batch)
            memory = jax.tree.map(lambda a, b: jnp.where(fresh, a, jax.lax.stop_gradient(b)), anew, memory)
        weight = objective.kl_weight(step)
        total, found, memory = objective.loss(trainee.model, trainee.guide, batch, keys, weight, memory)
        gain = gain / self.per_epoch
        return (total - gain) / self.frames, (found, memory, gain)

    def _hidden(self, batch: Sequence, key: Any) -> Sequence:
        """A batch of which the guide does not see all."""
        hide, shape = self.options.hide, batch.y.shape
        if hide is None:
            return batch
        shown = jax.vmap(lambda k: hide.shown(k, *shape[1:]))(jax.random.split(key, shape[0]))
        return with_fields(batch, shown=shown if batch.mask is None else shown & batch.mask)

    def _advance(
        self, values: dict[str, Array], optimizer: Any, memory: Any, batch: Sequence, key: Any, step: Any, fresh: Any
    ) -> Any:
        """One step, which is not taken where the gradient is not finite."""
        gradient, (found, memory, gain) = jax.grad(self._loss, has_aux=True)(values, batch, key, step, memory, fresh)
        moves, optimizer = self.optimizer.update(gradient, optimizer, values)
        stamps = jnp.maximum(batch.stamps, 1)
        met = (
            (jnp.sum(found.value) + gain) / stamps,
            jnp.sum(found.divergence, axis=0) / stamps,
            optimizer.notfinite_count,
        )
        return optax.apply_updates(values, moves), optimizer, memory, met

    def _bounds(self, values: dict[str, Array], batch: Sequence, key: Any) -> Float[Array, " sequence"]:
        """The bound for each sequence of a batch."""
        trainee = self.weights.point(values)
        keys = jax.random.split(key, batch.y.shape[0])
        bound = self.options.objective.bound
        return jax.vmap(lambda one, k: bound(trainee.model, trainee.guide, one, k).value)(batch, keys)

    def _evaluated(self, state: State, seen: "_Seen") -> State:
        """The state with the best values so far."""
        if self.held_out is None:
            return _taken(state)
        found = self.bound(state.values, self.held_out, jax.random.fold_in(self.key, streams.HELD_OUT))
        seen.held_out.append(found)
        seen.evaluated_at.append(state.step)
        better = found > state.best_bound
        if not better.any():
            return state
        return state._replace(
            best={path: _chosen(better, v, state.best[path]) for path, v in state.values.items()},
            best_bound=np.where(better, found, state.best_bound),
            best_step=np.where(better, state.step, state.best_step),
        )


def _taken(state: State) -> State:
    """The state whose best values are the last ones."""
    return state._replace(best=state.values, best_step=np.full_like(state.best_step, state.step))


def _chosen(better: np.ndarray, new: Array, old: Array) -> Array:
    """New values of the seeds that are better."""
    if len(better) == 1:
        return new
    return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)


class _Seen:
    """What a stretch of learning has seen so far; numbers are fetched from the device now and then."""

    def __init__(self, empty: History):
        self.pending: list[Any] = []
        self.bound, self.divergence, self.held_out, self.evaluated_at = [], [], [], []
        self.empty = empty

    def collected(self) -> str:
        """Fetch what the device has found, look whether it makes sense, and say how it goes."""
        for bound, kl, lost in jax.device_get(self.pending):
            self.bound.append(np.atleast_1d(bound))
            self.divergence.append(np.atleast_2d(kl))
            if np.min(lost) >= _LOST:
                self.pending.clear()
                raise FloatingPointError(
                    f"the gradient was not finite at {_LOST} steps in a row: take a smaller learning rate, or look for "
                    "values in the data that the model cannot make"
                )
        self.pending.clear()
        held = f", held out {self.held_out[-1].max():.4f}" if self.held_out else ""
        return f"bound {np.max(np.mean(self.bound[-_REPORT:], axis=0)):.4f} a stamp{held}" if self.bound else ""

    def history(self) -> History:
        """All of it."""
        found = (self.bound, self.divergence, self.held_out, self.evaluated_at)
        return History(*(np.array(x) if x else none for x, none in zip(found, self.empty, strict=True)))
