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
    with pytest.raises(TypeError, match=r"got the options \['length'\], expected those of: .*dt: Any"):
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
