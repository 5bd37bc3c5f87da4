"""How the units of a reservoir act on each other: fixed matrices of spectral radius one, each applied in its own way.

They are made once, on the host and in float64; the reservoir multiplies what they give by the radius that it wants.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import eigs

from ...core.certificates import radius_on_host
from ...core.keys import as_key

_DENSE = 100  # units up to which all eigenvalues are computed; above, Arnoldi's method finds the largest
_MOST_LINKS = 64


class AbstractCoupling(eqx.Module):
    """A matrix of spectral radius one.

    Attributes:
        made_radius: The spectral radius that the matrix had when it was drawn, before it was divided by it.
    """

    made_radius: eqx.AbstractVar[float]

    @property
    @abc.abstractmethod
    def units(self) -> int:
        """Number of units."""

    @abc.abstractmethod
    def apply(self, x: Float[Array, " units"]) -> Float[Array, " units"]:
        """The matrix times a vector."""


class SparseCoupling(AbstractCoupling):
    """Each unit listens to the same number of others, chosen at random, with normal weights.

        (W x)_i = sum_j weights_ij x[sources_ij]

    Args:
        units: Number of units.
        degree: Links into each unit.
        key: PRNG key, or a whole number that makes one.

    Raises:
        ValueError: If the degree is not between 1 and the number of units (or 64: a dense matrix is quicker then).

    Example:
        >>> SparseCoupling(50, 5, key=jax.random.key(0)).sources.shape
        (50, 5)

    Reference: Jaeger (2001), "The echo state approach to analysing and training recurrent neural networks".
    """

    sources: Int[Array, "units degree"]
    weights: Float[Array, "units degree"]
    made_radius: float = eqx.field(static=True)

    def __init__(self, units: int, degree: int = 10, *, key: Any):
        _check_units(units)
        if not 1 <= degree <= min(units, _MOST_LINKS):
            raise ValueError(
                f"degree is {degree}, expected 1 to {min(units, _MOST_LINKS)} links into each of {units} units; "
                "DenseCoupling serves more"
            )
        random = host_generator(key)
        sources = np.argpartition(random.random((units, units)), degree - 1, axis=1)[:, :degree]
        weights = random.normal(size=(units, degree))
        rows = np.repeat(np.arange(units), degree)
        self.made_radius = _radius(csr_matrix((weights.ravel(), (rows, sources.ravel())), (units, units)))
        self.sources = jnp.asarray(sources, jnp.int32)
        self.weights = _unit(weights, self.made_radius)

    @property
    def units(self) -> int:
        """Number of units."""
        return self.weights.shape[0]

    def apply(self, x: Float[Array, " units"]) -> Float[Array, " units"]:
        """The matrix times a vector, link by link: two to four times as fast as one gather of all links."""
        links = range(self.weights.shape[1])
        return sum((self.weights[:, j] * x[self.sources[:, j]] for j in links), jnp.zeros_like(x))


class CycleCoupling(AbstractCoupling):
    """Units in a ring, each listening to the one before: the shift x[i] -> x[i + 1], an orthogonal matrix.

    Args:
        units: Number of units.

    Example:
        >>> CycleCoupling(3).apply(jnp.array([1.0, 2.0, 3.0])).tolist()
        [3.0, 1.0, 2.0]

    Reference: Rodan and Tino (2011), "Minimum complexity echo state network", IEEE Transactions on Neural Networks 22.
    """

    size: int = eqx.field(static=True)
    made_radius: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        _check_units(self.size)

    @property
    def units(self) -> int:
        """Number of units."""
        return self.size

    def apply(self, x: Float[Array, " units"]) -> Float[Array, " units"]:
        """The matrix times a vector."""
        return jnp.roll(x, 1)


class DenseCoupling(AbstractCoupling):
    """Any matrix, divided by its spectral radius.

    Args:
        matrix: (units, units), not nilpotent.

    Raises:
        ValueError: If the matrix is not square and finite, or its spectral radius is zero.

    Example:
        >>> DenseCoupling([[0.0, 2.0], [2.0, 0.0]]).made_radius
        2.0
    """

    matrix: Float[Array, "units units"]
    made_radius: float = eqx.field(static=True)

    def __init__(self, matrix: Any):
        values = np.asarray(matrix, np.float64)
        if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.all(np.isfinite(values)):
            raise ValueError(f"a coupling is a square matrix of finite numbers, got shape {values.shape}")
        self.made_radius = _radius(values)
        self.matrix = _unit(values, self.made_radius)

    @staticmethod
    def random(units: int, *, key: Any) -> "DenseCoupling":
        """Independent normal weights between all units."""
        _check_units(units)
        return DenseCoupling(host_generator(key).normal(size=(units, units)))

    @staticmethod
    def orthogonal(units: int, *, key: Any) -> "DenseCoupling":
        """An orthogonal matrix, uniform over all of them.

        Reference: White, Lee and Sompolinsky (2004), "Short-term memory in orthogonal neural networks".
        """
        _check_units(units)
        q, r = np.linalg.qr(host_generator(key).normal(size=(units, units)))
        made = object.__new__(DenseCoupling)  # its radius is one by construction, and no eigenvalue need be computed
        object.__setattr__(made, "matrix", _unit(q * np.sign(np.diag(r)), 1.0))
        object.__setattr__(made, "made_radius", 1.0)
        return made

    @property
    def units(self) -> int:
        """Number of units."""
        return self.matrix.shape[0]

    def apply(self, x: Float[Array, " units"]) -> Float[Array, " units"]:
        """The matrix times a vector."""
        return self.matrix @ x


def _radius(matrix: Any) -> float:
    """The spectral radius of a NumPy or SciPy sparse matrix, on the host and in float64 whatever JAX's types are."""
    size = matrix.shape[0]
    if size <= _DENSE:
        return radius_on_host(matrix if isinstance(matrix, np.ndarray) else matrix.toarray())
    start = np.random.default_rng(0).normal(size=size)  # the same for every call: a reservoir is its key's alone
    found = eigs(matrix, k=8, which="LM", v0=start, ncv=80, maxiter=50 * size, return_eigenvectors=False)
    return float(np.abs(found).max())


def _unit(weights: np.ndarray, radius: float) -> Array:
    """Weights of a matrix of spectral radius one."""
    if not radius > 1e-12 * np.abs(weights).max():
        raise ValueError("the matrix is nilpotent, its spectral radius is zero: it cannot be scaled to another")
    return jnp.asarray(weights / radius, jnp.result_type(float))


def _check_units(units: int) -> None:
    if units < 1:
        raise ValueError(f"a reservoir has at least 1 unit, got {units}")


def host_generator(key: Any) -> np.random.Generator:
    """Random numbers on the host from a PRNG key, or from a whole number.

    Raises:
        TypeError: If it is no key.
    """
    with jax.ensure_compile_time_eval():  # a reservoir may be made inside a function that is being traced
        seed = jax.random.key_data(as_key(key))
        return np.random.default_rng(np.asarray(seed).astype(np.uint32).tolist())
