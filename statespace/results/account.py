"""What every run over a series says: its data, their labels, and a line on itself."""

import abc
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..data import Series
from .labels import coordinates, data_groups, labelled, observed_frame

_SHOWN = 6  # names of states that the short description holds


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AbstractAccount(abc.ABC):
    """What a filter or smoother run says about the states behind a series.

    Attributes:
        series: The data, on the model's scale.
        state_names: Names of the states.
    """

    series: Series
    state_names: tuple[str, ...]

    _group: ClassVar[str]

    @property
    def index(self) -> pd.Index:
        """The stamps."""
        return self.series.index

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the series."""
        return self.series.names

    @property
    def observed(self) -> pd.DataFrame:
        """The data, NaN kept."""
        return observed_frame(self.series)

    @abc.abstractmethod
    def to_xarray(self) -> xr.Dataset:
        """All arrays with their coordinates."""

    @abc.abstractmethod
    def to_pandas(self) -> pd.DataFrame:
        """What it says about the states by stamp."""

    def _groups(self) -> dict[str, xr.Dataset]:
        return {self._group: self.to_xarray(), **data_groups(self.series)}

    def to_datatree(self) -> xr.DataTree:
        """The group of its arrays, /observed_data and /constant_data, and /components where it has them."""
        return xr.DataTree.from_dict(self._groups())

    def __repr__(self) -> str:
        """The kind, the series, its stamps and the states, in two lines; `to_xarray` shows the arrays."""
        shown = ", ".join(self.state_names[:_SHOWN])
        more = f", ... ({len(self.state_names)})" if len(self.state_names) > _SHOWN else ""
        return f"{type(self).__name__} of {self.series!r}\n  states: {shown}{more}"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AbstractDecomposed(AbstractAccount):
    """What a smoother says about states and components.

    Attributes:
        components: Mean and standard deviation, (time, series), of each component's contribution.
    """

    components: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]

    _group = "smoothed"

    def components_to_xarray(self) -> xr.Dataset:
        """`mean` and `sd` of the contributions, (component, time, series)."""
        dims = ("component", "time", "series")
        mean, sd = (np.stack([pair[i] for pair in self.components.values()]) for i in (0, 1))
        coords = coordinates(self.index, self.names) | {"component": list(self.components)}
        return labelled({"mean": (dims, mean), "sd": (dims, sd)}, coords)

    def _groups(self) -> dict[str, xr.Dataset]:
        own = {"components": self.components_to_xarray()} if self.components else {}
        return super()._groups() | own


def moments_frame(
    index: pd.Index, names: tuple[str, ...], mean: NDArray[np.float64], sd: NDArray[np.float64]
) -> pd.DataFrame:
    """A frame with columns (name, "mean") and (name, "sd")."""
    columns = {
        (name, what): values[:, i] for i, name in enumerate(names) for what, values in (("mean", mean), ("sd", sd))
    }
    return pd.DataFrame(columns, index=index)
