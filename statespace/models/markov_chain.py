"""A Markov chain on a few states: where it starts, how it moves, and what inputs change."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from ..core.parameters import Unknown, param, with_fields
from ..core.step import Step

_STAY = 0.8  # where learning starts: states last five stamps on average


class MarkovChain(eqx.Module):
    """The law of the discrete states of a `HiddenMarkov` model.

        P(x[0] = i) = initial[i]
        P(x[t] = j | x[t-1] = i) = transition[i, j] exp(b[i, j]' u[t]) / sum_k transition[i, k] exp(b[i, k]' u[t])

    where u are the inputs, if there are any, and b[i, i] = 0: coefficients are those of leaving against staying.

    Attributes:
        initial: Probabilities of the first state, shape (state,), if they are not the stationary ones.
        transition: Probabilities of moving from a state (row) to a state (column), shape (state, state).
        coefficients: b by input, state and other state in order, shape (inputs, state, state - 1).

    Reference: Diebold, Lee and Weinbach (1994), "Regime switching with time-varying transition probabilities".
    """

    initial: Float[Array, "*batch state"] | Unknown = param(
        constraints.simplex,
        shape=lambda self: (self.size,),
        prior=lambda self, scale: dist.Dirichlet(jnp.ones(self.size)),
        active=lambda self: not self.stationary,
    )
    transition: Float[Array, "*batch state state"] | Unknown = param(
        constraints.simplex,
        shape=lambda self: (self.size, self.size),
        prior=lambda self, scale: dist.Dirichlet(jnp.ones((self.size, self.size)) + jnp.eye(self.size)),
        start=lambda self, scale: persistent(self.size, _STAY),
    )
    coefficients: Float[Array, "*batch inputs state others"] | Unknown = param(
        constraints.real,
        shape=lambda self: (len(self.columns), self.size, self.size - 1),
        prior=lambda self, scale: self._coefficient_prior(),
        active=lambda self: len(self.columns) > 0,
    )
    _: KW_ONLY  # the fields below have no default, those above have
    input_scale: tuple[float, ...] | None
    size: int = eqx.field(static=True)
    stationary: bool = eqx.field(static=True)
    columns: tuple[str, ...] = eqx.field(static=True)
    positions: tuple[int, ...] | None = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(self, size: int, initial: Any, transition: Any, coefficients: Any, columns: Sequence[str]):
        self.size, self.stationary, self.columns = size, isinstance(initial, str), tuple(map(str, columns))
        if self.stationary and initial != "stationary":
            raise ValueError(f'initial={initial!r} is unknown: give probabilities, leave it out, or say "stationary"')
        if coefficients is not None and not self.columns:
            raise ValueError("coefficients belong to transition_inputs=, the columns that they multiply")
        self.initial = None if self.stationary else initial
        self.transition, self.coefficients = transition, coefficients
        self.input_scale, self.positions, self.name = None, None, "chain"
        shapes = {"initial": (size,), "transition": (size, size)}
        shapes["coefficients"] = (len(self.columns), size, size - 1)
        for field, shape in shapes.items():
            value = getattr(self, field)
            if value is not None and np.shape(value)[-len(shape) :] != shape:
                raise ValueError(f"{field} has shape {np.shape(value)}, expected {shape} for {size} states")

    def _coefficient_prior(self) -> dist.Distribution:
        sizes = jnp.asarray(self.input_scale or (1.0,) * len(self.columns))[:, None, None]
        shape = (len(self.columns), self.size, self.size - 1)
        return dist.Normal(jnp.zeros(shape), 2.5 / sizes)

    def bind(self, binding: Any) -> "MarkovChain":
        """The chain tied to the positions of its columns; raises ValueError if one is missing."""
        missing = [column for column in self.columns if column not in binding.inputs]
        if missing:
            have = ", ".join(map(repr, binding.inputs))
            raise ValueError(
                f"the transition probabilities need the input columns {', '.join(map(repr, missing))}, but inputs= "
                f"{'has ' + have if have else 'was not given'}"
            )
        positions = tuple(binding.inputs.index(column) for column in self.columns)
        sizes = tuple(binding.input_scale[i] for i in positions) or None
        return with_fields(self, positions=positions, input_scale=sizes)

    def initial_probabilities(self, step: Step) -> Float[Array, " state"]:
        """Probabilities at the first stamp."""
        return stationary_probabilities(self.transition_probabilities(step)) if self.stationary else self.initial

    def transition_probabilities(self, step: Step) -> Float[Array, "state state"]:
        """Probabilities of moving into `step`, by state before (row) and after (column)."""
        if not self.columns:
            return self.transition
        if step.inputs is None:
            raise ValueError(f"the transition probabilities read {', '.join(self.columns)}: pass inputs=")
        positions = range(len(self.columns)) if self.positions is None else self.positions
        inputs = jnp.stack([step.inputs[i] for i in positions])
        return shifted(self.transition, jnp.sum(inputs[:, None, None] * self.coefficients, axis=0))


def persistent(size: int, stay: float) -> Float[Array, "state state"]:
    """Probabilities of a chain that stays with one probability and moves anywhere else with equal ones."""
    off = (1 - stay) / (size - 1)
    return jnp.full((size, size), off) + (stay - off) * jnp.eye(size)


def shifted(
    transition: Float[Array, "state state"], shift: Float[Array, "state others"]
) -> Float[Array, "state state"]:
    """Probabilities whose logits against staying are moved; what is impossible stays so."""
    size = transition.shape[0]
    rows, columns = np.indices((size, size))
    others = np.where(columns < rows, columns, columns - 1).clip(0)  # positions in a row that leaves out its own state
    full = jnp.where(jnp.eye(size, dtype=bool), 0.0, jnp.take_along_axis(shift, jnp.asarray(others), axis=1))
    possible = transition > 0
    logits = jnp.where(possible, jnp.log(jnp.where(possible, transition, 1.0)) + full, -jnp.inf)
    return jax.nn.softmax(logits, axis=1)


def stationary_probabilities(transition: Float[Array, "state state"]) -> Float[Array, " state"]:
    """The law that a chain keeps: p with p = p P and sum p = 1.

    Solves p (I - P + 1 1') = 1', which is regular where the law is unique.

    Example:
        >>> import jax.numpy as jnp
        >>> [round(float(p), 4) for p in stationary_probabilities(jnp.array([[0.9, 0.1], [0.3, 0.7]]))]
        [0.75, 0.25]

    Reference: Zucchini, MacDonald and Langrock (2016), "Hidden Markov Models for Time Series", section 1.3.2.
    """
    size = transition.shape[0]
    system = jnp.eye(size) - transition + jnp.ones((size, size))
    return jnp.linalg.solve(system.T, jnp.ones(size, transition.dtype))
