"""Epidemics in compartments of whole people."""

import math
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.parameters import Unknown, is_traced, param
from ...core.step import Step
from ..base import AbstractStateSpace
from .compartments import COMPARTMENTS, CompartmentLaw, Steps

_SEEN = {"infections": 3, "recoveries": 4, "infectious": 1}
_LAWS = ("negative_binomial", "poisson", "binomial")
_KINDS = ("multinomial", "poisson")
_LEAST = 1e-6  # an expected count of nothing: keeps the density of a count where there are no cases above zero


def _present(field: str) -> Any:
    return lambda self: field not in self.absent


class SIR(AbstractStateSpace):
    """Susceptible, infectious, removed: a stochastic epidemic of whole people, of which cases are counted.

        S -> I  at rate  transmission_rate (1 + amplitude cos(2 pi (t - peak) / season)) I / (S + I + R)  a person
        I -> R  at rate  recovery_rate  a person
        y[t] ~ NegativeBinomial(mean reporting C[t], concentration)     (or Poisson, or Binomial(C[t], reporting))

    where C counts the infections (or recoveries) since the stamp before, or is I itself. Rates are per period (per
    day on irregular stamps). The time between stamps is passed in steps of length dt, within which rates are constant.
    The state is (S, I, R, infections, recoveries); the last two start from 0 at each stamp. One period before the first
    stamp, `infected` people are in I and the share `immune` in R. The transition has no density: particle filters that
    move by it (`BootstrapFilter`, `AuxiliaryFilter`) serve the model, with `smoother="genealogy"`.

    Args:
        population: Number of people.
        transmission_rate: beta. Left out: unknown.
        recovery_rate: gamma; 1 / gamma is the mean time in I, and beta / gamma the basic reproduction number. Left out:
            unknown.
        infected: Number in I at the start, rounded. Left out: unknown.
        reporting: Share of C that is counted on average; exactly 1: held. Left out: unknown.
        concentration: Of the negative binomial law. Left out: unknown.
        immune: Share of the population in R at the start; exactly 0: none. None: unknown.
        birth_rate: Births and deaths a person; exactly 0: none. None: unknown.
        amplitude: Of the season of transmission, between 0 and 1; exactly 0: none. None: unknown.
        peak: Time of its peak, between 0 and the season's length; the first stamp has time 0. Left out: unknown.
        season: Length of the season.
        counts: What is counted: "infections", "recoveries" or "infectious".
        law: "negative_binomial", "poisson" or "binomial".
        steps: "multinomial" (Euler-multinomial) or "poisson" (tau-leap).
        dt: Length of a step; the time between stamps is divided evenly into steps of at most that length.

    Raises:
        ValueError: If an option is unknown, or a number cannot be.

    Example:
        >>> import statespace as ss
        >>> flu = ss.SIR(763, 1.66, 0.45, infected=1, reporting=1.0, concentration=20.0, counts="infectious")
        >>> made = ss.simulate(flu, 14, key=1)
        >>> float(made.states.sel(state=["S", "I", "R"]).sum("state").max())
        763.0

    Reference: Kermack and McKendrick (1927), Proceedings of the Royal Society A 115; Breto, He, Ionides and King
    (2009), Annals of Applied Statistics 3; Keeling and Rohani (2008), "Modeling Infectious Diseases", chapter 2.
    """

    transmission_rate: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(0.0, 1.0)
    )
    recovery_rate: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(0.5), 1.0)
    )
    infected: Float[Array, "*batch"] | Unknown = param(
        constraints.positive, prior=lambda self, scale: dist.LogNormal(jnp.log(3.0), 1.0)
    )
    reporting: Float[Array, "*batch"] | Unknown = param(
        constraints.unit_interval, prior=lambda self, scale: dist.Beta(1.0, 1.0), active=_present("reporting")
    )
    concentration: Float[Array, "*batch"] | Unknown = param(
        constraints.positive,
        prior=lambda self, scale: dist.LogNormal(jnp.log(10.0), 1.5),
        active=lambda self: self.law == "negative_binomial",
    )
    immune: Float[Array, "*batch"] | Unknown = param(
        constraints.unit_interval, prior=lambda self, scale: dist.Beta(1.0, 1.0), active=_present("immune")
    )
    birth_rate: Float[Array, "*batch"] | Unknown = param(
        constraints.positive,
        prior=lambda self, scale: dist.LogNormal(jnp.log(1e-3), 1.5),
        active=_present("birth_rate"),
    )
    amplitude: Float[Array, "*batch"] | Unknown = param(
        constraints.unit_interval, prior=lambda self, scale: dist.Beta(1.0, 3.0), active=_present("amplitude")
    )
    peak: Float[Array, "*batch"] | Unknown = param(
        lambda self: constraints.interval(0.0, self.season or 1.0),
        prior=lambda self, scale: dist.Uniform(0.0, self.season or 1.0),
        active=_present("amplitude"),
    )
    _: KW_ONLY  # the fields below have no default, those above have
    population: float = eqx.field(static=True)
    season: float | None = eqx.field(static=True)
    counts: str = eqx.field(static=True)
    law: str = eqx.field(static=True)
    steps: str = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    absent: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        population: float,
        transmission_rate: Any = None,
        recovery_rate: Any = None,
        *,
        infected: Any = None,
        reporting: Any = None,
        concentration: Any = None,
        immune: Any = 0.0,
        birth_rate: Any = 0.0,
        amplitude: Any = 0.0,
        peak: Any = None,
        season: float | None = None,
        counts: str = "infections",
        law: str = "negative_binomial",
        steps: str = "multinomial",
        dt: float = 0.1,
    ):
        for given, known, what in ((counts, _SEEN, "counts"), (law, _LAWS, "law"), (steps, _KINDS, "steps")):
            if given not in known:
                raise ValueError(f"{what}={given!r} is unknown: choose one of {', '.join(known)}")
        if not population >= 1 or population != round(population):
            raise ValueError(f"population is {population}, expected a whole number of people, at least 1")
        if not 0 < dt <= 1:
            raise ValueError(f"dt is {dt}, expected the length of a step, above 0 and at most 1 period")
        self.transmission_rate, self.recovery_rate = transmission_rate, recovery_rate
        self.infected, self.reporting, self.concentration = infected, reporting, concentration
        self.immune, self.birth_rate, self.amplitude, self.peak = immune, birth_rate, amplitude, peak
        ends = {"reporting": 1.0, "immune": 0.0, "birth_rate": 0.0, "amplitude": 0.0}
        self.absent = tuple(name for name, end in ends.items() if _is(getattr(self, name), end))
        if "amplitude" not in self.absent and not (season and season > 0):
            raise ValueError(f"an amplitude needs the season's length in periods, got season={season}")
        if "amplitude" in self.absent and not (season is None and peak is None):
            raise ValueError("season= and peak= belong to a seasonal transmission: give amplitude= (None for unknown)")
        if law != "negative_binomial" and concentration is not None:
            raise ValueError("concentration= belongs to the negative binomial law: leave it out")
        self.population, self.season = float(population), None if "amplitude" in self.absent else season
        self.counts, self.law, self.steps, self.dt = counts, law, steps, float(dt)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The compartments, and what is counted from stamp to stamp."""
        return COMPARTMENTS

    def initial(self, step: Step) -> CompartmentLaw:
        """The law at the first stamp, one period after the start."""
        total, dtype = self.population, self.transmission_rate.dtype
        removed = jnp.round(total * self.immune)
        infected = jnp.clip(jnp.round(self.infected), 0.0, total - removed)
        start = jnp.stack([total - removed - infected, infected, removed]).astype(dtype)
        return self._law(start, step, jnp.ones((), dtype))

    def transition(self, x: Float[Array, " state"], step: Step) -> CompartmentLaw:
        """The law at `step`, given the compartments at the stamp before; what is counted starts from 0."""
        return self._law(x[:3], step, jnp.asarray(step.dt, x.dtype))

    def _law(self, start: Array, step: Step, length: Array) -> CompartmentLaw:
        peak = 0.0 if self.season is None else self.peak
        rates = (self.transmission_rate, self.recovery_rate, self.birth_rate, self.amplitude, peak)
        moment = jnp.stack([jnp.asarray(step.time, length.dtype) - length, length])
        regular = step.spacing is None
        count = max(math.ceil(1.0 / self.dt - 1e-9), 1)
        needed = jnp.asarray(count) if regular else jnp.maximum(jnp.ceil(length / self.dt - 1e-6), 1.0).astype(int)
        how = Steps(
            self.steps, count if regular else None, "birth_rate" not in self.absent, self.season, self.population
        )
        return CompartmentLaw(start, jnp.stack([jnp.asarray(r, start.dtype) for r in rates]), moment, needed, how)

    def emission(self, x: Float[Array, " state"], step: Step) -> Distribution:
        """The law of the count."""
        del step
        cases = x[_SEEN[self.counts]]
        if self.law == "binomial":
            return dist.Binomial(cases.astype(int), self.reporting)
        mean = jnp.maximum(self.reporting * cases, _LEAST)
        return dist.Poisson(mean) if self.law == "poisson" else dist.NegativeBinomial2(mean, self.concentration)

    def outside(self, y: np.ndarray, inputs: np.ndarray | None) -> tuple[np.ndarray, str]:
        """Whatever is no count."""
        del inputs
        return ~np.isnan(y) & ((y < 0) | (y != np.round(y))), "whole numbers, 0 or above, or NaN"


def _is(given: Any, end: float) -> bool:
    """Whether a parameter was given as exactly the value that takes it out of the model."""
    return given is not None and not is_traced(given) and bool(np.all(np.asarray(given) == end))
