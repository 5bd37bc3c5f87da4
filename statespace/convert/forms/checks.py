"""What numbers a form takes: finite ones, covariances that are some, positive scales. Traced ones pass unseen."""

from typing import Any

import numpy as np

from ...core.parameters import is_traced

_ROUNDING = 1e-6  # relative asymmetry that rounding may leave
_NEGATIVE = 1e-3  # relative size of a negative eigenvalue that a difference of large covariances may leave


def check_finite(**arrays: Any) -> None:
    """Raise a ValueError that names an array that is not finite."""
    for name, value in arrays.items():
        if not is_traced(value) and not np.all(np.isfinite(np.asarray(value))):
            raise ValueError(f"{name} is not finite: {np.asarray(value)}")


def check_covariance(name: str, value: Any, beside: Any = 0.0) -> None:
    """Raise a ValueError unless an array of matrices (*stack, n, n) is symmetric and has no negative eigenvalue.

    Args:
        name: What it is called.
        value: The matrices.
        beside: Numbers of which it is a difference: what is small beside them is rounding.
    """
    if is_traced(value) or is_traced(beside) or not np.size(value):
        return
    cov = np.asarray(value, float)
    check_finite(**{name: cov})
    turned = np.swapaxes(cov, -1, -2)
    size = max(np.abs(cov).max(), _ROUNDING * np.abs(np.asarray(beside)).max(initial=0.0))
    if np.abs(cov - turned).max() > _ROUNDING * size:
        raise ValueError(f"{name} is a covariance, but not symmetric: {cov}")
    least = np.linalg.eigvalsh((cov + turned) / 2).min()
    if least < -_NEGATIVE * size:
        raise ValueError(f"{name} is a covariance, but has the eigenvalue {least:.3g}: {cov}")


def check_noise(q: Any, r: Any, s: Any) -> None:
    """Raise a ValueError unless Q, R and S are the blocks of one covariance."""
    check_covariance("Q", q, beside=r)
    check_covariance("R", r, beside=q)
    if any(map(is_traced, (q, r, s))) or not np.any(np.asarray(s)):
        return
    q, r, s = (np.asarray(x, float) for x in (q, r, s))
    check_finite(S=s)
    stack = np.broadcast_shapes(*(x.shape[:-2] for x in (q, r, s)))
    q, r, s = (np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (q, r, s))
    sizes = [np.sqrt(np.maximum(np.diagonal(x, axis1=-2, axis2=-1), 0.0)) for x in (q, r)]
    # elements are compared in their own units: correlations
    units = np.concatenate([np.where(size > 0, size, 1.0) for size in sizes], axis=-1)
    joint = np.block([[q, s], [np.swapaxes(s, -1, -2), r]]) / units[..., :, None] / units[..., None, :]
    least = np.linalg.eigvalsh(joint).min()
    if least < -_NEGATIVE:
        raise ValueError(
            f"S is no covariance between noises of covariances Q and R: their correlations have the eigenvalue "
            f"{least:.3g}; got S = {s}"
        )


def check_positive(**numbers: Any) -> None:
    """Raise a ValueError that names a number that is not above 0."""
    for name, value in numbers.items():
        if value is not None and not is_traced(value) and not np.all(np.asarray(value) > 0):
            raise ValueError(f"{name} is {np.asarray(value)}, expected a number above 0")
