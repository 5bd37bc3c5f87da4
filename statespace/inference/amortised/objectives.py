"""Bounds on the log-likelihood that a deep model and its guide are learned by, and scored by.

With weights w[t] = p(y[t] | z[t]) p(z[t] | z[t-1]) / q(z[t] | ...) of paths drawn from a guide q,

    ELBO = E[ sum_t log w[t] ]                               one path
    IWAE = E[ log mean_i prod_t w[t, i] ]                    independent paths
    FIVO = E[ sum_t log mean_i w[t, i] ]                     paths that are resampled: a particle filter's estimate

Each is at most log p(y); the last two rise with the number of paths.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Float

from ...core.belief import Particles
from ...core.resample import RESAMPLERS
from ...models.deep import AbstractGuide, DeepStateSpace
from .. import feynman_kac
from ..feynman_kac import Options
from . import streams
from .moves import AmortisedMoves, Frame, Sequence, begun
from .paths import Paths, continued, draw_paths
from .twisting import twist_loss


class Bound(NamedTuple):
    """A bound on the log-likelihood of one sequence, and what it is made of.

    Attributes:
        value: The bound, in nats.
        divergence: KL(q || p) of each latent state, summed over stamps, (latent,).
        ess: Effective sample size, its mean over stamps.
    """

    value: Float[Array, ""]
    divergence: Float[Array, " latent"]
    ess: Float[Array, ""]


class AbstractObjective(eqx.Module):
    """An estimate without bias of a bound on a sequence's log-likelihood, and the loss whose gradient is followed."""

    num_particles: eqx.AbstractVar[int]

    name: ClassVar[str]

    @abc.abstractmethod
    def bound(self, model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence, key: Any) -> Bound:
        """The bound for one sequence."""

    @property
    def cuts(self) -> bool:
        """Whether it is a sum over stamps, so that a sequence can be cut into windows."""
        return False

    def memory(self, model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence) -> Any:
        """What is carried from one window of a sequence to the next, before the first of them."""
        return begun(model, sequence, self.num_particles), guide.memory(model)

    def kl_weight(self, step: Any) -> Array:
        """The weight of the divergence at a step: 1 unless an objective warms it up."""
        del step
        return jnp.ones(())

    def loss(
        self,
        model: DeepStateSpace,
        guide: AbstractGuide,
        batch: Sequence,
        keys: Any,
        kl_weight: Any,
        memory: Any = None,
    ) -> tuple[Float[Array, ""], Bound, Any]:
        """Minus the sum over a batch, as it is climbed, the bounds themselves, and what is carried on.

        Args:
            model: The model.
            guide: The guide.
            batch: Sequences with a leading axis.
            keys: A PRNG key for each.
            kl_weight: Weight of the divergence, below 1 while it warms up.
            memory: What is carried from the windows before; None where sequences are whole.
        """
        del kl_weight, memory
        found = jax.vmap(lambda one, key: self.bound(model, guide, one, key))(batch, keys)
        return -jnp.sum(found.value), found, None


