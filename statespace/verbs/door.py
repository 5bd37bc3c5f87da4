"""The door: data coerced and checked, the model tied to them, the method checked against the model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from ..data import Series, Transform, as_series, as_transform, moment, on_the_clock
from ..inference.amortised import (
    ELBO,
    FIVO,
    IWAE,
    AmortisedFilter,
    AmortisedSVI,
    HiddenElements,
    HiddenStretches,
)
from ..inference.ensemble import EnsembleKalman
from ..inference.exact import EXACT, exact_method
from ..inference.gaussian_filters import CubatureKalman, ExtendedKalman, GaussHermiteKalman, UnscentedKalman
from ..inference.localisation import Localisation
from ..inference.method import AbstractMethod
from ..inference.particle_filters import AuxiliaryFilter, BootstrapFilter, GuidedFilter
from ..inference.posterior_linearisation import PosteriorLinearisation
from ..inference.problem import Problem, make_problem
from ..models import as_key, is_traced, parameters, unknown
from ..models.base import AbstractStateSpace
from ..models.specification import CLASSES
from ..models.structural import AbstractComponent, AbstractObservation, Binding
from ..results import AbstractFiltered, Fitted

LINEARISED = (ExtendedKalman, UnscentedKalman, CubatureKalman, GaussHermiteKalman, PosteriorLinearisation)
PARTICLES = (BootstrapFilter, GuidedFilter, AuxiliaryFilter)
METHODS: dict[str, type[AbstractMethod]] = {
    cls.__name__: cls for cls in (*EXACT, *LINEARISED, EnsembleKalman, *PARTICLES)
}
WRITTEN: dict[str, type] = {**METHODS, "Localisation": Localisation}  # with what options are made of, in files
_LEARN = (AmortisedFilter, AmortisedSVI, ELBO, IWAE, FIVO, HiddenElements, HiddenStretches)
LEARNED: dict[str, type] = {  # with guides and what they are learned by
    **WRITTEN,
    **CLASSES,
    **{cls.__name__: cls for cls in _LEARN},
}


class Prepared(NamedTuple):
    """A bound model and coerced data."""

    model: AbstractStateSpace
    series: Series
    transform: Transform


def prepare(
    model: Any,
    data: Any,
    *,
    inputs: Any = None,
    times: Any = None,
    transform: Any = None,
    like: Series | None = None,
    part: bool = False,
) -> Prepared:
    """Coerce the data, transform them, and tie the model to them; by the names and input scales of `like`, if given.

    A series without any observation is refused, except in data for a fit, and in a part of more.

    Raises:
        TypeError: If the model is not a state-space model, or the data are of a kind that cannot be read.
        ValueError: If data, inputs and model do not fit together.
    """
    fitted, model = model if isinstance(model, Fitted | AbstractFiltered) else None, as_model(model)
    known = fitted is not None or part
    series = as_series(data, inputs, times, input_columns=model.input_names, may_be_missing=known)
    if fitted is None and like is not None:
        series = in_order(series, like.names)
    if fitted is not None:
        series = on_the_clock(in_order(series, fitted.series.names), fitted.series)
    if fitted is not None and transform is None:
        change = fitted.transform  # the model of a fit describes data on the fit's scale
    else:
        change = as_transform(transform).fit(series.observed)
    series = series.with_observed(change.forward(series.observed))
    bound = bind(model, series, like)
    check_support(bound, series)
    return Prepared(bound, series, change)


def check_support(model: AbstractStateSpace, series: Series) -> None:
    """Raise a ValueError that names the first value which the model's emission cannot make."""
    bad, expected = model.outside(series.observed, series.inputs)
    if not bad.any():
        return
    row, column = np.argwhere(bad)[0]
    where = f" of {series.names[column]!r}" if len(series.names) > 1 else ""
    kind = type(getattr(model, "observation", model)).__name__
    raise ValueError(
        f"the observation{where} at {series.index[row]} is {series.observed[row, column]:g}, but {kind} expects "
        f"{expected}: mend the data, or choose an observing term that they suit"
    )


def scale_of(model: AbstractStateSpace, series: Series) -> np.ndarray:
    """A typical standard deviation of each series, in the unit in which the model's scales are measured."""
    return series.with_observed(model.in_signal_unit(series.observed, series.inputs)).scale()


def in_order(series: Series, names: tuple[str, ...]) -> Series:
    """New data with the columns in the order of those a model was fitted to; a ValueError if they are others."""
    if len(names) == 1 == len(series.names) or series.names == names:
        return series
    if sorted(series.names) == sorted(names):
        return series.taken([series.names.index(name) for name in names])
    unnamed = tuple(f"y{i}" for i in range(len(names)))
    if series.names == unnamed:
        return replace(series, names=names)
    had, wanted = (", ".join(map(repr, found)) for found in (series.names, names))
    raise ValueError(f"the data have the series {had}, but the model was fitted to {wanted}")


def as_model(model: Any) -> AbstractStateSpace:
    """The model itself, that of a fit at its estimates, or the sum of one component; a TypeError for anything else."""
    if isinstance(model, Fitted | AbstractFiltered):
        return model.model
    if isinstance(model, (AbstractComponent, AbstractObservation)):
        return 0 + model
    if not isinstance(model, AbstractStateSpace):
        raise TypeError(
            f"expected a state-space model (a sum of components ending in Noise(), a LinearGaussian, or your own "
            f"subclass), got {type(model).__name__}"
        )
    return model


