"""Labelled results: pandas for people, xarray and ArviZ for analysis, files for keeping."""

from .bridge import pareto_k
from .discrete import DiscreteFiltered, DiscreteSmoothed, labelled_numbers
from .ensemble import EnsembleFiltered, EnsembleSmoothed
from .evaluation import Evaluation
from .filtered import AbstractFiltered, Filtered
from .fitted import Fitted
from .forecast import DivergenceWarning, Forecast, PathForecast
from .forecast_scores import ForecastScores
from .labels import is_repeated, labelled_draws, labelled_paths, labelled_simulation, labelled_values
from .panel import PanelFit
from .particles import DegeneracyWarning, ParticleFiltered
from .priors import Priors, in_words
from .program import ProgramFit
from .smoothed import Smoothed
from .status import ConvergenceWarning, Status
from .storage import read, write

__all__ = [
    "AbstractFiltered",
    "ConvergenceWarning",
    "DegeneracyWarning",
    "DiscreteFiltered",
    "DiscreteSmoothed",
    "DivergenceWarning",
    "EnsembleFiltered",
    "EnsembleSmoothed",
    "Evaluation",
    "Filtered",
    "Fitted",
    "Forecast",
    "ForecastScores",
    "PanelFit",
    "ParticleFiltered",
    "PathForecast",
    "Priors",
    "ProgramFit",
    "Smoothed",
    "Status",
    "in_words",
    "is_repeated",
    "labelled_draws",
    "labelled_numbers",
    "labelled_paths",
    "labelled_simulation",
    "labelled_values",
    "pareto_k",
    "read",
    "write",
]
