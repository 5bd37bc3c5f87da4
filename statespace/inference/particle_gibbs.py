"""Particle Gibbs: the path of the states given the parameters, then the parameters given the path."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.infer.hmc import hmc

from ..core.parameters import log_jacobian
from ..core.scan import at, depends
from . import conditional
from .chains import AbstractChains, Kept, jittered
from .method import AbstractMethod
from .moves import rows, state_of
from .nuts import statistics
from .particle import AbstractParticleFilter, too_few_noises
from .particle_filters import BootstrapFilter
from .problem import Problem
from .starts import start_values


class Sweep(NamedTuple):
    """State of a chain.

    Attributes:
        path: The path of the states.
        hmc: NumPyro's state for the parameters.
        key: PRNG key.
    """

    path: Any
    hmc: Any
    key: Any


class ParticleGibbs(AbstractChains):
    """Sample parameters and states by turns: conditional SMC for the path, NUTS for the parameters given the path.

    A sweep draws a new path from a kernel that leaves p(x | theta, y) alone, by a particle filter that is held on the
    path so far, and then takes steps of the no-U-turn sampler on p(theta | x, y), whose density needs no particles:
    it is that of the first state, the moves and the observations along the path. It needs a transition with a
    density. Few particles do, whatever the length of the series, where paths are drawn backwards or their past is
    drawn anew; where a parameter is nearly a function of the path (a small noise scale), chains move slowly and
    `PMMH` may be better.

    Args:
        filter: The particle filter that is held on a path: a `BootstrapFilter`, `GuidedFilter` or `AuxiliaryFilter`
            of 20 to 200 particles. Its resampling is always multinomial here.
        num_warmup: Sweeps of adaptation, dropped.
        num_samples: Draws kept in each chain.
        num_chains: Number of chains, which run in lock-step.
        paths: How a path is drawn: "backward" or "ancestor" sampling, or "genealogy" for neither, which needs far
            more particles.
        num_steps: NUTS steps in each sweep.
        target_accept: Target acceptance probability of NUTS.
        max_tree_depth: A trajectory has at most 2^max_tree_depth steps.
        keep_states: Whether the paths are kept, as `states` in the posterior: chains x draws x stamps x states
            numbers.

    Raises:
        ValueError: If a count is below 1 or an option is unknown.
        TypeError: If the filter is not a particle filter.

    Example:
        >>> ParticleGibbs(num_chains=2).paths
        'backward'

    Reference: Andrieu, Doucet and Holenstein (2010), JRSS B 72; Lindsten, Jordan and Schon (2014), JMLR 15; Whiteley
    (2010).
    """

    filter: AbstractMethod | None = BootstrapFilter(num_particles=50)
    num_warmup: int = eqx.field(static=True, default=500)
    num_samples: int = eqx.field(static=True, default=1000)
    num_chains: int = eqx.field(static=True, default=4)
    paths: str = eqx.field(static=True, default="backward")
    num_steps: int = eqx.field(static=True, default=1)
    target_accept: float = eqx.field(static=True, default=0.8)
    max_tree_depth: int = eqx.field(static=True, default=10)
    keep_states: bool = eqx.field(static=True, default=False)

    name: ClassVar[str] = "particle_gibbs"

    def __check_init__(self):
        """Raise ValueError on impossible options."""
        if not isinstance(self.filter, AbstractParticleFilter):
            raise TypeError(f"ParticleGibbs takes a particle filter such as BootstrapFilter(50), got {self.filter!r}")
        if self.filter.num_particles < 2:
            raise ValueError("one particle is held on the path: num_particles must be at least 2")
        if min(self.num_warmup, self.num_samples, self.num_chains, self.num_steps) < 1:
            raise ValueError(f"num_warmup, num_samples, num_chains and num_steps must be at least 1, got {self}")
        if self.paths not in conditional.KINDS:
            raise ValueError(f"paths={self.paths!r} is unknown: choose one of {', '.join(conditional.KINDS)}")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept lies between 0 and 1, got {self.target_accept}")

    @property
    def held(self) -> AbstractParticleFilter:
        """The filter."""
        assert isinstance(self.filter, AbstractParticleFilter)
        return self.filter

    def lacks(self, problem: Problem) -> str:
        """A transition with a density, of one series."""
        if problem.panel is not None:
            return "is a panel: its series have a path each (PMMH serves panels)"
        model = problem.at(start_values(problem.model, problem.free, 1.0))
        few = too_few_noises(model)
        if few:
            return f"{few}: use PMMH, or for Gaussian models NUTS"
        return self.held.cannot_weigh(model, at(problem.steps, 0))

    def details(self) -> dict[str, Any]:
        """The length of the warm-up, and the depth at which trees end."""
        return {**super().details(), "max_tree_depth": self.max_tree_depth}

    def first(self, problem: Problem, centre: Any, key: Any) -> Sweep:
        """Parameters near the centre, and a path that a particle filter leaves there."""
        place, draw, run, rest = jax.random.split(key, 4)
        position = jittered(centre, place)
        model = problem.at(problem.natural(position))
        path = conditional.sample_first_path(self.held.kac(model), model, rows(model, problem.observed), draw)
        start, _ = self._kernels(problem)
        state = start(
            position,
            self.num_warmup * self.num_steps,
            target_accept_prob=self.target_accept,
            max_tree_depth=self.max_tree_depth,
            model_args=(path,),
            rng_key=run,
        )
        return Sweep(path, state, rest)

    def log_density(self, state: Sweep) -> Any:
        """The log density of parameters, path and data."""
        return -state.hmc.potential_energy

    def steps(self, problem: Problem, state: Sweep, count: int) -> tuple[Sweep, Kept]:
        """So many sweeps."""
        start, move = self._kernels(problem)
        start(  # builds the kernel; its state is not used
            state.hmc.z,
            self.num_warmup * self.num_steps,
            target_accept_prob=self.target_accept,
            max_tree_depth=self.max_tree_depth,
            model_args=(state.path,),
            rng_key=jax.random.key(0),
        )
        slope = jax.value_and_grad(lambda z, path: self._potential(problem, z, path))

        def one(carry: Sweep, _: Any) -> tuple[Sweep, Kept]:
            key, draw = jax.random.split(carry.key)
            model = problem.at(problem.natural(carry.hmc.z))
            kac, slots = self.held.kac(model), rows(model, problem.observed)
            path, estimate = conditional.sample_path(kac, model, slots, carry.path, draw, self.paths)
            potential, gradient = slope(carry.hmc.z, path)  # the old ones are those of the old path
            moved = carry.hmc._replace(potential_energy=potential, z_grad=gradient)
            moved, _ = jax.lax.scan(lambda s, _: (move(s, (path,)), None), moved, None, length=self.num_steps)
            stats = statistics(moved) | {
                "log_likelihood_estimate": estimate,
                "path_update_rate": _changed(carry.path, path),
            }
            kept = Kept(problem.natural(moved.z), stats, _columns(path) if self.keep_states else None)
            return Sweep(path, moved, key), kept

        return jax.lax.scan(one, state, None, length=count)

    def describe(self, stats: dict[str, np.ndarray]) -> str:
        """Divergences, and how much of the path moves."""
        lost = int(stats["diverging"].sum())
        text = f"{stats['path_update_rate'].mean():.0%} of the path renewed"
        return f"{lost} divergences, {text}" if lost else text

    def _kernels(self, problem: Problem) -> tuple[Any, Any]:
        def of_path(path: Any) -> Any:
            return jax.jit(lambda z: self._potential(problem, z, path))

        return hmc(potential_fn_gen=of_path, algo="NUTS")

    def _potential(self, problem: Problem, z: Any, path: Any) -> Float[Array, ""]:
        values = problem.natural(z)
        model = problem.at(values)
        slots = rows(model, problem.observed)
        # the first law of a known state has no density; where no parameter enters it, it is a constant
        moves = depends(lambda v: problem.at(v).initial(at(problem.steps, 0)), values)
        joint = conditional.log_joint(model, path, slots, initial=moves)
        value = -joint - problem.log_prior(values) - log_jacobian(z, problem.supports)
        return jnp.where(jnp.isfinite(value), value, jnp.inf)


def _changed(old: Any, new: Any) -> Float[Array, ""]:
    """The share of stamps at which two paths differ."""
    pairs = zip(jax.tree.leaves(state_of(old)), jax.tree.leaves(state_of(new)), strict=True)
    rows_ = [jnp.any((a != b).reshape(a.shape[0], -1), axis=1) for a, b in pairs]
    return jnp.mean(jnp.any(jnp.stack(rows_), axis=0))


def _columns(path: Any) -> Array:
    """The states of a path, (time, state)."""
    x = state_of(path)
    return x.reshape(x.shape[0], -1)
