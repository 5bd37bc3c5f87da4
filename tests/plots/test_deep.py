"""Pictures for deep models: what is drawn, hatched, framed and refused."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from statespace import datasets, plots
from statespace.plots.piano_roll import _rectangles

random = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []


def labels(ax):
    """Of what may be in a legend, drawn or not."""
    return ax.get_legend_handles_labels()[1]


def lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


# piano rolls


def roll(length=20):
    values = np.zeros((length, 88))
    values[:, [39, 43]] = 1.0  # C4 and E4
    values[::2, 51] = 1.0
    return values


def cells(ax):
    """The values drawn, (key, time)."""
    return ax.collections[0].get_array()


def test_a_roll_is_drawn_as_it_is():
    (ax,) = plots.piano_roll(roll())
    ax.figure.canvas.draw()
    np.testing.assert_array_equal(np.asarray(cells(ax)).T, roll())
    assert ax.get_ylim() == (59 - 0.5, 73 + 0.5)  # a key more than sounds on each side
    assert [label.get_text() for label in ax.get_yticklabels()] == ["C4", "C5"]
    assert ax.get_yticks().tolist() == [60, 72]
    assert ax.get_xlim() == (-0.5, 19.5)
    assert plots.piano_roll(roll(), keys=(21, 108))[0].get_ylim() == (20.5, 108.5)
    assert plots.piano_roll(0 * roll(), lowest=0)[0].get_ylim() == (-0.5, 87.5)


def test_panels_of_data_and_probabilities():
    chorale = datasets.jsb_chorales("test")["test 0"]
    axes = plots.piano_roll({"data": chorale, "probability": 0.7 * chorale})
    axes[0].figure.canvas.draw()
    assert [ax.get_title(loc="left") for ax in axes] == ["data", "probability"]
    assert [[text.get_text() for text in ax.texts] for ax in axes] == [[], ["darker: more probable"]]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert cells(axes[1]).max() == 0.7


def test_missing_cells_are_hatched_and_kept_ones_in_every_panel():
    hidden = np.zeros((20, 88), bool)
    hidden[5:9] = hidden[12:, 40:45] = True
    seen = np.where(hidden, np.nan, roll())
    axes = plots.piano_roll({"truth": roll(), "seen": seen, "sample": roll()}, hidden=hidden)
    axes[0].figure.canvas.draw()
    for ax in axes:
        assert {patch.get_hatch() for patch in ax.patches} == {"////"}
        area = sum(patch.get_width() * patch.get_height() for patch in ax.patches)
        assert area == hidden.sum()
        assert (11.5, 60.5, 8.0, 5.0) in [patch.get_bbox().bounds for patch in ax.patches]
    assert [legend_of(ax) for ax in axes] == [["kept from the model"], ["missing"], []]
    np.testing.assert_array_equal(np.ma.getmaskarray(cells(axes[1])).T, hidden)


def test_rectangles_cover_cells_once():
    for share in (0.1, 0.5, 0.9):
        wanted = random.random((7, 9)) < share
        found = np.zeros((7, 9), int)
        for first, last, bottom, top in _rectangles(wanted):
            found[bottom:top, first:last] += 1
        np.testing.assert_array_equal(found, wanted)


def test_a_roll_with_dates_has_dates():
    index = pd.date_range("2020-01-01", periods=20, freq="D")
    (ax,) = plots.piano_roll(pd.DataFrame(roll(), index))
    ax.figure.canvas.draw()
    assert 2 <= len([label for label in ax.get_xticklabels() if label.get_text()]) <= 10
    start = np.datetime64("2020-01-01").astype(float)
    np.testing.assert_allclose(ax.get_xlim(), (start - 0.5, start + 19.5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.piano_roll({}), "one shape"),
        (lambda: plots.piano_roll({"a": roll(), "b": roll(9)}), r"got \[\(9, 88\), \(20, 88\)\]"),
        (lambda: plots.piano_roll(roll(), hidden=roll(9) > 0), r"hidden=\(9, 88\)"),
        (lambda: plots.piano_roll(np.zeros(5)), r"shape \(time, key\)"),
        (lambda: plots.piano_roll(roll(), axes=plt.subplots(1, 2)[1]), "1 Axes are needed"),
    ],
)
def test_rolls_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# videos


def frames(length=30):
    return datasets.bouncing_balls(1, length, size=8).frames["sequence 0"]


def test_rows_show_the_same_stamps():
    truth = frames()
    axes = plots.video({"truth": truth, "faint": 0.5 * truth.to_numpy()}, stamps=[3, 10])
    axes[0].figure.canvas.draw()
    assert [ax.get_ylabel() for ax in axes] == ["truth", "faint"]
    shown = [[np.asarray(image.get_array()) for image in ax.images] for ax in axes]
    pictures = truth.to_numpy().reshape(30, 8, 8)
    np.testing.assert_array_equal(shown[0], pictures[[3, 10]])
    np.testing.assert_array_equal(shown[1], 0.5 * pictures[[3, 10]])
    assert [label.get_text() for label in axes[1].get_xticklabels()] == ["3", "10"]
    first, second = (image.get_extent() for image in axes[0].images)
    assert tuple(first) == (0, 8, 8, 0)
    assert second[0] > 8
    assert axes[0].get_ylim()[0] > axes[0].get_ylim()[1]  # the first row on top


def test_a_row_has_at_most_twelve_frames():
    for length, count in ((1, 1), (12, 12), (13, 7), (30, 10)):
        (ax,) = plots.video(frames(length))
        assert len(ax.images) == count


def test_hidden_frames_are_framed_and_missing_ones_crossed_out():
    truth = frames(12)
    hidden = np.arange(12) // 3 == 1
    seen = truth.mask(np.broadcast_to(hidden[:, None], truth.shape))
    axes = plots.video({"truth": truth, "seen": seen}, hidden=hidden)
    axes[0].figure.canvas.draw()
    framed = [[patch.get_x() for patch in ax.patches if not patch.get_fill()] for ax in axes]
    lefts = [image.get_extent()[0] for image in axes[0].images]
    assert framed[0] == framed[1] == lefts[3:6]
    assert [sum(patch.get_hatch() == "xx" for patch in ax.patches) for ax in axes] == [0, 3]
    assert legend_of(axes[0]) == ["hidden"]


def test_frames_need_not_be_square():
    (ax,) = plots.video(random.random((3, 6)), shape=(2, 3))
    assert ax.images[0].get_array().shape == (2, 3)
    (ax,) = plots.video(random.random((3, 2, 3)), limits=(-1.0, 2.0))
    assert ax.images[0].get_clim() == (-1.0, 2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.video({}), "one shape"),
        (lambda: plots.video(random.random((3, 6))), r"6 pixels are not 2 by 2: pass shape="),
        (lambda: plots.video({"a": frames(3), "b": frames(4)}), r"got \[\(3, 8, 8\), \(4, 8, 8\)\]"),
        (lambda: plots.video(frames(3), stamps=[3]), "positions from 0 to 2"),
        (lambda: plots.video(frames(3), hidden=[True]), r"expected \(3,\)"),
        (lambda: plots.video(np.zeros(3)), r"\(time, pixel\) or"),
    ],
)
def test_videos_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# training


def history(steps=500, latent=4, evaluations=5, objective="ELBO"):
    number = np.arange(1, steps + 1)
    bound = -7.0 - 50 * np.exp(-number / 20) + 0.2 * random.normal(size=steps)
    divergence = np.array([0.5, 0.2, 0.02, 0.001])[:latent] * np.ones((steps, 1))
    if objective == "FIVO":
        divergence = np.full_like(divergence, np.nan)
    at = np.linspace(steps / 5, steps, evaluations).astype(int)
    return xr.Dataset(
        {
            "bound": ("step", bound),
            "divergence": (("step", "latent"), divergence),
            "held_out": ("evaluation", np.linspace(-9.0, -8.0, evaluations)),
        },
        {"step": number, "evaluated_at": ("evaluation", at)},
        {"objective": objective, "num_particles": 1},
    )


def test_the_bound_rises_above_divergences():
    found = history()
    axes = plots.training(SimpleNamespace(history=found))
    axes[0].figure.canvas.draw()
    bound, divergence = axes
    assert bound.get_title(loc="left") == "ELBO-1, nats a stamp"
    assert [text.get_text() for text in bound.texts] == ["best held-out -8.000 at step 500"]
    assert legend_of(bound) == ["batches", "held out"]
    np.testing.assert_array_equal(lines(bound)["held out"].get_xdata(), found["evaluated_at"])
    smooth = lines(bound)["batches"].get_ydata()
    np.testing.assert_allclose(smooth[100], found["bound"][91:101].mean())
    np.testing.assert_allclose(smooth[3], found["bound"][:4].mean())
    assert bound.get_ylim()[0] > -20  # the bad start is left out
    assert bound.get_ylim()[1] > found["bound"].max()
    assert len(divergence.lines) == 4
    assert [text.get_text() for text in divergence.texts] == ["at the end 0.721 in all, 3 of 4 above 0.01"]


def test_baselines_are_lines_below():
    scores = pd.DataFrame({"per_frame": [11.0, 9.0]}, index=["Bernoulli", "Markov"])
    ax = plots.training(history(), baselines=scores)[0]
    assert labels(ax) == ["batches", "held out", "Bernoulli", "Markov"]
    assert lines(ax)["Markov"].get_ydata()[0] == -9.0
    low, high = ax.get_ylim()
    assert low < -11
    assert high > -7


def test_short_histories_without_evaluations_or_coordinates():
    few = history(3, evaluations=0).drop_vars("step")
    bound, divergence = plots.training(few)
    bound.figure.canvas.draw()
    np.testing.assert_array_equal(lines(bound)["batches"].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(lines(bound)["batches"].get_ydata(), few["bound"])
    assert len(divergence.lines) == 4


def test_a_filters_bound_has_no_divergence():
    axes = plots.training(history(objective="FIVO"))
    axes[0].figure.canvas.draw()
    assert [text.get_text() for text in axes[1].texts] == ["resampled paths have no divergence"]


def test_histories_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="no steps"):
        plots.training(history(0, evaluations=0))
    with pytest.raises(TypeError, match="got SimpleNamespace"):
        plots.training(SimpleNamespace(history=None))
    with pytest.raises(ValueError, match="2 Axes are needed"):
        plots.training(history(), axes=plt.subplots()[1])
