"""A training step of a stack of layers against the same architecture in torch, on the CPU.

Value and gradient of a mean squared loss in all weights: width 32, 2 pre-normalised blocks (layer, GELU, GLU, skip), a
batch of 16 sequences of 256 steps, single precision, one core for both. torch runs the algorithms that its users
write: an LRU and a selective scan as loops over time, S4D as a convolution with its Vandermonde kernel. Both sides hold
the same weights: losses and gradients agree before anything is timed.
"""

import os
import time

if hasattr(os, "sched_setaffinity"):  # before either library counts the cores
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch
from _timing import best

from statespace.models.layers import LRU, S4D, S5, SelectiveSSM, Stack

BATCH, LENGTH, WIDTH = 16, int(os.environ.get("STATESPACE_BENCH_LENGTH", "256")), 32
MAKE = {
    "LRU": lambda key: LRU(WIDTH, 32, ring=(0.5, 0.99), key=key),
    "S5": lambda key: S5(WIDTH, 64, key=key),
    "S4D": lambda key: S4D(WIDTH, 32, key=key),
    "selective": lambda key: SelectiveSSM(WIDTH, 16, key=key),
}


def complex_of(pairs):
    return torch.view_as_complex(pairs.contiguous())


def torch_lru(w, u):
    radius = torch.exp(-torch.exp(w["log_decay"]))
    lam = torch.polar(radius, torch.exp(w["log_frequency"]))
    driven = torch.sqrt(1 - radius**2) * (u.to(torch.complex64) @ complex_of(w["B"]).T)
    return read(w, torch_scan(lam, driven)).real + u @ w["D"].T


def torch_s5(w, u):
    lam = torch.complex(-torch.exp(w["log_decay"]), w["frequency"])
    factor = torch.exp(lam * torch.exp(w["log_dt"]))
    driven = (factor - 1) / lam * (u.to(torch.complex64) @ complex_of(w["B"]).T)
    return 2 * read(w, torch_scan(factor, driven)).real + u @ w["D"].T


def read(w, z):
    return z @ complex_of(w["C"]).T


def torch_scan(factor, driven):
    """All states, a step after another."""
    z, states = torch.zeros_like(driven[:, 0]), []
    for t in range(driven.shape[1]):
        z = factor * z + driven[:, t]
        states.append(z)
    return torch.stack(states, 1)


def torch_s4d(w, u):
    dt = torch.exp(w["log_dt"])[:, None]
    lam = torch.complex(-torch.exp(w["log_decay"]), w["frequency"])
    weights = complex_of(w["C"]) * (torch.exp(lam * dt) - 1) / lam
    kernel = 2 * torch.einsum("hm,hml->hl", weights, torch.exp((lam * dt)[..., None] * torch.arange(u.shape[1]))).real
    size = 2 * u.shape[1]
    y = torch.fft.irfft(torch.fft.rfft(u, size, dim=1) * torch.fft.rfft(kernel, size).T, size, dim=1)[:, : u.shape[1]]
    return y + w["D"] * u


def torch_selective(w, u):
    n, rank = w["log_rates"].shape[1], w["step_weights"].shape[1]
    low, b, c = torch.split(u @ w["into"].T, [rank, n, n], dim=-1)
    first = torch.exp(w["log_step"])
    delta = torch.nn.functional.softplus(low @ w["step_weights"].T + first + torch.log(-torch.expm1(-first)))
    a = -torch.exp(w["log_rates"])
    factor = torch.exp(delta[..., None] * a)
    driven = (factor - 1) / a * b[:, :, None] * u[..., None]
    x, outputs = torch.zeros_like(driven[:, 0]), []
    for t in range(u.shape[1]):
        x = factor[:, t] * x + driven[:, t]
        outputs.append(torch.einsum("bhn,bn->bh", x, c[:, t]))
    return torch.stack(outputs, 1) + w["D"] * u


TORCH = {"LRU": torch_lru, "S5": torch_s5, "S4D": torch_s4d, "selective": torch_selective}


def torch_stack(layer, weights, u):
    """The stack of `statespace.models.layers.Stack`."""

    def affine(w, x):
        return x @ w["weights"].T + w["bias"]

    def norm(w, x):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], w["scale"], w["bias"])

    x = affine(weights["encoder"], u)
    for block in weights["blocks"]:
        y = torch.nn.functional.gelu(layer(block["layer"], norm(block["norm"], x)), approximate="tanh")
        x = x + torch.nn.functional.glu(affine(block["gate"], y))
    return affine(weights["decoder"], norm(weights["norm"], x))


def as_dictionary(part):
    """The weights of a module by name, as torch tensors that take gradients."""
    if isinstance(part, tuple):
        return [found for found in (as_dictionary(one) for one in part) if found is not None] or None
    if isinstance(part, eqx.Module):
        found = {name: as_dictionary(value) for name, value in vars(part).items()}
        return {name: value for name, value in found.items() if value is not None}
    if isinstance(part, jax.Array):
        return torch.tensor(np.array(part), requires_grad=True)
    return None


def leaves_of(part):
    parts = part if isinstance(part, list) else part.values()
    return [leaf for one in parts for leaf in ([one] if isinstance(one, torch.Tensor) else leaves_of(one))]


def ours(model, method):
    arrays, kind = eqx.partition(model, eqx.is_inexact_array)

    def loss(arrays, u, target):
        stack = eqx.combine(arrays, kind)
        return jnp.mean((jax.vmap(lambda u: stack.scan(u, method=method)[0])(u) - target) ** 2)

    return jax.jit(jax.value_and_grad(loss)), arrays


def theirs(model, layer):
    weights = as_dictionary(model)
    leaves = leaves_of(weights)

    def step(u, target):
        loss = torch.mean((torch_stack(layer, weights, u) - target) ** 2)
        return loss.item(), torch.autograd.grad(loss, leaves)

    return step


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    u, target = (rng.normal(size=(BATCH, LENGTH, n)).astype(np.float32) for n in (3, 2))
    for name, make in MAKE.items():
        model = Stack(3, 2, make, depth=2, key=jax.random.key(0))
        reference = theirs(model, TORCH[name])
        slow, slopes = reference(torch.tensor(u), torch.tensor(target))
        times = []
        for _ in range(3):
            start = time.perf_counter()
            reference(torch.tensor(u), torch.tensor(target))
            times.append(time.perf_counter() - start)
        for method in ("auto", "associative") if name == "selective" else ("auto", "fft"):
            run, arrays = ours(model, method)
            first, fast = best(run, arrays, jnp.asarray(u), jnp.asarray(target), repeats=20)
            value, gradient = run(arrays, jnp.asarray(u), jnp.asarray(target))
            assert abs(float(value) - slow) < 1e-4 * abs(slow), (float(value), slow)
            size = sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(gradient)) ** 0.5
            expected = sum(float(torch.sum(g**2)) for g in slopes) ** 0.5
            assert abs(size - expected) < 1e-3 * expected, (size, expected)
            print(
                f"{name:10s} {method:12s} {fast:8.1f} ms (compiles in {first:4.1f} s)   "
                f"torch {1e3 * min(times):8.1f} ms   {1e3 * min(times) / fast:5.1f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
