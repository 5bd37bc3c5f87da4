"""The linear model by its gains at frequencies."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from .arrays import counted, floating, names_of


class FrequencyResponse(eqx.Module):
    """The transfer functions of a linear model from inputs and from unit white noises, at frequencies.

    Args:
        frequencies: Angular frequencies: per unit of time, or radians a stamp where `dt` is None; from -pi/dt to pi/dt
            for a model in discrete time.
        gain: From inputs to series, (frequencies, series, inputs).
        noise: From noises to series, (frequencies, series, noises); none when left out.
        dt: Time between stamps; None where it has no unit.
        discrete: Whether the model is in discrete time.
        input_names: Names of the inputs.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree.

    Example:
        >>> FrequencyResponse(jnp.zeros(1), jnp.ones((1, 1, 1))).gain.shape
        (1, 1, 1)
    """

    frequencies: Float[Array, " frequencies"]
    gain: Complex[Array, "frequencies series inputs"]
    noise: Complex[Array, "frequencies series noises"]
    dt: Float[Array, ""] | None
    discrete: bool = eqx.field(static=True)
    input_names: tuple[str, ...] = eqx.field(static=True)
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        frequencies: Any,
        gain: Any,
        noise: Any = None,
        *,
        dt: Any = None,
        discrete: bool = True,
        input_names: Any = None,
        series_names: Any = None,
    ):
        self.frequencies, self.gain = floating(frequencies), jnp.asarray(gain) + 0j
        if self.frequencies.ndim != 1 or self.gain.ndim != 3 or len(self.gain) != len(self.frequencies):
            raise ValueError(
                f"frequencies {self.frequencies.shape} and gain {self.gain.shape}, expected (frequencies,) and "
                "(frequencies, series, inputs)"
            )
        count, p, m = self.gain.shape
        self.noise = jnp.zeros((count, p, 0)) + 0j if noise is None else jnp.asarray(noise) + 0j
        if self.noise.shape[:2] != (count, p):
            raise ValueError(f"noise has shape {self.noise.shape}, expected {(count, p)} and the noises")
        self.dt, self.discrete = None if dt is None else floating(dt), discrete
        self.input_names, self.series_names = names_of(input_names, m, "u"), names_of(series_names, p, "y")

    @property
    def spectrum(self) -> Complex[Array, "frequencies series series"]:
        """The spectral density of what the noises make of the series, noise noise^H."""
        return self.noise @ jnp.swapaxes(self.noise, -1, -2).conj()

    def __repr__(self) -> str:
        count, p, m = self.gain.shape
        noises = counted(self.noise.shape[-1], "noise")
        frequencies = f"{count} frequencies" if count != 1 else "1 frequency"
        return f"FrequencyResponse({frequencies}, {counted(m, 'input')}, {noises}, {counted(p, 'series')})"
