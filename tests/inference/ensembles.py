"""What several files of tests of ensembles share: one observation with textbook answers, and chaos."""

import jax.numpy as jnp
import numpy as np
from scipy.stats import multivariate_normal

import statespace as ss
from statespace.inference.ensemble_update import innovation
from statespace.inference.localisation import Localisation


class Case:
    """Members, an emission H x with correlated noise, and an observation of which some may be missing."""

    def __init__(self, members=30, state=4, series=3, missing=(), independent=False):
        rng = np.random.default_rng(members + 10 * series)
        self.x = rng.normal(size=(members, state)) @ rng.normal(size=(state, state)) + rng.normal(size=state)
        self.H = rng.normal(size=(series, state))
        root = rng.normal(size=(series, series))
        self.R = np.diag(0.5 + rng.random(series)) if independent else root @ root.T + 0.3 * np.eye(series)
        self.mask = ~np.isin(np.arange(series), missing)
        self.y = np.where(self.mask, 2 * rng.normal(size=series), np.nan)

    def seen(self, localisation=None):
        y = jnp.asarray(np.where(self.mask, self.y, 1e6))  # what stands for a missing value must not matter
        arrays = (jnp.asarray(v) for v in (self.x @ self.H.T, self.R))
        return innovation(*arrays, y, jnp.asarray(self.mask), localisation)

    def kalman(self):
        """Mean, covariance and log density by textbook formulas, from the members' sample moments."""
        m, P = self.x.mean(axis=0), np.cov(self.x.T)
        H, R = self.H[self.mask], self.R[np.ix_(self.mask, self.mask)]
        S = H @ P @ H.T + R
        K = P @ H.T @ np.linalg.inv(S)
        log_density = multivariate_normal(H @ m, S).logpdf(self.y[self.mask])
        return m + K @ (self.y[self.mask] - H @ m), P - K @ H @ P, log_density


def on_a_line(state, series, radius):
    return Localisation.from_coordinates(np.arange(state), np.linspace(0, state - 1, series), radius)


def chaotic(**changes):
    options = {"drift_scale": 0.0, "observation_scale": 0.5, "observed": [0, 2, 4, 6, 7], **changes}
    return ss.Lorenz96(8, 8.0, **options)


MIXED = ss.EnsembleKalman(6, "square_root", inflation=1.2, rotate=True, lag=3, keep=("moments", "members"))
