"""Small videos of simulated mechanics, whose hidden states are known: balls in a box, and a pendulum."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

_TRIES = 10_000  # places tried for the balls of one sequence
_SUBSTEPS = 20  # Runge-Kutta steps between two frames


class Video(NamedTuple):
    """Sequences of frames, and what moved in them; each by the sequence's name, with a row for each frame.

    Attributes:
        frames: Grey levels from 0 to 1, a column for each pixel ("r0c0", "r0c1", ...: row by row from the top), so that
            `frame.to_numpy().reshape(-1, size, size)` are the pictures.
        states: What the pictures show: positions and velocities, or angle and its velocity.
        actions: What drove them from the frame before to this one; None where nothing did.
    """

    frames: dict[str, pd.DataFrame]
    states: dict[str, pd.DataFrame]
    actions: dict[str, pd.DataFrame] | None = None


def bouncing_balls(
    num_sequences: int,
    length: int,
    *,
    size: int = 32,
    num_balls: int = 1,
    radius: float = 0.1,
    speed: float = 0.05,
    binary: bool = True,
    seed: int = 0,
) -> Video:
    """Videos of balls of equal mass in a box of side 1, which bounce off the walls and off each other.

    Collisions are elastic and happen at their exact times, between frames too: a wall turns around the velocity across
    it, and two balls exchange their velocities along the line between their centres, so that energy is kept.

    Args:
        num_sequences: Number of sequences.
        length: Frames in each.
        size: Pixels on each side of a frame.
        num_balls: Balls in the box.
        radius: Radius of the balls, in sides of the box.
        speed: How far each ball moves from frame to frame at the start, in sides of the box.
        binary: Whether pixels are 0 or 1, as their centres lie outside or inside of a ball; else edges are smooth.
        seed: Of the places and directions at the start.

    Returns:
        The frames; states are `x0`, `y0`, ... (y from the top) and `x0_velocity`, `y0_velocity`, ...

    Raises:
        ValueError: If a number is below 1, the radius or the speed out of range, or no places are found for the balls.

    Example:
        >>> video = bouncing_balls(2, 5, size=16, num_balls=2)
        >>> list(video.frames), video.frames["sequence 0"].shape
        (['sequence 0', 'sequence 1'], (5, 256))

    Source:
        Sutskever, Hinton and Taylor (2009), "The recurrent temporal restricted Boltzmann machine", NeurIPS 21; with one
        ball in Fraccaro et al. (2017), "A disentangled recognition and nonlinear dynamics model", NeurIPS.
    """
    _check(num_sequences, length, size)
    if num_balls < 1 or not 0 < radius < 0.5 or speed < 0:
        raise ValueError(
            f"there are at least 1 ball, of a radius between 0 and 0.5, and a speed of at least 0, got {num_balls} "
            f"of radius {radius} and speed {speed}"
        )
    random = np.random.default_rng(seed)
    x = np.stack([_places(random, num_balls, radius) for _ in range(num_sequences)])
    angle = random.uniform(0, 2 * np.pi, (num_sequences, num_balls))
    v = speed * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    path = []
    for _ in range(length):
        path.append((x, v))
        x, v = _after_a_frame(x, v, radius)
    places, velocities = (np.stack(part, axis=1) for part in zip(*path, strict=True))  # (sequence, time, ball, 2)
    pictures = (_balls(one, size, radius, binary) for one in places)
    names = [f"{axis}{i}" for i in range(num_balls) for axis in "xy"]
    states = np.concatenate([part.reshape(num_sequences, length, -1) for part in (places, velocities)], axis=-1)
    return Video(_frames(pictures, size), _labelled(states, [*names, *(f"{name}_velocity" for name in names)]))


def pendulum(
    num_sequences: int,
    length: int,
    *,
    size: int = 16,
    dt: float = 0.1,
    friction: float = 0.5,
    torque: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Video:
    """Videos of a pendulum of mass 1 and length 1 with friction, driven by random torques if wanted.

        angle'' = -9.81 sin(angle) - friction angle' + u,      u ~ U(-torque, torque), held from frame to frame

    An angle of 0 hangs down. A frame before the first, angles are uniform and velocities N(0, 1). Runge-Kutta of fourth
    order with 20 steps a frame.

    Args:
        num_sequences: Number of sequences.
        length: Frames in each.
        size: Pixels on each side of a frame.
        dt: Time between frames.
        friction: Deceleration by friction at a velocity of 1.
        torque: Largest torque; 0 leaves the pendulum to itself.
        noise: Standard deviation of noise that is added to each pixel.
        seed: Of starts, torques and noise.

    Returns:
        The frames; states are `angle` (without jumps: it counts turns) and `velocity`. Actions, if there is a torque,
        are `torque`: that in a frame's row led to the frame.

    Raises:
        ValueError: If a number is below 1, dt not positive, or friction, torque or noise negative.

    Example:
        >>> video = pendulum(2, 5, torque=2.0)
        >>> video.frames["sequence 1"].shape, list(video.states["sequence 1"]), video.actions["sequence 1"].shape
        ((5, 256), ['angle', 'velocity'], (5, 1))

    Source:
        Watter et al. (2015), "Embed to control", NeurIPS; Karl et al. (2017), "Deep variational Bayes filters", ICLR.
    """
    _check(num_sequences, length, size)
    if not dt > 0 or min(friction, torque, noise) < 0:
        raise ValueError(
            f"dt is positive, and friction, torque and noise are at least 0, got {dt}, {friction}, {torque} and {noise}"
        )
    random = np.random.default_rng(seed)
    state = np.stack([random.uniform(-np.pi, np.pi, num_sequences), random.normal(size=num_sequences)])
    u = torque * random.uniform(-1, 1, (length, num_sequences))
    path = []
    for t in range(length):
        state = _swung(state, u[t], friction, dt)
        path.append(state)
    states = np.stack(path).transpose(2, 0, 1)  # (sequence, time, 2)
    shape = length, size, size
    pictures = (_rod(one[:, 0], size) + noise * random.normal(size=shape) for one in states)
    actions = _labelled(u.T[:, :, None], ["torque"]) if torque else None
    return Video(_frames(pictures, size), _labelled(states, ["angle", "velocity"]), actions)


def _check(num_sequences: int, length: int, size: int) -> None:
    if min(num_sequences, length, size) < 1:
        raise ValueError(f"at least 1 sequence, frame and pixel are needed, got {num_sequences}, {length} and {size}")


def _labelled(values: Iterable[np.ndarray], columns: list[str]) -> dict[str, pd.DataFrame]:
    """Values (time, column) of each sequence as frames by name."""
    return {f"sequence {i}": pd.DataFrame(part, columns=columns) for i, part in enumerate(values)}


def _frames(pictures: Iterable[np.ndarray], size: int) -> dict[str, pd.DataFrame]:
    """Pictures (time, row, column) of each sequence as frames with a column for each pixel."""
    names = [f"r{i}c{j}" for i in range(size) for j in range(size)]
    return _labelled((part.reshape(len(part), -1) for part in pictures), names)


def _balls(places: np.ndarray, size: int, radius: float, binary: bool) -> np.ndarray:
    """Pictures (time, row, column) of balls at places (time, ball, 2)."""
    centres = (np.arange(size) + 0.5) / size
    across, down = ((places[..., i, None] - centres) ** 2 for i in (0, 1))
    distance = np.sqrt(down[..., :, None] + across[..., None, :]).min(axis=1)
    return (distance <= radius).astype(float) if binary else np.clip((radius - distance) * size + 0.5, 0, 1)


def _places(random: np.random.Generator, count: int, radius: float) -> np.ndarray:
    """Places of balls that do not touch, uniform among all such."""
    for _ in range(_TRIES):
        x = random.uniform(radius, 1 - radius, (count, 2))
        gaps = np.linalg.norm(x[:, None] - x[None], axis=-1)[np.triu_indices(count, 1)]
        if not np.any(gaps <= 2 * radius):
            return x
    raise ValueError(f"no places were found for {count} balls of radius {radius}: take fewer or smaller ones")


def _after_a_frame(x: np.ndarray, v: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Places and velocities (sequence, ball, 2) one frame later, from collision to collision."""
    v, left, count = v.copy(), np.ones(len(x)), x.shape[1]
    while np.any(left > 0):
        times = np.concatenate([_to_walls(x, v, radius), _to_balls(x, v, radius)], axis=1)
        event, first = times.argmin(axis=1), times.min(axis=1)
        hits = np.flatnonzero((first <= left) & (left > 0))
        move = np.minimum(first, left)
        x, left = x + v * move[:, None, None], left - move
        for sequence in hits:
            if event[sequence] < 2 * count:
                ball, axis = divmod(int(event[sequence]), 2)
                v[sequence, ball, axis] *= -1
            else:
                i, j = divmod(int(event[sequence]) - 2 * count, count)
                line = x[sequence, i] - x[sequence, j]
                line /= np.linalg.norm(line)
                exchanged = (v[sequence, i] - v[sequence, j]) @ line * line
                v[sequence, i], v[sequence, j] = v[sequence, i] - exchanged, v[sequence, j] + exchanged
    return x, v


