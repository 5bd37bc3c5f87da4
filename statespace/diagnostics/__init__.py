"""Is the model right? Tests of residuals, scores of forecasts, and the chaos and memory of deterministic systems."""

from .baselines import baselines
from .dynamics import LyapunovSpectrum, kaplan_yorke, lyapunov_spectrum, valid_prediction_time
from .fixed_points import FixedPoints, fixed_points
from .gradients import contraction_rate, gradient_norms
from .memory import MemoryCapacity, memory_capacity
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
    "FixedPoints",
    "LyapunovSpectrum",
    "MemoryCapacity",
    "NormalityResult",
    "ResidualTests",
    "TestResult",
    "autocorrelation",
    "baselines",
    "contraction_rate",
    "coverage",
    "crps_ensemble",
    "crps_normal",
    "fixed_points",
    "gradient_norms",
    "heteroskedasticity",
    "interval_score",
    "jarque_bera",
    "kaplan_yorke",
    "ljung_box",
    "lyapunov_spectrum",
    "memory_capacity",
    "pit",
    "residual_tests",
    "scaled_error",
    "valid_prediction_time",
]
