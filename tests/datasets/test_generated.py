"""Generated series against plain loops and other integrators."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from statespace.datasets import lorenz63, mackey_glass, narma10


def test_narma_is_its_equation():
    data = narma10(60, seed=4, discard=20)
    u, y = data["u"].tolist(), data["y"].tolist()  # y[i] is y[t+1] where u[i] is u[t]
    for i in range(10, 60):
        t = i - 1  # the position of y[t]
        total = sum(y[t - k] for k in range(10)) if t >= 9 else None
        if total is None:
            continue
        expected = 0.3 * y[t] + 0.05 * y[t] * total + 1.5 * u[i - 9] * u[i] + 0.1
        assert y[i] == pytest.approx(expected, rel=1e-12)
    assert np.all((data["u"] >= 0) & (data["u"] <= 0.5))
    assert not np.array_equal(narma10(60, seed=5)["u"], data["u"])


def test_mackey_glass_solves_its_equation():
    """The method of steps with a fine integrator over the first two delays, from the same constant."""
    found = mackey_glass(30, seed=3, discard=0).to_numpy()
    start = float(np.random.default_rng(3).uniform(1.1, 1.3))

    def forward(delayed, x0, begin, end):
        slope = lambda t, x: 0.2 * delayed(t) / (1 + delayed(t) ** 10) - 0.1 * x  # noqa: E731
        return solve_ivp(slope, (begin, end), [x0], rtol=1e-12, atol=1e-12, dense_output=True, max_step=0.1)

    first = forward(lambda t: start, start, 0.0, 17.0)
    second = forward(lambda t: first.sol(t - 17.0)[0], first.y[0, -1], 17.0, 34.0)
    times = np.arange(30.0)
    expected = np.where(times <= 17, first.sol(times)[0], second.sol(np.maximum(times, 17.0))[0])
    np.testing.assert_allclose(found, expected, atol=2e-8)
    with pytest.raises(ValueError, match="multiple of 0.1"):
        mackey_glass(5, tau=0.05)


def test_lorenz_solves_its_equation():
    path = lorenz63(40, 0.02, seed=1)
    assert list(path.columns) == ["x", "y", "z"]
    assert path.index[-1] == pytest.approx(0.78)
    s = lambda t, v: (10 * (v[1] - v[0]), v[0] * (28 - v[2]) - v[1], v[0] * v[1] - 8 / 3 * v[2])  # noqa: E731
    fine = solve_ivp(s, (0.0, 0.78), path.iloc[0].to_numpy(), "RK45", path.index.to_numpy(), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(path.to_numpy(), fine.y.T, atol=1e-5)
