"""Small real data sets, each a labelled pandas object, and series made by published equations.

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

__all__ = [
    "air_passengers",
    "boarding_school_flu",
    "gbp_usd",
    "jsb_chorales",
    "lake_huron",
    "lorenz63",
    "lynx",
    "mackey_glass",
    "narma10",
    "nile",
    "nutria",
    "seatbelts",
    "seattle_weather",
    "sunspots",
    "uk_gas",
    "us_accidental_deaths",
]
