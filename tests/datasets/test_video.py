"""Simulated videos: mechanics against conservation laws, unfolding and another integrator, and pictures of them."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from statespace.datasets import bouncing_balls, pendulum
from statespace.verbs.panel import is_panel


def balls(states, count):
    """Places and velocities (time, ball, 2)."""
    values = states.to_numpy().reshape(len(states), 2, count, 2)
    return values[:, 0], values[:, 1]


def test_one_ball_moves_straight_in_the_unfolded_box():
    """Reflection off walls is folding: mirrored at them, the box tiles the plane, where the path is a straight line."""
    radius = 0.17
    for states in bouncing_balls(20, 60, radius=radius, speed=0.13, seed=1).states.values():
        x, v = (part[:, 0] for part in balls(states, 1))
        free, width = x[0] + np.arange(60)[:, None] * v[0] - radius, 1 - 2 * radius
        folded = np.abs((free + width) % (2 * width) - width)
        np.testing.assert_allclose(x, radius + folded, atol=1e-12)
        np.testing.assert_allclose(np.abs(v), np.broadcast_to(np.abs(v[0]), v.shape), atol=1e-15)
        np.testing.assert_allclose(np.linalg.norm(v[0]), 0.13)


def test_balls_keep_their_energy_and_never_overlap():
    video = bouncing_balls(10, 80, num_balls=4, radius=0.1, speed=0.09, seed=2)
    hits = 0
    for states in video.states.values():
        x, v = balls(states, 4)
        energy = np.sum(v**2, axis=(1, 2))
        np.testing.assert_allclose(energy, 4 * 0.09**2, rtol=1e-12)
        gaps = np.linalg.norm(x[:, :, None] - x[:, None], axis=-1)[:, *np.triu_indices(4, 1)]
        assert gaps.min() >= 0.2 - 1e-12
        assert x.min() >= 0.1 - 1e-12
        assert x.max() <= 0.9 + 1e-12
        hits += np.sum(~np.isclose(np.sum(v**2, axis=-1)[1:], np.sum(v**2, axis=-1)[:-1]))
    assert hits > 50  # walls keep each ball's own energy, only other balls change it


def test_two_balls_are_one_ball_of_stiff_springs():
    """The same collision by integrating a steep repulsion, which knows nothing of elastic collisions."""
    radius = 0.1
    for states in bouncing_balls(400, 2, num_balls=2, radius=radius, speed=0.1).states.values():
        x, v = balls(states, 2)
        away = radius + 0.03 < x.min() and x.max() < 1 - radius - 0.03
        if away and not np.allclose(v[1], v[0]):  # the two have met, away from the walls
            break
    else:
        raise AssertionError("no two balls meet")
    stiffness = 1e6

    def slope(_, s):
        place, velocity = s[:4].reshape(2, 2), s[4:]
        line = place[0] - place[1]
        size = np.linalg.norm(line)
        force = stiffness * max(2 * radius - size, 0.0) * line / size
        return np.concatenate([velocity, force, -force])

    start = np.concatenate([x[0].ravel(), v[0].ravel()])
    found = solve_ivp(slope, (0.0, 1.0), start, "DOP853", rtol=1e-10, atol=1e-12, max_step=1e-4).y[:, -1]
    np.testing.assert_allclose(found, np.concatenate([x[1].ravel(), v[1].ravel()]), atol=1e-3)


def test_pictures_show_the_balls():
    video = bouncing_balls(3, 7, size=40, num_balls=2, radius=0.15, seed=3)
    smooth = bouncing_balls(3, 7, size=40, num_balls=2, radius=0.15, seed=3, binary=False)
    assert is_panel(video.frames)
    for name, frame in video.frames.items():
        x, _ = balls(video.states[name], 2)
        pictures, edges = frame.to_numpy().reshape(7, 40, 40), smooth.frames[name].to_numpy()
        assert set(np.unique(pictures)) == {0.0, 1.0}
        np.testing.assert_allclose(pictures.mean(axis=(1, 2)), 2 * np.pi * 0.15**2, rtol=0.05)
        np.testing.assert_allclose(edges.mean(axis=1), 2 * np.pi * 0.15**2, rtol=0.01)
        columns, rows = np.floor(40 * x[..., 0]).astype(int), np.floor(40 * x[..., 1]).astype(int)
        assert np.all(pictures[np.arange(7)[:, None], rows, columns] == 1)
        assert frame.columns[41] == "r1c1"


def test_a_seed_is_a_video():
    first, again, other = (bouncing_balls(2, 4, seed=seed).frames["sequence 1"] for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)
    first, again, other = (pendulum(2, 4, torque=1.0, noise=0.1, seed=s).frames["sequence 1"] for s in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


def test_the_pendulum_solves_its_equation():
    video = pendulum(3, 30, torque=4.0, friction=0.3, seed=5)
    for name, states in video.states.items():
        s, u = states.to_numpy(), video.actions[name]["torque"].to_numpy()
        assert np.abs(u).max() <= 4
        assert s[:, 0].std() > 0.1
        for t in range(1, 30):

            def slope(_, x, torque=u[t]):  # the torque in a row led to the row
                return x[1], -9.81 * np.sin(x[0]) - 0.3 * x[1] + torque

            found = solve_ivp(slope, (0.0, 0.1), s[t - 1], "DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
            np.testing.assert_allclose(s[t], found, atol=1e-7)


def test_without_torque_friction_takes_the_energy():
    video = pendulum(4, 50, seed=1)
    assert video.actions is None
    for states in video.states.values():
        energy = 0.5 * states["velocity"] ** 2 - 9.81 * np.cos(states["angle"])
        assert np.all(np.diff(energy) < 0)


def test_pictures_show_the_pendulum():
    video = pendulum(2, 40, size=32, seed=1)
    noisy = pendulum(2, 40, size=32, noise=0.2, seed=1)
    weights = (np.arange(32) + 0.5) / 32 - 0.5
    for name, frame in video.frames.items():
        pictures = frame.to_numpy().reshape(40, 32, 32)
        assert pictures.min() == 0
        assert pictures.max() == 1
        across, down = np.sum(pictures * weights, axis=(1, 2)), np.sum(pictures * weights[:, None], axis=(1, 2))
        angle = video.states[name]["angle"].to_numpy()
        turned = np.angle(np.exp(1j * (np.arctan2(across, down) - angle)))
        assert np.abs(turned).max() < 0.05
        assert (noisy.frames[name].to_numpy() - frame.to_numpy()).std() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bouncing_balls(0, 5), "at least 1 sequence"),
        (lambda: bouncing_balls(1, 5, radius=0.5), "between 0 and 0.5"),
        (lambda: bouncing_balls(1, 5, num_balls=9, radius=0.2), "no places were found for 9 balls"),
        (lambda: pendulum(1, 0), "at least 1 sequence, frame"),
        (lambda: pendulum(1, 5, dt=0.0), "dt is positive"),
        (lambda: pendulum(1, 5, friction=-1.0), "at least 0"),
    ],
)
def test_bad_options_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
