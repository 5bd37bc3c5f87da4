"""Models from plain functions: a mistake in one of them is told by its place, before anything runs."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import statespace as ss

PARTS = {
    "initial": lambda step: dist.Normal(0.0, 1.0),
    "transition": lambda x, step: dist.Normal(0.5 * x, 1.0),
    "emission": lambda x, step: dist.Poisson(jnp.exp(x)),
}
Y = np.array([1.0, np.nan, 2.0])


def run(**options):
    return ss.filter(ss.StateSpace(**PARTS | options), Y, ss.BootstrapFilter(num_particles=10), key=0)


@pytest.mark.parametrize(
    ("part", "kind", "text"),
    [
        (
            {"emission": lambda x, step: jnp.exp(x)},
            TypeError,
            r"emission returns array of shape \(\), expected a NumPyro",
        ),
        ({"initial": lambda step: [1.0]}, TypeError, "initial returns list"),
        ({"transition": lambda x, step: dist.Normal(jnp.zeros(2), 1.0)}, ValueError, r"a state of shape \(2,\)"),
        ({"emission": lambda x, step: dist.Normal(jnp.zeros(2), 1.0)}, ValueError, "num_series is 1"),
        ({"emission": lambda x: dist.Normal(x, 1.0)}, TypeError, "emission takes 1 arguments"),
        ({"parameters": {"a": (1.0, 2.0)}}, TypeError, "a pair of a value and a prior"),
        ({"parameters": {"a b": 1.0}}, ValueError, "a Python name"),
    ],
)
def test_what_a_function_gives_is_checked(part, kind, text):
    with pytest.raises(kind, match=text):
        run(**part)


def test_an_error_inside_a_function_names_it():
    with pytest.raises(TypeError) as caught:
        run(transition=lambda x, step: dist.Normal(x * step.inputs[0], 1.0))
    assert any("The model's transition was tried with a state of shape ()" in note for note in caught.value.__notes__)
    assert any("step.inputs is None" in note for note in caught.value.__notes__)


def test_scales_of_a_nonlinear_model_are_tried_too():
    wide = ss.NonlinearGaussian(
        lambda x, step: x, [1.0, 1.0], lambda x, step: x[:1], [1.0], initial_mean=[0.0], initial_scale=[1.0]
    )
    with pytest.raises((ValueError, TypeError), match="shape"):
        ss.filter(wide, Y, ss.ExtendedKalman())
