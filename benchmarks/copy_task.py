"""The copy task: ten symbols are to be held over T blanks and said again. Which cells can?

Ten of eight symbols, T - 1 blanks, a signal, ten blanks: T + 20 inputs; the answer is blank until the signal, then the
symbols. The score is the mean negative log-likelihood over all steps; a network without memory gets 10 ln 8 / (T + 20).
Published: Arjovsky, Shah and Bengio (2016), section 5.1; Henaff, Szlam and LeCun (2016).

    python benchmarks/copy_task.py [T] [steps] [cell ...]
"""

import math
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from statespace.models.recurrent import GRU, LSTM, Orthogonal

SYMBOLS, COPIED, UNITS, BATCH = 8, 10, 96, 64
WIDTH = SYMBOLS + 2  # symbols, blank, signal
CELLS = {
    "orthogonal (Cayley)": lambda key: Orthogonal(WIDTH, UNITS, num_negative=UNITS // 2, key=key),
    "orthogonal (Householder)": lambda key: Orthogonal(WIDTH, UNITS, parametrisation="householder", key=key),
    "GRU": lambda key: GRU(WIDTH, UNITS, key=key),
    "LSTM": lambda key: LSTM(WIDTH, UNITS, key=key),
}


def examples(key, delay, count=BATCH):
    """Inputs and answers as numbers of symbols, (count, delay + 20)."""
    symbols = jax.random.randint(key, (count, COPIED), 0, SYMBOLS)
    blank = jnp.full((count, delay + 2 * COPIED), SYMBOLS)
    inputs = blank.at[:, :COPIED].set(symbols).at[:, COPIED + delay - 1].set(SYMBOLS + 1)
    return inputs, blank.at[:, -COPIED:].set(symbols)


def loss(parts, inputs, answers):
    """Mean negative log-likelihood over all steps of all examples."""
    cell, (weights, bias) = parts
    outputs, _ = jax.vmap(cell.scan)(jax.nn.one_hot(inputs, WIDTH, dtype=bias.dtype))
    logits = outputs @ weights + bias
    return optax.softmax_cross_entropy_with_integer_labels(logits, answers).mean()


def train(make, delay=100, steps=1500, seed=0, report=lambda step, value: None):
    """The test score after so many steps, and the seconds that they took."""
    first, second, data = jax.random.split(jax.random.key(seed), 3)
    weights = jax.random.normal(second, (UNITS, SYMBOLS + 1)) / math.sqrt(UNITS)
    parts = jax.tree.map(lambda x: x.astype(jnp.float32), (make(first), (weights, jnp.zeros(SYMBOLS + 1))))
    schedule = optax.cosine_decay_schedule(2e-3, steps, 0.05)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    @eqx.filter_jit
    def advance(parts, state, key):
        value, gradient = jax.value_and_grad(loss)(parts, *examples(key, delay))
        updates, state = optimiser.update(gradient, state, parts)
        return optax.apply_updates(parts, updates), state, value

    state, start = optimiser.init(parts), time.perf_counter()
    for step in range(steps):
        parts, state, value = advance(parts, state, jax.random.fold_in(data, step))
        if step % 100 == 99:
            report(step + 1, float(value))
    score = float(jax.jit(loss)(parts, *examples(jax.random.key(seed + 10_000), delay, 512)))
    return score, time.perf_counter() - start


def main():
    """Print the table."""
    delay = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 1500
    chosen = sys.argv[3:] or list(CELLS)
    trivial = COPIED * math.log(SYMBOLS) / (delay + 2 * COPIED)
    print(f"copy task, T = {delay}, {UNITS} units, {steps} steps of {BATCH}; without memory {trivial:.3f}", flush=True)
    for name, make in CELLS.items():
        if any(name.lower().startswith(text.lower()) for text in chosen):
            score, seconds = train(
                make, delay, steps, report=lambda s, v, n=name: print(f"  {n} {s}: {v:.4f}", flush=True)
            )
            print(f"{name:26s} {score:.4f}   {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
