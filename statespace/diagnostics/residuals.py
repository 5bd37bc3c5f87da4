"""Tests of standardised one-step residuals: Durbin and Koopman (2012), section 2.12.

In the right model the residuals e[t] = (y[t] - E[y[t] | past]) / sd(y[t] | past) are independent standard
normal. Each test here looks at one way to fail: serial dependence, non-normality, a changing variance.
Residuals that are NaN (missing values, the diffuse start) are dropped first; those that are left stay
independent standard normal, so the distributions of the tests stay as they are.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import special


class TestResult(NamedTuple):
    """A test statistic with its p-value.

    Args:
        statistic: The value of the statistic.
        p_value: Probability of a value at least as extreme when the model is right.
        df: Degrees of freedom of the reference distribution; a pair for F.
    """

    __test__ = False  # the name is no invitation to pytest

    statistic: float
    p_value: float
    df: int | tuple[int, int]


class NormalityResult(NamedTuple):
    """A test of normality with the moments that it is made of.

    Args:
        statistic: The value of the statistic.
        p_value: Probability of a larger value when the residuals are normal.
        df: Degrees of freedom of the chi-squared reference distribution.
        skewness: Standardised third moment; 0 for the normal.
        kurtosis: Standardised fourth moment; 3 for the normal.
    """

    statistic: float
    p_value: float
    df: int
    skewness: float
    kurtosis: float


@dataclass(frozen=True)
class ResidualTests:
    """The three tests of one series' residuals; prints as a table.

    Args:
        count: How many residuals were tested, NaN left out.
        lags: Autocorrelations in the Ljung-Box statistic.
        ljung_box: Test of independence.
        jarque_bera: Test of normality.
        heteroskedasticity: Test of constant variance.
    """

    count: int
    lags: int
    ljung_box: TestResult
    jarque_bera: NormalityResult
    heteroskedasticity: TestResult

    def rows(self) -> list[tuple[str, str, float, float]]:
        """What is tested, the statistic's name, its value and its p-value, one tuple a test."""
        variance, normal = self.heteroskedasticity, self.jarque_bera
        return [
            ("independence", f"Ljung-Box({self.lags})", self.ljung_box.statistic, self.ljung_box.p_value),
            ("normality", "Jarque-Bera", normal.statistic, normal.p_value),
            ("constant variance", f"H({third(self.count)})", variance.statistic, variance.p_value),
        ]

    def __str__(self) -> str:
        normal = self.jarque_bera
        lines = [f"{'residuals: ' + str(self.count):<18}{'statistic':<16}{'value':>8}{'p-value':>10}"]
        lines += [f"{what:<18}{name:<16}{value:>8.2f}{p:>10.3f}" for what, name, value, p in self.rows()]
        return "\n".join([*lines, f"skewness {normal.skewness:.2f}, kurtosis {normal.kurtosis:.2f}"])

    __repr__ = __str__


def autocorrelation(residuals: ArrayLike, lags: int) -> Float[np.ndarray, " lags"]:
    """Sample autocorrelations at lags 1, 2, ..., `lags`.

        r[k] = sum_{t > k} (e[t] - mean)(e[t-k] - mean) / sum_t (e[t] - mean)^2.

    Under independence each is close to normal with standard deviation 1 / sqrt(n).

    Args:
        residuals: Standardised one-step residuals of one series, in time order; NaN is dropped.
        lags: The largest lag.

    Returns:
        The autocorrelations, lag 0 left out.

    Raises:
        ValueError: If there are not more residuals than lags, or they do not vary.

    Example:
        >>> autocorrelation([1.0, -1.0, 1.0, -1.0], lags=2)
        array([-0.75,  0.5 ])

    Reference: Durbin and Koopman (2012), section 2.12.1.
    """
    values = _clean(residuals)
    if not 1 <= lags < len(values):
        raise ValueError(f"lags for {len(values)} residuals lie between 1 and {len(values) - 1}, got {lags}")
    centred = values - values.mean()
    covariance = np.array([centred[k:] @ centred[:-k] for k in range(1, lags + 1)])
    return covariance / (centred @ centred)


def ljung_box(residuals: ArrayLike, lags: int, *, model_df: int = 0) -> TestResult:
    """Ljung-Box test of no autocorrelation up to a lag.

        Q = n (n + 2) sum_{k=1}^{lags} r[k]^2 / (n - k),

    chi-squared with `lags - model_df` degrees of freedom when the residuals are independent.

    Args:
        residuals: Standardised one-step residuals of one series, in time order; NaN is dropped.
        lags: How many autocorrelations enter.
        model_df: Estimated parameters that shape the autocorrelation (p + q of an ARMA model; for a
            structural model the number of estimated scales less one).

    Returns:
        The statistic, its p-value and degrees of freedom.

    Raises:
        ValueError: If no degree of freedom is left, or lags do not fit the number of residuals.

    Example:
        >>> ljung_box([0.5, -1.2, 0.3, 0.8, -0.4, 1.1, -0.9], lags=2).df
        2

    Reference: Ljung and Box (1978), Biometrika 65, 297-303; Durbin and Koopman (2012), section 2.12.1.
    """
    if not 0 <= model_df < lags:
        raise ValueError(f"model_df lies between 0 and lags - 1 = {lags - 1}, got {model_df}; use more lags")
    r = autocorrelation(residuals, lags)
    n, df = len(_clean(residuals)), lags - model_df
    statistic = float(n * (n + 2) * np.sum(r**2 / (n - np.arange(1, lags + 1))))
    return TestResult(statistic, float(special.chdtrc(df, statistic)), df)


