"""fit, default_priors, load."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from ..inference import analysis
from ..inference.em import EM, maximise_em
from ..inference.maximum_likelihood import MAP, MaximumLikelihood, Optimum, maximise
from ..inference.nuts import NUTS, Draws, sample
from ..inference.panel import joined
from ..inference.problem import Problem, merge_priors, parameters
from ..models.base import AbstractLinearDynamics
from ..models.specification import CLASSES, describe, rebuild
from ..results import Fitted, PanelFit, Priors, Status, read
from .door import METHODS, PARTS_OF_METHODS, Prepared, as_key, check_method, log_jacobian, prepare, problem_of, scale_of
from .filtering import compiled_log_likelihood
from .panel import is_panel, members, share
from .workers import over_draws

_OPEN = (
    "{} direction(s) of the diffuse first state open, so smoothed states and forecasts are not defined: there are too "
    "few data, or components share a direction (two seasonals with a common frequency do: choose harmonics=), or give "
    "initial= to one of them"
)
_METHODS = (MaximumLikelihood, EM, MAP, NUTS)
_WITHOUT_PRIORS = (MaximumLikelihood, EM)


def fit(
    model: Any,
    data: Any,
    method: MaximumLikelihood | EM | MAP | NUTS | None = None,
    *,
    inputs: Any = None,
    times: Any = None,
    priors: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    transform: Any = None,
    start: Any = None,
    key: Any = None,
    progress: bool = True,
) -> Any:
    """Learn a model's unknown parameters from data.

    Args:
        model: A model; parameters with a value start there, unknown ones start from the data's scale. A scale
            given as exactly zero stays zero.
        data: Series, (time,) or (time, series): pandas, xarray, NumPy or JAX. NaN is missing. Or a panel: a list of
            series of any lengths, or a dictionary of them by name, which share the parameters.
        method: `MaximumLikelihood()` (the default), `EM()` for discrete states, `MAP()` or `NUTS()`.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        priors: Priors by parameter path, in place of the default ones (`default_priors`); MAP and NUTS only.
        fixed: Values by parameter path that are held, not learned.
        transform: `"log"`, `"boxcox"` or a `Transform` of the data, which the model then describes; likelihoods
            include its Jacobian and forecasts come back on the original scale.
        start: Values by path, or an earlier fit, to start from (a warm start).
        key: PRNG key, or a whole number that makes one; needed by NUTS, and by a filter that draws, which draws the
            same numbers at all values of the parameters. An optimiser draws its further starts with it.
        progress: Whether to show a progress bar.

    Returns:
        A `Fitted`: `summary()`, `to_arviz()`, and accepted wherever a model is. Of a panel, a `PanelFit`: one for
        each series.

    Raises:
        ValueError: If a path is unknown, a prior does not fit its parameter, or data and model do not fit.
        TypeError: If the method is not one of them.

    Example:
        >>> import statespace as ss
        >>> found = ss.fit(ss.LocalLevel() + ss.Noise(), ss.datasets.nile(), progress=False)
        >>> round(float(found.estimates["noise.scale"]) ** 2)
        15099

    Reference: Durbin and Koopman (2012), chapter 7 and section 13.
    """
    method = MaximumLikelihood() if method is None else method
    if not isinstance(method, _METHODS):
        raise TypeError(f"fit takes MaximumLikelihood(), EM(), MAP() or NUTS(), got {method!r}")
    if isinstance(method, _WITHOUT_PRIORS) and priors:
        raise ValueError("maximum likelihood uses no priors: leave priors= out, or use MAP() or NUTS()")
    if isinstance(method, NUTS) and key is None:
        raise ValueError("NUTS draws random numbers: pass key=jax.random.key(0) (any integer)")
    both = sorted(set(priors or {}) & set(fixed or {}))
    if both:
        raise ValueError(f"{', '.join(both)} is in priors= and in fixed=: a value that is held has no prior, drop one")
    key = as_key(key)
    names, prepared = _prepared(model, data, inputs, times, transform)
    filter_method = check_method(prepared[0].model, method.filter, "fit")
    _check_random(filter_method, key)
    scale = _scale(prepared)
    law = None if isinstance(method, _WITHOUT_PRIORS) else merge_priors(prepared[0].model, scale, priors)
    problems = [problem_of(p.model, p.series, fixed=fixed, priors=law, method=filter_method) for p in prepared]
    whole = problems[0] if len(problems) == 1 else joined(problems)
    if filter_method.random:  # the same random numbers at all values of the parameters
        fixed_key, key = jax.random.split(key)
        whole, *problems = [replace(problem, key=fixed_key) for problem in (whole, *problems)]
    warm = _warm(start, whole)
    if isinstance(method, NUTS):
        key, use = jax.random.split(key)
        draws = _draws(whole, method, scale, key, progress, warm)
        keys = jax.random.split(use, len(problems))
        passes = zip(prepared, problems, keys, strict=True)
        found = [_sampled(part, problem, draws, method, k, progress) for part, problem, k in passes]
    else:
        optimum = _optimum(whole, method, scale, progress, warm, key)
        pairs = zip(prepared, problems, strict=True)
        found = [_maximised(part, problem, optimum, method) for part, problem in pairs]
    return found[0] if names is None else PanelFit(dict(zip(names, found, strict=True)))


def _check_random(method: Any, key: Any) -> None:
    """Raise where a method that draws has no key, or a log-likelihood that cannot be climbed."""
    if method.random and not method.differentiable:
        raise TypeError(
            f"the log-likelihood of {type(method).__name__} is not a smooth function of the parameters, but fit climbs "
            "it: choose another filter= where there is one"
        )
    if method.random and key is None:
        raise ValueError(f"{type(method).__name__} draws random numbers: pass fit(..., key=jax.random.key(0))")


def _prepared(
    model: Any, data: Any, inputs: Any, times: Any, transform: Any
) -> tuple[list[str] | None, list[Prepared]]:
    """The series of a panel and their names, or one series and None."""
    if not is_panel(data):
        return None, [prepare(model, data, inputs=inputs, times=times, transform=transform)]
    parts = members(data)
    names = list(parts)
    pairs = zip(parts.values(), share(inputs, names, "inputs"), share(times, names, "times"), strict=True)
    found: list[Prepared] = []
    for y, x, t in pairs:  # the first one's names, input scales and transform serve all
        first = found[0] if found else None
        change = transform if first is None else first.transform
        like = None if first is None else first.series
        found.append(prepare(model, y, inputs=x, times=t, transform=change, like=like))
    return names, found


def default_priors(model: Any, data: Any, *, inputs: Any = None, times: Any = None, transform: Any = None) -> Priors:
    """The priors that `fit` uses where none are given: weakly informative, on the data's scale.

    Args:
        model: The model.
        data: Series, (time,) or (time, series).
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        transform: The transform that will be given to `fit`.

    Returns:
        A printable dictionary from parameter path to NumPyro distribution.

    Raises:
        ValueError: If data, inputs and model do not fit together.

    Example:
        >>> import statespace as ss
        >>> list(ss.default_priors(ss.LocalLevel() + ss.Noise(), ss.datasets.nile()))
        ['level.scale', 'noise.scale']
    """
    _, prepared = _prepared(model, data, inputs, times, transform)
    return Priors(merge_priors(prepared[0].model, _scale(prepared), None))


def _scale(prepared: list[Prepared]) -> np.ndarray:
    """A typical standard deviation of each series, the mean over a panel."""
    return np.mean([scale_of(part.model, part.series) for part in prepared], axis=0)


def load(path: str | os.PathLike, *, model: Any = None) -> Any:
    """Read a fit that was saved with `fitted.save(path)`: draws, diagnostics, data and model.

    Args:
        path: A `.nc` or `.zarr` path.
        model: The model, where it is your own class, which no file can hold.

    Raises:
        ValueError: If the file is not a saved fit, or holds a model that has to be given.

    Example:
        >>> import statespace as ss
        >>> ss.load("missing.nc")
        Traceback (most recent call last):
        ...
        FileNotFoundError: missing.nc does not exist
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} does not exist")

    def build(text: str, method: str) -> tuple[Any, Any]:
        if model is None and not text:
            raise ValueError(f"{path} holds the fit of a model class of your own: pass it as load(path, model=...)")
        made = rebuild(json.loads(text)) if model is None else model
        return made, rebuild(json.loads(method), METHODS | PARTS_OF_METHODS) if method else None

    return read(path, build)


