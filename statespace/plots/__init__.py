"""Pictures of results with matplotlib (the extra `plots`); every function returns the Axes it drew on."""

from .auxiliary import auxiliary_residuals
from .bode import bode
from .calibration import calibration
from .components import components
from .diagnostics import diagnostics
from .forecast import forecast
from .hankel import hankel_singular_values
from .impulse_response import impulse_response
from .particles import particles
from .piano_roll import piano_roll
from .pole_zero import pole_zero
from .priors import priors
from .spectrum import spectrum
from .states import states
from .training import training
from .video import video

__all__ = [
    "auxiliary_residuals",
    "bode",
    "calibration",
    "components",
    "diagnostics",
    "forecast",
    "hankel_singular_values",
    "impulse_response",
    "particles",
    "piano_roll",
    "pole_zero",
    "priors",
    "spectrum",
    "states",
    "training",
    "video",
]
