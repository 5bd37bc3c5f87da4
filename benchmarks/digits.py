"""Sequential digits: 8x8 images read one pixel a step, classified by stacks of an LRU, S4D and a GRU trained alike.

scikit-learn's digits, 64 steps of one pixel / 16, 1437 to train on and 360 to test, stratified. Width 32, two
pre-normalised blocks (layer, GELU, GLU, skip), mean over time; 40 epochs of batches of 64, AdamW 4e-3 with a tenth of
warm-up and cosine decay, gradients clipped at 1. Dynamics, that is what moves and drives the state, learn at 0.3 of the
rate without weight decay; in a GRU these are all of its weights, so it is shown at the full rate too. Accuracies are
those of the last epoch; the LRU is to reach 0.95, S4D 0.92, each in all runs, and both on average 0.05 more than the
GRU trained alike.

    python benchmarks/digits.py [seeds]
"""

import sys
import time
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from statespace.models.layers import LRU, S4D, Stack
from statespace.models.recurrent import GRU

WIDTH, CLASSES = 32, 10
GATED = {"input_weights", "recurrent_weights", "bias", "recurrent_bias"}
DYNAMICS = {
    "LRU": {"log_decay", "log_frequency", "B"},
    "S4D": {"log_decay", "frequency", "log_dt"},
    "GRU": GATED,
    "GRU, full rate": set(),
}
GATES = {"LRU": 0.95, "S4D": 0.92}
MARGIN = 0.05
LAYERS = {
    "LRU": lambda key: LRU(WIDTH, 32, ring=(0.5, 0.99), key=key),
    "S4D": lambda key: S4D(WIDTH, 32, key=key),
    "GRU": lambda key: GRU(WIDTH, WIDTH, key=key),
    "GRU, full rate": lambda key: GRU(WIDTH, WIDTH, key=key),
}


def data(seed: int = 0) -> tuple[np.ndarray, ...]:
    """Training and test images as sequences, (image, 64, 1), and their classes."""
    images, classes = load_digits(return_X_y=True)
    pixels = (np.asarray(images) / 16).astype(np.float32)[..., None]
    return tuple(train_test_split(pixels, classes, test_size=360, random_state=seed, stratify=classes))


def optimiser(model: Any, slow: set[str], steps: int) -> optax.GradientTransformation:
    """AdamW with a slower rate and no decay for the dynamics."""

    def kind(path: Any, _: Any) -> str:
        names = [getattr(part, "name", "") for part in path]
        return "dynamics" if "layer" in names and names[-1] in slow else "other"

    def rate(peak: float) -> Any:
        return optax.warmup_cosine_decay_schedule(0.0, peak, steps // 10, steps)

    parts = {"other": optax.adamw(rate(4e-3), weight_decay=0.01), "dynamics": optax.adam(rate(0.3 * 4e-3))}
    labels = jax.tree_util.tree_map_with_path(kind, eqx.filter(model, eqx.is_inexact_array))
    return optax.chain(optax.clip_by_global_norm(1.0), optax.multi_transform(parts, labels))


def logits(model: Stack, images: jax.Array) -> jax.Array:
    """Scores of the classes: the mean over time of the outputs."""
    return jax.vmap(lambda u: jnp.mean(model.scan(u)[0], axis=0))(images)


def train(name: str, seed: int, *, epochs: int = 40, batch: int = 64) -> tuple[float, int, float]:
    """Accuracy on the test images, number of parameters, seconds."""
    x, x_test, y, y_test = data()
    began = time.perf_counter()
    model = Stack(1, CLASSES, LAYERS[name], depth=2, key=jax.random.key(seed))
    model = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, model)
    weights, kind = eqx.partition(model, eqx.is_inexact_array)
    batches = len(x) // batch
    rule = optimiser(model, DYNAMICS[name], epochs * batches)

    def loss(weights: Any, images: jax.Array, classes: jax.Array) -> jax.Array:
        scores = logits(eqx.combine(weights, kind), images)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, classes))

    @partial(jax.jit, donate_argnums=0)
    def epoch(carry: Any, order: jax.Array) -> Any:
        def body(carry: Any, rows: jax.Array) -> tuple[Any, None]:
            weights, state = carry
            slopes = jax.grad(loss)(weights, images[rows], classes[rows])
            moves, state = rule.update(slopes, state, weights)
            return (optax.apply_updates(weights, moves), state), None

        return jax.lax.scan(body, carry, order)[0]

    images, classes = jnp.asarray(x), jnp.asarray(y)
    carry, draws = (weights, rule.init(weights)), np.random.default_rng(seed)
    for _ in range(epochs):
        carry = epoch(carry, jnp.asarray(draws.permutation(len(x))[: batches * batch].reshape(batches, batch)))
    scores = jax.jit(logits)(eqx.combine(carry[0], kind), jnp.asarray(x_test))
    accuracy = float(np.mean(np.argmax(np.asarray(scores), axis=1) == y_test))
    return accuracy, sum(leaf.size for leaf in jax.tree.leaves(weights)), time.perf_counter() - began


def main(seeds: int) -> None:
    found = {}
    for name in LAYERS:
        runs = [train(name, seed) for seed in range(seeds)]
        found[name] = [run[0] for run in runs]
        scores = "  ".join(f"{run[0]:.3f}" for run in runs)
        print(f"{name:14s} {runs[0][1]:6d} parameters   accuracy {scores}   {runs[0][2]:.0f} s a run", flush=True)
    for name, gate in GATES.items():
        least, ahead = min(found[name]), float(np.mean(found[name]) - np.mean(found["GRU"]))
        good = least >= gate and ahead >= MARGIN
        verdict = "ok" if good else "MISSED"
        print(f"{name:4s} worst {least:.3f} (gate {gate}), ahead of the GRU by {ahead:.3f}: {verdict}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
