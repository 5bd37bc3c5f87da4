"""A transfer function as a product of second-order sections."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .arrays import floating
from .zeros_poles import Domain, Drives


class SecondOrderSections(eqx.Module):
    """A cascade of sections with two poles and two zeros at most.

        H = prod_i (b0 z^2 + b1 z + b2) / (a0 z^2 + a1 z + a2),      a row: b0, b1, b2, a0, a1, a2

    In discrete time a row is also (b0 + b1 z^-1 + b2 z^-2) / (a0 + a1 z^-1 + a2 z^-2), the layout of scipy; a0 is 1.
    In continuous time z is Laplace's s; a section of one pole has a0 = b0 = 0 and a1 = 1.

    Args:
        sections: The coefficients, (sections, 6).
        domain: `"discrete"` or `"continuous"`.
        drives: `"input"` or `"innovation"`, as for zeros and poles.
        variance: Variance of the innovations, 0 for a system without noise.
        dt: Time from one stamp to the next, or None where it has no unit.
        input_name: Name of the input.
        series_name: Name of the series.

    Raises:
        ValueError: If rows have another length than six, or a section no denominator.

    Example:
        >>> SecondOrderSections([[2.0, 0.0, 0.0, 1.0, -0.5, 0.0]])(1.0).real.item()
        4.0
    """

    sections: Float[Array, "sections 6"]
    variance: Float[Array, ""]
    dt: Float[Array, ""] | None
    domain: Domain = eqx.field(static=True)
    drives: Drives = eqx.field(static=True)
    input_name: str = eqx.field(static=True)
    series_name: str = eqx.field(static=True)

    def __init__(
        self,
        sections: Any,
        *,
        domain: Domain = "discrete",
        drives: Drives = "input",
        variance: Any = 0.0,
        dt: Any = None,
        input_name: str = "u0",
        series_name: str = "y0",
    ):
        self.sections, self.variance = floating(sections), floating(variance)
        self.dt = None if dt is None else floating(dt)
        self.domain, self.drives, self.input_name, self.series_name = domain, drives, input_name, series_name
        if self.sections.ndim != 2 or self.sections.shape[1] != 6:
            raise ValueError(f"sections have shape {self.sections.shape}, expected (sections, 6)")
        if domain not in ("discrete", "continuous") or drives not in ("input", "innovation"):
            raise ValueError(
                f'domain is "discrete" or "continuous", drives "input" or "innovation": got {domain!r}, {drives!r}'
            )

    def __call__(self, z: Any) -> Complex[Array, "*points"]:
        """H at points z of the complex plane, section by section."""
        z = jnp.asarray(z)[..., None]
        b0, b1, b2, a0, a1, a2 = self.sections.T
        return jnp.prod(((b0 * z + b1) * z + b2) / ((a0 * z + a1) * z + a2), axis=-1)
