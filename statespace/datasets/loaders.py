"""One function a data set: the csv file beside this module as a pandas object with a proper index.

The files of R's `datasets` keep their fractional `time` column (1949.08333 is February 1949); the functions
here return exact dates with a frequency instead.
"""

from importlib import resources

import pandas as pd


def nile() -> pd.Series:
    """Annual flow of the river Nile at Aswan, in 1e8 cubic metres, 1871 to 1970.

    The level drops around 1899, when the old Aswan dam was begun.

    Returns:
        100 yearly values, named `volume`, stamped at the first of January (freq `YS`).

    Example:
        >>> from statespace.datasets import nile
        >>> flow = nile()
        >>> len(flow), int(flow.loc["1899"].iloc[0])
        (100, 774)

    Source:
        Cobb (1978), Biometrika 65, 243-251; Durbin and Koopman (2012), chapter 2.
    """
    table = _read("nile.csv")
    return pd.Series(table["volume"].to_numpy(float), _dates(1871, len(table), "YS"), name="volume")


def seatbelts() -> pd.DataFrame:
    """Road casualties in Great Britain around the seat belt law, monthly, 1969 to 1984.

    Returns:
        192 months (freq `MS`) of eight columns, named as in R:

        - `DriversKilled`: car drivers killed
        - `drivers`: car drivers killed or seriously injured
        - `front`, `rear`: front-seat and rear-seat passengers killed or seriously injured
        - `kms`: distance driven
        - `PetrolPrice`: price of petrol
        - `VanKilled`: van drivers killed
        - `law`: 1 where the law of 31 January 1983 is in effect, else 0

    Example:
        >>> from statespace.datasets import seatbelts
        >>> data = seatbelts()
        >>> data.shape, int(data.loc["1983-02", "law"].iloc[0])
        ((192, 8), 1)

    Source:
        Harvey and Durbin (1986), Journal of the Royal Statistical Society A 149, 187-227; R's `Seatbelts`.
    """
    table = _read("seatbelts.csv").drop(columns="rownames").astype(float)
    return table.set_index(_dates(1969, len(table), "MS"))


def air_passengers() -> pd.Series:
    """International airline passengers, monthly totals in thousands, 1949 to 1960.

    Returns:
        144 months (freq `MS`), named `passengers`.

    Example:
        >>> from statespace.datasets import air_passengers
        >>> passengers = air_passengers()
        >>> len(passengers), float(passengers.iloc[0])
        (144, 112.0)

    Source:
        Box and Jenkins (1976), Time Series Analysis, series G; R's `AirPassengers`.
    """
    return _classic("air_passengers.csv", "passengers", "MS")


def uk_gas() -> pd.Series:
    """Gas consumption of the United Kingdom, quarterly, in millions of therms, 1960 to 1986.

    Returns:
        108 quarters (freq `QS`, stamped at the first month), named `gas`.

    Example:
        >>> from statespace.datasets import uk_gas
        >>> gas = uk_gas()
        >>> len(gas), float(gas.iloc[-1])
        (108, 782.8)

    Source:
        Durbin and Koopman (2001), Time Series Analysis by State Space Methods; R's `UKgas`.
    """
    return _classic("uk_gas.csv", "gas", "QS")


def us_accidental_deaths() -> pd.Series:
    """Accidental deaths in the United States, monthly totals, 1973 to 1978.

    Returns:
        72 months (freq `MS`), named `deaths`.

    Example:
        >>> from statespace.datasets import us_accidental_deaths
        >>> deaths = us_accidental_deaths()
        >>> len(deaths), float(deaths.iloc[0])
        (72, 9007.0)

    Source:
        Brockwell and Davis (1991), Time Series: Theory and Methods; R's `USAccDeaths`.
    """
    return _classic("us_accidental_deaths.csv", "deaths", "MS")


def lake_huron() -> pd.Series:
    """Level of Lake Huron, annual, in feet, 1875 to 1972.

    Returns:
        98 years (freq `YS`), named `level`.

    Example:
        >>> from statespace.datasets import lake_huron
        >>> level = lake_huron()
        >>> len(level), float(level.iloc[0])
        (98, 580.38)

    Source:
        Brockwell and Davis (1991), Time Series: Theory and Methods; R's `LakeHuron`.
    """
    return _classic("lake_huron.csv", "level", "YS")


def lynx() -> pd.Series:
    """Canadian lynx trapped in a year, counts, 1821 to 1934.

    Returns:
        114 years (freq `YS`), named `lynx`.

    Example:
        >>> from statespace.datasets import lynx
        >>> trapped = lynx()
        >>> len(trapped), float(trapped.iloc[0])
        (114, 269.0)

    Source:
        Campbell and Walker (1977), Journal of the Royal Statistical Society A 140, 411-431; R's `lynx`.
    """
    return _classic("lynx.csv", "lynx", "YS")


