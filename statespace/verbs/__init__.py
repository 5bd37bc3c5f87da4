"""The verbs: functions that take models and data and give labelled results."""

from .bounding import collapse_report, evaluate
from .decoding import viterbi
from .evaluating import backtest, leave_future_out
from .filtering import append, filter, sample_states, smooth
from .fitting import default_priors, fit
from .forecasting import forecast, simulate
from .likelihood import log_likelihood
from .loading import load
from .predictive import impute, posterior_predictive, prior_predictive
from .program import observe, sample_program
from .sampling import resume
from .scoring import score_forecasts
from .sites import learn_parameters, sample_parameters

__all__ = [
    "append",
    "backtest",
    "collapse_report",
    "default_priors",
    "evaluate",
    "filter",
    "fit",
    "forecast",
    "impute",
    "learn_parameters",
    "leave_future_out",
    "load",
    "log_likelihood",
    "observe",
    "posterior_predictive",
    "prior_predictive",
    "resume",
    "sample_parameters",
    "sample_program",
    "sample_states",
    "score_forecasts",
    "simulate",
    "smooth",
    "viterbi",
]
