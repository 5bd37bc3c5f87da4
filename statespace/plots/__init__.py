"""Pictures of results with matplotlib (the extra `plots`); every function returns the Axes it drew on."""

from .auxiliary import auxiliary_residuals
from .components import components
from .diagnostics import diagnostics
from .forecast import forecast
from .particles import particles
from .priors import priors
from .states import states

__all__ = ["auxiliary_residuals", "components", "diagnostics", "forecast", "particles", "priors", "states"]
