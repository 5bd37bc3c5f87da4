"""Probabilistic state-space models on JAX."""

from . import runtime

runtime.allow_small_loop_kernels()
