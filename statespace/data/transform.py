"""Transforms of the observations: a model of g(y) whose answers come back on the scale of y."""

import abc
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class Transform(abc.ABC):
    """An increasing function z = g(y) of each observation; NaN stays NaN."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The word that names the transform."""

    @abc.abstractmethod
    def forward(self, values: Any) -> NDArray[np.float64]:
        """g(y), on the host; ValueError where y is outside the support."""

    @abc.abstractmethod
    def inverse(self, values: Any) -> Any:
        """The y that gives z, for NumPy and JAX arrays."""

    @abc.abstractmethod
    def log_jacobian(self, values: Any) -> NDArray[np.float64]:
        """The logarithm of |dg/dy| at each y: add its sum to a log-likelihood of z to get that of y."""

    @property
    def num_estimated(self) -> int:
        """How many of its numbers were estimated from the observations."""
        return 0

    def moments(self, mean: NDArray[np.float64], sd: NDArray[np.float64]) -> tuple[Any, Any]:
        """E[y] and E[y^2] for normal z of these means and standard deviations; by Gauss-Hermite quadrature."""
        values = np.asarray(self.inverse(mean[..., None] + sd[..., None] * _NODES))
        return values @ _WEIGHTS, values**2 @ _WEIGHTS

    def fit(self, values: Any) -> Self:
        """The transform with what it estimates from the observations."""
        del values
        return self

    def to_spec(self) -> dict[str, Any]:
        """A dictionary of plain values from which `transform_from_spec` makes the transform again."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class Identity(Transform):
    """z = y."""

    @property
    def name(self) -> str:
        """`identity`."""
        return "identity"

    def forward(self, values: Any) -> NDArray[np.float64]:
        """The values themselves."""
        return np.asarray(values, np.float64)

    def inverse(self, values: Any) -> Any:
        """The values themselves."""
        return values

    def log_jacobian(self, values: Any) -> NDArray[np.float64]:
        """0 at each value."""
        return 0.0 * np.asarray(values, np.float64)


@dataclass(frozen=True)
class Log(Transform):
    """z = log y, for y above 0.

    Example:
        >>> from statespace.data import Log
        >>> Log().forward([1.0])
        array([0.])
    """

    @property
    def name(self) -> str:
        """`log`."""
        return "log"

    def forward(self, values: Any) -> NDArray[np.float64]:
        """The logarithm of y; ValueError where y is not above 0."""
        return np.log(_positive(values, self.name))

    def inverse(self, values: Any) -> Any:
        """The exponential of z."""
        return _namespace(values).exp(values)

    def moments(self, mean: NDArray[np.float64], sd: NDArray[np.float64]) -> tuple[Any, Any]:
        """Those of the log-normal law, exp(m + s^2 / 2) and exp(2 m + 2 s^2)."""
        with np.errstate(over="ignore"):
            return np.exp(mean + sd**2 / 2), np.exp(2 * mean + 2 * sd**2)

    def log_jacobian(self, values: Any) -> NDArray[np.float64]:
        """-log y."""
        return -np.log(_positive(values, self.name))


@dataclass(frozen=True)
class BoxCox(Transform):
    """z = (y^lam - 1) / lam, or log y where lam is 0, for y above 0.

    Args:
        lam: The exponent; None until `fit` has estimated it.
        estimated: Whether it was, and so counts as a parameter.

    Example:
        >>> from statespace.data import BoxCox
        >>> BoxCox(0.5).forward([4.0])
        array([2.])

    Source:
        Box and Cox (1964), Journal of the Royal Statistical Society B 26, 211-252, equation (1).
    """

    lam: float | None = None
    estimated: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.lam is not None and not np.isfinite(self.lam):
            raise ValueError(f"got lam={self.lam}, expected a finite exponent; leave it out to estimate it")

    @property
    def name(self) -> str:
        """`boxcox`."""
        return "boxcox"

    def fit(self, values: Any) -> Self:
        """With the exponent of the largest profile likelihood of independent normal z, unless one was given.

        Args:
            values: Observations, NaN where missing.

        Raises:
            ValueError: If a value is not above 0, or all are equal.
        """
        if self.lam is not None:
            return self
        from scipy.stats import boxcox_normmax  # slow to import, and rarely needed

        logs = np.log(_positive(values, self.name))
        logs = logs[~np.isnan(logs)]
        if len(logs) < 3 or np.ptp(logs) == 0:
            raise ValueError("got fewer than three values or equal ones, expected some variation; pass BoxCox(lam)")
        return type(self)(float(boxcox_normmax(np.exp(logs - logs.mean()), method="mle")), estimated=True)

    @property
    def num_estimated(self) -> int:
        """1 where the exponent was estimated."""
        return int(self.estimated)

    def moments(self, mean: NDArray[np.float64], sd: NDArray[np.float64]) -> tuple[Any, Any]:
        """By quadrature; those of the log-normal law where the exponent is 0."""
        return Log().moments(mean, sd) if self.lam == 0 else super().moments(mean, sd)

    def forward(self, values: Any) -> NDArray[np.float64]:
        """(y^lam - 1) / lam; ValueError where y is not above 0."""
        lam, logs = self._exponent(), np.log(_positive(values, self.name))
        return logs if lam == 0 else np.expm1(lam * logs) / lam

    def inverse(self, values: Any) -> Any:
        """(lam z + 1)^(1 / lam); beyond what y can reach the end of its support, 0 or (lam < 0) infinity."""
        lam, xp = self._exponent(), _namespace(values)
        if lam == 0:
            return xp.exp(values)
        with np.errstate(divide="ignore"):
            return xp.exp(xp.log1p(xp.clip(lam * values, min=-1.0)) / lam)

    def log_jacobian(self, values: Any) -> NDArray[np.float64]:
        """(lam - 1) log y."""
        return (self._exponent() - 1.0) * np.log(_positive(values, self.name))

    def _exponent(self) -> float:
        if self.lam is None:
            raise ValueError("got BoxCox without its exponent, expected one; call .fit(values) or pass BoxCox(lam)")
        return self.lam


_TRANSFORMS: dict[str, type[Transform]] = {"identity": Identity, "log": Log, "boxcox": BoxCox}


def as_transform(spec: Any) -> Transform:
    """The transform that a word, None or a Transform stands for.

    Args:
        spec: None, "log", "boxcox" (its exponent is estimated by `fit`) or a Transform.

    Raises:
        TypeError: If it is a number or something else.
        ValueError: If the word is unknown.

    Example:
        >>> from statespace.data import as_transform
        >>> as_transform("log")
        Log()
    """
    if spec is None or isinstance(spec, Transform):
        return Identity() if spec is None else spec
    if isinstance(spec, str):
        return _transform(spec)()
    cure = f"pass BoxCox({spec})" if isinstance(spec, int | float) else "pass one of these"
    raise TypeError(f"got transform={spec!r}, expected None, 'log', 'boxcox' or a Transform; {cure}")


def transform_from_spec(spec: Mapping[str, Any]) -> Transform:
    """The transform that `to_spec` described.

    Args:
        spec: The dictionary.

    Raises:
        ValueError: If its name is unknown.

    Example:
        >>> from statespace.data import BoxCox, transform_from_spec
        >>> transform_from_spec(BoxCox(0.5).to_spec())
        BoxCox(lam=0.5)
    """
    return _transform(spec["name"])(**{key: value for key, value in spec.items() if key != "name"})


def _transform(name: str) -> type[Transform]:
    if name not in _TRANSFORMS:
        raise ValueError(f"got transform={name!r}, expected None, 'log' or 'boxcox'; pass one of these")
    return _TRANSFORMS[name]


def _namespace(values: Any) -> Any:
    """The module of the array's functions: numpy or jax.numpy."""
    return values.__array_namespace__() if hasattr(values, "__array_namespace__") else np


def _positive(values: Any, name: str) -> NDArray[np.float64]:
    values = np.asarray(values, np.float64)
    wrong = np.argwhere(values <= 0)
    if len(wrong):
        at = tuple(wrong[0].tolist())
        raise ValueError(
            f"transform={name!r} got {values[at]:g} at stamp position {at[0] if at else 0}, expected values "
            "above 0; leave transform= out, or shift the data"
        )
    return values
