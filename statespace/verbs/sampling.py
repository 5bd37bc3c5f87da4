"""Fits by sampling the posterior, and going on with them."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from ..inference import analysis
from ..inference.amortised import AmortisedSVI
from ..inference.chains import AbstractSampler, Draws
from ..inference.nuts import NUTS
from ..inference.panel import joined
from ..inference.particle_gibbs import ParticleGibbs
from ..inference.pmmh import PMMH
from ..inference.priors import merge_priors
from ..inference.problem import Problem
from ..inference.starts import first_values
from ..inference.tempered import TemperedSMC
from ..inference.variational import FamilySVI
from ..results import Fitted, PanelFit, Status, in_words, pareto_k
from .accounts import common, identified, reported, specification
from .door import WRITTEN, Prepared, as_key, log_jacobian, problem_of, scale_of, values_of
from .labelling import label_paths
from .learning import go_on
from .workers import over_draws

SAMPLERS = {cls.__name__: cls for cls in (NUTS, PMMH, ParticleGibbs, TemperedSMC, FamilySVI)}
_REPLICATES = 32


def drawn(
    problem: Problem,
    sampler: AbstractSampler,
    scale: Any,
    key: Any,
    progress: bool,
    warm: Any = None,
    state: list[np.ndarray] | None = None,
) -> Draws:
    """Run a sampler with a progress bar."""
    if not problem.free:
        raise ValueError("the model has no parameter to learn: every one is fixed or zero; use filter or smooth")
    start = first_values(problem, scale, warm)
    with tqdm(desc=f"{type(sampler).__name__}, {sampler.num_chains} chains", disable=not progress) as bar:

        def report(done: float, total: float, text: str) -> None:
            bar.total = total
            bar.update(done - bar.n)
            bar.set_postfix_str(text)

        return sampler.run(problem.without_values(), start, key, report, state)


def sampled(
    prepared: list[Prepared], problems: list[Problem], draws: Draws, sampler: AbstractSampler, key: Any, progress: bool
) -> list[Fitted]:
    """The fits by posterior draws of one series, or of all that share the parameters."""
    spread_key, *keys = jax.random.split(key, len(problems) + 1)
    problems = [problem.without_values() for problem in problems]
    means = {path: np.asarray(v.mean(axis=(0, 1))) for path, v in draws.values.items()}
    whole = problems[0] if len(problems) == 1 else joined(problems)
    more = _spread(whole, means, spread_key) | _evidence(prepared, draws)
    if "log_weight" in draws.stats:
        more["pareto_k"] = pareto_k(draws.stats["log_weight"])
    if problems[0].key is not None:
        more["filter_key"] = np.asarray(jax.random.key_data(problems[0].key)).tolist()
    status = _status(draws, sampler, more)
    parts = zip(prepared, problems, keys, strict=True)
    return [_member(part, problem, draws, sampler, status, k, progress) for part, problem, k in parts]


def _member(
    prepared: Prepared,
    problem: Problem,
    draws: Draws,
    sampler: AbstractSampler,
    status: Status,
    key: Any,
    progress: bool,
) -> Fitted:
    """The fit of one series."""
    means = {path: np.asarray(v.mean(axis=(0, 1))) for path, v in draws.values.items()}
    pointwise, coefficients = _pointwise(prepared, problem, draws, key, progress)
    model = problem.at({path: jnp.asarray(v) for path, v in means.items()})
    fitted = Fitted(
        **common(prepared, problem, model),
        method_name=sampler.name,
        draws=draws.values,
        estimates=means,
        standard_errors=None,
        unconstrained_covariance=None,
        sample_stats=draws.stats,
        log_likelihood=None,
        status=identified(status, coefficients, problem),
        coefficients=coefficients,
        pointwise=pointwise,
        extra_groups={},
        sampler=sampler,
        sampler_specification=specification(sampler, {**WRITTEN, **SAMPLERS}),
        sampler_state=draws.state,
    )
    if draws.paths is None:
        return fitted
    return fitted.with_groups(states=label_paths(draws.paths, prepared))


def _spread(problem: Problem, values: dict[str, Any], key: Any) -> dict[str, Any]:
    """The standard deviation of estimates of the log-likelihood at the posterior means, where it is estimated."""
    if not problem.estimated:
        return {}
    many = {path: jnp.broadcast_to(v, (_REPLICATES, *v.shape)) for path, v in values.items()}
    found = np.asarray(analysis.log_likelihood_arrays(problem, many, key))
    return {"log_likelihood_sd": float(found.std(ddof=1))}


def _evidence(prepared: list[Prepared], draws: Draws) -> dict[str, Any]:
    """The evidence of all series on their original scale, where the sampler estimates it."""
    if "log_evidence" not in draws.details:
        return {}
    jacobian = sum(float(log_jacobian(part.series, part.transform).sum()) for part in prepared)
    each = [value + jacobian for value in draws.details["log_evidence_by_chain"]]
    return {"log_evidence": draws.details["log_evidence"] + jacobian, "log_evidence_by_chain": each}


def _status(draws: Draws, sampler: AbstractSampler, more: dict[str, Any]) -> Status:
    count = next(iter(draws.values.values())).shape[1]
    details = {**sampler.details(), **draws.details, **more, "interrupted": draws.interrupted}
    details["cautions"] = sampler.cautions(details)
    if draws.unfinished:
        return Status(False, f"{draws.unfinished}; ss.resume goes on", details)
    if draws.interrupted and count < sampler.num_samples:
        text = f"interrupted: {count} of {sampler.num_samples} draws a chain were completed and kept"
        return Status(False, f"{text}; ss.resume goes on", details)
    return Status(True, f"{count} draws in each of {sampler.num_chains} chains", details)


def _pointwise(
    prepared: Prepared, problem: Problem, draws: Draws, key: Any, progress: bool
) -> tuple[dict | None, dict]:
    """Pointwise densities on the original scale, and coefficient draws, for every posterior draw.

    A method that draws would need a run for each, and gives no densities without the stamp itself.
    """
    names, positions = reported(problem.model)
    if problem.estimated and not names:
        return None, {}
    shape = next(iter(draws.values.values())).shape[:2]
    flat = {p: v.reshape(-1, *v.shape[2:]) for p, v in draws.values.items()}
    found = over_draws(
        lambda part, keys: analysis.draw_arrays(problem, part, keys, positions), flat, key, progress, "densities"
    )
    coefficients = {n: found.coefficients[:, i].reshape(shape) for i, n in enumerate(names)}
    if problem.estimated:
        return None, coefficients
    jacobian = log_jacobian(prepared.series, prepared.transform).sum(axis=1)
    pointwise = {
        "loo": found.loo.reshape(*shape, -1) + jacobian,
        "one_step": found.one_step.reshape(*shape, -1) + jacobian,
    }
    return pointwise, coefficients


def resume(
    fitted: Any,
    num_samples: int | None = None,
    *,
    priors: Any = None,
    held_out: Any = None,
    key: Any = None,
    progress: bool = True,
) -> Any:
    """Go on sampling, or learning, where a fit ended: after an interruption, or for more draws or steps.

    Chains go on without a further warm-up; a deep model's weights with the same steps as if nothing had stopped.

    Args:
        fitted: A fit by NUTS or another sampler, or with a guide, or what `load` read of it; or a `PanelFit`.
        num_samples: How many draws a chain (steps, with a guide) to add: left out, what an interruption left undone,
            else as many as the method was told to make.
        priors: The priors that were given to `fit`, where the fit comes from a file (which holds them in words);
            default ones are found again.
        held_out: The sequences that were held out in a fit with a guide, if there were some.
        key: PRNG key for what is computed from the draws; the chains go on with their own.
        progress: Whether to show a progress bar.

    Returns:
        A fit that holds the earlier draws and the new ones.

    Raises:
        TypeError: If it is not a fit by sampling.
        ValueError: If num_samples is below 1 or the priors are not those of the fit.

    Example:
        >>> import statespace as ss
        >>> ss.resume(ss.fit(ss.LocalLevel() + ss.Noise(), ss.datasets.nile(), progress=False))
        Traceback (most recent call last):
        ...
        TypeError: resume takes a fit by sampling (NUTS, PMMH, ...), got one by maximum_likelihood
    """
    members = dict(fitted) if isinstance(fitted, PanelFit) else {"": fitted}
    first = next(iter(members.values()))
    if num_samples is not None and num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    if isinstance(first, Fitted) and isinstance(first.sampler, AmortisedSVI):
        return go_on(fitted, num_samples, priors, held_out, progress)
    if not isinstance(first, Fitted) or first.draws is None or first.sampler is None:
        what = f"one by {first.method_name}" if isinstance(first, Fitted) else type(first).__name__
        raise TypeError(f"resume takes a fit by sampling (NUTS, PMMH, ...), got {what}")
    made = next(iter(first.draws.values())).shape[1]
    sampler = first.sampler.further(made, num_samples)
    prepared = [Prepared(m.model, m.series, m.transform) for m in members.values()]
    problems, scale = _problems(first, prepared, priors)
    whole = problems[0] if len(problems) == 1 else joined(problems)
    if "filter_key" in first.status.details:
        held = jax.random.wrap_key_data(jnp.asarray(first.status.details["filter_key"], jnp.uint32))
        whole, *problems = [replace(problem, key=held) for problem in (whole, *problems)]
    later = drawn(whole, sampler, scale, jax.random.key(0), progress, None, first.sampler_state)
    alone = not sampler.adds_draws or first.status.details.get("exponent", 1.0) < 1
    both = later if alone else _together(first, later)
    sampler = sampler if not sampler.adds_draws else first.sampler.lasting(made + sampler.num_samples)
    key = jax.random.key(0) if key is None else as_key(key)
    found = sampled(prepared, problems, both, sampler, key, progress)
    return PanelFit(dict(zip(members, found, strict=True))) if isinstance(fitted, PanelFit) else found[0]


def _problems(fitted: Fitted, prepared: list[Prepared], priors: Any) -> tuple[list[Problem], Any]:
    """What was sampled, with the priors that it had."""
    scale = np.mean([scale_of(part.model, part.series) for part in prepared], axis=0)
    law: dict[str, Any] = dict(merge_priors(fitted.model, scale, priors))
    kept = {path: p for path, p in fitted.priors.items() if not isinstance(p, str) and path not in (priors or {})}
    law |= kept
    wrong = [path for path, p in fitted.priors.items() if in_words(law[path]) != in_words(p)]
    if wrong:
        texts = ", ".join(f"{path} ~ {in_words(fitted.priors[path])}" for path in wrong)
        raise ValueError(f"the fit had the priors {texts}: pass them as priors= to go on with it")
    fixed = {path: v for path, v in values_of(fitted.model).items() if path not in (fitted.draws or {})}
    made = [problem_of(p.model, p.series, fixed=fixed, priors=law, method=fitted.filter_method) for p in prepared]
    return made, scale


def _together(fitted: Fitted, later: Draws) -> Draws:
    """Earlier and later draws as one."""
    assert fitted.draws is not None

    def both(earlier: Any, new: Any) -> np.ndarray:
        return np.concatenate([earlier, new], axis=1)

    states = fitted.extra_groups.get("posterior", {}).get("states")
    values = {path: both(fitted.draws[path], v) for path, v in later.values.items()}
    stats = {name: both(fitted.sample_stats[name], v) for name, v in later.stats.items()}
    paths = None if later.paths is None or states is None else both(states.to_numpy(), later.paths)
    return replace(later, values=values, stats=stats, paths=paths)
