"""What a model of sequences has to beat: independent frames, and one step of memory in each series by itself."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

PSEUDO = 20.0  # observations that a typical rate counts as, where a key's own ones are few


Score = Callable[[np.ndarray], Float[np.ndarray, "time series"]]


class _Baseline(NamedTuple):
    """A baseline fitted to data: minus the log density of each observation, NaN where missing, and its parameters."""

    score: Score
    parameters: int


def baselines(train: Any, test: Any, *, smallest: float = 1e-4) -> pd.DataFrame:
    """Scores of trivial models, which any model of many sequences should beat: nats a frame, smaller is better.

    Of zeros and ones, for each series by itself:

        Bernoulli       p(y[t] = 1) = r
        Markov          p(y[t] = 1 | y[t-1]) = a if y[t-1] = 1, else b

    with r its share of ones (one of each value added to the counts), and a and b estimated with 20 more observations
    in which a one is followed by a one as often as over all series, and a zero by a one at the rate r. Of other values:

        normal          y[t] ~ N(m, s^2)
        last value      y[t] ~ N(y[t-1], s^2)
        AR(1)           y[t] ~ N(c + f y[t-1], s^2)

    by least squares. Models of one step begin with the first of their kind. A missing value is integrated out: the one
    after it is predicted from the last that was seen.

    Args:
        train: What parameters are estimated from: a list of sequences, or a dictionary of them, each (time, series);
            a single sequence; or an array (sequence, time, series).
        test: What is scored, of the same series.
        smallest: Smallest standard deviation, in the unit of the data: that of a series which does not vary.

    Returns:
        A table with a row for each baseline and the columns `per_frame` (the sum over all sequences, divided by the
        number of frames), `per_sequence` (the mean over sequences of each one's own mean), `frames` (with anything
        observed) and `parameters`. Only the same one of the two averages of two models can be compared.

    Raises:
        ValueError: If there are no sequences, no two successive values of a series, or other numbers of series.

    Example:
        >>> import numpy as np
        >>> y = np.array([[1.0], [1.0], [0.0], [0.0]])
        >>> baselines([y, y], y).loc["Bernoulli", "per_frame"].round(4)
        np.float64(0.6931)

    Reference: Krishnan, Shalit and Sontag (2017), "Structured inference networks for nonlinear state space models",
    section 6, for the two averages of the likelihood.
    """
    seen, scored = _sequences(train, "train"), _sequences(test, "test")
    sizes = {part.shape[1] for part in (*seen, *scored)}
    if len(sizes) > 1:
        raise ValueError(f"sequences of train and test have {sorted(sizes)} series: expected the same number in all")
    binary = all(bool(np.all(np.isnan(part) | (part == 0) | (part == 1))) for part in (*seen, *scored))
    found = _binary(seen) if binary else _real(seen, smallest)
    return pd.DataFrame({name: _row(each, scored) for name, each in found.items()}).T.astype(
        {"frames": int, "parameters": int}
    )


def _row(baseline: _Baseline, sequences: list[np.ndarray]) -> dict[str, float]:
    """The scores of one baseline."""
    sums = np.array([np.nansum(baseline.score(part)) for part in sequences])
    frames = np.array([np.sum(~np.isnan(part).all(axis=1)) for part in sequences])
    sums, frames = sums[frames > 0], frames[frames > 0]
    if not len(frames):
        raise ValueError("all of test is missing: there is nothing to score")
    averages = {"per_frame": sums.sum() / frames.sum(), "per_sequence": float(np.mean(sums / frames))}
    return {**averages, "frames": float(frames.sum()), "parameters": float(baseline.parameters)}


def _sequences(data: Any, what: str) -> list[np.ndarray]:
    """Sequences as arrays (time, series)."""
    parts = list(data.values()) if isinstance(data, Mapping) else data
    whole = np.ndim(parts) == 3 if hasattr(parts, "ndim") else isinstance(parts, list | tuple)
    arrays = [np.asarray(part, dtype=np.float64) for part in (parts if whole else [parts])]
    arrays = [part[:, None] if part.ndim == 1 else part for part in arrays]
    if not arrays or any(part.ndim != 2 for part in arrays):
        raise ValueError(f"{what} are sequences of shape (time, series), got shapes {[part.shape for part in arrays]}")
    return arrays


def _successive(sequences: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of successive values, (pair, series): the earlier and the later, NaN where either is missing."""
    before = np.concatenate([part[:-1] for part in sequences])
    after = np.concatenate([part[1:] for part in sequences])
    there = ~(np.isnan(before) | np.isnan(after))
    if not there.any(axis=0).all():
        raise ValueError("train has no two successive values of some series: there is nothing to learn from")
    return np.where(there, before, np.nan), np.where(there, after, np.nan)