class ELBO(AbstractObjective):
    """The evidence lower bound.

        sum_t E_q[log p(y[t] | z[t])] - E_q[KL(q(z[t] | ...) || p(z[t] | z[t-1]))]

    Args:
        num_particles: Number of paths that it is averaged over.
        analytic: Whether the divergence at each stamp is computed, given the states before, rather than sampled.
        kl_warmup: Steps over which the weight of the divergence rises from `kl_start` to 1.
        kl_start: Its weight at the first step.
        free_bits: Nats a stamp that each latent state may diverge by, on average over a batch, at no cost.
        gradient: "reparameterised", or "sticking" ("sticking the landing", for the sampled divergence): log q has
            derivatives through the draws only.

    Raises:
        ValueError: If an option is out of its range, or gradient="sticking" meets the analytic divergence.

    Example:
        >>> round(float(ELBO(kl_warmup=1000).kl_weight(500)), 3)
        0.505

    Reference: Krishnan, Shalit and Sontag (2017), equation 6; free bits: Kingma et al. (2016), "Improved variational
    inference with inverse autoregressive flow", appendix C.8.
    """

    num_particles: int = eqx.field(static=True, default=1)
    analytic: bool = eqx.field(static=True, default=True)
    kl_warmup: int = eqx.field(static=True, default=0)
    kl_start: float = eqx.field(static=True, default=0.01)
    free_bits: float = eqx.field(static=True, default=0.0)
    gradient: str = eqx.field(static=True, default="reparameterised")

    name: ClassVar[str] = "ELBO"

    def __check_init__(self):
        _check_particles(self.num_particles)
        _check_gradient(self.gradient, ("reparameterised", "sticking"))
        if self.kl_warmup < 0 or not 0 <= self.kl_start <= 1 or self.free_bits < 0:
            raise ValueError(f"kl_warmup and free_bits are not negative and kl_start is in [0, 1], got {self}")
        if self.gradient == "sticking" and self.analytic:
            raise ValueError('gradient="sticking" is for the sampled divergence: pass analytic=False')

    def kl_weight(self, step: Any) -> Array:
        """The weight of the divergence at a step."""
        if not self.kl_warmup:
            return jnp.ones(())
        return jnp.clip(self.kl_start + (1 - self.kl_start) * step / self.kl_warmup, 0.0, 1.0)

    def bound(self, model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence, key: Any) -> Bound:
        """The bound for one sequence."""
        paths = self._paths(model, guide, sequence, key)
        kl = self._divergence(paths)
        value = jnp.mean(jnp.sum(paths.seen, axis=0)) - jnp.sum(kl)
        return Bound(value, kl, jnp.asarray(float(self.num_particles)))

    @property
    def cuts(self) -> bool:
        """It is a sum over stamps."""
        return True

    def loss(
        self,
        model: DeepStateSpace,
        guide: AbstractGuide,
        batch: Sequence,
        keys: Any,
        kl_weight: Any,
        memory: Any = None,
    ) -> tuple[Float[Array, ""], Bound, Any]:
        """Minus the sum over a batch, with the divergence weighted and its free part left out."""

        def one(sequence: Sequence, key: Any, memory: Any) -> tuple[Array, Array, Any]:
            if memory is None:
                paths, after = self._paths(model, guide, sequence, key), None
            else:
                frames, after = sequence.frames_along(model, guide, memory[1])
                paths = continued(model, guide, frames, memory[0], key, sticking=self.gradient == "sticking")
            return jnp.mean(jnp.sum(paths.seen, axis=0)), self._divergence(paths), (paths.last, after)

        seen, kl, after = jax.vmap(one)(batch, keys, memory)
        total = jnp.sum(kl, axis=0)
        if self.free_bits > 0:
            stamps = batch.y.shape[0] * batch.y.shape[1] if batch.inside is None else jnp.sum(batch.inside)
            total = jnp.maximum(total, self.free_bits * stamps)
        found = Bound(seen - jnp.sum(kl, axis=1), kl, jnp.full(len(seen), float(self.num_particles)))
        return kl_weight * jnp.sum(total) - jnp.sum(seen), found, None if memory is None else after

    def _paths(self, model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence, key: Any) -> Paths:
        return draw_paths(model, guide, sequence, self.num_particles, key, sticking=self.gradient == "sticking")

    def _divergence(self, paths: Paths) -> Float[Array, " latent"]:
        """KL of each latent state, summed over stamps: computed, or sampled."""
        each = paths.divergence if self.analytic else -paths.ratio
        return jnp.mean(jnp.sum(each, axis=0), axis=0)


class IWAE(AbstractObjective):
    """The importance-weighted bound: independent paths, weighted as a whole.

        log 1/N sum_i prod_t w[t, i]

    Args:
        num_particles: N.
        gradient: "reparameterised"; "sticking" (biased for N > 1); or "dreg", the doubly reparameterised gradient of
            the guide, whose noise does not drown it as N grows (it costs a second pass).

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> IWAE(num_particles=16).name
        'IWAE'

    Reference: Burda, Grosse and Salakhutdinov (2016), ICLR; Tucker et al. (2019), "Doubly reparameterized gradient
    estimators for Monte Carlo objectives", ICLR, equation 8.
    """

    num_particles: int = eqx.field(static=True, default=8)
    gradient: str = eqx.field(static=True, default="reparameterised")

    name: ClassVar[str] = "IWAE"

    def __check_init__(self):
        _check_particles(self.num_particles)
        _check_gradient(self.gradient, ("reparameterised", "sticking", "dreg"))

    def bound(self, model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence, key: Any) -> Bound:
        """The bound for one sequence."""
        logs, kl = self._log_weights(model, guide, sequence, key, sticking=self.gradient == "sticking")
        weights = jax.nn.softmax(jax.lax.stop_gradient(logs))
        value = logsumexp(logs) - jnp.log(float(self.num_particles))
        return Bound(value, kl, 1.0 / jnp.sum(weights**2))

    def loss(
        self,
        model: DeepStateSpace,
        guide: AbstractGuide,
        batch: Sequence,
        keys: Any,
        kl_weight: Any,
        memory: Any = None,
    ) -> tuple[Float[Array, ""], Bound, Any]:
        """Minus the sum over a batch, and the bounds."""
        if self.gradient != "dreg":
            return super().loss(model, guide, batch, keys, kl_weight, memory)
        total, found, _ = super().loss(model, jax.lax.stop_gradient(guide), batch, keys, kl_weight, memory)
        still = jax.lax.stop_gradient(model)

        def of_guide(sequence: Sequence, key: Any) -> Array:
            logs, _ = self._log_weights(still, guide, sequence, key, sticking=True)
            return jnp.sum(jax.lax.stop_gradient(jax.nn.softmax(logs)) ** 2 * logs)

        guided = jnp.sum(jax.vmap(of_guide)(batch, keys))
        return total - (guided - jax.lax.stop_gradient(guided)), found, None

    def _log_weights(
        self, model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence, key: Any, *, sticking: bool
    ) -> tuple[Float[Array, " particle"], Float[Array, " latent"]]:
        paths = draw_paths(model, guide, sequence, self.num_particles, key, sticking=sticking)
        kl = jnp.mean(jnp.sum(paths.divergence, axis=0), axis=0)
        return jnp.sum(paths.seen, axis=0) + jnp.sum(paths.ratio, axis=(0, 2)), kl


