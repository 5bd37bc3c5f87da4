"""The linear model as the Hankel matrix of its kernel: from past inputs to future outputs."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..numerics.drivers import law_columns
from ..numerics.hankel_products import hankel_matrix
from .arrays import counted
from .kernel import ImpulseResponse


class Hankel(eqx.Module):
    """A kernel arranged so that each row shifts the one above: entry (i, j) is the block H[i + j] = C A^(i+j) B.

    Its rank is the number of states of the smallest model with this kernel, and its singular values say how well a
    smaller one can do: none of order r is nearer, in the largest gain of the Hankel operator, than the one after them.
    Columns are those of inputs, noises and the first state together.

    Attributes:
        response: The kernel, with noise and law of the first state.
        rows: Block rows; the other blocks make columns.

    Example:
        >>> response = ImpulseResponse(jnp.array([0.0, 1.0, 0.5, 0.25]).reshape(4, 1, 1))
        >>> Hankel(response, 2).matrix.tolist()
        [[1.0, 0.5], [0.5, 0.25]]
    """

    domain_of_time: ClassVar[str] = "discrete"

    response: ImpulseResponse
    rows: int = eqx.field(static=True)

    def __check_init__(self):
        if not 1 <= self.rows <= self.response.taps - 1:
            raise ValueError(
                f"a kernel of {self.response.taps} taps has between 1 and {self.response.taps - 1} block rows, got "
                f"{self.rows}"
            )

    @property
    def blocks(self) -> Float[Array, "blocks series columns"]:
        """The blocks H[0], H[1], ...: effects of inputs and noises after the direct one, and of the first state.

        The first state belongs to one stamp earlier: its last entry has no partner and is left out.
        """
        response = self.response
        begun = response.start[:-1] @ law_columns(response.mean, response.cov, response.known, response.diffuse)
        return jnp.concatenate([response.kernel[1:], response.noise[1:], begun], axis=-1)

    @property
    def columns(self) -> int:
        """Block columns."""
        return len(self.blocks) - self.rows + 1

    @property
    def matrix(self) -> Float[Array, "rows columns"]:
        """The matrix itself, (rows series, columns drivers)."""
        return hankel_matrix(self.blocks, self.rows)

    def __repr__(self) -> str:
        return f"Hankel({counted(self.rows, 'block row')}, {counted(self.columns, 'block column')}, {self.response!r})"
