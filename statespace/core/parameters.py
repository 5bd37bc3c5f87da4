"""Parameters of models: fields that hold natural values and declare their constraint once.

A field `scale: Scalar = param(constraints.positive)` holds a value, or None while it is unknown. From this
one declaration come the paths (`"trend.slope_scale"`), the map to and from the unconstrained scale, the
log-Jacobian, the default prior, the starting value and the batch shape.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, biject_to, constraints

# A parameter's annotation is `Float[Array, "..."] | Unknown`. It is None while unknown; the laws of a model are
# asked for only when every parameter is known, so to a type checker the None is Any.
if TYPE_CHECKING:
    Unknown = Any
else:
    Unknown = None


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What a field says about its parameter.

    Attributes:
        constraint: The support, or a function of the instance that gives it.
        shape: Function of the instance giving the shape of one value; leading axes beyond it are batch axes.
        prior: Function of (instance, data scale) giving the default prior.
        unit: `"data"` where the parameter scales with the data, `"none"` where it does not.
        active: Function of the instance saying whether it has this parameter at all.
        start: Function of (instance, data scale) giving where learning starts; None for the default prior's mean.
    """

    constraint: Any
    shape: Callable[[Any], tuple[int, ...]]
    prior: Callable[[Any, Any], Distribution]
    unit: str = "none"
    active: Callable[[Any], bool] = lambda self: True
    start: Callable[[Any, Any], Array] | None = None


def param(
    constraint: Any,
    *,
    prior: Callable[[Any, Any], Distribution],
    shape: Callable[[Any], tuple[int, ...]] = lambda self: (),
    unit: str = "none",
    active: Callable[[Any], bool] = lambda self: True,
    start: Callable[[Any, Any], Array] | None = None,
) -> Any:
    """Declare a dataclass field of a model as a parameter.

    Args:
        constraint: NumPyro constraint of one value, or a function of the instance that returns it.
        prior: Function of the instance and of the data's scale (a standard deviation, in the data's
            unit) that returns the default prior.
        shape: Function of the instance that returns the shape of one value.
        unit: `"data"` if the parameter is in the data's unit, else `"none"`.
        active: Function of the instance that says whether it has this parameter at all.
        start: Function of the instance and of the data's scale that returns where learning starts; the mean of the
            default prior when left out.

    Returns:
        A field specifier, None (unknown) by default.

    Example:
        >>> import equinox as eqx, numpyro.distributions as dist
        >>> from numpyro.distributions import constraints
        >>> class Model(eqx.Module):
        ...     scale: float | None = param(
        ...         constraints.positive, unit="data", prior=lambda self, s: dist.HalfNormal(s))
        >>> list(parameters(Model(2.0)))
        ['scale']
    """
    declaration = Declaration(constraint, shape, prior, unit, active, start)
    return eqx.field(default=None, converter=as_value, metadata={"parameter": declaration})


def params(declare: Callable[[Any, str], Declaration]) -> Any:
    """Declare a field that holds a dictionary of parameters, for a part whose parameters are not known to its class.

    Args:
        declare: Function of the instance and of a key that returns what `param` would be told of that parameter.

    Returns:
        A field specifier; a parameter's path is that of the part followed by its key.
    """
    return eqx.field(converter=as_values, metadata={"parameters": declare})


def as_values(values: Any) -> Any:
    """Each value of a dictionary as a floating-point array; None stays None."""
    return {key: as_value(value) for key, value in values.items()} if isinstance(values, Mapping) else values


def as_value(value: Any) -> Array | None:
    """A parameter's value as a strongly typed floating-point array; None stays None."""
    if value is None:
        return None
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating) and not value.weak_type:
        return value
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        return value  # sentinels that jax and equinox put into fields while they rebuild a module
    dtype = array.dtype if jnp.issubdtype(array.dtype, jnp.floating) else jnp.result_type(float)
    return jax.lax.convert_element_type(array, np.dtype(dtype))  # drops a weak type, which would cost a trace


