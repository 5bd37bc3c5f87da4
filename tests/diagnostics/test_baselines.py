"""Baselines against published scores, enumeration and dense normal laws."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from statespace import datasets
from statespace.diagnostics import baselines


def test_scores_of_chorales_are_the_known_ones():
    train, test = datasets.jsb_chorales("train"), datasets.jsb_chorales("test")
    found = baselines(train, test)
    assert found["per_frame"].round(2).to_dict() == {"Bernoulli": 11.06, "Markov": 10.47}
    assert found.loc["Markov", "per_sequence"] == pytest.approx(10.47, abs=0.005)
    assert found["parameters"].to_dict() == {"Bernoulli": 88, "Markov": 176}
    assert (found["frames"] == 4725).all()


def test_averages_over_frames_and_over_sequences():
    train = [np.array([[0.0], [1.0]] * 3)]
    short, long = np.array([[1.0]]), np.array([[0.0]] * 3)
    found = baselines(train, [short, long]).loc["Markov"]
    each = [baselines(train, part).loc["Markov", "per_frame"] for part in (short, long)]
    assert found["per_frame"] == pytest.approx((each[0] + 3 * each[1]) / 4)
    assert found["per_sequence"] == pytest.approx(np.mean(each))


def test_zeros_and_ones_by_hand():
    y = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]])
    rate = 4 / 7  # three of five, and one of each
    stay = (1 + 20 * 2 / 4) / (2 + 20)  # of two ones one was followed by a one
    rise = (2 + 20 * rate) / (2 + 20)
    found = baselines(y, y)["per_frame"]
    assert found["Bernoulli"] == pytest.approx(-(3 * np.log(rate) + 2 * np.log(1 - rate)) / 5)
    expected = -(np.log(1 - rate) + np.log(rise) + np.log(stay) + np.log(1 - stay) + np.log(rise)) / 5
    assert found["Markov"] == pytest.approx(expected)


def test_missing_zeros_and_ones_are_summed_over():
    random = np.random.default_rng(0)
    train = (random.random((40, 2)) < 0.4).astype(float)
    test = (random.random((6, 2)) < 0.4).astype(float)
    holes = [(0, 0), (2, 1), (3, 1)]
    seen = test.copy()
    for hole in holes:
        seen[hole] = np.nan
    total = 0.0
    for values in itertools.product([0.0, 1.0], repeat=len(holes)):
        filled = test.copy()
        for hole, value in zip(holes, values, strict=True):
            filled[hole] = value
        total += np.exp(-6 * baselines(train, filled).loc["Markov", "per_frame"])
    assert baselines(train, seen).loc["Markov", "per_frame"] == pytest.approx(-np.log(total) / 6)


@pytest.fixture
def walks():
    """An autoregression and a random walk of other level and unit, three sequences each."""
    random = np.random.default_rng(1)
    y = np.zeros((3, 50, 2))
    for t in range(1, 50):
        y[:, t, 0] = 0.5 + 0.8 * y[:, t - 1, 0] + random.normal(size=3)
        y[:, t, 1] = y[:, t - 1, 1] + 0.1 * random.normal(size=3)
    return y


def dense(y, mean, sd, shift, slope, noise):
    """Minus the log density of one series under an autoregression that starts from N(mean, sd^2), gaps left out."""
    n = len(y)
    m, cov = np.zeros(n), np.zeros((n, n))
    m[0], cov[0, 0] = mean, sd**2
    for t in range(1, n):
        m[t] = shift + slope * m[t - 1]
        cov[t, :t] = cov[:t, t] = slope * cov[t - 1, :t]
        cov[t, t] = slope**2 * cov[t - 1, t - 1] + noise**2
    seen = ~np.isnan(y)
    return -stats.multivariate_normal(m[seen], cov[np.ix_(seen, seen)]).logpdf(y[seen])


@pytest.mark.parametrize("gaps", [False, True], ids=["complete", "gaps"])
def test_real_numbers_against_dense_normal_laws(walks, gaps):
    train, test = walks[:2], walks[2].copy()
    if gaps:
        test[0, 0] = test[5:8, 1] = test[49] = np.nan
    frames = 50 - gaps
    found = baselines(train, test)
    expected = dict.fromkeys(found.index, 0.0)
    for i in range(2):
        mean, sd = train[..., i].mean(), train[..., i].std()
        before, after = train[:, :-1, i].ravel(), train[:, 1:, i].ravel()
        fit = stats.linregress(before, after)
        noise = np.sqrt(np.mean((after - fit.intercept - fit.slope * before) ** 2))
        last = np.sqrt(np.mean((after - before) ** 2))
        laws = {"normal": (mean, 0.0, sd), "last value": (0.0, 1.0, last), "AR(1)": (fit.intercept, fit.slope, noise)}
        for name, law in laws.items():
            expected[name] += dense(test[:, i], mean, sd, *law) / frames
    assert found["per_frame"].to_dict() == pytest.approx(expected)
    assert found["frames"].tolist() == [frames] * 3
    assert found["parameters"].tolist() == [4, 6, 10]
    assert found.loc["AR(1)", "per_frame"] < found.loc["normal", "per_frame"]


def test_panels_of_every_kind_are_the_same(walks):
    frames = [pd.DataFrame(part, columns=["a", "b"]) for part in walks]
    expected = baselines(walks, walks)
    for panel in (frames, tuple(walks), dict(enumerate(frames)), [frame.to_xarray().to_array().T for frame in frames]):
        pd.testing.assert_frame_equal(baselines(panel, panel), expected)
    pd.testing.assert_frame_equal(baselines(walks, frames[0]), baselines(walks, walks[:1]))


def test_a_series_that_does_not_vary_has_the_smallest_deviation(walks):
    still = np.concatenate([walks, np.full((3, 50, 1), 0.5)], axis=2)
    extra = baselines(still, still, smallest=0.01) - baselines(walks, walks)
    np.testing.assert_allclose(extra["per_frame"], 0.5 * np.log(2 * np.pi) + np.log(0.01))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (np.zeros((2, 5, 2)), np.zeros((2, 5, 3)), r"have \[2, 3\] series"),
        ([], [], r"sequences of shape \(time, series\)"),
        (np.zeros((3, 1, 2)), np.zeros((3, 1, 2)), "no two successive values"),
        (np.zeros((1, 5, 2)), np.full((1, 5, 2), np.nan), "nothing to score"),
    ],
)
def test_what_does_not_fit_is_refused(train, test, message):
    with pytest.raises(ValueError, match=message):
        baselines(train, test)
