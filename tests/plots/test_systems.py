"""Pictures of linear models: what is drawn is what the forms say, and what cannot be drawn is refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.signal import dimpulse, welch

import statespace as ss
from statespace import plots

A = np.array([[0.9, 0.2], [-0.2, 0.9]])
DRIVEN = ss.DiscreteSSM(A, [[1.0], [0.5]], [[1.0, 0.0]], timing="previous", Q=0.1 * np.eye(2), R=[[0.2]])
NOISY = ss.LinearGaussian([[0.9]], [0.5], [[1.0]], [1.0], stationary=True)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_impulse_responses():
    (ax,) = plots.impulse_response(DRIVEN, length=12).ravel()
    _, (expected,) = dimpulse((A, DRIVEN.B, DRIVEN.C, DRIVEN.D, 1), n=12)
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), expected[:, 0], atol=1e-12)
    assert ax.get_title(loc="left") == "y0 after u0"
    both = plots.impulse_response({"one": DRIVEN, "other": DRIVEN}, length=5)[0, 0]
    assert [text.get_text() for text in both.get_legend().get_texts()] == ["one", "other"]
    with pytest.raises(ValueError, match="no inputs: draw the effects of its noises"):
        plots.impulse_response(NOISY)
    assert plots.impulse_response(NOISY, noise=True, length=4).shape == (1, 2)


def test_gain_and_phase():
    frequencies = np.array([0.1, 1.0])
    gain, phase = plots.bode(DRIVEN, frequencies=frequencies).ravel()
    z = np.exp(1j * frequencies)
    expected = np.array([(DRIVEN.C @ np.linalg.solve(x * np.eye(2) - A, DRIVEN.B))[0, 0] for x in z])
    np.testing.assert_allclose(gain.lines[0].get_ydata(), 20 * np.log10(np.abs(expected)), atol=1e-9)
    np.testing.assert_allclose(phase.lines[0].get_ydata(), np.degrees(np.unwrap(np.angle(expected))), atol=1e-9)
    assert phase.get_xlabel() == "frequency, radians per stamp"
    response = ss.convert(DRIVEN, ss.FrequencyResponse, frequencies=frequencies).value
    np.testing.assert_allclose(plots.bode(response)[0, 0].lines[0].get_xdata(), frequencies)
    with pytest.raises(ValueError, match="has frequencies of its own"):
        plots.bode(response, frequencies=frequencies)
    with pytest.raises(ValueError, match="no inputs to answer to"):
        plots.bode(NOISY)


def test_poles_and_zeros():
    ax = plots.pole_zero(DRIVEN).item()
    poles = next(line for line in ax.lines if line.get_label() == "poles")
    np.testing.assert_allclose(sorted(poles.get_ydata()), [-0.2, 0.2], atol=1e-12)
    arma = plots.pole_zero(NOISY).item()
    roots = {line.get_label(): line.get_xdata() for line in arma.lines}
    assert roots["poles"] == pytest.approx([0.9])
    assert 0 < roots["zeros"][0] < 0.9  # a noisy AR(1) is an ARMA(1, 1)
    layer = plots.pole_zero(ss.LRU(1, 2, key=0)).item()
    assert {line.get_label() for line in layer.lines} >= {"poles", "zeros"}
    with pytest.raises(ValueError, match="different planes"):
        plots.pole_zero({"a": DRIVEN, "b": ss.ContinuousSSM([[-1.0]], [[1.0]], [[1.0]])})


def test_singular_values():
    ax = plots.hankel_singular_values(DRIVEN).item()
    values, bound = (line.get_ydata() for line in ax.lines)
    np.testing.assert_allclose(bound[-1], 2 * values[-1])
    np.testing.assert_allclose(bound[0], 2 * values.sum())


def test_spectra():
    y = np.random.default_rng(0).normal(size=512)
    (ax,) = plots.spectrum(NOISY, y)
    found = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert found["model"].mean() == pytest.approx(0.25 / (1 - 0.81) + 1.0, rel=1e-2)  # the variance
    assert found["data (Welch)"].mean() == pytest.approx(np.pi * welch(y, 2 * np.pi, nperseg=64)[1][1:].mean())
    with pytest.raises(ValueError, match="without gaps"):
        plots.spectrum(NOISY, np.where(np.arange(512) == 3, np.nan, y))


def test_too_many_models():
    with pytest.raises(ValueError, match="compares one to 4 models, got 5"):
        plots.bode(dict.fromkeys("abcde", DRIVEN))
