"""fit and default_priors."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..inference.amortised import AmortisedSVI
from ..inference.chains import AbstractSampler
from ..inference.em import EM
from ..inference.maximum_likelihood import MAP, MaximumLikelihood
from ..inference.method import AbstractMethod
from ..inference.panel import joined
from ..inference.priors import merge_priors
from ..inference.problem import Problem
from ..models import parameters
from ..results import Fitted, PanelFit, Priors
from .door import Prepared, as_key, check_method, prepare, problem_of, scale_of
from .learning import learned
from .maximising import maximised, optimised
from .panel import is_panel, parts_of
from .sampling import drawn, sampled

_METHODS = (MaximumLikelihood, EM, MAP, AbstractSampler, AmortisedSVI)
_NEED_KEYS = (AbstractSampler, AmortisedSVI)
_WITHOUT_PRIORS = (MaximumLikelihood, EM)
_NAMES = "MaximumLikelihood(), EM(), MAP(), NUTS(), PMMH(), ParticleGibbs(), TemperedSMC() or SVI()"


def fit(
    model: Any,
    data: Any,
    method: MaximumLikelihood | EM | MAP | AbstractSampler | AmortisedSVI | None = None,
    *,
    inputs: Any = None,
    times: Any = None,
    priors: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    transform: Any = None,
    start: Any = None,
    held_out: Any = None,
    key: Any = None,
    progress: bool = True,
) -> Any:
    """Learn a model's unknown parameters from data.

    Args:
        model: A model; parameters with a value start there, unknown ones start from the data's scale. A scale
            given as exactly zero stays zero.
        data: Series, (time,) or (time, series): pandas, xarray, NumPy or JAX. NaN is missing. Or a panel: a list of
            series of any lengths, or a dictionary of them by name, which share the parameters.
        method: `MaximumLikelihood()` (the default), `EM()` for discrete states, `MAP()`, or a sampler: `NUTS()`,
            `PMMH()`, `ParticleGibbs()`, `TemperedSMC()`, or `SVI()`, which approximates the posterior, or learns a
            deep model together with a guide.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        priors: Priors by parameter path, in place of the default ones (`default_priors`); MAP and samplers only.
        fixed: Values by parameter path that are held, not learned.
        transform: `"log"`, `"boxcox"` or a `Transform` of the data, which the model then describes; likelihoods
            include its Jacobian and forecasts come back on the original scale.
        start: Values by path, or an earlier fit, to start from (a warm start).
        held_out: For `SVI(guide=Guide(...))`: sequences on which the bound is watched, as data are given, or the share
            of the panel's that is held out. The weights with the best bound there are kept.
        key: PRNG key, or a whole number that makes one; needed by samplers, and by a filter that draws. An optimiser
            draws its further starts with it.
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
        how = f": pass MaximumLikelihood(filter={method!r})" if isinstance(method, AbstractMethod) else ""
        raise TypeError(f"fit takes {_NAMES}, got {method!r}{how}")
    if isinstance(method, _WITHOUT_PRIORS) and priors:
        raise ValueError(
            "maximum likelihood uses no priors: leave priors= out, or use MAP() or a sampler such as NUTS()"
        )
    if isinstance(method, _NEED_KEYS) and key is None:
        raise ValueError(f"{type(method).__name__} draws random numbers: pass key=jax.random.key(0) (any integer)")
    both = sorted(set(priors or {}) & set(fixed or {}))
    if both:
        raise ValueError(f"{', '.join(both)} is in priors= and in fixed=: a value that is held has no prior, drop one")
    key = None if key is None else as_key(key)
    if isinstance(method, AmortisedSVI):
        given = {"inputs": inputs, "times": times, "priors": priors, "fixed": fixed, "transform": transform}
        return learned(model, data, method, held_out=held_out, key=key, progress=progress, start=start, **given)
    if held_out is not None:
        raise TypeError(f"held_out= is for SVI(guide=Guide(...)), which watches it: {type(method).__name__} does not")
    names, prepared = _prepared(model, data, inputs, times, transform)
    filter_method = _filter_of(method, prepared[0].model)
    if filter_method.random and filter_method.differentiable and key is None:
        raise ValueError(f"{type(filter_method).__name__} draws random numbers: pass fit(..., key=jax.random.key(0))")
    scale = _scale(prepared)
    law = None if isinstance(method, _WITHOUT_PRIORS) else merge_priors(prepared[0].model, scale, priors)
    problems = [problem_of(p.model, p.series, fixed=fixed, priors=law, method=filter_method) for p in prepared]
    whole = problems[0] if len(problems) == 1 else joined(problems)
    if filter_method.random and filter_method.differentiable:  # the same numbers at all values of the parameters
        fixed_key, key = jax.random.split(key)
        whole, *problems = [replace(problem, key=fixed_key) for problem in (whole, *problems)]
    _check_problem(whole, method)
    if start is not None and isinstance(method, AbstractSampler) and not method.takes_start:
        raise ValueError(f"{type(method).__name__} starts from the priors: leave start= out")
    warm = _warm(start, whole)
    if isinstance(method, AbstractSampler):
        key, use = jax.random.split(key)
        draws = drawn(whole, method, scale, key, progress, warm)
        found = sampled(prepared, problems, draws, method, use, progress)
    else:
        optimum = optimised(whole, method, scale, progress, warm, key)
        pairs = zip(prepared, problems, strict=True)
        found = [maximised(part, problem, optimum, method) for part, problem in pairs]
    return found[0] if names is None else PanelFit(dict(zip(names, found, strict=True)))


def _filter_of(method: Any, model: Any) -> AbstractMethod:
    """How the states are integrated out: as the way of fitting says, else exactly."""
    try:
        return check_method(model, method.filter, "fit")
    except TypeError as error:
        if method.filter is not None:
            raise
        raise TypeError(f"{error}, as in fit(model, data, {type(method).__name__}(filter=...))") from None


def _check_problem(problem: Problem, method: Any) -> None:
    """A TypeError where the way of fitting does not serve the problem."""
    name = type(method).__name__
    lack = method.lacks(problem) if isinstance(method, AbstractSampler) else ""
    if lack:
        raise TypeError(f"{name}() cannot serve: {type(problem.model).__name__} {lack}")
    if not isinstance(method, AbstractSampler) and not problem.method.differentiable:
        raise TypeError(
            f"{name}() climbs the gradient of the log-likelihood, and {type(problem.method).__name__}() estimates it "
            "with noise: fit by PMMH(filter) or ParticleGibbs(filter), or take a filter without noise "
            "(ExtendedKalman(), UnscentedKalman())"
        )


def _prepared(
    model: Any, data: Any, inputs: Any, times: Any, transform: Any
) -> tuple[list[str] | None, list[Prepared]]:
    """The series of a panel and their names, or one series and None."""
    if not is_panel(data):
        return None, [prepare(model, data, inputs=inputs, times=times, transform=transform)]
    parts = parts_of(data, inputs, times)
    found: list[Prepared] = []
    for y, x, t in parts.values():  # the first one's names, input scales and transform serve all
        first = found[0] if found else None
        change = transform if first is None else first.transform
        like = None if first is None else first.series
        found.append(prepare(model, y, inputs=x, times=t, transform=change, like=like))
    return list(parts), found


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
