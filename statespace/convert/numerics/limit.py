"""Riccati's equation where doubling finds no stabilising solution: other ways, on the host.

A mode outside the circle that no noise reaches has one that the extended pencil finds. A closed loop with roots on the
circle (a deterministic season, a moving average with a unit root) has none, but the covariance of a filter that starts
from a known state still has a limit, which doubling comes to by halves.

Reference: van Dooren (1981), "A generalized eigenvalue approach for solving Riccati equations"; Huang, Li and Lin
(2018), "Structure-Preserving Doubling Algorithms for Nonlinear Matrix Equations", section 3.8 for roots on the circle.
"""

import numpy as np

from ...core.certificates import radius_on_host

_ROUNDS = 60
_HUGE = 1e100  # nothing settles there
_ON_CIRCLE = 1 + 1e-6


def by_pencil(A: np.ndarray, C: np.ndarray, Q: np.ndarray, R: np.ndarray, S: np.ndarray) -> np.ndarray | None:
    """The stabilising solution by the extended pencil, which inverts nothing; None if there is none.

    Args:
        A: Transition, (state, state).
        C: Emission, (series, state).
        Q: Covariance of the state's noise, (state, state).
        R: Covariance of the measurement noise, (series, series); it may be singular.
        S: Covariance of the two, (state, series).
    """
    from scipy.linalg import solve_discrete_are  # slow to import, and rarely needed

    try:
        return solve_discrete_are(A.T, C.T, Q, R, None, S)
    except (np.linalg.LinAlgError, ValueError):  # the latter where the pencil cannot be put in order
        return None


def from_known_state(A: np.ndarray, C: np.ndarray, Q: np.ndarray, R: np.ndarray, S: np.ndarray) -> np.ndarray | None:
    """The limit of the covariance of the prediction from a known first state; None if it does not settle.

    With roots on the circle half of the digits are right.

    Args:
        A: Transition, (state, state).
        C: Emission, (series, state).
        Q: Covariance of the state's noise, (state, state).
        R: Covariance of the measurement noise, (series, series), regular.
        S: Covariance of the two, (state, series).
    """
    weight = np.linalg.solve(R, np.concatenate([C, S.T], axis=1))
    by_c, by_s = weight[:, : C.shape[1]], weight[:, C.shape[1] :]
    f, g, h = (A - S @ by_c).T, C.T @ by_c, Q - S @ by_s
    for _ in range(_ROUNDS):
        both = np.linalg.solve(np.eye(len(A)) + g @ h, np.concatenate([f, g], axis=1))
        by_f, by_g = both[:, : len(f)], both[:, len(f) :]
        change = f.T @ h @ by_f
        f, g, h = f @ by_f, g + f @ by_g @ f.T, h + change
        g, h = (g + g.T) / 2, (h + h.T) / 2
        if not np.abs(h).max(initial=0.0) < _HUGE:
            return None
        if np.abs(change).max(initial=0.0) <= 1e-14 * np.abs(h).max(initial=0.0):
            break
    gain = np.linalg.solve(C @ h @ C.T + R, (A @ h @ C.T + S).T).T
    return h if radius_on_host(A - gain @ C) <= _ON_CIRCLE else None
