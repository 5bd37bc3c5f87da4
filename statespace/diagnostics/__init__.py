"""Is the model right? Tests of one-step residuals, and scores and calibration of forecasts."""

from .residuals import (
    NormalityResult,
    ResidualTests,
    TestResult,
    autocorrelation,
    heteroskedasticity,
    jarque_bera,
    ljung_box,
    residual_tests,
)
from .scores import (
    coverage,
    crps_ensemble,
    crps_normal,
    interval_score,
    pit,
    scaled_error,
)

__all__ = [
    "NormalityResult",
    "ResidualTests",
    "TestResult",
    "autocorrelation",
    "coverage",
    "crps_ensemble",
    "crps_normal",
    "heteroskedasticity",
    "interval_score",
    "jarque_bera",
    "ljung_box",
    "pit",
    "residual_tests",
    "scaled_error",
]
