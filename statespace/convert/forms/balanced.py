"""The linear model in the basis in which what is hard to reach is also hard to see."""

import equinox as eqx
from jaxtyping import Array, Float

from .continuous import ContinuousSSM
from .discrete import DiscreteSSM


class Balanced(eqx.Module):
    """A stable model whose Gramians of reaching and of seeing a state are the same diagonal matrix.

    The last states matter least. States of a part that is not stable, which has no Gramians, come first, and have no
    singular value.

    Attributes:
        system: The model in this basis, a `DiscreteSSM` or `ContinuousSSM`.
        singular_values: Hankel singular values of the stable part of the map from inputs, noises and first state,
            those of the states that were left out too.
        kept_unstable: Number of states of the part that is not stable.
    """

    system: DiscreteSSM | ContinuousSSM
    singular_values: Float[Array, " states"]
    kept_unstable: int = eqx.field(static=True, default=0)

    def __repr__(self) -> str:
        return f"Balanced({self.system!r})"
