"""Parameters: paths, values, supports and the unconstrained scale."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints

from statespace.core.parameters import (
    Declaration,
    as_value,
    batch_shape,
    check_paths,
    constrain,
    log_jacobian,
    param,
    parameters,
    params,
    replace,
    require_known,
    unconstrain,
    unknown,
    with_fields,
)
from statespace.models.structural import (
    AutoRegressive,
    Common,
    Cycle,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
)


def model():
    return (
        LocalLinearTrend(slope_scale=0.0)
        + Seasonal(12, scale=0.3)
        + Cycle(period=9.0)
        + AutoRegressive(2)
        + Common(LocalLevel(name="shared"), name="both")
        + Regression(["a", "b"], time_varying=True)
        + Noise(1.5)
    )


PATHS = [
    "trend.level_scale",
    "trend.slope_scale",
    "seasonal12.scale",
    "cycle.period",
    "cycle.damping",
    "cycle.scale",
    "ar.coefficients",
    "ar.scale",
    "both.shared.scale",
    "regression.scale",
    "noise.scale",
]


def test_paths():
    assert list(parameters(model())) == PATHS


def test_parameters_that_do_not_apply_are_absent():
    assert list(parameters(Cycle(damped=False))) == ["cycle.period", "cycle.scale"]
    assert list(parameters(Regression(["a"]))) == []
    assert list(parameters(Noise())) == ["noise.scale"]


def test_unknown():
    given = ("trend.slope_scale", "seasonal12.scale", "cycle.period", "noise.scale")
    expected = [path for path in PATHS if path not in given]
    assert unknown(model()) == expected
    with pytest.raises(ValueError, match=rf"the model has no value for {', '.join(expected)}: give values"):
        require_known(model(), "the model")
    require_known(replace(model(), dict.fromkeys(expected, 1.0)), "the model")


def test_a_scale_of_zero_is_off():
    found = parameters(model())
    assert found["trend.slope_scale"].is_off
    assert not any(p.is_off for path, p in found.items() if path != "trend.slope_scale")
    assert not parameters(LocalLevel())["level.scale"].is_off


def test_supports_and_shapes():
    found = parameters(model())
    assert found["ar.coefficients"].shape == (2,)
    assert found["regression.scale"].shape == (2,)
    assert found["noise.scale"].shape == ()
    assert not bool(found["cycle.period"].constraint(1.0))
    assert bool(found["cycle.period"].constraint(9.0))
    assert found["cycle.damping"].constraint is constraints.unit_interval


def test_replace_changes_only_what_is_named():
    before = model()
    after = replace(before, {"ar.coefficients": [0.5, 0.2], "both.shared.scale": 2, "noise.scale": 0.25})
    found = parameters(after)
    np.testing.assert_array_equal(found["ar.coefficients"].value, [0.5, 0.2])
    assert float(found["both.shared.scale"].value) == 2.0
    assert float(found["noise.scale"].value) == 0.25
    assert found["seasonal12.scale"].value is parameters(before)["seasonal12.scale"].value
    assert parameters(before)["both.shared.scale"].value is None
    assert after.state_names == before.state_names


def test_replace_names_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"values name 'trend\.scale', but .* 'trend\.level_scale'"):
        replace(model(), {"trend.scale": 1.0})
    with pytest.raises(ValueError, match=r"fixed name 'x', but the model's parameters are none"):
        check_paths({"x": 1}, {}, "fixed")


def test_values_become_arrays_of_the_default_type():
    assert parameters(LocalLevel(1))["level.scale"].value.dtype == jnp.float64
    assert as_value(None) is None
    assert as_value(np.float32(2)).dtype == jnp.float32
    assert not as_value(jnp.asarray(2.0)).weak_type


def test_batch_shape():
    assert batch_shape(LocalLevel(0.5) + Noise(1.0)) == ()
    batched = LocalLevel(jnp.ones(5)) + AutoRegressive(2, jnp.zeros((5, 2)), 1.0) + Noise(jnp.ones((3, 1)))
    assert batch_shape(batched) == (3, 5)
    assert batch_shape(LocalLevel() + Noise()) == ()


def test_constrain_and_unconstrain_are_inverse():
    found = parameters(model())
    supports = {path: p.constraint for path, p in found.items()}
    rng = np.random.default_rng(0)
    start = {path: jnp.asarray(rng.normal(size=p.shape)) for path, p in found.items()}
    natural = constrain(start, supports)
    for path, value in natural.items():
        assert np.all(supports[path](value)), path
    back = unconstrain(natural, supports)
    for path, value in start.items():
        np.testing.assert_allclose(back[path], value, rtol=1e-9, atol=1e-10, err_msg=path)


def test_log_jacobian():
    supports = {path: p.constraint for path, p in parameters(model()).items()}
    start = {path: jnp.full(p.shape, 0.3) for path, p in parameters(model()).items()}
    total = 0.0
    for path, value in start.items():

        def one(x, path=path):
            return constrain({path: x}, supports)[path]

        total += np.linalg.slogdet(np.atleast_2d(jax.jacobian(one)(value)))[1]
    assert float(log_jacobian(start, supports)) == pytest.approx(total, abs=1e-10)
    assert float(log_jacobian({}, {})) == 0.0


def test_default_priors_live_on_the_support():
    for path, p in parameters(model()).items():
        prior = p.default_prior(3.0)
        assert prior.batch_shape + prior.event_shape == p.shape, path
        draws = prior.sample(jax.random.key(0), (200,))
        assert np.all(p.constraint(draws)), path


def test_declaring_a_parameter():
    class Part(eqx.Module):
        weight: float | None = param(
            lambda self: constraints.interval(0, self.top), prior=lambda self, scale: dist.Uniform(0, self.top)
        )
        top: float = 2.0

    assert bool(parameters(Part(1))["weight"].constraint(1.5))
    assert not bool(parameters(Part(1))["weight"].constraint(2.5))


def test_with_fields_keeps_the_rest():
    level = with_fields(LocalLevel(0.5), name="other")
    assert level.full_names() == ("other",)
    assert float(level.scale) == 0.5


def test_models_are_pytrees():
    one = LocalLevel(0.5) + Noise(1.0)
    leaves, treedef = jax.tree.flatten(one)
    again = jax.tree.unflatten(treedef, leaves)
    assert eqx.tree_equal(one, again)


class Named(eqx.Module):
    """A part whose parameters are the keys of a dictionary."""

    name: str = eqx.field(static=True)
    values: dict = params(
        lambda self, key: Declaration(
            constraints.positive,
            lambda owner: (2,),
            lambda owner, scale: dist.HalfNormal(scale).expand((2,)),
            start=lambda owner, scale: jnp.array([0.5, 1.5]) * scale,
        )
    )


class Whole(eqx.Module):
    part: Named


def test_a_dictionary_of_parameters_has_a_path_for_each_key():
    model = Whole(Named("law", {"a": [1.0, 2.0], "b": None}))
    assert list(parameters(model)) == ["law.a", "law.b"]
    assert unknown(model) == ["law.b"]
    changed = replace(model, {"law.b": [3, 4]})
    np.testing.assert_array_equal(changed.part.values["b"], [3.0, 4.0])
    np.testing.assert_array_equal(changed.part.values["a"], [1.0, 2.0])
    assert unknown(model) == ["law.b"]
    found = parameters(model)["law.b"]
    np.testing.assert_array_equal(found.declaration.start(found.owner, 2.0), [1.0, 3.0])
