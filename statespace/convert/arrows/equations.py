"""Lyapunov's and Riccati's equations, compiled once for each size: a conversion by itself is not inside `jit`."""

import jax

from ...core import riccati as solvers

lyapunov = jax.jit(solvers.lyapunov)
riccati = jax.jit(solvers.riccati)
kalman_gain = jax.jit(solvers.kalman_gain)

__all__ = ["kalman_gain", "lyapunov", "riccati"]