def _binary(train: list[np.ndarray]) -> dict[str, _Baseline]:
    """The baselines of zeros and ones."""
    y = np.concatenate(train)
    rate = (np.nansum(y, axis=0) + 1) / (np.sum(~np.isnan(y), axis=0) + 2)
    before, after = _successive(train)
    ones, zeros = np.nansum(before, axis=0), np.nansum(1 - before, axis=0)
    stayed, rose = np.nansum(before * after, axis=0), np.nansum((1 - before) * after, axis=0)
    typical = (stayed.sum() + 1) / (ones.sum() + 2)
    stay = (stayed + PSEUDO * typical) / (ones + PSEUDO)
    rise = (rose + PSEUDO * rate) / (zeros + PSEUDO)

    def independent(y: np.ndarray) -> np.ndarray:
        return _surprise(y, np.broadcast_to(rate, y.shape))

    def markov(y: np.ndarray) -> np.ndarray:
        p, expected = rate, []
        for row in y:
            expected.append(p)
            p = np.where(np.isnan(row), p, row)
            p = stay * p + rise * (1 - p)
        return _surprise(y, np.array(expected))

    count = len(rate)
    return {"Bernoulli": _Baseline(independent, count), "Markov": _Baseline(markov, 2 * count)}


def _surprise(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Minus the log probability of zeros and ones."""
    return np.where(np.isnan(y), np.nan, -np.log(np.where(y == 1, p, 1 - p)))


def _real(train: list[np.ndarray], smallest: float) -> dict[str, _Baseline]:
    """The baselines of real numbers."""
    before, after = _successive(train)
    y, count = np.concatenate(train), np.sum(~np.isnan(before), axis=0)
    mean, sd = np.nanmean(y, axis=0), np.maximum(np.nanstd(y, axis=0), smallest)
    centre, target = (np.nansum(part, axis=0) / count for part in (before, after))
    varies = np.nansum((before - centre) ** 2, axis=0)
    slope = np.nansum((before - centre) * (after - target), axis=0) / np.where(varies > 0, varies, 1.0)
    shift = target - slope * centre

    def step(shift: np.ndarray, slope: np.ndarray) -> Score:
        error = np.nansum((after - shift - slope * before) ** 2, axis=0) / count
        return _walk(mean, sd, shift, slope, np.maximum(np.sqrt(error), smallest))

    series, flat = len(mean), np.zeros_like(mean)
    return {
        "normal": _Baseline(_walk(mean, sd, mean, flat, sd), 2 * series),
        "last value": _Baseline(step(flat, np.ones_like(mean)), 3 * series),
        "AR(1)": _Baseline(step(shift, slope), 5 * series),
    }


def _walk(mean: np.ndarray, sd: np.ndarray, shift: np.ndarray, slope: np.ndarray, noise: np.ndarray) -> Score:
    """Scores of y[t] ~ N(shift + slope y[t-1], noise^2), which begins with N(mean, sd^2)."""

    def score(y: np.ndarray) -> np.ndarray:
        m, v, found = mean, sd**2, []
        for row in y:
            found.append(0.5 * (np.log(2 * np.pi * v) + (row - m) ** 2 / v))
            missing = np.isnan(row)
            m, v = np.where(missing, m, row), np.where(missing, v, 0.0)
            m, v = shift + slope * m, slope**2 * v + noise**2
        return np.array(found)

    return score