class FIVO(AbstractObjective):
    """The filtering variational objective: the log of a particle filter's estimate of the likelihood.

    The guide proposes, and particles are resampled where the effective sample size is low. The derivative leaves out
    that of the choices, as is usual: it is biased, with much less noise. A guide's twist, which particles are resampled
    by as well, is learned beside the bound.

    Args:
        num_particles: Number of particles.
        resampling: "systematic", "stratified", "residual" or "multinomial".
        threshold: They are resampled where the effective sample size falls to this share of them.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> FIVO(num_particles=4).threshold
        0.5

    Reference: Maddison et al. (2017), "Filtering variational objectives", NeurIPS; Naesseth et al. (2018), AISTATS; Le
    et al. (2018), ICLR.
    """

    num_particles: int = eqx.field(static=True, default=4)
    resampling: str = eqx.field(static=True, default="systematic")
    threshold: float = eqx.field(static=True, default=0.5)

    name: ClassVar[str] = "FIVO"

    def __check_init__(self):
        _check_particles(self.num_particles)
        if self.resampling not in RESAMPLERS:
            raise ValueError(f"resampling={self.resampling!r} is unknown: choose one of {', '.join(RESAMPLERS)}")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is a share of the particles between 0 and 1, got {self.threshold}")

    @property
    def cuts(self) -> bool:
        """It is a sum over stamps, if particles are carried on with their weights."""
        return True

    def memory(self, model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence) -> Any:
        """Particles with equal weights, and what the guide carries.

        Raises:
            ValueError: If the guide has a twist, which is learned from whole sequences.
        """
        if guide.twisted:
            raise ValueError("a twist is learned from whole sequences: leave window= out")
        return self._cloud(model, sequence), guide.memory(model)

    def bound(self, model: DeepStateSpace, guide: AbstractGuide, sequence: Sequence, key: Any) -> Bound:
        """The bound for one sequence."""
        frames = sequence.frames(model, guide)
        return self._filtered(model, guide, frames, key, self._cloud(model, frames))[0]

    def loss(
        self,
        model: DeepStateSpace,
        guide: AbstractGuide,
        batch: Sequence,
        keys: Any,
        kl_weight: Any,
        memory: Any = None,
    ) -> tuple[Float[Array, ""], Bound, Any]:
        """Minus the sum over a batch, and the bounds."""
        if memory is None:
            total, found, _ = super().loss(model, guide, batch, keys, kl_weight, memory)
            if guide.twisted:
                apart = jax.vmap(lambda k: jax.random.fold_in(k, streams.TWIST))(keys)
                total = total + jnp.sum(jax.vmap(lambda one, k: twist_loss(model, guide, one, k))(batch, apart))
            return total, found, None

        def one(sequence: Sequence, key: Any, memory: Any) -> tuple[Bound, Any]:
            frames, after = sequence.frames_along(model, guide, memory[1])
            found, cloud = self._filtered(model, guide, frames, key, memory[0])
            return found, (cloud, after)

        found, memory = jax.vmap(one)(batch, keys, memory)
        return -jnp.sum(found.value), found, memory

    def _cloud(self, model: DeepStateSpace, data: Frame | Sequence) -> Particles:
        """Particles before the first stamp, with equal weights."""
        even = jnp.full(self.num_particles, -jnp.log(self.num_particles), data.y.dtype)
        return Particles(begun(model, data, self.num_particles), even)

    def _filtered(
        self, model: DeepStateSpace, guide: AbstractGuide, frames: Frame, key: Any, cloud: Particles
    ) -> tuple[Bound, Particles]:
        """The bound over some frames from given particles on, and the particles at the end."""
        kac = AmortisedMoves(model, guide, self.num_particles)
        options = Options(self.resampling, self.threshold)

        def summary(moved: Any, slot: Any) -> Any:
            return moved.term, 1.0 / jnp.sum(jax.lax.stop_gradient(moved.cloud.weights) ** 2)

        last, (terms, ess) = feynman_kac.run(kac, frames, key, options, summary, cloud)
        inside = jnp.ones(len(ess)) if frames.inside is None else frames.inside.astype(ess.dtype)
        none = jnp.full(model.dynamics.latent, jnp.nan)  # a filter's paths are no draws from the guide
        return Bound(jnp.sum(terms), none, jnp.sum(ess * inside) / jnp.maximum(jnp.sum(inside), 1.0)), last


def _check_particles(count: int) -> None:
    if count < 1:
        raise ValueError(f"num_particles must be at least 1, got {count}")


def _check_gradient(gradient: str, choices: tuple[str, ...]) -> None:
    if gradient not in choices:
        raise ValueError(f"gradient={gradient!r} is unknown: choose one of {', '.join(map(repr, choices))}")