def _warm(start: Any, problem: Problem) -> dict[str, Any] | None:
    if start is None:
        return None
    if isinstance(start, Fitted | PanelFit):
        values = start.estimates
    elif isinstance(start, Mapping):
        values = dict(start)
        unknown = [path for path in values if path not in parameters(problem.model)]
        if unknown:
            raise ValueError(f"start names {unknown}, but the model's parameters are {list(parameters(problem.model))}")
    else:
        raise TypeError(f"start is an earlier fit or values by path, got {type(start).__name__}")
    return {path: jnp.asarray(values[path]) for path in problem.free if path in values}


def _specification(value: Any, classes: Any = CLASSES) -> str:
    try:
        return json.dumps(describe(value, classes))
    except TypeError:
        return ""


def _common(prepared: Prepared, problem: Problem, model: Any) -> dict[str, Any]:
    law = model.initial_law(problem.steps[0]) if isinstance(model, AbstractLinearDynamics) else None
    known = parameters(model)
    return {
        "model": model,
        "series": prepared.series,
        "transform": prepared.transform,
        "diffuse_count": (0 if law is None else sum(law.diffuse)) - problem.plan.unidentified,
        "num_observations": int(prepared.series.mask.sum()),
        "num_parameters": sum(known[p].dimension for p in problem.free) + prepared.transform.num_estimated,
        "priors": dict(problem.priors),
        "supports": {path: str(p.constraint) for path, p in known.items()},
        "specification": _specification(model),
        "filter_method": problem.method,
        "filter_specification": _specification(problem.method, METHODS | PARTS_OF_METHODS),
    }


