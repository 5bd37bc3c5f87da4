"""Cells' scans against torch's and equinox's in one process: batches, value, and value with gradient.

    python benchmarks/cells.py [cell ...]

torch runs its fused layers on as many threads as JAX has; equinox its cells in `lax.scan`, as its documentation has it.
Ratios above 1: ours is faster.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _timing import best

from statespace.models.recurrent import GRU, LSTM, Elman

try:
    import torch
except ImportError:
    torch = None

SHAPES = ((1, 1000, 16), (1, 1000, 64), (32, 200, 16), (32, 200, 64), (32, 200, 256))
KINDS = {
    "Elman": (Elman, "RNN", None),
    "GRU": (GRU, "GRU", eqx.nn.GRUCell),
    "LSTM": (LSTM, "LSTM", eqx.nn.LSTMCell),
}


def ours(make, width, u):
    """Our scan over a batch, and its gradient."""
    cell = jax.tree.map(lambda x: x.astype(jnp.float32), make(width, width, key=jax.random.key(0)))

    def value(cell, u):
        return jnp.sum(jax.vmap(cell.scan)(u)[0] ** 2)

    return best(jax.jit(value), cell, u)[1], best(jax.jit(jax.value_and_grad(value)), cell, u)[1]


def equinox(make, width, u):
    """equinox's cell in a scan."""
    cell = make(width, width, key=jax.random.key(0))
    params, static = eqx.partition(jax.tree.map(lambda x: x.astype(jnp.float32), cell), eqx.is_array)
    pair = make is eqx.nn.LSTMCell

    def one(cell, u):
        def body(state, v):
            after = cell(v, state)
            return after, after[0] if pair else after

        start = jnp.zeros(width, jnp.float32)
        return jax.lax.scan(body, (start, start) if pair else start, u)[1]

    def value(params, u):
        cell = eqx.combine(params, static)
        return jnp.sum(jax.vmap(lambda row: one(cell, row))(u) ** 2)

    return best(jax.jit(value), params, u)[1], best(jax.jit(jax.value_and_grad(value)), params, u)[1]


def theirs(kind, width, u):
    """torch's layer."""
    layer, data = getattr(torch.nn, kind)(width, width, batch_first=True), torch.from_numpy(np.array(u))

    def forward():
        with torch.no_grad():
            return (layer(data)[0] ** 2).sum()

    def backward():
        layer.zero_grad()
        (layer(data)[0] ** 2).sum().backward()

    return best(forward)[1], best(backward)[1]


def main():
    """Print the table."""
    print("float32, milliseconds: value / value and gradient; ratios of the same")
    print(
        f"{'cell':6s} {'batch':>5s} {'steps':>5s} {'units':>5s} {'ours':>15s} {'torch':>15s} {'equinox':>15s}  ratios"
    )
    for kind in sys.argv[1:] or KINDS:
        make, torch_kind, peer = KINDS[kind]
        for batch, steps, width in SHAPES:
            u = jax.random.normal(jax.random.key(1), (batch, steps, width), jnp.float32)
            mine = ours(make, width, u)
            others = [
                None if torch is None else theirs(torch_kind, width, u),
                None if peer is None else equinox(peer, width, u),
            ]
            cells = ["-" if found is None else f"{found[0]:.2f} / {found[1]:.2f}" for found in (mine, *others)]
            ratios = ["-" if f is None else f"{f[0] / mine[0]:.1f} / {f[1] / mine[1]:.1f}" for f in others]
            left = f"{kind:6s} {batch:5d} {steps:5d} {width:5d}"
            print(f"{left} {cells[0]:>15s} {cells[1]:>15s} {cells[2]:>15s}  {'   '.join(ratios)}", flush=True)


if __name__ == "__main__":
    main()
