"""Naive oracles: the joint normal of the outputs of a discrete form, or of a model, written out stamp by stamp."""

import numpy as np
from oracles import Dense

from statespace.core.step import make_steps


def joint_of_form(ssm, u=None, length=5):
    """Mean and covariance of (y[0], ..., y[T-1]): every noise is its own column of one big factor."""
    n, p, m = ssm.A.shape[-1], ssm.C.shape[-2], ssm.B.shape[-1]
    u = np.zeros((length, m)) if u is None else np.asarray(u)

    def at(x, k):
        return np.asarray(x[k] if x.ndim == 3 else x)

    noises = [root(joint_noise(ssm, k, at)) for k in range(length)]
    width = n + length * (n + p)
    mean, load = np.asarray(ssm.mean), np.zeros((n, width))
    load[:, :n] = root(np.asarray(ssm.cov))

    def placed(k):
        w, v = np.zeros((n, width)), np.zeros((p, width))
        columns = slice(n + k * (n + p), n + (k + 1) * (n + p))
        w[:, columns], v[:, columns] = noises[k][:n], noises[k][n:]
        return w, v

    means, loads = [], []
    for k in range(length):
        w, v = placed(k)
        if ssm.timing == "current" and (k > 0 or ssm.start == "before"):
            mean = at(ssm.A, k) @ mean + at(ssm.B, k) @ u[k]
            load = at(ssm.A, k) @ load + w
        means.append(at(ssm.C, k) @ mean + at(ssm.D, k) @ u[k])
        loads.append(at(ssm.C, k) @ load + v)
        if ssm.timing == "previous" and k + 1 < length:
            mean = at(ssm.A, k) @ mean + at(ssm.B, k) @ u[k + ssm.lead]
            load = at(ssm.A, k) @ load + w
    loads = np.concatenate(loads)
    return np.concatenate(means), loads @ loads.T


def joint_noise(ssm, k, at):
    """The covariance of (w, v) at a stamp."""
    Q, R, S = at(ssm.Q, k), at(ssm.R, k), at(ssm.S, k)
    return np.block([[Q, S], [S.T, R]])


def root(cov):
    """A factor of a covariance, singular or not."""
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    assert values.min() > -1e-9 * max(values.max(), 1e-300), values
    return vectors * np.sqrt(np.maximum(values, 0))


def joint_of_model(model, u=None, length=5):
    """The same for a linear-Gaussian model without diffuse elements."""
    inputs = None if u is None else np.asarray(u)
    dense = Dense.of(model, make_steps(length, inputs=inputs, schedule=model.schedule))
    mean = dense.z @ dense.state_mean.reshape(-1) + dense.offset
    return mean, dense.z @ dense.state_cov @ dense.z.T + dense.noise_cov


def normal_log_density(y, mean, cov):
    """The log-density of one dense normal."""
    residual = np.asarray(y).reshape(-1) - mean
    sign, log_det = np.linalg.slogdet(cov)
    assert sign > 0
    return -0.5 * (residual @ np.linalg.solve(cov, residual) + log_det + residual.size * np.log(2 * np.pi))


def random_stable(rng, n, radius=0.9):
    """A matrix with this spectral radius."""
    A = rng.normal(size=(n, n))
    return A * radius / np.abs(np.linalg.eigvals(A)).max()


def random_cov(rng, n, rank=None):
    """A covariance, singular if the rank is smaller."""
    factor = rng.normal(size=(n, n if rank is None else rank))
    return factor @ factor.T
