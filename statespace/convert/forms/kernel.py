"""The linear model as its kernel: what inputs, noises and the first state add to the outputs, stamp by stamp."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core.kernels import convolve
from .arrays import as_vector, common_type, counted, floating, names_of


class ImpulseResponse(eqx.Module):
    """A linear model as convolutions, for as many stamps as there are taps; beyond them it forgets.

        y[k] = sum over j of kernel[j] u[k-j] + noise[j] e[k-j]  + start[k] (x - known (u[0], e[0])),   e ~ N(0, I)

    x ~ N(mean, cov) is the first state of the model that it comes from, and start[k] its effect. `known` is what the
    law of x already includes of the first stamp's inputs and noises (where it is that of x[0]); zero elsewhere.

    Args:
        kernel: Effect of inputs, (taps, series, inputs).
        noise: Effect of unit white noises, (taps, series, noises); none when left out.
        start: Effect of the first state, (taps, series, state); none when left out.
        mean: Mean of the first state; zero when left out.
        cov: Covariance of the first state; zero when left out.
        known: (state, inputs + noises); zero when left out.
        tail: Root of the sum of squares of the kernel beyond the taps, where it is known: zero for a model that is
            finite.
        diffuse: Which elements of the first state have no prior; none when left out.
        dt: Time between stamps, or None where it has no unit.
        state_names: Names of the first state's elements.
        input_names: Names of the inputs.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree.

    Example:
        >>> ImpulseResponse(jnp.array([1.0, 0.5]).reshape(2, 1, 1)).outputs(jnp.ones((2, 1))).round(6).ravel().tolist()
        [1.0, 1.5]
    """

    domain_of_time: ClassVar[str] = "discrete"

    kernel: Float[Array, "taps series inputs"]
    noise: Float[Array, "taps series noises"]
    start: Float[Array, "taps series state"]
    mean: Float[Array, " state"]
    cov: Float[Array, "state state"]
    known: Float[Array, "state drivers"]
    tail: Float[Array, ""]
    dt: Float[Array, ""] | None
    diffuse: tuple[bool, ...] = eqx.field(static=True)
    state_names: tuple[str, ...] = eqx.field(static=True)
    input_names: tuple[str, ...] = eqx.field(static=True)
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        kernel: Any,
        noise: Any = None,
        start: Any = None,
        *,
        mean: Any = None,
        cov: Any = None,
        known: Any = None,
        tail: Any = 0.0,
        diffuse: Any = None,
        dt: Any = None,
        state_names: Any = None,
        input_names: Any = None,
        series_names: Any = None,
    ):
        kind = common_type(kernel, noise, start)
        self.kernel = floating(kernel, kind)
        if self.kernel.ndim != 3:
            raise ValueError(f"a kernel has the shape (taps, series, inputs), got {self.kernel.shape}")
        taps, p, m = self.kernel.shape
        self.noise = jnp.zeros((taps, p, 0), kind) if noise is None else floating(noise, kind)
        self.start = jnp.zeros((taps, p, 0), kind) if start is None else floating(start, kind)
        n, drivers = self.start.shape[-1], m + self.noise.shape[-1]
        self.mean = as_vector(mean, n, "mean", kind)
        self.cov = jnp.zeros((n, n), kind) if cov is None else floating(cov, kind)
        self.known = jnp.zeros((n, drivers), kind) if known is None else floating(known, kind)
        self.tail, self.dt = jnp.asarray(tail, kind), None if dt is None else floating(dt)
        self.diffuse = (False,) * n if diffuse is None else tuple(bool(flag) for flag in diffuse)
        self.state_names = names_of(state_names, n, "x")
        self.input_names = names_of(input_names, m, "u")
        self.series_names = names_of(series_names, p, "y")
        same = self.noise.shape[:2] == self.start.shape[:2] == (taps, p)
        if not same or self.cov.shape != (n, n) or self.known.shape != (n, drivers) or len(self.diffuse) != n:
            raise ValueError(
                f"noise {self.noise.shape}, start {self.start.shape}, cov {self.cov.shape} and known "
                f"{self.known.shape} do not fit a kernel {self.kernel.shape}"
            )

    @property
    def taps(self) -> int:
        """Number of stamps for which effects are known."""
        return len(self.kernel)

    def outputs(self, u: Float[Array, "time inputs"]) -> Float[Array, "time series"]:
        """The mean of the outputs, from the mean of the first state.

        Args:
            u: Inputs; for more stamps than taps the kernel is cut.
        """
        begun = self.mean - self.known[:, : u.shape[1]] @ u[0]
        free = jnp.einsum("kpn,n->kp", self.start, begun)[: len(u)]
        return convolve(self.kernel, u) + jnp.pad(free, ((0, len(u) - len(free)), (0, 0)))

    def covariance(self, length: int) -> Float[Array, "time series time series"]:
        """The joint covariance of the outputs of the first stamps.

        Args:
            length: Number of stamps.

        Raises:
            ValueError: If there are more stamps than taps, or the first state has elements without a prior.
        """
        if length > self.taps or any(self.diffuse):
            raise ValueError(
                f"the covariance of {length} stamps needs as many taps, got {self.taps}, and a first state with a prior"
            )
        start, count = self.start[:length], self.noise.shape[-1]
        lag = jnp.arange(length)[:, None] - jnp.arange(length)[None]
        by_stamp = jnp.where((lag >= 0)[..., None, None], self.noise[jnp.maximum(lag, 0)], 0.0)
        entered = self.known[:, self.known.shape[1] - count :]
        by_stamp = by_stamp.at[:, 0].add(-jnp.einsum("kpn,ne->kpe", start, entered))
        return jnp.einsum("kjpe,ljqe->kplq", by_stamp, by_stamp) + jnp.einsum(
            "kpn,nm,lqm->kplq", start, self.cov, start
        )

    def __repr__(self) -> str:
        _, p, m = self.kernel.shape
        noises = counted(self.noise.shape[-1], "noise")
        return f"ImpulseResponse({counted(self.taps, 'tap')}, {counted(m, 'input')}, {noises}, {counted(p, 'series')})"
