"""Where learning stands, what it has seen, and the file that holds both."""

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class State(NamedTuple):
    """Where learning stands: going on from it is the same as never having stopped.

    Attributes:
        step: Steps taken.
        values: Unconstrained values of what is learned, by path; of all seeds along a first axis, if there are some.
        optimizer: The optimiser's state.
        best: The values with the best held-out bound; the last ones where nothing is held out.
        best_bound: That bound of each seed, in nats a stamp; minus infinity before the first evaluation.
        best_step: When it was reached.
        memory: What is carried to the next window of the batch; None where sequences are whole.
    """

    step: int
    values: dict[str, Array]
    optimizer: Any
    best: dict[str, Array]
    best_bound: Float[np.ndarray, " seed"]
    best_step: Int[np.ndarray, " seed"]
    memory: Any = None


class History(NamedTuple):
    """What learning has seen, in nats a stamp.

    Attributes:
        bound: The bound of each step's batch, (step, seed); with priors, and its share of what they say.
        divergence: KL of each latent state, (step, seed, latent).
        held_out: The held-out bound of each evaluation, (evaluation, seed).
        evaluated_at: When, (evaluation,).
    """

    bound: Float[np.ndarray, "step seed"]
    divergence: Float[np.ndarray, "step seed latent"]
    held_out: Float[np.ndarray, "evaluation seed"]
    evaluated_at: Int[np.ndarray, " evaluation"]

    def joined(self, later: "History") -> "History":
        """This, and what came later."""
        return History(*(np.concatenate(pair) for pair in zip(self, later, strict=True)))


def nothing(seeds: int, latent: int) -> History:
    """The history before the first step."""
    none = np.zeros((0, seeds))
    return History(none, np.zeros((0, seeds, latent)), none, np.zeros(0, int))


def to_arrays(state: State) -> list[np.ndarray]:
    """The numbers of a state, in an order that its structure gives."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def from_arrays(like: State, arrays: list[np.ndarray]) -> State:
    """The state whose numbers `to_arrays` gave; `like` has its structure.

    Raises:
        ValueError: If they do not fit.
    """
    leaves, structure = jax.tree.flatten(like)
    if [np.shape(x) for x in leaves] != [np.shape(x) for x in arrays]:
        raise ValueError("the stored state of learning is that of another model, guide or optimiser")
    pairs = zip(arrays, leaves, strict=True)
    found = jax.tree.unflatten(structure, [_as_kind(x, leaf) for x, leaf in pairs])
    return found._replace(step=int(found.step))


def _as_kind(x: np.ndarray, leaf: Any) -> Any:
    return jnp.asarray(x, leaf.dtype) if isinstance(leaf, jax.Array) else np.asarray(x)


def digest(*parts: Any) -> str:
    """A text that tells runs apart."""
    found = hashlib.sha256()
    for part in parts:
        for leaf in jax.tree.leaves(part, is_leaf=lambda x: x is None):
            array = isinstance(leaf, (np.ndarray, jax.Array))
            found.update(np.ascontiguousarray(leaf).tobytes() if array else repr(leaf).encode())
        found.update(str(jax.tree.structure(part)).encode())
    return found.hexdigest()


def write(path: str | os.PathLike, state: State, history: History, mark: str) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: The file, .npz.
        state: Where learning stands.
        history: What it has seen.
        mark: What tells the run from others.
    """
    path = Path(path)
    parts: dict[str, Any] = {f"state{i}": x for i, x in enumerate(to_arrays(state))}
    parts |= {f"history_{name}": x for name, x in history._asdict().items()}
    with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=".saving-") as scratch:
        made = Path(scratch) / "state.npz"
        np.savez(made, mark=np.asarray(mark), **parts)
        os.replace(made, path)


def read(path: str | os.PathLike, like: State, mark: str) -> tuple[State, History]:
    """What a checkpoint holds.

    Raises:
        ValueError: If it is that of another run, or damaged.
    """
    try:
        with open(path, "rb") as stream, np.load(stream) as stored:
            found = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"the checkpoint {os.fspath(path)} cannot be read: {error}") from None
    if str(found.get("mark")) != mark:
        raise ValueError(
            f"the checkpoint {os.fspath(path)} is of a run with another model, guide, data, key or options: delete it, "
            "or name another file"
        )
    count = sum(name.startswith("state") for name in found)
    history = History(*(found[f"history_{name}"] for name in History._fields))
    return from_arrays(like, [found[f"state{i}"] for i in range(count)]), history
