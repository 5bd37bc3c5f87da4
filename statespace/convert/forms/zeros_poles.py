"""Zeros, poles and gain of a system with one input and one output."""

from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .arrays import floating

Domain = Literal["discrete", "continuous"]
Drives = Literal["input", "innovation"]


class ZerosPoles(eqx.Module):
    """A transfer function by its roots.

        H(z) = gain prod_i (z - zeros[i]) / prod_j (z - poles[j])

    with z the shift operator in discrete time and Laplace's s in continuous time. Roots are complex and come in
    conjugate pairs.

    Args:
        zeros: The zeros, (zeros,), not more than there are poles.
        poles: The poles, (poles,).
        gain: The gain, a real number.
        domain: `"discrete"` or `"continuous"`.
        drives: `"input"`: H leads from an input to the series. `"innovation"`: it leads from the innovations, and
            `variance` is theirs.
        variance: Variance of the innovations, 0 for a system without noise.
        dt: Time from one stamp to the next, or None where it has no unit.
        input_name: Name of the input.
        series_name: Name of the series.

    Raises:
        ValueError: If roots are not in conjugate pairs, or there are more zeros than poles.

    Example:
        >>> ZerosPoles([], [0.5], 2.0)(1.0).real.item()
        4.0
    """

    zeros: Complex[Array, " zeros"]
    poles: Complex[Array, " poles"]
    gain: Float[Array, ""]
    variance: Float[Array, ""]
    dt: Float[Array, ""] | None
    domain: Domain = eqx.field(static=True)
    drives: Drives = eqx.field(static=True)
    input_name: str = eqx.field(static=True)
    series_name: str = eqx.field(static=True)

    def __init__(
        self,
        zeros: Any,
        poles: Any,
        gain: Any,
        *,
        domain: Domain = "discrete",
        drives: Drives = "input",
        variance: Any = 0.0,
        dt: Any = None,
        input_name: str = "u0",
        series_name: str = "y0",
    ):
        self.gain, self.variance = floating(gain), floating(variance)
        kind = jnp.result_type(self.gain.dtype, jnp.complex64)
        self.zeros, self.poles = (
            jnp.asarray(paired(x, what), kind) for x, what in ((zeros, "zeros"), (poles, "poles"))
        )
        self.dt = None if dt is None else floating(dt)
        self.domain, self.drives, self.input_name, self.series_name = domain, drives, input_name, series_name
        if domain not in ("discrete", "continuous") or drives not in ("input", "innovation"):
            raise ValueError(
                f'domain is "discrete" or "continuous", drives "input" or "innovation": got {domain!r}, {drives!r}'
            )
        if len(self.zeros) > len(self.poles):
            raise ValueError(
                f"{len(self.zeros)} zeros and {len(self.poles)} poles: a system with more zeros than poles sees the "
                "future"
            )

    def __call__(self, z: Any) -> Complex[Array, "*points"]:
        """H at points z of the complex plane, factor by factor."""
        z = jnp.asarray(z)[..., None]
        gap = len(self.poles) - len(self.zeros)
        above = jnp.concatenate([z - self.zeros, jnp.ones((*z.shape[:-1], gap))], axis=-1)
        return self.gain * jnp.prod(above / (z - self.poles), axis=-1)


def paired(roots: Any, what: str) -> np.ndarray:
    """Roots with each complex one beside its exact conjugate: real ones first, then pairs, upper half plane first.

    Raises:
        ValueError: If a complex root has no conjugate.
    """
    roots = np.atleast_1d(np.asarray(roots, complex))
    if roots.ndim != 1 or not np.all(np.isfinite(roots)):
        raise ValueError(f"{what} are a vector of finite numbers, got {roots}")
    size = 1e-8 * (np.abs(roots).max(initial=0.0) + np.finfo(float).tiny)
    upper, lower = roots[roots.imag > 0], list(roots[roots.imag < 0])
    real, pairs = list(roots[roots.imag == 0].real), []
    for root in sorted(upper, key=lambda r: (abs(r), r.imag)):
        gaps = [abs(root - other.conjugate()) for other in lower]
        if gaps and min(gaps) <= size:
            other = lower.pop(int(np.argmin(gaps))).conjugate()
            pairs += [(root + other) / 2, ((root + other) / 2).conjugate()]
        else:
            raise ValueError(f"the complex {what} {root} have no conjugate among {roots}")
    if lower:
        raise ValueError(f"the complex {what} {lower} have no conjugate among {roots}")
    return np.array([*sorted(real), *pairs], complex)
