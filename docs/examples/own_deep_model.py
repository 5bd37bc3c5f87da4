# %% [markdown]
# # Building your own deep model
#
# A pendulum in the wind: nobody records the pushes, two noisy sensors see where it is, and half of the readings are
# lost at random, so that stamps are not evenly spaced. A model of it is put together from parts, with a network that
# gives changes in continuous time, and forecasts run free from where the data end.

# %%
import os
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import optax
import pandas as pd

import statespace as ss
from statespace import deep

matplotlib.use("Agg")
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"  # the tests run every example with tiny settings
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))
TRAIN, TEST, STEPS, PARTICLES, DRAWS = (4, 1, 4, 10, 20) if SMALL else (300, 100, 4000, 300, 300)
LENGTH, SEEN, NOISE = 120, 40, 0.1

# %% [markdown]
# ## Data
# The sensors' readings at times that are drawn without order or rhythm: tenths of a second, of which half are lost.


# %%
def readings(count, seed):
    random = np.random.default_rng(seed)
    found = {}
    for name, states in ss.datasets.pendulum(count, LENGTH, size=1, torque=8.0, seed=seed).states.items():
        angle = states["angle"].to_numpy()
        y = np.stack([np.sin(angle), np.cos(angle)], axis=1) + NOISE * random.normal(size=(LENGTH, 2))
        kept = np.sort(random.choice(LENGTH, LENGTH // 2, replace=False))
        found[name] = pd.DataFrame(y[kept], index=0.1 * kept, columns=["across", "down"])
    return found


train, test = readings(TRAIN, 0), readings(TEST, 1)

# %% [markdown]
# ## The model
# Three latent states move by a network's change over the time since the stamp before, and by noise that grows with it.
# Another network and a head turn them into the laws of the readings. The guide reads the data backwards by a layer of
# state spaces in continuous time, and says how far to go from where the model expects the states.

# %%
LATENT, UNITS, CHANNELS = (2, 8, 4) if SMALL else (3, 32, 24)
dynamics = deep.MLPTransition(LATENT, [UNITS], residual=True, key=0)
network = ss.MLP([LATENT, UNITS], "tanh", key=1)
model = ss.DeepStateSpace(dynamics, network, ss.GaussianHead())

encoder = ss.Encoder(ss.MLP([2, CHANNELS], "tanh", key=2), backward=ss.S4D(CHANNELS, 4, key=3))
change = deep.NormalNetwork(ss.MLP([CHANNELS + LATENT, UNITS], "tanh", key=4), LATENT, spread=0.3, key=5)
guide = ss.Guide(encoder, deep.Residual(change))

# %% [markdown]
# ## Learning, as any other model

# %%
rate = optax.cosine_decay_schedule(5e-3, STEPS, alpha=0.02)
way = ss.SVI(guide, num_steps=STEPS, batch_size=30, learning_rate=rate, num_buckets=1)
fit = ss.fit(model, train, way, key=6, progress=False)
print(fit.summary())
print("standard deviation of the sensors' noise", fit.estimates["head.scale"].round(3), "of the truth", NOISE)

# %% [markdown]
# ## Free-running forecasts
# The test pendulums are filtered over their first stamps; then paths run free over the rest, at its times, and are
# never told where the pendulum went. Bands should cover as much as they say, near the data and far from them.

# %%
one = next(iter(fit.values()))
way = ss.AmortisedFilter(guide=one.filter_method.guide, num_particles=PARTICLES)
options = {"method": way, "num_samples": DRAWS, "progress": False}
scores = ss.score_forecasts(fit, test, horizon=LENGTH // 2 - SEEN, origins=[SEEN], key=7, **options)
print(scores)
print(scores.table().round(3))
if not SMALL:
    ss.plots.calibration(scores)[0].figure.savefig(IMAGES / "own_deep_model_scores.png", dpi=110)

# %%
name = next(iter(test))
y = test[name]
forecast = ss.forecast(one, y[:SEEN], times=y.index[SEEN:], method=way, num_samples=DRAWS, key=8)
figure, axes = plt.subplots(2, 1, figsize=(8, 4.2), sharex=True, layout="constrained")
for i, (ax, column) in enumerate(zip(axes, y, strict=True)):
    for level, shade in ((0.9, 0.2), (0.5, 0.3)):
        low, high = np.quantile(forecast.draws[:, :, i], [0.5 - level / 2, 0.5 + level / 2], axis=0)
        ax.fill_between(y.index[SEEN:], low, high, color="#0072B2", alpha=shade, linewidth=0, label=f"{level:.0%} band")
    ax.plot(y.index[SEEN:], forecast.draws[:2, :, i].T, color="#0072B2", linewidth=0.7)
    ax.plot(y.index, y[column], ".", color="#222222", markersize=4, label="readings")
    ax.set_title(column, loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(frameon=False, fontsize=8.5, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
axes[1].set_xlabel("seconds")
if not SMALL:
    figure.savefig(IMAGES / "own_deep_model.png", dpi=110)
