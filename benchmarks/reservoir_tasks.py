"""Echo state networks on the field's standard tasks: errors on data not seen, over several random keys.

Run as `python benchmarks/reservoir_tasks.py [--quick] [folder of series]`; the cascaded tanks (Schoukens and Noel 2016)
are read from the folder, and left out without it.
"""

import sys
import time
from itertools import product
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import statespace as ss
from statespace.datasets import lorenz63, mackey_glass, narma10
from statespace.diagnostics import lyapunov_spectrum, memory_capacity, valid_prediction_time
from statespace.models.reservoir import CycleCoupling, EchoState, Reservoir, SparseCoupling

TAU17 = {"spectral_radius": 0.9, "leak": 0.5, "input_scale": 1.0, "bias_scale": 0.2}
RAW = {"level": 0.0, "unit": 1.0}  # data enter as they are


@eqx.filter_jit
def free_runs(model, weights, y, starts, length):
    """Free runs of the noise-free network, each from a stamp up to which it saw the data: (start, time, series)."""
    before = jnp.concatenate([model.first_previous[None], y[:-1]])
    drive = (before - model.centre) / model.feedback_unit

    def step(state, u):
        state, _ = model.recursion.step(state, u)
        return state, state

    _, states = jax.lax.scan(step, model.recursion.start(), drive)
    loop = model.closed_loop(weights)
    return jax.vmap(lambda i: loop.scan(jnp.zeros((length, 0)), (states[i], y[i]))[0])(starts)


