"""Results made of synthetic arrays: what they say is checked apart from how it is computed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from statespace.data import as_series, as_transform
from statespace.results import Filtered, Fitted, Forecast, Smoothed, Status

LENGTH = 24
MISSING = 3


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


@pytest.fixture
def months():
    return pd.period_range("2000-01", periods=LENGTH, freq="M")


@pytest.fixture
def make_series(rng, months):
    """A function of index and names that makes a series with one stamp and one input."""

    def make(index=None, names=("flow",), inputs=True):
        index = months if index is None else index
        y = pd.DataFrame(rng.normal(size=(len(index), len(names))), index, columns=list(names))
        y.iloc[MISSING] = np.nan
        x = pd.DataFrame({"law": np.arange(float(len(index)))}, index) if inputs else None
        return as_series(y if len(names) > 1 else y[names[0]], x, input_columns=("law",) if inputs else ())

    return make


def _covariances(rng, *shape):
    factor = rng.normal(size=(*shape, shape[-1]))
    return factor @ np.swapaxes(factor, -1, -2)


@pytest.fixture
def make_filtered(rng, make_series):
    def make(names=("flow",), **changes):
        series, p = make_series(names=names), len(names)
        moments = {"mean": rng.normal(size=(LENGTH, 2)), "predicted_mean": rng.normal(size=(LENGTH, 2))}
        wide = rng.normal(size=(LENGTH, p))
        found = Filtered(
            series=series,
            state_names=("trend.level", "trend.slope"),
            cov=_covariances(rng, LENGTH, 2),
            predicted_cov=_covariances(rng, LENGTH, 2),
            observation_mean=wide,
            observation_cov=_covariances(rng, LENGTH, p),
            residuals=wide,
            log_likelihood_terms=-np.arange(float(LENGTH)),
            diffuse_count=2,
            model=None,
            belief=None,
            steps_done=LENGTH,
            **moments,
        )
        return replace(found, **changes)

    return make


@pytest.fixture
def make_smoothed(rng, make_series):
    def make(names=("flow",), **changes):
        wide = rng.normal(size=(LENGTH, len(names)))
        found = Smoothed(
            series=make_series(names=names),
            state_names=("trend.level", "trend.slope"),
            mean=rng.normal(size=(LENGTH, 2)),
            cov=_covariances(rng, LENGTH, 2),
            components={"trend": (wide, wide**2), "noise": (2 * wide, wide**2)},
            observation_residuals=wide,
            state_residuals=rng.normal(size=(LENGTH, 2)),
            loo_terms=-np.arange(float(LENGTH)),
            loo_mean=wide,
            loo_sd=wide**2,
        )
        return replace(found, **changes)

    return make


@pytest.fixture
def make_forecast(rng, make_series):
    """Three months ahead of a series, as one normal law."""

    def make(names=("flow",), transform=None, **changes):
        series, p = make_series(names=names), len(names)
        found = Forecast(
            series=series,
            index=pd.period_range(series.index[-1] + 1, periods=3, freq="M"),
            transform=as_transform(transform),
            mean_t=np.tile([[0.1], [0.2], [0.3]], p),
            cov_t=np.tile(0.25 * np.eye(p), (3, 1, 1)),
            state_mean=np.zeros((3, 2)),
            state_cov=np.tile(np.eye(2), (3, 1, 1)),
            state_names=("trend.level", "trend.slope"),
            components={"trend": (np.zeros((3, p)), np.ones((3, p)))},
            draws=None,
            inputs=np.ones((3, 1)),
            input_names=("law",),
        )
        return replace(found, **changes)

    return make


@pytest.fixture
def make_posterior(rng, make_series):
    """A converged NUTS result: independent draws of a scalar, a vector and a coefficient."""

    def make(index=None, chains=4, draws=300, **changes):
        series, shape = make_series(index), (chains, draws)
        values = {"level.scale": rng.gamma(5.0, size=shape), "ar.coefficients": rng.normal(size=(*shape, 2))}
        terms = rng.normal(size=(*shape, series.length)) * 0.1 - 1.0
        terms[..., MISSING] = 0.0
        found = Fitted(
            model="a model",
            series=series,
            transform=as_transform("log"),
            method_name="nuts",
            draws=values,
            estimates={path: v.mean(axis=(0, 1)) for path, v in values.items()},
            standard_errors=None,
            unconstrained_covariance=None,
            sample_stats={
                "diverging": np.zeros(shape, bool),
                "tree_depth": np.full(shape, 3),
                "lp": rng.normal(size=shape),
            },
            log_likelihood=None,
            num_parameters=3,
            diffuse_count=1,
            num_observations=int(series.mask.sum()),
            status=Status(True, "300 draws in each of 4 chains", {"max_tree_depth": 10}),
            priors={"level.scale": "HalfNormal(1)", "ar.coefficients": "Normal(0, 1)"},
            coefficients={"regression.law": rng.normal(size=shape)},
            pointwise={"loo": terms, "one_step": terms - 0.1},
            supports={"level.scale": "positive", "ar.coefficients": "real"},
            specification='{"model": "local level"}',
            extra_groups={},
        )
        return replace(found, **changes)

    return make


@pytest.fixture
def make_estimate(make_posterior):
    """A maximum-likelihood result with a scale at its boundary."""

    def make(index=None, **changes):
        point = {
            "method_name": "maximum_likelihood",
            "draws": None,
            "pointwise": None,
            "sample_stats": {},
            "estimates": {"level.scale": np.array(0.0), "ar.coefficients": np.array([0.5, -0.2])},
            "standard_errors": {"level.scale": np.array(np.nan), "ar.coefficients": np.array([0.1, 0.2])},
            "intervals": {
                "level.scale": np.array([np.nan, np.nan]),
                "ar.coefficients": np.array([[0.304, -0.4], [0.696, 0.4]]),
            },
            "unconstrained_covariance": np.diag([0.01, 0.04]),
            "coefficients": {"regression.law": (-0.25, 0.05)},
            "log_likelihood": -10.0,
            "status": Status(True, "converged", {"at_zero": ["level.scale"], "gradient": np.float64(1e-9)}),
        }
        return replace(make_posterior(index), **(point | changes))

    return make
