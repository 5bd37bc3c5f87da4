"""Small real data sets, each a labelled pandas object; sources and licences are in `LICENCES.md`."""

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

__all__ = [
    "air_passengers",
    "boarding_school_flu",
    "gbp_usd",
    "lake_huron",
    "lynx",
    "nile",
    "nutria",
    "seatbelts",
    "seattle_weather",
    "sunspots",
    "uk_gas",
    "us_accidental_deaths",
]
