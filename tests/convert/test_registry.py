"""Which forms the registry leads to, and what it says where no path leads."""

import numpy as np
import pytest

import statespace as ss
from statespace.convert import forms
from statespace.convert.registry import ARROWS, domain_of, path

BOTH_TIMES = {"Modal", "DPLR", "Balanced", "FrequencyResponse", "ZerosPoles", "SecondOrderSections"}


@pytest.mark.parametrize("name", forms.__all__)
def test_every_form_says_its_time_or_serves_both(name):
    form = getattr(forms, name)
    assert form in {end for step in ARROWS for end in (step.source, step.target)}
    assert (domain_of(form) in ("discrete", "continuous")) != (name in BOTH_TIMES)


@pytest.mark.parametrize("source", [forms.ContinuousSSM, forms.Matern, forms.OrnsteinUhlenbeck])
@pytest.mark.parametrize("target", [forms.ImpulseResponse, forms.Hankel])
def test_no_path_goes_from_one_time_to_the_other_unasked(source, target):
    """Through a form that serves both times it would fail inside an arrow."""
    assert path(source, target, {"length"}) == []
    assert [step.target for step in path(source, target, {"length", "dt"})][-1] is target


def test_where_a_step_is_missing_the_registry_says_which_option_leads_on():
    spring = ss.ContinuousSSM([[0.0, 1.0], [-1.0, -0.1]], [[0.0], [1.0]], [[1.0, 0.0]])
    with pytest.raises(TypeError, match=r"give dt=. The options are those of ContinuousSSM -> DiscreteSSM"):
        ss.convert(spring, forms.ImpulseResponse, length=3)
    taps = ss.convert(spring, forms.ImpulseResponse, length=3, dt=0.5).value
    stamps = ss.convert(spring, forms.DiscreteSSM, dt=0.5).value
    np.testing.assert_allclose(taps.kernel, ss.convert(stamps, forms.ImpulseResponse, length=3).value.kernel)


def test_what_is_lost_is_added_to_what_was_said():
    first = ss.Conversion(1, notes=("a",), condition=2.0, transform=np.eye(1))
    lost = first.losing("b")
    assert (lost.value, lost.exact, lost.norm, lost.notes, lost.condition) == (1, False, "kernel_l2", ("a", "b"), 2.0)
    assert lost.transform is first.transform
    bounded = ss.Conversion(1, exact=False, error_bound=0.1, norm="hinf").losing("b")
    assert (bounded.norm, bounded.error_bound) == ("hinf", 0.1)


@pytest.mark.parametrize(
    ("target", "how", "message"),
    [
        (ss.Balanced, {"states": 2}, r"there is no states=. The options are those of DiscreteSSM -> Balanced\(order="),
        (ss.ARInfinity, {}, r"give lags=. The options are"),
        (ss.ARMA, {"lag": 3}, r"there is no lag="),
    ],
)
def test_options_that_are_missing_or_unknown_are_named(target, how, message):
    form = ss.DiscreteSSM([[0.5]], [[1.0]], Q=[[1.0]], R=[[1.0]])
    with pytest.raises(TypeError, match=message):
        ss.convert(form, target, **how)


def test_a_target_is_a_class_and_a_fit_is_its_model():
    with pytest.raises(TypeError, match="class of a form, such as ss.ARMA"):
        ss.convert(ss.ARMA([0.5]), "Modal")
    model = ss.LinearGaussian([[0.5]], [1.0], [[1.0]], [1.0], stationary=True)
    filtered = ss.filter(model, [1.0, 2.0, 0.5])
    np.testing.assert_allclose(ss.convert(filtered, ss.DiscreteSSM).value.A, [[0.5]])
