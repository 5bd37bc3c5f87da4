"""Scores and calibration of probability forecasts: Gneiting and Raftery (2007), JASA 102, 359-378.

Scores are in the unit of the data and smaller is better. They are proper: nobody scores better on average
than by forecasting what they believe. Draws come first along the first axis; NaN observations give NaN.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import special


def crps_ensemble(draws: ArrayLike, observed: ArrayLike, *, fair: bool = True) -> Float[np.ndarray, "*shape"]:
    """Continuous ranked probability score of forecast draws x_1 ... x_m.

        mean_i |x_i - y| - sum_{i,j} |x_i - x_j| / (2 d),

    where d = m (m - 1) gives the fair score, whose mean does not depend on the number of draws (the default),
    and d = m^2 the standard one, the score of the draws' own step function.

    Args:
        draws: Independent forecast draws, draws along the first axis, then the shape of `observed`.
        observed: What happened.
        fair: Whether to divide by m (m - 1) instead of m^2.

    Returns:
        One score for each observation, NaN where it is NaN.

    Raises:
        ValueError: If shapes do not match, or a fair score is asked of a single draw.

    Example:
        >>> crps_ensemble([1.0, 3.0], 2.0), crps_ensemble([1.0, 3.0], 2.0, fair=False)
        (array(0.), array(0.5))

    Reference: Gneiting and Raftery (2007), eq. 21; Ferro (2014), QJRMS 140, 1917-1923, for the fair score.
    """
    x, y = _aligned(draws, observed)
    m = len(x)
    if fair and m < 2:
        raise ValueError("the fair score needs at least two draws, got one: draw more, or pass fair=False")
    # in sorted order sum_{i,j} |x_i - x_j| = 2 sum_i (2 i - m - 1) x_(i), without the m x m table
    weights = (2 * np.arange(1, m + 1) - m - 1).reshape(-1, *(1,) * y.ndim)
    spread = np.sum(weights * np.sort(x, axis=0), axis=0) / (m * (m - 1) if fair else m**2)
    return np.asarray(np.mean(np.abs(x - y), axis=0) - spread)


def crps_normal(mean: ArrayLike, sd: ArrayLike, observed: ArrayLike) -> Float[np.ndarray, "*shape"]:
    """Continuous ranked probability score of a normal forecast.

        sd (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)),   z = (y - mean) / sd,

    which is |y - mean| at sd = 0. The arguments broadcast.

    Args:
        mean: Forecast means.
        sd: Forecast standard deviations, at least 0.
        observed: What happened.

    Returns:
        One score for each observation, NaN where it is NaN.

    Raises:
        ValueError: If a standard deviation is negative.

    Example:
        >>> float(crps_normal(0.0, 1.0, 0.0))
        0.23369...

    Reference: Gneiting and Raftery (2007), section 4.2.
    """
    sd = np.asarray(sd, dtype=np.float64)
    if np.any(sd < 0):
        raise ValueError(f"standard deviations must be at least 0, got {np.nanmin(sd)}")
    error = np.asarray(observed, dtype=np.float64) - np.asarray(mean, dtype=np.float64)
    z = error / np.where(sd > 0, sd, 1.0)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    score = sd * (z * (2 * special.ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return np.asarray(np.where(sd == 0, np.abs(error), score))


def pit(draws: ArrayLike, observed: ArrayLike) -> Float[np.ndarray, "*shape"]:
    """Probability integral transform: where the observation falls among the forecast draws.

        (number of draws below + half the number equal + 1/2) / (m + 1),

    uniform on its m + 1 values when forecasts are calibrated. A histogram like a U says that forecasts are
    too sure, a hump that they are too vague, a slope that they are biased. With counts, ties take the
    middle of their step, and the transform is more even than uniform.

    Args:
        draws: Forecast draws, draws along the first axis, then the shape of `observed`.
        observed: What happened.

    Returns:
        A value strictly between 0 and 1 for each observation, NaN where it is NaN.

    Raises:
        ValueError: If shapes do not match.

    Example:
        >>> pit([1.0, 2.0, 3.0], 2.5)
        array(0.625)

    Reference: Gneiting, Balabdaoui and Raftery (2007), JRSS B 69, 243-268.
    """
    x, y = _aligned(draws, observed)
    rank = np.sum(x < y, axis=0) + 0.5 * np.sum(x == y, axis=0)
    return np.asarray(np.where(np.isnan(y), np.nan, (rank + 0.5) / (len(x) + 1)))


def coverage(
    draws: ArrayLike, observed: ArrayLike, levels: Sequence[float] = (0.5, 0.9)
) -> Float[np.ndarray, " levels"]:
    """Share of observations inside the central forecast interval of each level.

    Args:
        draws: Forecast draws, draws along the first axis, then the shape of `observed`.
        observed: What happened; NaN is left out of the count.
        levels: Probabilities of the intervals, each between 0 and 1.

    Returns:
        One share for each level, close to it when forecasts are calibrated; NaN without any observation.

    Raises:
        ValueError: If shapes do not match or a level is not between 0 and 1.

    Example:
        >>> import numpy as np
        >>> draws = np.linspace(0.0, 1.0, 101)[:, None].repeat(4, axis=1)
        >>> coverage(draws, [0.5, 0.7, 0.9, 2.0], levels=(0.5, 0.9))
        array([0.5 , 0.75])
    """
    x, y = _aligned(draws, observed)
    seen = ~np.isnan(y)
    if not seen.any():
        return np.full(len(levels), np.nan)
    return np.array([np.mean(_covered(x[:, seen], y[seen], _checked(level))) for level in levels])


def interval_score(
    lower: ArrayLike, upper: ArrayLike, observed: ArrayLike, level: float
) -> Float[np.ndarray, "*shape"]:
    """Score of a central forecast interval: its width, and a fine for each miss.

        (u - l) + 2 / a (l - y) [y < l] + 2 / a (y - u) [y > u],   a = 1 - level.

    The arguments but `level` broadcast.

    Args:
        lower: Lower ends l of the intervals.
        upper: Upper ends u.
        observed: What happened.
        level: Probability of the interval, between 0 and 1.

    Returns:
        One score for each observation, NaN where it is NaN.

    Raises:
        ValueError: If an interval ends before it begins, or the level is not between 0 and 1.

    Example:
        >>> interval_score(0.0, 1.0, [0.5, 1.5], level=0.9)
        array([ 1., 11.])

    Reference: Gneiting and Raftery (2007), eq. 43.
    """
    low, high, y = (np.asarray(value, dtype=np.float64) for value in (lower, upper, observed))
    if np.any(low > high):
        raise ValueError("an interval ends below its begin: pass lower first, then upper")
    fine = 2 / (1 - _checked(level))
    return (high - low) + fine * (np.maximum(low - y, 0) + np.maximum(y - high, 0))


def scaled_error(errors: ArrayLike, history: ArrayLike, season: int = 1) -> Float[np.ndarray, "*shape"]:
    """Forecast errors in units of the (seasonal) naive forecast's mean absolute error within the history.

        e[h] / mean_t |y[t] - y[t - season]|.

    The mean absolute value of what comes back is the MASE: below 1 the forecast errs less than the naive one
    did one step ahead. The mean absolute value of CRPS or interval scores scaled so can be compared
    between series as well.

    Args:
        errors: Forecast errors or scores, shape (horizon,) or (horizon, series).
        history: The data known at the forecast, shape (time,) or (time, series); NaN is left out.
        season: Stamps in a season, 1 for the naive forecast.

    Returns:
        The scaled errors, in the shape of `errors`.

    Raises:
        ValueError: If the history has no pair of values a season apart, or repeats exactly.

    Example:
        >>> scaled_error([1.0, -3.0], history=[10.0, 12.0, 10.0, 12.0])
        array([ 0.5, -1.5])

    Reference: Hyndman and Koehler (2006), International Journal of Forecasting 22, 679-688.
    """
    past = np.asarray(history, dtype=np.float64)
    if not 1 <= season < len(past):
        raise ValueError(f"season lies between 1 and {len(past) - 1} for {len(past)} stamps, got {season}")
    steps = np.abs(past[season:] - past[:-season])
    if np.any(np.all(np.isnan(steps), axis=0)):
        raise ValueError(f"the history has no two observed values {season} stamps apart")
    scale = np.nanmean(steps, axis=0)
    if np.any(scale == 0):
        raise ValueError(f"the history repeats every {season} stamps exactly: a naive error of zero gives no scale")
    return np.asarray(errors, dtype=np.float64) / scale


def _aligned(draws: ArrayLike, observed: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Draws and observations as float64, of shapes (draw, *shape) and (*shape)."""
    x, y = np.asarray(draws, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    if x.ndim == 0 or len(x) == 0 or x.shape[1:] != y.shape:
        raise ValueError(
            f"draws must have the shape (draw, *{y.shape}) to go with the observations, got {x.shape}: "
            "put draws first, and join chains with draws.reshape(-1, *observed.shape)"
        )
    return x, y


def _checked(level: float) -> float:
    """A level between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level}; 0.9 is the interval from 5 % to 95 %")
    return level


def _covered(x: np.ndarray, y: np.ndarray, level: float) -> np.ndarray:
    """Whether each observation lies in the central interval of the draws."""
    low, high = np.quantile(x, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return (low <= y) & (y <= high)