def bind(model: AbstractStateSpace, series: Series, like: Series | None = None) -> AbstractStateSpace:
    """Tie the model to the series' columns and dates; by the names and input scales of another series, if given."""
    like = series if like is None or len(like.names) != len(series.names) else like
    scale, regular = like.input_scale(), series.is_regular
    sizes = (tuple(like.level().tolist()), tuple(like.scale().tolist())) if like.mask.any() else (None, None)
    bound = model.bind(Binding(like.names, series.input_names, scale, series.index, regular, moment, *sizes))
    if bound.num_series != len(series.names):
        raise ValueError(f"the model observes {bound.num_series} series but the data have {len(series.names)}")
    return bound


def check_method(model: Any, method: Any, needed: str) -> AbstractMethod:
    """The filtering method, by default the exact one; a TypeError unless the model stands on the rungs it needs."""
    if method is not None and not isinstance(method, AbstractMethod):
        raise TypeError(f"{needed} takes a filtering method such as Kalman(), got {method!r}")
    if method is None:
        exact = exact_method(model)
        if exact is not None:
            return exact
        raise TypeError(f"no exact method serves {type(model).__name__}, {_would_do(model)}")
    lack = method.lacks(model)
    if lack:
        raise TypeError(f"{type(model).__name__} {lack}, which {type(method).__name__}() needs: {_would_do(model)}")
    return method


def _would_do(model: Any) -> str:
    """Which methods serve a model, in words."""
    found = [f"{name}()" for name, cls in METHODS.items() if not cls().lacks(model)]
    return f"pass one of {', '.join(found)}" if found else "and no other method serves it"


def require_known(model: Any, verb: str) -> None:
    """Raise a ValueError that names the parameters without a value."""
    missing = unknown(model)
    if missing:
        raise ValueError(
            f"{verb} needs a value for every parameter, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} unknown: give values, or fit the model and pass the result"
        )


def problem_of(model: Any, series: Series, *, start: int = 0, **options: Any) -> Problem:
    """The arrays of a bound model and coerced data."""
    return make_problem(
        model,
        series.values,
        series.mask,
        inputs=series.inputs,
        time=series.time,
        dt=None if series.is_regular else series.dt,
        scale=scale_of(model, series),
        start=start,
        **options,
    )


def known_problem(model: Any, series: Series, method: AbstractMethod | None = None) -> Problem:
    """The same for a model that is to be used as it is: no parameter is free."""
    fixed = {path: value for path, value in values_of(model).items() if value is not None}
    return problem_of(model, series, fixed=fixed, method=method)


def values_of(model: Any) -> dict[str, Any]:
    """The parameters' values by path."""
    return {path: found.value for path, found in parameters(model).items()}


def names_of_series(model: AbstractStateSpace, names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the series where no data say them: those given, or the model's own."""
    if names is not None:
        return (names,) if isinstance(names, str) else tuple(names)
    own = getattr(model, "series_names", None)
    count = model.num_series
    return own or (("y",) if count == 1 else tuple(f"y{i}" for i in range(count)))


def refuse_traced(verb: str, *trees: Any) -> None:
    """Raise a TypeError where JAX is tracing what a labelled result would have to hold as numbers."""
    if traced(*trees):
        raise TypeError(
            f"{verb} returns labelled numbers, so it cannot run while JAX traces (jit, grad, vmap): use "
            "ss.log_likelihood or ss.observe there"
        )


def key_of(method: AbstractMethod, key: Any, verb: str) -> Any:
    """The key of a method that draws, which must be given; None for one that does not."""
    if not method.random:
        return None
    if key is None:
        raise ValueError(
            f"{type(method).__name__} draws random numbers: pass {verb}(..., key=jax.random.key(0)) (any integer)"
        )
    return as_key(key)


def log_jacobian(series: Series, transform: Transform) -> np.ndarray:
    """What takes the density of a series on the model's scale to the original one, (time, series); 0 where missing."""
    original = transform.inverse(series.observed)
    return np.where(series.mask, transform.log_jacobian(original), 0.0)


def held_values(fitted: Fitted) -> dict[str, Any]:
    """The values of the parameters that a fit did not learn."""
    return {path: v for path, v in values_of(fitted.model).items() if path not in (fitted.draws or {})}


def traced(*trees: Any) -> bool:
    """Whether any array in the trees is being traced by JAX."""
    return any(is_traced(leaf) for tree in trees for leaf in jax.tree.leaves(tree))


def chosen_draws(fitted: Fitted, num_samples: int | None, key: Any) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """Posterior draws in one axis, and the shape that results of them have.

    Args:
        fitted: A fit with draws.
        num_samples: How many, picked at random, twice only where there are too few; None for each one once.
        key: PRNG key.

    Returns:
        Draws by path; (chain, draw) where each is used once, else (draw,).
    """
    draws = flat_draws(fitted)
    if num_samples is None:
        return draws, np.shape(next(iter((fitted.draws or {}).values())))[:2]
    have = len(next(iter(draws.values())))
    rows = np.asarray(jax.random.choice(key, have, (num_samples,), replace=num_samples > have))
    return {path: v[rows] for path, v in draws.items()}, (num_samples,)


def flat_draws(fitted: Fitted, most: int | None = None) -> dict[str, np.ndarray]:
    """The draws of all chains in one axis; evenly thinned to at most `most`."""
    draws = {path: np.asarray(v).reshape(-1, *np.shape(v)[2:]) for path, v in (fitted.draws or {}).items()}
    count = len(next(iter(draws.values())))
    if most is None or count <= most:
        return draws
    chosen = np.linspace(0, count - 1, most).round().astype(int)
    return {path: v[chosen] for path, v in draws.items()}
