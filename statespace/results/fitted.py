"""What was learned from data."""

import os
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..data import Series, Transform
from . import groups
from .bridge import summary_table, to_arviz
from .labels import is_repeated
from .status import Status, caution, warn_of_draws
from .training import GROUP, kept, training_table

_NORMAL_95 = NormalDist().inv_cdf(0.975)
_SHOWN = 12  # names of parameters in one line


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted:
    """A model with what was learned about its parameters; accepted wherever a model is.

    Attributes:
        model: The model at the estimates (posterior means after sampling), bound to the data.
        series: The data, on the model's scale.
        transform: From the original scale to the model's.
        method_name: `"maximum_likelihood"`, `"map"`, `"nuts"`, `"pmmh"`, `"particle_gibbs"`,
            `"tempered_smc"`, `"svi"` or `"amortised_svi"`.
        draws: Posterior draws by path, (chain, draw, ...); None for point estimates.
        estimates: Estimates (posterior means) by path.
        standard_errors: By path; NaN where there is none. None after sampling.
        filter_method: How the states are integrated out, which the verbs go on with; None for the exact way.
        filter_specification: That method as JSON; empty for a class that is not of this library.
        intervals: 95 % confidence intervals by path, (2, ...), NaN where there is none. None after sampling.
        unconstrained_covariance: Inverse observed information on the unconstrained scale, or None.
        sample_stats: Sampler statistics by name, (chain, draw).
        log_likelihood: Log-likelihood at the estimates on the original scale; None after sampling.
        num_parameters: Number of learned parameters.
        diffuse_count: Number of diffuse elements of the first state.
        num_observations: Number of observed elements.
        status: How it ended.
        priors: Priors of the learned parameters, by path.
        coefficients: Constant coefficients of regressions and interventions: (mean, standard deviation), or
            draws (chain, draw).
        pointwise: `loo` and `one_step` log densities, (chain, draw, time), original scale, or
            None: not for point estimates, nor where the likelihood was estimated.
        supports: Supports of the parameters, in words.
        specification: The model as JSON; empty for a class that is not of this library.
        extra_groups: Further groups of `to_datatree`.
        sampler: The sampler with its options; None for point estimates.
        sampler_specification: The sampler as JSON.
        sampler_state: Arrays from which `resume` goes on.
    """

    model: Any
    series: Series
    transform: Transform
    method_name: str
    draws: dict[str, NDArray[np.float64]] | None
    estimates: dict[str, NDArray[np.float64]]
    standard_errors: dict[str, NDArray[np.float64]] | None
    unconstrained_covariance: NDArray[np.float64] | None
    sample_stats: dict[str, NDArray[Any]]
    log_likelihood: float | None
    num_parameters: int
    diffuse_count: int
    num_observations: int
    status: Status
    priors: dict[str, Any]
    coefficients: dict[str, Any]
    pointwise: dict[str, NDArray[np.float64]] | None
    supports: dict[str, str]
    specification: str
    extra_groups: dict[str, xr.Dataset]
    filter_method: Any = None
    filter_specification: str = ""
    intervals: dict[str, NDArray[np.float64]] | None = None
    sampler: Any = None
    sampler_specification: str = ""
    sampler_state: list[NDArray[Any]] | None = None

    def __repr__(self) -> str:
        """One line: method, parameters, how it ended."""
        return f"Fitted({self.method_name}: {_listed(self.estimates)}; {self.status.message})"

    @property
    def history(self) -> xr.Dataset:
        """How a deep model was learned: `bound`, `divergence` of each latent state, `held_out`; in nats a stamp.

        Raises:
            TypeError: If the fit is another one.
        """
        if GROUP not in self.extra_groups:
            raise TypeError(f"a fit by {self.method_name} has no history: it is kept by SVI(guide=Guide(...))")
        return kept(self.extra_groups[GROUP])

    @property
    def _count(self) -> int:
        return self.num_parameters + self.diffuse_count

    def _criterion(self, penalty: float) -> float:
        if self.method_name != "maximum_likelihood" or self.log_likelihood is None:
            raise TypeError(
                f"information criteria belong to maximum likelihood, this is {self.method_name}: use az.loo"
            )
        return -2 * self.log_likelihood + penalty

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 log L + 2 k; k counts learned parameters and diffuse elements."""
        return self._criterion(2 * self._count)

    @property
    def aicc(self) -> float:
        """Akaike's criterion corrected for small samples."""
        k, n = self._count, self.num_observations
        return self._criterion(2 * k + (2 * k * (k + 1) / (n - k - 1) if n > k + 1 else np.inf))

    @property
    def bic(self) -> float:
        """Schwarz's criterion, -2 log L + k log n."""
        return self._criterion(self._count * np.log(self.num_observations))

    def summary(self) -> pd.DataFrame:
        """A table of the parameters and coefficients.

        After sampling this is ArviZ's table (mean, sd, interval, ess_bulk, ess_tail, r_hat), with warnings about
        divergences, saturated trees, and chains that disagree or have few effective draws. After an
        optimisation it has estimates, standard errors and 95 % intervals (computed on the unconstrained scale,
        so that a scale's stay positive); its `attrs` hold the log-likelihood,
        the criteria and the status, and what did not converge is warned about. Of a deep model it tells how the
        bound rose, and how much the latent states carry; the weights are in `estimates`.
        """
        if GROUP in self.extra_groups:
            return training_table(self.extra_groups[GROUP], self.status)
        return self._point_summary() if self.draws is None else self._sampled_summary(self.draws)

    def _sampled_summary(self, draws: dict[str, NDArray[np.float64]]) -> pd.DataFrame:
        table = summary_table(groups.posterior(draws, self.coefficients))
        table = table.drop(index=[name for name in map(str, table.index) if is_repeated(name, self.supports)])
        warn_of_draws(table, self.sample_stats, self.status, chains=len(next(iter(draws.values()))))
        return table

    def _point_summary(self) -> pd.DataFrame:
        zeros = self.status.details.get("at_zero", [])
        rows = {}
        for path, value in self.estimates.items():
            nan = np.full((2, *np.shape(value)), np.nan)
            errors = (self.standard_errors or {}).get(path, nan[0])
            low, high = (self.intervals or {}).get(path, nan)
            for where in np.ndindex(np.shape(value)):
                name = path if where == () else f"{path}[{', '.join(map(str, where))}]"
                if is_repeated(name, self.supports):
                    continue
                numbers = [float(np.asarray(part)[where]) for part in (value, errors, low, high)]
                rows[name] = (*numbers, "at zero" if name in zeros else "")
        for name, (mean, sd) in self.coefficients.items():
            rows[name] = (mean, sd, mean - _NORMAL_95 * sd, mean + _NORMAL_95 * sd, "coefficient")
        columns = ["estimate", "std_error", "lower_95", "upper_95", "note"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        table.attrs = {"log_likelihood": self.log_likelihood, "status": self.status.message}
        if self.method_name == "maximum_likelihood":
            table.attrs |= {"aic": self.aic, "aicc": self.aicc, "bic": self.bic}
        if not self.status.converged:
            caution(self.status.message)
        return table

    def to_datatree(self) -> xr.DataTree:
        """Everything as an `xarray.DataTree`; for the groups see the documentation."""
        return xr.DataTree.from_dict(groups.fitted_groups(self))

    def with_groups(
        self,
        *,
        states: xr.DataArray | None = None,
        posterior_predictive: xr.DataArray | None = None,
        prior: xr.Dataset | None = None,
        predictions: Any = None,
        filtered: Any = None,
        smoothed: Any = None,
    ) -> "Fitted":
        """The same fit with further groups in `to_datatree`, `to_arviz` and `save`: what ArviZ's other plots read.

        Args:
            states: `ss.sample_states(fit, key=key)`, a path for each posterior draw: `states` in /posterior.
            posterior_predictive: `ss.posterior_predictive(fit, key=key)`: what `az.plot_ppc` reads.
            prior: `ss.prior_predictive(model, data, key=key)`: /prior and /prior_predictive.
            predictions: `ss.forecast(fit, ...)`: /predictions and /predictions_constant_data.
            filtered: `ss.filter(fit)`: /filtered.
            smoothed: `ss.smooth(fit)`: /smoothed and /components.

        Raises:
            TypeError: If one is something else.
            ValueError: If states has not one path for each posterior draw.
        """
        more = groups.further_groups(
            states=states,
            posterior_predictive=posterior_predictive,
            prior=prior,
            predictions=predictions,
            filtered=filtered,
            smoothed=smoothed,
        )
        drawn = None if self.draws is None else next(iter(self.draws.values())).shape[:2]
        if states is not None and (states.dims[:2] != ("chain", "draw") or states.shape[:2] != drawn):
            raise ValueError(
                f"states= takes one path for each posterior draw {drawn}, got dimensions {dict(states.sizes)}: call "
                "ss.sample_states(fit, key=key) without num_samples"
            )
        return replace(self, extra_groups={**self.extra_groups, **more})

    def to_arviz(self) -> Any:
        """What the installed ArviZ reads: InferenceData below ArviZ 1, DataTree from 1 on.

        Raises:
            TypeError: If the fit is a point estimate, which has no draws.
        """
        if self.draws is None:
            raise TypeError(f"a fit by {self.method_name} has no draws for ArviZ: fit with NUTS, or use to_datatree()")
        return to_arviz(self.to_datatree())

    def save(self, path: str | os.PathLike) -> None:
        """Write draws, diagnostics, data and model to a `.nc` or `.zarr` file, whole or not at all."""
        from .storage import write

        write(self, path)


def _listed(names: Any) -> str:
    """The first few names, and how many there are."""
    names = list(names)
    return ", ".join(names) if len(names) <= _SHOWN else f"{', '.join(names[:_SHOWN])}, ... ({len(names)})"