def sunspots() -> pd.Series:
    """Yearly mean numbers of sunspots, 1700 to 2008: cycles of about eleven years, with sharp rises.

    Returns:
        309 yearly values, named `number`, stamped at the first of January (freq `YS`).

    Example:
        >>> from statespace.datasets import sunspots
        >>> spots = sunspots()
        >>> len(spots), float(spots.loc["1957"].iloc[0])
        (309, 190.2)

    Source:
        National Geophysical Data Center; Yule (1927), Philosophical Transactions A 226, for the cycles as an AR(2).
    """
    table = _read("sunspots.csv")
    return pd.Series(table["number"].to_numpy(float), _dates(1700, len(table), "YS"), name="number")


def seattle_weather() -> pd.DataFrame:
    """Daily weather in Seattle, 2012 to 2015.

    The verbal label (`weather`) of the original file is left out: every column is a number.

    Returns:
        1461 days (freq `D`) of four columns: `precipitation` in mm, `temp_max` and `temp_min` in degrees
        Celsius, `wind` (mean speed) in m/s.

    Example:
        >>> from statespace.datasets import seattle_weather
        >>> weather = seattle_weather()
        >>> weather.shape, float(weather["temp_max"].iloc[0])
        ((1461, 4), 12.8)

    Source:
        National Oceanic and Atmospheric Administration, through vega_datasets.
    """
    table = _read("seattle_weather.csv")
    days = pd.DatetimeIndex(pd.to_datetime(table["date"], format="%Y/%m/%d"), freq="D", name="time")
    return table[["precipitation", "temp_max", "temp_min", "wind"]].astype(float).set_index(days)


def gbp_usd() -> pd.Series:
    """Daily log-returns of the pound sterling against the US dollar, in per cent, 1997 to 1998.

    The file does not say which day a return belongs to, so the index counts trading days from 0.

    Returns:
        750 returns (RangeIndex), named `log_return`.

    Example:
        >>> from statespace.datasets import gbp_usd
        >>> returns = gbp_usd()
        >>> len(returns), round(float(returns.std()), 2)
        (750, 0.47)

    Source:
        The `particles` package of Chopin and Papaspiliopoulos (2020), Introduction to Sequential Monte Carlo.
    """
    return _column("gbp_usd.csv", "log_return")


def nutria() -> pd.Series:
    """Abundance of female nutria (coypu) in East Anglia, at monthly intervals, by retrospective census.

    The file names neither its first month nor its unit, so the index counts months from 0.

    Returns:
        120 months (RangeIndex), named `abundance`.

    Example:
        >>> from statespace.datasets import nutria
        >>> abundance = nutria()
        >>> len(abundance), float(abundance.iloc[0])
        (120, 0.55)

    Source:
        Data set 9833 of the Global Population Dynamics Database; Peters et al. (2010), arXiv:1005.2238.
    """
    return _column("nutria.csv", "abundance")


def boarding_school_flu() -> pd.DataFrame:
    """Influenza in a boarding school in the north of England with 763 boys, daily, 1978.

    Returns:
        14 days (freq `D`) of two columns: `in_bed`, boys confined to bed, and `convalescent`, boys not yet back in
        class.

    Example:
        >>> from statespace.datasets import boarding_school_flu
        >>> flu = boarding_school_flu()
        >>> flu.shape, float(flu["in_bed"].max())
        ((14, 2), 298.0)

    Source:
        Anonymous (1978), "Influenza in a boarding school", British Medical Journal 1, 587.
    """
    table = _read("boarding_school_flu.csv")
    days = pd.DatetimeIndex(pd.to_datetime(table["date"]), freq="D", name="time")
    return table[["in_bed", "convalescent"]].astype(float).set_index(days)


def _read(file: str, names: list[str] | None = None) -> pd.DataFrame:
    """The csv file beside this module as it is; `names` where it has no header."""
    with (resources.files("statespace.datasets") / file).open(encoding="utf-8") as stream:
        return pd.read_csv(stream, names=names)


def _classic(file: str, name: str, freq: str) -> pd.Series:
    """A series of R's `datasets`: each begins with a year and has no gaps."""
    table = _read(file)
    return pd.Series(table["value"].to_numpy(float), _dates(table["time"].iloc[0], len(table), freq), name=name)


def _column(file: str, name: str) -> pd.Series:
    """A file that is one column of numbers without a header."""
    return pd.Series(_read(file, names=[name])[name])


def _dates(year: float, periods: int, freq: str) -> pd.DatetimeIndex:
    """The first days of consecutive periods, from the first of January of a year on."""
    return pd.date_range(f"{int(year)}-01-01", periods=periods, freq=freq, name="time")
