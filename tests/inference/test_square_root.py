"""The square-root form says what the covariance form says; in single precision it says it better."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.problems import problem_of

import statespace as ss
from statespace.core.parameters import parameters
from statespace.inference.analysis import filter_arrays, smoother_arrays
from statespace.models.structural import (
    AutoRegressive,
    Common,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
)

RNG = np.random.default_rng(3)
Y = RNG.normal(size=40).cumsum()
Y[[3, 9, 10]] = np.nan
PAIR = RNG.normal(size=(30, 2)).cumsum(0)
PAIR[2, 1] = PAIR[8, 0] = np.nan
X = 5 + 0.1 * RNG.normal(size=(40, 2))
MODELS = {
    "trend, seasonal and regression": (
        LocalLinearTrend(0.5, 0.0) + Seasonal(4, scale=0.3) + Regression(["a", "b"]) + Noise(0.9), Y, X, ["a", "b"],
    ),
    "R = 0": (LocalLinearTrend(0.5, 0.2) + Noise(0.0), Y, None, ()),
    "a proper start": (LocalLevel(0.5, initial=ss.InitialLaw.gaussian([0.0], [1e3])) + Noise(0.9), Y, None, ()),
    "two series": (
        LocalLevel(0.5) + Common(AutoRegressive(1, [0.7], 0.8), weights=[0.7])
        + Noise([0.6, 0.8], correlated=True, correlation=[[1, 0.6], [0.6, 1]]), PAIR, None, (),
    ),
}  # fmt: skip


LONG = {"trend, seasonal and regression", "a proper start"}


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in MODELS]
)
def problem(request):
    model, y, inputs, names = MODELS[request.param]
    return problem_of(model, y, inputs=inputs, input_names=names)


def test_same_filter_and_smoother(problem):
    root = problem.with_method(ss.Kalman(form="sqrt"))
    for run in (filter_arrays, smoother_arrays):
        for a, b in zip(jax.tree.leaves(run(root, {})), jax.tree.leaves(run(problem, {})), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7)
    expected = float(problem.log_likelihood({}))
    assert float(root.log_likelihood({})) == pytest.approx(expected, abs=1e-9)


def test_same_gradient(problem):
    values = {p: v.value + 0.1 for p, v in parameters(problem.model).items() if p in ("noise.scale", "level.scale")}

    def gradient(form):
        return jax.jit(jax.grad(problem.with_method(ss.Kalman(form=form)).log_likelihood))(values)

    found, expected = gradient("sqrt"), gradient("covariance")
    for path in values:
        np.testing.assert_allclose(found[path], expected[path], rtol=1e-8)
    assert values


def test_the_verbs_take_it():
    model, y = LocalLevel(38.0) + Noise(123.0), ss.datasets.nile()
    method = ss.Kalman(form="sqrt")
    assert ss.log_likelihood(model, y, method) == pytest.approx(ss.log_likelihood(model, y), abs=1e-10)
    np.testing.assert_allclose(ss.filter(model, y, method).cov, ss.filter(model, y).cov, rtol=1e-10)
    np.testing.assert_allclose(ss.smooth(model, y, method).cov, ss.smooth(model, y).cov, rtol=1e-8)
    traced = jax.jit(lambda s: ss.log_likelihood(LocalLevel(s) + Noise(123.0), y, method))(jnp.asarray(38.0))
    assert float(traced) == pytest.approx(ss.log_likelihood(model, y), abs=1e-10)
    fit = ss.fit(LocalLevel() + Noise(), y, ss.MaximumLikelihood(num_starts=1, filter=method), progress=False)
    assert fit.estimates["noise.scale"] ** 2 == pytest.approx(15098.52, abs=0.02)
    assert fit.estimates["level.scale"] ** 2 == pytest.approx(1469.18, abs=0.02)


def test_an_unknown_form():
    with pytest.raises(ValueError, match="choose one of 'auto', 'covariance', 'sqrt'"):
        ss.Kalman(form="root")


GRADIENT = """
    import json
    import statespace as ss
    import jax
    import numpy as np

    data = ss.datasets.seatbelts()
    y = np.log(data["drivers"])
    X = data.assign(log_petrol=np.log(data["PetrolPrice"]))[["log_petrol", "law"]]

    def value(s):
        model = (ss.LocalLinearTrend(s[0], s[1]) + ss.Seasonal(12, scale=s[2])
                 + ss.Regression(["log_petrol", "law"]) + ss.Noise(s[3]))
        return ss.log_likelihood(model, y, inputs=X)

    scales = jax.numpy.asarray([0.02, 0.0005, 0.003, 0.06])
    found, slope = jax.jit(jax.value_and_grad(value))(scales)
    print(json.dumps([float(found), np.asarray(slope * scales, float).tolist(), str(found.dtype)]))
"""


def test_gradient_in_single_precision():
    """The seatbelts model with log petrol price: the diffuse start leaves a variance 1e6 times the noise's."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    results = {}
    for double in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(GRADIENT)],
            capture_output=True, text=True, env={**environment, "JAX_ENABLE_X64": double}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        results[double] = json.loads(done.stdout.splitlines()[-1])
    assert (results["0"][2], results["1"][2]) == ("float32", "float64")
    assert results["0"][0] == pytest.approx(results["1"][0], abs=1e-3)
    np.testing.assert_allclose(results["0"][1], results["1"][1], atol=0.01)
