"""Structured layers as state-space models: complex modes as pairs of a real and an imaginary part."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...core.parameters import require_known
from ...models.layers import S4
from ...models.layers.diagonal import AbstractContinuous, AbstractDiagonal
from ...models.layers.layer import as_complex
from ...models.layers.s4 import as_real
from ..conversion import Conversion
from ..forms.continuous import ContinuousSSM
from ..forms.discrete import DiscreteSSM
from ..registry import arrow


@arrow(AbstractDiagonal, DiscreteSSM)
def diagonal_to_discrete(layer: AbstractDiagonal) -> Conversion:
    """An LRU, S4D or S5 layer as blocks of two real states for each mode, started from zero before the first input.

    Raises:
        ValueError: If a weight is unknown.
    """
    require_known(layer, "the layer")
    factor, b, c, d = layer.modal_matrices()
    return Conversion(DiscreteSSM(_rotations(factor), _stack(b), _read(c), d, dt=1.0, state_names=_names(factor)))


@arrow(S4, DiscreteSSM)
def s4_to_discrete(layer: S4) -> Conversion:
    """An S4 layer as one dense block for each channel: the modes' real parts, then their imaginary parts.

    Raises:
        ValueError: If a weight is unknown.
    """
    require_known(layer, "the layer")
    a, b = layer.dense()
    return Conversion(DiscreteSSM(_diagonal(a), _columns(b), _s4_read(layer), jnp.diag(layer.D), dt=1.0))


@arrow(AbstractContinuous, ContinuousSSM)
def diagonal_to_continuous(layer: AbstractContinuous) -> Conversion:
    """An S4D or S5 layer before its discretisation; the unit of time is a step of length 1.

    Raises:
        ValueError: If a weight is unknown.
    """
    require_known(layer, "the layer")
    eigenvalues, b, c, d = layer.continuous_matrices()
    parts = _rotations(eigenvalues), _stack(b), _read(c), d
    return Conversion(ContinuousSSM(*parts, state_names=_names(eigenvalues)))


@arrow(S4, ContinuousSSM)
def s4_to_continuous(layer: S4) -> Conversion:
    """An S4 layer before its discretisation; the unit of time is a step of length 1.

    Raises:
        ValueError: If a weight is unknown.
    """
    require_known(layer, "the layer")

    def one(eigenvalues: Array, p: Array, rate: Array) -> Array:
        def drift(z: Array) -> Array:  # of the pairs: the part of P^H z is counted twice, once for each of a pair
            return rate * (eigenvalues * z - p @ (2.0 * (p.conj().T @ z).real))

        unit = jnp.eye(len(eigenvalues), dtype=eigenvalues.dtype)
        basis = jnp.concatenate([unit, 1j * unit])
        return jax.vmap(lambda z: as_real(drift(z)))(basis).T

    rates = jnp.exp(layer.log_dt)
    a = jax.vmap(one)(layer.eigenvalues(), as_complex(layer.P), rates)
    b = rates[:, None] * as_real(as_complex(layer.B))
    return Conversion(ContinuousSSM(_diagonal(a), _columns(b), _s4_read(layer), jnp.diag(layer.D)))


def _rotations(factors: Array) -> Array:
    """One block [[re, -im], [im, re]] for each number."""
    blocks = jnp.stack([jnp.stack([factors.real, -factors.imag], -1), jnp.stack([factors.imag, factors.real], -1)], -2)
    return _diagonal(blocks)


def _diagonal(blocks: Array) -> Array:
    """Equal blocks (count, rows, columns) along the diagonal."""
    count, rows, columns = blocks.shape
    spread = jnp.eye(count, dtype=blocks.dtype)[:, None, :, None] * blocks[:, :, None, :]
    return spread.reshape(count * rows, count * columns)


def _stack(b: Array) -> Array:
    """Rows of real and of imaginary parts in turn."""
    return jnp.stack([b.real, b.imag], axis=1).reshape(-1, b.shape[1])


def _read(c: Array) -> Array:
    """The real part of C z from real and imaginary parts in turn."""
    return jnp.stack([c.real, -c.imag], axis=2).reshape(len(c), -1)


def _names(factors: Array) -> list[str]:
    return [f"mode{i}.{part}" for i in range(len(factors)) for part in ("real", "imaginary")]


def _columns(vectors: Array) -> Array:
    """Each channel's vector in a column of its own."""
    return _diagonal(vectors[:, :, None])


def _s4_read(layer: S4) -> Array:
    """The channels' output weights for the modes' real parts, then their imaginary parts."""
    weights = 2.0 * jnp.concatenate([layer.C[..., 0], -layer.C[..., 1]], axis=-1)
    return _diagonal(weights[:, None])
