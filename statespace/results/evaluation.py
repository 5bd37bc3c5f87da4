"""How well a deep model describes sequences, and how sure that is."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Bounds on the log-likelihood of sequences, each computed several times.

    Attributes:
        bounds: Bound of each sequence, (repeat, sequence), nats, on the data's original scale; minus infinity where it
            could not be computed.
        divergence: KL of each latent state from its prior, summed over stamps, (repeat, sequence, latent); NaN where
            the objective does not tell.
        ess: Effective sample size, its mean over stamps, (repeat, sequence).
        stamps: Scored stamps of each sequence: those with an observation.
        names: Names of the sequences.
        objective: `"ELBO"`, `"IWAE"` or `"FIVO"`.
        num_particles: Its number of particles.
    """

    bounds: NDArray[np.float64]
    divergence: NDArray[np.float64]
    ess: NDArray[np.float64]
    stamps: NDArray[np.int64]
    names: tuple[str, ...]
    objective: str
    num_particles: int

    def __repr__(self) -> str:
        row = self.table().iloc[0]
        kind = f"{self.objective}-{self.num_particles}"
        error = f" +- {row['mc_error']:.4f}" if len(self.bounds) > 1 else ""
        return (
            f"Evaluation({kind}: {row['value']:.4f}{error} nats a stamp; "
            f"{len(self.names)} sequences, {self.stamps.sum()} stamps)"
        )

    @property
    def failures(self) -> int:
        """Bounds that could not be computed; they count as minus infinity."""
        return int((~np.isfinite(self.bounds)).sum())

    def table(self) -> pd.DataFrame:
        """The bound in nats a stamp, under the averages that papers use, with the Monte Carlo standard error.

        "over stamps" (b) is the sum of all bounds over the number of all stamps; "over sequences" (c) the mean of each
        sequence's bound a stamp; "importance-weighted" (a), for IWAE and FIVO, the log of the mean likelihood estimate
        of each sequence over the repeats, then as (b): one bound by all particles of all repeats.

        Returns:
            A table with columns value, mc_error (NaN from a single repeat, and for (a)) and note.
        """
        total = self.stamps.sum()
        over_stamps = self.bounds.sum(axis=1) / total
        over_sequences = (self.bounds / self.stamps).mean(axis=1)
        kind, repeats = f"{self.objective}-{self.num_particles}", len(self.bounds)
        rows = {
            "over stamps": (*_mean(over_stamps), f"(b) {kind}, mean of {repeats}"),
            "over sequences": (*_mean(over_sequences), f"(c) {kind}, mean of {repeats}"),
        }
        if self.objective != "ELBO":
            top = self.bounds.max(axis=0)
            with np.errstate(invalid="ignore"):
                each = top + np.log(np.mean(np.exp(self.bounds - top), axis=0))
            value = float(np.where(np.isfinite(top), each, -np.inf).sum() / total)
            rows["importance-weighted"] = value, np.nan, f"(a) {repeats} x {kind} as one"
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "mc_error", "note"])

    def to_pandas(self) -> pd.DataFrame:
        """A row for each sequence: bound, its Monte Carlo error, stamps, bound a stamp, effective sample size."""
        error = self.bounds.std(axis=0, ddof=1) / np.sqrt(len(self.bounds)) if len(self.bounds) > 1 else np.nan
        mean = self.bounds.mean(axis=0)
        columns = {
            "bound": mean,
            "mc_error": error,
            "stamps": self.stamps,
            "bound_per_stamp": mean / self.stamps,
            "ess": self.ess.mean(axis=0),
        }
        return pd.DataFrame(columns, index=pd.Index(self.names, name="sequence"))

    def to_xarray(self) -> xr.Dataset:
        """All numbers with their labels."""
        arrays = {
            "bound": (("repeat", "sequence"), self.bounds),
            "divergence": (("repeat", "sequence", "latent"), self.divergence),
            "ess": (("repeat", "sequence"), self.ess),
            "stamps": (("sequence",), self.stamps),
        }
        about = {"objective": self.objective, "num_particles": self.num_particles, "unit": "nats"}
        return xr.Dataset(arrays, {"sequence": list(self.names)}, about)


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and its standard error."""
    with np.errstate(invalid="ignore"):
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)
