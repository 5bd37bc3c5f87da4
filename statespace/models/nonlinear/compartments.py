"""The law of an epidemic's compartments at the next stamp, known only by how it is drawn: in small steps of time.

    S -> I at rate  beta(u) I / (S + I + R)  each,     I -> R at rate  gamma  each,     beta(u) = beta (1 + a cos(...))

and, with births and deaths, everyone dies at rate mu while mu `population` are born, into S. In a step of length h

    multinomial:  those who leave S are Binomial(S, 1 - exp(-h (sum of the rates))), shared out by the rates
    poisson:      each flow is Poisson(h rate S), cut off at what is left (tau-leap)

Sources: Breto, He, Ionides and King (2009), "Time series analysis via mechanistic models", Annals of Applied
Statistics 3 (Euler-multinomial); Gillespie (2001), Journal of Chemical Physics 115 (tau-leap).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.counts import draw_binomial, draw_poisson

COMPARTMENTS = ("S", "I", "R", "infections", "recoveries")


class Steps(NamedTuple):
    """How the time between two stamps is passed.

    Attributes:
        kind: "multinomial" or "poisson".
        count: Number of steps, or None where it depends on the stamp.
        vital: Whether there are births and deaths.
        season: Period of the transmission rate, or None.
        population: Number to which births keep the population.
    """

    kind: str
    count: int | None
    vital: bool
    season: float | None
    population: float


class Flows(NamedTuple):
    """How many move in one step."""

    infections: Array
    recoveries: Array
    births: Array
    deaths: tuple[Array, Array, Array]


class CompartmentLaw(Distribution):
    """The law of (S, I, R, infections, recoveries) one stamp after (S, I, R); the last two count from then on.

    Args:
        start: S, I and R at the stamp before, (3,), whole numbers.
        rates: beta, gamma, mu, a and the time of the peak, (5,).
        moment: Time of the stamp before and time from it to this one, (2,).
        count: Number of steps, where `steps` does not say it.
        steps: How the time between is passed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> steps = Steps("multinomial", 10, False, None, 100.0)
        >>> rates = jnp.array([0.5, 0.2, 0.0, 0.0, 0.0])
        >>> law = CompartmentLaw(jnp.array([90.0, 10.0, 0.0]), rates, jnp.array([0.0, 1.0]), 10, steps)
        >>> float(law.sample(jax.random.key(0))[:3].sum())
        100.0
    """

    arg_constraints = {  # noqa: RUF012 (NumPyro's own convention)
        "start": constraints.real_vector,
        "rates": constraints.real_vector,
        "moment": constraints.real_vector,
        "count": constraints.real,
    }
    support = constraints.real_vector  # pyright: ignore[reportAssignmentType]  NumPyro declares a property
    pytree_data_fields = ("start", "rates", "moment", "count")
    pytree_aux_fields = ("steps",)

    def __init__(
        self,
        start: Float[Array, "*batch 3"],
        rates: Float[Array, "*batch 5"],
        moment: Float[Array, "*batch 2"],
        count: Any,
        steps: Steps,
        *,
        validate_args: bool | None = None,
    ):
        self.start, self.rates, self.moment, self.count, self.steps = start, rates, moment, count, steps
        super().__init__(jnp.shape(start)[:-1], (len(COMPARTMENTS),), validate_args=validate_args)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that are no arrays, without which the law cannot be put together again."""
        return {"steps": self.steps}

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw."""
        shape = (*sample_shape, *self.batch_shape)
        flows = _multinomial if self.steps.kind == "multinomial" else _poisson
        return self._passed(shape, lambda i, x, rates, h: flows(jax.random.fold_in(key, i), x, rates, h))

    @property
    def mean(self) -> Array:
        """Where the steps lead if each flow is as expected: the mean where the step is one, else near it."""
        return self._passed(self.batch_shape, lambda i, x, rates, h: _expected(x, rates, h))

    def log_prob(self, value: Array) -> Array:
        """None: raises TypeError."""
        del value
        raise TypeError(
            "the transition of an epidemic in small steps can be drawn from but has no density: use a BootstrapFilter "
            'or AuxiliaryFilter, with smoother="genealogy" or "lag" and score=False'
        )

    def _passed(self, shape: tuple[int, ...], flows: Callable[..., Flows]) -> Array:
        """The compartments after all steps."""
        count = jnp.max(jnp.asarray(self.count)) if self.steps.count is None else self.steps.count
        begin, length = self.moment[..., 0], self.moment[..., 1]
        h = length / count
        beta, gamma, mu, amplitude, peak = (self.rates[..., i] for i in range(5))

        def body(i: Any, x: Array) -> Array:
            now = begin + i * h
            season = self.steps.season
            swing = 0.0 if season is None else amplitude * jnp.cos(2 * jnp.pi * (now - peak) / season)
            size = jnp.sum(x[:3], axis=0)
            force = beta * (1.0 + swing) * x[1] / jnp.where(size > 0, size, 1.0)
            rates = Rates(force, gamma, mu if self.steps.vital else None, self.steps.population)
            return _moved(x, flows(i, x[:3], rates, h))

        start = jnp.moveaxis(jnp.broadcast_to(self.start, (*shape, 3)), -1, 0)
        empty = jnp.zeros((len(COMPARTMENTS) - 3, *shape), self.start.dtype)
        return jnp.moveaxis(jax.lax.fori_loop(0, count, body, jnp.concatenate([start, empty])), 0, -1)


class Rates(NamedTuple):
    """Rates for each person: of infection, of recovery, of death (None without births and deaths)."""

    force: Array
    recovery: Array
    death: Array | None
    population: float


def _moved(x: Array, flows: Flows) -> Array:
    s, i, r, infections, recoveries = x
    lost = flows.deaths
    return jnp.stack(
        [
            s - flows.infections - lost[0] + flows.births,
            i + flows.infections - flows.recoveries - lost[1],
            r + flows.recoveries - lost[2],
            infections + flows.infections,
            recoveries + flows.recoveries,
        ]
    )


def _leaving(out: Callable[[Array, Array], Array], x: Array, rates: Rates, h: Array) -> Flows:
    """Flows where `out(numbers, chances)` says how many of some numbers leave."""
    zero = jnp.zeros_like(x[0])
    force, recovery = (jnp.broadcast_to(rate, zero.shape) for rate in (rates.force, rates.recovery))
    if rates.death is None:
        moved = out(x[:2], -jnp.expm1(-h * jnp.stack([force, recovery])))
        return Flows(moved[0], moved[1], zero, (zero, zero, zero))
    death = jnp.broadcast_to(rates.death, zero.shape)
    onward, total = jnp.stack([force, recovery]), jnp.stack([force + death, recovery + death, death])
    left = out(x, -jnp.expm1(-h * total))
    moved = out(left[:2], onward / jnp.where(total[:2] > 0, total[:2], 1.0))
    return Flows(moved[0], moved[1], zero, (left[0] - moved[0], left[1] - moved[1], left[2]))


def _born(rates: Rates, h: Array) -> Array:
    return jnp.zeros(()) if rates.death is None else rates.death * rates.population * h


def _expected(x: Array, rates: Rates, h: Array) -> Flows:
    flows = _leaving(lambda numbers, chances: numbers * chances, x, rates, h)
    return flows._replace(births=flows.births + _born(rates, h))


def _multinomial(key: Any, x: Array, rates: Rates, h: Array) -> Flows:
    keys = iter(jax.random.split(key, 3))
    flows = _leaving(lambda numbers, chances: draw_binomial(next(keys), numbers, chances), x, rates, h)
    if rates.death is None:
        return flows
    return flows._replace(births=draw_poisson(next(keys), jnp.broadcast_to(_born(rates, h), x[0].shape)))


def _poisson(key: Any, x: Array, rates: Rates, h: Array) -> Flows:
    s, i, r = x
    zero = jnp.zeros_like(s)
    if rates.death is None:
        drawn = draw_poisson(key, h * jnp.stack([rates.force * s, rates.recovery * i]))
        return Flows(jnp.minimum(drawn[0], s), jnp.minimum(drawn[1], i), zero, (zero, zero, zero))
    lost = rates.death * x
    born = jnp.broadcast_to(rates.death * rates.population, s.shape)
    means = jnp.stack([rates.force * s, rates.recovery * i, lost[0], lost[1], lost[2], born])
    drawn = draw_poisson(key, h * means)
    infections, recoveries = jnp.minimum(drawn[0], s), jnp.minimum(drawn[1], i)
    rest = (s - infections, i - recoveries, r)
    deaths = tuple(jnp.minimum(d, left) for d, left in zip(drawn[2:5], rest, strict=True))
    return Flows(infections, recoveries, drawn[5], (deaths[0], deaths[1], deaths[2]))
