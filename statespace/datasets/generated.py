"""Series made by published equations: a delay equation, a moving average with products, and a chaotic flow."""

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp


def mackey_glass(length: int, tau: float = 17.0, *, seed: int = 0, discard: int = 1000) -> pd.Series:
    """The Mackey-Glass series, one value a unit of time; chaotic for tau of about 17 and above.

        x'(t) = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t)

    Runge-Kutta of fourth order with steps of 0.1, the delayed values between them by cubic interpolation.

    Args:
        length: Number of values.
        tau: The delay, a multiple of 0.1.
        seed: Of the random constant (1.1 to 1.3) before the start.
        discard: Units of time that are left out at the start.

    Returns:
        A series named `x`, indexed 0, 1, ...

    Raises:
        ValueError: If tau is not a positive multiple of 0.1.

    Example:
        >>> len(mackey_glass(5, discard=10))
        5

    Source:
        Mackey and Glass (1977), Science 197, 287-289, with the constants of Jaeger (2001), GMD report 148.
    """
    h, delay = 0.1, round(10 * tau)
    if delay < 1 or abs(delay - 10 * tau) > 1e-9:
        raise ValueError(f"tau is {tau}, expected a positive multiple of 0.1")
    steps = 10 * (length + discard)
    x = [float(np.random.default_rng(seed).uniform(1.1, 1.3))] * (delay + 1)
    slope = [0.0] * (delay + 1)
    slope[-1] = _mackey_glass(x[-1], x[-1])
    for n in range(delay, delay + steps):
        now, early, late = x[n], x[n - delay], x[n - delay + 1]
        ahead = 0.0 if n + 1 == 2 * delay else slope[n - delay + 1]  # the slope jumps at the start: its left limit
        middle = 0.5 * (early + late) + h / 8 * (slope[n - delay] - ahead)
        k1 = _mackey_glass(now, early)
        k2 = _mackey_glass(now + 0.5 * h * k1, middle)
        k3 = _mackey_glass(now + 0.5 * h * k2, middle)
        k4 = _mackey_glass(now + h * k3, late)
        x.append(now + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        slope.append(_mackey_glass(x[-1], late))
    return pd.Series(np.array(x[delay + 10 * discard :: 10][:length]), name="x")


def _mackey_glass(x: float, delayed: float) -> float:
    return 0.2 * delayed / (1.0 + delayed**10) - 0.1 * x


def narma10(length: int, *, seed: int = 0, discard: int = 200) -> pd.DataFrame:
    """The tenth-order nonlinear autoregressive moving average with random inputs.

        y[t+1] = 0.3 y[t] + 0.05 y[t] (y[t] + ... + y[t-9]) + 1.5 u[t-9] u[t] + 0.1,    u ~ U(0, 0.5)

    Rarely the recursion escapes to infinity; such a draw is made anew with the next seed.

    Args:
        length: Number of rows.
        seed: Of the inputs.
        discard: Steps from rest that are left out at the start.

    Returns:
        A frame with columns `u` and `y`: the row of `y[t+1]` holds `u[t]`, the last input that it depends on.

    Example:
        >>> list(narma10(5).columns)
        ['u', 'y']

    Source:
        Atiya and Parlos (2000), IEEE Transactions on Neural Networks 11, 697-709, equation 86.
    """
    total = length + discard
    u = np.random.default_rng(seed).uniform(0.0, 0.5, total)
    y = np.zeros(total + 1)
    for t in range(total):
        window, lagged = y[max(t - 9, 0) : t + 1].sum(), u[t - 9] if t >= 9 else 0.0
        y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * window + 1.5 * lagged * u[t] + 0.1
        if y[t + 1] > 1e3:
            return narma10(length, seed=seed + 1_000_003, discard=discard)
    return pd.DataFrame({"u": u[discard:], "y": y[discard + 1 :]})


def lorenz63(
    length: int, dt: float = 0.02, *, seed: int = 0, discard: float = 50.0, constants: tuple = (10.0, 28.0, 8 / 3)
) -> pd.DataFrame:
    """A path of the Lorenz equations on their attractor.

        x' = s (y - x),    y' = x (r - z) - y,    z' = x y - b z

    Integrated by an eighth-order Runge-Kutta method (DOP853) with tolerances of 1e-10.

    Args:
        length: Number of rows.
        dt: Time between them.
        seed: Of the start.
        discard: Time that is left out at the start.
        constants: s, r and b.

    Returns:
        A frame with columns `x`, `y`, `z`, indexed by time from 0.

    Example:
        >>> lorenz63(4, 0.5, discard=1.0).shape
        (4, 3)

    Source:
        Lorenz (1963), Journal of the Atmospheric Sciences 20, 130-141.
    """
    s, r, b = constants
    start = np.random.default_rng(seed).normal(size=3) + np.array([0.0, 0.0, r])
    times = dt * np.arange(length)

    def slope(_: float, v: np.ndarray) -> tuple[float, float, float]:
        x, y, z = v
        return s * (y - x), x * (r - z) - y, x * y - b * z

    end = discard + (times[-1] if length else 0.0)
    found = solve_ivp(slope, (0.0, end), start, "DOP853", discard + times, rtol=1e-10, atol=1e-10)
    return pd.DataFrame(found.y.T, pd.Index(times, name="time"), ["x", "y", "z"])
