"""What a particle filter run says."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..data import Series
from .account import moments_frame
from .filtered import AbstractFiltered
from .labels import coordinates, labelled

_FEW = 10.0  # effective particles below which a stamp is warned about
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


class DegeneracyWarning(UserWarning):
    """A stamp at which hardly any particle had a weight, so that what follows rests on few of them."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ParticleFiltered(AbstractFiltered):
    """A particle filter's account of the states given the data up to each stamp.

    Attributes:
        num_particles: Number of particles.
        ess: Effective sample size of the weights at each stamp, (time,).
        resampled: Whether the particles were resampled on the way to the stamp, (time,).
        alive: Whether any particle had a weight there, (time,).
        mean: Weighted means, (time, state), or None where "moments" were not kept.
        sd: Weighted standard deviations, (time, state), or None.
        quantiles: Weighted quantiles at 5, 25, 50, 75 and 95 %, (time, level, state), or None.
        ancestors: Positions of the parents, (time, particle), or None where neither genealogy nor history was kept.
        particles: All particles, (time, particle, state), or None where the history was not kept.
        log_weights: Their normalised log weights, (time, particle), or None.
        log_likelihood_se: Standard error of the estimate of the log-likelihood, told from this run's lineages; NaN
            with `error_lag=0`, and after `append`, which does not know the lineages of the run before.
    """

    num_particles: int
    ess: NDArray[np.float64]
    resampled: NDArray[np.bool_]
    alive: NDArray[np.bool_]
    mean: NDArray[np.float64] | None = None
    sd: NDArray[np.float64] | None = None
    quantiles: NDArray[np.float64] | None = None
    ancestors: NDArray[np.int64] | None = None
    particles: NDArray[np.float64] | None = None
    log_weights: NDArray[np.float64] | None = None
    log_likelihood_se: float = float("nan")

    _over_time: ClassVar[tuple[str, ...]] = (
        "log_likelihood_terms",
        "ess",
        "resampled",
        "alive",
        "mean",
        "sd",
        "quantiles",
        "ancestors",
        "particles",
        "log_weights",
    )

    def followed_by(self, later: Self, joined: Series) -> Self:
        """This run and one that went on from its particles."""
        return replace(super().followed_by(later, joined), log_likelihood_se=float("nan"))

    def to_xarray(self) -> xr.Dataset:
        """All arrays with their coordinates; dimension `particle` where particles were kept."""
        state, level = ("time", "state"), ("time", "level", "state")
        cloud = ("time", "particle", "state")
        named: dict[str, tuple[tuple[str, ...], Any]] = {
            "log_likelihood": (("time",), self.log_likelihood_terms),
            "ess": (("time",), self.ess),
            "resampled": (("time",), self.resampled),
            "alive": (("time",), self.alive),
            "state_mean": (state, self.mean),
            "state_sd": (state, self.sd),
            "state_quantile": (level, self.quantiles),
            "ancestor": (("time", "particle"), self.ancestors),
            "particles": (cloud, self.particles),
            "log_weight": (("time", "particle"), self.log_weights),
        }
        arrays = {name: pair for name, pair in named.items() if pair[1] is not None}
        coords = coordinates(self.index, self.names, self.state_names) | {"level": list(_LEVELS)}
        about = {"num_particles": self.num_particles, "log_likelihood_se": self.log_likelihood_se}
        return labelled(arrays, coords, **about)

    def to_pandas(self) -> pd.DataFrame:
        """Means and standard deviations of the states by stamp, and the effective sample size.

        Raises:
            ValueError: If moments were not kept.
        """
        if self.mean is None or self.sd is None:
            raise ValueError('the moments were not kept: filter with keep=("moments",)')
        frame = moments_frame(self.index, self.state_names, self.mean, self.sd)
        frame[("ess", "")] = self.ess
        return frame

    def warn(self) -> None:
        """Warn where hardly any particle had a weight, and say what to do about it."""
        dead, few = np.flatnonzero(~self.alive), np.flatnonzero(self.ess < min(_FEW, 0.5 * self.num_particles))
        advice = "use more particles, a GuidedFilter that has seen the observation, or a wider emission"
        if len(dead):
            stamp = self.index[dead[0]]
            text = (
                f"no particle could have made the observation at {stamp}: the likelihood is zero; it may lie "
                f"outside the emission's support, else {advice}"
            )
            warnings.warn(text, DegeneracyWarning, stacklevel=3)
        elif len(few):
            worst = few[np.argmin(self.ess[few])]
            text = (
                f"{len(few)} of {len(self.ess)} stamps rest on few particles, the worst {self.index[worst]} with an "
                f"effective sample size of {self.ess[worst]:.1f} of {self.num_particles}; {advice}"
            )
            warnings.warn(text, DegeneracyWarning, stacklevel=3)
