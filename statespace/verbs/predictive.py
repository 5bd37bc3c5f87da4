"""prior_predictive, posterior_predictive and impute: data that the model would make."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import xarray as xr

from ..inference import analysis
from ..inference.method import AbstractMethod
from ..inference.priors import merge_priors
from ..results import Fitted, labelled_values
from .door import METHODS, as_key, chosen_draws, held_values, known_problem, prepare, problem_of, scale_of
from .filtering import prepared_for
from .panel import for_each_member
from .workers import over_draws

_UNLESS_TOLD = 200


@for_each_member
def prior_predictive(
    model: Any,
    data: Any,
    *,
    inputs: Any = None,
    times: Any = None,
    priors: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    transform: Any = None,
    num_samples: int = 200,
    key: Any,
) -> xr.Dataset:
    """Series that the model makes under its priors, on the data's stamps.

    Diffuse states have no prior to draw from, so each series starts from the Kalman belief after the first
    stamps of the data, those that identify them; there the values are missing (NaN).

    Args:
        model: The model.
        data: Series, for their stamps, scale and first values.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        priors: Priors by path in place of the default ones.
        fixed: Values by path that are held.
        transform: As in `fit`; series come back on the original scale.
        num_samples: Number of series.
        key: PRNG key.

    Returns:
        A Dataset with `y` (draw, time, series) and the parameters, (draw, ...), under their paths.

    Raises:
        ValueError: As `fit`.

    Example:
        >>> import jax, statespace as ss
        >>> draws = ss.prior_predictive(
        ...     ss.LocalLevel() + ss.Noise(), ss.datasets.nile(), num_samples=5, key=jax.random.key(0))
        >>> draws.y.shape
        (5, 100, 1)
    """
    prepared = prepare(model, data, inputs=inputs, times=times, transform=transform)
    law = merge_priors(prepared.model, scale_of(prepared.model, prepared.series), priors)
    method = next(cls() for cls in METHODS.values() if not cls().lacks(prepared.model))  # the exact one comes first
    problem = problem_of(prepared.model, prepared.series, fixed=fixed, priors=law, method=method)
    prior_key, path_key = jax.random.split(as_key(key))
    keys = jax.random.split(prior_key, max(len(problem.free), 1))
    draws = {
        path: np.asarray(problem.priors[path].sample(k, (num_samples,)))
        for path, k in zip(problem.free, keys, strict=False)
    }
    paths = over_draws(
        lambda part, k: analysis.unrolled_arrays(problem, part, k), draws, path_key, False, "prior", num_samples
    )
    values = np.asarray(prepared.transform.inverse(paths))
    made = labelled_values(values, prepared.series)
    extra = {p: (("draw", *(f"{p}_dim_{i}" for i in range(v.ndim - 1))), v) for p, v in draws.items()}
    return xr.Dataset({"y": made, **extra})


@for_each_member
def posterior_predictive(fitted: Fitted, *, num_samples: int | None = None, key: Any) -> xr.DataArray:
    """Replicated data: for each posterior draw, a path of the states given the data, and new noise.

    Args:
        fitted: A fit.
        num_samples: Number of series; one for each posterior draw (200 for a point estimate) when left out.
        key: PRNG key.

    Returns:
        A DataArray on the original scale, (draw, time, series); (chain, draw, time, series) with one series for each
        posterior draw. `Fitted.with_groups` takes it to where `az.plot_ppc` looks.

    Example:
        >>> import jax, statespace as ss
        >>> found = ss.fit(ss.LocalLevel() + ss.Noise(), ss.datasets.nile(), progress=False)
        >>> ss.posterior_predictive(found, num_samples=4, key=jax.random.key(0)).shape
        (4, 100, 1)
    """
    choose, run = jax.random.split(as_key(key))
    if fitted.draws:
        draws, shape = chosen_draws(fitted, num_samples, choose)
        problem = problem_of(fitted.model, fitted.series, fixed=held_values(fitted), method=fitted.filter_method)
        found = over_draws(
            lambda part, k: analysis.replicated_arrays(problem, part, k), draws, run, False, "replicates"
        )
        found = np.reshape(found, (*shape, *np.shape(found)[1:]))
    else:
        problem = known_problem(fitted.model, fitted.series, fitted.filter_method)
        keys = jax.random.split(run, _UNLESS_TOLD if num_samples is None else num_samples)
        found = np.asarray(analysis.replicated_arrays(problem, {}, keys))
    return labelled_values(np.asarray(fitted.transform.inverse(found)), fitted.series)


@for_each_member
def impute(
    model: Any,
    data: Any = None,
    method: AbstractMethod | None = None,
    *,
    inputs: Any = None,
    times: Any = None,
    num_samples: int | None = None,
    key: Any,
) -> xr.DataArray:
    """The data with draws in the place of what is missing, given everything that is there.

        y_missing ~ p(y_missing | y_present)

    Each series is drawn jointly over stamps: around a path of the states given all data, an element given those of its
    stamp which are present.

    Args:
        model: Model with known parameters, or a fit; with posterior draws each series has its own draw.
        data: Series, NaN is missing; the fit's own when left out.
        method: Filtering method; the exact one, or the fit's, when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        num_samples: Number of series; one for each posterior draw (200 without posterior draws) when left out.
        key: PRNG key.

    Returns:
        A DataArray on the original scale, (draw, time, series), or (chain, draw, time, series); what was observed is
        the same in all draws.

    Raises:
        ValueError: If a parameter is unknown, or the law of an observation does not say how a part of a row depends on
            the rest (a joint law that is not normal).

    Example:
        >>> import statespace as ss
        >>> y = ss.datasets.nile()
        >>> y.iloc[20:40] = float("nan")
        >>> ss.impute(ss.LocalLevel(38.0) + ss.Noise(123.0), y, num_samples=3, key=0).shape
        (3, 100, 1)

    Reference: Durbin and Koopman (2012), sections 4.10 and 4.9.
    """
    if num_samples is not None and num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    prepared, method = prepared_for(model, data, method, inputs, times, "impute")
    method.check_paths(prepared.model)
    choose, run = jax.random.split(as_key(key))
    if isinstance(model, Fitted) and model.draws:
        draws, shape = chosen_draws(model, num_samples, choose)
        problem = problem_of(prepared.model, prepared.series, fixed=held_values(model), method=method)
        found = over_draws(
            lambda part, k: analysis.imputed_arrays(problem, part, k, 1)[:, 0], draws, run, False, "draws"
        )
        found = np.reshape(found, (*shape, *np.shape(found)[1:]))
    else:
        problem = known_problem(prepared.model, prepared.series, method)
        count = _UNLESS_TOLD if num_samples is None else num_samples
        found = np.asarray(analysis.imputed_arrays(problem, {}, jax.random.split(run, 1), count))[0]
    if not np.isfinite(found).all():
        raise ValueError(
            f"the emission of {type(prepared.model).__name__} does not say how the missing elements of a row depend on "
            "those that are present: draw paths by sample_states and complete the rows by your own law"
        )
    original = np.where(prepared.series.mask, prepared.series.observed, found)
    return labelled_values(np.asarray(prepared.transform.inverse(original)), prepared.series)
