"""What a filtering method is: the rungs of a model that it needs, and what it says about data."""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..core.scan import part
from ..core.step import Step
from .reports import DrawArrays, ForecastArrays, sampled_forecast


class Observed(eqx.Module):
    """Data as arrays.

    Attributes:
        y: Observations; values where the mask is False stand for nothing.
        mask: Which are present.
        steps: The stamps.
        complete: Whether it is known that nothing is missing.
    """

    y: Float[Array, "time series"]
    mask: Bool[Array, "time series"]
    steps: Step
    complete: bool = eqx.field(static=True, default=False)

    def until(self, stop: int) -> "Observed":
        """The first `stop` stamps."""
        return Observed(self.y[:stop], self.mask[:stop], part(self.steps, 0, stop), self.complete)


def teacher_forced(model: Any, observed: Observed) -> Observed:
    """The data, with the observation before each stamp (NaN where missing) in its step if the model reads it."""
    if not model.reads_previous:
        return observed
    seen = jnp.where(observed.mask, observed.y, jnp.nan)
    previous = jnp.concatenate([jnp.asarray(model.first_previous, seen.dtype)[None], seen[:-1]])
    steps = dataclasses.replace(observed.steps, previous=previous)
    return Observed(observed.y, observed.mask, steps, observed.complete)


class Plan(NamedTuple):
    """What is found out on the host before anything is compiled.

    Attributes:
        diffuse_steps: Length of the diffuse phase; None for the whole series, where it cannot be known.
        unidentified: Number of directions of the diffuse first state that the data leave open.
        tails: Stretches of the series at which the covariance has converged.
    """

    diffuse_steps: int | None = 0
    unidentified: int = 0
    tails: tuple[tuple[int, int], ...] = ()


class AbstractMethod(eqx.Module):
    """How the states of a model are inferred: options only, on which the verbs call.

    A method serves the models that stand on the rungs it needs. Its results are arrays; the verbs label them.
    """

    random: ClassVar[bool] = False  # whether it draws numbers, and so needs a key
    differentiable: ClassVar[bool] = True  # whether its log-likelihood is a smooth function of the parameters

    @abc.abstractmethod
    def lacks(self, model: Any) -> str:
        """What the model lacks for this method, in words; empty where the method serves."""

    def check(self, model: Any, observed: Observed) -> None:
        """Raise a ValueError if the method cannot take the data; the model's parameters have some generic values."""
        del model, observed

    def check_paths(self, model: Any) -> None:
        """A TypeError if the method filters the model, but cannot smooth it or draw its paths; parameters known."""
        del model

    def plan(self, model: Any, observed: Observed) -> Plan:
        """What has to be known before compiling; the model's parameters have some generic values."""
        del model, observed
        return Plan()

    @abc.abstractmethod
    def log_likelihood(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> Float[Array, " time"]:
        """The terms log p(y_t | y_<t), or estimates of them; 0 where nothing was observed."""

    @abc.abstractmethod
    def filter(self, model: Any, observed: Observed, plan: Plan, belief: Any = None, key: Any = None) -> Any:
        """Everything that one pass over the data says; from the belief at the stamp before, if given."""

    def twice_differentiable(self) -> "AbstractMethod":
        """The same method in a form whose log-likelihood has second derivatives."""
        return self

    def smooth(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> Any:
        """Everything that all data say about each stamp."""
        del model, observed, plan, key
        raise TypeError(f"{type(self).__name__} has no smoother")

    def sample_paths(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> Float[Array, "sample time *state"]:
        """Joint draws of the whole path of states given all data."""
        del model, observed, plan, num_samples, key
        raise TypeError(f"{type(self).__name__} does not draw paths of states")

    def sample_completed(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> tuple[Float[Array, "sample time *state"], Float[Array, "sample time series"] | None]:
        """Joint draws of paths, and the observations that they went through where the model is fed what is missing.

        None in place of those where a path does not depend on what was missing.
        """
        return self.sample_paths(model, observed, plan, num_samples, key), None

    def forecast(self, model: Any, belief: Any, steps: Step, num_paths: int, key: Any) -> ForecastArrays:
        """Future states and observations from the last belief: by default through paths of the model."""
        return sampled_forecast(model, belief, steps, num_paths, key)

    def forecasts_by_paths(self, model: Any) -> bool:
        """Whether its forecasts of a model are those of paths, and not normal laws."""
        del model
        return True

    def pointwise(self, model: Any, observed: Observed, plan: Plan, reported: tuple[int, ...], key: Any) -> DrawArrays:
        """The densities of each stamp, and a draw of the constant states at positions `reported`."""
        first, second = jax.random.split(key)
        found = self.filter(model, observed, plan, key=first)
        last = found.last.sample(second, 1)[0]
        return DrawArrays(found.terms, jnp.full_like(found.terms, jnp.nan), last[jnp.asarray(reported, int)])
