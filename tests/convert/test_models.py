"""Linear-Gaussian models and the discrete form: the law of the outputs stays, whatever the timing and the start."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convert.joint_law import joint_of_form, joint_of_model, random_cov, random_stable

import statespace as ss
from statespace.convert.forms.discrete import CONSTANT
from statespace.core.step import make_steps

LENGTH = 5


def random_form(rng, timing, start, lead, correlated, varying=False, inputs=2, constant=False):
    n, p = 3, 2
    stack = LENGTH if varying else 1
    A = np.stack([random_stable(rng, n) for _ in range(stack)])
    B, C, D = rng.normal(size=(stack, n, inputs)), rng.normal(size=(stack, p, n)), rng.normal(size=(stack, p, inputs))
    noise = np.stack([random_cov(rng, n + p, n + p - 1) for _ in range(stack)])
    S = noise[:, :n, n:] if correlated else None
    arrays = [A, B, C, D, noise[:, :n, :n], noise[:, n:, n:], S]
    arrays = [None if x is None else x if varying else x[0] for x in arrays]
    names = [CONSTANT if constant and i == 0 else f"in{i}" for i in range(inputs)]
    return ss.DiscreteSSM(
        *arrays,
        mean=rng.normal(size=n),
        cov=random_cov(rng, n),
        timing=timing,
        start=start,
        lead=lead,
        input_names=names,
        series_names=["a", "b"],
    )


KINDS = [("current", "before", 0), ("current", "at", 0), ("previous", "at", 0), ("previous", "at", 1)]


@pytest.mark.parametrize(("kind", "correlated"), list(itertools.product(KINDS, [False, True])))
def test_the_model_of_a_form_has_its_law(kind, correlated):
    varying = not correlated
    rng = np.random.default_rng(3)
    ssm = random_form(rng, *kind, correlated, varying, constant=not varying)
    u = rng.normal(size=(LENGTH, 2))
    if not varying:
        u[:, 0] = 1
    found = ss.convert(ssm, ss.LinearGaussian)
    assert found.exact
    seen = found.value.input_names
    assert seen == tuple(name for name in ssm.input_names if name != CONSTANT)
    mean, cov = joint_of_model(found.value, u[:, -len(seen) :], LENGTH)
    expected_mean, expected_cov = joint_of_form(ssm, u, LENGTH)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-11)
    np.testing.assert_allclose(cov, expected_cov, atol=1e-11)
    added = (2 if correlated else 0) + (len(seen) if kind == ("previous", "at", 0) else 0)
    if kind == ("current", "at", 0):
        added = 2 if correlated else 0
    assert len(found.value.state_names) == 3 + added


def test_forms_and_models_both_ways():
    """The log-likelihood of a model and of what comes back from its form are one number."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(40, 2))
    u = rng.normal(size=(40, 1))
    model = ss.LinearGaussian(
        random_stable(rng, 3),
        rng.normal(size=(3, 2)),
        rng.normal(size=(2, 3)),
        np.array([0.5, 0.0]),
        rng.normal(size=3),
        rng.normal(size=(3, 3)),
        transition_offset=rng.normal(size=3),
        emission_offset=rng.normal(size=2),
        transition_input=rng.normal(size=(3, 1)),
        emission_input=rng.normal(size=(2, 1)),
        state_names=["p", "q", "r"],
    )
    form = ss.convert(model, ss.DiscreteSSM)
    assert (form.exact, form.value.timing, form.value.start) == (True, "current", "at")
    assert form.value.input_names == ("u0", CONSTANT)
    back = ss.convert(form.value, ss.LinearGaussian).value
    assert back.state_names == ("p", "q", "r")
    expected = ss.log_likelihood(model, y, inputs=u)
    assert abs(ss.log_likelihood(back, y, inputs=u) - expected) < 1e-9


@pytest.mark.parametrize(
    "model",
    [
        ss.LocalLinearTrend(5.0, 1.0) + ss.Seasonal(4, scale=2.0) + ss.Noise(100.0),
        ss.AutoRegressive(2, coefficients=[0.5, -0.2], scale=50.0) + ss.LocalLevel(10.0) + ss.Noise(0.0),
    ],
    ids=["seasonal", "autoregressive"],
)
def test_a_sum_of_components_comes_back_as_matrices(model):
    y = ss.datasets.nile()
    form = ss.convert(model, ss.DiscreteSSM).value
    assert form.state_names == model.state_names
    assert form.diffuse == model.initial_law(make_steps(1)[0]).diffuse
    back = ss.convert(form, ss.LinearGaussian).value
    assert abs(ss.log_likelihood(back, y) - ss.log_likelihood(model, y)) < 1e-9


