"""The tempered sampler as a way of fitting: any number of independent populations, and the evidence."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.distributions import biject_to

from ..core.parameters import log_jacobian
from .chains import AbstractSampler, Draws, restored, stored
from .method import AbstractMethod
from .problem import Problem
from .tempering import Population, advance, from_prior

_FEW_MOVES = 0.02


class Posterior(eqx.Module):
    """The posterior of a problem's parameters, for tempering."""

    problem: Problem

    def draw(self, key: Any) -> dict[str, Array]:
        """Unconstrained values of a draw from the priors."""
        laws, supports = self.problem.priors, self.problem.supports
        keys = jax.random.split(key, len(laws))
        pairs = zip(laws.items(), keys, strict=True)
        return {path: biject_to(supports[path]).inv(law.sample(k)) for (path, law), k in pairs}

    def densities(self, z: dict[str, Array]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Log prior density and log-likelihood."""
        values = self.problem.natural(z)
        prior = self.problem.log_prior(values) + log_jacobian(z, self.problem.supports)
        return prior, self.problem.log_likelihood(values)

    def natural(self, z: dict[str, Array]) -> dict[str, Array]:
        """Natural values."""
        return self.problem.natural(z)


class TemperedSMC(AbstractSampler):
    """Sample the posterior by sequential Monte Carlo from the prior on, with waste-free moves.

    It needs no gradients and no starting point, finds several modes where the prior covers them, and estimates the
    evidence p(y), by which models are compared: `log_evidence` and `log_evidence_se` in the details of a fit's
    status, on the data's original scale. Each chain is an independent population: their agreement (r_hat, and
    the standard error of the evidence) is what tells whether there are particles enough.

    Args:
        num_samples: Particles of a population, N: the draws of a chain. Those of one start follow one another.
        chain_length: States P of each start's Metropolis chain at each stage, the start included; it divides N.
        num_chains: Number of independent populations, which run in lock-step.
        share: Effective sample size that each step of the exponent leaves, as a share of N.
        filter: How the states are integrated out: a method that draws nothing.

    Raises:
        ValueError: If a count or share is impossible, or chain_length does not divide num_samples.

    Example:
        >>> TemperedSMC(num_samples=2000, chain_length=40).num_chains
        4

    Reference: Dau and Chopin (2022), "Waste-free sequential Monte Carlo", JRSS B 84.
    """

    num_samples: int = eqx.field(static=True, default=1000)
    chain_length: int = eqx.field(static=True, default=20)
    num_chains: int = eqx.field(static=True, default=4)
    share: float = eqx.field(static=True, default=0.5)
    filter: AbstractMethod | None = None

    name: ClassVar[str] = "tempered_smc"
    takes_start: ClassVar[bool] = False

    def __check_init__(self):
        """Raise ValueError on impossible options."""
        if min(self.num_samples, self.num_chains) < 1:
            raise ValueError(f"num_samples and num_chains must be at least 1, got {self}")
        if self.chain_length < 2:
            raise ValueError(f"particles move in chains of at least 2 states, got chain_length={self.chain_length}")
        if self.num_samples % self.chain_length or self.num_samples < 2 * self.chain_length:
            raise ValueError(
                f"num_samples is a multiple of chain_length, at least twice it, got {self.num_samples} and "
                f"{self.chain_length}"
            )
        if not 0 < self.share < 1:
            raise ValueError(f"share lies between 0 and 1, got {self.share}")

    def cautions(self, details: dict[str, Any]) -> list[str]:
        """That particles hardly move."""
        rate = details["acceptance_rate"]
        if rate > _FEW_MOVES:
            return []
        return [f"a population accepts {rate:.1%} of its last moves: take more particles, or a longer chain_length"]

    def further(self, made: int, num_samples: int | None) -> "TemperedSMC":
        """Another pass of the same population."""
        del made
        if num_samples not in (None, self.num_samples):
            raise ValueError(
                f"TemperedSMC moves all its particles on: num_samples is {self.num_samples}, or left out, "
                f"got {num_samples}"
            )
        return self

    def lasting(self, total: int) -> "TemperedSMC":
        """The same: its size is that of the population."""
        del total
        return self

    def lacks(self, problem: Problem) -> str:
        """A likelihood that is not an estimate."""
        if not problem.estimated:
            return ""
        return f"under {type(problem.method).__name__}() has a likelihood that is only estimated (PMMH takes it)"

    def run(
        self,
        problem: Problem,
        start: dict[str, Any],
        key: Any,
        report: Callable[[float, float, str], None],
        state: list[np.ndarray] | None = None,
    ) -> Draws:
        """From the prior to the posterior; from a finished state, the particles are moved on once more."""
        del start
        return temper(Posterior(problem), self, key, report, state)


def temper(
    target: Any,
    sampler: TemperedSMC,
    key: Any,
    report: Callable[[float, float, str], None] = lambda done, total, text: None,
    state: list[np.ndarray] | None = None,
) -> Draws:
    """Run all populations to the exponent 1.

    Args:
        target: A `tempering.Target` with `natural`, an equinox module.
        sampler: Options.
        key: PRNG key.
        report: Called after each stage with the smallest exponent, 1, and a remark.
        state: The state of earlier draws from which to go on.

    Raises:
        ValueError: If no draw from the prior has a positive likelihood.
    """
    keys = jax.random.split(key, sampler.num_chains)
    if state is None:
        populations = _begin(target, sampler.num_samples, keys)
    else:
        shape = eqx.filter_eval_shape(lambda k: _begin(target, sampler.num_samples, k), keys)
        populations = restored(shape, state, True)[0]
    interrupted = False
    try:
        while True:
            made = jax.block_until_ready(_advance(target, sampler, populations))
            if not bool(jnp.all(jnp.isfinite(made.log_evidence))):
                raise ValueError("no draw from the priors gives the data a positive likelihood: check priors and data")
            populations = made
            lowest = float(populations.exponent.min())
            report(
                lowest, 1.0, f"stage {int(populations.stage[0])}, {float(populations.acceptance.mean()):.0%} accepted"
            )
            if lowest >= 1:
                break
    except KeyboardInterrupt:
        interrupted = True
    return _draws(target, populations, interrupted)


@eqx.filter_jit
def _begin(target: Any, size: int, keys: Any) -> Population:
    return jax.vmap(lambda k: from_prior(target, size, k))(keys)


@eqx.filter_jit
def _advance(target: Any, sampler: TemperedSMC, populations: Population) -> Population:
    starts = sampler.num_samples // sampler.chain_length
    return jax.vmap(lambda one: advance(target, one, starts, sampler.share))(populations)


@eqx.filter_jit
def _natural(target: Any, z: Any) -> dict[str, Array]:
    return jax.vmap(jax.vmap(target.natural))(z)


def _draws(target: Any, populations: Population, interrupted: bool) -> Draws:
    values = {path: np.asarray(v) for path, v in _natural(target, populations.z).items()}
    likelihood, prior = np.asarray(populations.log_likelihood), np.asarray(populations.log_prior)
    rate = np.broadcast_to(np.asarray(populations.acceptance)[:, None], likelihood.shape)
    stats = {"lp": likelihood + prior, "log_likelihood_estimate": likelihood, "acceptance_rate": rate}
    evidence = np.asarray(populations.log_evidence)
    pooled, error = pooled_evidence(evidence)
    if float(populations.exponent.min()) < 1:  # a constant of another law, which is not the evidence
        pooled, error, evidence = np.nan, np.nan, np.full_like(evidence, np.nan)
    details = {
        "log_evidence": pooled,
        "log_evidence_se": error,
        "log_evidence_by_chain": evidence.tolist(),
        "stages": int(populations.stage.max()),
        "exponent": float(populations.exponent.min()),
        "acceptance_rate": float(populations.acceptance.min()),
    }
    reached = details["exponent"]
    text = f"interrupted at the exponent {reached:.3g}: these are draws of p(theta) p(y | theta)^{reached:.3g}"
    state = stored([populations], True)
    return Draws(values, stats, interrupted, state, details=details, unfinished=text if reached < 1 else "")


def pooled_evidence(log_evidence: Any) -> tuple[float, float]:
    """The log of the mean of estimates of an evidence, and its standard error by the jackknife.

    Args:
        log_evidence: Logarithms of independent unbiased estimates, (run,).

    Example:
        >>> pooled_evidence([0.0, 0.0])
        (0.0, 0.0)
    """
    found = np.asarray(log_evidence, float)
    count = len(found)
    pooled = float(np.logaddexp.reduce(found) - np.log(count))
    if count < 2:
        return pooled, float("nan")
    others = [np.logaddexp.reduce(np.delete(found, i)) - np.log(count - 1) for i in range(count)]
    return pooled, float((count - 1) / np.sqrt(count) * np.std(others, ddof=1))
