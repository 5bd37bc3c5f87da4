# %% [markdown]
# # Chaos with uncertainty
#
# A reservoir is a fixed random network that echoes what it hears; only a linear readout is learned. Its weights have a
# normal law given the data, so that forecasts have bands: paths draw the weights and the noise, feed back what they
# draw, and part as the chaos takes them. Nobody knows the weather in a month, and the bands should say so.

# %%
import os
from pathlib import Path

import jax
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

import statespace as ss
from statespace.diagnostics import kaplan_yorke, lyapunov_spectrum, valid_prediction_time

jax.config.update("jax_enable_x64", True)
matplotlib.use("Agg")
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"  # the tests run every example with tiny settings
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))
UNITS, TRAIN, AHEAD, DRAWS, SPECTRUM = (30, 300, 40, 20, 200) if SMALL else (300, 4000, 900, 200, 8000)
DT, EXPONENT = 0.02, 0.906  # time between stamps; the known largest exponent of Lorenz's system

# %% [markdown]
# ## A network that has seen Lorenz's system
# The ridge is the prior precision of the weights, in units of the noise. Their evidence, in which the weights are
# integrated out, says which ridge serves; `ss.fit(..., ss.MAP())` climbs it, with priors, and learns leak and
# spectral radius too.

# %%
path = ss.datasets.lorenz63(TRAIN + AHEAD, DT, seed=1).to_numpy()
seen, later = path[:TRAIN], path[TRAIN:]
reservoir = ss.Reservoir(
    3, ss.SparseCoupling(UNITS, 6, key=0), spectral_radius=0.4, input_scale=0.5, bias_scale=0.5, key=1
)
scale = seen.std(axis=0)
options = {"num_series": 3, "squares": "even", "washout": 100}
runs = {ridge: ss.filter(ss.EchoState(reservoir, ridge, 1e-4 * scale, **options), seen) for ridge in (1e-10, 1e-6)}
print("log evidence", {ridge: round(run.log_likelihood) for ridge, run in runs.items()})
learned = runs[1e-6]

# %% [markdown]
# ## It runs free
# Time is measured in Lyapunov times, in which an error grows e-fold.

# %%
ahead = ss.forecast(learned, horizon=AHEAD, num_samples=DRAWS, key=2)
time = np.arange(1, AHEAD + 1) * DT * EXPONENT
valid = valid_prediction_time(later[None], ahead.draws.mean(axis=0)[None], dt=DT, exponent=EXPONENT, scale=scale)
low, high = np.quantile(ahead.draws, [0.05, 0.95], axis=0)
inside = ((low <= later) & (later <= high)).mean()
print(f"the mean path stays close for {valid[0]:.1f} Lyapunov times; {inside:.0%} of all values in the 90 % bands")

# %% [markdown]
# ## Has it learned the climate?
# The exponents of the free-running network are to be those of the system: 0.906, 0 and -14.57.

# %%
loop = learned.model.closed_loop(learned.belief.mean)
spectrum = lyapunov_spectrum(loop, length=SPECTRUM, num_exponents=3, dt=DT, burn_in=100)
exponents = np.asarray(spectrum.exponents)
print("exponents", exponents.round(3), "Kaplan-Yorke dimension", round(float(kaplan_yorke(exponents)), 3))

# %%
figure, axes = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
for ax, series, name in zip(axes, (0, 2), "xz", strict=True):
    ax.fill_between(time, low[:, series], high[:, series], color="#0072B2", alpha=0.25, linewidth=0, label="90 % band")
    for draw in ahead.draws[:3]:
        ax.plot(time, draw[:, series], color="#0072B2", linewidth=0.6)
    ax.plot(time, later[:, series], color="#222222", linewidth=1.2, label="truth")
    ax.set_title(f"{name} of Lorenz's system, and three paths of the network", loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(frameon=False, fontsize=8.5, ncols=2, loc="upper left")
axes[1].set_xlabel("time ahead, Lyapunov times")
if not SMALL:
    figure.savefig(IMAGES / "chaos.png", dpi=110)