def jarque_bera(residuals: ArrayLike) -> NormalityResult:
    """Jarque-Bera test of normality (also called Bowman-Shenton).

        N = n (S^2 / 6 + (K - 3)^2 / 24),   S = m3 / m2^(3/2),   K = m4 / m2^2,

    with central moments m, chi-squared with 2 degrees of freedom for large n.

    Args:
        residuals: Standardised one-step residuals of one series; NaN is dropped.

    Returns:
        The statistic, its p-value, degrees of freedom, skewness S and kurtosis K (3 for the normal).

    Raises:
        ValueError: If there are fewer than two residuals, or they do not vary.

    Example:
        >>> result = jarque_bera([-2.0, -1.0, 0.0, 1.0, 2.0])
        >>> result.skewness, result.kurtosis
        (0.0, 1.7)

    Reference: Durbin and Koopman (2012), section 2.12.1.
    """
    values = _clean(residuals)
    centred = values - values.mean()
    m2, m3, m4 = (float(np.mean(centred**power)) for power in (2, 3, 4))
    skewness, kurtosis = m3 / m2**1.5, m4 / m2**2
    statistic = len(values) * (skewness**2 / 6 + (kurtosis - 3) ** 2 / 24)
    return NormalityResult(statistic, float(special.chdtrc(2, statistic)), 2, skewness, kurtosis)


def heteroskedasticity(residuals: ArrayLike) -> TestResult:
    """Test of equal variance in the first and the last third of the residuals.

        H(h) = sum_{t = n-h+1}^{n} e[t]^2 / sum_{t=1}^{h} e[t]^2,   h = n / 3 to the nearest integer,

    F with (h, h) degrees of freedom; the p-value is two-sided, 2 min(P(F < H), P(F > H)).

    Args:
        residuals: Standardised one-step residuals of one series, in time order; NaN is dropped.

    Returns:
        The statistic (above 1: the variance grows), its p-value and the pair (h, h).

    Raises:
        ValueError: If there are fewer than two residuals, they do not vary, or the first third is all zero.

    Example:
        >>> result = heteroskedasticity([1.0, -1.0, 0.5, 0.2, 2.0, -2.0])
        >>> result.statistic, result.df
        (4.0, (2, 2))

    Reference: Durbin and Koopman (2012), section 2.12.1; Commandeur and Koopman (2007), section 8.5.
    """
    squares = _clean(residuals) ** 2
    h = third(len(squares))
    first, last = float(squares[:h].sum()), float(squares[-h:].sum())
    if first == 0:
        raise ValueError(f"the first {h} residuals are all zero: no variance to compare with")
    statistic = last / first
    tail = min(special.fdtr(h, h, statistic), special.fdtrc(h, h, statistic))
    return TestResult(statistic, float(2 * tail), (h, h))


def residual_tests(residuals: ArrayLike, lags: int | None = None, *, model_df: int = 0) -> ResidualTests:
    """Independence, normality and constant variance of one series' residuals, in one table.

    Args:
        residuals: Standardised one-step residuals of one series, in time order; NaN is dropped.
        lags: Autocorrelations in the Ljung-Box statistic; the integer part of sqrt(n) when left out.
        model_df: As in `ljung_box`.

    Returns:
        The three results; printing it gives a table.

    Raises:
        ValueError: As the single tests.

    Example:
        >>> import numpy as np
        >>> print(residual_tests(np.sin(np.arange(30.0) ** 2)))
        residuals: 30     statistic          value   p-value
        independence      Ljung-Box(5)        5.78     0.328
        normality         Jarque-Bera         2.67     0.263
        constant variance H(10)               1.12     0.864
        skewness 0.44, kurtosis 1.84
    """
    count = len(_clean(residuals))
    lags = default_lags(count, model_df) if lags is None else lags
    return ResidualTests(
        count=count,
        lags=lags,
        ljung_box=ljung_box(residuals, lags, model_df=model_df),
        jarque_bera=jarque_bera(residuals),
        heteroskedasticity=heteroskedasticity(residuals),
    )


def default_lags(count: int, model_df: int = 0) -> int:
    """The integer part of sqrt(n), Harvey's (1989, section 5.4.2) choice, and more than `model_df`."""
    return max(int(np.sqrt(count)), model_df + 1)


def third(count: int) -> int:
    """A third of n to the nearest integer, at least 1."""
    return max(1, round(count / 3))


def _clean(residuals: ArrayLike) -> Float[np.ndarray, " n"]:
    """The residuals that are there, as float64; an error says why they cannot be tested."""
    values = np.asarray(residuals, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(
            f"residuals of one series are expected, shape (time,), got {values.shape}: "
            "test each column on its own, residuals[:, i]"
        )
    values = values[~np.isnan(values)]
    if len(values) < 2 or np.ptp(values) == 0:
        raise ValueError(
            f"at least two different residuals are needed, got {len(values)} that are not NaN, "
            f"{len(np.unique(values))} different"
        )
    if np.isinf(values).any():
        raise ValueError("residuals contain infinite values: was a predicted variance zero?")
    return values
