"""Models whose state is one of a few: hidden Markov models, with inputs and with autoregressive emissions."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int

from ..core.parameters import with_fields
from ..core.step import Step
from .base import AbstractStateSpace
from .emission_law import EmissionLaw
from .markov_chain import MarkovChain


class AbstractDiscreteDynamics(AbstractStateSpace):
    """Dynamics of a state that is one of `num_states`, numbered from 0: a Markov chain.

    `state_names` are the names of its values.
    """

    @abc.abstractmethod
    def initial_probabilities(self, step: Step) -> Float[Array, " state"]:
        """The probability of each state at the first stamp."""

    @abc.abstractmethod
    def transition_probabilities(self, step: Step) -> Float[Array, "state state"]:
        """The probability of moving, into `step`, from a state (row) to a state (column)."""

    @property
    @abc.abstractmethod
    def num_states(self) -> int:
        """The number of states."""

    def initial(self, step: Step) -> dist.Distribution:
        """The law of the state at the first stamp, given that stamp's inputs."""
        return dist.CategoricalProbs(self.initial_probabilities(step))

    def transition(self, x: Int[Array, ""], step: Step) -> dist.Distribution:
        """The law of the state at `step`, given the state at the stamp before."""
        return dist.CategoricalProbs(self.transition_probabilities(step)[x])


class HiddenMarkov(AbstractDiscreteDynamics):
    """A hidden Markov model: a Markov chain that is not seen, and a law of the observation in each of its states.

        x[t] ~ Categorical(P[x[t-1]]),    y[t] ~ emission with the arguments of state x[t]

    Parameters are called `chain.initial`, `chain.transition`, `chain.coefficients`, and `emission.` followed by the
    argument's name. States are interchangeable: their order is that of the values from which learning starts.

    Args:
        num_states: Number of states, at least 2.
        emission: A NumPyro distribution's class, such as `dist.Poisson`; or a function
            `emission(state, step, **parameters)` of the state's number (an array that indexes) and the stamp that
            returns a distribution. Several series are independent given the state unless the law is a joint one.
        initial: Probabilities of the first state, shape (state,); left out: unknown; "stationary": those that the
            chain keeps.
        transition: Probabilities of moving from a state (row) to a state (column), shape (state, state); left out:
            unknown.
        transition_inputs: Input columns that move the logits of the transition probabilities.
        coefficients: How much, by input, state and other state, shape (inputs, state, state - 1): against staying.
        state_names: Names of the states; state0, state1, ... when left out.
        autoregressive: Whether a function as emission reads `step.previous`, the observation at the stamp before
            (series,).
        previous: The observation before the first stamp, shape (series,), for one that does; NaN when left out, which
            the function then has to mind.
        shapes: Shapes of arguments that are unknown and not plain numbers for each state and series, by name.
        supports: Supports of arguments of which the emission says none, by name; real when left out.
        series: Names of the series, where neither the values given nor data say how many there are.
        **arguments: The emission's arguments: values with a leading axis over the states (a number is the same in all
            of them). Those of a distribution that are left out, or None, are unknown.

    Raises:
        ValueError: If shapes disagree or an argument's support is not known.
        TypeError: If the emission is neither a distribution's class nor a function.

    Example:
        >>> import numpyro.distributions as dist
        >>> from statespace.core.parameters import unknown
        >>> unknown(HiddenMarkov(2, dist.Normal, initial="stationary", scale=[1.0, 5.0], loc=0.0))
        ['chain.transition']

    Reference: Rabiner (1989), "A tutorial on hidden Markov models and selected applications in speech recognition",
    Proceedings of the IEEE 77; Hamilton (1989), Econometrica 57, for autoregressive emissions.
    """

    chain: MarkovChain
    law: EmissionLaw
    previous: Float[Array, " series"] | None
    names: tuple[str, ...] = eqx.field(static=True)
    series_names: tuple[str, ...] | None = eqx.field(static=True)
    autoregressive: bool = eqx.field(static=True)

    def __init__(
        self,
        num_states: int,
        emission: Any,
        *,
        initial: Any = None,
        transition: Any = None,
        transition_inputs: Sequence[str] = (),
        coefficients: Any = None,
        state_names: Sequence[str] | None = None,
        autoregressive: bool = False,
        previous: Any = None,
        shapes: Mapping[str, tuple[int, ...]] | None = None,
        supports: Mapping[str, Any] | None = None,
        series: Sequence[str] | None = None,
        **arguments: Any,
    ):
        if num_states < 2:
            raise ValueError(f"a hidden Markov model has at least 2 states, got num_states={num_states}")
        columns = (transition_inputs,) if isinstance(transition_inputs, str) else tuple(transition_inputs)
        self.chain = MarkovChain(num_states, initial, transition, coefficients, columns)
        self.series_names = None if series is None else (series,) if isinstance(series, str) else tuple(series)
        count = None if self.series_names is None else len(self.series_names)
        self.law = EmissionLaw(num_states, emission, arguments, shapes or {}, supports or {}, count)
        self.names = _names(num_states, state_names)
        self.autoregressive = bool(autoregressive)
        if autoregressive and self.law.is_distribution:
            raise ValueError("autoregressive=True belongs to a function as emission, which can read step.previous")
        if previous is not None and not autoregressive:
            raise ValueError("previous= belongs to autoregressive=True")
        self.previous = None if previous is None else jnp.atleast_1d(jnp.asarray(previous, jnp.result_type(float)))

    @property
    def num_states(self) -> int:
        """The number of states."""
        return self.chain.size

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the states."""
        return self.names

    @property
    def num_series(self) -> int:
        """The number of observed series."""
        return self.law.series

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the transition probabilities read."""
        return self.chain.columns

    @property
    def reads_previous(self) -> bool:
        """Whether the emission reads the observation at the stamp before."""
        return self.autoregressive

    @property
    def first_previous(self) -> Float[Array, " series"]:
        """The observation before the first stamp; NaN where none is given."""
        return super().first_previous if self.previous is None else self.previous

    def bind(self, binding: Any) -> "HiddenMarkov":
        """The model tied to the data's columns, number of series, level and spread."""
        return with_fields(self, chain=self.chain.bind(binding), law=self.law.bind(binding))

    def initial_probabilities(self, step: Step) -> Float[Array, " state"]:
        """The probability of each state at the first stamp."""
        return self.chain.initial_probabilities(step)

    def transition_probabilities(self, step: Step) -> Float[Array, "state state"]:
        """The probability of moving, into `step`, from a state (row) to a state (column)."""
        return self.chain.transition_probabilities(step)

    def emission(self, x: Int[Array, ""], step: Step) -> dist.Distribution:
        """The law of the observation at `step`, given the state there."""
        return self.law.at(x, step)


def _names(size: int, given: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(f"state{i}" for i in range(size)) if given is None else tuple(map(str, given))
    if len(set(names)) != size:
        raise ValueError(f"state_names has {len(names)} entries {names}, expected {size} different ones")
    return names