def is_traced(value: Any) -> bool:
    """Whether JAX is tracing a value, so that it cannot be read as numbers."""
    return isinstance(value, jax.core.Tracer)  # pyright: ignore[reportAttributeAccessIssue]  no stub names it


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of one model: its path, value (None if unknown) and declaration."""

    path: str
    value: Array | None
    owner: Any
    field: str
    declaration: Declaration

    @property
    def constraint(self) -> constraints.Constraint:
        """The support of one value."""
        found = self.declaration.constraint
        return found if isinstance(found, constraints.Constraint) else found(self.owner)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value."""
        return self.declaration.shape(self.owner)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The leading axes of the value."""
        if self.value is None:
            return ()
        return self.value.shape[: self.value.ndim - len(self.shape)]

    @property
    def is_off(self) -> bool:
        """Whether a scale was given as exactly zero, which removes the disturbance for good."""
        value = self.value
        if self.declaration.unit != "data" or value is None or is_traced(value):
            return False
        return bool(np.all(np.asarray(value) == 0.0))

    @property
    def dimension(self) -> int:
        """How many free numbers it has: those of the unconstrained scale."""
        return int(np.prod(biject_to(self.constraint).inverse_shape(self.shape)))

    def default_prior(self, scale: Any) -> Distribution:
        """The default prior, given the standard deviation of the data: one, or one for each element."""
        return self.declaration.prior(self.owner, scale)


def parameters(model: Any) -> dict[str, Parameter]:
    """The parameters of a model by path, in the order of its fields.

    Args:
        model: An `equinox.Module`; parts in fields are searched too, and their own `name` (or the
            field's name, numbered in a tuple) comes before the parameter's.

    Returns:
        A dictionary from path to `Parameter`.

    Raises:
        ValueError: If two parameters have the same path.
    """
    found: dict[str, Parameter] = {}
    for parameter in _walk(model, _own(model)):
        if parameter.path in found:
            raise ValueError(f"two parameters are called {parameter.path!r}: give the parts of the model names")
        found[parameter.path] = parameter
    return found


def _own(node: Any) -> tuple[str, ...]:
    """The name that a part gives itself."""
    name = getattr(node, "name", None)
    return (name,) if isinstance(name, str) else ()


def _below(node: Any, field: str, prefix: tuple[str, ...]) -> tuple[str, ...]:
    """The prefix of a part in a field: its own name, said once, else the field's."""
    own = _own(node) or (field,)
    return prefix if prefix[-1:] == own else (*prefix, *own)


def _walk(node: eqx.Module, prefix: tuple[str, ...]) -> Iterator[Parameter]:
    for field in dataclasses.fields(node):
        value = getattr(node, field.name, None)
        if "parameter" in field.metadata or "parameters" in field.metadata:
            for name, one, declaration in _declared(node, field):
                if declaration.active(node):
                    yield Parameter(".".join((*prefix, name)), one, node, name, declaration)
            continue
        for i, part in enumerate(value if isinstance(value, (tuple, list)) else (value,)):
            if isinstance(part, eqx.Module):
                name = f"{field.name}{i}" if isinstance(value, (tuple, list)) else field.name
                yield from _walk(part, _below(part, name, prefix))


def _declared(node: eqx.Module, field: Any) -> Iterator[tuple[str, Any, Declaration]]:
    """The parameters of one field: name, value and declaration."""
    value = getattr(node, field.name, None)
    if "parameter" in field.metadata:
        yield field.name, value, field.metadata["parameter"]
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield key, one, field.metadata["parameters"](node, key)


def replace(model: Any, values: Mapping[str, Any]) -> Any:
    """The model with some parameters set to new values.

    Args:
        model: The model.
        values: New natural values by path.

    Returns:
        A new model.

    Raises:
        ValueError: If a path is not a parameter of the model.
    """
    known = parameters(model)
    check_paths(values, known, "values")

    def rebuild(node: Any, name: str, prefix: tuple[str, ...]) -> Any:
        return rebuild_fields(node, _below(node, name, prefix)) if isinstance(node, eqx.Module) else node

    def rebuild_fields(node: Any, prefix: tuple[str, ...]) -> Any:
        changes = {}
        for field in dataclasses.fields(node):
            value = getattr(node, field.name, None)
            path = ".".join((*prefix, field.name))
            if "parameter" in field.metadata:
                if path in values:
                    changes[field.name] = as_value(values[path])
            elif "parameters" in field.metadata:
                old = dict(value or {})
                paths = {key: ".".join((*prefix, key)) for key in old}
                new = {key: as_value(values[path]) for key, path in paths.items() if path in values}
                changes |= {field.name: old | new} if new else {}
            elif isinstance(value, (tuple, list)):
                changes[field.name] = type(value)(rebuild(v, f"{field.name}{i}", prefix) for i, v in enumerate(value))
            elif isinstance(value, eqx.Module):
                changes[field.name] = rebuild(value, field.name, prefix)
        return with_fields(node, **changes) if changes else node

    return rebuild_fields(model, _own(model))


def with_fields(node: Any, **changes: Any) -> Any:
    """A copy of a Module with some fields, static ones included, set to new values."""
    copy = object.__new__(type(node))
    for field in dataclasses.fields(node):
        if field.name in changes or hasattr(node, field.name):
            object.__setattr__(copy, field.name, changes.get(field.name, getattr(node, field.name, None)))
    return copy


def check_paths(given: Mapping[str, Any], known: Mapping[str, Any], what: str) -> None:
    """Raise a ValueError that lists the paths a model has if one of the given ones is not among them."""
    wrong = [path for path in given if path not in known]
    if wrong:
        raise ValueError(
            f"{what} name {', '.join(map(repr, wrong))}, but the model's parameters are "
            f"{', '.join(map(repr, known)) or 'none'}"
        )


def unknown(model: Any) -> list[str]:
    """The paths of the parameters that have no value yet."""
    return [path for path, found in parameters(model).items() if found.value is None]


def require_known(module: Any, what: str) -> None:
    """Raise a ValueError that names the parameters without a value, if there are some.

    Args:
        module: A model, cell or layer.
        what: What to call it: `"the cell"`.
    """
    if missing := unknown(module):
        raise ValueError(
            f"{what} has no value for {', '.join(missing)}: give values, learn them, or make it with key= where it "
            "takes one"
        )


def batch_shape(model: Any) -> tuple[int, ...]:
    """The joint batch shape of the model's parameter values."""
    return jnp.broadcast_shapes(*(found.batch_shape for found in parameters(model).values()))


def constrain(
    unconstrained: Mapping[str, Float[Array, "..."]], supports: Mapping[str, constraints.Constraint]
) -> dict[str, Float[Array, "..."]]:
    """Natural values from unconstrained ones, parameter by parameter."""
    return {path: biject_to(supports[path])(value) for path, value in unconstrained.items()}


def unconstrain(
    values: Mapping[str, Float[Array, "..."]], supports: Mapping[str, constraints.Constraint]
) -> dict[str, Float[Array, "..."]]:
    """Unconstrained values from natural ones, parameter by parameter."""
    return {path: biject_to(supports[path]).inv(value) for path, value in values.items()}


def log_jacobian(
    unconstrained: Mapping[str, Float[Array, "..."]], supports: Mapping[str, constraints.Constraint]
) -> Float[Array, ""]:
    """The sum of the log absolute determinants of `constrain`."""
    total = jnp.zeros(())
    for path, value in unconstrained.items():
        transform = biject_to(supports[path])
        total = total + jnp.sum(transform.log_abs_det_jacobian(value, transform(value)))
    return total
