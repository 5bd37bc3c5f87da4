"""Structural components: names, sums, what they are bound to, and the matrices they make."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from statespace.core.parameters import parameters
from statespace.core.step import make_steps
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


def binding(series=("y",), inputs=(), index=None, regular=True):
    return Binding(tuple(series), tuple(inputs), (1.0,) * len(inputs), index, regular)


def bound(model, *args, **kwargs):
    return model.bind(binding(*args, **kwargs))


STEP = make_steps(3)[1]


def transition_matrix(part, step=STEP):
    size = len(part.states) if hasattr(part, "states") else len(part.state_names)
    return np.asarray(part.propagate(jnp.eye(size), step))


# --- names --------------------------------------------------------------------------------------------------


def test_names_of_states():
    model = (
        LocalLinearTrend() + Seasonal(4) + Seasonal(5, form="trigonometric", name="week") + Cycle() + AutoRegressive(2)
        + Regression(["price", "law"]) + Intervention(3, name="strike") + Noise()
    )  # fmt: skip
    assert model.state_names == (
        "trend.level", "trend.slope", "seasonal4.effect", "seasonal4.lag1", "seasonal4.lag2",
        "week.cos1", "week.cos2", "week.sin1", "week.sin2", "cycle.main", "cycle.auxiliary", "ar.value", "ar.lag1",
        "regression.price", "regression.law", "strike",
    )  # fmt: skip
    assert model.input_names == ("price", "law")
    assert model.reported_states == ("regression.price", "regression.law", "strike")
    assert model.slices["seasonal4"] == slice(2, 5)
    assert AutoRegressive(1).full_names() == ("ar",)


def test_the_last_harmonic_of_an_even_period_has_one_state():
    assert Seasonal(4, form="trigonometric").states == ("cos1", "sin1", "cos2")
    assert len(Seasonal(12, form="trigonometric").states) == 11
    assert len(Seasonal(365.25, form="trigonometric", harmonics=3).states) == 6
    assert Seasonal(12, form="trigonometric", harmonics=[2, 6]).states == ("cos2", "sin2", "cos6")


def test_equal_names_raise_and_ask_for_another():
    with pytest.raises(ValueError, match=r"component 'level' occurs twice: give each its own name="):
        LocalLevel() + LocalLevel()
    with pytest.raises(ValueError, match=r"'seasonal12' occurs twice"):
        Seasonal(12) + LocalLevel() + Seasonal(12, form="trigonometric") + Noise()
    with pytest.raises(ValueError, match=r"'noise' occurs twice"):
        LocalLevel(name="noise") + Noise()
    assert (Seasonal(7) + Seasonal(365)).state_names[6] == "seasonal365.effect"
    assert (LocalLevel() + LocalLevel(name="other")).state_names == ("level", "other")


# --- sums ---------------------------------------------------------------------------------------------------


def test_sums_are_flat_and_associative():
    a, b, c, d = LocalLevel(), Seasonal(4), AutoRegressive(1), Noise()
    sums = [((a + b) + c) + d, (a + b) + (c + d), a + (b + (c + d)), sum([a, b, c, d]), sum([a + b, c + d])]
    for model in sums:
        assert isinstance(model, Structural)
        assert model.components == (a, b, c)
        assert model.observation is d


def test_the_order_of_the_observing_term_does_not_matter():
    model = Noise(1.0) + LocalLevel()
    assert model.state_names == ("level",)
    assert float(model.observation.scale) == 1.0


def test_a_second_observing_term_raises():
    with pytest.raises(ValueError, match="exactly one term observes"):
        LocalLevel() + Noise() + Noise(name="other")
    with pytest.raises(ValueError, match="exactly one term observes"):
        Noise() + Noise()


@pytest.mark.parametrize("other", [1, "level", None, np.ones(2)], ids=repr)
def test_other_things_cannot_be_added(other):
    with pytest.raises(TypeError):
        LocalLevel() + other


def test_a_sum_that_does_not_observe():
    model = LocalLevel(0.5) + Seasonal(4, scale=0.1)
    with pytest.raises(ValueError, match=r"no term observes: add Noise\(\)"):
        bound(model)
    with pytest.raises(ValueError, match="no term observes"):
        model.emission_matrices(STEP)


# --- arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Seasonal(1), "period must be at least 2"),
        (lambda: Seasonal(12.5), "whole number in the dummy form"),
        (lambda: Seasonal(float("nan"), form="trigonometric"), "period must be at least 2"),
        (lambda: Seasonal(12, form="fourier"), "form is 'dummy' or 'trigonometric'"),
        (lambda: Seasonal(12, harmonics=2), "harmonics belong to"),
        (lambda: Seasonal(12, form="trigonometric", harmonics=7), "harmonics of period 12 are 1 to 6"),
        (lambda: Seasonal(12, form="trigonometric", harmonics=[0, 1]), "harmonics of period 12 are 1 to 6"),
        (lambda: Seasonal(12, form="trigonometric", harmonics=0), "harmonics of period 12 are 1 to 6"),
        (lambda: Cycle(period_bounds=(1, 10)), "2 <= lower < upper"),
        (lambda: Cycle(period_bounds=(10, 10)), "2 <= lower < upper"),
        (lambda: Cycle(damping=0.9, damped=False), "not damped has damping 1"),
        (lambda: AutoRegressive(0), "order 1 or more"),
        (lambda: AutoRegressive(2, [0.5]), r"needs 2 coefficients, got shape \(1,\)"),
        (lambda: Regression([]), "at least one input column"),
        (lambda: Regression(["a", "a"]), "input column 'a' occurs twice"),
        (lambda: Regression(["a"], scale=1.0), "scale belongs to time_varying=True"),
        (lambda: Intervention(3, "ramp"), "kind is 'step' or 'pulse'"),
        (lambda: Noise(correlation=np.eye(2)), "correlated=True"),
        (lambda: LocalLevel(initial=InitialLaw.known([1.0, 2.0])), "level has 1 states but its initial law has 2"),
        (lambda: Seasonal(4, initial=InitialLaw.known([1.0])), "seasonal4 has 3 states but its initial law has 1"),
    ],
)  # fmt: skip
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_single_column_may_be_named_alone():
    assert Regression("price").columns == ("price",)


# --- dynamics -----------------------------------------------------------------------------------------------


def test_dummy_seasonal_repeats_and_sums_to_zero():
    seasonal = Seasonal(4, scale=0.3)
    f = transition_matrix(seasonal)
    np.testing.assert_array_equal(f, [[-1, -1, -1], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(np.linalg.matrix_power(f, 4), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(seasonal.noise_factor(STEP), [[0.3], [0], [0]])


@pytest.mark.parametrize("period", [4, 5, 12, 7])
def test_trigonometric_seasonal_spans_the_dummy_one(period):
    """Both make exactly the patterns of one period that sum to zero."""
    patterns = []
    for seasonal in (Seasonal(period, scale=0.0), Seasonal(period, form="trigonometric", scale=0.0)):
        f, row = transition_matrix(seasonal), np.asarray(seasonal.loading(STEP))
        rows = np.array([row @ np.linalg.matrix_power(f, t) for t in range(period)])
        np.testing.assert_allclose(rows.sum(0), 0, atol=1e-12)
        np.testing.assert_allclose(row @ np.linalg.matrix_power(f, period), row, atol=1e-12)
        assert np.linalg.matrix_rank(rows) == period - 1
        patterns.append(rows)
    assert np.linalg.matrix_rank(np.hstack(patterns)) == period - 1


def test_cycle_turns_and_shrinks():
    f = transition_matrix(Cycle(8.0, 0.9, 1.0))
    np.testing.assert_allclose(np.linalg.matrix_power(f, 8), 0.9**8 * np.eye(2), atol=1e-12)
    law = Cycle(8.0, 0.9, 2.0).initial_law(STEP)
    np.testing.assert_allclose(law.cov, f @ np.asarray(law.cov) @ f.T + 4 * np.eye(2), rtol=1e-12)
    undamped = Cycle(8.0, scale=1.0, damped=False)
    assert undamped.initial_law(STEP).diffuse == (True, True)
    np.testing.assert_allclose(np.linalg.matrix_power(transition_matrix(undamped), 8), np.eye(2), atol=1e-12)


def test_autoregression_starts_from_its_stationary_law():
    part = AutoRegressive(3, [0.5, 0.2, -0.1], 1.5)
    f, g, law = transition_matrix(part), np.asarray(part.noise_factor(STEP)), part.initial_law(STEP)
    np.testing.assert_allclose(f[0], [0.5, 0.2, -0.1])
    np.testing.assert_allclose(law.cov, f @ np.asarray(law.cov) @ f.T + g @ g.T, rtol=1e-10, atol=1e-12)
    assert not any(law.diffuse)


def test_a_given_first_law_is_used():
    start = InitialLaw.gaussian([2.0], [0.5])
    model = LocalLevel(1.0, initial=start) + LocalLinearTrend(1.0, 1.0) + Noise(1.0)
    law = model.initial_law(STEP)
    assert law.diffuse == (False, True, True)
    np.testing.assert_array_equal(law.mean, [2, 0, 0])
    np.testing.assert_array_equal(law.cov, np.diag([0.25, 0, 0]))


def test_irregular_stamps_scale_the_steps():
    step = make_steps(2, dt=np.array([np.nan, 2.5]))[1]
    trend = LocalLinearTrend(0.5, 0.2)
    np.testing.assert_allclose(transition_matrix(trend, step), [[1, 2.5], [0, 1]])
    np.testing.assert_allclose(trend.noise_factor(step), np.diag([0.5, 0.2]) * np.sqrt(2.5))
    np.testing.assert_allclose(LocalLevel(0.5).noise_factor(step), [[0.5 * np.sqrt(2.5)]])


@pytest.mark.parametrize("part", [Seasonal(4), Cycle(), AutoRegressive(1)], ids=lambda part: part.name)
def test_components_that_count_periods_want_regular_stamps(part):
    with pytest.raises(ValueError, match=f"{part.name} counts periods, but the stamps are not evenly spaced"):
        bound(part + Noise(), regular=False)
    bound(LocalLinearTrend() + Noise(), regular=False)


def test_a_period_longer_than_the_series():
    with pytest.raises(ValueError, match="seasonal12 has period 12 but the series has only 8 stamps"):
        bound(Seasonal(12) + Noise(), index=pd.RangeIndex(8))


def test_matrices_of_a_sum():
    parts = [LocalLinearTrend(0.5, 0.2), Seasonal(4, scale=0.3), AutoRegressive(2, [0.5, 0.1], 0.7)]
    model = bound(sum(parts) + Noise(0.9))
    f, start = transition_matrix(model), 0
    for part in parts:
        where = slice(start, start + len(part.states))
        np.testing.assert_allclose(f[where, where], transition_matrix(part))
        f[where, where], start = 0, where.stop
    np.testing.assert_array_equal(f, 0)
    matrices = model.transition_matrices(STEP)
    noise = np.asarray(matrices.factor @ matrices.factor.T)
    np.testing.assert_allclose(np.diag(noise), [0.25, 0.04, 0.09, 0, 0, 0.49, 0])
    assert np.count_nonzero(noise) == 4
    emission = model.emission_matrices(STEP)
    np.testing.assert_array_equal(emission.matrix, [[1, 0, 1, 0, 0, 1, 0]])
    np.testing.assert_allclose(emission.scale, [0.9])


# --- regression and events ----------------------------------------------------------------------------------


def test_columns_are_found_by_name():
    part = Regression(["b", "a"]).bind(binding(inputs=["a", "c", "b"]))
    step = make_steps(2, inputs=jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))[1]
    np.testing.assert_array_equal(part.loading(step), [6, 4])


def test_columns_that_are_missing():
    with pytest.raises(ValueError, match=r"regression needs the input columns 'b', 'd', but inputs= has 'a', 'c'"):
        Regression(["a", "b", "d"]).bind(binding(inputs=["a", "c"]))
    with pytest.raises(ValueError, match=r"needs the input column 'b', but inputs= was not given"):
        Regression(["b"]).bind(binding())
    with pytest.raises(ValueError, match=r"regression reads 'b', but no inputs= were given"):
        Regression(["b"]).loading(STEP)


def test_coefficients_that_move():
    part = Regression(["a", "b"], time_varying=True, scale=[0.1, 0.2])
    np.testing.assert_allclose(part.noise_factor(STEP), np.diag([0.1, 0.2]))
    assert Regression(["a", "b"]).noise_factor(STEP).shape == (2, 0)
    assert part.reported_states == ()


@pytest.mark.parametrize(("kind", "expected"), [("step", [0, 0, 1, 1]), ("pulse", [0, 0, 1, 0])])
def test_events(kind, expected):
    dates = pd.date_range("2020-01-01", periods=4, freq="MS")
    for at in (2, "2020-03", "2020-03-01", pd.Timestamp("2020-03-01")):
        part = Intervention(at, kind).bind(binding(index=dates))
        steps = make_steps(4)
        np.testing.assert_array_equal([float(part.loading(steps[t])[0]) for t in range(4)], expected)


def test_events_outside_the_series():
    dates = pd.date_range("2020-01-01", periods=4, freq="MS")
    with pytest.raises(ValueError, match="event is at '2021-01-01', which is not a stamp of the data"):
        Intervention("2021-01-01", name="event").bind(binding(index=dates))
    with pytest.raises(ValueError, match="outside the 4 stamps of the data"):
        Intervention(4).bind(binding(index=dates))
    with pytest.raises(ValueError, match="outside the 4 stamps of the data"):
        Intervention(-1).bind(binding(index=dates))
    with pytest.raises(ValueError, match="a date needs data with dates, or give a position"):
        Intervention("2020-03").loading(STEP)


# --- several series -----------------------------------------------------------------------------------------


def test_every_series_gets_its_own_copy():
    model = bound(LocalLevel(0.5) + Seasonal(3, scale=0.2) + Noise([0.7, 0.8]), series=["north", "south"])
    assert model.num_series == 2
    assert model.state_names == (
        "level[north]", "level[south]", "seasonal3[north].effect", "seasonal3[north].lag1",
        "seasonal3[south].effect", "seasonal3[south].lag1",
    )  # fmt: skip
    assert list(parameters(model)) == [
        "level[north].scale", "level[south].scale", "seasonal3[north].scale", "seasonal3[south].scale", "noise.scale",
    ]  # fmt: skip
    emission = model.emission_matrices(STEP)
    np.testing.assert_array_equal(emission.matrix, [[1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0]])
    np.testing.assert_allclose(emission.scale, [0.7, 0.8])


def test_a_component_of_one_series():
    model = bound(  # noqa: E501
        LocalLevel(0.5) + AutoRegressive(1, [0.5], 1.0, series="south") + Noise(0.7), series=["north", "south"]
    )
    assert model.state_names == ("level[north]", "level[south]", "ar")
    np.testing.assert_array_equal(model.emission_matrices(STEP).matrix, [[1, 0, 0], [0, 1, 1]])
    with pytest.raises(ValueError, match="ar belongs to series 'west', but the data have 'north', 'south'"):
        bound(AutoRegressive(1, series="west") + Noise(), series=["north", "south"])


def test_a_shared_component():
    model = bound(Common(LocalLevel(0.5), weights=[2.0, -1.0]) + Noise(0.7), series=["a", "b", "c"])
    assert model.state_names == ("level",)
    np.testing.assert_array_equal(model.emission_matrices(STEP).matrix, [[1], [2], [-1]])
    np.testing.assert_allclose(model.emission_matrices(STEP).scale, [0.7, 0.7, 0.7])
    found = model.contributions(jnp.array([3.0]), STEP)
    np.testing.assert_array_equal(found["level"], [3, 6, -3])


def test_weights_of_a_shared_component_may_be_unknown():
    model = bound(Common(LocalLevel()) + Noise(), series=["a", "b", "c"])
    found = parameters(model)
    assert found["level.free_weights"].shape == (2,)
    assert found["noise.scale"].shape == (3,)
    assert "level.free_weights" not in parameters(bound(Common(LocalLevel()) + Noise()))
    with pytest.raises(ValueError, match="level has 1 weights but there are 3 series: give 2"):
        bound(Common(LocalLevel(), weights=[1.0]) + Noise(), series=["a", "b", "c"])


def test_shared_regression_finds_its_columns():
    model = bound(Common(Regression(["b"]), weights=[0.5]) + Noise(1.0), series=["x", "y"], inputs=["a", "b"])
    step = make_steps(1, inputs=jnp.array([[1.0, 4.0]]))[0]
    np.testing.assert_array_equal(model.emission_matrices(step).matrix, [[4], [2]])
    assert model.input_names == ("b",)
    assert model.reported_states == ("regression.b",)


def test_correlated_noise():
    correlation = [[1, 0], [0.6, 0.8]]
    model = bound(LocalLevel(0.5) + Noise([2.0, 0.5], correlated=True, correlation=correlation), series=["a", "b"])
    factor = np.asarray(model.emission_matrices(STEP).scale)
    np.testing.assert_allclose(factor @ factor.T, [[4, 0.6], [0.6, 0.25]], rtol=1e-12)
    unknown = bound(LocalLevel() + Noise(correlated=True), series=["a", "b"])
    assert parameters(unknown)["noise.correlation"].shape == (2, 2)


def test_the_number_of_noise_scales():
    with pytest.raises(ValueError, match="noise has 3 scales but there are 2 series"):
        bound(LocalLevel() + Noise([1.0, 2.0, 3.0]), series=["a", "b"])
    single = bound(LocalLevel() + Noise([1.0]))
    assert single.observation.scale.shape == ()


def test_too_many_noise_scales_for_one_series():
    with pytest.raises(ValueError, match="noise has 2 scales but there are 1 series|noise has 2 scales"):
        bound(LocalLevel() + Noise([1.0, 2.0])).emission_matrices(STEP)


def test_binding_twice_changes_nothing():
    once = bound(LocalLevel(0.5) + Noise(0.7), series=["a", "b"])
    again = bound(once, series=["a", "b"])
    assert again.state_names == once.state_names
    np.testing.assert_array_equal(again.emission_matrices(STEP).matrix, once.emission_matrices(STEP).matrix)
    np.testing.assert_array_equal(again.observation.scale, once.observation.scale)
