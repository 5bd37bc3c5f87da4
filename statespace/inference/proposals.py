"""Proposals that a guided filter makes from the model: its noise, conditioned on the observation.

    x_t = f(x_t-1) + L z,  z ~ N(0, I);      y_t ~ h(f) + H L z + e,  e ~ N(0, R(f))

with the emission linearised at f. The proposal is a law of z, so that singular noise needs no care: the weight is

    w = p(y_t | x_t) N(z; 0, I) / N(z; m, C)

Reference: Doucet, Godsill and Andrieu (2000), "On sequential Monte Carlo sampling methods for Bayesian filtering",
Statistics and Computing 10, section II.D.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core.belief import Gaussian
from ..core.gaussian import update_element
from ..core.linalg import mask_matrix, solve_unit_lower, unit_ldl
from ..core.normal import FactorNormal
from .moves import Row, state_of, weighed, with_previous


class NoiseLaw(NamedTuple):
    """A law of the noise: mean and a triangular factor of its covariance."""

    mean: Float[Array, "*batch noise"]
    factor: Float[Array, "*batch noise noise"]


class LinearisedProposal(eqx.Module):
    """Particles move by the transition's noise conditioned on the observation."""

    model: Any
    num_particles: int = eqx.field(static=True)
    score: bool = eqx.field(static=True)

    def start(self, slot: Row, key: Any) -> tuple[Any, Array]:
        """Draws of the first state, conditioned too where its law is a normal one."""
        law = self.model.initial(slot.step)
        draw_key, fill_key = jax.random.split(key)
        if not isinstance(law, FactorNormal):
            x = law.sample(draw_key, (self.num_particles,))
            return weighed(self.model, x, None, slot, fill_key)
        if law.diffuse:
            law.sample(draw_key)  # says that a diffuse law cannot be sampled
        proposal = conditioned(self.model, law.loc, law.factor, slot)
        noise = jax.random.normal(draw_key, (self.num_particles, law.factor.shape[1]), law.loc.dtype)
        x, log_g = jax.vmap(lambda e: self._placed(law.loc, law.factor, proposal, e))(noise)
        x, seen = weighed(self.model, x, None, slot, fill_key)
        return x, log_g + seen

    def look_ahead(self, x: Any, slot: Row) -> None:
        """None: resampled by the weights alone."""
        del x, slot

    def move(self, x: Any, slot: Row, key: Any) -> tuple[Any, Array]:
        """Draws of the noise given the observation."""
        draw_key, fill_key = jax.random.split(key)
        example = jax.eval_shape(self._law, jax.tree.map(lambda leaf: leaf[0], x), slot)
        shape = (self.num_particles, example.factor.shape[1])
        noise = jax.random.normal(draw_key, shape, example.loc.dtype)

        def one(z: Any, e: Array) -> tuple[Array, Array]:
            law = self._law(z, slot)
            return self._placed(law.loc, law.factor, conditioned(self.model, law.loc, law.factor, slot), e)

        new, log_g = jax.vmap(one)(x, noise)
        new, seen = weighed(self.model, new, x, slot, fill_key)
        return new, log_g + seen

    def _law(self, x: Any, slot: Row) -> FactorNormal:
        step = with_previous(slot.step, x)
        return FactorNormal(self.model.drift(state_of(x), step), self.model.noise_factor(state_of(x), step))

    def _placed(self, mean: Array, factor: Array, law: NoiseLaw, e: Array) -> tuple[Array, Array]:
        """The state at the proposal's draw, and log N(z; 0, I) - log N(z; m, C)."""
        z = law.mean + law.factor @ e
        log_det = jnp.sum(jnp.log(jnp.diag(law.factor)))
        ratio = -0.5 * jnp.sum(z**2) + 0.5 * jnp.sum(e**2) + log_det
        return mean + factor @ z, ratio


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
