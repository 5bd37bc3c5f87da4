"""The no-U-turn sampler (NumPyro's) on a model's posterior."""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import numpy as np
from numpyro.infer import NUTS as Kernel

from .chains import AbstractChains, Kept, jittered
from .method import AbstractMethod
from .problem import Problem

_VECTORISE_UP_TO = 4


class NUTS(AbstractChains):
    """Sample the posterior by the no-U-turn sampler.

    Args:
        num_warmup: Steps of adaptation, dropped.
        num_samples: Draws kept in each chain.
        num_chains: Number of chains.
        target_accept: Target acceptance probability; raise it where there are divergences.
        max_tree_depth: A trajectory has at most 2^max_tree_depth steps.
        dense_mass: Whether the mass matrix is dense.
        chain_method: `"vectorised"` runs the chains in lock-step, `"threads"` one by one on as many threads
            as there are cores; `"auto"` vectorises where the state has at most four elements.
        filter: How the likelihood is computed.

    Raises:
        ValueError: If a count is below 1 or an option is unknown.

    Example:
        >>> NUTS(num_chains=2).num_chains
        2

    Reference: Hoffman and Gelman (2014), "The No-U-Turn Sampler", JMLR 15.
    """

    num_warmup: int = eqx.field(static=True, default=1000)
    num_samples: int = eqx.field(static=True, default=1000)
    num_chains: int = eqx.field(static=True, default=4)
    target_accept: float = eqx.field(static=True, default=0.8)
    max_tree_depth: int = eqx.field(static=True, default=10)
    dense_mass: bool = eqx.field(static=True, default=False)
    chain_method: Literal["auto", "vectorised", "threads"] = eqx.field(static=True, default="auto")
    filter: AbstractMethod | None = None

    name: ClassVar[str] = "nuts"

    def __check_init__(self):
        """Raise ValueError on impossible options."""
        if min(self.num_warmup, self.num_samples, self.num_chains) < 1:
            raise ValueError(f"num_warmup, num_samples and num_chains must be at least 1, got {self}")
        if self.chain_method not in ("auto", "vectorised", "threads"):
            raise ValueError(f"chain_method is 'auto', 'vectorised' or 'threads', got {self.chain_method!r}")
        if not 0 < self.target_accept < 1:
            raise ValueError(f"target_accept lies between 0 and 1, got {self.target_accept}")

    def lacks(self, problem: Problem) -> str:
        """A smooth log-likelihood."""
        if problem.method.differentiable:
            return ""
        name = type(problem.method).__name__
        return f"has no smooth log-likelihood under {name}(): fit by PMMH({name}()), or take a filter without noise"

    def details(self) -> dict[str, Any]:
        """The length of the warm-up, and the depth at which trees end."""
        return {**super().details(), "max_tree_depth": self.max_tree_depth}

    def vectorises(self, problem: Problem) -> bool:
        """As asked, by itself where the state is small."""
        if self.chain_method == "auto":
            return len(problem.model.state_names) <= _VECTORISE_UP_TO
        return self.chain_method == "vectorised"

    def first(self, problem: Problem, centre: Any, key: Any) -> Any:
        """NumPyro's state near the centre."""
        place, run = jax.random.split(key)
        return self._kernel(problem).init(run, self.num_warmup, jittered(centre, place), (), {})

    def log_density(self, state: Any) -> Any:
        """Minus the potential."""
        return -state.potential_energy

    def steps(self, problem: Problem, state: Any, count: int) -> tuple[Any, Kept]:
        """So many transitions."""
        kernel = self._kernel(problem)
        kernel.init(jax.random.key(0), self.num_warmup, state.z, (), {})  # builds the kernel; its state is not used

        def one(carry: Any, _: Any) -> tuple[Any, Kept]:
            carry = kernel.sample(carry, (), {})
            return carry, Kept(problem.natural(carry.z), statistics(carry))

        return jax.lax.scan(one, state, None, length=count)

    def describe(self, stats: dict[str, np.ndarray]) -> str:
        """Divergences."""
        count = int(stats["diverging"].sum())
        return f"{count} divergences in the last block" if count else ""

    def _kernel(self, problem: Problem) -> Kernel:
        @jax.jit
        def potential(z: Any) -> Any:  # the kernel calls it in several places: this traces it once
            return problem.potential(z)

        return Kernel(
            potential_fn=potential,
            target_accept_prob=self.target_accept,
            max_tree_depth=self.max_tree_depth,
            dense_mass=self.dense_mass,
        )


def statistics(state: Any) -> dict[str, Any]:
    """What a state of NumPyro's sampler says of its last transition, by ArviZ's names."""
    return {
        "lp": -state.potential_energy,
        "diverging": state.diverging,
        "energy": state.energy,
        "n_steps": state.num_steps,
        "tree_depth": jax.numpy.ceil(jax.numpy.log2(state.num_steps + 1)).astype(int),
        "acceptance_rate": state.accept_prob,
        "step_size": state.adapt_state.step_size,
    }
