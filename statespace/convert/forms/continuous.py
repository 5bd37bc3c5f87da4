"""The linear model in continuous time, with its noise and its initial law."""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .arrays import as_matrix, as_vector, common_type, counted, floating, names_of
from .checks import check_covariance, check_finite
from .discrete import fields_of

Measured = Literal["sampled", "averaged"]


class ContinuousSSM(eqx.Module):
    """A linear state-space model in continuous time: a linear stochastic differential equation, observed.

        dx = (A x + B u) dt + dw,      y = C x + D u + v,      cov(dw) = Q dt

    Args:
        A: Drift matrix, (state, state), per unit of time.
        B: Input matrix, (state, inputs), per unit of time; no inputs when left out.
        C: Emission matrix, (series, state).
        D: Feedthrough, (series, inputs); zero when left out.
        Q: Spectral density (diffusion) of w, (state, state), per unit of time; zero when left out.
        R: Covariance of the measurement noise, (series, series); zero when left out.
        mean: Mean of the first state, (state,); zero when left out.
        cov: Covariance of the first state, (state, state); zero (a known state) when left out.
        diffuse: Which elements of the first state have no prior; none when left out.
        measured: `"sampled"`: R is the covariance of each measurement. `"averaged"`: a measurement is an average over
            the time since the one before, so that its covariance is R / dt.
        state_names: Names of the states.
        input_names: Names of the inputs.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree, numbers are not finite, or a covariance is none.

    Example:
        >>> ContinuousSSM([[-0.5]], [[1.0]], [[2.0]]).measured
        'sampled'
    """

    domain_of_time: ClassVar[str] = "continuous"

    A: Float[Array, "state state"]
    B: Float[Array, "state inputs"]
    C: Float[Array, "series state"]
    D: Float[Array, "series inputs"]
    Q: Float[Array, "state state"]
    R: Float[Array, "series series"]
    mean: Float[Array, " state"]
    cov: Float[Array, "state state"]
    diffuse: tuple[bool, ...] = eqx.field(static=True)
    measured: Measured = eqx.field(static=True)
    state_names: tuple[str, ...] = eqx.field(static=True)
    input_names: tuple[str, ...] = eqx.field(static=True)
    series_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        A: Any,
        B: Any = None,
        C: Any = None,
        D: Any = None,
        Q: Any = None,
        R: Any = None,
        *,
        mean: Any = None,
        cov: Any = None,
        diffuse: Any = None,
        measured: Measured = "sampled",
        state_names: Any = None,
        input_names: Any = None,
        series_names: Any = None,
    ):
        n = floating(A).shape[-1]
        m = 0 if B is None else floating(B).shape[-1]
        kind = common_type(A, B, C, D, Q, R, mean, cov)
        C = jnp.eye(n) if C is None else C
        p = floating(C).shape[-2]
        self.A, self.B = as_matrix(A, n, n, "A", kind), as_matrix(B, n, m, "B", kind)
        self.C, self.D = as_matrix(C, p, n, "C", kind), as_matrix(D, p, m, "D", kind)
        self.Q, self.R = as_matrix(Q, n, n, "Q", kind), as_matrix(R, p, p, "R", kind)
        self.mean, self.cov = as_vector(mean, n, "mean", kind), as_matrix(cov, n, n, "cov", kind)
        self.diffuse = (False,) * n if diffuse is None else tuple(bool(flag) for flag in diffuse)
        self.measured = measured
        self.state_names = names_of(state_names, n, "x")
        self.input_names = names_of(input_names, m, "u")
        self.series_names = names_of(series_names, p, "y")
        if measured not in ("sampled", "averaged"):
            raise ValueError(f'measured is "sampled" or "averaged", got {measured!r}')
        if len(self.diffuse) != n or any(x.ndim != 2 for x in (self.A, self.B, self.C, self.D, self.Q, self.R)):
            raise ValueError(
                "a continuous model is constant in time: matrices, and one entry of diffuse for each state"
            )
        check_finite(A=self.A, B=self.B, C=self.C, D=self.D, mean=self.mean)
        for name in ("Q", "R", "cov"):
            check_covariance(name, getattr(self, name))

    @property
    def matrices(self) -> dict[str, Array]:
        """The matrices A, B, C, D, Q, R by name."""
        return {name: getattr(self, name) for name in "ABCDQR"}

    def replaced(self, **changes: Any) -> "ContinuousSSM":
        """The same model but for some of the constructor's arguments, by name."""
        return ContinuousSSM(**{**fields_of(self), **changes})

    def __repr__(self) -> str:
        n, m, p = self.A.shape[-1], self.B.shape[-1], self.C.shape[-2]
        return (
            f"ContinuousSSM({counted(n, 'state')}, {counted(m, 'input')}, {counted(p, 'series')}, "
            f"{self.measured} measurements)"
        )