def _optimum(problem: Problem, method: Any, scale: Any, progress: bool, warm: Any, key: Any) -> Optimum:
    with tqdm(total=method.num_starts, desc="maximising", disable=not progress, leave=False) as bar:

        def report(number: int, value: float) -> None:
            bar.update(1)
            bar.set_postfix_str(f"best of start {number + 1}: {-value:.4f}")

        if isinstance(method, EM):
            return maximise_em(problem, method, scale, report, warm, key)
        return maximise(problem, method, scale, report, warm, key)


def _maximised(prepared: Prepared, problem: Problem, found: Optimum, method: Any) -> Fitted:
    values = {path: jnp.asarray(v) for path, v in found.values.items()}
    model = problem.at(values)
    mle = isinstance(method, _WITHOUT_PRIORS)
    coefficients = _coefficients(problem, values, found)
    return Fitted(
        **_common(prepared, problem, model),
        method_name="maximum_likelihood" if mle else "map",
        draws=None,
        estimates={path: np.asarray(found.values[path]) for path in problem.free},
        standard_errors={path: np.asarray(found.standard_errors[path]) for path in problem.free},
        intervals=found.intervals,
        unconstrained_covariance=found.covariance,
        sample_stats={},
        log_likelihood=_log_likelihood(prepared, problem, values),
        status=_identified(_status(found), coefficients, problem),
        coefficients=coefficients,
        pointwise=None,
        extra_groups={},
    )


def _identified(status: Status, coefficients: dict[str, Any], problem: Problem) -> Status:
    """The status, or one that says which coefficients or how many states the data cannot tell from the others."""
    lost = [name for name, value in coefficients.items() if np.all(np.isnan(np.asarray(value)))]
    if not lost and not problem.plan.unidentified:
        return status
    text = f"the data leave {_OPEN.format(problem.plan.unidentified)}"
    if lost:
        text = f"the data do not identify {', '.join(lost)}: leave the input out, or give its law with initial="
    return Status(False, f"{status.message}; {text}", status.details)


