"""The stamps of a series as plain numbers and a description, for files, and back without loss."""

from typing import Any

import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.frequencies import to_offset


def encode_index(index: pd.Index) -> tuple[NDArray[Any], dict[str, Any]]:
    """Numbers and a JSON-ready description from which `decode_index` makes the same index.

    Dates are counted in their own unit (so that years before 1678 survive), periods by their ordinals.

    Args:
        index: Dates, periods or numbers.

    Returns:
        The numbers, (time,), and the description.

    Raises:
        ValueError: If the frequency of the dates is an object that cannot be described.

    Example:
        >>> import pandas as pd
        >>> encode_index(pd.period_range("1970-03", periods=2, freq="M"))[0]
        array([2, 3])
    """
    about: dict[str, Any] = {"kind": type(index).__name__, "name": index.name}
    if isinstance(index, pd.PeriodIndex):
        return index.asi8, about | {"freq": index.freqstr}
    if isinstance(index, pd.RangeIndex):
        return index.to_numpy(), about | {"step": index.step}
    if not isinstance(index, pd.DatetimeIndex):
        return index.to_numpy(), about
    about |= {"unit": index.unit, "zone": None if index.tz is None else str(index.tz), "freq": _named(index)}
    if not decode_index(index.asi8, about).equals(index):
        raise ValueError(f"dates in the time zone {index.tz} cannot be stored: convert them with .tz_convert('UTC')")
    return index.asi8, about


def decode_index(values: NDArray[Any], about: dict[str, Any]) -> pd.Index:
    """The index that `encode_index` described.

    Args:
        values: The numbers.
        about: The description.

    Raises:
        ValueError: If the frequency does not fit the stamps.

    Example:
        >>> import pandas as pd
        >>> decode_index(*encode_index(pd.period_range("2000", periods=2, freq="Y"))).freqstr
        'Y-DEC'
    """
    kind, name = about["kind"], about["name"]
    if kind == "PeriodIndex":
        return pd.PeriodIndex.from_ordinals(values, freq=about["freq"], name=name)
    if kind == "RangeIndex":
        first, step = int(values[0]), about["step"]
        return pd.RangeIndex(first, first + step * len(values), step, name=name)
    if kind != "DatetimeIndex":
        return pd.Index(values, name=name)
    index = pd.DatetimeIndex(values.astype(f"datetime64[{about['unit']}]"), name=name)
    if about["zone"] is not None:
        index = index.tz_localize("UTC").tz_convert(about["zone"])
    return index if about["freq"] is None else pd.DatetimeIndex(index, freq=_offset(about["freq"]))


def _named(index: pd.DatetimeIndex) -> str | list[Any] | None:
    """The frequency's word, or number and arguments of a plain DateOffset."""
    if index.freq is None:
        return None
    if type(index.freq) is pd.DateOffset:
        return [index.freq.n, index.freq.kwds]
    try:
        fits = to_offset(index.freqstr) == index.freq
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"the frequency {index.freqstr!r} of the dates is an object that no file can hold: give the data a "
            "frequency that pandas can name, such as 'B', and fit again"
        )
    return index.freqstr


def _offset(freq: str | list[Any]) -> Any:
    return freq if isinstance(freq, str) else pd.DateOffset(freq[0], **freq[1])


def stamp_attrs(index: pd.Index) -> dict[str, str]:
    """What the coordinate `time` says about its stamps: their kind, frequency and time zone."""
    zone = getattr(index, "tz", None)
    found = {"kind": type(index).__name__, "freq": getattr(index, "freqstr", None), "time_zone": zone}
    return {name: str(value) for name, value in found.items() if value is not None}