def test_a_regression_needs_the_stamps_and_their_inputs():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 1)), rng.normal(size=30)
    model = ss.LocalLevel(0.3) + ss.Regression(["x"]) + ss.Noise(1.0)
    with pytest.raises(ValueError, match="depend on the inputs: give the stamps"):
        ss.convert(model, ss.DiscreteSSM)
    found = ss.convert(model, ss.DiscreteSSM, steps=make_steps(30, inputs=jnp.asarray(x)))
    assert found.value.C.shape == (30, 1, 2)
    assert "these stamps" in found.notes[0]
    import pandas as pd

    back = ss.convert(found.value, ss.LinearGaussian).value
    expected = ss.log_likelihood(model, y, inputs=pd.DataFrame(x, columns=["x"]))
    assert abs(ss.log_likelihood(back, y) - expected) < 1e-9


def test_matrices_that_vary_keep_their_stamps():
    rng = np.random.default_rng(2)
    ssm = random_form(rng, "current", "at", 0, False, True)
    model = ss.convert(ssm, ss.LinearGaussian).value
    again = ss.convert(model, ss.DiscreteSSM).value
    u = rng.normal(size=(LENGTH, 2))
    for one, two in zip(joint_of_form(ssm, u), joint_of_form(again, u), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-11)


def test_a_start_before_comes_back_as_one():
    rng = np.random.default_rng(4)
    ssm = random_form(rng, "current", "before", 0, False)
    again = ss.convert(ss.convert(ssm, ss.LinearGaussian).value, ss.DiscreteSSM).value
    assert again.start == "before"
    u = rng.normal(size=(LENGTH, 2))
    for one, two in zip(joint_of_form(ssm, u), joint_of_form(again, u), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-10)


def test_elements_without_a_prior_travel():
    """A prior that is wide stands for one that is flat: the difference is a constant."""
    rng = np.random.default_rng(5)
    y = rng.normal(size=(20, 1))
    A = np.array([[1.0, 1.0], [0.0, 1.0]])
    keywords = {"mean": np.zeros(2), "C": np.array([[1.0, 0.0]]), "Q": np.diag([0.3, 0.1]), "R": np.eye(1)}
    for timing, start in [("current", "at"), ("current", "before"), ("previous", "at")]:
        flat = ss.DiscreteSSM(A, diffuse=[True, True], timing=timing, start=start, **keywords)
        wide = ss.DiscreteSSM(A, cov=1e7 * np.eye(2), timing=timing, start=start, **keywords)
        one, other = (ss.log_likelihood(ss.convert(ssm, ss.LinearGaussian).value, y) for ssm in (flat, wide))
        assert abs(one - other - np.log(1e7)) < 1e-4
    mixed = ss.DiscreteSSM(A, diffuse=[False, True], timing="current", start="before", **keywords)
    with pytest.raises(ValueError, match="mix with others"):
        ss.convert(mixed, ss.LinearGaussian)


def test_unknown_parameters_are_named():
    with pytest.raises(ValueError, match="noise.scale"):
        ss.convert(ss.LocalLevel(1.0) + ss.Noise(), ss.DiscreteSSM)


def test_likelihoods_have_gradients_through_forms():
    """From the numbers of a form to the likelihood of its model, with finite derivatives."""
    y = jnp.asarray(np.random.default_rng(6).normal(size=(12, 1)))

    def value(theta):
        ssm = ss.DiscreteSSM([[theta]], None, [[1.0]], None, [[1.0]], [[0.5]], [[0.3]], cov=[[2.0]], timing="previous")
        return ss.log_likelihood(ss.convert(ssm, ss.LinearGaussian).value, y)

    grad = jax.grad(value)(jnp.array(0.6))
    step = 1e-5
    assert abs(grad - (value(0.6 + step) - value(0.6 - step)) / (2 * step)) < 1e-6