def _status(found: Optimum) -> Status:
    return Status(found.converged, found.message, {**found.details, "at_zero": list(found.at_zero)})


def _log_likelihood(prepared: Prepared, problem: Problem, values: dict[str, Any]) -> float:
    """The log-likelihood on the data's original scale."""
    jacobian = log_jacobian(prepared.series, prepared.transform)
    return float(compiled_log_likelihood(problem, values)) + float(jacobian.sum())


def _reported(model: Any) -> tuple[list[str], tuple[int, ...]]:
    names: list[str] = list(getattr(model, "reported_states", ()))
    return names, tuple(model.state_names.index(name) for name in names)


def _coefficients(problem: Problem, values: dict[str, Any], found: Optimum) -> dict[str, tuple[float, float]]:
    """Constant coefficients and their standard deviations, given the estimates; none by a filter that draws."""
    names, positions = _reported(problem.model)
    if problem.method.random or not names or not np.all([np.all(np.isfinite(v)) for v in found.values.values()]):
        return {}
    last = analysis.filter_arrays(problem, values).last
    mean, cov = np.asarray(last.mean), np.asarray(last.cov)
    return {n: (float(mean[i]), float(np.sqrt(max(cov[i, i], 0.0)))) for n, i in zip(names, positions, strict=True)}


def _draws(problem: Problem, method: NUTS, scale: Any, key: Any, progress: bool, warm: Any) -> Draws:
    total = method.num_warmup + method.num_samples
    with tqdm(total=total, desc=f"NUTS, {method.num_chains} chains", disable=not progress) as bar:

        def report(done: int, total: int, divergences: int) -> None:
            del total
            bar.update(done - bar.n)
            bar.set_postfix_str(f"{divergences} divergences" if divergences else "")

        return sample(problem, method, scale, key, report, warm)


def _sampled(prepared: Prepared, problem: Problem, draws: Draws, method: NUTS, key: Any, progress: bool) -> Fitted:
    pointwise, coefficients = _pointwise(prepared, problem, draws, key, progress)
    means = {path: np.asarray(v.mean(axis=(0, 1))) for path, v in draws.values.items()}
    model = problem.at({path: jnp.asarray(v) for path, v in means.items()})
    return Fitted(
        **_common(prepared, problem, model),
        method_name="nuts",
        draws=draws.values,
        estimates=means,
        standard_errors=None,
        unconstrained_covariance=None,
        sample_stats=draws.stats,
        log_likelihood=None,
        status=_identified(_sampler_status(draws, method), coefficients, problem),
        coefficients=coefficients,
        pointwise=pointwise,
        extra_groups={},
    )


def _sampler_status(draws: Draws, method: NUTS) -> Status:
    count = next(iter(draws.values.values())).shape[1]
    details = {
        "max_tree_depth": method.max_tree_depth,
        "num_warmup": method.num_warmup,
        "interrupted": draws.interrupted,
    }
    if draws.interrupted:
        text = f"interrupted: {count} of {method.num_samples} draws a chain were completed and kept"
        return Status(False, text, details)
    return Status(True, f"{count} draws in each of {method.num_chains} chains", details)


def _pointwise(prepared: Prepared, problem: Problem, draws: Draws, key: Any, progress: bool) -> tuple[dict, dict]:
    """Pointwise densities on the original scale, and coefficient draws, for every posterior draw."""
    names, positions = _reported(problem.model)
    shape = next(iter(draws.values.values())).shape[:2]
    flat = {p: v.reshape(-1, *v.shape[2:]) for p, v in draws.values.items()}
    found = over_draws(
        lambda part, keys: analysis.draw_arrays(problem, part, keys, positions),
        flat,
        key,
        progress,
        "densities",
    )
    jacobian = log_jacobian(prepared.series, prepared.transform).sum(axis=1)
    pointwise = {
        "loo": found.loo.reshape(*shape, -1) + jacobian,
        "one_step": found.one_step.reshape(*shape, -1) + jacobian,
    }
    return pointwise, {n: found.coefficients[:, i].reshape(shape) for i, n in enumerate(names)}