def mackey_glass_error(key, units=1000, runs=50, train=3000, ridge=1e-12):
    """NRMSE84: the error of the 84th free-running step over the standard deviation of the series."""
    y = np.tanh(mackey_glass(train, seed=1).to_numpy() - 1.0)
    test = np.tanh(mackey_glass(1000 + 84 * (runs + 1), seed=2).to_numpy() - 1.0)[:, None]
    reservoir = Reservoir(1, SparseCoupling(units, key=key), **TAU17, key=1000 + key)
    model = EchoState(reservoir, ridge, 1e-4, washout=min(1000, train // 3), **RAW)
    weights = ss.filter(model, y).belief.mean
    starts = 999 + 84 * np.arange(runs)
    found = free_runs(model, weights, jnp.asarray(test), jnp.asarray(starts), 84)[:, -1]
    return float(np.sqrt(np.mean((np.asarray(found) - test[starts + 84]) ** 2)) / test.std())


def input_driven(units, key, spectral_radius, leak, input_scale, bias_scale, ridge, washout):
    """A network that hears an input only."""
    scales = {"spectral_radius": spectral_radius, "leak": leak, "input_scale": input_scale, "bias_scale": bias_scale}
    reservoir = Reservoir(1, SparseCoupling(units, key=key), **scales, key=1000 + key)
    return EchoState(reservoir, ridge, 0.02, input_names=["u"], feedback=False, washout=washout)


def simulated(model, u, y, new):
    """Outputs for new inputs, once the network has learned from a record."""
    run = ss.filter(model, y, inputs=pd.DataFrame({"u": u}))
    rows, _ = run.model.run(ss.Step(jnp.arange(len(new)), jnp.arange(len(new)) * 1.0, inputs=jnp.asarray(new)[:, None]))
    return np.asarray(rows @ run.belief.mean[0] + run.model.centre)


def best(settings, units, key, washout, early, late):
    """The settings with the smallest squared error on a record that is held out; records are (inputs, outputs)."""

    def error(setting):
        found = simulated(input_driven(units, key, *setting, washout), *early, late[0])
        return np.mean((found - late[1])[washout:] ** 2)

    return min(settings, key=error)


def narma_error(key, units=200, length=2000):
    """NMSE of NARMA10 on a test record; scales and ridge are those that serve best on a validation record."""
    records = [narma10(200 + length, seed=3 * key + i).to_numpy().T for i in range(3)]
    settings = list(product([0.9], [1.0], [0.1, 0.15, 0.2], [0.1, 0.2], [1e-8, 1e-7, 1e-6]))
    chosen = best(settings, units, key, 200, records[0], records[1])
    found = simulated(input_driven(units, key, *chosen, 200), *records[0], records[2][0])
    return float(np.mean((found - records[2][1])[200:] ** 2) / records[2][1][200:].var())


def capacity(key, units=100):
    """Memory capacity of a cycle."""
    reservoir = Reservoir(1, CycleCoupling(units), spectral_radius=0.95, input_scale=0.01, key=key)
    return memory_capacity(reservoir, key=key).total


def lorenz(key, units=500, train=5000, runs=20, length=800):
    """Valid prediction time in Lyapunov times (mean over starts), and the exponents of the free-running network."""
    path = lorenz63(train, seed=1).to_numpy()
    test = lorenz63(200 + 50 * runs + length, seed=2).to_numpy()
    mean, sd = path.mean(axis=0), path.std(axis=0)
    reservoir = Reservoir(
        3, SparseCoupling(units, 6, key=key), spectral_radius=0.4, input_scale=0.5, bias_scale=0.5, key=1000 + key
    )
    options = {"level": mean, "unit": sd, "num_series": 3, "squares": "even", "washout": 100}
    model = EchoState(reservoir, 1e-10, 1e-4 * sd, direct=True, **options)
    weights = ss.filter(model, path).belief.mean
    starts = 199 + 50 * np.arange(runs)
    found = np.asarray(free_runs(model, weights, jnp.asarray(test), jnp.asarray(starts), length))
    truth = np.stack([test[i + 1 : i + 1 + length] for i in starts])
    times = valid_prediction_time(truth, found, dt=0.02, exponent=0.906, scale=sd)
    spectrum = lyapunov_spectrum(model.closed_loop(weights), length=10_000, num_exponents=3, dt=0.02, burn_in=1000)
    return times.mean(), spectrum.exponents


def tanks_errors(keys, folder, units=200):
    """Root mean squared errors in volts of the simulated level of the lower tank, from its inputs alone, for each key.

    Scales and ridge are those that serve all keys best where each third of the estimation record in turn is missing.
    """
    table = pd.read_csv(Path(folder) / "cascaded_tanks.csv")
    u, y = table[["uEst", "uVal"]].to_numpy(), table[["yEst", "yVal"]].to_numpy()
    u = (u - u[:, 0].mean()) / u[:, 0].std()
    hidden = np.arange(len(y)) // (len(y) // 3 + 1) == np.arange(3)[:, None]

    def error(setting, key):
        model = input_driven(units, key, *setting, 50)
        runs = [ss.smooth(model, np.where(h, np.nan, y[:, 0]), inputs=u[:, :1]) for h in hidden]
        return sum(np.sum((run.loo_mean[:, 0] - y[:, 0])[h][50:] ** 2) for run, h in zip(runs, hidden, strict=True))

    settings = list(product([0.9], [0.05, 0.1, 0.2], [0.3, 0.5], [0.5], [1e-3, 1e-2, 1e-1]))
    chosen = min(settings, key=lambda setting: sum(error(setting, key) for key in keys))
    found = [simulated(input_driven(units, key, *chosen, 50), u[:, 0], y[:, 0], u[:, 1]) for key in keys]
    return [float(np.sqrt(np.mean((one - y[:, 1])[50:] ** 2))) for one in found]


def band_coverage(key, units=100, length=1000, origins=20, horizon=20):
    """Shares of values inside 90 % bands: one step ahead over a stretch that is learned from as it comes, and 1 to 20
    steps ahead from 20 origins; noisy Mackey-Glass, all scales learned by the evidence.
    """
    random = np.random.default_rng(key)
    y = mackey_glass(length + horizon * origins, seed=key).to_numpy()
    y = y + 0.05 * random.normal(size=len(y))
    reservoir = Reservoir(1, SparseCoupling(units, key=key), leak=0.5, bias_scale=0.2, key=1000 + key)
    fitted = ss.fit(EchoState(reservoir, 1e-2, 0.05, washout=100), y[:length], progress=False)
    run, free = ss.filter(fitted), []
    for i in range(length, len(y), horizon):
        ahead = ss.forecast(run, horizon=horizon, num_samples=400, key=i)
        low, high = ahead.quantile([0.05, 0.95])[..., 0]
        free.append((low <= y[i : i + horizon]) & (y[i : i + horizon] <= high))
        run = ss.append(run, y[i : i + horizon])
    one = np.abs(run.residuals[length:, 0]) < 1.6449
    return float(one.mean()), float(np.mean(free))


def main(quick=False, folder=None):
    keys = range(2 if quick else 5)
    tasks = {
        "Mackey-Glass 17, NRMSE84, N=400 (target 5e-4)": lambda k: mackey_glass_error(k, 400),
        "Mackey-Glass 17, NRMSE84, N=1000 (target 2e-4)": mackey_glass_error,
        "NARMA10, NMSE, N=200 (target .05)": narma_error,
        "memory capacity, cycle of 100 (target 95)": capacity,
    }
    for name, task in tasks.items():
        start = time.perf_counter()
        found = [task(key) for key in keys]
        seconds = (time.perf_counter() - start) / len(found)
        print(f"{name:50s} {np.mean(found):.4g} (sd {np.std(found):.2g}), {seconds:.1f} s a key", flush=True)
    if folder:
        found = tanks_errors(keys, folder)
        print(f"{'cascaded tanks, V (target .42)':50s} {np.mean(found):.4g} (sd {np.std(found):.2g})", flush=True)
    found = [lorenz(key) for key in keys]
    times, exponents = np.array([f[0] for f in found]), np.array([f[1] for f in found])
    print(f"{'Lorenz-63, valid Lyapunov times, N=500 (target 10)':50s} {times.mean():.4g} (sd {times.std():.2g})")
    spread = exponents.std(axis=0).round(3)
    print(f"{'   exponents (0.906, 0, -14.57)':50s} {exponents.mean(axis=0).round(3)} (sd {spread})", flush=True)
    shares = np.array([band_coverage(key) for key in keys])
    mean, sd = shares.mean(axis=0).round(3), shares.std(axis=0).round(3)
    print(f"{'90 % bands cover, one step and free runs':50s} {mean} (sd {sd})")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    arguments = [a for a in sys.argv[1:] if a != "--quick"]
    main("--quick" in sys.argv, arguments[0] if arguments else None)
