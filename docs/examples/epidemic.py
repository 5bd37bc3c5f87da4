# %% [markdown]
# # An epidemic: from data to forecast
#
# In January 1978 influenza came to a boarding school in the north of England. Of 763 boys, how many were in bed each
# day is known (British Medical Journal, 4 March 1978). The model is a stochastic SIR: boys are infected by those who
# are infectious, and leave that group at a constant rate; whole boys, in steps of a tenth of a day.

# %%
import os
from pathlib import Path

import jax
import matplotlib
import numpy as np
import pandas as pd

import statespace as ss

jax.config.update("jax_enable_x64", True)
matplotlib.use("Agg")
import matplotlib.pyplot as plt

SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))
PARTICLES = 200 if SMALL else 1000

# %%
in_bed = ss.datasets.boarding_school_flu()["in_bed"]
early, later = in_bed[:7], in_bed[7:]

# %% [markdown]
# ## The model
# Who is infectious is taken to be in bed (`counts="infectious"`, all of them are counted: `reporting=1.0`); the counts
# scatter about it by a negative binomial law. Its transition can be drawn from, but has no density that one could write
# down. A bootstrap filter asks for no more.


# %%
def outbreak(rate, days, concentration=30.0):
    """A boy infects `rate` others a day at first, and is infectious for `days` on average."""
    fixed = {"infected": 1.0, "reporting": 1.0, "counts": "infectious"}
    return ss.SIR(763, rate, 1 / days, concentration=concentration, **fixed)


# %% [markdown]
# ## What one week says about the two rates
# The likelihood on a grid, each point by its own particles, with the same key for all so that the surface is smooth. A
# model is a pytree and `log_likelihood` traces, so `jit` compiles the whole grid.

# %%
method = ss.BootstrapFilter(PARTICLES)
rates, days = np.linspace(1.2, 3.2, 4 if SMALL else 17), np.linspace(1.2, 4.2, 3 if SMALL else 17)
first_week, key = np.asarray(early), jax.random.key(0)


@jax.jit
def surface(rates, days):
    """The log-likelihood of the first week at pairs of values."""

    def one(pair):
        return ss.log_likelihood(outbreak(*pair), first_week, method, key=key)

    return jax.lax.map(one, (rates, days))


points = np.stack(np.meshgrid(rates, days, indexing="ij"), axis=-1).reshape(-1, 2)
heights = np.asarray(surface(points[:, 0], points[:, 1])).reshape(len(rates), len(days))
best = points[heights.argmax()]
print(f"largest likelihood at {best[0]:.2f} infections a day and {best[1]:.2f} days: {heights.max():.2f}")
print(f"basic reproduction number {best[0] * best[1]:.1f}")

# %% [markdown]
# ## Forecast
# Under flat priors over the grid the weights are a posterior law. Each of its draws continues from its own particles,
# so that the bands hold the uncertainty about the rates, about where the epidemic stands, and about chance.

# %%
weights = np.exp(heights - heights.max()).ravel()
rng = np.random.default_rng(0)
draws = points[rng.choice(len(points), 4 if SMALL else 100, p=weights / weights.sum())]
pairs, times = np.unique(draws, axis=0, return_counts=True)
paths = []
for i, (pair, count) in enumerate(zip(pairs, times, strict=True)):
    belief = ss.filter(outbreak(*pair), early, method, key=i)
    future = ss.forecast(belief, horizon=len(later), num_samples=int(count) * 20, key=1000 + i)
    paths.append(future.draws[:, :, 0])
paths = np.concatenate(paths)
bands = pd.DataFrame(
    np.quantile(paths, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).T, later.index, ["5", "25", "50", "75", "95"]
)
print(bands.assign(came=later))
inside = (bands["5"] <= later) & (later <= bands["95"])
print(f"days inside the 90 % band: {int(inside.sum())} of {len(later)}")

# %% [markdown]
# ## Pictures

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", width_ratios=(1, 1.5))
levels = heights.max() - np.array([8.0, 6.0, 4.6, 3.0, 2.3, 1.0, 0.3])
left.contourf(rates, days, heights.T, [*levels, heights.max() + 1], cmap="Blues")
left.set(xlabel="infections a day", ylabel="days infectious")
left.set_title("Log-likelihood of the first week", loc="left", fontsize=10)
right.fill_between(later.index, bands["5"], bands["95"], color="#cce3f0", label="90 %")
right.fill_between(later.index, bands["25"], bands["75"], color="#8cbfdd", label="50 %")
right.plot(later.index, bands["50"], color="#0072B2", label="median")
right.plot(early.index, early, color="#222222", marker=".", label="the first week")
right.plot(later.index, later, linestyle="none", color="#D55E00", marker="o", markersize=4, label="came later")
right.set_title("Boys in bed", loc="left", fontsize=10)
right.legend(frameon=False, fontsize=8.5)
right.set_xticks(in_bed.index[1::3])
right.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%d %b"))
filtered = ss.filter(outbreak(*best), in_bed, ss.BootstrapFilter(PARTICLES, keep=("moments", "quantiles")), key=5)
axes = ss.plots.particles(filtered, names=["S", "I"], observed="I")
print(f"infected in all, at the end: {763 - filtered.mean[-1, 0]:.0f} of 763")
if not SMALL:
    figure.savefig(IMAGES / "epidemic.png", dpi=110)
    axes[0].figure.savefig(IMAGES / "epidemic_states.png", dpi=110)
