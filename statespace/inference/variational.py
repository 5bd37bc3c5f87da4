"""Variational inference: the law of a family that is closest to the posterior of the parameters.

The families are NumPyro's guides, laws of the unconstrained parameters; the bound

    ELBO = E_q[log p(y, parameters) - log q(parameters)] <= log p(y)

is climbed by its reparameterised gradient. A log-likelihood that is itself estimated without bias gives a bound too.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
import numpyro
import optax
from jaxtyping import Array
from numpyro import handlers
from numpyro.infer import SVI as Climb
from numpyro.infer import Trace_ELBO, autoguide, init_to_value
from numpyro.infer.util import log_density

from .chains import AbstractSampler, Draws, restored, stored
from .method import AbstractMethod
from .problem import Problem

GUIDES: dict[str, Callable[..., Any]] = {
    "normal": autoguide.AutoNormal,
    "multivariate_normal": autoguide.AutoMultivariateNormal,
    "low_rank": autoguide.AutoLowRankMultivariateNormal,
    "flow": autoguide.AutoIAFNormal,
}
_BLOCK = 100
_CLIP = 10.0  # largest norm of a gradient: the first ones can be enormous
_RISE = 1.0  # nats that the bound may gain in the second half of the steps, in which the step size falls


class FamilySVI(AbstractSampler):
    """Approximate the posterior of the parameters by stochastic variational inference.

    Its draws are those of the approximation. How far to trust them is told by `pareto_k` in the details of a fit's
    status (below 0.7 importance weights could mend them; above, the family does not fit), and by r_hat between the
    runs, which end in different places where the bound has several maxima.

    Args:
        guide: The family, on the unconstrained scale: "normal" (independent), "multivariate_normal", "low_rank", or
            "flow" (inverse autoregressive, for two parameters and more).
        num_steps: Steps of the optimiser.
        num_samples: Draws of the approximation that are kept from each run.
        num_chains: Number of independent runs.
        num_particles: Draws of the parameters for each gradient.
        learning_rate: The largest step size; it falls to a hundredth of it along a cosine.
        optimizer: An `optax` transformation in place of Adam with that schedule and gradients clipped to norm 10. A
            fit that has one cannot be gone on with from a file.
        filter: How the states are integrated out.

    Raises:
        ValueError: If a count is below 1, or the guide is unknown.

    Example:
        >>> FamilySVI(guide="low_rank", num_steps=5000).num_chains
        2

    Reference: Kucukelbir et al. (2017), "Automatic differentiation variational inference", JMLR 18; Yao et al. (2018),
    "Yes, but did it work?", ICML.
    """

    guide: str = eqx.field(static=True, default="normal")
    num_steps: int = eqx.field(static=True, default=2000)
    num_samples: int = eqx.field(static=True, default=1000)
    num_chains: int = eqx.field(static=True, default=2)
    num_particles: int = eqx.field(static=True, default=4)
    learning_rate: float = eqx.field(static=True, default=0.02)
    optimizer: Any = eqx.field(static=True, default=None)
    filter: AbstractMethod | None = None

    name: ClassVar[str] = "svi"
    adds_draws: ClassVar[bool] = False

    def __check_init__(self):
        """Raise ValueError on impossible options."""
        counts = (self.num_steps, self.num_samples, self.num_chains, self.num_particles)
        if min(counts) < 1 or not self.learning_rate > 0:
            raise ValueError(f"counts must be at least 1 and learning_rate above 0, got {self}")
        if self.guide not in GUIDES:
            raise ValueError(f"guide={self.guide!r} is unknown: choose one of {', '.join(map(repr, GUIDES))}")

    def lacks(self, problem: Problem) -> str:
        """A smooth log-likelihood, and for a flow two parameters."""
        if not problem.method.differentiable:
            name = type(problem.method).__name__
            return f"has no smooth log-likelihood under {name}(): fit by PMMH({name}()), or take a filter without noise"
        size = sum(int(np.prod(p.batch_shape + p.event_shape)) for p in problem.priors.values())
        if self.guide == "flow" and size < 2:
            return 'has one parameter, and guide="flow" needs two: take guide="normal"'
        return ""

    def details(self) -> dict[str, Any]:
        """The family and the number of steps."""
        return {"guide": self.guide, "num_steps": self.num_steps}

    def cautions(self, details: dict[str, Any]) -> list[str]:
        """That the bound still rises, or that the family does not fit."""
        found = []
        if details["elbo_rise"] > _RISE:
            found.append(
                f"the bound still rises ({details['elbo_rise']:.3g} nats in the second half of the steps): ss.resume "
                "goes on, or raise num_steps or learning_rate"
            )
        k = details.get("pareto_k", 0.0)
        if k > 0.7:
            found.append(
                f"the approximation does not cover the posterior (Pareto k {k:.2f}, above 0.7): take a richer guide, "
                "or NUTS()"
            )
        return found

    def further(self, made: int, num_samples: int | None) -> "FamilySVI":
        """As many steps again, from where the earlier ones ended, and draws of what they lead to."""
        del made
        return self if num_samples is None else replace(self, num_samples=num_samples)

    def lasting(self, total: int) -> "FamilySVI":
        """The same: later draws take the place of earlier ones."""
        del total
        return self

    def run(
        self,
        problem: Problem,
        start: dict[str, Any],
        key: Any,
        report: Callable[[float, float, str], None],
        state: list[np.ndarray] | None = None,
    ) -> Draws:
        """Climb the bound in blocks of steps, then draw."""
        keys = jax.random.split(key, self.num_chains)
        states = [_first(problem, self, start, k) for k in keys]
        if state is not None:
            states = [
                _first(problem, self, start, k, s) for s, k in zip(restored(states[0], state, False), keys, strict=True)
            ]
        losses: list[np.ndarray] = []
        interrupted, blocks = False, -(-self.num_steps // _BLOCK)
        try:
            for block in range(blocks):
                made = [_climb(problem, self, start, s, min(_BLOCK, self.num_steps)) for s in states]
                states = [s for s, _ in made]
                losses.append(np.stack([np.asarray(loss) for _, loss in made]))
                report(block + 1, blocks, f"bound {-losses[-1].mean():.2f}")
        except KeyboardInterrupt:
            if not losses:
                raise
            interrupted = True
        found = [_draw(problem, self, start, s, k) for s, k in zip(states, keys, strict=True)]
        values, stats = jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *found)
        bound = -np.concatenate(losses, axis=1)
        unfinished = f"interrupted after {bound.shape[1]} of {self.num_steps} steps" if interrupted else ""
        return Draws(values, stats, interrupted, stored(states, False), None, _bound(bound), unfinished)


def _bound(bound: np.ndarray) -> dict[str, Any]:
    """What a run says of its bound, (run, step): where it ended, its error, and whether it still rises."""
    count = max(bound.shape[1] // 10, 2)
    last, middle = bound[:, -count:], bound[:, bound.shape[1] // 2 :][:, :count]
    error = float(np.sqrt((last.var(axis=1, ddof=1) / last.shape[1]).mean()))
    rise = float((last.mean(axis=1) - middle.mean(axis=1)).max())
    thinned = bound[:, :: max(bound.shape[1] // 500, 1)]
    return {"elbo": last.mean(axis=1).tolist(), "elbo_se": error, "elbo_rise": rise, "elbo_trace": thinned.tolist()}


def _parts(problem: Problem, sampler: FamilySVI, start: dict[str, Any]) -> tuple[Any, Climb]:
    """The guide and NumPyro's climb of its bound."""

    def program() -> None:
        values: Any = {path: numpyro.sample(path, prior) for path, prior in problem.priors.items()}
        numpyro.factor("log_likelihood", problem.log_likelihood(values))

    guide = GUIDES[sampler.guide](program, init_loc_fn=init_to_value(values=start))
    rate = optax.cosine_decay_schedule(sampler.learning_rate, sampler.num_steps, 0.01)
    optimizer = sampler.optimizer or optax.chain(optax.clip_by_global_norm(_CLIP), optax.adam(rate))
    return guide, Climb(program, guide, optimizer, Trace_ELBO(sampler.num_particles))


