"""Proposals that a guided filter makes from the model: its noise, conditioned on the observation.

    x_t = f(x_t-1) + L z,  z ~ N(0, I);      y_t ~ h(f) + H L z + e,  e ~ N(0, R(f))

with the emission linearised at f. The proposal is a law of z, so that singular noise needs no care: the weight is

    w = p(y_t | x_t) N(z; 0, I) / N(z; m, C)

Reference: Doucet, Godsill and Andrieu (2000), "On sequential Monte Carlo sampling methods for Bayesian filtering",
Statistics and Computing 10, section II.D.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from ..core.belief import Gaussian
from ..core.gaussian import update_element
from ..core.linalg import mask_matrix, solve_unit_lower, unit_ldl
from ..core.normal import FactorNormal
from .moves import AbstractMoves, Row, free_move, seen_log_prob, state_of, weighed, with_previous


class NoiseLaw(NamedTuple):
    """A law of the noise: mean and a triangular factor of its covariance."""

    mean: Float[Array, "*batch noise"]
    factor: Float[Array, "*batch noise noise"]


class LinearisedProposal(AbstractMoves):
    """Particles move by the transition's noise conditioned on the observation."""

    def move(self, parents: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        """Draws of the noise given the observation; of the first state's where its law is a normal one."""
        draw_key, fill_key = jax.random.split(key)
        if parents is None and not isinstance(self.model.initial(slot.step), FactorNormal):
            x = free_move(self.model, None, slot, draw_key, self.num_particles)
            return weighed(self.model, x, None, slot, fill_key)
        x, log_g = self._drawn(parents, slot, draw_key)
        x, seen = weighed(self.model, x, parents, slot, fill_key)
        return x, log_g + seen

    def weigh(self, x: Any, parents: Any, slot: Row) -> Array:
        """The observation's log density, and the ratio of the noises'; it needs as many noises as states."""
        seen = seen_log_prob(self.model, x, parents, slot)
        if parents is None and not isinstance(self.model.initial(slot.step), FactorNormal):
            return seen

        def one(parent: Any, moved: Any) -> Array:
            law = self._law(parent, slot)
            proposal = conditioned(self.model, law.loc, law.factor, slot)
            z = jnp.linalg.solve(law.factor, state_of(moved) - law.loc)
            return _log_ratio(proposal, z, solve_triangular(proposal.factor, z - proposal.mean, lower=True))

        return seen + jax.vmap(one, in_axes=(None if parents is None else 0, 0))(parents, x)

    def _drawn(self, parents: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        example = self._law(None, slot) if parents is None else jax.eval_shape(self._law, _first(parents), slot)
        noise = jax.random.normal(key, (self.num_particles, example.factor.shape[1]), example.loc.dtype)
        if parents is None:
            if example.diffuse:
                example.sample(key)  # says that a diffuse law cannot be sampled
            proposal = conditioned(self.model, example.loc, example.factor, slot)
            return jax.vmap(lambda e: _placed(example, proposal, e))(noise)

        def one(z: Any, e: Array) -> tuple[Array, Array]:
            law = self._law(z, slot)
            return _placed(law, conditioned(self.model, law.loc, law.factor, slot), e)

        return jax.vmap(one)(parents, noise)

    def _law(self, x: Any, slot: Row) -> FactorNormal:
        if x is None:
            return self.model.initial(slot.step)
        step = with_previous(slot.step, x)
        return FactorNormal(self.model.drift(state_of(x), step), self.model.noise_factor(state_of(x), step))


def _first(x: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], x)


def _placed(law: FactorNormal, proposal: NoiseLaw, e: Array) -> tuple[Array, Array]:
    """The state at the proposal's draw, and the ratio of densities."""
    z = proposal.mean + proposal.factor @ e
    return law.loc + law.factor @ z, _log_ratio(proposal, z, e)


def _log_ratio(proposal: NoiseLaw, z: Array, e: Array) -> Array:
    """Log N(z; 0, I) - log N(z; m, C), with z = m + C^(1/2) e."""
    return -0.5 * jnp.sum(z**2) + 0.5 * jnp.sum(e**2) + jnp.sum(jnp.log(jnp.diag(proposal.factor)))


def conditioned(model: Any, mean: Array, factor: Array, slot: Row) -> NoiseLaw:
    """The law of z in x = mean + factor z given the observation, the emission linearised at the mean."""
    size = factor.shape[1]
    expected, columns = _response(model, mean, factor, slot)
    _, cov = model.conditional_moments(mean, slot.step)
    lower, variances = unit_ldl(cov if slot.mask is None else mask_matrix(cov, slot.mask))
    rows = columns if slot.mask is None else jnp.where(slot.mask[:, None], columns, 0.0)
    values = slot.y - expected if slot.mask is None else jnp.where(slot.mask, slot.y - expected, 0.0)
    rows, values = solve_unit_lower(lower, rows), solve_unit_lower(lower, values)
    belief = Gaussian(jnp.zeros(size, mean.dtype), jnp.eye(size, dtype=mean.dtype))
    for i in range(slot.y.shape[0]):
        present = None if slot.mask is None else slot.mask[i]
        belief, _ = update_element(belief, rows[i], variances[i], values[i], present)
    left, spread = unit_ldl(belief.cov)
    return NoiseLaw(belief.mean, left * jnp.sqrt(spread))


def _response(model: Any, mean: Array, factor: Array, slot: Row) -> tuple[Array, Array]:
    """The expected observation at the mean, and its derivative along each column of the factor."""

    def expected(x: Array) -> Array:
        return model.conditional_moments(x, slot.step)[0]

    value, push = jax.linearize(expected, mean)
    return value, jax.vmap(push, in_axes=1, out_axes=1)(factor)
