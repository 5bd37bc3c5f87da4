"""Supports of parameters beyond NumPyro's own, with their transforms."""

import jax.numpy as jnp
from numpyro.distributions import biject_to, constraints
from numpyro.distributions.transforms import ParameterFreeTransform


class _Stationary(constraints.Constraint):
    """Coefficients of a stationary autoregression, 1 - phi_1 z - ... - phi_p z^p with roots outside |z| = 1."""

    event_dim = 1

    def __call__(self, x):
        partial = partial_autocorrelations(x)
        return jnp.all(jnp.abs(partial) < 1, axis=-1)

    def feasible_like(self, prototype):
        return jnp.zeros_like(prototype)

    def tree_flatten(self):
        return (), ((), {})


stationary = _Stationary()


def partial_autocorrelations(coefficients):
    """The partial autocorrelations of an autoregression (Levinson's recursion run down).

    Reference: Monahan (1984), "A note on enforcing stationarity in ARMA models", Biometrika 71.

    Args:
        coefficients: phi_1 ... phi_p along the last axis.

    Returns:
        Partial autocorrelations along the last axis; all below 1 in size exactly when stationary.

    Example:
        >>> import jax.numpy as jnp
        >>> [round(float(r), 6) for r in partial_autocorrelations(jnp.array([0.5, 0.2]))]
        [0.625, 0.2]
    """
    order = coefficients.shape[-1]
    current, partial = coefficients, []
    for k in range(order, 0, -1):
        last = current[..., k - 1 : k]
        partial.append(last[..., 0])
        head = current[..., : k - 1]
        current = (head + last * head[..., ::-1]) / (1 - last**2)
    return jnp.stack(partial[::-1], axis=-1)


def autoregressive_coefficients(partial):
    """The autoregression with given partial autocorrelations (Levinson's recursion run up)."""
    order = partial.shape[-1]
    current = partial[..., :1]
    for k in range(1, order):
        last = partial[..., k : k + 1]
        current = jnp.concatenate([current - last * current[..., ::-1], last], axis=-1)
    return current


class StationaryTransform(ParameterFreeTransform):
    """Real vectors to stationary autoregressions: tanh to partial autocorrelations, then Levinson."""

    domain = constraints.real_vector  # pyright: ignore[reportAssignmentType]  NumPyro declares a property
    codomain = stationary  # pyright: ignore[reportAssignmentType]

    def __call__(self, x):
        """The coefficients at a real vector."""
        return autoregressive_coefficients(jnp.tanh(x))

    def _inverse(self, y):
        return jnp.arctanh(partial_autocorrelations(y))

    def log_abs_det_jacobian(self, x, y, intermediates=None):
        """The logarithm of the absolute determinant of the Jacobian at x."""
        # d tanh contributes 1 - r_k^2; the step of order k contributes the determinant of I - r_k J
        partial = jnp.tanh(x)
        tail = jnp.log1p(-(partial**2))
        half, odd = _levinson_exponents(x.shape[-1])
        return jnp.sum(tail * (1 + half), axis=-1) + jnp.sum(jnp.log1p(-partial) * odd, axis=-1)


def _levinson_exponents(order: int):
    # the reversal of k - 1 elements has (k - 1) // 2 pairs of eigenvalues +-1 and, for an odd count, one more +1
    counts = jnp.arange(order)
    return counts // 2, counts % 2


biject_to.register(_Stationary)(lambda constraint: StationaryTransform())

__all__ = ["StationaryTransform", "autoregressive_coefficients", "partial_autocorrelations", "stationary"]
