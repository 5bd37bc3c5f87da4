"""A smooth density from draws that stays inside the support."""

import numpy as np


def density(draws: np.ndarray, x: np.ndarray, low: float = -np.inf, high: float = np.inf) -> np.ndarray:
    """Gaussian kernel density estimate of draws, reflected at the ends of their support.

    Without the reflection a density that is highest at its edge, as of a scale near zero, would seem to
    fall there.

    Args:
        draws: One-dimensional and not all equal.
        x: Where to evaluate.
        low: Lower end of the support.
        high: Upper end of the support.

    Returns:
        The density at `x`, zero outside the support.
    """
    from scipy.stats import gaussian_kde

    kernel = gaussian_kde(draws)
    total = kernel(x)
    for end in (low, high):
        if np.isfinite(end):
            total = total + kernel(2 * end - x)
    return np.where((low <= x) & (x <= high), total, 0.0)
