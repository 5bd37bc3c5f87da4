"""The bridge of deep models to NumPyro: a bound on the likelihood of sequences, as one distribution of all of them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import Distribution, constraints

from ...core.parameters import require_known, with_fields
from ...models.deep import AbstractGuide, DeepStateSpace
from ..prediction import simulate
from .moves import Sequence
from .objectives import AbstractObjective


class BoundDistribution(Distribution):
    """Sequences under a deep model, whose log density is estimated from below by a bound.

    Each sequence is weighed by draws with the key: the same key, the same numbers. So a program run under a new seed at
    each step (stochastic variational inference) climbs the bound, and one under a fixed seed (Hamiltonian
    Monte Carlo) is told the same estimate each time.

    Args:
        model: Deep model whose parameters are all known (they may be traced).
        guide: The guide.
        objective: `ELBO()`, `IWAE()` or `FIVO()`.
        sequences: The sequences, with a leading axis.
        key: PRNG key of the estimate.

    Raises:
        ValueError: If a parameter of the model is unknown.

    Reference: Maddison et al. (2017), "Filtering variational objectives", NeurIPS.
    """

    arg_constraints = {}  # noqa: RUF012 (NumPyro's own convention)
    pytree_data_fields = ("model", "guide", "objective", "sequences", "key")

    def __init__(
        self,
        model: DeepStateSpace,
        guide: AbstractGuide,
        objective: AbstractObjective,
        sequences: Sequence,
        key: Any,
        *,
        validate_args: bool | None = None,
    ):
        require_known(model, "the distribution of sequences")
        require_known(guide, "the distribution of sequences")
        self.model, self.guide, self.objective = model, guide, objective
        self.sequences, self.key = sequences, key
        super().__init__((), sequences.y.shape, validate_args=validate_args)

    @property
    def support(self):
        """Real numbers."""
        return constraints.independent(constraints.real, 3)

    def log_prob(self, value: Float[Array, "sequence time series"]) -> Float[Array, ""]:
        """The sum of the sequences' bounds, in nats."""
        batch = _with_values(self.sequences, jnp.asarray(value))
        keys = jax.random.split(self.key, len(batch.y))
        bound = self.objective.bound
        return jnp.sum(jax.vmap(lambda one, k: bound(self.model, self.guide, one, k).value)(batch, keys))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Simulate sequences of these lengths; the guide has no part in it."""
        count = math.prod(sample_shape)
        keys = jax.random.split(key, (count, len(self.sequences.y)))
        steps = with_fields(self.sequences.steps, previous=None)

        def one(step: Any, k: Any) -> Array:
            return simulate(self.model, step, k)[1]

        return jax.vmap(lambda ks: jax.vmap(one)(steps, ks))(keys).reshape(*sample_shape, *self.event_shape)


def _with_values(batch: Sequence, value: Array) -> Sequence:
    """The sequences with other observations."""
    steps = batch.steps
    if steps.previous is not None:
        seen = value if batch.mask is None else jnp.where(batch.mask, value, jnp.nan)
        before = jnp.concatenate([steps.previous[:, :1], seen[:, :-1].astype(steps.previous.dtype)], axis=1)
        if batch.inside is not None:
            before = jnp.where(batch.inside[:, :, None], before, 0.0)
        steps = with_fields(steps, previous=before)
    return with_fields(batch, y=value, steps=steps)
