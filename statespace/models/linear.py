"""The linear-Gaussian model in matrices."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..core.linalg import matmul
from ..core.step import Step
from .base import AbstractLinearGaussian, EmissionMatrices, TransitionMatrices, noise_matrix
from .initial import InitialLaw

_RANKS = {
    "transition_matrix": 2,
    "emission_matrix": 2,
    "transition_offset": 1,
    "emission_offset": 1,
    "transition_input": 2,
    "emission_input": 2,
}


class LinearGaussian(AbstractLinearGaussian):
    """A linear-Gaussian state-space model given by its matrices.

        x[0] ~ N(initial_mean + B0 u[0], S0 S0')             (diffuse or stationary elements excepted)
        x[t] = F x[t-1] + c + B u[t] + G w[t],    w[t] ~ N(0, I)
        y[t] = H x[t] + d + D u[t] + S e[t],      e[t] ~ N(0, I)

    Scales are factors: a vector means a diagonal of standard deviations, a matrix any factor, singular or
    rectangular ones included. A matrix with a leading time axis gives one per stamp; the transition's
    entries at the first stamp are never used.

    Args:
        transition_matrix: F, shape (state, state) or (time, state, state).
        transition_scale: G, shape (state,), (state, noise), or (time, state, noise) with a leading time axis.
        emission_matrix: H, shape (series, state) or (time, series, state).
        emission_scale: S, shape (series,), (series, noise) or (time, series, noise).
        initial_mean: Mean of the first state, shape (state,); 0 when left out.
        initial_scale: S0, shape (state,) or (state, noise); required unless every element is diffuse or
            stationary. Zero rows mean known elements.
        transition_offset: c, shape (state,) or (time, state).
        emission_offset: d, shape (series,) or (time, series).
        transition_input: B, shape (state, inputs) or (time, state, inputs).
        emission_input: D, shape (series, inputs) or (time, series, inputs).
        initial_input: B0, shape (state, inputs): what the inputs at the first stamp add to the first state.
        diffuse: Which elements of the first state have no prior, or True for all.
        stationary: Which elements start from the stationary law of their block, or True for all. The block
            must be constant in time and not driven by the other elements.
        state_names: Names of the states; x0, x1, ... when left out.
        input_names: The input columns in the order of the columns of B, D and B0.

    Raises:
        ValueError: If shapes disagree or an element of the first state has no law.

    Example:
        >>> import jax.numpy as jnp
        >>> model = LinearGaussian(jnp.eye(1), jnp.array([0.3]), jnp.eye(1), jnp.array([1.0]), diffuse=True)
        >>> model.state_names
        ('x0',)

    Reference: Durbin and Koopman (2012), "Time Series Analysis by State Space Methods", eq. 4.12.
    """

    transition_matrix: Float[Array, "*time state state"]
    transition_scale: Float[Array, "..."]
    emission_matrix: Float[Array, "*time series state"]
    emission_scale: Float[Array, "..."]
    initial_mean: Float[Array, " state"]
    initial_scale: Float[Array, "state noise"]
    transition_offset: Float[Array, "..."] | None
    emission_offset: Float[Array, "..."] | None
    transition_input: Float[Array, "..."] | None
    emission_input: Float[Array, "..."] | None
    initial_input: Float[Array, "state inputs"] | None
    diffuse: tuple[bool, ...] = eqx.field(static=True)
    stationary: tuple[bool, ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    inputs: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        transition_matrix: Any,
        transition_scale: Any,
        emission_matrix: Any,
        emission_scale: Any,
        initial_mean: Any = None,
        initial_scale: Any = None,
        *,
        transition_offset: Any = None,
        emission_offset: Any = None,
        transition_input: Any = None,
        emission_input: Any = None,
        initial_input: Any = None,
        diffuse: bool | Sequence[bool] | Bool[np.ndarray, " state"] = False,
        stationary: bool | Sequence[bool] | Bool[np.ndarray, " state"] = False,
        state_names: Sequence[str] | None = None,
        input_names: Sequence[str] | None = None,
    ):
        self.transition_matrix = _array(transition_matrix)
        self.emission_matrix = _array(emission_matrix)
        size, series = self.transition_matrix.shape[-1], self.emission_matrix.shape[-2]
        self.transition_scale, self.emission_scale = _array(transition_scale), _array(emission_scale)
        self.diffuse = _flags(diffuse, size, "diffuse")
        self.stationary = _flags(stationary, size, "stationary")
        self.initial_mean = jnp.zeros(size) if initial_mean is None else _array(initial_mean)
        covered = all(d or s for d, s in zip(self.diffuse, self.stationary, strict=True))
        if initial_scale is None and not covered:
            raise ValueError(
                "some elements of the first state have no law: give initial_scale= (zeros for known values), "
                "or mark them with diffuse= or stationary="
            )
        scale = jnp.zeros(size) if initial_scale is None else _array(initial_scale)
        self.initial_scale = jnp.diag(scale) if scale.ndim == 1 else scale
        self.transition_offset = None if transition_offset is None else _array(transition_offset)
        self.emission_offset = None if emission_offset is None else _array(emission_offset)
        self.transition_input = None if transition_input is None else _array(transition_input)
        self.emission_input = None if emission_input is None else _array(emission_input)
        self.initial_input = None if initial_input is None else _array(initial_input)
        loadings = (self.transition_input, self.emission_input, self.initial_input)
        columns = {m.shape[-1] for m in loadings if m is not None}
        count = max(columns, default=0)
        self.names = tuple(state_names) if state_names is not None else tuple(f"x{i}" for i in range(size))
        self.inputs = tuple(input_names) if input_names is not None else tuple(f"u{i}" for i in range(count))
        self._check(size, series, columns)

    def _check(self, size: int, series: int, columns: set[int]) -> None:
        expected = {
            "transition_matrix": (size, size),
            "emission_matrix": (series, size),
            "transition_offset": (size,),
            "emission_offset": (series,),
            "transition_input": (size, len(self.inputs)),
            "emission_input": (series, len(self.inputs)),
        }
        for field, shape in expected.items():
            value = getattr(self, field)
            if value is not None and (value.shape[-len(shape) :] != shape or value.ndim > len(shape) + 1):
                raise ValueError(f"{field} has shape {value.shape}, expected {shape}, or that with a leading time axis")
        for field, rows in (("transition_scale", size), ("emission_scale", series), ("initial_scale", size)):
            value = getattr(self, field)
            if value.ndim not in (1, 2, 3) or value.shape[-2 if value.ndim > 1 else 0] != rows:
                raise ValueError(
                    f"{field} has shape {value.shape}, expected ({rows},) standard deviations, a factor "
                    f"({rows}, noise), or factors (time, {rows}, noise)"
                )
        if self.initial_mean.shape != (size,) or len(self.names) != size:
            raise ValueError(
                f"initial_mean {self.initial_mean.shape} and state_names ({len(self.names)}) need one entry for each "
                f"of the {size} states"
            )
        if len(columns) > 1:
            raise ValueError(
                "transition_input, emission_input and initial_input must have equally many columns, got "
                f"{sorted(columns)}"
            )
        if self.initial_input is not None and self.initial_input.shape != (size, len(self.inputs)):
            raise ValueError(
                f"initial_input has shape {self.initial_input.shape}, expected {(size, len(self.inputs))}: it is not "
                "one for each stamp"
            )
        driven = self.transition_input is not None or any(f.startswith("transition") for f in self.schedule or ())
        if any(self.stationary) and driven:
            raise ValueError("a stationary first law needs a transition that is constant in time and has no inputs")

    @property
    def state_names(self) -> tuple[str, ...]:
        """A name for each element of the state."""
        return self.names

    @property
    def num_series(self) -> int:
        """The number of observed series."""
        return self.emission_matrix.shape[-2]

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns that the model reads, in the order in which it reads them."""
        return self.inputs

    @property
    def schedule(self) -> dict[str, Array] | None:
        """The matrices that have a leading time axis."""
        ranks = {**_RANKS, "transition_scale": 2, "emission_scale": 2}
        found = {f: getattr(self, f) for f, rank in ranks.items() if getattr(self, f) is not None}
        return {f: v for f, v in found.items() if v.ndim == ranks[f] + 1} or None

    def _at(self, field: str, step: Step) -> Any:
        """A field's array at a step; None for an optional one that was not given."""
        if step.schedule is not None and field in step.schedule:
            return step.schedule[field]
        return getattr(self, field)

    def initial_law(self, step: Step) -> InitialLaw:
        """The normal, possibly diffuse, law of the first state."""
        given = jnp.asarray([not (d or s) for d, s in zip(self.diffuse, self.stationary, strict=True)])
        mean = jnp.where(given, self.initial_mean + self._driven("initial_input", step, len(self.names)), 0.0)
        scale = jnp.where(given[:, None], self.initial_scale, 0.0)
        cov = scale @ scale.T
        if any(self.stationary):
            block = np.flatnonzero(self.stationary)
            offset = None if self.transition_offset is None else self.transition_offset[block]
            factor = noise_matrix(self.transition_scale)[block]
            law = InitialLaw.stationary(self.transition_matrix[np.ix_(block, block)], factor, offset)
            mean, cov = mean.at[block].set(law.mean), cov.at[np.ix_(block, block)].set(law.cov)
        return InitialLaw(mean, cov, self.diffuse)

    def propagate(self, x: Float[Array, "state *columns"], step: Step) -> Float[Array, "state *columns"]:
        """Apply the transition matrix along the leading axis."""
        return matmul(self._at("transition_matrix", step), x)

    def transition_matrices(self, step: Step) -> TransitionMatrices:
        """Offset and noise factor of the transition into `step`."""
        offset = self._affine("transition_offset", "transition_input", step, self.transition_matrix.shape[-1])
        factor = self._at("transition_scale", step)
        return TransitionMatrices(offset, jnp.diag(factor) if factor.ndim == 1 else factor)

    def emission_matrices(self, step: Step) -> EmissionMatrices:
        """Matrix, offset and noise scale at `step`."""
        offset = self._affine("emission_offset", "emission_input", step, self.num_series)
        return EmissionMatrices(self._at("emission_matrix", step), offset, self._at("emission_scale", step))

    def _affine(self, offset: str, matrix: str, step: Step, size: int) -> Array:
        constant = self._at(offset, step)
        driven = self._driven(matrix, step, size)
        return driven if constant is None else constant + driven

    def _driven(self, matrix: str, step: Step, size: int) -> Array:
        loading = self._at(matrix, step)
        if loading is None:
            return jnp.zeros(size, self.transition_matrix.dtype)
        if step.inputs is None:
            raise ValueError(f"the model has {matrix} but no inputs were given: pass inputs=")
        return matmul(loading, step.inputs)


def _array(value: Any) -> Array:
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def _flags(value: Any, size: int, what: str) -> tuple[bool, ...]:
    flags = np.broadcast_to(np.asarray(value, bool), (size,)) if np.ndim(value) == 0 else np.asarray(value, bool)
    if flags.shape != (size,):
        raise ValueError(f"{what} has {flags.size} entries, expected one for each of the {size} states")
    return tuple(bool(flag) for flag in flags)
