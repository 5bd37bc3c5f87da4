"""Small real data sets, each a labelled pandas object, series made by published equations, and videos.

Sources and licences of the former are in `LICENCES.md`.
"""

from statespace.datasets.generated import lorenz63, mackey_glass, narma10
from statespace.datasets.loaders import (
    air_passengers,
    boarding_school_flu,
    gbp_usd,
    lake_huron,
    lynx,
    nile,
    nutria,
    seatbelts,
    seattle_weather,
    sunspots,
    uk_gas,
    us_accidental_deaths,
)
from statespace.datasets.music import jsb_chorales
from statespace.datasets.video import Video, bouncing_balls, pendulum

__all__ = [
    "Video",
    "air_passengers",
    "boarding_school_flu",
    "bouncing_balls",
    "gbp_usd",
    "jsb_chorales",
    "lake_huron",
    "lorenz63",
    "lynx",
    "mackey_glass",
    "narma10",
    "nile",
    "nutria",
    "pendulum",
    "seatbelts",
    "seattle_weather",
    "sunspots",
    "uk_gas",
    "us_accidental_deaths",
]
