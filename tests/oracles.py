"""Naive oracles: everything from one dense multivariate normal, in NumPy.

A linear-Gaussian model over T stamps is x = A b + s, y = Z x + e, with b the diffuse elements of the first
state (a flat prior) and s, e jointly normal. Everything else is linear algebra.
"""

import dataclasses

import numpy as np

LOG_2PI = np.log(2 * np.pi)


@dataclasses.dataclass
class Dense:
    """The joint normal of a model's states and observations, and what follows from it."""

    state_mean: np.ndarray  # (T, n) for b = 0
    state_cov: np.ndarray  # (T n, T n) for b = 0
    diffuse: np.ndarray  # (T n, d)
    z: np.ndarray  # (T p, T n)
    offset: np.ndarray  # (T p,)
    noise_cov: np.ndarray  # (T p, T p)

    @classmethod
    def of(cls, model, steps):
        """Unroll a model over its steps."""
        T, n = len(steps), len(model.state_names)
        law = model.initial_law(steps[0])
        flags = np.asarray(law.diffuse)
        mean = [np.where(flags, 0, np.asarray(law.mean, float))]
        first = np.where(flags[:, None] | flags[None], 0, np.asarray(law.cov, float))
        blocks = {(0, 0): first}
        factors = [np.eye(n)[:, flags]]
        for t in range(1, T):
            F = np.asarray(model.propagate(np.eye(n), steps[t]), float)
            parts = model.transition_matrices(steps[t])
            G = np.asarray(parts.factor, float)
            mean.append(F @ mean[-1] + np.asarray(parts.offset))
            factors.append(F @ factors[-1])
            for s in range(t):
                blocks[t, s] = F @ blocks[t - 1, s]
                blocks[s, t] = blocks[t, s].T
            blocks[t, t] = F @ blocks[t - 1, t - 1] @ F.T + G @ G.T
        cov = np.block([[blocks[t, s] for s in range(T)] for t in range(T)])
        emissions = [model.emission_matrices(steps[t]) for t in range(T)]
        p = model.num_series
        z, noise = np.zeros((T * p, T * n)), np.zeros((T * p, T * p))
        for t, e in enumerate(emissions):
            z[t * p : (t + 1) * p, t * n : (t + 1) * n] = e.matrix
            S = np.asarray(e.scale, float)
            S = np.diag(S) if S.ndim == 1 else S
            noise[t * p : (t + 1) * p, t * p : (t + 1) * p] = S @ S.T
        offset = np.concatenate([np.asarray(e.offset, float) for e in emissions])
        return cls(np.array(mean), cov, np.concatenate(factors), z, offset, noise)

    def posterior(self, y, mask=None, cross=False):
        """Mean and covariance of the whole path given y, and the log-likelihood.

        Returns:
            (mean (T, n), cov (T n, T n), log-likelihood) - the likelihood with all constants.
        """
        T, n = self.state_mean.shape
        y = np.asarray(y, float).reshape(-1)
        seen = np.flatnonzero(np.isfinite(y) if mask is None else np.asarray(mask).reshape(-1))
        z, offset = self.z[seen], self.offset[seen]
        sigma = z @ self.state_cov @ z.T + self.noise_cov[np.ix_(seen, seen)]
        x = z @ self.diffuse
        residual = y[seen] - offset - z @ self.state_mean.reshape(-1)
        inverse = np.linalg.inv(sigma)
        c = self.state_cov @ z.T
        d = self.diffuse.shape[1]
        log_det = np.linalg.slogdet(sigma)[1]
        info = x.T @ inverse @ x
        if d:
            log_det += np.linalg.slogdet(info)[1]
            info_inv = np.linalg.inv(info)
            b = info_inv @ x.T @ inverse @ residual
            shift = self.diffuse - c @ inverse @ x
            mean = self.state_mean.reshape(-1) + self.diffuse @ b + c @ inverse @ (residual - x @ b)
            cov = self.state_cov - c @ inverse @ c.T + shift @ info_inv @ shift.T
            weighted = inverse @ (residual - x @ b)
        else:
            mean = self.state_mean.reshape(-1) + c @ inverse @ residual
            cov = self.state_cov - c @ inverse @ c.T
            weighted = inverse @ residual
        ll = -0.5 * (len(seen) * LOG_2PI + log_det + residual @ weighted)
        return mean.reshape(T, n), cov, ll

    def predictive(self, y, mask=None):
        """Mean and covariance of all observations (noise included) at unobserved elements, given y."""
        mean, cov, _ = self.posterior(y, mask)
        return self.z @ mean.reshape(-1) + self.offset, self.z @ cov @ self.z.T + self.noise_cov


def normal_logpdf(y, mean, cov):
    """Log density of a multivariate normal."""
    r = np.asarray(y) - mean
    return -0.5 * (len(r) * LOG_2PI + np.linalg.slogdet(cov)[1] + r @ np.linalg.solve(cov, r))


def block(cov, t, n):
    """The t-th diagonal block of size n."""
    return cov[t * n : (t + 1) * n, t * n : (t + 1) * n]
