"""The cells' equations in NumPy, one step at a time, as oracles: (weights, options, state, u, dt) -> state, output."""

import numpy as np
import scipy.linalg


def logistic(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "identity": lambda x: x, "logistic": logistic}


def elman(w, cell, h, u, dt):
    h = ACTIVATIONS[cell.activation](w["input_weights"] @ u + w["recurrent_weights"] @ h + w["bias"])
    return h, h


def jordan(w, cell, o, u, dt):
    h = ACTIVATIONS[cell.activation](w["input_weights"] @ u + w["recurrent_weights"] @ o + w["bias"])
    o = w["output_weights"] @ h + w["output_bias"]
    return o, o


def gru(w, cell, h, u, dt):
    wr, wz, wn = np.split(w["input_weights"], 3)
    ur, uz, un = np.split(w["recurrent_weights"], 3)
    br, bz, bn = np.split(w["bias"], 3)
    r, z = logistic(wr @ u + ur @ h + br), logistic(wz @ u + uz @ h + bz)
    if cell.reset == "after":
        n = np.tanh(wn @ u + bn + r * (un @ h + w["recurrent_bias"]))
    else:
        n = np.tanh(wn @ u + bn + un @ (r * h))
    h = (1 - z) * n + z * h
    return h, h


def lstm(w, cell, state, u, dt):
    h, c = np.split(state, 2)
    wi, wf, wg, wo = np.split(w["input_weights"], 4)
    ui, uf, ug, uo = np.split(w["recurrent_weights"], 4)
    bi, bf, bg, bo = np.split(w["bias"], 4)
    pi, pf, po = w["peephole_weights"] if cell.peepholes else np.zeros((3, len(h)))
    i, f = logistic(wi @ u + ui @ h + pi * c + bi), logistic(wf @ u + uf @ h + pf * c + bf)
    c = f * c + i * np.tanh(wg @ u + ug @ h + bg)
    h = logistic(wo @ u + uo @ h + po * c + bo) * np.tanh(c)
    return np.concatenate([h, c]), h


def indrnn(w, cell, h, u, dt):
    h = ACTIVATIONS[cell.activation](w["input_weights"] @ u + w["recurrent_weights"] * h + w["bias"])
    return h, h


def skew(values, size):
    a = np.zeros((size, size))
    a[np.tril_indices(size, -1)] = values
    return a - a.T


def orthogonal_matrix(w, cell):
    size = cell.units
    if cell.parametrisation == "cayley":
        d = np.diag([1.0] * (size - cell.num_negative) + [-1.0] * cell.num_negative)
        return scipy.linalg.inv(np.eye(size) + skew(w["skew"], size)) @ (np.eye(size) - skew(w["skew"], size)) @ d
    q = np.eye(size)
    for v in w["reflections"]:
        q = q @ (np.eye(size) - 2 * np.outer(v, v) / (v @ v))
    return q


def orthogonal(w, cell, h, u, dt):
    z = w["input_weights"] @ u + orthogonal_matrix(w, cell) @ h
    h = z + w["bias"] if cell.activation == "identity" else np.sign(z) * np.maximum(np.abs(z) + w["bias"], 0)
    return h, h


def antisymmetric(w, cell, h, u, dt):
    turned = (skew(w["skew"], cell.units) - cell.damping * np.eye(cell.units)) @ h
    gate = logistic(turned + w["gate_weights"] @ u + w["gate_bias"]) if cell.gate else 1.0
    h = h + cell.step_size * dt * gate * np.tanh(turned + w["input_weights"] @ u + w["bias"])
    return h, h


def ctrnn(w, cell, y, u, dt):
    a, s = np.exp(-dt / w["tau"]), ACTIVATIONS[cell.activation]
    y = a * y + (1 - a) * (w["recurrent_weights"] @ s(y + w["bias"]) + w["input_weights"] @ u)
    return y, s(y + w["bias"])
