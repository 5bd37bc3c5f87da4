# %% [markdown]
# # A chaotic ring: Lorenz-96 with an ensemble of 24
#
# Forty places on a ring, every second one seen, with noise, every six hours of model time. Errors double in
# two days, so the filter has to keep up. The ensemble Kalman filter makes do with 24 runs of the
# model in place of a covariance of 40 x 40; localisation tells it that far places have nothing to do with each other.

# %%
import os
from pathlib import Path

import jax
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

import statespace as ss

jax.config.update("jax_enable_x64", True)
matplotlib.use("Agg")
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"  # the tests run every example with tiny settings
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))
PLACES, STAMPS = (12, 30) if SMALL else (40, 400)

# %%
seen = tuple(range(0, PLACES, 2))
model = ss.Lorenz96(PLACES, forcing=8.0, drift_scale=0.0, observation_scale=1.0, observed=seen)
made = ss.simulate(model, STAMPS, key=jax.random.key(1))
truth, y = made.states.values[0], made.y.values[0]

# %% [markdown]
# ## Filter
# The localisation needs to know where places and series are; the ring has a period.

# %%
near = ss.Localisation.from_coordinates(range(PLACES), seen, radius=4.0, period=PLACES)
method = ss.EnsembleKalman(24, update="square_root", inflation=1.03, localisation=near)
filtered = ss.filter(model, y, method, key=jax.random.key(2))
error = np.sqrt(np.mean((filtered.mean - truth) ** 2, axis=1))
late = error[STAMPS // 4 :]
print(f"root mean squared error {late.mean():.2f}; observations have 1, the climate 3.6")
print(f"spread that the ensemble admits to {filtered.sd[STAMPS // 4 :].mean():.2f}")

# %% [markdown]
# ## Forecast
# Members are run on without observations: bands open as errors grow, and end at the climate.

# %%
ahead = ss.forecast(filtered, horizon=5 if SMALL else 60, num_samples=24 if SMALL else 200, key=jax.random.key(3))
print(ahead.to_pandas()["y0"].round(1).head())

# %%
figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(8, 7.5), constrained_layout=True)
for axes, values, title in ((top, truth, "Truth"), (middle, filtered.mean, "Filtered mean, from every second place")):
    shown = axes.imshow(values[-120:].T, aspect="auto", cmap="RdBu_r", vmin=-12, vmax=12, interpolation="nearest")
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_ylabel("place")
figure.colorbar(shown, ax=[top, middle], label="x")
bottom.plot(error, color="#1f4e79", linewidth=1, label="error")
bottom.plot(filtered.sd.mean(axis=1), color="#c0504d", linewidth=1, label="spread")
bottom.axhline(1.0, color="#6e6e6e", linewidth=0.8, linestyle=":", label="noise of the observations")
bottom.set_title("Root mean squared error over the ring, and the ensemble's own", loc="left", fontsize=10)
bottom.set_xlabel("stamp")
bottom.legend(frameon=False, fontsize=8.5, ncols=3)
if not SMALL:
    figure.savefig(IMAGES / "lorenz96.png", dpi=110)
