"""A model and data as arrays, ready for any way of fitting: the log-likelihood and the log-posterior."""

from collections.abc import Mapping
from dataclasses import replace as replace_fields
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpyro.distributions import Distribution

from ..core.parameters import check_paths, constrain, is_traced, log_jacobian, parameters, replace
from ..core.step import Step, make_steps
from .exact import exact_method
from .kalman import Kalman
from .method import AbstractMethod, Observed, Plan, teacher_forced
from .starts import start_values


class Problem(eqx.Module):
    """A model with unknown parameters, and the data they are to be learned from.

    Attributes:
        model: The model, bound to the data; fixed parameters have their values.
        free: Paths of the parameters to be learned.
        priors: Prior of each free parameter; empty for maximum likelihood.
        observed: The data.
        method: How the states are integrated out.
        plan: What was found out for it on the host.
        panel: The stacked problems of several series that share the parameters (`panel.joined`), or None. The
            log-likelihood is then that of all of them; everything else is that of the first.
        key: With which a method that draws runs where no other is given: with the same random numbers at all values
            of the parameters its log-likelihood is a function of them.
    """

    model: Any
    free: tuple[str, ...] = eqx.field(static=True)
    priors: dict[str, Distribution]
    observed: Observed
    method: AbstractMethod
    plan: Plan = eqx.field(static=True)
    panel: "Problem | None" = None
    key: Any = None

    @property
    def estimated(self) -> bool:
        """Whether each evaluation of the log-likelihood is an estimate of its own."""
        return self.method.random and self.key is None

    @property
    def y(self) -> Float[Array, "time series"]:
        """The observations."""
        return self.observed.y

    @property
    def mask(self) -> Bool[Array, "time series"]:
        """Which are present."""
        return self.observed.mask

    @property
    def steps(self) -> Step:
        """The stamps."""
        return self.observed.steps

    @property
    def supports(self) -> dict[str, Any]:
        """The support of each free parameter: that of its prior, if it has one."""
        known = parameters(self.model)
        return {
            path: self.priors[path].support if path in self.priors else known[path].constraint for path in self.free
        }

    @property
    def num_observations(self) -> int:
        """How many elements were observed, over the whole panel."""
        return int((self if self.panel is None else self.panel).mask.sum())

    def natural(self, unconstrained: Mapping[str, Array]) -> dict[str, Array]:
        """Natural parameter values."""
        return constrain(unconstrained, self.supports)

    def at(self, values: Mapping[str, Array]) -> Any:
        """The model with the free parameters at natural values."""
        return replace(self.model, values)

    def without_values(self) -> "Problem":
        """The same with the free parameters unknown: functions compiled for it serve all values they could have had."""
        panel = None if self.panel is None else self.panel.without_values()
        return replace_fields(self, model=replace(self.model, dict.fromkeys(self.free)), panel=panel)

    def terms(self, values: Mapping[str, Array], key: Any = None) -> Float[Array, " time"]:
        """The terms log p(y_t | y_<t) at natural values."""
        key = self.key if key is None else key
        return self.method.log_likelihood(self.at(values), self.observed, self.plan, key)

    def log_likelihood(self, values: Mapping[str, Array], key: Any = None) -> Float[Array, ""]:
        """The log-likelihood at natural values, or an estimate of it where the method draws."""
        key = self.key if key is None else key
        if self.panel is None:
            return jnp.sum(self.terms(values, key))
        keys = None if key is None else jax.random.split(key, len(self.panel.observed.y))
        return jnp.sum(jax.lax.map(lambda part: part[0].log_likelihood(values, part[1]), (self.panel, keys)))

    def with_method(self, method: AbstractMethod) -> "Problem":
        """The same with the states integrated out in another way."""
        return replace_fields(self, method=method, panel=None if self.panel is None else self.panel.with_method(method))

    def log_prior(self, values: Mapping[str, Array]) -> Float[Array, ""]:
        """The log prior density at natural values; 0 without priors."""
        return sum((jnp.sum(prior.log_prob(values[path])) for path, prior in self.priors.items()), jnp.zeros(()))

    def objective(self, unconstrained: Mapping[str, Array]) -> Float[Array, ""]:
        """Minus log-likelihood minus log prior density of the natural values."""
        values = self.natural(unconstrained)
        return -self.log_likelihood(values) - self.log_prior(values)

    def potential(self, unconstrained: Mapping[str, Array]) -> Float[Array, ""]:
        """Minus the log posterior density of the unconstrained values; infinite where it is not defined."""
        value = self.objective(unconstrained) - log_jacobian(unconstrained, self.supports)
        return jnp.where(jnp.isfinite(value), value, jnp.inf)


