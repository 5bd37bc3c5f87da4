"""Sums of components: names, parameters, addition, and several series."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from inference.problems import problem_of

from statespace.core.parameters import parameters, replace
from statespace.core.step import make_steps
from statespace.inference.priors import default_priors
from statespace.models.initial import InitialLaw
from statespace.models.structural import (
    AutoRegressive,
    Binding,
    Common,
    Cycle,
    Intervention,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
    Structural,
)

STEP = make_steps(3)[1]


def bound(model, series=("y",), inputs=(), index=None, regular=True):
    return model.bind(Binding(tuple(series), tuple(inputs), (1.0,) * len(inputs), index, regular))


# --- names and parameters -----------------------------------------------------------------------------------


def everything():
    return (
        LocalLinearTrend() + Seasonal(4) + Seasonal(5, form="trigonometric", name="week") + Cycle() + AutoRegressive(2)
        + Regression(["price", "law"]) + Regression("price", time_varying=True, name="moving")
        + Common(LocalLevel(name="shared"), name="both") + Intervention(3, name="strike") + Noise()
    )  # fmt: skip


def test_names_are_made_once():
    model = everything()
    names = {
        "trend": ("trend.level", "trend.slope"),
        "seasonal4": ("seasonal4.effect", "seasonal4.lag1", "seasonal4.lag2"),
        "week": ("week.cos1", "week.cos2", "week.sin1", "week.sin2"),
        "cycle": ("cycle.main", "cycle.auxiliary"),
        "ar": ("ar.value", "ar.lag1"),
        "regression": ("regression.price", "regression.law"),
        "moving": ("moving.price",),
        "both": ("both",),
        "strike": ("strike",),
    }
    assert {part.name: part.full_names() for part in model.components} == names
    assert model.state_names == sum(names.values(), ())
    assert {name: model.state_names[where] for name, where in model.slices.items()} == names
    assert np.concatenate([np.arange(20)[where] for where in model.slices.values()]).tolist() == list(range(18))
    assert model.input_names == ("price", "law")
    assert model.reported_states == ("regression.price", "regression.law", "strike")
    again = bound(model, inputs=["law", "price"])
    assert (again.state_names, again.slices) == (model.state_names, model.slices)
    assert list(parameters(again)) == list(parameters(model))


def test_parameters_stand_under_their_component_s_name():
    model = everything()
    paths = list(parameters(model))
    assert paths == [
        "trend.level_scale", "trend.slope_scale", "seasonal4.scale", "week.scale", "cycle.period", "cycle.damping",
        "cycle.scale", "ar.coefficients", "ar.scale", "moving.scale", "both.shared.scale", "noise.scale",
    ]  # fmt: skip
    parts = [path for part in (*model.components, model.observation) for path in parameters(part)]
    assert parts == paths
    changed = replace(model, {"week.scale": 2.0})
    assert {path for path, p in parameters(changed).items() if p.value is not None} == {"week.scale"}


def test_names_left_out():
    assert [Seasonal(p, form="trigonometric").name for p in (7, 12.0, 365.25)] == [
        "seasonal7", "seasonal12", "seasonal365.25"
    ]  # fmt: skip
    assert AutoRegressive(1).full_names() == ("ar",)
    assert Common(Seasonal(3, name="season")).full_names() == ("season.effect", "season.lag1")
    assert Common(Seasonal(3, name="season"), name="all").full_names() == ("all.effect", "all.lag1")
    assert Common(Intervention(3, name="law"), name="all").reported_states == ("all",)
    assert Common(LocalLevel()).reported_states == ()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: LocalLevel() + LocalLevel(), "level"),
        (lambda: Seasonal(12) + LocalLevel() + Seasonal(12, form="trigonometric") + Noise(), "seasonal12"),
        (lambda: LocalLevel(name="noise") + Noise(), "noise"),
        (lambda: LocalLevel(series="a") + LocalLevel(series="b"), "level"),
        (lambda: Common(LocalLevel()) + LocalLevel(), "level"),
        (lambda: bound(LocalLevel() + LocalLevel(name="level[a]", series="a") + Noise(), ["a", "b"]), r"level\[a\]"),
    ],
)
def test_equal_names_raise_and_ask_for_another(make, name):
    with pytest.raises(ValueError, match=rf"component '{name}' occurs twice: give each its own name="):
        make()


def test_equal_parameter_paths_made_from_different_names():
    with pytest.raises(ValueError, match=r"two parameters are called 'a\.b\.scale'"):
        parameters(Common(LocalLevel(name="b"), name="a") + LocalLevel(name="a.b"))


# --- sums ---------------------------------------------------------------------------------------------------


def test_addition_is_flat_and_associative():
    a, b, c, d = LocalLevel(), Seasonal(4), AutoRegressive(1), Noise()
    sums = [
        a + b + c + d,
        (a + b) + (c + d),
        a + (b + (c + d)),
        a + (b + c) + d,
        sum([a, b, c, d]),
        sum([a + b, c + d]),
    ]
    for model in [*sums, d + a + b + c, a + d + b + c]:
        assert isinstance(model, Structural)
        assert all(one is other for one, other in zip(model.components, (a, b, c), strict=True))
        assert model.observation is d
    assert sum([a]).components == (a,)
    assert (a + b).observation is None


def test_exactly_one_term_observes():
    for terms in ([Noise(), Noise()], [LocalLevel(), Noise(), Noise(name="other")], [LocalLevel() + Noise()] * 2):
        with pytest.raises(ValueError, match=r"exactly one term observes, but a second Noise\(\)"):
            sum(terms)
    model = LocalLevel(0.5) + Seasonal(4, scale=0.1)
    for call in (lambda: bound(model), lambda: model.emission_matrices(STEP)):
        with pytest.raises(ValueError, match=r"no term observes: add Noise\(\)"):
            call()


@pytest.mark.parametrize("other", [0, 1.5, "level", None, np.zeros(2), LocalLevel, InitialLaw.known([0.0])], ids=repr)
def test_what_is_no_component_cannot_be_added(other):
    for call in (lambda: LocalLevel() + other, lambda: (LocalLevel() + Noise()) + other):
        with pytest.raises(TypeError, match="a model is a sum of components, got"):
            call()
    if not (isinstance(other, int) and other == 0):  # sum([...]) starts from 0
        with pytest.raises(TypeError):
            other + LocalLevel()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Seasonal(12.5), "whole number in the dummy form; got 12.5"),
        (lambda: Seasonal(1.9, form="trigonometric"), "period must be at least 2"),
        (lambda: Seasonal(float("nan"), form="trigonometric"), "period must be at least 2"),
        (lambda: Seasonal(12, form="trigonometric", harmonics=[0, 1]), "harmonics of period 12 are 1 to 6"),
        (lambda: Seasonal(12, form="trigonometric", harmonics=0), "harmonics of period 12 are 1 to 6"),
        (lambda: Seasonal(7, form="trigonometric", harmonics=[4]), "harmonics of period 7 are 1 to 3"),
        (lambda: Cycle(period_bounds=(1, 10)), "2 <= lower < upper"),
        (lambda: Cycle(period_bounds=(10, 10)), "2 <= lower < upper"),
        (lambda: Cycle(damping=0.9, damped=False), "not damped has damping 1"),
        (lambda: AutoRegressive(2, [0.5]), r"needs 2 coefficients, got shape \(1,\)"),
        (lambda: Regression([]), "at least one input column"),
        (lambda: Regression(["a", "a"]), "reads each input column once, got 'a', 'a'"),
        (lambda: LocalLevel(initial=InitialLaw.known([1.0, 2.0])), "level has 1 states but its initial law has 2"),
        (lambda: Seasonal(4, initial=InitialLaw.known([1.0])), "seasonal4 has 3 states but its initial law has 1"),
    ],
)
def test_arguments_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_scale_of_exactly_zero_is_held_there():
    start = InitialLaw.known([0.0])  # proper, so that the series can be short
    off = (
        LocalLevel(0.0, initial=start) + LocalLinearTrend(-0.0, 0, initial=InitialLaw.known([0.0, 0.0]))
        + Seasonal(2, scale=0.0, initial=start) + Cycle(8.0, 0.9, 0.0) + AutoRegressive(1, [0.5], 0.0)
        + Regression(["u"], time_varying=True, scale=[0.0], initial=start)
    )  # fmt: skip
    model = off + LocalLevel(1e-300, initial=start, name="tiny") + Noise()
    free = ["cycle.period", "cycle.damping", "ar.coefficients", "tiny.scale", "noise.scale"]
    problem = problem_of(model, np.ones(3), inputs=np.ones(3), input_names=["u"])
    assert list(problem.free) == free
    assert list(default_priors(problem.model, 1.0)) == free
    moved = problem.at({path: 0.5 * jnp.ones(parameters(problem.model)[path].shape) for path in free})
    factor = moved.transition_matrices(problem.steps[1]).factor
    np.testing.assert_array_equal(factor @ factor.T, np.diag([0.0] * 8 + [0.25]))
    assert parameters(LocalLevel(0.0) + Noise(0.0))["noise.scale"].is_off


# --- several series -----------------------------------------------------------------------------------------


def test_every_series_gets_its_own_copy():
    parts = LocalLevel(0.5) + Seasonal(3, scale=0.2) + AutoRegressive(1, [0.5], 0.3, series="south") + Noise([0.7, 0.8])
    model = bound(parts, ["north", "south"])
    assert model.num_series == 2
    assert model.state_names == (
        "level[north]", "level[south]", "seasonal3[north].effect", "seasonal3[north].lag1",
        "seasonal3[south].effect", "seasonal3[south].lag1", "ar",
    )  # fmt: skip
    assert list(parameters(model)) == [
        "level[north].scale", "level[south].scale", "seasonal3[north].scale", "seasonal3[south].scale",
        "ar.coefficients", "ar.scale", "noise.scale",
    ]  # fmt: skip
    assert list(model.slices) == ["level[north]", "level[south]", "seasonal3[north]", "seasonal3[south]", "ar"]
    assert [part.series for part in model.components] == ["north", "south", "north", "south", "south"]
    emission = model.emission_matrices(STEP)
    np.testing.assert_array_equal(emission.matrix, [[1, 0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0, 1]])
    np.testing.assert_allclose(emission.scale, [0.7, 0.8])
    np.testing.assert_array_equal(model.contributions(jnp.arange(7.0), STEP)["seasonal3[south]"], [0, 4])
    changed = replace(model, {"level[south].scale": 0.1})
    factor = np.asarray(changed.transition_matrices(STEP).factor)
    np.testing.assert_allclose(np.diag(factor @ factor.T), [0.25, 0.01, 0.04, 0, 0.04, 0, 0.09])
    again = bound(model, ["north", "south"])
    assert eqx.tree_equal(again, model)
    with pytest.raises(ValueError, match="ar belongs to series 'south', but the data have 'north', 'west'"):
        bound(parts, ["north", "west"])


def test_copies_carry_coefficients_and_events():
    model = bound(Regression(["u"]) + Intervention(1, name="law") + Noise(1.0), ["a", "b"], inputs=["v", "u"])
    assert model.state_names == ("regression[a].u", "regression[b].u", "law[a]", "law[b]")
    assert model.reported_states == model.state_names
    step = make_steps(2, inputs=jnp.array([[1.0, 2.0], [3.0, 4.0]]))[1]
    np.testing.assert_array_equal(model.emission_matrices(step).matrix, [[4, 0, 1, 0], [0, 4, 0, 1]])


def test_a_component_that_the_series_share():
    model = bound(
        Common(Regression(["u"]), weights=[2.0, -1.0]) + LocalLevel(0.1, series="b") + Noise(0.7), "abc", "vu"
    )
    assert model.state_names == ("regression.u", "level")
    step = make_steps(2, inputs=jnp.array([[1.0, 2.0], [3.0, 4.0]]))[1]
    np.testing.assert_array_equal(model.emission_matrices(step).matrix, [[4, 0], [8, 1], [-4, 0]])
    np.testing.assert_array_equal(model.contributions(jnp.array([3.0, 5.0]), step)["regression"], [12, 24, -12])
    np.testing.assert_allclose(model.emission_matrices(step).scale, [0.7] * 3)
    assert model.input_names == ("u",)
    assert model.reported_states == ("regression.u",)


def test_the_first_weight_is_one_and_the_others_are_learned():
    model = bound(Common(LocalLevel(0.5)) + Noise(), "abc")
    weights = parameters(model)["level.weights"]
    assert (weights.value, weights.shape) == (None, (2,))
    assert parameters(model)["noise.scale"].shape == (3,)
    matrix = replace(model, {"level.weights": [0.3, -4.0], "noise.scale": [1.0] * 3}).emission_matrices(STEP).matrix
    np.testing.assert_allclose(matrix, [[1], [0.3], [-4]])
    alone = bound(Common(LocalLevel(0.5)) + Noise(1.0))
    assert list(parameters(alone)) == ["level.scale", "noise.scale"]  # a name said twice is said once
    np.testing.assert_array_equal(alone.emission_matrices(STEP).matrix, [[1]])
    with pytest.raises(ValueError, match="level has 1 weights but there are 3 series: give 2"):
        bound(Common(LocalLevel(), weights=[1.0]) + Noise(), "abc")


def test_correlated_noise():
    parts = LocalLevel(0.5) + Noise([2.0, 0.5], correlated=True, correlation=[[1, 0.6], [0.6, 1]])
    factor = np.asarray(bound(parts, "ab").emission_matrices(STEP).scale)
    np.testing.assert_allclose(factor @ factor.T, [[4, 0.6], [0.6, 0.25]], rtol=1e-12)
    found = parameters(bound(LocalLevel() + Noise(correlated=True), "abc"))["noise.correlation"]
    assert found.shape == (3, 3)
    assert bool(found.constraint(jnp.eye(3)))
    assert not bool(found.constraint(2 * jnp.eye(3)))
    assert "noise.correlation" not in parameters(bound(LocalLevel() + Noise(correlated=True)))
    for series in ("a", "abc"):
        with pytest.raises(ValueError, match=f"noise has the correlations of 2 series but there are {len(series)}"):
            bound(parts, series)


def test_scales_of_the_noise():
    np.testing.assert_array_equal(bound(LocalLevel(0.5) + Noise(0.7), "abc").observation.scale, [0.7] * 3)
    assert bound(LocalLevel() + Noise([1.0])).observation.scale.shape == ()
    with pytest.raises(ValueError, match="noise has 3 scales but there are 2 series"):
        bound(LocalLevel() + Noise([1.0, 2.0, 3.0]), "ab")
