"""The steady-state predictor: the model written with its own one-step prediction errors."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core.certificates import radius_on_host
from .arrays import as_matrix, as_vector, floating, names_of
from .checks import check_covariance, check_finite, check_positive


class InnovationsSSM(eqx.Module):
    """A linear model in innovations form: the state is its own best prediction, and one noise drives all.

        x[k+1] = A x[k] + B u[k] + K e[k],      y[k] = C x[k] + D u[k] + e[k],      cov(e) = V

    Here x[k] is the mean of the state given the observations before stamp k, e[k] the innovation y[k] - E(y[k] | past).
    In the long run every constant and detectable model has this form, with P the covariance of the state that is left,

        P = A P A' - K V K' + Q,      V = C P C' + R,      K = (A P C' + S) V^-1

    Since P is kept, Q, R and S can be had back: nothing is lost. From a first law with another covariance than P the
    exact filter comes to this form at the rate of the closed loop A - K C.

    Args:
        A: Transition matrix, (state, state).
        B: Input matrix, (state, inputs); no inputs when left out.
        C: Emission matrix, (series, state).
        D: Feedthrough, (series, inputs); zero when left out.
        K: Gain of the predictor, (state, series); zero when left out.
        V: Covariance of the innovations, (series, series); the identity when left out.
        P: Covariance of the predicted state in the long run, (state, state); zero when left out: the innovations then
            tell the state exactly, as in an invertible ARMA model.
        mean: Mean of the first state, (state,); zero when left out.
        cov: Covariance of the state at the first stamp before anything is observed, (state, state); P when left out,
            with which the form holds from the first stamp on.
        diffuse: Which elements of the first state have no prior; none when left out.
        lead: 1 where the transition into x[k+1] takes u[k+1] rather than u[k].
        dt: Time from one stamp to the next, or None where it has no unit.
        state_names: Names of the states.
        input_names: Names of the inputs.
        series_names: Names of the series.

    Raises:
        ValueError: If shapes do not agree, numbers are not finite, or a covariance is none.

    Example:
        >>> InnovationsSSM([[0.9]], None, [[1.0]], K=[[0.4]]).radius
        0.5
    """

    domain_of_time: ClassVar[str] = "discrete"

    A: Float[Array, "state state"]
    B: Float[Array, "state inputs"]
    C: Float[Array, "series state"]
    D: Float[Array, "series inputs"]
    K: Float[Array, "state series"]
    V: Float[Array, "series series"]
    P: Float[Array, "state state"]
    mean: Float[Array, " state"]
    cov: Float[Array, "state state"]
    dt: Float[Array, ""] | None
    diffuse: tuple[bool, ...] = eqx.field(static=True)
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
        K: Any = None,
        V: Any = None,
        P: Any = None,
        *,
        mean: Any = None,
        cov: Any = None,
        diffuse: Any = None,
        lead: int = 0,
        dt: Any = None,
        state_names: Any = None,
        input_names: Any = None,
        series_names: Any = None,
    ):
        n = floating(A).shape[-1]
        m = 0 if B is None else floating(B).shape[-1]
        C = jnp.eye(n) if C is None else C
        p = floating(C).shape[-2]
        self.A, self.B = as_matrix(A, n, n, "A"), as_matrix(B, n, m, "B")
        self.C, self.D = as_matrix(C, p, n, "C"), as_matrix(D, p, m, "D")
        self.K, self.P = as_matrix(K, n, p, "K"), as_matrix(P, n, n, "P")
        self.V = as_matrix(jnp.eye(p) if V is None else V, p, p, "V")
        self.mean, self.cov = as_vector(mean, n, "mean"), as_matrix(P if cov is None else cov, n, n, "cov")
        self.dt = None if dt is None else floating(dt)
        self.diffuse = (False,) * n if diffuse is None else tuple(bool(flag) for flag in diffuse)
        self.lead = lead
        self.state_names = names_of(state_names, n, "x")
        self.input_names = names_of(input_names, m, "u")
        self.series_names = names_of(series_names, p, "y")
        matrices = (self.A, self.B, self.C, self.D, self.K, self.V, self.P, self.cov)
        if lead not in (0, 1) or len(self.diffuse) != n or any(x.ndim != 2 for x in matrices):
            raise ValueError(
                "an innovations form is constant in time, with lead 0 or 1 and one entry of diffuse for each state"
            )
        check_finite(A=self.A, B=self.B, C=self.C, D=self.D, K=self.K, mean=self.mean)
        for name in ("V", "P", "cov"):
            check_covariance(name, getattr(self, name), beside=self.V)
        check_positive(dt=self.dt)

    @property
    def closed_loop(self) -> Float[Array, "state state"]:
        """A - K C, by which the predictor forgets."""
        return self.A - self.K @ self.C

    @property
    def radius(self) -> float:
        """The largest modulus of an eigenvalue of the closed loop: below 1 where the predictor forgets."""
        return radius_on_host(self.closed_loop)

    def burn_in(self, tolerance: float = 1e-10) -> float:
        """Stamps until a first covariance has been forgotten down to a tolerance, infinite if it never is."""
        rho = self.radius
        if rho >= 1:
            return np.inf
        return 0.0 if rho == 0 else float(np.ceil(np.log(tolerance) / (2 * np.log(rho))))
