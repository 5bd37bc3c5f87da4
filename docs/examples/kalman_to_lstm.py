# %% [markdown]
# # From Kalman to LSTM in one API
#
# The same eleven-year cycles, by a linear model and by recurrent cells. A cell with a head is a state-space model like
# any other: `fit`, `filter`, `forecast` and the rest take it, a missing year is drawn along many paths, and forecasts
# have bands. Teacher forcing is not a trick here: it is the exact likelihood of the model in innovations form.

# %%
import os
from pathlib import Path

import jax
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import statespace as ss

jax.config.update("jax_enable_x64", True)
matplotlib.use("Agg")
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"  # the tests run every example with tiny settings
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))
UNITS, STEPS, DRAWS, STARTS = (1, 3, 20, 1) if SMALL else (3, 500, 400, 3)

# %% [markdown]
# ## Data
# A square root makes the spread even. The models learn from the first two centuries and are scored on the third.

# %%
spots = ss.datasets.sunspots()
y = 2 * (np.sqrt(1 + spots) - 1)
past = y[:"1908"]

# %% [markdown]
# ## Four models, one verb
# The weights' default priors shrink the cells, so the posterior mode is taken for all.

# %%
models = {
    "AR(2) and noise": ss.LocalLevel(0.0) + ss.AutoRegressive(2) + ss.Noise(),
    "Elman": ss.Recurrent(ss.Elman(1, UNITS), ss.GaussianHead()),
    "GRU": ss.Recurrent(ss.GRU(1, UNITS), ss.GaussianHead()),
    "LSTM": ss.Recurrent(ss.LSTM(1, UNITS), ss.GaussianHead()),
}
chosen = models if not SMALL else {name: models[name] for name in ("AR(2) and noise", "GRU")}
way = ss.MAP(num_starts=STARTS, max_iterations=STEPS)
fits = {name: ss.fit(model, past, way, key=1, progress=False) for name, model in chosen.items()}

# %% [markdown]
# ## One year ahead, in the century that no model has seen

# %%
rows = {}
for name, fit in fits.items():
    run = ss.filter(fit, y)
    later = slice(len(past), None)
    error = run.observation_mean[later, 0] - y.to_numpy()[later]
    rows[name] = {"log score a year": run.log_likelihood_terms[later].mean(), "rms error": np.sqrt(np.mean(error**2))}
table = pd.DataFrame(rows).T
print(table.round(3))

# %% [markdown]
# ## Forecasts run free
# Each path feeds back what it draws, so the bands open and the cycle fades as its phase is lost.

# %%
ahead = {n: ss.forecast(fit, y[:"1986"], horizon=22, num_samples=DRAWS, key=2) for n, fit in fits.items()}

# %% [markdown]
# ## Missing years
# Where a year is missing the cell has nothing to read: paths draw it, and are weighed by what comes after.

# %%
gaps = past.copy()
gaps.iloc[np.random.default_rng(0).choice(len(past), len(past) // 10, replace=False)] = np.nan
filling = ss.TeacherForcing(num_particles=20 if SMALL else 500)
drawn = ss.filter(fits["GRU"], gaps, filling, key=3)
print(f"log-likelihood with a tenth missing {drawn.log_likelihood:.1f}, standard error {drawn.log_likelihood_se:.2f}")

# %%
figure, axes = plt.subplots(len(ahead), 1, figsize=(8, 1.9 * len(ahead)), sharex=True, layout="constrained")
window = y["1960":]
for ax, (name, forecast) in zip(axes, ahead.items(), strict=True):
    low, middle, high = np.quantile(forecast.draws[:, :, 0], [0.05, 0.5, 0.95], axis=0)
    years = window.index[-22:]
    ax.fill_between(years, low, high, color="#0072B2", alpha=0.25, linewidth=0, label="90 % band")
    ax.plot(years, middle, color="#0072B2", label="median of the paths")
    ax.plot(window.index, window, color="#222222", linewidth=1, label="observed")
    ax.set_title(name, loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(frameon=False, fontsize=8.5, ncols=3, loc="upper left")
if not SMALL:
    figure.savefig(IMAGES / "kalman_to_lstm.png", dpi=110)
