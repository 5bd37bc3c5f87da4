"""Stationary laws, and what is lost where a form has no other."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..core.certificates import radius_on_host
from ..core.linalg import symmetrise
from ..core.parameters import is_traced
from ..core.riccati import lyapunov
from .conversion import Conversion
from .forms.discrete import CONSTANT
from .forms.innovations import InnovationsSSM
from .numerics.blocks import is_zero

NO_MEAN = "the mean of the series is not part of the form"


def stationary_cov(
    A: Float[Array, "state state"], Q: Float[Array, "state state"]
) -> tuple[Float[Array, "state state"], float]:
    """The stationary covariance of x' = A x + w, and how much its equation magnifies.

    Args:
        A: Transition, stable.
        Q: Covariance of w.

    Raises:
        ValueError: If there is none.
    """
    cov = symmetrise(lyapunov(A, Q))
    if is_traced(cov):
        return cov, 1.0
    rho = radius_on_host(A)
    if rho >= 1 or not np.all(np.isfinite(cov)):
        raise ValueError(
            f"the model has no stationary law: its largest pole has modulus {rho:.6g}; take differences of the series "
            "first, or give the law of the first state in a DiscreteSSM"
        )
    return cov, (1 + rho**2) / (1 - rho**2)


def steady_mean(form: InnovationsSSM) -> Float[Array, " series"]:
    """The mean of the series in the long run: what the input "constant" adds."""
    if CONSTANT not in form.input_names:
        return jnp.zeros(len(form.C))
    i = form.input_names.index(CONSTANT)
    return form.D[:, i] + form.C @ jnp.linalg.solve(jnp.eye(len(form.A)) - form.A, form.B[:, i])


def as_stationary(form: InnovationsSSM, value: Any, condition: float, notes: tuple[str, ...]) -> Conversion:
    """The conversion to a form that starts from the stationary law and has no inputs: exact where that is so.

    Args:
        form: The predictor that is converted.
        value: The other form.
        condition: That of the numerical step.
        notes: What is to be said of it anyway.
    """
    lost = []
    if [name for name in form.input_names if name != CONSTANT] and not (is_zero(form.B) and is_zero(form.D)):
        lost.append("what the inputs do is not part of the form")
    if why := not_stationary(form):
        lost.append(f"the form starts from the stationary law: {why}")
    if not lost:
        return Conversion(value, condition=condition, notes=notes)
    lost.append("the bound is that of the noise's kernel, which is the same")
    return Conversion(value, exact=False, norm="kernel_l2", condition=condition, notes=(*notes, *lost))


def without_mean(form: InnovationsSSM, done: Conversion) -> Conversion:
    """A conversion to a form that has no mean, of a predictor that may have one."""
    return done.losing(NO_MEAN) if np.any(np.asarray(steady_mean(form))) else done


def not_stationary(form: InnovationsSSM) -> str:
    """In words, why the first law of a predictor is not the stationary one; empty if it is."""
    rho = radius_on_host(form.A)
    if any(form.diffuse):
        return "some elements of the first state have no prior"
    if rho >= 1:
        return f"there is none, the largest pole has modulus {rho:.6g}"
    cov = np.asarray(form.P + lyapunov(form.A, symmetrise(form.K @ form.V @ form.K.T)))
    if not np.allclose(form.cov, cov, rtol=1e-7, atol=1e-9 * np.abs(cov).max(initial=0)):
        return "the first state had another covariance"
    mean = np.zeros(len(form.A))
    if CONSTANT in form.input_names:
        column = np.asarray(form.B)[:, form.input_names.index(CONSTANT)]
        mean = np.linalg.solve(np.eye(len(form.A)) - np.asarray(form.A), column)
    if not np.allclose(form.mean, mean, rtol=1e-7, atol=1e-9 * (1 + np.abs(mean).max(initial=0))):
        return "the first state had another mean"
    return ""
