"""The bridge to NumPyro: a state-space model's marginal likelihood as a distribution of the data."""

import math
from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from numpyro.distributions import Distribution, constraints

from ..core.parameters import batch_shape, is_traced, parameters, replace, unknown
from ..core.step import Step
from ..models.structural import AbstractStructural
from .exact import exact_method
from .kalman import Kalman
from .method import AbstractMethod, Observed, Plan, teacher_forced
from .prediction import simulate
from .starts import start_values


class StateSpaceDistribution(Distribution):
    """The law of a whole series (or matrix of series) under a state-space model, its states integrated out.

    Works in any NumPyro program: as a site, under `plate`, `vmap` and `Predictive`. Parameters with leading
    batch axes give the distribution that batch shape.

    Args:
        model: Linear-Gaussian model whose parameters are all known (they may be traced).
        steps: The stamps.
        mask: Which elements are present, in the shape of the values; None if all are.
        univariate: Whether values have shape (time,) rather than (time, series).
        method: How the states are integrated out; exactly when left out.
        plan: What was found out for it on the host; the diffuse phase is the whole series when left out.

    Raises:
        ValueError: If a parameter of the model is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> from statespace.core.step import make_steps
        >>> from statespace.models.structural import LocalLevel, Noise
        >>> law = StateSpaceDistribution(LocalLevel(1.0) + Noise(1.0), make_steps(5))
        >>> law.event_shape, law.log_prob(jnp.zeros(5)).shape
        ((5,), ())
    """

    arg_constraints = {}  # noqa: RUF012 (NumPyro's own convention)
    pytree_data_fields = ("model", "steps", "present", "method")
    pytree_aux_fields = ("univariate", "plan")

    def __init__(
        self,
        model: Any,
        steps: Step,
        *,
        mask: Bool[Array, "..."] | None = None,
        univariate: bool = True,
        method: AbstractMethod | None = None,
        plan: Plan | None = None,
        validate_args: bool | None = None,
    ):
        missing = unknown(model)
        if missing:
            raise ValueError(f"the model has no value for {', '.join(missing)}: give one to each parameter")
        self.model, self.steps, self.present = model, steps, mask
        self.univariate, self.method = univariate, method or exact_method(model) or Kalman()
        self.plan = Plan(None) if plan is None else plan
        event = (len(steps),) if univariate else (len(steps), model.num_series)
        super().__init__(batch_shape(model), event, validate_args=validate_args)

    @property
    def support(self):
        """Real vectors, or matrices."""
        return constraints.real_vector if self.univariate else constraints.real_matrix

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "*batch"]:
        """The log-likelihood of one series, or of a batch of them."""
        return self.estimate(value, None)

    def estimate(self, value: Float[Array, "..."], key: Any) -> Float[Array, "*batch"]:
        """The same; with a key, an estimate by a method that draws, with independent draws over the batch."""
        value = jnp.asarray(value)
        shape = jnp.broadcast_shapes(value.shape[: value.ndim - len(self.event_shape)], self.batch_shape)
        y, mask = self._matrices(value, shape), self._matrices(self.present, shape)
        if not shape:
            return _log_prob(self.model, y[0], None if mask is None else mask[0], self, key)
        repeated = _repeated(self.model, shape)

        keys = None if key is None else jax.random.split(key, math.prod(shape))

        def one(values, row, present, key):
            return _log_prob(replace(self.model, values), row, present, self, key)

        return jax.vmap(one)(repeated, y, mask, keys).reshape(shape)

    def _matrices(self, value: Any, shape: tuple[int, ...]) -> Any:
        """Values (or a mask) as a stack of (time, series) matrices over the batch."""
        if value is None:
            return None
        matrix = (len(self.steps), self.model.num_series)
        return jnp.broadcast_to(value, (*shape, *self.event_shape)).reshape(-1, *matrix)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Simulate series; raises ValueError if the initial law is diffuse."""
        shape = (*sample_shape, *self.batch_shape)
        keys = jax.random.split(key, math.prod(shape))
        repeated = _repeated(self.model, shape)
        values = jax.vmap(lambda v, k: simulate(replace(self.model, v), self.steps, k)[1])(repeated, keys)
        return values.reshape(*shape, *self.event_shape)


def _log_prob(model: Any, y: Array, mask: Array | None, law: StateSpaceDistribution, key: Any) -> Array:
    present = jnp.ones(y.shape, bool) if mask is None else mask
    observed = teacher_forced(model, Observed(y, present, law.steps, mask is None))
    return jnp.sum(law.method.log_likelihood(model, observed, law.plan, key))


def _repeated(model: Any, shape: tuple[int, ...]) -> dict[str, Array]:
    """Each parameter's value repeated over a batch shape, with one leading axis."""
    return {
        path: jnp.broadcast_to(cast(Array, p.value), (*shape, *p.shape)).reshape(-1, *p.shape)
        for path, p in parameters(model).items()
    }


def plan_of(method: AbstractMethod, model: Any, mask: Any, steps: Step) -> Plan:
    """The method's plan while parameters are traced; the diffuse phase is the whole series where it cannot be known.

    For a sum of components the length does not depend on the parameters' values, so stand-ins serve.
    """
    if not isinstance(model, AbstractStructural) or is_traced(mask) or any(map(is_traced, jax.tree.leaves(steps))):
        return Plan(None)
    with jax.ensure_compile_time_eval():
        found = parameters(model).items()
        open_ = {path: None for path, p in found if is_traced(p.value) or p.batch_shape}
        blank = replace(model, open_)
        blank = replace(blank, start_values(blank, tuple(unknown(blank)), 1.0))
        if any(map(is_traced, jax.tree.leaves(blank))):
            return Plan(None)
        mask = jnp.all(mask.reshape(-1, *mask.shape[-2:]), axis=0) if mask.ndim > 2 else mask
        return method.plan(blank, Observed(jnp.zeros(mask.shape), mask, steps))