def _to_walls(x: np.ndarray, v: np.ndarray, radius: float) -> np.ndarray:
    """Time until each ball touches the wall that it moves towards, (sequence, ball and axis)."""
    wall = np.where(v > 0, 1 - radius, radius)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(v != 0, np.maximum((wall - x) / v, 0.0), np.inf)
    return times.reshape(len(x), -1)


def _to_balls(x: np.ndarray, v: np.ndarray, radius: float) -> np.ndarray:
    """Time until each pair of balls that come closer touch, |d + w t| = 2 radius; (sequence, pair)."""
    d, w = x[:, :, None] - x[:, None], v[:, :, None] - v[:, None]
    b, ww = np.sum(d * w, axis=-1), np.sum(w * w, axis=-1)
    root = b**2 - ww * (np.sum(d * d, axis=-1) - 4 * radius**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where((b < 0) & (root > 0), np.maximum((-b - np.sqrt(np.maximum(root, 0.0))) / ww, 0.0), np.inf)
    return times.reshape(len(x), -1)


def _swung(state: np.ndarray, u: np.ndarray, friction: float, dt: float) -> np.ndarray:
    """Angle and velocity (2, sequence) a frame later."""

    def slope(s: np.ndarray) -> np.ndarray:
        return np.stack([s[1], -9.81 * np.sin(s[0]) - friction * s[1] + u])

    h = dt / _SUBSTEPS
    for _ in range(_SUBSTEPS):
        k1 = slope(state)
        k2 = slope(state + 0.5 * h * k1)
        k3 = slope(state + 0.5 * h * k2)
        k4 = slope(state + h * k3)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state


def _rod(angle: np.ndarray, size: int) -> np.ndarray:
    """Pictures (time, row, column) of a rod of length 0.4 that hangs from the middle at angles (time,)."""
    centres = (np.arange(size) + 0.5) / size - 0.5
    end = np.stack([np.sin(angle), np.cos(angle)])[..., None, None]
    along = np.clip(end[0] * centres[None, :] + end[1] * centres[:, None], 0.0, 0.4)
    distance = np.sqrt((centres[None, :] - along * end[0]) ** 2 + (centres[:, None] - along * end[1]) ** 2)
    return np.clip((0.06 - distance) * size + 0.5, 0, 1)
