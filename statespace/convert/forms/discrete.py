"""The linear model in discrete time, with its noise, its initial law and its timing."""

import dataclasses
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .arrays import as_matrix, as_vector, common_type, counted, floating, names_of
from .checks import check_covariance, check_finite, check_noise, check_positive

Timing = Literal["current", "previous"]
Start = Literal["before", "at"]
CONSTANT = "constant"  # the name of the input that is one at every stamp: what it adds is an offset


class DiscreteSSM(eqx.Module):
    """A linear state-space model in discrete time, in one of two conventions of timing.

        current:   x[k]   = A x[k-1] + B u[k] + w[k],   y[k] = C x[k] + D u[k] + v[k],   kernel D+CB, CAB, CA^2B, ...
        previous:  x[k+1] = A x[k]   + B u[k] + w[k],   y[k] = C x[k] + D u[k] + v[k],   kernel D, CB, CAB, ...

    with cov(w) = Q, cov(v) = R and cov(w[k], v[k]) = S in both. The library's models, S4, S5, LRU and Mamba are
    `current`; scipy, python-control and Ho-Kalman are `previous`.

    The initial law is N(mean, cov), for k = 0 the first stamp, of

    - x[-1] where timing is `current` and start is `before`: stamp 0 has a transition like any other;
    - x[0], given that stamp's inputs and independent of v[0], where timing is `current` and start is `at`;
    - x[0], before u[0] acts on x[1], where timing is `previous` (start is then `at`).

    Args:
        A: Transition matrix, (state, state). This and the next six may have a leading time axis.
        B: Input matrix, (state, inputs); no inputs when left out.
        C: Emission matrix, (series, state).
        D: Feedthrough, (series, inputs); zero when left out.
        Q: Covariance of w, (state, state); zero when left out.
        R: Covariance of v, (series, series); zero when left out.
        S: Covariance of w[k] and v[k], (state, series); zero when left out.
        mean: Mean of the first state, (state,); zero when left out.
        cov: Covariance of the first state, (state, state); zero (a known state) when left out.
        diffuse: Which elements of the first state have no prior; none when left out.
        timing: `"current"` or `"previous"`.
        start: `"before"` or `"at"`; see above.
        lead: 1 where, in `previous` timing, the transition into x[k+1] takes u[k+1] rather than u[k]. Such a model has
            the kernel of `current` timing; it is what a model known by its law of x[0] becomes.
        dt: Time from one stamp to the next: a number, one for each stamp, or None where it has no unit.
        state_names: Names of the states.
        input_names: Names of the inputs.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree, numbers are not finite, Q, R and S are not the blocks of a covariance, dt is
            not above 0, or timing, start and lead do not go together.

    Example:
        >>> DiscreteSSM([[0.5]], [[1.0]], [[2.0]]).timing
        'current'
    """

    domain_of_time: ClassVar[str] = "discrete"

    A: Float[Array, "*time state state"]
    B: Float[Array, "*time state inputs"]
    C: Float[Array, "*time series state"]
    D: Float[Array, "*time series inputs"]
    Q: Float[Array, "*time state state"]
    R: Float[Array, "*time series series"]
    S: Float[Array, "*time state series"]
    mean: Float[Array, " state"]
    cov: Float[Array, "state state"]
    dt: Float[Array, "*time"] | None
    diffuse: tuple[bool, ...] = eqx.field(static=True)
    timing: Timing = eqx.field(static=True)
    start: Start = eqx.field(static=True)
    lead: int = eqx.field(static=True)
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
        S: Any = None,
        *,
        mean: Any = None,
        cov: Any = None,
        diffuse: Any = None,
        timing: Timing = "current",
        start: Start | None = None,
        lead: int = 0,
        dt: Any = None,
        state_names: Any = None,
        input_names: Any = None,
        series_names: Any = None,
    ):
        n = floating(A).shape[-1]
        m = 0 if B is None else floating(B).shape[-1]
        kind = common_type(A, B, C, D, Q, R, S, mean, cov)
        C = jnp.eye(n) if C is None else C
        p = floating(C).shape[-2]
        self.A, self.B = as_matrix(A, n, n, "A", kind), as_matrix(B, n, m, "B", kind)
        self.C, self.D = as_matrix(C, p, n, "C", kind), as_matrix(D, p, m, "D", kind)
        self.Q, self.R = as_matrix(Q, n, n, "Q", kind), as_matrix(R, p, p, "R", kind)
        self.S = as_matrix(S, n, p, "S", kind)
        self.mean, self.cov = as_vector(mean, n, "mean", kind), as_matrix(cov, n, n, "cov", kind)
        self.dt = None if dt is None else floating(dt)
        self.diffuse = (False,) * n if diffuse is None else tuple(bool(flag) for flag in diffuse)
        self.timing, self.lead = timing, lead
        self.start = ("before" if timing == "current" else "at") if start is None else start
        self.state_names = names_of(state_names, n, "x")
        self.input_names = names_of(input_names, m, "u")
        self.series_names = names_of(series_names, p, "y")
        self._check(n)
        check_finite(A=self.A, B=self.B, C=self.C, D=self.D, mean=self.mean)
        check_noise(self.Q, self.R, self.S)
        check_covariance("cov", self.cov)
        check_positive(dt=self.dt)

    def _check(self, n: int) -> None:
        if self.timing not in ("current", "previous") or self.start not in ("before", "at") or self.lead not in (0, 1):
            raise ValueError(
                f'timing is "current" or "previous", start "before" or "at", lead 0 or 1: got {self.timing!r}, '
                f"{self.start!r}, {self.lead!r}"
            )
        if self.timing == "previous" and self.start == "before":
            raise ValueError('in "previous" timing the initial law is that of x[0]: leave start= out')
        if self.timing == "current" and self.lead:
            raise ValueError('lead= is of "previous" timing: in "current" timing u[k] drives the transition into x[k]')
        if len(self.diffuse) != n or self.cov.ndim != 2:
            raise ValueError(
                f"diffuse has {len(self.diffuse)} entries and cov the shape {self.cov.shape}, expected one entry for "
                f"each of the {n} states and {(n, n)}"
            )
        lengths = {len(x) for x in self.matrices.values() if x.ndim == 3}
        lengths |= set() if self.dt is None else set(self.dt.shape)
        if len(lengths) > 1:
            raise ValueError(f"matrices and dt are for {sorted(lengths)} stamps, expected one number of them")

    @property
    def matrices(self) -> dict[str, Array]:
        """The matrices A, B, C, D, Q, R, S by name."""
        return {name: getattr(self, name) for name in "ABCDQRS"}

    @property
    def is_constant(self) -> bool:
        """Whether no matrix varies with time."""
        return all(x.ndim == 2 for x in self.matrices.values())

    def replaced(self, **changes: Any) -> "DiscreteSSM":
        """The same model but for some of the constructor's arguments, by name."""
        return DiscreteSSM(**{**fields_of(self), **changes})

    def __repr__(self) -> str:
        n, m, p = self.A.shape[-1], self.B.shape[-1], self.C.shape[-2]
        parts = [counted(n, "state"), counted(m, "input"), counted(p, "series"), f"{self.timing} timing"]
        parts += [f"law of the state {self.start} the first stamp"] if self.timing == "current" else []
        parts += ["transitions take the next input"] if self.lead else []
        parts += [] if self.is_constant else ["varying"]
        return f"DiscreteSSM({', '.join(parts)})"


def fields_of(form: Any) -> dict[str, Any]:
    """The constructor's arguments of a form."""
    return {field.name: getattr(form, field.name) for field in dataclasses.fields(form)}