@eqx.filter_jit
def _first(problem: Problem, sampler: FamilySVI, start: dict[str, Any], key: Any, state: Any = None) -> Any:
    """The state of a climb that begins, near the start or, with the step sizes anew, where another one ended."""
    _, climb = _parts(problem, sampler, start)
    first = climb.init(key)
    return first if state is None else climb.init(key, init_params=climb.get_params(state))


@eqx.filter_jit
def _climb(problem: Problem, sampler: FamilySVI, start: dict[str, Any], state: Any, count: int) -> tuple[Any, Array]:
    """So many steps, and minus the bound at each; a step whose gradient is not finite is not taken."""
    _, climb = _parts(problem, sampler, start)
    climb.init(jax.random.key(0))  # builds the guide; its state is not used
    return jax.lax.scan(lambda s, _: climb.stable_update(s), state, None, length=count)


@eqx.filter_jit
def _draw(problem: Problem, sampler: FamilySVI, start: dict[str, Any], state: Any, key: Any) -> tuple[Any, Any]:
    """Draws of the approximation, with the log posterior density and what it exceeds the approximation's by."""
    guide, climb = _parts(problem, sampler, start)
    climb.init(jax.random.key(0))
    params = climb.get_params(state)

    def one(k: Any) -> tuple[dict[str, Array], dict[str, Array]]:
        log_q, trace = log_density(handlers.seed(guide, k), (), {}, params)
        values: Any = {path: trace[path]["value"] for path in problem.priors}
        log_p = problem.log_likelihood(values) + problem.log_prior(values)
        return values, {"lp": log_p, "log_weight": log_p - log_q}

    return jax.lax.map(one, jax.random.split(key, sampler.num_samples))
