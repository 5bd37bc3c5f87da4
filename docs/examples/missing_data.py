# %% [markdown]
# # Missing data: the Nile with two gaps
#
# NaN means missing, element by element. Nothing is filled in before the analysis: the filter passes over what is
# not there, the smoother interpolates with honest bands, and joint draws show what the lost years may have been.
# The case is that of Durbin and Koopman (2012), section 2.7.

# %%
import os
from pathlib import Path

import jax
import matplotlib
import numpy as np

import statespace as ss

jax.config.update("jax_enable_x64", True)
matplotlib.use("Agg")
import matplotlib.pyplot as plt

SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))

# %%
flow = ss.datasets.nile()
gaps = flow.copy()
gaps.iloc[20:40] = np.nan
gaps.iloc[60:80] = np.nan
model = ss.LocalLevel(scale=1469.1**0.5) + ss.Noise(scale=15099**0.5)

# %% [markdown]
# The log-likelihood counts what was observed, no more.

# %%
filtered, smoothed = ss.filter(model, gaps), ss.smooth(model, gaps)
print(f"log-likelihood {filtered.log_likelihood:.10f}")
print(smoothed.to_pandas().iloc[[0, 29, 39, 70]])

# %% [markdown]
# A path drawn from the joint law of all states is not the smoothed mean with noise: it moves as the level does.

# %%
paths = ss.sample_states(model, gaps, num_samples=5 if SMALL else 200, key=jax.random.key(0))
print(paths.sizes)
print("sd of the draws in the middle of the first gap:", float(paths.isel(time=29).std()))
print("smoothed sd there:", float(smoothed.sd[29, 0]))

# %%
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
ss.plots.states(smoothed, axes=ax)
for path in paths.isel(state=0).to_numpy()[:5]:
    ax.plot(paths.time, path, color="#D55E00", linewidth=0.6)
ax.plot(gaps.index, gaps, linestyle="none", marker=".", color="#222222")
ax.set_title("Level of the Nile: smoothed, five joint draws, and what was observed", loc="left", fontsize=10)
if not SMALL:
    figure.savefig(IMAGES / "missing_data.png", dpi=110)
