"""Reservoirs in batches and in a ring against reservoirpy, in one process: seconds and their ratio.

The batched case is 32 series of 2000 steps through sparse reservoirs with ten links a unit, the ring one series of
10 000 steps; reservoirpy is given the same matrices as sparse ones, and gives the same outputs.
"""

import jax
import jax.numpy as jnp
import numpy as np
from _timing import best
from reservoirpy.nodes import Reservoir as Peer
from scipy.sparse import csr_matrix

import statespace  # noqa: F401  sets an option of XLA before its backend starts
from statespace.models.reservoir import CycleCoupling, Reservoir, SparseCoupling

BATCH, STEPS, DEGREE = 32, 2000, 10


def line(name, ours, peer, target):
    print(
        f"{name:30s} {ours:8.3f} s   reservoirpy {peer:8.3f} s   ratio {peer / ours:5.1f} (target {target})", flush=True
    )


def matrix_of(coupling):
    return np.asarray(jax.vmap(coupling.apply, 1, 1)(jnp.eye(coupling.units)))


def compare(coupling, u, target, name, repeats):
    """The same reservoir in both libraries, whose outputs agree."""
    cell = Reservoir(1, coupling, spectral_radius=0.9, leak=0.5, input_scale=0.5, key=1)
    peer = Peer(
        coupling.units,
        lr=0.5,
        sr=0.9,
        W=csr_matrix(0.9 * matrix_of(coupling)),
        Win=0.5 * np.asarray(cell.input_weights),
    )
    run = jax.jit(jax.vmap(lambda x: cell.scan(x)[0]))
    ours = best(run, u, repeats=repeats)[1] / 1e3
    theirs = best(lambda: [peer.run(np.asarray(x)) for x in u], repeats=max(1, repeats // 3))[1] / 1e3
    peer.reset()
    np.testing.assert_allclose(peer.run(np.asarray(u[0])), run(u)[0], atol=1e-9)
    line(name, ours, theirs, target)


def main():
    random = np.random.default_rng(0)
    for units in (100, 500):
        u = jnp.asarray(random.normal(size=(BATCH, STEPS, 1)))
        compare(SparseCoupling(units, DEGREE, key=0), u, 5, f"{BATCH} series, {units} units", 6)
    u = jnp.asarray(random.normal(size=(1, 10_000, 1)))
    compare(CycleCoupling(1000), u, 4, "a ring of 1000 units", 6)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