def make_problem(
    model: Any,
    y: np.ndarray,
    mask: np.ndarray,
    *,
    inputs: np.ndarray | None = None,
    time: np.ndarray | None = None,
    dt: np.ndarray | None = None,
    fixed: Mapping[str, Any] | None = None,
    priors: Mapping[str, Distribution] | None = None,
    scale: Any = 1.0,
    start: int = 0,
    method: AbstractMethod | None = None,
) -> Problem:
    """Put a bound model and data together.

    Args:
        model: The model, bound to the data.
        y: Observations, (time, series).
        mask: Which are present.
        inputs: Input values, (time, inputs).
        time: Times of the stamps.
        dt: Time since the previous stamp, None on a regular series.
        fixed: Values by path of parameters that are not to be learned.
        priors: Priors by path; None for none at all.
        scale: Standard deviation of the data, or one for each series, for values that stand in for unknown ones.
        start: Position of the first stamp; above 0 when continuing.
        method: How the states are integrated out; exactly when left out.

    Raises:
        ValueError: If a path is unknown.
    """
    fixed = dict(fixed or {})
    check_paths(fixed, parameters(model), "fixed")
    shapes = {path: p.shape for path, p in parameters(model).items()}
    for path, v in fixed.items():
        if np.shape(v) not in ((), shapes[path]):
            raise ValueError(f"{path} has shape {np.shape(v)}, expected {shapes[path]}")
    model = replace(model, {path: jnp.broadcast_to(jnp.asarray(v), shapes[path]) for path, v in fixed.items()})
    check_values(model)
    free = tuple(path for path, p in parameters(model).items() if path not in fixed and not p.is_off)
    _refuse_part_zeros(model, free)
    dtype = jnp.result_type(float)
    steps = stamps(model, len(y), start=start, inputs=inputs, time=time, dt=dt)
    mask = np.asarray(mask, bool)
    method = method or exact_method(model) or Kalman()
    values = jnp.asarray(np.where(mask, y, 0.0), dtype)
    observed = teacher_forced(model, Observed(values, jnp.asarray(mask), steps, bool(mask.all())))
    generic = replace(model, start_values(model, free, scale))
    if not any(map(is_traced, jax.tree.leaves(generic))):
        method.check(generic, observed)
    laws = {path: (priors or {})[path] for path in free} if priors is not None else {}
    return Problem(model, free, laws, observed, method, Plan() if start else method.plan(generic, observed))


def _refuse_part_zeros(model: Any, free: tuple[str, ...]) -> None:
    for path in free:
        p = parameters(model)[path]
        if (
            p.declaration.unit == "data"
            and p.value is not None
            and not is_traced(p.value)
            and bool((p.value == 0).any())
        ):
            raise ValueError(
                f"{path} is {np.asarray(p.value)}: a zero holds a whole parameter at zero, not one element of it; give "
                f"each element a positive value to start from, hold all of it with fixed={{{path!r}: ...}}, or, in "
                "several series, give each its own component with series="
            )


def stamps(
    model: Any,
    length: int,
    *,
    start: int = 0,
    inputs: np.ndarray | Array | None = None,
    time: np.ndarray | None = None,
    dt: np.ndarray | None = None,
) -> Step:
    """The steps of a model's stamps from position `start` on; `dt` is None on a regular series."""
    dtype = jnp.result_type(float)
    values = None if inputs is None else jnp.asarray(inputs, dtype)
    return make_steps(length, start=start, time=time, dt=dt, inputs=values, schedule=getattr(model, "schedule", None))


def check_values(model: Any) -> None:
    """Raise a ValueError if a value that is known lies outside its parameter's support."""
    for path, p in parameters(model).items():
        if p.value is None or is_traced(p.value):
            continue
        if p.value.shape != p.shape:
            raise ValueError(f"{path} has shape {p.value.shape}, expected {p.shape}")
        scale = p.declaration.unit == "data"
        inside = p.value >= 0 if scale else p.constraint(p.value)
        if not bool(jnp.all(inside)):
            expected = "zero or above" if scale else f"in {p.constraint}"
            raise ValueError(f"{path} is {np.asarray(p.value)}, expected a value {expected}")
