"""What is said of the weights while they are learned: one value each, or a normal law of those with priors."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro.distributions import biject_to

from ...core.parameters import constrain, parameters, replace, require_known, unconstrain
from ...models.deep import AbstractGuide, DeepStateSpace

_SHARE = 0.1  # of the prior's standard deviation, on the unconstrained scale, that laws of weights begin with
_PACE = 10.0  # a law's log standard deviation moves so much faster than other values


class Trainee(eqx.Module):
    """What is learned: a model, and the guide that helps.

    Attributes:
        model: The model, bound to the data.
        guide: The guide.
    """

    model: DeepStateSpace
    guide: AbstractGuide


class Weights(NamedTuple):
    """The weights that are learned, by path, with their priors.

    By point each has a value, those with priors that of the posterior's mode. By law those with priors have

        q(w) = N(w; m, s^2)   on the unconstrained scale, independently,

    and what is climbed has log p(w) - log q(w) at a draw in place of the log prior at the value. An array holds m and
    log(s) / 10 as its two rows. (Blundell et al., 2015, "Weight uncertainty in neural networks", ICML.)

    Attributes:
        trainee: Model and guide, all of whose parameters have values.
        free: Paths of the parameters that are learned, `"model..."` and `"guide..."`.
        priors: Prior densities by path, of any free parameters.
        by_law: Whether those with priors have laws.
    """

    trainee: Trainee
    free: tuple[str, ...]
    priors: dict[str, Any]
    by_law: bool

    @property
    def supports(self) -> dict[str, Any]:
        """Of each weight that is learned."""
        known = parameters(self.trainee)
        return {p: self.priors[p].support if p in self.priors else known[p].constraint for p in self.free}

    @property
    def laws(self) -> frozenset[str]:
        """Paths of the weights that have laws."""
        return frozenset(self.priors) if self.by_law else frozenset()

    def begin(self, trainee: Trainee) -> dict[str, Array]:
        """What learning starts from, at a model's and a guide's values."""
        require_known(trainee, "what is learned")
        known = parameters(trainee)
        values = unconstrain({path: jnp.asarray(known[path].value) for path in self.free}, self.supports)
        laws = self.laws
        found = {
            path: jnp.stack([v, jnp.log(_SHARE * self._prior_spread(path)) / _PACE]) if path in laws else v
            for path, v in values.items()
        }
        return {path: jnp.asarray(v, v.dtype) for path, v in found.items()}  # a weak type would be compiled twice

    def point(self, values: dict[str, Array]) -> Trainee:
        """Model and guide at the values, or at the middle of their laws."""
        laws = self.laws
        return self._at({path: v[0] if path in laws else v for path, v in values.items()})

    def draw(self, values: dict[str, Array], key: Any) -> tuple[Trainee, Float[Array, ""]]:
        """Model and guide at a draw, and the log density of the prior, less that of the law drawn from."""
        laws = self.laws
        drawn, gain = {}, jnp.zeros(())
        for number, (path, v) in enumerate(values.items()):
            if path not in laws:
                drawn[path] = v
                continue
            mean, log_sd = v[0], _PACE * v[1]
            drawn[path] = mean + jnp.exp(log_sd) * jax.random.normal(jax.random.fold_in(key, number), mean.shape)
            gain = gain + jnp.sum(log_sd) + mean.size * 0.5 * (1 + jnp.log(2 * jnp.pi))  # the law's entropy
        natural = constrain(drawn, self.supports)
        for path, prior in self.priors.items():
            gain = gain + jnp.sum(prior.log_prob(natural[path]))
            if path in laws:
                change = biject_to(prior.support).log_abs_det_jacobian(drawn[path], natural[path])
                gain = gain + jnp.sum(change)
        return replace(self.trainee, natural), gain

    def sample(self, values: dict[str, Array], count: int, key: Any) -> dict[str, Float[Array, "draw ..."]]:
        """Draws of the weights that have laws, on their own scale."""
        laws = sorted(self.laws)

        def one(k: Any) -> dict[str, Array]:
            known = parameters(self.draw(values, k)[0])
            return {path: jnp.asarray(known[path].value) for path in laws}

        return jax.lax.map(one, jax.random.split(key, count))

    def _prior_spread(self, path: str) -> Array:
        """Standard deviations of normal laws with a prior's quartiles, on the unconstrained scale."""
        law = self.priors[path]
        draws = biject_to(law.support).inv(law.sample(jax.random.key(0), (500,)))
        low, high = jnp.quantile(draws, jnp.array([0.25, 0.75]), axis=0)
        return (high - low) / 1.349

    def _at(self, values: dict[str, Array]) -> Trainee:
        return replace(self.trainee, constrain(values, self.supports))
