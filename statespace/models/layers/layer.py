"""What layers share: a scan by any algorithm, weights that are drawn, complex numbers that are stored as pairs."""

import abc
import math
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax import lax
from jaxtyping import Array, Bool, Complex, Float, PyTree

from ...core.kernels import convolve
from ...core.parameters import require_known
from ...core.recurrence import Method
from ..recursion import AbstractRecursion


class AbstractLayer(AbstractRecursion):
    """A recursion whose scan has several algorithms with one result, such as one that is linear in its state."""

    @abc.abstractmethod
    def scan(
        self,
        u: Float[Array, "time inputs"],
        state: PyTree = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> tuple[Float[Array, "time outputs"], PyTree]:
        """All outputs, and the last state, from which another call goes on.

        Args:
            u: Inputs. One that is NaN makes what depends on it NaN, by convolution all outputs: mask its step.
            state: The state before the first of them; `start()` when left out.
            dt: Time since the step before, for each step.
            mask: Steps that do not happen are False: they leave the state as it is, and their output is zero.
            method: The algorithm, as for `statespace.core.recurrence.linear_recurrence`. `"fft"` serves
                time-invariant layers without dt and mask.

        Raises:
            ValueError: If shapes do not fit, dt is given to a layer that does not read it, or the method does not
                serve.
        """

    def check_scan(self, u: Array, dt: Any, mask: Any, method: str) -> None:
        """Raise a ValueError if the arguments of `scan` do not fit."""
        self.check(u, dt, mask)
        require_known(self, f"the {type(self).__name__}")
        if method not in get_args(Method):
            raise ValueError(f"method is one of {', '.join(map(repr, get_args(Method)))}, got {method!r}")


class AbstractInvariant(AbstractLayer):
    """A linear layer that is the same at all steps, hence a convolution of its input with a kernel."""

    @abc.abstractmethod
    def kernel(self, length: int) -> Float[Array, "length ..."]:
        """The responses to a unit input, 0, 1, ... steps after it.

        Args:
            length: Number of steps.

        Returns:
            Shape (length, outputs, inputs), or (length, channels) where each channel is by itself.
        """

    @abc.abstractmethod
    def convolve(
        self, u: Float[Array, "time inputs"], state: PyTree = None
    ) -> tuple[Float[Array, "time outputs"], PyTree]:
        """What `scan` returns, by a convolution with the kernel (padded FFT): no state but the last is computed.

        Args:
            u: Inputs.
            state: The state before the first of them; `start()` when left out. Its response is added.

        Raises:
            ValueError: If shapes do not fit.
        """


def is_convolution(dt: Any, mask: Any, method: str) -> bool:
    """Whether a layer of separate channels is scanned as a convolution: wherever it is one, and nothing else is asked.

    A kernel is computed once for a batch of sequences, states are not.

    Raises:
        ValueError: If a convolution is asked for where the layer is none.
    """
    even = dt is None and mask is None
    if method == "fft" and not even:
        raise ValueError('method="fft" serves equal steps without a mask: take "sequential" or "associative"')
    return even and method in ("auto", "fft")


def silenced(values: Array, mask: Bool[Array, " time"] | None) -> Array:
    """Values with zeros at the steps that do not happen; a missing input may be NaN."""
    return values if mask is None else jnp.where(mask[:, None], values, jnp.zeros_like(values))


def as_complex(pairs: Float[Array, "*shape 2"]) -> Complex[Array, "*shape"]:
    """Complex numbers from a trailing axis of real and imaginary parts."""
    return lax.complex(pairs[..., 0], pairs[..., 1])


def as_pairs(values: Any) -> Float[Array, "*shape 2"]:
    """Complex numbers as a trailing axis of real and imaginary parts."""
    values = jnp.asarray(values)
    return jnp.stack([values.real, values.imag], axis=-1)


def project(u: Float[Array, "*steps inputs"], pairs: Float[Array, "modes inputs 2"]) -> Complex[Array, "*steps modes"]:
    """A complex matrix times real vectors, as two real products."""
    return lax.complex(u @ pairs[..., 0].T, u @ pairs[..., 1].T)


def real_part(z: Complex[Array, "*steps modes"], pairs: Float[Array, "outputs modes 2"]) -> Float[Array, "..."]:
    """The real part of a complex matrix times complex vectors, as two real products."""
    return z.real @ pairs[..., 0].T - z.imag @ pairs[..., 1].T


def convolve_each(
    kernel: Float[Array, "taps channels"], u: Float[Array, "time channels"]
) -> Float[Array, "time channels"]:
    """Each channel convolved with a kernel of its own."""

    def one(taps: Array, u: Array) -> Array:
        return convolve(taps[:, None, None], u[:, None])[:, 0]

    return jax.vmap(one, in_axes=1, out_axes=1)(kernel, u)


def log_step_prior(shape: tuple[int, ...], bounds: tuple[float, float]) -> dist.Distribution:
    """A normal law of logarithms of step sizes, with mean and variance of the uniform one between the bounds' logs."""
    low, high = (math.log(bound) for bound in bounds)
    spread = max((high - low) / math.sqrt(12), 1e-3)
    return dist.Normal(jnp.full(shape, 0.5 * (low + high)), spread)


def log_uniform(key: Any, shape: tuple[int, ...], bounds: tuple[float, float]) -> Float[Array, "..."]:
    """Logarithms of draws that are log-uniform between the bounds."""
    low, high = (math.log(bound) for bound in bounds)
    return jax.random.uniform(key, shape, minval=low, maxval=high)


def check_steps(bounds: tuple[float, float]) -> tuple[float, float]:
    """The bounds of step sizes as numbers, once they are known to serve.

    Args:
        bounds: The smallest and the largest step.

    Raises:
        ValueError: Unless 0 < lower <= upper.
    """
    low, high = (float(bound) for bound in bounds)
    if not 0 < low <= high < math.inf:
        raise ValueError(f"step_bounds are positive and in order, got {bounds}")
    return low, high
